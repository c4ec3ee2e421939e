"""A relay and people in a temporary folder: real programs, killed and started again. Standard library only.
The programs' paths are the first two arguments of each test: TACET TACETD."""
import filecmp, glob, json, os, random, re, shutil, signal, subprocess, sys, tempfile, time

TACET, TACETD = sys.argv[1], sys.argv[2]
LONG = bool(os.environ.get("TACET_LONG"))  # the campaign instead of the quick form
PASSPHRASE = b"correct horse battery staple"


def fail(text):
    raise AssertionError(text)


class User:
    def __init__(self, world, name):
        self.world, self.name, self.home = world, name, os.path.join(world.dir, name)
        person = os.path.join(world.dir, name + "-home")
        self.downloads = os.path.join(person, "Downloads")
        self.env = dict(os.environ, TACET_HOME=self.home, HOME=person)
        os.makedirs(person, exist_ok=True)

    def run(self, *args, expect=0, timeout=60, **kw):
        p = subprocess.run([TACET, *args], env=self.env, capture_output=True, timeout=timeout, text=True, **kw)
        if expect is not None and p.returncode != expect:
            fail(f"{self.name}: tacet {' '.join(args)}: exit {p.returncode}, expected {expect}\n{p.stdout}{p.stderr}")
        return p

    def json(self, *args, **kw):
        return [json.loads(line) for line in self.run("--json", *args, **kw).stdout.splitlines()]

    def popen(self, *args, **kw):
        return subprocess.Popen([TACET, *args], env=self.env, text=True, **kw)

    def host(self, *more):
        """A process that carries on with everything by itself."""
        return self.popen("receive", "--follow", *more, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def file(self, name=None):
        """What `tacet files` says of the file of that name, else of the last in the list: an object without a state while there is none."""
        files = [f for f in self.json("files", timeout=120) if name in (None, f["name"])]
        return files[-1] if files else {"name": "", "state": "", "have": 0, "trouble": None}

    def takes_any_size(self):
        """Files of every size come by themselves."""
        ask = {"jsonrpc": "2.0", "id": 1, "method": "settings", "params": {"auto_download": 1 << 40}}
        if f'"auto_download":{1 << 40}' not in self.run("rpc", input=json.dumps(ask) + "\n").stdout.replace(" ", ""):
            fail(f"{self.name} does not take files of every size")

    def parts(self):
        """The unfinished files in the folder for downloads."""
        return glob.glob(os.path.join(self.downloads, ".*.part"))

    def init(self, *more, relay=None):
        self.run("init", "--relay", relay or self.world.address, "--name", self.name, *(more or ("--no-passphrase",)))

    def link(self):
        return self.json("whoami")[0]["link"]

    def meet(self, other):
        """They know each other and have accepted."""
        self.run("add", other.link())
        other.run("receive")
        other.run("accept", self.name)
        self.run("receive")

    def texts(self, peer, limit=5000):
        """What the history with `peer` shows, oldest first: (sender, text)."""
        return [(m["from"], m["text"]) for m in self.json("history", peer, "--limit", str(limit)) if m["event"] == "message"]


class World:
    def __init__(self, seed=None):
        self.seed = int(os.environ.get("TACET_SEED", seed if seed is not None else random.randrange(1 << 30)))
        self.random = random.Random(self.seed)
        self.dir = tempfile.mkdtemp(prefix="tacet-test.")
        self.relay, self.port, self.address = None, 0, None

    def __enter__(self):
        print(f"seed {self.seed} (TACET_SEED repeats it), folder {self.dir}", flush=True)
        self.data = os.path.join(self.dir, "relay")
        subprocess.run([TACETD, "init", "--data", self.data, "--listen", "127.0.0.1:0"], check=True, capture_output=True, timeout=60)
        with open(os.path.join(self.data, "tacetd.ini"), "a") as ini:
            ini.write("blob_account_share = 1\n")  # files are as large here as the disk of the machine allows
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.kill_relay()
        if kind is None or not os.environ.get("TACET_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        """Starts the relay, on the port it had before."""
        self.log = open(os.path.join(self.dir, "relay.log"), "a")
        self.relay = subprocess.Popen([TACETD, "run", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"],
                                      stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)
        line = self.relay.stdout.readline()
        if not line.startswith("ready tacet://"):
            fail(f"the relay did not start: {line!r} {open(self.log.name).read()[-2000:]}")
        self.address = line.split()[1]
        self.port = int(re.search(r":(\d+)/", self.address).group(1))

    def kill_relay(self):
        """kill -9 of every process of the relay at once (they are one session)."""
        if self.relay:
            try:
                os.killpg(self.relay.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.relay.wait()
            wait_until("the relay's processes are gone", self.relay_is_gone, 10)
            self.relay.stdout.close()
            self.log.close()
            self.relay = None

    def relay_is_gone(self):
        """Its dead children may wait for a while until somebody reaps them: they hold nothing any more, once their last thread has gone."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                state, _, group = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[:3]
                threads = len(os.listdir(f"/proc/{pid}/task"))
            except OSError:
                continue
            if int(group) == self.relay.pid and (state not in "ZX" or threads > 1):
                return False
        return True

    def stop_relay(self):
        self.relay.terminate()
        code = self.relay.wait(timeout=20)
        self.relay.stdout.close()
        self.log.close()
        self.relay = None
        return code

    def counters(self):
        """What the relay has counted since it started."""
        out = subprocess.run([TACETD, "status", "--data", self.data, "--json"], check=True, capture_output=True, text=True, timeout=60)
        return json.loads(out.stdout)

    def random_file(self, name, size):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            for at in range(0, size, 1 << 20):
                f.write(os.urandom(min(size - at, 1 << 20)))
        return path

    def user(self, name, *init, relay=None):
        u = User(self, name)
        u.init(*init, relay=relay)
        return u

    def friends(self, *names):
        """People who know each other and have accepted."""
        users = [self.user(n) for n in names]
        for i, a in enumerate(users):
            for b in users[i + 1:]:
                a.meet(b)
        return users


def end(process):
    process.kill()
    process.wait()


def same(one, other):
    if not filecmp.cmp(one, other, shallow=False):
        fail(f"{one} and {other} are not the same bytes")


def wait_until(what, condition, seconds=60, every=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(every)
    fail(f"not within {seconds} s: {what}")
