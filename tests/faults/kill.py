"""S04, and the rule of the house: kill -9 on the relay and on either client at any instant of a 1,000-message run;
each message shows exactly once, in order per sender, at the other end."""
import json, os, subprocess, sys, threading, time
from world import World, wait_until, fail

COUNT = int(os.environ.get("TACET_KILL_MESSAGES", "1000"))
KILLS = int(os.environ.get("TACET_KILLS", "30"))


class Talker(threading.Thread):
    """Sends `me 1`, `me 2`, ... over `tacet rpc` and receives at the same time; started again after each kill where the history ends."""

    def __init__(self, user, peer):
        super().__init__(daemon=True)
        self.user, self.peer, self.child, self.sent, self.stop, self.error = user, peer, None, 0, False, None

    def run(self):
        try:
            while not self.stop:
                self.life()
        except Exception as e:  # noqa: BLE001 - handed to the main thread
            self.error = e

    def life(self):
        own = [int(t.split()[1]) for who, t in self.user.texts(self.peer) if t.startswith(self.user.name + " ")]
        self.sent = max(own, default=0)
        self.child = child = self.user.popen("rpc", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.call(child, "subscribe", {})
            self.call(child, "sync", {})
            while not self.stop:
                if self.sent < COUNT:
                    self.call(child, "send", {"to": self.peer, "text": f"{self.user.name} {self.sent + 1}"})
                    self.sent += 1
                else:
                    self.call(child, "status", {})
                    time.sleep(0.05)
        except (BrokenPipeError, ValueError, EOFError):
            pass
        finally:
            child.kill()
            child.wait()
            try:
                child.stdin.close()  # flushes what the dead child did not take
            except BrokenPipeError:
                pass
            child.stdout.close()

    def call(self, child, method, params):
        child.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
        child.stdin.flush()
        for line in child.stdout:
            reply = json.loads(line)
            if reply.get("id") == 1:
                if "error" in reply and not (method == "sync" and reply["error"]["data"]["exit"] == 3):  # the relay may just be dead
                    fail(f"{self.user.name}: {method}: {reply['error']}")
                return reply.get("result")
        raise EOFError


def main():
    with World() as w:
        alice, bob = w.friends("alice", "bob")
        talkers = [Talker(alice, "bob"), Talker(bob, "alice")]
        for t in talkers:
            t.start()
        kills = {"alice": 0, "bob": 0, "relay": 0}
        while min(t.sent for t in talkers) < COUNT or sum(kills.values()) < KILLS:
            time.sleep(w.random.uniform(0.05, 0.5))
            for t in talkers:
                if t.error:
                    raise t.error
            who = w.random.choice(["alice", "bob", "relay"])
            if sum(kills.values()) >= KILLS:
                continue
            kills[who] += 1
            if who == "relay":
                w.kill_relay()
                time.sleep(w.random.uniform(0, 0.3))
                w.start()
            else:
                child = talkers[who == "bob"].child
                if child:
                    child.kill()
        last = {"alice": 0, "bob": 0}

        def all_there():
            for user, peer in ((alice, "bob"), (bob, "alice")):
                got = [t for who, t in user.texts(peer) if t.startswith(peer + " ")]
                last[peer] = len(got)
            return min(last.values()) >= COUNT
        wait_until(f"everything at the other end, got {last}", all_there, 120)
        for t in talkers:
            t.stop = True
        for t in talkers:
            t.join(timeout=30)
        for user, peer in ((alice, "bob"), (bob, "alice")):
            for author in (user.name, peer):
                got = [t for who, t in user.texts(peer) if t.startswith(author + " ")]
                want = [f"{author} {i + 1}" for i in range(COUNT)]
                if got != want:
                    wrong = [(a, b) for a, b in zip(got, want) if a != b][:3]
                    fail(f"{user.name} shows {len(got)} of {author}'s {COUNT}; first differences {wrong}")
            if user.json("outbox"):
                fail(f"{user.name}'s outbox is not empty: {user.json('outbox')[:3]}")
        print(f"{2 * COUNT} messages, kills {kills}: each once, in order, at both ends")


main()
