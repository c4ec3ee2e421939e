"""S06, P06, F12: nothing that is secret is readable anywhere. A full scenario at the most talkative log level; afterwards every file under the
homes, the relay's data, its log, and new files in /tmp and /var/tmp are searched for texts, keys and tokens; while it runs, argv and environ are."""
import base64, os, re, subprocess, threading, time
from world import PASSPHRASE, TACET, TACETD, World, fail

MARKER = "zanzibar-marmalade"


def ours(*folders):
    """What somebody's process of ours may have left in a public folder."""
    return [os.path.join(f, n) for f in folders for n in os.listdir(f) if re.search("tacet|etilqs|sqlite", n) and "fresh" not in n]


def walk(*roots, newer=0):
    yield from (r for r in roots if os.path.isfile(r) and os.stat(r).st_mtime >= newer)
    for root in roots:
        for folder, _, files in os.walk(root):
            for name in files:
                path = os.path.join(folder, name)
                try:
                    if not os.path.islink(path) and os.path.isfile(path) and os.stat(path).st_mtime >= newer:
                        yield path
                except OSError:
                    continue


def main():
    began = time.time()
    with World() as w:
        w.kill_relay()
        with open(os.path.join(w.data, "tacetd.ini"), "a") as ini:
            ini.write("[relay]\nlog = debug\n")
        w.start()
        passfile = os.path.join(w.dir, "passphrase")
        with open(os.open(passfile, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(PASSPHRASE)
        seen, stop = set(), threading.Event()

        def watch():  # argv and environ of every process of ours, as long as it runs
            while not stop.is_set():
                for pid in filter(str.isdigit, os.listdir("/proc")):
                    try:
                        if os.readlink(f"/proc/{pid}/exe") in (os.path.realpath(TACET), os.path.realpath(TACETD)):
                            for part in ("cmdline", "environ"):
                                seen.add(open(f"/proc/{pid}/{part}", "rb").read())
                    except OSError:
                        continue
                time.sleep(0.005)
        watcher = threading.Thread(target=watch)
        watcher.start()
        log = open(os.path.join(w.dir, "clients.log"), "w+")
        alice = w.user("alice")
        bob_init = subprocess.run([TACET, "--home", os.path.join(w.dir, "bob"), "--passphrase-file", passfile, "init", "--relay", w.address, "--name", "bob"],
                                  stdout=subprocess.PIPE, stderr=log, timeout=60)
        if bob_init.returncode:
            fail("bob's init failed")
        bob = lambda *a, **k: subprocess.run([TACET, "--home", os.path.join(w.dir, "bob"), "--passphrase-file", passfile, *a],
                                             stdout=subprocess.PIPE, stderr=log, timeout=60, check=True, text=True, **k)
        link = bob("link").stdout.split()[-1]
        alice.run("add", link)
        bob("receive")
        bob("accept", "alice")
        alice.run("receive")
        for i in range(20):
            alice.run("send", "bob", "-", input=f"{MARKER} {i}")
            bob("send", "alice", "-", input=f"{MARKER} back {i}")
        if MARKER not in bob("receive").stdout:
            fail("bob read nothing")
        alice.run("receive")
        alice.run("search", "marmalade")
        bob("history", "alice", "--search", "marmalade")
        stop.set()
        watcher.join()
        w.kill_relay()
        log.flush()
        needles = {MARKER.encode(): "plaintext", MARKER.encode("utf-16le"): "plaintext", PASSPHRASE: "passphrase"}
        token = link.rsplit(".", 1)[1]
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        needles.update({token.encode(): "token", raw: "token", raw.hex().encode(): "token"})
        relay_key = open(os.path.join(w.data, "relay.key"), "rb").read().strip()
        plain_key = open(os.path.join(alice.home, "default", "vault.key"), "rb").read()
        found = []
        for path in walk(w.dir, *(f for f in ours("/tmp", "/var/tmp") if f != w.dir), newer=began):
            if path == passfile:
                continue
            data = open(path, "rb").read()
            for needle, what in needles.items():
                if needle in data:
                    found.append(f"{what} in {path}")
            if not path.endswith("relay.key") and relay_key in data:
                found.append(f"relay key in {path}")
        for data in seen:
            if b"\0add\0" in data:  # a link is typed here, and its request token is no secret to those who have it
                continue
            for needle, what in needles.items():
                if needle in data and not (what == "token" and b"\0add\0" in data):  # a link is made to be passed on: `add LINK` takes it
                    found.append(f"{what} in argv or environ: {data[:80]!r}")
        # a relay's log names nobody: no addresses, no accounts
        account = link.split("#")[1].split(".")[0]
        for path in (os.path.join(w.dir, "relay.log"), log.name):
            said = [line for line in open(path) if "listen" not in line]  # where it listens is the relay's own address
            for needle in {account, "127.0.0.1" if path.endswith("relay.log") else account}:
                found += [f"{needle} in {path}: {line.strip()}" for line in said if needle in re.sub(r"tacet://\S+", "", line)]
            if path.endswith("relay.log") and not any("registered" in line for line in said):
                fail("the relay logged nothing: it is not at its most talkative")
        if found:
            fail("\n".join(found))
        if len(seen) < 10 or len(plain_key) < 32:
            fail(f"the test saw too little: {len(seen)} processes")
        print(f"{len(seen)} argv/environ, all files searched: nothing readable")


main()
