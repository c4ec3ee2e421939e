"""S12, F08 for chat: a full disk under the sender's vault and under the relay's store. A clear error or a retry, nothing lost, goes on when there is room.
Needs mounts of its own (mounts.py)."""
import os, subprocess
import mounts
from world import World, fail

mounts.of_our_own()


def main():
    with World() as w:
        mounts.small(os.path.join(w.dir, "alice"), 8)
        w.kill_relay()
        moved = w.data + ".small"
        mounts.small(moved, 16)
        subprocess.run(["cp", "-a", w.data + "/.", moved], check=True)
        w.data = moved
        w.start()
        alice, bob = w.friends("alice", "bob")

        filler = mounts.fill(alice.home)
        for i in range(40):
            p = alice.run("send", "bob", f"vault {i} " + "y" * 4000, expect=None)
            if p.returncode != 0:
                break
        if p.returncode != 1 or "disk" not in p.stderr or p.stderr.count("\n") != 1:
            fail(f"sender's disk full: exit {p.returncode}: {p.stderr!r}")
        accepted = i
        os.unlink(filler)
        alice.run("send", "bob", "vault has room again")

        filler = mounts.fill(w.data)
        queued = 0
        for j in range(40):
            p = alice.run("send", "bob", f"relay {j} " + "z" * 9000, "--timeout", "3s", expect=None, timeout=60)
            if p.returncode != 0:
                queued += 1
                break
        if not queued:
            fail("the relay's disk never was full")
        if w.relay.poll() is not None:
            w.kill_relay()
            os.unlink(filler)
            w.start()
        else:
            os.unlink(filler)
        alice.run("send", "bob", "the end", "--timeout", "30s")
        bob.run("receive", "--timeout", "3s")
        shown = [t.split(" y")[0].split(" z")[0] for _, t in bob.texts("alice")]
        want = [f"vault {k}" for k in range(accepted)] + ["vault has room again"] + [f"relay {k}" for k in range(j + 1)] + ["the end"]
        if shown != want:
            fail(f"bob shows {shown}\nexpected {want}")
        print(f"{len(shown)} messages, both disks filled, each shown once and in order")


main()
