"""The client as a person feels it, measured on a pseudo-terminal: keystroke to screen, start to usable, search, memory.
usage: client.py TACET TACETD HISTORY_FILL [MESSAGES [HOME]]     HOME: a profile that history-fill has already filled, to spare the wait
One JSON object on stdout; times in milliseconds, memory in MiB."""
import fcntl, json, os, pty, select, shutil, signal, statistics, struct, subprocess, sys, tempfile, termios, time

TACET, TACETD, FILL = sys.argv[1:4]
MESSAGES = int(sys.argv[4]) if len(sys.argv) > 4 else 100000
KEYS, QUERIES, STARTS = 300, 20, 20


class Screen:
    """`tacet chat` on a pty of 200 by 60."""

    def __init__(self, home):
        self.begun = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
            os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
            os.execv(TACET, [TACET, "--home", home, "chat", "bob"])

    def read(self, seconds):
        return os.read(self.fd, 1 << 16) if select.select([self.fd], [], [], seconds)[0] else b""

    def until(self, what, seconds=30):
        seen, end = b"", time.perf_counter() + seconds
        while what not in seen:
            assert time.perf_counter() < end, (what, seen[-500:])
            seen += self.read(0.1)
        return time.perf_counter()

    def quiet(self):
        while self.read(0.15):
            pass

    def keystroke(self, key):
        """From the key to the first byte that the screen answers with."""
        begin = time.perf_counter()
        os.write(self.fd, key)
        assert select.select([self.fd], [], [], 5)[0], "no answer to a key"
        took = time.perf_counter() - begin
        self.quiet()
        return took * 1000

    def memory(self):
        fields = dict(line.split(":", 1) for line in open(f"/proc/{self.pid}/status"))
        return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024

    def close(self):
        os.write(self.fd, b"\x11")
        try:
            while True:
                os.read(self.fd, 1 << 16)
        except OSError:
            pass
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == 0
        os.close(self.fd)


def figures(values):
    values = sorted(values)
    return {"p50": round(statistics.median(values), 2), "p99": round(values[min(len(values) - 1, len(values) * 99 // 100)], 2), "most": round(values[-1], 2)}


def usable(home):
    """Until the newest message of the conversation is on the screen, and a key shows."""
    s = Screen(home)
    took = (s.until("read".encode()) - s.begun) * 1000
    s.quiet()
    s.close()
    return took


def keys(home):
    s = Screen(home)
    s.until(b"read")
    s.quiet()
    at_end = [s.keystroke(b"abc "[i % 4:i % 4 + 1]) for i in range(KEYS)]
    os.write(s.fd, b"\x15")
    s.quiet()
    pages = [s.keystroke(b"\x1b[5~") for _ in range(100)]
    typed_above = [s.keystroke(b"x") for _ in range(50)]
    resident, most = s.memory()
    s.close()
    return {"keystroke_ms": figures(at_end), "page_up_ms": figures(pages), "keystroke_far_up_ms": figures(typed_above), "resident_mib": round(resident, 1),
            "resident_most_mib": round(most, 1)}


def search(home):
    """Words of every frequency, whole and begun, through the interface that the full screen uses."""
    r = subprocess.Popen([TACET, "--home", home, "rpc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    times = {}
    for number, query in enumerate(["bode", "b", "ba", "hela ko", "tawa reka", "zzzz", "wuke kome vezeda", "g d f"] * (QUERIES // 4)):
        begin = time.perf_counter()
        r.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number + 1, "method": "search", "params": {"query": query, "limit": 50}}) + "\n")
        r.stdin.flush()
        while json.loads(r.stdout.readline()).get("id") != number + 1:
            pass
        times.setdefault(query, []).append((time.perf_counter() - begin) * 1000)
    r.stdin.close()
    r.wait(20)
    return {"search_ms": {**figures([t for row in times.values() for t in row]), "slowest": max(times, key=lambda q: max(times[q]))}}


def main():
    folder = tempfile.mkdtemp(prefix="tacet-bench.")
    relay = None
    home = sys.argv[5] if len(sys.argv) > 5 else f"{folder}/alice"
    try:
        if len(sys.argv) <= 5:
            run = lambda who, *words: subprocess.run([TACET, "--home", f"{folder}/{who}", *words], check=True, capture_output=True, text=True, timeout=60).stdout
            subprocess.run([TACETD, "init", "--data", f"{folder}/relay", "--listen", "127.0.0.1:0"], check=True, capture_output=True)
            relay = subprocess.Popen([TACETD, "run", "--data", f"{folder}/relay"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            address = relay.stdout.readline().split()[1]
            link = [run(w, "init", "--relay", address, "--name", w, "--no-passphrase").split()[-1] for w in ("alice", "bob")][1]
            run("alice", "add", link)
            subprocess.run([FILL, home, "bob", str(MESSAGES)], check=True)
        print(json.dumps({"messages": MESSAGES, "start_ms": figures([usable(home) for _ in range(STARTS)]), **keys(home), **search(home)}))
    finally:
        if relay:
            relay.send_signal(signal.SIGTERM)
            relay.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


main()
