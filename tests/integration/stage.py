"""Full screens under tmux: each person has a terminal of their own, and what it shows is read as text. For the scripts here that drive `tacet chat`."""
import os, re, select, shutil, subprocess, sys, tempfile, time, unicodedata

TACET, TACETD = sys.argv[1], sys.argv[2]


class Stage:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tacet-it.")
        self.socket = f"{self.dir}/tmux"
        self.relay = None
        self.port = 0

    def tmux(self, *words, check=True):
        environment = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR")}
        environment["LC_ALL"] = "C.UTF-8"
        r = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", "-u", *words], capture_output=True, text=True, env=environment, timeout=20)
        assert not check or r.returncode == 0, (words, r.stderr)
        return r.stdout

    def relay_start(self, *options):
        if not os.path.exists(f"{self.dir}/relay"):
            subprocess.run([TACETD, "init", "--data", f"{self.dir}/relay", "--listen", "127.0.0.1:0"], check=True, capture_output=True)
        self.relay = subprocess.Popen([TACETD, "run", "--data", f"{self.dir}/relay", *options], stdout=subprocess.PIPE, stderr=open(f"{self.dir}/relay.err", "a"), text=True)
        assert select.select([self.relay.stdout], [], [], 60)[0], "the relay does not start: " + open(f"{self.dir}/relay.err").read()
        return self.relay.stdout.readline().split()[1]

    def relay_stop(self):
        self.relay.terminate()
        self.relay.wait(20)
        self.relay = None

    def run(self, who, *words, **kw):
        return subprocess.run([TACET, "--home", f"{self.dir}/{who}", *words], check=True, capture_output=True, text=True, timeout=60, **kw).stdout

    def chat(self, who, columns=80, rows=24, *words, before=""):
        line = f"{before} {TACET} --home {self.dir}/{who} chat {' '.join(words)} 2>{self.dir}/{who}.err; echo left $?; sleep 60"
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), "-s", who, line)

    def resize(self, who, columns, rows):
        self.tmux("resize-window", "-t", who, "-x", str(columns), "-y", str(rows))

    def keys(self, who, *names):
        self.tmux("send-keys", "-t", who, *names)

    def type(self, who, text):
        self.tmux("send-keys", "-t", who, "-l", text)

    def say(self, who, text):
        self.type(who, text)
        self.keys(who, "Enter")

    def screen(self, who):
        return self.tmux("capture-pane", "-p", "-t", who).split("\n")[:-1]

    def wait(self, who, what, seconds=30, gone=False):
        """Until the screen has (or, gone, has no more) a match; gives the screen back."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = "\n".join(self.screen(who))
            if bool(re.search(what, now)) != gone:
                return now.split("\n")
            time.sleep(0.05)
        said = open(f"{self.dir}/{who}.err").read() if os.path.exists(f"{self.dir}/{who}.err") else ""
        raise AssertionError(f"{who} does not show {'the end of ' if gone else ''}{what!r}:\n{now}\n{said}")

    def framed(self, who, what, width, rows, seconds=30):
        """Until the screen has a match and every border stands where it belongs: after a resize it is drawn anew, and may be looked at before that is done."""
        end = time.monotonic() + seconds
        while True:
            screen = self.wait(who, what, seconds)
            try:
                return framed(screen, width, rows)
            except (AssertionError, IndexError):
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def close(self):
        self.tmux("kill-server", check=False)
        if self.relay:
            self.relay.terminate()
            self.relay.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def columns(line):
    return sum(0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def framed(screen, width, rows):
    """Every border stands where it belongs, in every line. Gives the screen back."""
    assert len(screen) == rows, screen
    for number, line in enumerate(screen):
        left, right = {0: "┌┐", rows - 1: "└┘"}.get(number, ("│├", "│┤"))
        assert line[0] in left and line[-1] in right, (number, line, screen)
        assert columns(line) == width, (number, columns(line), line)
    return screen


def plain(screen):
    """The screen without what differs between two runs."""
    text = "\n".join(screen)
    text = re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:PPPPP", text)
    text = re.sub(r"\b\d\d:\d\d\b", "HH:MM", text)
    return re.sub(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d \w\w\w \d{4}", "DAY DD MMM YYYY", text)


def same(screen, want):
    got = plain(screen).split("\n")
    assert got == want, "the screen is\n" + "\n".join(got) + "\ninstead of\n" + "\n".join(want)
