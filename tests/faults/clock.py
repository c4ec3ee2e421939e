"""S11: wrong and jumping clocks. Bob is offline for a day; a client is a year ahead, a day behind; the relay's clock jumps. No message is lost.
Needs programs built with -Dtesting=true (TACET_CLOCK_OFFSET_S)."""
import os
import time
from world import World, fail

DAY, YEAR = 86400, 365 * 86400


def at(offset):
    os.environ["TACET_CLOCK_OFFSET_S"] = str(offset)


def with_clock(user, offset, *args, **kw):
    user.env["TACET_CLOCK_OFFSET_S"] = str(offset)
    try:
        return user.run(*args, **kw)
    finally:
        user.env.pop("TACET_CLOCK_OFFSET_S")


def expect_text(user, text, offset=0):
    out = with_clock(user, offset, "receive", "--timeout", "2s").stdout
    if text not in out:
        fail(f"{user.name} did not get {text!r}: {out!r}")


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        alice.run("send", "bob", "before the night")
        w.kill_relay()
        at(DAY)  # the relay's clock moves on by a day as well
        w.start()
        expect_text(bob, "before the night", DAY)

        # Two months ahead until somebody sets it right: what waits is not older for that, and what comes meanwhile not younger.
        alice.run("send", "bob", "before the wrong clock")
        w.kill_relay()
        at(60 * DAY)
        w.start()
        time.sleep(3)  # cleaning looks each second
        counters = w.counters()
        if counters["expired"] or counters["queued_messages"] < 1 or counters["expiry_behind_s"] < 50 * DAY:
            fail(f"expired {counters['expired']}, waiting {counters['queued_messages']}, behind {counters['expiry_behind_s']} s")
        w.kill_relay()
        at(DAY)
        w.start()
        expect_text(bob, "before the wrong clock", DAY)

        with_clock(alice, YEAR, "send", "bob", "from next year")
        expect_text(bob, "from next year", DAY)
        with_clock(alice, -DAY, "send", "bob", "from yesterday")
        expect_text(bob, "from yesterday", DAY)
        bob.run("send", "alice", "to all of your times")
        expect_text(alice, "to all of your times", 10 * YEAR)
        bob.run("send", "alice", "and back again")
        expect_text(alice, "and back again")

        bad = with_clock(alice, YEAR, "doctor", expect=None)
        if "clock" not in bad.stdout + bad.stderr:
            fail(f"doctor says nothing of a clock a year off: {bad.stdout}{bad.stderr}")
        shown = [t for _, t in bob.texts("alice")]
        if shown != sorted(set(shown), key=shown.index) or len(shown) != 6:
            fail(f"bob's history: {shown}")
        print("every message arrived once, whatever the clocks said")


main()
