"""Files under fire: F01 (kill -9 of sender, receiver and relay at random points), F05, F08, F09 as whole programs. The file that counts as complete is
the one that was sent, whatever happens, and it gets there by itself."""
import filecmp, glob, json, os, signal, subprocess, sys, time
from world import World, wait_until, fail

LONG = bool(os.environ.get("TACET_LONG"))
SIZE = int(os.environ.get("TACET_FILE_BYTES", (256 if LONG else 96) << 20))
KILLS = int(os.environ.get("TACET_KILLS", "200" if LONG else "9"))
CHUNK = 64512


def people(w, *names):
    users = w.friends(*names)
    for u in users:
        u.env["HOME"] = os.path.join(w.dir, u.name + "-home")
        os.makedirs(u.env["HOME"])
        u.downloads = os.path.join(u.env["HOME"], "Downloads")
    return users


def random_file(w, name, size):
    path = os.path.join(w.dir, name)
    with open(path, "wb") as f:
        left = size
        while left:
            n = min(left, 1 << 20)
            f.write(os.urandom(n))
            left -= n
    return path


def host(user):
    """A process that carries on with everything by itself."""
    p = user.popen("--json", "receive", "--follow", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    p.started = time.monotonic()
    return p


def end(p):
    p.kill()
    p.wait()


def file_of(user, index=-1):
    files = user.json("files", timeout=120)
    return files[index] if files else None


def file_named(user, name):
    """The file of that name: the last in the list is still the one before, until the new one has been written down."""
    return next((f for f in user.json("files", timeout=120) if f["name"] == name), {"state": "", "have": 0})


def counters(w):
    """What the relay has counted since it started: status is one JSON object."""
    out = subprocess.run([sys.argv[2], "status", "--data", w.data, "--json"], capture_output=True, text=True, timeout=60)
    return json.loads(out.stdout)


def F01_killed_anywhere(w):
    """Sender, receiver and relay killed at random points: it resumes by itself, and nothing but chunks in flight goes twice."""
    alice, bob = people(w, "alice", "bob")
    path = random_file(w, "big.bin", SIZE)
    hosts = {"alice": host(alice), "bob": host(bob)}
    sent = alice.run("send", "bob", "--file", path, "--timeout", "1s", "--json", expect=None)
    kills = {"alice": 0, "bob": 0, "relay": 0}
    done = os.path.join(bob.downloads, "big.bin")
    deadline = time.monotonic() + (3000 if LONG else 240)
    while not os.path.exists(done) or sum(kills.values()) < KILLS:
        if time.monotonic() > deadline:
            fail(f"no end after {kills}: {file_of(bob)} {file_of(alice)}")
        time.sleep(w.random.uniform(0.05, 0.6))
        if os.path.exists(done):
            if sum(kills.values()) < KILLS and LONG:  # once more from the beginning
                if not filecmp.cmp(path, done, shallow=False):
                    fail("the file is another")
                os.unlink(done)
                alice.run("send", "bob", "--file", path, "--timeout", "1s", "--json", expect=None)
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
            hosts[who] = host(alice if who == "alice" else bob)
    wait_until("it is complete", lambda: file_of(bob)["state"] == "complete", 60)
    wait_until("the sender knows", lambda: file_of(alice)["state"] == "complete", 60)
    if not filecmp.cmp(path, done, shallow=False):
        fail("the file is another")
    if glob.glob(os.path.join(bob.downloads, ".*.part")):
        fail("an unfinished file is left")
    for p in hosts.values():
        end(p)
    print(f"F01: {SIZE >> 20} MiB whole after {kills}", flush=True)


def F05_swapped_for_a_link(w):
    """The unfinished file is swapped for a symbolic link while the receiver is down: nothing behind the link is touched."""
    alice, bob = people(w, "alice5", "bob5")
    path = random_file(w, "five.bin", 90 << 20)
    victim = os.path.join(w.dir, "victim")
    with open(victim, "w") as f:
        f.write("untouched")
    alice.run("send", "bob5", "--file", path)
    receiver = host(bob)
    wait_until("it is begun", lambda: (file_of(bob) or {}).get("have", 0) > 0, 30)
    end(receiver)
    parts = glob.glob(os.path.join(bob.downloads, ".*.part"))
    if not parts:
        print("F05: it was faster than the swap", flush=True)
        return
    os.unlink(parts[0])
    os.symlink(victim, parts[0])
    receiver = host(bob)
    wait_until("it is given up", lambda: file_of(bob)["state"] == "failed", 30)
    end(receiver)
    if open(victim).read() != "untouched" or os.path.exists(os.path.join(bob.downloads, "five.bin")):
        fail("the link was followed")
    if file_of(bob)["trouble"] != "part-changed":
        fail(file_of(bob))
    print("F05: a planted link is refused", flush=True)


def F09_source_changes(w):
    """Changed, truncated, deleted while it is sent: named, and never complete at the other end."""
    alice, bob = people(w, "alice9", "bob9")
    for how, word in (("changed", "source-changed"), ("truncated", "source-changed"), ("deleted", "source-gone")):
        path = random_file(w, how, 60 << 20)
        sender = alice.popen("send", "bob9", "--file", path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_until("it is on its way", lambda: file_named(alice, how)["have"] > 10 * CHUNK, 30)
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
        carrier = host(alice)
        wait_until("it is named", lambda: file_named(alice, how)["state"] in ("failed", "stored", "complete"), 60)
        end(carrier)
        if file_named(alice, how).get("trouble") != word:
            fail(f"{how}: {file_named(alice, how)}")
        alice.run("receive")  # whatever of the withdrawal is still in the outbox
        bob.run("receive", "--timeout", "1s")
        if os.path.exists(os.path.join(bob.downloads, how)):
            fail(f"{how}: delivered as complete")
        if glob.glob(os.path.join(bob.downloads, ".*.part")):
            fail(f"{how}: the receiver keeps what can never be whole")
    print("F09: changed, truncated, deleted: each is named", flush=True)


def main():
    with World() as w:
        F01_killed_anywhere(w)
        F05_swapped_for_a_link(w)
        F09_source_changes(w)


if __name__ == "__main__":
    main()
