"""Files under fire: F01 (kill -9 of sender, receiver and relay at random points), F05, F09 as whole programs. The file that counts as complete is
the one that was sent, whatever happens, and it gets there by itself."""
import os, signal, subprocess, time
from meter import DOWN, PLAIN, UP, WIRE, Peaks, Tally, chunks_of, loopback_bytes, own_loopback
from world import LONG, World, end, fail, same, wait_until

SIZE = int(os.environ.get("TACET_FILE_BYTES", (256 if LONG else 96) << 20))
KILLS = int(os.environ.get("TACET_KILLS", "200" if LONG else "9"))


class Killer:
    """The three of a transfer, killed in turn as chance has it, and started again at once."""

    def __init__(self, w, alice, bob):
        self.w, self.users = w, {"alice": alice, "bob": bob}
        self.hosts = {name: u.host() for name, u in self.users.items()}
        self.kills, self.peaks = {"alice": 0, "bob": 0, "relay": 0}, Peaks()
        self.tally = Tally(w, "chunks_put", "chunks_delivered")

    def count(self):
        return sum(self.kills.values())

    def look(self):
        for name, host in self.hosts.items():
            self.peaks.look(name, host.pid)
        self.peaks.look_relay(self.w)

    def kill(self):
        self.look()
        who = self.w.random.choice(list(self.kills))
        self.kills[who] += 1
        if who == "relay":
            self.tally.relay_ends()
            self.w.kill_relay()
            time.sleep(self.w.random.uniform(0, 0.2))
            self.w.start()
        else:
            end(self.hosts[who])
            self.hosts[who] = self.users[who].host()


def only_what_was_in_flight_came_again(k, transfers, wire):
    """The relay's counters know all but the last moment before each of its own deaths; what went over the wire knows everything. Who is killed loses what
    was on its way to or from it: no receiver's death makes a sender put anything again, and no sender's makes a receiver take anything again."""
    chunks = transfers * chunks_of(SIZE)
    up, down = UP * (k.kills["alice"] + k.kills["relay"]), DOWN * (k.kills["bob"] + k.kills["relay"])
    put, delivered = k.tally["chunks_put"], k.tally["chunks_delivered"]
    again = (wire - 2 * chunks * WIRE) // WIRE if wire else 0
    if put > chunks + up or delivered > chunks + down or again > up + down:
        fail(f"{put} chunks were put and {delivered} delivered, {again} more than needed went over the wire, for {chunks} and {k.kills} kills")
    said = f", {again / k.count():.0f} chunks a kill by the bytes on the wire" if wire else ""
    return f"{chunks} chunks in {transfers} transfers: {put} put, {delivered} delivered{said}"


def F01_killed_anywhere(w, whole_wire):
    """Sender, receiver and relay killed at random points: it resumes by itself, and nothing but chunks in flight goes twice."""
    alice, bob = w.friends("alice", "bob")
    bob.takes_any_size()
    path = w.random_file("big.bin", SIZE)
    k, transfers, wire = Killer(w, alice, bob), 1, loopback_bytes()
    alice.run("send", "bob", "--file", path, "--timeout", "0", expect=None)
    done = os.path.join(bob.downloads, "big.bin")
    deadline = time.monotonic() + (3000 if LONG else 240)
    while True:
        if time.monotonic() > deadline:
            fail(f"no end after {k.kills}: {bob.file()} {alice.file()}")
        time.sleep(w.random.uniform(0.05, 0.6) if k.count() else 0.05)  # the first kill must not come too late
        if not os.path.exists(done):
            if k.count() < KILLS:
                k.kill()
            continue
        same(path, done)
        if not LONG or k.count() >= KILLS:
            break
        os.unlink(done)  # once more from the beginning
        transfers += 1
        alice.run("send", "bob", "--file", path, "--timeout", "0", expect=None)
    wait_until("it is complete", lambda: bob.file()["state"] == "complete", 60)
    wait_until("the sender knows", lambda: alice.file()["state"] == "complete", 60)
    k.look()
    if bob.parts():
        fail("an unfinished file is left")
    again = only_what_was_in_flight_came_again(k, transfers, loopback_bytes() - wire if whole_wire else 0)
    for p in k.hosts.values():
        end(p)
    print(f"F01: {SIZE >> 20} MiB whole after {k.kills}; {again}; memory: {k.peaks.check()}", flush=True)


def F05_swapped_for_a_link(w):
    """The unfinished file is swapped for a symbolic link while the receiver is down: nothing behind the link is touched."""
    alice, bob = w.friends("alice5", "bob5")
    path = w.random_file("five.bin", 96 << 20)
    victim = os.path.join(w.dir, "victim")
    with open(victim, "w") as f:
        f.write("untouched")
    alice.run("send", "bob5", "--file", path)
    receiver = bob.host()
    wait_until("it is begun", lambda: any(os.stat(part).st_blocks > 2048 for part in bob.parts()), 30, every=0.001)
    end(receiver)
    parts = bob.parts()
    if not parts:
        fail("it was faster than the swap")
    os.unlink(parts[0])
    os.symlink(victim, parts[0])
    receiver = bob.host()
    wait_until("it is given up", lambda: bob.file()["state"] == "failed", 30)
    end(receiver)
    if open(victim).read() != "untouched" or os.path.exists(os.path.join(bob.downloads, "five.bin")):
        fail("the link was followed")
    if bob.file()["trouble"] != "part-changed":
        fail(bob.file())
    print("F05: a planted link is refused", flush=True)


def F09_source_changes(w):
    """Changed, truncated, deleted while it is sent: named, and never complete at the other end."""
    alice, bob = w.friends("alice9", "bob9")
    for how, word in (("changed", "source-changed"), ("truncated", "source-changed"), ("deleted", "source-gone")):
        path = w.random_file(how, 60 << 20)
        sender = alice.popen("send", "bob9", "--file", path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_until("it is on its way", lambda: alice.file(how)["have"] > 10 * PLAIN, 30)
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait()
        if how == "changed":
            with open(path, "r+b") as f:
                f.seek(59 << 20)
                f.write(b"other")
        elif how == "truncated":
            os.truncate(path, 1 << 20)
        else:
            os.unlink(path)
        carrier = alice.host()
        wait_until("it is named", lambda: alice.file(how)["state"] in ("failed", "stored", "complete"), 60)
        end(carrier)
        if alice.file(how).get("trouble") != word:
            fail(f"{how}: {alice.file(how)}")
        alice.run("receive")  # whatever of the withdrawal is still in the outbox
        bob.run("receive", "--timeout", "1s")
        if os.path.exists(os.path.join(bob.downloads, how)):
            fail(f"{how}: delivered as complete")
        if bob.parts():
            fail(f"{how}: the receiver keeps what can never be whole")
    print("F09: changed, truncated, deleted: each is named", flush=True)


def main():
    whole_wire = own_loopback()
    with World() as w:
        F01_killed_anywhere(w, whole_wire)
        F05_swapped_for_a_link(w)
        F09_source_changes(w)


if __name__ == "__main__":
    main()
