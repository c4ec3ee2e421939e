"""Files under fire: F01 (kill -9 of sender, receiver and relay at random points), F05, F09 as whole programs. The file that counts as complete is
the one that was sent, whatever happens, and it gets there by itself."""
import os, signal, subprocess, time
from world import World, end, fail, same, wait_until

LONG = bool(os.environ.get("TACET_LONG"))
SIZE = int(os.environ.get("TACET_FILE_BYTES", (256 if LONG else 96) << 20))
KILLS = int(os.environ.get("TACET_KILLS", "200" if LONG else "9"))
CHUNK = 64512


def F01_killed_anywhere(w):
    """Sender, receiver and relay killed at random points: it resumes by itself, and nothing but chunks in flight goes twice."""
    alice, bob = w.friends("alice", "bob")
    path = w.random_file("big.bin", SIZE)
    hosts = {"alice": alice.host(), "bob": bob.host()}
    alice.run("send", "bob", "--file", path, "--timeout", "1s", expect=None)
    kills = {"alice": 0, "bob": 0, "relay": 0}
    done = os.path.join(bob.downloads, "big.bin")
    deadline = time.monotonic() + (3000 if LONG else 240)
    while not os.path.exists(done) or sum(kills.values()) < KILLS:
        if time.monotonic() > deadline:
            fail(f"no end after {kills}: {bob.file()} {alice.file()}")
        time.sleep(w.random.uniform(0.05, 0.6))
        if os.path.exists(done):
            if sum(kills.values()) < KILLS and LONG:  # once more from the beginning
                same(path, done)
                os.unlink(done)
                alice.run("send", "bob", "--file", path, "--timeout", "1s", expect=None)
                continue
            break
        who = w.random.choice(list(kills))
        if sum(kills.values()) >= KILLS:
            continue
        kills[who] += 1
        if who == "relay":
            w.kill_relay()
            time.sleep(w.random.uniform(0, 0.2))
            w.start()
        else:
            end(hosts[who])
            hosts[who] = (alice if who == "alice" else bob).host()
    wait_until("it is complete", lambda: bob.file()["state"] == "complete", 60)
    wait_until("the sender knows", lambda: alice.file()["state"] == "complete", 60)
    same(path, done)
    if bob.parts():
        fail("an unfinished file is left")
    for p in hosts.values():
        end(p)
    print(f"F01: {SIZE >> 20} MiB whole after {kills}", flush=True)


def F05_swapped_for_a_link(w):
    """The unfinished file is swapped for a symbolic link while the receiver is down: nothing behind the link is touched."""
    alice, bob = w.friends("alice5", "bob5")
    path = w.random_file("five.bin", 90 << 20)
    victim = os.path.join(w.dir, "victim")
    with open(victim, "w") as f:
        f.write("untouched")
    alice.run("send", "bob5", "--file", path)
    receiver = bob.host()
    wait_until("it is begun", lambda: bob.file()["have"] > 0, 30)
    end(receiver)
    parts = bob.parts()
    if not parts:
        print("F05: it was faster than the swap", flush=True)
        return
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
        wait_until("it is on its way", lambda: alice.file(how)["have"] > 10 * CHUNK, 30)
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
    with World() as w:
        F01_killed_anywhere(w)
        F05_swapped_for_a_link(w)
        F09_source_changes(w)


if __name__ == "__main__":
    main()
