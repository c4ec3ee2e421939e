"""What a transfer costs, read where it cannot be embellished: from the kernel's books about the processes, from the relay's counters, and at a gate that
all bytes have to pass. Standard library only."""
import ctypes, fcntl, os, socket, struct, threading
from world import TACET, fail

PLAIN = 64512  # bytes of a file in a chunk
WIRE = 64552 + 200  # what a chunk takes on the way, with frame, record and headers
UP, DOWN = 240, 256  # chunks in flight at most, to the relay and from it
PEAK_KIB = 64 << 10
os.environ.pop("MALLOC_PERTURB_", None)  # Meson sets it: it writes into what a program only reserves, and memory is measured here
SANITIZED = any(mark in open(TACET, "rb").read() for mark in (b"__asan_init", b"__tsan_init"))


def chunks_of(size):
    """PADMÉ, docs/PROTOCOL.md §8.1."""
    n = max(1, -(-size // PLAIN))
    if n < 2:
        return n
    e = n.bit_length() - 1
    unit = 1 << (e - e.bit_length())
    return -(-n // unit) * unit


# --- the relay's counters ---
class Tally:
    """One of the relay's counters across its restarts: what it counted in its last moment before a kill is not in it."""

    def __init__(self, world, *names):
        self.world, self.names, self.before = world, names, dict.fromkeys(names, 0)

    def relay_ends(self):
        now = self.world.counters()
        for name in self.names:
            self.before[name] += now[name]

    def __getitem__(self, name):
        return self.before[name] + self.world.counters()[name]


# --- the kernel's books ---
def field_of(pid, book, name):
    """0: the process is gone, or nobody may look."""
    try:
        for line in open(f"/proc/{pid}/{book}"):
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except (OSError, ProcessLookupError):
        pass
    return 0


def bytes_read(pid):
    """By read(2) and its relatives, from disk or page cache; not from sockets."""
    return field_of(pid, "io", "rchar")


def own_loopback():
    """A loopback that nobody else sends over; false: that takes root."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(0x40000000) != 0:  # CLONE_NEWNET
        return False
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    return True


def loopback_bytes():
    """What has gone over it, whoever was killed meanwhile."""
    return int(next(line for line in open("/proc/net/dev") if line.lstrip().startswith("lo:")).split()[9])


def family_of(pid):
    """A process and its children."""
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    return [pid, *map(int, children)]


class Peaks:
    """The greatest resident memory of each party, over all processes that played it."""

    def __init__(self):
        self.kib = {}

    def look(self, who, pid):
        self.kib[who] = max(self.kib.get(who, 0), field_of(pid, "status", "VmHWM"))

    def look_relay(self, w):
        """Each of its processes for itself; the first is the one that only watches over the others."""
        for i, pid in enumerate(family_of(w.relay.pid)):
            self.look(f"relay {i}", pid)

    def check(self):
        if not SANITIZED and any(kib > PEAK_KIB for kib in self.kib.values()):
            fail(f"more memory than {PEAK_KIB} KiB: {self.kib}")
        if not all(self.kib.values()):
            fail(f"nothing was measured: {self.kib}")
        return ", ".join(f"{who} {kib / 1024:.1f}" for who, kib in self.kib.items()) + " MiB"


# --- a gate ---
class Gate(threading.Thread):
    """Stands before the relay. Of each connection it lets `limit` bytes through towards the relay, and no more until it is opened: so where a transfer
    stands does not depend on how fast anybody is."""

    def __init__(self, world, limit):
        super().__init__(daemon=True)
        self.to, self.limit, self.passed, self.opened = world.port, limit, 0, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = world.address.replace(f":{world.port}/", f":{self.listener.getsockname()[1]}/")

    def run(self):
        while True:
            client, _ = self.listener.accept()
            try:
                relay = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                continue
            for pump in ((client, relay, self.limit), (relay, client, None)):
                threading.Thread(target=self.pump, args=pump, daemon=True).start()

    def pump(self, source, target, limit):
        left = limit
        try:
            while limit is None or left > 0 or self.opened.wait():
                data = source.recv(1 << 16 if limit is None or self.opened.is_set() else min(1 << 16, left))
                if not data:
                    break
                target.sendall(data)
                if limit is not None:
                    left -= len(data)
                    self.passed += len(data)  # of the one connection that carries chunks, to all intents
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
