"""Files of every size, live from host to host: the same bytes, name, mode and date at the other end, nothing unfinished left, and no process that takes
more memory than it may, whatever the size. TACET_LONG=1: 5 GiB besides."""
import filecmp, os, subprocess
from meter import PLAIN, Peaks, chunks_of
from world import LONG, World, end, fail, same, wait_until

THEN = 1580702706  # a date that only the sender can have given
MIB = 1 << 20
STDIN_MAX = 16 * MIB


def dated(path, mode=0o755):
    os.chmod(path, mode)
    os.utime(path, (THEN, THEN))
    return path


def holes(w, name, size):
    """A file of `size` bytes that is nothing but holes, but for its edges and its middle."""
    path = os.path.join(w.dir, name)
    with open(path, "wb") as f:
        f.truncate(size)
        for at in (0, size // 2, size - PLAIN):
            f.seek(at)
            f.write(os.urandom(PLAIN))
    return dated(path)


def arrives(alice, bob, path, seconds=120):
    """Sent and there, under its name and with its date, for its receiver's eyes only: (where, its stat)."""
    alice.run("send", bob.name, "--file", path, timeout=seconds)
    name = os.path.basename(path)
    wait_until(f"{name} has come", lambda: bob.file(name)["state"] == "complete", seconds)
    wait_until(f"its sender knows of {name}", lambda: alice.file(name)["state"] == "complete", 30)
    there = os.path.join(bob.downloads, name)
    st, sent = os.stat(there), os.stat(path)
    if not os.path.isdir(path) and (st.st_mode & 0o7777, st.st_mtime) != (0o600, sent.st_mtime):
        fail(f"{name}: {st}")
    return there, st


def edges_of_a_chunk(w, alice, bob):
    for size in (0, 1, PLAIN - 1, PLAIN, PLAIN + 1):
        path = dated(w.random_file(f"size-{size}", size))
        same(path, arrives(alice, bob, path)[0])


def big(w, alice, bob, size):
    before = w.counters()["chunks_put"]
    path = dated(w.random_file(f"big-{size >> 20}", size), 0o400)
    there, _ = arrives(alice, bob, path, 1200)
    same(path, there)
    if w.counters()["chunks_put"] - before != chunks_of(size):
        fail(f"{w.counters()['chunks_put'] - before} chunks were put for {chunks_of(size)}")
    os.unlink(path)
    os.unlink(there)


def sparse(w, alice, bob, size):
    path = holes(w, "holes", size)
    there, st = arrives(alice, bob, path)
    same(path, there)
    if st.st_blocks * 512 > 2 * MIB:
        fail(f"the holes were filled: {st.st_blocks * 512} bytes on the disk")


def folder(w, alice, bob, count):
    path = os.path.join(w.dir, "folder")
    for i in range(count):
        if i % 100 == 0:
            os.makedirs(f"{path}/{i // 1000}/{i // 100}")
        with open(f"{path}/{i // 1000}/{i // 100}/{i}", "wb") as f:
            f.write(os.urandom(w.random.randrange(200)))
        dated(f.name)
    there, _ = arrives(alice, bob, path)
    names = sorted(os.path.relpath(os.path.join(at, f), path) for at, _, files in os.walk(path) for f in files)
    came = sorted(os.path.relpath(os.path.join(at, f), there) for at, _, files in os.walk(there) for f in files)
    if names != came or len(names) != count:
        fail(f"{len(names)} files went, {len(came)} came")
    if filecmp.cmpfiles(path, there, names, shallow=False)[0] != names:
        fail("files of the folder are not the same bytes")
    stats = {(st.st_mode & 0o7777, int(st.st_mtime)) for st in (os.stat(os.path.join(there, name)) for name in names)}
    if stats != {(0o600, THEN)}:
        fail(f"modes and dates in the folder: {stats}")
    if {os.stat(at).st_mode & 0o7777 for at, _, _ in os.walk(there)} != {0o700}:
        fail("modes of the folders")


def stdin(w, alice, bob):
    path = w.random_file("stdin", STDIN_MAX)
    with open(path, "rb") as f:
        alice.run("send", bob.name, "--file", "-", "--name", "poured", stdin=f)
    wait_until("what was poured has come", lambda: bob.file("poured")["state"] == "complete", 60)
    same(path, os.path.join(bob.downloads, "poured"))
    with open(path, "ab") as f:
        f.write(b"1")
    with open(path, "rb") as f:
        alice.run("send", bob.name, "--file", "-", "--name", "too much", stdin=f, expect=1)


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        bob.takes_any_size()
        hosts, peaks = {"sender": alice.host(), "receiver": bob.host()}, Peaks()
        edges_of_a_chunk(w, alice, bob)
        folder(w, alice, bob, 10000)
        stdin(w, alice, bob)
        sparse(w, alice, bob, 200 * MIB + 1)
        big(w, alice, bob, (5120 if LONG else 100) * MIB)
        if bob.parts():
            fail(f"unfinished files are left: {bob.parts()}")
        for who, host in hosts.items():
            peaks.look(who, host.pid)
            end(host)
        peaks.look_relay(w)
        print(f"all sizes came; memory: {peaks.check()}", flush=True)


if __name__ == "__main__":
    main()
