"""The full screen under tmux: two people, each in their own terminal, and what the terminals show afterwards, compared as text. Needs tmux (77 without)."""
import os, re, shutil, subprocess, sys, time

from stage import TACET, TACETD, Stage, framed, same

HOSTILE = [
    "\x1b[2J\x1b[H\x1b[31mred", "\x1b]0;owned\x07", "\x1b]52;c;aGFjaw==\x07", "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "\x1bP$q\"p\x1b\\", "\x1b[6n\x1b[c", "\u009b31m",
    "\x9d52;c;x\x9c", "\a\a\a", "bob: no\rbob: yes", "safe\b\b\b\bevil", "gpj.\u202eexe", "\u2066isolate\u2069", "bo\u200bb", "\u200e\u200f\u061c", "\ufeff",
    "a" + "\u0301" * 40, "\u0e49" * 60, "\x7f", "line\n09:09  you    forged", "\u2028\u2029", "\U000e0041\U000e0042", "\ufdfd" * 30, "\u1160" * 50, "\U0001f3fd\u200d" * 30,
]
WIDE = "漢字 ｶﾅ 한글 😀 👍🏽 👨‍👩‍👧 ❤️ 🇩🇪 مَرْحَبًا שָׁלוֹם é e\u0301 ที่ 1️⃣ |"


def empty(n):
    return ["│                    │                                                         │"] * n


def begin(s):
    address = s.relay_start()
    links = {who: s.run(who, "init", "--relay", address, "--name", who, "--no-passphrase").split()[-1] for who in ("alice", "bob", "carol")}
    s.chat("alice")
    s.chat("bob")
    for who in ("alice", "bob"):
        s.wait(who, "● online")
        s.wait(who, "Nobody is here yet")
    return links


def request_and_first_words(s, links):
    s.type("alice", "/add " + links["bob"] + " it is me")
    s.keys("alice", "Enter")
    s.wait("alice", "bob was asked")
    s.wait("bob", r"1 request: F2")
    s.keys("bob", "F2")
    s.wait("bob", r"alice  \(calls itself alice, at tacet://")
    s.wait("bob", "it is me")
    s.keys("bob", "a")
    s.wait("bob", "accepted; nobody compared")
    s.wait("bob", r"│ alice +│ ")
    s.type("bob", "hello alice")
    s.keys("bob", "Enter")
    s.wait("alice", "bob  hello alice")
    s.type("alice", "first line")
    s.keys("alice", "M-Enter")
    s.type("alice", "second line")
    s.keys("alice", "Enter")
    s.wait("bob", "second line")
    s.wait("alice", "second line +✓✓ read", 60)
    s.wait("bob", "hello alice +✓✓ read", 60)
    s.keys("alice", "Left")  # the message about what happened last is gone
    s.keys("bob", "Left")
    s.wait("bob", "F1 help")
    same(s.wait("alice", "F1 help"), [
        "┌ tacet · alice@127.0.0.1:PPPPP ──────────────────────────────────── ● online ─┐",
        "│ bob                │                                                         │",
        *empty(13),
        "│                    │ ── the beginning; not verified yet: /verify ──          │",
        "│                    │ DAY DD MMM YYYY                                         │",
        "│                    │ HH:MM  you  it is me                                 ✓✓ │",
        "│                    │ HH:MM  bob  hello alice                                 │",
        "│                    │ HH:MM  you  first line                                  │",
        "│                    │             second line                         ✓✓ read │",
        "├────────────────────┴─────────────────────────────────────────────────────────┤",
        "│ >                                                                            │",
        "└ F1 help · /search · /file · /verify · PgUp history · Ctrl-N next · /quit ────┘",
    ])


def keeps_columns_through_resizes(s):
    s.type("bob", WIDE)
    s.keys("bob", "Enter")
    framed(s.wait("alice", "漢字"), 80, 24)
    for width, rows in ((200, 60), (80, 24), (64, 12), (200, 60), (80, 24)):
        s.tmux("resize-window", "-t", "alice", "-x", str(width), "-y", str(rows))
        s.framed("alice", r"┌ tacet[^\n]{%d}┐\n(.*\n){%d}└" % (width - 8, rows - 2), width, rows)
        s.wait("alice", "漢字")
    s.tmux("resize-window", "-t", "alice", "-x", "30", "-y", "8")
    s.wait("alice", "^(?!┌)")
    s.type("alice", "still here")
    s.wait("alice", "> still here")
    s.keys("alice", "C-u")
    s.tmux("resize-window", "-t", "alice", "-x", "80", "-y", "24")
    s.framed("alice", "┌ tacet[^\n]{72}┐", 80, 24)


def search_help_verify(s):
    s.type("alice", "/search hello")
    s.keys("alice", "Enter")
    s.wait("alice", r"▸ \d{4}-\d\d-\d\d bob:  hello alice")
    s.keys("alice", "Enter")
    s.wait("alice", "bob ▸hello alice")
    s.keys("alice", "F1")
    s.wait("alice", "/search WORDS +find messages")
    s.keys("alice", "Escape")
    s.wait("alice", "> ")
    s.type("alice", "/ver")
    s.keys("alice", "Tab", "Enter")
    screen = s.wait("alice", "you and bob")
    digits = re.findall(r"\b(\d{5}) (\d{5}) (\d{5}) (\d{5})\b", "\n".join(screen))
    assert "".join("".join(g) for g in digits) == re.sub(r"\D", "", s.run("bob", "verify", "alice", "--json").split("safety_number")[1].split(",")[0]), screen
    assert sum(c in "█▀▄" for line in screen for c in line) > 200, screen  # the QR code
    framed(screen, 80, 24)
    s.keys("alice", "y")
    s.wait("alice", "bob is verified")
    s.keys("alice", "Escape")
    s.wait("alice", "│ bob ✓")


def P05_hostile_text_stays_in_its_line(s):
    title = s.tmux("display-message", "-p", "-t", "alice", "#{pane_title}")
    for text in HOSTILE:
        subprocess.run([TACET, "--home", f"{s.dir}/bob", "send", "alice", "-"], input=text.encode("utf-8", "surrogatepass"), check=True, capture_output=True, timeout=60)
        time.sleep(0.15)
        framed(s.screen("alice"), 80, 24)
    s.type("bob", "after all that")
    s.keys("bob", "Enter")
    screen = s.wait("alice", "after all that")
    framed(screen, 80, 24)
    s.tmux("resize-window", "-t", "alice", "-x", "80", "-y", "90")
    s.wait("alice", r"\\x1b\[2J")
    screen = s.framed("alice", "after all that", 80, 90)
    text = "\n".join(screen)
    for shown in (r"\x1b[2J\x1b[H\x1b[31mred", r"\x1b]0;owned\x07", r"\x1b]52;c;aGFjaw==\x07", r"\x07\x07\x07", r"gpj.\u{202e}exe", r"\u{2066}isolate\u{2069}"):
        assert shown in text, (shown, text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f]", text), text
    assert re.search(r"│ {13}09:09  you    forged", text), text  # behind the names, where no message begins
    assert s.tmux("display-message", "-p", "-t", "alice", "#{pane_title}") == title
    assert not s.tmux("list-buffers").strip(), "something came into the clipboard"
    assert s.tmux("display-message", "-p", "-t", "alice", "#{cursor_x},#{cursor_y}").strip() == "4,88"
    s.tmux("resize-window", "-t", "alice", "-x", "80", "-y", "24")
    s.wait("alice", "┌ tacet[^\n]{72}┐\n(.*\n){22}└")


def editing_pasting_drafts(s):
    s.tmux("set-buffer", "-b", "p", "/quit\npasted\ttext\x1b[31m")
    s.tmux("paste-buffer", "-p", "-d", "-b", "p", "-t", "alice")
    s.wait("alice", r"│ > /quit +│\n│   pasted    text")
    s.keys("alice", "C-u", "BSpace", "C-u")
    s.wait("alice", r"│ >  +│\n└")
    s.type("alice", "one two three")
    s.keys("alice", "C-w", "C-w", "C-y", "M-b", "Left", "Right")
    s.wait("alice", "> one two three")
    s.keys("alice", "C-c")
    s.type("alice", "a draft ｗｉｄｅ")
    s.wait("alice", "> a draft ｗｉｄｅ")
    s.keys("alice", "C-q")
    s.wait("alice", "left 0")
    assert not open(f"{s.dir}/alice.err").read()
    assert '"draft":"a draft ' in s.run("alice", "contacts", "--json")
    assert s.run("alice", "receive") == "", "what was shown is handed over"
    s.tmux("kill-session", "-t", "alice")
    s.run("bob", "send", "alice", "while you were away")
    s.chat("alice", 80, 24, "bob", before="env NO_COLOR=1")
    s.wait("alice", "> a draft ｗｉｄｅ")
    s.wait("alice", "while you were away")
    s.wait("alice", "bob ✓")
    s.keys("alice", "C-u")


def long_and_broken_pastes(s):
    path = f"{s.dir}/long"
    with open(path, "w") as out:
        out.write("0123456789" * 50000)
    s.tmux("load-buffer", "-b", "l", path)
    s.tmux("paste-buffer", "-p", "-d", "-b", "l", "-t", "alice")
    assert "alice" in s.run("alice", "whoami")  # whose host the screen is, is not kept waiting
    s.wait("alice", "a message has at most 12288 bytes")
    s.keys("alice", "C-c")
    s.wait("alice", r"│ >  +│\n└")
    s.type("alice", "\033[200~the end mark\ris lost")
    s.wait("alice", r"│ > the end mark +│\n│   is lost")
    s.keys("alice", "C-c")
    s.wait("alice", r"│ >  +│\n└")
    s.type("alice", "\033[200~parted\033")
    time.sleep(0.2)  # ncurses waits a fortieth of a second for the rest
    s.type("alice", "[201~!")
    s.wait("alice", r"> parted! +│\n└")
    s.keys("alice", "C-u")


def second_conversation_and_history(s, links):
    lines = [f"number {i:04}" for i in range(205)]
    s.run("carol", "add", links["alice"])
    s.wait("alice", "1 request: F2")
    s.type("alice", "/accept carol")
    s.keys("alice", "Enter")
    s.wait("alice", "accepted; nobody compared")
    s.wait("alice", "│ carol +│")
    s.keys("alice", "C-p")
    s.wait("alice", "while you were away")
    s.run("carol", "receive")
    for line in lines:
        s.run("carol", "send", "alice", line)
    s.wait("alice", r"carol +205 *│", 60)
    s.keys("alice", "M-a")
    s.wait("alice", "number 0204")
    s.wait("alice", r"carol +205 *│", gone=True)
    s.keys("alice", "C-p")
    s.wait("alice", "while you were away")
    s.keys("alice", "C-n")  # now only the newest page is loaded: the rest comes while scrolling
    s.wait("alice", "number 0204")
    for _ in range(20):
        s.keys("alice", "PPage")
        time.sleep(0.05)
    screen = s.wait("alice", "the beginning")
    assert any("number 0000" in line for line in screen), screen
    framed(screen, 80, 24)
    assert re.search(r"\d+ lines below: PgDn", "\n".join(screen)), screen
    s.run("carol", "send", "alice", "comes while reading above")
    time.sleep(1)
    s.wait("alice", "number 0000")
    for _ in range(20):
        s.keys("alice", "NPage")
    s.wait("alice", "comes while reading above")


def a_file_in_view_is_read(s):
    path = os.path.join(s.dir, "seen.txt")
    with open(path, "w") as f:
        f.write("x" * 100)
    s.run("carol", "send", "alice", "--file", path)
    s.wait("alice", "▤ seen.txt")
    s.wait("alice", "saved to")
    s.wait("alice", r"carol +│")
    left = s.run("alice", "contacts", "--json")
    assert re.search(r'"name":"carol".*"unread":0', left), left


def suspend_and_signal(s):
    pid = s.tmux("list-panes", "-t", "alice", "-F", "#{pane_pid}").strip()
    child = subprocess.run(["pgrep", "-P", pid, "tacet"], capture_output=True, text=True).stdout.split()
    assert len(child) == 1, child
    os.kill(int(child[0]), 20)  # SIGTSTP
    end = time.monotonic() + 10
    while open(f"/proc/{child[0]}/stat").read().rsplit(")", 1)[1].split()[0] != "T":
        assert time.monotonic() < end, "it did not stop"
        time.sleep(0.05)
    os.kill(int(child[0]), 18)  # SIGCONT
    s.type("alice", "continued")
    framed(s.wait("alice", "> continued"), 80, 24)
    os.kill(int(child[0]), 15)
    s.wait("alice", "left 0")


def main():
    if not shutil.which("tmux"):
        sys.exit(77)
    s = Stage()
    os.environ["HOME"] = f"{s.dir}/home"  # downloads go there
    os.mkdir(os.environ["HOME"])
    try:
        links = begin(s)
        request_and_first_words(s, links)
        keeps_columns_through_resizes(s)
        search_help_verify(s)
        P05_hostile_text_stays_in_its_line(s)
        editing_pasting_drafts(s)
        long_and_broken_pastes(s)
        second_conversation_and_history(s, links)
        a_file_in_view_is_read(s)
        suspend_and_signal(s)
    finally:
        s.close()


main()
