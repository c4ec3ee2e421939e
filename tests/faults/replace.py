"""S08: `tacetd rekey` and `tacet passphrase` killed before each system call that changes the disk, from the first to the last. After each kill the relay
opens with exactly one key and the vault with exactly one passphrase, and both are whole. strace does the killing, so nothing depends on time."""
import os, shutil, subprocess, sys
from world import TACET, TACETD, World, fail

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "unlink", "unlinkat", "link", "linkat", "fchmod")
ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # the leak checker cannot work under strace
KILLS_MIN = 200


def run(*command):
    return subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=60)


def killed_at(call, k, *command):
    """Runs it; True: it was killed before its k-th such call. False: it has fewer, and came to its end."""
    p = run("strace", "-f", "-o", "/dev/null", "-e", "signal=none", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={k}", *command)
    if p.returncode not in (0, -9, 137):
        fail(f"{command[1]}, killed at {call} {k}: exit {p.returncode}: {p.stdout}{p.stderr}")
    return p.returncode != 0


def at_each_call(original, copy, command, changed):
    """Kills the command on a fresh copy before each of its calls; `changed` looks at what is left and says whether it is the new state."""
    kills = done = 0
    for call in CALLS:
        k = 0
        while True:
            k += 1
            fresh(original, copy)
            killed = killed_at(call, k, *command)
            new = changed(f"{call} {k}")
            if not killed:
                break
            kills += 1
            done += new
        if not new:
            fail(f"{command[1:]} came to its end and changed nothing")
    if not 0 < done < kills:
        fail(f"{command[1:]}: {done} of {kills} killed runs have the new state")
    return kills


def fresh(original, copy):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(original, copy, symlinks=True)


def key_of(data):
    return open(os.path.join(data, "relay.key"), "rb").read()


def rekey(w, original):
    """The relay's store: what the key file holds opens it, whatever was cut off."""
    data = os.path.join(w.dir, "relay.killed")

    def changed(at):
        p = run(TACETD, "check", "--data", data)
        if p.returncode:
            fail(f"rekey killed at {at}: check says {p.returncode}: {p.stdout}{p.stderr}")
        if os.path.exists(os.path.join(data, "relay.key.next")):
            fail(f"rekey killed at {at}: two keys are left")
        return key_of(data) != key_of(original)
    return at_each_call(original, data, (TACETD, "rekey", "--data", data), changed)


def passphrase(w, home, old, new):
    """The vault: one of the two passphrases opens it, the other one is called wrong (exit 6)."""
    copy = os.path.join(w.dir, "home.killed")

    def changed(at):
        exits = [run(TACET, "--home", copy, "--passphrase-file", p, "history", "bob").returncode for p in (old, new)]
        if sorted(exits) != [0, 6]:
            fail(f"passphrase killed at {at}: the old one gives exit {exits[0]}, the new one {exits[1]}")
        return exits[1] == 0
    return at_each_call(home, copy, (TACET, "--home", copy, "--passphrase-file", old, "passphrase", "--new-passphrase-file", new), changed)


def main():
    if not shutil.which("strace") or run("strace", "-o", "/dev/null", "true").returncode:
        print("strace cannot work here")
        sys.exit(77)
    with World() as w:
        secret = []
        for name, text in (("old", b"correct horse battery staple\n"), ("new", b"another one, after all\n")):
            secret.append(os.path.join(w.dir, name))
            with open(os.open(secret[-1], os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
                f.write(text)
        alice, bob = w.friends("alice", "bob")
        for i in range(45):  # something to encrypt again
            alice.run("send", "bob", f"{i} " + "x" * 4000)
        alice.run("passphrase", "--new-passphrase-file", secret[0])
        w.stop_relay()
        kills = {"rekey": rekey(w, w.data), "passphrase": passphrase(w, alice.home, *secret)}
        if sum(kills.values()) < KILLS_MIN:
            fail(f"only {kills} kills")
        print(f"kills {kills}: each time one key, one passphrase, all of it there")


main()
