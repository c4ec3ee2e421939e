"""What is drawn as a QR code is one: everything that tacet draws is painted as a picture, dot by dot as a terminal shows it, and read by zbarimg as a
phone would read it."""
import os, pty, re, subprocess, sys, tempfile, shutil

TACET, TACETD = sys.argv[1], sys.argv[2]
DOT = 4  # pixels
HALVES = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}  # upper, lower: is it ink


def on_a_pty(arguments):
    seen = b""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(arguments[0], arguments)
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    os.close(fd)
    return seen.decode()


def picture(lines, ink_is_dark, path):
    """Half blocks as a grey picture; around it is what the terminal has around it: the ground."""
    width = max(map(len, lines))
    rows = []
    for line in lines:
        halves = [HALVES[c] for c in line.ljust(width)]
        rows += [[h[0] for h in halves], [h[1] for h in halves]]
    with open(path, "wb") as f:
        f.write(b"P5 %d %d 255\n" % (width * DOT, len(rows) * DOT))
        for row in rows:
            f.write(b"".join((b"\x00" if bool(dot) == ink_is_dark else b"\xff") * DOT for dot in row) * DOT)


def drawn(text):
    """The lines of half blocks in an output, and whether they are black on white."""
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in text.replace("\r", "").split("\n")]
    art = [line for line in lines if len(line) > 20 and set(line) <= set(HALVES)]
    return art, "\x1b[30;107m" in text


def read(path):
    r = subprocess.run(["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", path], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, f"{path} cannot be read: {r.stderr}"
    return r.stdout.strip()


def main():
    folder = tempfile.mkdtemp(prefix="tacet-it.")
    relay = None
    run = lambda who, *words: subprocess.run([TACET, "--home", f"{folder}/{who}", *words], check=True, capture_output=True, text=True, timeout=60).stdout
    try:
        subprocess.run([TACETD, "init", "--data", f"{folder}/relay", "--listen", "127.0.0.1:0"], check=True, capture_output=True)
        relay = subprocess.Popen([TACETD, "run", "--data", f"{folder}/relay"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        address = relay.stdout.readline().split()[1]
        link = {w: run(w, "init", "--relay", address, "--name", w, "--no-passphrase").split()[-1] for w in ("alice", "bob")}
        run("alice", "add", link["bob"])
        run("bob", "requests")
        run("bob", "accept", "alice")
        digits = re.sub(r"\D", "", run("alice", "verify", "bob"))
        for words, want in ((["whoami", "--qr"], link["alice"]), (["link", "--qr"], link["alice"]), (["verify", "bob", "--qr"], digits)):
            for how, text in (("in colour", on_a_pty([TACET, "--home", f"{folder}/alice", *words])), ("plain", run("alice", *words))):
                art, colored = drawn(text)
                assert colored == (how == "in colour"), (words, how)
                path = f"{folder}/{words[0]}-{colored}.pgm"
                picture(art, colored, path)
                got = read(path)
                assert got == want, (words, how, got, want)
    finally:
        if relay:
            relay.terminate()
            relay.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


main()
