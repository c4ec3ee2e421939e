"""F05 as a race: somebody who may write in the folder for downloads swaps unfinished files and folders for links, all the time, and plants links where
files are to get their names. Whatever comes of each file: nothing behind a link is touched, nothing that was there is replaced, and what counts as complete
is the very thing that was sent."""
import ctypes, filecmp, os, subprocess, sys, time
from world import World, end, fail, wait_until

ROUNDS, FILE_BYTES = 10, 3 << 20
RENAME_EXCHANGE, AT_FDCWD = 2, -100


def swap_for_ever(folder, victim):
    """The attacker, a process of its own."""
    rename = ctypes.CDLL(None).renameat2
    for n in range(1 << 30):
        time.sleep(0.01 * (n % 3))
        for path in (e.path for e in os.scandir(folder) if e.name.endswith(".part")):
            targets = [path] + ([os.path.join(path, "sub")] if os.path.isdir(path) and not os.path.islink(path) else [])
            for target in targets:
                link = os.path.join(folder, f"link-{n % 7}")
                try:
                    os.symlink(victim if n % 2 else os.path.join(victim, "file"), link)
                except FileExistsError:
                    pass
                for _ in range(2 if n % 3 else 1):  # and back, mostly: so that it may also be whole
                    rename(AT_FDCWD, link.encode(), AT_FDCWD, target.encode(), RENAME_EXCHANGE)
                    time.sleep(0.0005)


def send_some(w, alice, downloads, victim, n):
    """What round n sends: a file, or a folder; under its name lies a link already."""
    name = f"round-{n}"
    if n % 2:
        w.random_file(name, FILE_BYTES)
    else:
        os.makedirs(os.path.join(w.dir, name, "sub"))
        for k in range(20):
            w.random_file(os.path.join(name, "sub" if k % 2 else ".", f"f{k}"), 100000)
    os.symlink(os.path.join(victim, f"made-{n}"), os.path.join(downloads, name))
    alice.run("send", "bob", "--file", os.path.join(w.dir, name))
    return name


def the_same(one, other):
    if os.path.islink(other):
        return False
    if not os.path.isdir(one):
        return filecmp.cmp(one, other, shallow=False)
    return all(the_same(os.path.join(one, e), os.path.join(other, e)) for e in os.listdir(one))


def check(w, bob, name, n, victim):
    f = bob.file(name)
    if f["state"] == "complete" and not the_same(os.path.join(w.dir, name), f["saved_to"]):
        fail(f"complete, and not what was sent: {f}")
    if f["state"] == "failed" and f["trouble"] != "part-changed":
        fail(f)
    if os.listdir(victim) != ["file"] or open(os.path.join(victim, "file")).read() != "untouched":
        fail(f"{name}: something behind a link was touched: {os.listdir(victim)}")
    if os.readlink(os.path.join(bob.downloads, name)) != os.path.join(victim, f"made-{n}"):
        fail(f"{name}: what was there has been replaced")
    return f["state"]


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        victim = os.path.join(w.dir, "victim")
        os.makedirs(victim)
        os.makedirs(bob.downloads)
        with open(os.path.join(victim, "file"), "w") as f:
            f.write("untouched")
        attacker = subprocess.Popen([sys.executable, __file__, "swap", bob.downloads, victim], stderr=subprocess.DEVNULL)
        carrier, came = bob.host(), []
        try:
            for n in range(ROUNDS):
                name = send_some(w, alice, bob.downloads, victim, n)
                try:
                    wait_until("it ends", lambda: bob.file(name)["state"] in ("complete", "failed"), 40)
                except AssertionError:
                    fail(f"it does not end: {bob.file(name)}, {alice.file(name)}, {os.listdir(bob.downloads)}")
                came.append(check(w, bob, name, n, victim))
        finally:
            end(attacker)
            end(carrier)
        if "failed" not in came:
            fail("nothing was ever swapped in time: this shows nothing")
        print(f"F05: {came.count('complete')} complete and whole, {came.count('failed')} given up, nothing else touched", flush=True)


if sys.argv[1] == "swap":
    try:
        swap_for_ever(*sys.argv[2:4])
    except OSError:
        os.execv(sys.executable, [sys.executable, *sys.argv])  # something went while it was looked at: on with it
else:
    main()
