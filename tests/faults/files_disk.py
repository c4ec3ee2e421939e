"""F08 and F10: the disk fills up where a file is to go, and under the sender's vault: nothing is begun for which there is no room, it is said why, and it
goes on by itself when there is room. Needs mounts of its own (mounts.py)."""
import os, subprocess
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


def F08_no_room_for_the_journal(w, alice, bob):
    path = w.random_file("journal.bin", 150 << 20)
    sender = alice.host()
    sent = alice.popen("send", "bob", "--file", path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_until("it is on its way", lambda: alice.file()["have"] > 0, 30)
    filler = mounts.fill(alice.home)
    said = sent.communicate(timeout=60)[1]
    if sent.returncode != 0 and "disk is full" not in said and "no room on the disk" not in said:
        fail(f"it was not said that the disk is full: {said}")
    os.unlink(filler)
    wait_until("it goes on by itself", lambda: alice.file()["state"] in ("stored", "complete"), 120)
    end(sender)
    bob.run("receive")
    bob.run("save", bob.file("journal.bin")["id"], "--to", bob.env["HOME"], timeout=120)
    same(path, os.path.join(bob.env["HOME"], "journal.bin"))


def main():
    with World() as w:
        mounts.small(os.path.join(w.dir, "alice"), 8)
        alice, bob = w.friends("alice", "bob")
        F08_F10_no_room_for_what_comes(w, alice, bob)
        if os.environ.get("TACET_LONG"):  # open: it passed once and has hung twice since (docs/CAMPAIGNS.md), so it is red in the campaigns until mended
            F08_no_room_for_the_journal(w, alice, bob)
        print("F08: full disks: said, and gone on with", flush=True)


if __name__ == "__main__":
    main()
