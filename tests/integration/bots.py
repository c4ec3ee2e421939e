"""Two bots (examples/) and the full screen on one profile, all at the same time, each killed at random during a thousand messages: each bot deals with every
message, and what a cursor has passed was dealt with before. Needs tmux (77 without). The seed is printed; TACET_SEED repeats it."""
import json, os, random, re, shutil, signal, subprocess, sys, tempfile, time

TACET, TACETD = sys.argv[1], sys.argv[2]
EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
MESSAGES, BURST = 1000, 40
SEED = int(os.environ.get("TACET_SEED", random.randrange(10**6)))


class Stage:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tacet-it.")
        self.relay, self.bots, self.kills = None, {}, dict.fromkeys(("echo", "archive", "chat"), 0)
        self.environment = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR", "TACET_HOME")} | {"TACET": TACET, "LC_ALL": "C.UTF-8"}

    def run(self, who, *words, **kw):
        r = subprocess.run([TACET, "--home", f"{self.dir}/{who}", *words], capture_output=True, text=True, timeout=60, env=self.environment, **kw)
        assert r.returncode == 0, (words, r.returncode, r.stdout, r.stderr)
        return r.stdout

    def ask(self, who, *requests):
        lines = "".join(json.dumps({"jsonrpc": "2.0", "id": n, "method": m, "params": p}) + "\n" for n, (m, p) in enumerate(requests))
        answers = {a["id"]: a for a in map(json.loads, self.run(who, "rpc", input=lines).splitlines())}
        assert all("result" in answers[n] for n in range(len(requests))), answers
        return [answers[n]["result"] for n in range(len(requests))]

    def tmux(self, *words, check=True):
        r = subprocess.run(["tmux", "-S", f"{self.dir}/tmux", "-f", "/dev/null", "-u", *words], capture_output=True, text=True, env=self.environment, timeout=20)
        assert not check or r.returncode == 0, (words, r.stderr)
        return r.stdout

    def start(self, name):
        home = ["--home", f"{self.dir}/bob"]
        if name == "chat":
            if "keeper" not in self.tmux("list-sessions", "-F", "#{session_name}", check=False): # a server without a session ends, and takes the next one with it
                self.tmux("new-session", "-d", "-s", "keeper", "exec cat")
            self.tmux("new-session", "-d", "-x", "100", "-y", "30", "-s", "chat", " ".join(["exec", TACET, *home, "chat", "alice"]))
            self.bots[name] = int(self.tmux("display-message", "-p", "-t", "chat", "#{pane_pid}"))
            return
        words = [f"{EXAMPLES}/echo.py", *home] if name == "echo" else [f"{EXAMPLES}/archive.sh", f"{self.dir}/archive", *home]
        with open(f"{self.dir}/{name}.out", "a") as out, open(f"{self.dir}/{name}.err", "a") as err:
            self.bots[name] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, env=self.environment).pid

    def kill(self, name):
        pid = self.bots.pop(name)
        if name == "chat":
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 10
            while "chat" in self.tmux("list-sessions", "-F", "#{session_name}", check=False) and time.monotonic() < end:
                time.sleep(0.02)
        else: # a bot that has ended by itself is a failure: the end of another process is no reason
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.kills[name] += 1

    def close(self):
        for name in list(self.bots):
            self.kill(name)
        self.tmux("kill-server", check=False)
        if self.relay:
            self.relay.terminate()
            self.relay.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- what the bots have done ---
    def dealt_with(self, name):
        try:
            if name == "echo":
                return [line.split()[1] for line in open(f"{self.dir}/echo.out")]
            return [json.loads(line)["id"] for line in open(f"{self.dir}/archive/alice.jsonl")]
        except FileNotFoundError:
            return []

    def waiting(self, cursor):
        """All that the cursor has not passed, without taking it."""
        ids, more = [], {}
        while True:
            (batch,) = self.ask("bob", ("receive", {"cursor": cursor, "peek": True} | more))
            ids += [m["id"] for m in batch]
            if len(batch) < 100:
                return set(ids)
            more = {"after": ids[-1]}


def begin(s):
    subprocess.run([TACETD, "init", "--data", f"{s.dir}/relay", "--listen", "127.0.0.1:0"], check=True, capture_output=True)
    s.relay = subprocess.Popen([TACETD, "run", "--data", f"{s.dir}/relay"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = s.relay.stdout.readline().split()[1]
    links = {who: s.run(who, "init", "--relay", address, "--name", who, "--no-passphrase").split()[-1] for who in ("alice", "bob")}
    s.run("alice", "add", links["bob"])
    s.run("bob", "requests")
    s.run("bob", "accept", "alice")
    s.run("alice", "receive")
    os.mkdir(f"{s.dir}/archive")
    s.ask("bob", ("receive", {"cursor": "echo"}), ("receive", {"cursor": "archive"}))


def nothing_passed_over(s):
    """What a cursor has passed was dealt with. What came in is asked before what waits: a message in between waits and is not looked for."""
    (history,) = s.ask("bob", ("history", {"name": "alice", "limit": 10000}))
    came = {m["id"] for m in history if not m["outgoing"]}
    for name in ("echo", "archive"):
        passed = came - s.waiting(name)
        lost = passed - set(s.dealt_with(name))
        assert not lost, f"{name} has passed {len(lost)} messages that it has not dealt with: {sorted(lost)[:3]}"
    return len(came)


def thousand_messages(s, dice):
    sent = []
    for name in s.kills:
        s.start(name)
    while len(sent) < MESSAGES:
        texts = [f"message {len(sent) + n}" for n in range(BURST)]
        sent += [a["id"] for a in s.ask("alice", *(("send", {"to": "bob", "text": t}) for t in texts), ("sync", {}))[:-1]]
        name = dice.choice(list(s.kills))
        time.sleep(dice.random() * 0.4)
        s.kill(name)
        if dice.random() < 0.3:
            nothing_passed_over(s)
        s.start(name)
    return sent


def until(what, seconds):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.2)
    return what()


def everything_dealt_with(s, sent):
    for name in ("echo", "archive"):
        done = until(lambda: set(sent) <= set(s.dealt_with(name)), 120)
        assert done, f"{name}: {len(set(sent) - set(s.dealt_with(name)))} of {MESSAGES} messages were never dealt with"
    assert until(lambda: not s.waiting("echo") and not s.waiting("archive"), 30), "a cursor does not come to its end"
    kept = s.dealt_with("archive")
    assert len(kept) == len(set(kept)), "the archive has a message twice"
    assert nothing_passed_over(s) == MESSAGES
    print("dealt with:", {name: len(s.dealt_with(name)) for name in ("echo", "archive")}, "kills:", s.kills)


def each_answered_once(s, sent):
    until(lambda: s.ask("bob", ("sync", {}))[0]["queued"] == 0, 60)
    s.run("alice", "receive")
    (history,) = s.ask("alice", ("history", {"name": "bob", "limit": 10000}))
    answers = sorted(m["reply_to"] for m in history if not m["outgoing"])
    assert answers == sorted(sent), f"{len(answers)} answers, to {len(set(answers))} of {MESSAGES} messages"


def the_screen_shows_it(s):
    assert until(lambda: re.search(r"(you|alice) +message 999", s.tmux("capture-pane", "-p", "-t", "chat")), 30), s.tmux("capture-pane", "-p", "-t", "chat")


def main():
    if not shutil.which("tmux"):
        return 77
    s = Stage()
    print("TACET_SEED =", SEED)
    try:
        begin(s)
        sent = thousand_messages(s, random.Random(SEED))
        everything_dealt_with(s, sent)
        each_answered_once(s, sent)
        the_screen_shows_it(s)
    finally:
        s.close()
    return 0


sys.exit(main())
