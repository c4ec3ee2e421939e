"""F01: after a kill a transfer goes on where it stood: nothing of the file is read or hashed again, by either side. TACET_LONG=1: how soon it goes on, for
a file of 1 GiB and for a sparse one of 20 GiB with its journal."""
import os, time
from meter import DOWN, PLAIN, UP, Gate, Peaks, bytes_read, chunks_of
from world import LONG, World, end, fail, same, wait_until

MIB = 1 << 20
READ_MAX = 48 * MIB  # programs and libraries, the vault with its journal, and what is read ahead
KILLS = int(os.environ.get("TACET_KILLS", "24"))


def begun(w, alice, bob, name, size, holes):
    """A file on its way between two hosts."""
    path = os.path.join(w.dir, name) if holes else w.random_file(name, size)
    if holes:
        with open(path, "wb") as f:
            f.truncate(size)
            for at in (0, size // 2, size - PLAIN):
                f.seek(at)
                f.write(os.urandom(PLAIN))
    bob.takes_any_size()
    hosts = {"sender": alice.host(), "receiver": bob.host()}
    alice.run("send", bob.name, "--file", path, "--timeout", "1s", expect=None)
    return path, hosts


def finished(w, alice, bob, path, hosts, seconds):
    name = os.path.basename(path)
    wait_until("it is complete", lambda: bob.file(name)["state"] == "complete", seconds)
    wait_until("the sender knows", lambda: alice.file(name)["state"] == "complete", 60)
    for p in hosts.values():
        end(p)
    there = os.path.join(bob.downloads, name)
    same(path, there)
    if bob.parts():
        fail("an unfinished file is left")
    return os.stat(there)


def F01_nothing_is_read_again(w):
    """The gate stops the first sender when most has passed, and the second soon after its start: what each has read by then is all that it needed. In the
    end no more chunks have travelled twice than can have been in flight at the kill."""
    size, limit = 256 * MIB, 160 * MIB
    gate = Gate(w, limit)
    gate.start()
    alice, bob = w.user("alice", relay=gate.address), w.user("bob")
    alice.meet(bob)
    path, hosts = begun(w, alice, bob, "again.bin", size, False)
    wait_until("most has passed", lambda: gate.passed >= limit, 120)
    wait_until("most has arrived", lambda: bob.file()["have"] > limit - 32 * MIB, 30)
    read = {who: bytes_read(p.pid) for who, p in hosts.items()}
    for p in hosts.values():
        end(p)
    gate.limit, before = 8 * MIB, gate.passed
    hosts = {"sender": alice.host(), "receiver": bob.host()}
    wait_until("it goes on", lambda: gate.passed - before >= gate.limit, 60)
    again = {who: bytes_read(p.pid) for who, p in hosts.items()}
    if read["sender"] < limit - 32 * MIB:
        print(f"F01: what a process reads cannot be seen here: {read}", flush=True)
    elif max(again.values()) > READ_MAX:
        fail(f"{again} bytes were read to go on, {read} before")
    gate.opened.set()
    finished(w, alice, bob, path, hosts, 120)
    now, chunks = w.counters(), chunks_of(size)
    put, delivered = now["chunks_put"] - chunks, now["chunks_delivered"] - chunks
    if not (0 <= put <= UP and 0 <= delivered <= DOWN):
        fail(f"{put} of {chunks} chunks were put twice, {delivered} delivered twice")
    print(f"F01: {put} chunks were put twice, {delivered} delivered twice; to go on, the sender read {again['sender'] / MIB:.1f} MiB and the receiver {again['receiver'] / MIB:.1f}, after {read['sender'] / MIB:.0f}", flush=True)


class Watch:
    """How long it takes from a start until chunks move again."""

    def __init__(self, w):
        self.w, self.seconds, self.read = w, {"sender": [], "receiver": [], "relay": []}, {"sender": [], "receiver": []}

    def settled(self, counter):
        now = self.w.counters()[counter]
        while True:
            time.sleep(0.2)
            then, now = now, self.w.counters()[counter]
            if then == now:
                return now

    def moves(self, who, counters, before, start):
        while sum(self.w.counters()[c] for c in counters) <= before:
            if time.monotonic() - start > 60:
                fail(f"after the start of the {who} nothing moves")
        self.seconds[who].append(time.monotonic() - start)

    def process(self, who, user, hosts):
        counter = "chunks_put" if who == "sender" else "chunks_delivered"
        end(hosts[who])
        before, start = self.settled(counter), time.monotonic()
        hosts[who] = user.host()
        self.moves(who, [counter], before, start)
        self.read[who].append(bytes_read(hosts[who].pid))

    def relay(self):
        self.w.kill_relay()
        self.w.start()
        self.moves("relay", ["chunks_put", "chunks_delivered"], 0, time.monotonic())  # the sender may be done by now

    def said(self):
        times = ", ".join(f"{who} {min(s):.2f} to {max(s):.2f} s" for who, s in self.seconds.items())
        return f"{times}; read by then: " + ", ".join(f"{who} {max(r) / MIB:.1f}" for who, r in self.read.items()) + " MiB"

    def check(self):
        if max(max(s) for s in self.seconds.values()) > 1 or max(max(r) for r in self.read.values()) > READ_MAX:
            fail(self.said())


def F01_goes_on_at_once(w, name, size, holes, kills=KILLS):
    alice, bob = w.friends(name + "-a", name + "-b")
    path, hosts = begun(w, alice, bob, name, size, holes)
    watch, peaks = Watch(w), Peaks()
    for i in range(kills):
        at = size * (i + 1) // (kills + 2)
        wait_until(f"{at} bytes are there", lambda: bob.file()["have"] >= at, 600)
        for who, p in hosts.items():
            peaks.look(who, p.pid)
        peaks.look_relay(w)
        who = ("sender", "receiver", "relay")[i % 3]
        if who == "relay":
            watch.relay()
        else:
            watch.process(who, alice if who == "sender" else bob, hosts)
    st = finished(w, alice, bob, path, hosts, 1200)
    print(f"F01: {size / MIB:.0f} MiB goes on after a kill: {watch.said()}; on the receiver's disk {st.st_blocks * 512 / MIB:.1f} MiB; memory: {peaks.check()}", flush=True)
    if holes and st.st_blocks * 512 > 4 * MIB:
        fail("the holes were filled")
    watch.check()


def main():
    with World() as w:
        F01_nothing_is_read_again(w)
        if LONG:
            F01_goes_on_at_once(w, "plain", 1024 * MIB, False, kills=6)  # while the receiver is down, the sender gets some 100 MiB ahead
            F01_goes_on_at_once(w, "sparse", int(os.environ.get("TACET_FILE_BYTES", 20 << 30)), True)


if __name__ == "__main__":
    main()
