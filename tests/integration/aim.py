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
    s.run("bob", "add", links["alice"], "--text", "it is bob")
    s.wait("alice", "1 request: F2")
    s.keys("alice", "F2")
    s.wait("alice", "it is bob")
    chosen(s, "alice", "bob")
    s.run("first", "add", links["alice"], "--text", "before everybody")
    s.wait("alice", "before everybody")
    s.keys("alice", "b")
    s.wait("alice", "it is bob", gone=True)
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
    finally:
        s.close()


main()
