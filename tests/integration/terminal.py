"""P05: on a terminal, nothing that a peer wrote reaches the terminal as anything but text. Hostile texts go from one real client to another, and
everything that the second one writes to its pty is looked at byte by byte. Also: the passphrase prompt does not echo."""
import json, os, pty, re, select, subprocess, sys, tempfile, time, shutil, signal

TACET, TACETD = sys.argv[1], sys.argv[2]
HOSTILE = [
    "\x1b[2J\x1b[H\x1b[31mred", "\x1b]52;c;aGFjaw==\x07", "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "\x1bP$q\"p\x1b\\", "\x1b[6n\x1b[c", "\x9b31m",
    "\x9d52;c;x\x9c", "\a\a\a", "bob: no\rbob: yes", "safe\b\b\b\bevil", "gpj.\u202eexe", "\u2066isolate\u2069", "bo\u200bb", "\u200e\u200f\u061c", "\ufeff",
    "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", "\x7f", "\x00"[:0] + "\x01\x02\x03\x04", "line\n2020-01-01 00:00  alice: forged", "\u2028\u2029", "\U000e0041\U000e0042",
]
ALLOWED_FROM_US = re.compile(rb"\x1b\[[01]m")  # our own bold
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")


def on_a_pty(arguments, answers=(), env=None):
    """Runs a command on a pty; answers: (what to wait for, what to type). Gives back the exit code and every byte it wrote."""
    pid, fd = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
        os.environ.update(env or {})
        os.execv(arguments[0], arguments)
    seen, waiting, answered, end = b"", list(answers), 0, time.monotonic() + 30
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
        if waiting and waiting[0][0] in seen[answered:]: # a prompt that is new
            answered = len(seen)
            os.write(fd, waiting.pop(0)[1])
    else:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return code, seen


def harmless(seen, what):
    text = ALLOWED_FROM_US.sub(b"", seen).decode("utf-8").replace("\r\n", "\n")
    found = FORBIDDEN.search(text)
    assert not found, f"{what}: {found.group()!r} reached the terminal in {text!r}"
    return text


def main():
    folder = tempfile.mkdtemp(prefix="tacet-it.")
    relay = None
    home = lambda who: ["--home", f"{folder}/{who}"]
    run = lambda who, *args, **kw: subprocess.run([TACET, *home(who), *args], check=True, capture_output=True, timeout=60, **kw).stdout.decode()
    try:
        subprocess.run([TACETD, "init", "--data", f"{folder}/relay", "--listen", "127.0.0.1:0"], check=True, capture_output=True)
        relay = subprocess.Popen([TACETD, "run", "--data", f"{folder}/relay"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        address = relay.stdout.readline().split()[1]

        # a new passphrase, asked twice on the terminal, never echoed
        secret = b"sesame street\n"
        code, seen = on_a_pty([TACET, *home("alice"), "init", "--relay", address, "--name", "alice", "--low-memory"],
                              [(b": ", secret), (b": ", secret)])
        assert code == 0 and b"sesame" not in seen, (code, seen)
        code, seen = on_a_pty([TACET, *home("alice"), "whoami"], [(b": ", secret)])
        assert code == 0 and b"sesame" not in seen and b"alice" in seen, (code, seen)
        code, seen = on_a_pty([TACET, *home("alice"), "whoami"], [(b": ", b"wrong\n")])
        assert code == 6, (code, seen)
        code, seen = on_a_pty([TACET, *home("carol"), "init", "--relay", address, "--name", "carol", "--low-memory"],
                              [(b": ", b"one\n"), (b": ", b"other\n")])
        assert code == 2 and not os.path.exists(f"{folder}/carol/default/vault.key"), (code, seen)

        run("bob", "init", "--relay", address, "--name", "bob", "--no-passphrase")
        run("mallory", "init", "--relay", address, "--name", "mallory", "--no-passphrase")
        run("mallory", "add", run("bob", "link").strip(), "--text", HOSTILE[0] + HOSTILE[1])
        code, seen = on_a_pty([TACET, *home("bob"), "requests"])
        assert code == 0 and "\\x1b[2J" in harmless(seen, "requests"), seen
        run("bob", "accept", "mallory")
        run("mallory", "receive")
        for text in HOSTILE:
            run("mallory", "send", "bob", "-", input=text.encode())
        code, seen = on_a_pty([TACET, *home("bob"), "receive"])
        shown = harmless(seen, "receive")
        assert code == 0 and shown.count("mallory:") == len(HOSTILE), shown
        for part in ("\\x1b]52;c;", "\\x9b31m", "\\x0dbob: yes", "\\u{202e}exe", "\\u{200b}", "\n    2020-01-01 00:00  alice: forged"):
            assert part in shown, f"{part!r} is not shown in {shown!r}"
        for command in (["history", "mallory"], ["search", "evil"], ["history", "mallory", "--json"], ["contacts"]):
            code, seen = on_a_pty([TACET, *home("bob"), *command])
            assert code == 0, (command, seen)
            harmless(seen, command)
        got = [json.loads(line)["text"] for line in run("bob", "history", "mallory", "--json").splitlines()]
        assert [t for t in got if t in HOSTILE] == HOSTILE, got  # a program gets what was written

        # Ctrl-C: the normal end of --follow, the shell's signal for anything else
        code, seen = on_a_pty([TACET, *home("bob"), "receive", "--follow"], [(b"connected", b"\x03")])
        assert code == 0, (code, seen)
        code, seen = on_a_pty(["/bin/sh", "-c", f"echo ready; exec '{TACET}' --home '{folder}/alice' whoami"], [(b"Passphrase", b"\x03")])
        assert code == -signal.SIGINT and b"account" not in seen, (code, seen)

        # errors, names and arguments
        for command in (["send", "zoe\x1b[31m", "hi"], ["frob\x1b]52;c;x\x07"], ["add", "tacet://\x1b[2J@x:1/y#z.z"], ["history", "mallory", "--before", "\x9b31m"],
                        ["rename", "mallory", "m\x1b[5m\u202e"], ["search", "\x1b[2J\""]):
            code, seen = on_a_pty([TACET, *home("bob"), *command])
            harmless(seen, command)
        code, seen = on_a_pty([TACET, *home("bob"), "receive"], env={"NO_COLOR": "1"})
        assert b"\x1b" not in seen, seen
    finally:
        if relay:
            relay.terminate()
            relay.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


main()
