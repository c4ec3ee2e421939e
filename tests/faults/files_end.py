"""How a file ends at the relay when nobody fetches it: what is cancelled is dropped there, if not now then at the next start; what nobody fetched in its
time is said to have expired. And until a file lies at the relay, the outbox lists it. Needs programs built with -Dtesting=true (TACET_CLOCK_OFFSET_S)."""
import os, signal, subprocess
from world import World, end, fail, wait_until

DAY = 86400


def states(user):
    return {f["name"]: f["state"] for f in user.json("files")}


def cancelled_while_the_relay_is_away(w, alice):
    alice.run("send", "bob", "--file", w.random_file("unwanted", 1 << 20))
    if w.counters()["blobs"] != 1:
        fail(w.counters())
    w.kill_relay()
    alice.run("cancel", alice.file()["id"], expect=3)
    w.start()
    if w.counters()["blobs"] != 1:
        fail(f"who told the relay? {w.counters()}")
    alice.run("receive")
    if w.counters()["blobs"] != 0:
        fail(f"the relay keeps what was cancelled: {w.counters()}")
    print("a blob that could not be dropped is dropped at the next start", flush=True)


def is_listed(alice, name):
    listed = [m["id"] for m in alice.json("outbox")]
    if listed.count(alice.file(name)["id"]) != 1:
        fail(f"{alice.file(name)} is not in {listed}, or not once")


def listed_until_it_is_there(w, alice):
    """Without a relay nothing of it can be uploaded: it waits, and is listed."""
    w.kill_relay()
    alice.run("send", "bob", "--file", w.random_file("waiting", 1 << 20), expect=3)
    is_listed(alice, "waiting")
    w.start()
    carrier = alice.host()
    wait_until("it is stored", lambda: alice.file("waiting")["state"] == "stored", 30)
    wait_until("nothing is left to be sent", lambda: not alice.json("outbox"), 30)  # its seal has left as well
    end(carrier)
    print("a file that is still to be uploaded stands in the outbox", flush=True)


def interrupted(w, alice, bob):
    """Ctrl-C in mid-upload, with puts that have no answer yet: it ends as interrupted, and what it withdrew is nothing."""
    path = w.random_file("interrupted", 100 << 20)
    sender = alice.popen("send", "bob", "--file", path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("it is on its way", lambda: alice.file("interrupted")["have"] > 0, 30)
    sender.send_signal(signal.SIGINT)
    if sender.wait(timeout=20) != -signal.SIGINT:
        fail(f"interrupted, it ended with {sender.returncode}")
    bob.run("receive")
    alice.run("receive")
    is_listed(alice, "interrupted")  # its seal is not made yet, so no message of it waits
    alice.run("cancel", alice.file("interrupted")["id"])
    alice.run("receive")
    print("an upload that is interrupted ends in order", flush=True)


def nobody_fetches_it(w, alice, bob):
    """Bob has one file, and never comes for the other: thirty days later that one has expired, on both sides of the relay."""
    alice.run("send", "bob", "--file", w.random_file("fetched", 1000))
    bob.run("receive")
    alice.run("receive")
    alice.run("send", "bob", "--file", w.random_file("forgotten", 1000))
    w.kill_relay()
    with open(os.path.join(w.data, "tacetd.ini"), "a") as ini:
        ini.write("expiry_speed = 1000000000\n")  # else it would not believe so great a jump
    os.environ["TACET_CLOCK_OFFSET_S"] = alice.env["TACET_CLOCK_OFFSET_S"] = str(31 * DAY)
    w.start()
    alice.run("receive", "--timeout", "1s")
    got = states(alice)
    if got["fetched"] != "complete" or got["forgotten"] != "expired" or got["waiting"] != "complete":
        fail(got)
    if [m["state"] for m in alice.json("history", "bob") if m.get("name") == "forgotten"] != ["expired"]:
        fail(alice.json("history", "bob"))
    wait_until("the relay has forgotten it", lambda: w.counters()["blobs"] == 0, 20)
    print("what nobody fetched has expired", flush=True)


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        cancelled_while_the_relay_is_away(w, alice)
        listed_until_it_is_there(w, alice)
        interrupted(w, alice, bob)
        nobody_fetches_it(w, alice, bob)


main()
