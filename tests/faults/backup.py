"""A backup under kill -9, bit flips and cuts (S05, S07, S08), and a restore that is killed at any point: there is a whole backup or none, damage is
said and makes nothing, and however often the restore was killed the account has one new device, from and to which everything flows once."""
import json, os, subprocess, time
from world import World, User, fail

KILLS = int(os.environ.get("TACET_KILLS", "15"))
FILE_PASS = "the passphrase of the file"


def rpc(user, calls):
    """Many calls in one process; the results."""
    lines = "".join(json.dumps({"jsonrpc": "2.0", "id": i + 1, "method": m, "params": p}) + "\n" for i, (m, p) in enumerate(calls))
    out = user.run("rpc", input=lines, timeout=120).stdout
    return [json.loads(line) for line in out.splitlines()]


def killed(world, user, *args, most):
    """Starts it and kills it after a while. Its exit code: -9, or what it was before."""
    child = user.popen(*args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        child.wait(timeout=world.random.uniform(0, most))
    except subprocess.TimeoutExpired:
        child.kill()
    said = child.stderr.read()
    child.stderr.close()
    child.wait()
    return child.returncode, said


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        file, secret = os.path.join(w.dir, "alice.backup"), os.path.join(w.dir, "file.pass")
        with open(secret, "w") as f:
            f.write(FILE_PASS + "\n")
        of_file = ("--backup-passphrase-file", secret, "--low-memory")
        rpc(alice, [("send", {"to": "bob", "text": f"alice {i} " + "x" * w.random.randrange(2000)}) for i in range(300)] + [("sync", {})])
        bob.run("receive")
        rpc(bob, [("send", {"to": "alice", "text": f"bob {i}"}) for i in range(20)] + [("sync", {})])
        alice.run("receive")

        # --- the backup is killed: under its name there is nothing, or all of it
        whole = os.path.join(w.dir, "whole.backup")
        alice.run("backup", whole, *of_file)
        finished = 0
        for i in range(KILLS):
            code, _ = killed(w, alice, "backup", file, *of_file, most=0.35)
            if os.path.exists(file):
                finished += 1
                if os.path.getsize(file) != os.path.getsize(whole):
                    fail(f"kill {i}: a file of {os.path.getsize(file)} bytes stands under the backup's name")
                os.unlink(file)
            elif code == 0:
                fail("it said that it is done, and there is no file")
        alice.run("backup", file, *of_file)
        if os.path.exists(file + ".part"):
            fail("a part is left beside a finished backup")

        # --- damage and cuts: said, each with its word, and nothing is made at the relay
        good = open(file, "rb").read()
        new = User(w, "new")

        def restore_says(data, words):
            bad = os.path.join(w.dir, "bad.backup")
            with open(bad, "wb") as f:
                f.write(data)
            p = new.run("restore", bad, *of_file, "--no-passphrase", "--json", expect=None)
            code = json.loads(p.stdout.splitlines()[-1]).get("code")
            if p.returncode == 0 or code not in words:
                fail(f"a bad backup of {len(data)} bytes: exit {p.returncode}, {code}, expected {words}")
            new.run("history", "bob", expect=5)
        flips = [w.random.randrange(8 * 236) for _ in range(10)] + [w.random.randrange(8 * len(good)) for _ in range(10)] + [8 * len(good) - 1]
        for bit in flips:
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            restore_says(bad, ("backup-damaged", "backup-newer" if bit // 8 == 8 else "backup-damaged"))
        for cut in (1, 100, 180, 235, 236, 236 + 65552, 236 + 65552 + 1, len(good) - 1, len(good) - 65552):
            restore_says(good[:cut], ("backup-cut",))
        restore_says(good + b"\0", ("backup-damaged",))
        restore_says(good[:236] + good[236 + 65552:], ("backup-damaged",))
        alice.run("send", "bob", "still the only one")
        bob.run("receive")

        # --- the restore is killed, again and again, now and then the relay as well
        rpc(bob, [("send", {"to": "alice", "text": f"under way {i}"}) for i in range(5)] + [("sync", {})])
        kills = 0
        for i in range(KILLS):
            code, said = killed(w, new, "restore", file, *of_file, "--no-passphrase", most=0.8 * (i + 1) / KILLS)
            if code == 0 or "already has the account alice" in said:  # done, now or a moment before the last kill
                break
            kills += code == -9
            if code not in (-9, 3):
                fail(f"killed restore: exit {code}: {said}")
            if i % 5 == 4:
                w.kill_relay()
                w.start()
        p = new.run("restore", file, *of_file, "--no-passphrase", expect=None)
        if p.returncode != 0 and "already has the account alice" not in p.stderr:
            fail(f"restore after {kills} kills: {p.stderr}")
        devices = new.json("whoami")[0]["devices"]
        if [d["id"] for d in devices] != [2]:
            fail(f"after {kills} kills the account has the devices {devices}")

        # --- everything flows, once
        end = time.monotonic() + 60
        while time.monotonic() < end and len([1 for who, t in new.texts("bob") if t.startswith("under way")]) < 5:
            new.run("receive", "--timeout", "1s", expect=None)
            bob.run("receive", "--timeout", "1s", expect=None)
        new.run("send", "bob", "from the new home")
        bob.run("receive", "--timeout", "1s")
        bob.run("send", "alice", "to the new home")
        new.run("receive", "--timeout", "1s")
        mine, theirs = new.texts("bob"), bob.texts("alice")
        want = [("bob", f"under way {i}") for i in range(5)]
        if [m for m in mine if m[1].startswith("under way")] != want:
            fail(f"what was under way came as {[m for m in mine if m[1].startswith('under way')]}")
        for shown, text in ((theirs, "from the new home"), (mine, "to the new home")):
            if [t for _, t in shown].count(text) != 1:
                fail(f"{text!r} shows {[t for _, t in shown].count(text)} times")
        for shown in (mine, theirs):
            texts = [t for _, t in shown if t.startswith("alice ")]
            if len(texts) != 300 or len(set(texts)) != 300:
                fail(f"{len(texts)} of alice's 300 texts, {len(set(texts))} different")
        notices = [m for m in bob.json("history", "alice", "--limit", "5000") if m["event"] == "notice" and "new device" in m["text"]]
        if len(notices) != 1:
            fail(f"bob was told of a new device {len(notices)} times")
        p = alice.run("send", "bob", "from the grave", expect=4)
        print(f"backup killed {KILLS} times, {finished} of them finished; {len(flips)} flips; restore killed {kills} times: one new device, everything once")


main()
