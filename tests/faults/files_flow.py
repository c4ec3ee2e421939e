"""How a file flows: the receiver has the first of it before a tenth has left the sender, the relay gets it once for three receivers, and keeps it for one
who is away. TACET_LONG=1: what the receiver costs the sender, in time."""
import os, subprocess, time
from meter import Gate, Peaks, chunks_of
from world import LONG, World, end, fail, same, wait_until

MIB = 1 << 20


def first_chunk_before_a_tenth(w):
    """The gate keeps back all but a twentieth: what the receiver has by then came while the sender was sending."""
    size = 1024 * MIB
    gate = Gate(w, size // 20)
    gate.start()
    alice, bob = w.user("alice", relay=gate.address), w.user("bob")
    alice.meet(bob)
    bob.takes_any_size()
    path = os.path.join(w.dir, "gibibyte")
    with open(path, "wb") as f:
        f.truncate(size)
    hosts = [alice.host(), bob.host()]
    sent = alice.popen("send", "bob", "--file", path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("the receiver has a part of it", lambda: bob.file("gibibyte")["have"] > 0)
    put = w.counters()["chunks_put"]
    if not 0 < put < chunks_of(size) // 10 or gate.passed > size // 10:
        fail(f"{put} chunks, {gate.passed} bytes had left the sender")
    alice.run("cancel", alice.file("gibibyte")["id"])
    gate.opened.set()
    wait_until("it is over", lambda: bob.file("gibibyte")["state"] == "cancelled")
    for p in [sent] + hosts:
        end(p)
    print(f"the receiver had a part of it with {put} of {chunks_of(size)} chunks put", flush=True)


def once_for_three(w):
    """One follows, one comes later, one much later: one upload."""
    sender, follows, later, last = w.friends("sender", "follows", "later", "last")
    size = 30 * MIB
    chunks, path = chunks_of(size), w.random_file("for-three", size)
    before = w.counters()
    host = follows.host()
    sender.run("send", "follows", "--also", "later", "--also", "last", "--file", path, timeout=120)
    wait_until("who follows has it", lambda: follows.file()["state"] == "complete", 60)
    end(host)
    if later.file()["state"] or w.counters()["chunks_stored"] - before["chunks_stored"] != chunks:
        fail("it is not kept for those who are away")
    for who in (later, last):
        who.run("receive", timeout=120)
        if who.file()["state"] != "complete":
            fail(f"{who.name}: {who.file()}")
    sender.run("receive")
    for who in (follows, later, last):
        same(path, os.path.join(who.downloads, "for-three"))
    now = w.counters()
    put, delivered = (now[c] - before[c] for c in ("chunks_put", "chunks_delivered"))
    if (put, delivered) != (chunks, 3 * chunks):
        fail(f"{put} chunks were put and {delivered} delivered, for {chunks} and three receivers")
    if now["blob_reserved_bytes"]:
        fail(f"all have it, and the relay keeps {now['blob_reserved_bytes']} bytes for it")
    print(f"{chunks} chunks put once, delivered to three", flush=True)


def the_whole_takes_little_longer(w):
    """1 GiB: uploaded for somebody who is away, and to the end with both there."""
    ann, ben = w.friends("ann", "ben")
    ben.takes_any_size()
    seconds, peaks = {}, Peaks()
    for how in ("alone", "both"):
        path = w.random_file(f"gib-{how}", 1024 * MIB)
        hosts = [ann.host()] + ([ben.host()] if how == "both" else [])
        time.sleep(2)
        start = time.monotonic()
        ann.run("send", "ben", "--file", path, timeout=600)
        done = (lambda: ann.file()["state"] == "stored") if how == "alone" else lambda: os.path.exists(os.path.join(ben.downloads, "gib-both"))
        wait_until("it is done", done, 600)
        seconds[how] = time.monotonic() - start
        for who, p in zip(("sender", "receiver"), hosts):
            peaks.look(who, p.pid)
            end(p)
        if how == "alone":
            ben.run("receive", timeout=600)
        same(path, os.path.join(ben.downloads, f"gib-{how}"))
    peaks.look_relay(w)
    print(f"1 GiB: upload alone {seconds['alone']:.1f} s, whole with both {seconds['both']:.1f} s; memory: {peaks.check()}", flush=True)


def main():
    with World() as w:
        first_chunk_before_a_tenth(w)
        once_for_three(w)
        if LONG:
            the_whole_takes_little_longer(w)


if __name__ == "__main__":
    main()
