"""F08 and F10: the disk fills up where a file is to go, and under the sender's vault: nothing is begun for which there is no room, it is said why, and it
goes on by itself when there is room. Needs mounts of its own (mounts.py)."""
import os, signal, subprocess, time
import mounts
from world import World, end, fail, same, wait_until

mounts.of_our_own()


def F08_F10_no_room_for_what_comes(w, alice, bob):
    mounts.small(bob.downloads, 16)
    path = w.random_file("forty.bin", 40 << 20)
    alice.run("send", "bob", "--file", path)
    carrier = bob.host()
    wait_until("it is said", lambda: bob.file().get("trouble") == "disk-full", 30)
    if bob.file()["have"] or os.listdir(bob.downloads):
        fail(f"something was begun for which there was no room: {os.listdir(bob.downloads)}")
    mounts.larger(bob.downloads, 64)
    wait_until("it goes on by itself", lambda: bob.file()["state"] == "complete", 60)
    end(carrier)
    same(path, os.path.join(bob.downloads, "forty.bin"))


def attached(process):
    """It is connected: to the host, or to the relay as the host."""
    links = (os.path.join(f"/proc/{process.pid}/fd", fd) for fd in os.listdir(f"/proc/{process.pid}/fd"))
    return any(os.readlink(link).startswith("socket:") for link in links)


def F08_no_room_for_the_journal(w, sender, bob, name, sender_is_host):
    """The disk under the sender's vault fills up in mid-upload. Whoever follows carries on when there is room: as the host, and as the next one, when
    the host was a `send` that ended with the error, and no vault could be opened on the full disk."""
    path = w.random_file(name, 110 << 20)
    carrier = None if sender_is_host else sender.host()
    wait_until("the host is there", lambda: sender_is_host or attached(carrier), 20)
    sent = sender.popen("send", "bob", "--file", path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_until("it is on its way", lambda: sender.file(name)["have"] > 0, 30)
    os.killpg(w.relay.pid, signal.SIGSTOP)  # so that it is not over before the disk is full
    carrier = carrier or sender.host()
    wait_until("somebody follows", lambda: attached(carrier), 20)
    filler = mounts.fill(sender.home)
    os.killpg(w.relay.pid, signal.SIGCONT)
    said = sent.communicate(timeout=60)[1]
    if sent.returncode != 1 or "no room on the disk" not in said:
        fail(f"exit {sent.returncode}, and it was not said that the disk is full: {said}")
    time.sleep(1.5)  # longer than one try to open the vault
    os.unlink(filler)
    wait_until("it goes on by itself", lambda: sender.file(name)["state"] in ("stored", "complete"), 60)
    if carrier.poll() is not None:
        fail(f"who followed has ended with {carrier.poll()}")
    end(carrier)
    sender.run("receive")  # the seal, if it has not left yet
    bob.run("receive")
    bob.run("save", bob.file(name)["id"], "--to", bob.env["HOME"], timeout=120)
    same(path, os.path.join(bob.env["HOME"], name))


def main():
    with World() as w:
        mounts.small(os.path.join(w.dir, "alice"), 8)
        mounts.small(os.path.join(w.dir, "carol"), 8)
        alice, bob, carol = w.friends("alice", "bob", "carol")
        F08_F10_no_room_for_what_comes(w, alice, bob)
        F08_no_room_for_the_journal(w, alice, bob, "one.bin", sender_is_host=False)
        F08_no_room_for_the_journal(w, carol, bob, "two.bin", sender_is_host=True)
        print("F08: full disks: said, and gone on with", flush=True)


if __name__ == "__main__":
    main()
