"""SOCKS5: everything goes through the proxy, names too. The proxy is this test's own; it knows a host that no resolver knows. strace watches that
nothing else is asked and nobody else is called. P12-like: a proxy that is down, refuses, lies or falls silent is said in one line, exit 3."""
import os, re, shutil, socket, struct, subprocess, sys, tempfile, threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from world import TACET, World, User, fail

NAME = "relay.nowhere.invalid"


class Proxy(threading.Thread):
    """RFC 1928 and 1929, as far as needed. `seen`: (name asked for, user); `mode`: how it behaves."""

    def __init__(self, port_of_relay):
        super().__init__(daemon=True)
        self.to, self.seen, self.mode, self.log = port_of_relay, [], "good", threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def take(s, n):
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def serve(self, s):
        try:
            with s:
                self.talk(s)
        except (OSError, EOFError):
            pass

    def talk(self, s):
        version, count = self.take(s, 2)
        methods = self.take(s, count)
        if self.mode == "garbage":
            s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        if self.mode == "closes":
            return
        if version != 5 or 2 not in methods:
            raise EOFError
        s.sendall(b"\5\2")
        _, n = self.take(s, 2)
        user = self.take(s, n)
        self.take(s, self.take(s, 1)[0])
        if self.mode == "login":
            s.sendall(b"\1\1")
            return
        s.sendall(b"\1\0")
        _, _, _, kind = self.take(s, 4)
        host = self.take(s, self.take(s, 1)[0]).decode() if kind == 3 else self.take(s, 4 if kind == 1 else 16)
        (port,) = struct.unpack(">H", self.take(s, 2))
        with self.log:
            self.seen.append((host, user))
        if self.mode == "unreachable":
            s.sendall(b"\5\4\0\1" + bytes(6))
            return
        if self.mode == "forbidden":
            s.sendall(b"\5\2\0\1" + bytes(6))
            return
        with socket.create_connection(("127.0.0.1", self.to)) as relay:
            # the answer and the first bytes behind it may come together, or byte by byte
            for b in b"\5\0\0\3\5hello\0\1":
                s.sendall(bytes([b]))
            a = threading.Thread(target=self.pump, args=(s, relay), daemon=True)
            a.start()
            self.pump(relay, s)
            a.join()

    @staticmethod
    def pump(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def main():
    with World() as w:
        proxy = Proxy(w.port)
        proxy.start()
        key = w.address.rsplit("/", 1)[1]
        relay = f"tacet://{NAME}:{w.port}/{key}"
        at = f"127.0.0.1:{proxy.port}"
        alice, bob = User(w, "alice"), User(w, "bob")
        env = {k: v for k, v in os.environ.items() if k.lower() not in ("all_proxy", "no_proxy")}

        # without the proxy the name means nothing
        p = alice.run("init", "--relay", relay, "--name", "alice", "--no-passphrase", "--json", expect=3)
        # init keeps it; later commands need no option
        alice.run("init", "--relay", relay, "--name", "alice", "--no-passphrase", "--proxy", at)
        bob.env = dict(env, TACET_HOME=bob.home, ALL_PROXY=f"socks5h://{at}")
        bob.run("init", "--relay", relay, "--name", "bob", "--no-passphrase")
        bob.run("add", alice.link())
        alice.run("receive")
        alice.run("accept", "bob")
        bob.run("receive")
        bob.run("send", "alice", "through the proxy")
        if "through the proxy" not in alice.run("receive").stdout:
            fail("the message did not come")
        names = {n for n, _ in proxy.seen}
        if names != {NAME}:
            fail(f"the proxy was asked for {names}")
        users = [u for _, u in proxy.seen]
        if len(set(users)) != len(users):
            fail("two connections came with the same name: the proxy could tell that they are one's")

        # nothing goes past it: no look-up of names, no connection but to the proxy
        if shutil.which("strace"):
            trace = os.path.join(w.dir, "trace")
            subprocess.run(["strace", "-f", "-qq", "-e", "trace=connect,sendto,openat", "-o", trace, TACET, "send", "bob", "watched"], env=alice.env,
                           capture_output=True, timeout=60)
            lines = open(trace).read()
            if f"htons({proxy.port})" not in lines:
                fail(f"strace saw no connection to the proxy:\n{lines[-2000:]}")
            if re.search(r"resolv\.conf|/etc/hosts|nsswitch|htons\(53\)|nscd", lines) or set(re.findall(r"htons\((\d+)\)", lines)) != {str(proxy.port)}:
                fail(f"something went past the proxy:\n{lines[-2000:]}")
        else:
            print("strace is not here: not watched")

        # a proxy that does not do its work: one line, exit 3, the message stays in the outbox
        for mode, word in (("garbage", "proxy"), ("closes", "proxy"), ("login", "proxy"), ("forbidden", "proxy"), ("unreachable", "relay-unreachable")):
            proxy.mode = mode
            p = alice.run("--json", "send", "bob", mode, expect=3)
            if f'"code":"{word}"' not in p.stdout or p.stderr.count("\n") != 1:
                fail(f"{mode}: {p.stdout}{p.stderr}")
        proxy.mode = "good"
        alice.run("send", "bob", "good again")
        got = bob.run("receive").stdout
        for text in ("watched", "garbage", "unreachable", "good again"):
            if text not in got:
                fail(f"{text!r} did not come:\n{got}")
        # nobody listens; no proxy at all; what cannot be one
        dead = socket.create_server(("127.0.0.1", 0))
        free = dead.getsockname()[1]
        dead.close()
        p = alice.run("--json", "--proxy", f"127.0.0.1:{free}", "ping", "--count", "1", expect=3)
        if '"code":"proxy"' not in p.stdout:
            fail(p.stdout)
        alice.run("--proxy", "none", "ping", "--count", "1", expect=3)  # the name is looked up here, and is none
        alice.run("--proxy", "http://127.0.0.1:1", "ping", expect=2)
        # NO_PROXY makes exceptions from ALL_PROXY, and from nothing else
        bob.env["ALL_PROXY"] = f"127.0.0.1:{free}"
        for hosts, word in (("", "proxy"), ("elsewhere.invalid,owhere.invalid", "proxy"), ("x, .nowhere.invalid", "relay-unreachable"), ("*", "relay-unreachable")):
            bob.env["NO_PROXY"] = hosts
            p = bob.run("--json", "ping", "--count", "1", expect=3)
            if f'"code":"{word}"' not in p.stdout:
                fail(f"NO_PROXY={hosts}: {p.stdout}")
        alice.env["NO_PROXY"] = "*"
        before = len(proxy.seen)
        alice.run("ping", "--count", "1")
        if len(proxy.seen) == before:
            fail("NO_PROXY led past what was said at init")
        bob.env["NO_PROXY"] = ""
        bob.env["ALL_PROXY"] = "http://127.0.0.1:1"
        p = bob.run("--json", "ping", "--count", "1", expect=2)  # not past it: another kind of proxy is none
        bob.run("history", "alice")
        print(f"{len(proxy.seen)} connections through the proxy")


main()
