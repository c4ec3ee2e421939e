"""The tour: two people from their first start to a key that changed, in two full screens on a real relay. Each stop has a picture of what the screen must
show, as text. Needs tmux (77 without)."""
import json, os, re, shutil, subprocess, sys, time

from stage import TACET, TACETD, Stage, framed, same

# A space before the flag: tmux 3.5 takes two flag letters for one more part of the emoji before them, and its picture is then two columns short.
WIDE = ["漢字かな한글", "😀👍🏽👨‍👩‍👧‍👦 🇩🇪❤️", "مَرْحَبًا بِالْعَالَم", "e\u0301 a\u0308 o\u0302\u0301 ที่นี่", "a\tb", "x" * 150, "שָׁלוֹם", "ｶﾞ ﾊﾟ", "1️⃣2️⃣", "नमस्ते"]


def begins(s):
    """Start, and what stands there with nobody to talk to."""
    address = s.relay_start()
    join = lambda who: s.run(who, "init", "--relay", address, "--name", who, "--no-passphrase").split()[-1]
    links = {"alice": join("alice")}
    s.relay_stop()  # for the end of the tour: a relay that never heard of bob
    subprocess.run([TACETD, "backup", f"{s.dir}/before-bob", "--data", f"{s.dir}/relay"], check=True, capture_output=True)
    s.relay_start()
    links["bob"] = join("bob")
    s.chat("alice")
    os.makedirs(f"{s.dir}/at-bobs")
    s.chat("bob", 80, 24, "--exec", f"'cat >>{s.dir}/heard; echo noise; echo noise >&2'", before=f"env HOME={s.dir}/at-bobs XDG_CONFIG_HOME=")
    same(s.wait("alice", "● online"), [
        "┌ tacet · alice@127.0.0.1:PPPPP ──────────────────────────────────── ● online ─┐",
        "│                    │  Nobody is here yet. Give your link to somebody         │",
        "│                    │  (/link), or take theirs (/add LINK). Who asked for     │",
        "│                    │  you: /requests. Everything else: F1                    │",
        *["│                    │                                                         │"] * 17,
        "├────────────────────┴─────────────────────────────────────────────────────────┤",
        "│ >                                                                            │",
        "└ F1 help · /search · /file · /verify · PgUp history · Ctrl-N next · /quit ────┘",
    ])
    return address, links


def asks(s, links):
    """A request: what is known about it, and what is not."""
    s.say("alice", "/add " + links["bob"] + " it is alice, from the office")
    s.wait("alice", "bob was asked; what you write is sent once they accept")
    s.wait("alice", "bob was asked and has not answered yet")
    s.say("alice", "written before you accepted")
    s.wait("alice", "written before you accepted +waits")
    s.wait("bob", "1 request: F2")
    s.keys("bob", "F2")
    screen = s.wait("bob", "from the office")
    assert screen[4].startswith("│ alice  (calls itself alice, at tacet://127.0.0.1:"), screen
    screen[4] = "│ alice"
    same(screen, [
        "┌ tacet · bob@127.0.0.1:PPPPP ────────────────────────────────────── ● online ─┐",
        "│ Who they are, only they say: nothing here is checked. They are told nothing  │",
        "│ until you accept.                                                            │",
        "│                                                                              │",
        "│ alice",
        "│   it is alice, from the office                                               │",
        *["│                                                                              │"] * 17,
        "└ A accept · R reject · B block · Up Down · Esc back ──────────────────────────┘",
    ])
    s.keys("bob", "a")
    s.wait("bob", "alice is accepted; nobody compared numbers yet: /verify")
    s.wait("bob", "written before you accepted")
    s.wait("alice", "written before you accepted +✓✓")
    s.wait("alice", "bob was asked and", gone=True)


def talks(s):
    """Both ways, until each has read what the other wrote."""
    s.say("bob", "did the build go through?")
    s.wait("alice", "bob  did the build go through")
    s.type("alice", "yes, two things:")
    s.keys("alice", "M-Enter")
    s.say("alice", "it is green, and it is fast")
    s.wait("bob", "it is green, and it is fast")
    s.wait("alice", "it is fast +✓✓ read", 60)
    s.wait("bob", r"through\? +✓✓ read", 60)
    heard = [json.loads(line) for line in open(f"{s.dir}/heard")]  # what --exec was given, each once, in order
    assert [m["text"] for m in heard if m["text"].startswith(("written", "yes"))] == ["written before you accepted", "yes, two things:\nit is green, and it is fast"], heard
    assert "noise" not in "\n".join(s.screen("bob"))
    s.keys("alice", "Left")
    same(s.wait("alice", "F1 help"), [
        "┌ tacet · alice@127.0.0.1:PPPPP ──────────────────────────────────── ● online ─┐",
        "│ bob                │                                                         │",
        *["│                    │                                                         │"] * 12,
        "│                    │ ── the beginning; not verified yet: /verify ──          │",
        "│                    │ DAY DD MMM YYYY                                         │",
        "│                    │ HH:MM  you  it is alice, from the office             ✓✓ │",
        "│                    │ HH:MM  you  written before you accepted         ✓✓ read │",
        "│                    │ HH:MM  bob  did the build go through?                   │",
        "│                    │ HH:MM  you  yes, two things:                            │",
        "│                    │             it is green, and it is fast         ✓✓ read │",
        "├────────────────────┴─────────────────────────────────────────────────────────┤",
        "│ >                                                                            │",
        "└ F1 help · /search · /file · /verify · PgUp history · Ctrl-N next · /quit ────┘",
    ])


def keeps_columns(s):
    """Every script and width, on screens of every size: no border moves."""
    for text in WIDE:
        s.say("bob", text)
    s.say("bob", "that was all")
    s.wait("alice", "that was all")
    framed(s.screen("alice"), 80, 24)
    for width, rows in ((200, 60), (120, 40), (80, 24), (200, 60), (80, 24)):
        s.resize("alice", width, rows)
        s.framed("alice", r"┌ tacet[^\n]{%d}┐\n(.*\n){%d}└" % (width - 8, rows - 2), width, rows)
        s.wait("alice", "that was all")
    s.resize("alice", 18, 5)
    s.wait("alice", r"too\s+small for")
    s.resize("alice", 80, 24)
    s.framed("alice", "that was all", 80, 24)


def searches(s):
    s.say("alice", "/search build thr")
    screen = s.wait("alice", "Enter open there")
    framed(screen, 80, 24)
    assert re.search(r"▸ \d{4}-\d\d-\d\d bob:  did the build through|did the build go through", "\n".join(screen)), screen
    colored = s.tmux("capture-pane", "-p", "-e", "-t", "alice")
    assert re.search(r"\x1b\[7mbuild\x1b", colored), colored.split("\n")[1]  # the hit stands out, without colour, too
    s.keys("alice", "Enter")
    s.wait("alice", "bob ▸did the build go through")
    s.keys("alice", "Escape")
    s.say("alice", "/search nosuchword")
    s.wait("alice", "nothing was found for nosuchword")
    s.keys("alice", "C-u")


def verifies(s):
    """Both see the same number; one confirms it, takes it back, confirms it again."""
    digits = {}
    for who, other in (("alice", "bob"), ("bob", "alice")):
        s.keys(who, "F4")
        screen = s.wait(who, f"you and {other}")
        framed(screen, 80, 24)
        digits[who] = re.findall(r"\b\d{5}\b", "\n".join(screen[2:]))
    assert digits["alice"] == digits["bob"] and len(digits["bob"]) == 12, digits
    s.keys("bob", "Escape")
    s.keys("alice", "y")
    s.wait("alice", "You compared these digits")
    s.keys("alice", "u")
    s.wait("alice", "Ask them, by voice")
    s.keys("alice", "y")
    s.wait("alice", "You compared these digits")
    s.keys("alice", "Escape")
    s.wait("alice", "│ bob ✓")


def key_changes(s, address, links):
    """The relay forgets bob, and somebody else comes with his name. Nothing leaves until alice has decided; she decides, thinks better of it, decides."""
    s.keys("bob", "C-q")
    s.wait("bob", "left 0")
    s.relay_stop()
    subprocess.run([TACETD, "restore", f"{s.dir}/before-bob", "--data", f"{s.dir}/relay"], check=True, capture_output=True)
    s.relay_start()
    s.wait("alice", "● online", 60)
    s.run("mallory", "init", "--relay", address, "--name", "bob", "--no-passphrase")
    s.run("mallory", "add", links["alice"], "--text", "it is me, I have a new phone")
    s.wait("alice", "│ bob !")
    s.wait("alice", "1 request: F2")
    s.type("alice", "the password is swordfish")
    s.keys("alice", "Enter")
    screen = s.wait("alice", "nothing was sent to bob; what you wrote is still here")
    framed(screen, 80, 24)
    assert [line[21:].strip("│ ") for line in screen[1:5]] == [
        "THE KEY HAS CHANGED: somebody with another key goes by", "the name bob now. Nothing is sent until you decide. Ask", "them on another way. If the new key is theirs: /trust.",
        "If the old one is: /verify"], screen
    assert "> the password is swordfish" in "\n".join(screen)
    s.keys("alice", "C-u")
    s.say("alice", "/trust")
    s.wait("alice", "bob has the new key now; nobody compared numbers yet")
    s.wait("alice", "│ bob-old ✓")
    s.wait("alice", "it is me, I have a new phone")
    s.wait("alice", "THE KEY HAS CHANGED", gone=True)
    s.say("alice", "/untrust")
    s.wait("alice", "│ bob !")
    s.wait("alice", "│ bob-new ")
    s.say("alice", "/trust")
    s.wait("alice", "│ bob-old ✓")
    s.say("alice", "so it is you")
    s.wait("alice", "so it is you +✓", 60)
    assert "so it is you" in s.run("mallory", "receive", "--timeout", "5s")
    assert "swordfish" not in s.run("mallory", "history", "alice")


def sends_a_file(s):
    """A file goes by its path, completed by Tab; its line moves on both sides until it lies in the other one's folder."""
    path = f"{s.dir}/blueprint.bin"
    content = os.urandom(24 << 20)
    open(path, "wb").write(content)
    s.type("alice", f"/file {s.dir}/bluep")
    s.keys("alice", "Tab")
    s.wait("alice", "blueprint.bin")
    s.keys("alice", "Enter")
    s.wait("alice", r"▤ blueprint.bin  24 MiB")
    seen, end = set(), time.monotonic() + 90
    while "saved to" not in "\n".join(s.screen("bob")):
        for who in ("alice", "bob"):
            screen = s.screen(who)
            seen |= {who for line in screen if re.search(r"[█░]{6,} \d+ %", line)}
            assert time.monotonic() < end, screen
        time.sleep(0.03)
    assert seen, "no bar was ever seen"
    framed(s.wait("bob", r"▤ blueprint.bin  24 MiB"), 80, 24)
    s.wait("alice", "✓✓ arrived", 60)
    saved = json.loads(s.run("bob", "files", "--json").splitlines()[-1])["saved_to"]
    assert open(saved, "rb").read() == content


def long_history(s):
    """Ten thousand messages: each page is there at once, wherever one looks."""
    fill = os.path.join(os.path.dirname(TACET), "..", "bench", "history-fill")
    s.keys("alice", "C-q")
    s.wait("alice", "left 0")
    s.tmux("kill-session", "-t", "alice")
    subprocess.run([fill, f"{s.dir}/alice", "bob", "10000"], check=True, timeout=120)
    s.chat("alice", 80, 24, "bob")
    s.wait("alice", "● online")
    s.wait("alice", "│ bob ✓")
    before, pages = None, 0
    begin = time.monotonic()
    for _ in range(60):
        s.keys("alice", *["PPage"] * 5)
        pages += 5
        now = s.screen("alice")
        framed(now, 80, 24)
    took = time.monotonic() - begin
    assert took < 60, f"{pages} pages took {took} s"
    s.wait("alice", r"below: PgDn, Esc")
    s.keys("alice", "Escape")
    s.wait("alice", "below: PgDn", gone=True)
    s.say("alice", "still quick")
    s.wait("alice", "still quick")
    s.wait("bob", "still quick")


def survives(s):
    """The relay goes and comes back: the screen says so, nothing is lost, nothing comes twice."""
    s.relay_stop()
    s.wait("alice", "○ offline")
    s.say("alice", "while the relay is away")
    s.wait("alice", "while the relay is away +…")
    s.wait("alice", "1 to send")
    s.relay_start()
    s.wait("alice", "● online", 60)
    s.wait("bob", "while the relay is away", 60)
    s.wait("alice", "away +✓✓ read", 60)
    assert "\n".join(s.screen("bob")).count("while the relay is away") == 1


def main():
    if not shutil.which("tmux"):
        sys.exit(77)
    s = Stage()
    try:
        address, links = begins(s)
        asks(s, links)
        talks(s)
        keeps_columns(s)
        searches(s)
        verifies(s)
        if subprocess.run([TACET, "files", "--help"], capture_output=True).returncode == 0:  # a build without the files engine has no such command
            sends_a_file(s)
        long_history(s)
        survives(s)
        key_changes(s, address, links)
    finally:
        s.close()


main()
