"""F02 and F03 as whole programs: a relay that lies about the chunks it hands out. Every fifth event carries another chunk's bytes, a changed byte, invented
bytes, comes twice or does not come: exactly what was wrong is asked for again, and the file that gets its name is the one that was sent. Needs programs
built with -Dtesting=true (TACET_RELAY_CHUNKS, server/core_hostile.c)."""
import os
from world import World, end, fail, same, wait_until

CHUNKS, EVERY = 24, 5


def relay_lies(w, alice, bob, how):
    path = w.random_file(how, CHUNKS * 64512)
    alice.run("send", "bob", "--file", path)
    w.kill_relay()
    os.environ["TACET_RELAY_CHUNKS"] = how
    w.start()
    carrier = bob.host()
    wait_until(f"{how}: it is complete", lambda: bob.file(how)["state"] in ("complete", "failed"), 90)
    end(carrier)
    if bob.file(how)["state"] != "complete":
        fail(bob.file(how))
    same(path, os.path.join(bob.downloads, how))
    events = w.counters()["chunks_delivered"]
    wrong = events // EVERY
    again = 0 if how == "duplicated" else wrong
    if wrong == 0 or events != CHUNKS + again:
        fail(f"{how}: {events} events for {CHUNKS} chunks, {wrong} of them wrong")
    print(f"{how}: {wrong} of {events} events were wrong; {again} chunks were asked for again", flush=True)


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        for how in ("swapped", "duplicated", "damaged", "invented", "dropped"):
            relay_lies(w, alice, bob, how)
        if bob.parts():
            fail("an unfinished file is left")


main()
