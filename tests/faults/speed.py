"""How long one-shot commands take on loopback. Prints medians; fails only beyond five times the aim of 100 ms, since machines are noisy."""
import statistics, time
from world import World, fail


def median(user, *args, n=15):
    times = []
    for _ in range(n):
        t = time.monotonic()
        user.run(*args)
        times.append((time.monotonic() - t) * 1000)
    return statistics.median(times)


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        rows = {"send": median(alice, "send", "bob", "hi"), "receive": median(bob, "receive"), "contacts": median(alice, "contacts")}
        for name, ms in rows.items():
            print(f"tacet {name}: {ms:.0f} ms wall, median of 15")
            if ms > 500:
                fail(f"{name} takes {ms:.0f} ms")


main()
