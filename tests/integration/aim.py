"""M15: what a key does in the full screen, it does to whom the screen showed, and what was written goes to whom it was written for: whatever comes
in between. Needs tmux (77 without)."""
import json, os, re, shutil, signal, subprocess, sys, time

from stage import Stage, framed

LONG = "maximilian.m"


def people(s):
    address = s.relay_start()
    names = {"alice": "alice", "bob": "bob", "carol": "carol", "dave": "dave", "first": "aaron", "max": LONG, "max2": LONG + "-2", **{f"u{i}": f"u{i}" for i in range(6)}}
    return {who: s.run(who, "init", "--relay", address, "--name", name, "--no-passphrase").split()[-1] for who, name in names.items()}


def burst(s, who, *keys):
    """All keys in one turn of the loop: they lie in the terminal while the program is stopped."""
    shell = s.tmux("list-panes", "-t", who, "-F", "#{pane_pid}").strip()
    pid = int(subprocess.run(["pgrep", "-P", shell, "tacet"], capture_output=True, text=True).stdout)
    os.kill(pid, signal.SIGSTOP)
    for key in keys:
        s.tmux("send-keys", "-t", who, *key)
    os.kill(pid, signal.SIGCONT)


def draft(s, who, name, want):
    """Until the vault has it."""
    end = time.monotonic() + 30
    while True:
        contacts = {c["name"]: c.get("draft") for c in map(json.loads, s.run(who, "contacts", "--json").splitlines())}
        if contacts[name] == want:
            return
        assert time.monotonic() < end, (contacts, s.screen(who))
        time.sleep(0.1)


def chosen(s, who, name):
    """Until the one line that stands out is the one of `name`; None: no line does."""
    end = time.monotonic() + 30
    while True:
        out = re.findall(r"\x1b\[7m ?([^ \x1b]*)", s.tmux("capture-pane", "-p", "-e", "-t", who))
        if out == ([name] if name else []):
            return
        assert time.monotonic() < end, (out, name, s.screen(who))
        time.sleep(0.05)


def asking(s, who):
    return [json.loads(line)["from"] for line in s.run(who, "requests", "--json").splitlines()]


def M15_requests_stay_where_they_are(s, links):
    """A stranger whose name sorts first asks while somebody else is chosen; who is gone is chosen no more; who is chosen is seen."""
    s.run("dave", "add", links["alice"], "--text", "it is dave")
    s.wait("alice", "1 request: F2")
    s.keys("alice", "F2")
    s.wait("alice", "it is dave")
    chosen(s, "alice", "dave")
    s.run("first", "add", links["alice"], "--text", "before everybody")
    s.wait("alice", "before everybody")
    s.keys("alice", "b")
    s.wait("alice", "it is dave", gone=True)
    assert asking(s, "alice") == ["aaron"]
    chosen(s, "alice", None)
    s.keys("alice", "b", "r", "a")
    s.run("u0", "add", links["alice"], "--text", "number 0")
    s.wait("alice", "number 0")
    assert asking(s, "alice") == ["aaron", "u0"]
    s.keys("alice", "Down")
    chosen(s, "alice", "aaron")
    for i in range(1, 6):
        s.run(f"u{i}", "add", links["alice"], "--text", f"number {i}")
    s.wait("alice", "number 4")
    for i in range(6):
        s.keys("alice", "Down")
        chosen(s, "alice", f"u{i}")
    framed(s.wait("alice", "number 5"), 80, 24)
    s.resize("alice", 24, 6)
    s.wait("alice", "number 5")
    chosen(s, "alice", "u5")
    s.resize("alice", 80, 24)
    s.keys("alice", "Escape")
    for name in asking(s, "alice"):
        s.run("alice", "reject", name)


def M15_names_that_differ_at_their_end(s, links):
    """Two names that begin alike are told apart in the list, beside the messages, above the conversation, and where numbers are compared."""
    for who in ("max", "max2"):
        s.run(who, "add", links["alice"], "--text", f"I am {who}")
    s.wait("alice", "2 requests: F2")
    for name in (LONG, LONG + "-2"):
        s.say("alice", f"/accept {name}")
        s.wait("alice", f"{name} is accepted")
        s.wait("alice", "  I am max" + name[len(LONG) + 1:])
    s.keys("alice", "Left")
    screen = framed(s.wait("alice", "F1 help"), 80, 24)
    assert screen[1] == "│ maximilian.m       │ maximilian.m-2                                          │", screen
    assert screen[2] == "│ maxim…an.m-2       │                                                         │", screen
    assert re.search(r"\d\d:\d\d  maxim…an.m-2  I am max2 ", "\n".join(screen)), screen
    s.say("alice", f"/open {LONG}")
    screen = s.wait("alice", r"\d\d:\d\d  maximilian.m  I am max ")
    assert screen[1] == "│ maximilian.m       │                                                         │", screen
    s.resize("alice", 46, 16)
    s.wait("alice", "─ maximilian.m ─")
    s.say("alice", f"/verify {LONG}-2")
    s.wait("alice", f"you and {LONG}-2 ")
    s.keys("alice", "Escape")
    s.resize("alice", 80, 24)
    s.wait("alice", r"│ maxim…an.m-2 +│")


def friends(s, links):
    for who in ("bob", "carol"):
        s.run(who, "add", links["alice"])
        s.wait("alice", "1 request: F2")
        s.say("alice", f"/accept {who}")
        s.wait("alice", f"{who} is accepted")
        s.wait("alice", f"│ {who} +│")
        s.run(who, "receive")
    s.say("alice", "/open bob")


def drafts_survive_commands(s):
    """A command is no draft, neither where it was typed nor where it led; what is written while a contact gets its new name stays."""
    s.type("alice", "begun for bob")
    s.keys("alice", "C-n")
    s.wait("alice", r"│ >  +│\n└")
    s.say("alice", "/open bob")
    s.wait("alice", "> begun for bob")
    s.keys("alice", "C-n")
    s.wait("alice", r"│ >  +│\n└")
    draft(s, "alice", "bob", "begun for bob")
    draft(s, "alice", "carol", None)
    s.say("alice", "/no such")
    s.wait("alice", "> /no such")
    s.keys("alice", "C-c")
    burst(s, "alice", ["-l", "/rename zoe"], ["Enter"], ["-l", "meanwhile"])
    s.wait("alice", "zoe is the name from now on")
    s.wait("alice", "│ zoe ")
    s.wait("alice", "> meanwhile")
    draft(s, "alice", "zoe", "meanwhile")
    s.keys("alice", "C-u")
    s.say("alice", "//two slashes")
    s.wait("alice", "you  /two slashes")


def what_failed_goes_back_where_it_was_written(s):
    s.say("alice", "/open bob")
    s.wait("alice", "> begun for bob")
    s.keys("alice", "C-u")
    burst(s, "alice", ["-l", "/block bob"], ["Enter"], ["-l", "for bob alone"], ["Enter"], ["C-n"])
    s.wait("alice", "│ bob ×")
    s.wait("alice", r"│ >  +│\n└")
    draft(s, "alice", "bob", "for bob alone")
    s.say("alice", "/open bob")
    s.wait("alice", "> for bob alone")
    s.keys("alice", "C-u")
    s.say("alice", "/unblock bob")
    s.wait("alice", "│ bob +│")


def what_an_answer_uncovers_is_read(s):
    """Messages that came while somebody read further up are in view after an answer: they count as read, and as handed over."""
    s.say("alice", "/open zoe")
    for i in range(25):
        s.run("carol", "send", "alice", f"line {i}")
    s.wait("alice", "line 24")
    s.keys("alice", "PPage")
    s.wait("alice", "lines below: PgDn")
    s.run("carol", "send", "alice", "meanwhile below")
    s.wait("alice", r"zoe +1 +│")
    s.say("alice", "an answer")
    screen = s.wait("alice", "you  an answer")
    assert "meanwhile below" in "\n".join(screen), screen
    s.wait("alice", r"zoe +│")
    s.keys("alice", "C-q")
    s.wait("alice", "left 0")
    assert s.run("alice", "receive") == ""


def main():
    if not shutil.which("tmux"):
        sys.exit(77)
    s = Stage()
    try:
        links = people(s)
        s.chat("alice")
        s.wait("alice", "● online")
        M15_requests_stay_where_they_are(s, links)
        M15_names_that_differ_at_their_end(s, links)
        friends(s, links)
        drafts_survive_commands(s)
        what_failed_goes_back_where_it_was_written(s)
        what_an_answer_uncovers_is_read(s)
    finally:
        s.close()


main()
