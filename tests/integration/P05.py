"""P05 as a table: every field that a peer can fill, times every trick, on a real terminal. A host of our own stands in for the engine, so that nothing
checks the fields before they are shown: what the engine would refuse today may come through tomorrow. Each command of `tacet` runs on a pty whose every
byte is looked at; the full screen runs on a pty in the same way, and under tmux, which obeys what it is sent: title, clipboard, cursor and the frame
must be as if nothing had happened."""
import json, os, pty, re, select, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time, fcntl, termios

from stage import TACET, Stage

TRICKS = {
    "clear": "\x1b[2J\x1b[Hgone", "title": "\x1b]0;owned\x07\x1b]2;owned\x1b\\", "clipboard": "\x1b]52;c;b3duZWQ=\x07", "link": "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",
    "dcs": "\x1bPq#0;2;0;0;0\x1b\\", "apc": "\x1b_G\x1b\\\x1b^x\x1b\\", "ask": "\x1b[6n\x1b[c\x1b]11;?\x07", "c1": "\u009b31m\u009d0;owned\u009c", "bell": "\x07\x07",
    "return": "no\rtacet: yes", "backspace": "safe\b\b\b\bevil", "line": "one\n12:00  you   forged", "tab": "a\tb", "bidi": "\u202egpj.exe\u202c", "isolate": "\u2066x\u2069\u2067",
    "zero": "b\u200bo\u200db\u2060\ufeff", "marks": "e" + "\u0301" * 50, "separators": "a\u2028b\u2029c\u0085d", "tags": "x\U000e0041\U000e007f", "wide": "漢" * 90, "frame": "│ bob ✓ │ ┌─┐",
    "reset": "\x1bc\x1b[!p", "scroll": "\x1b[5;10r\x1b[?1049h\x1b[?25l", "shift": "\x0e\x0f\x1b(0lqqk", "delete": "a\x7fb",
}
FORBIDDEN = re.compile("[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")
OURS = re.compile(r"\x1b(\[[0-9;?]*[A-HJKLMPXdfhlmrst@]|[()][B0]|[=>78M]|\[>[0-9;]*[a-z])")  # what ncurses and our bold are made of: no OSC, no DCS, no queries
NAME = "bob"


class Host:
    """Answers what docs/RPC.md says, with `trick` in every place where words of a peer can stand."""

    def __init__(self, folder):
        self.trick = ""
        self.names = False  # also where the engine allows letters only
        self.fails = False
        self.clients = []
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(folder, 0o700)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(f"{folder}/socket")
        os.chmod(f"{folder}/socket", 0o600)
        self.listening.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listening.accept()[0]
            self.clients.append(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        rest = b""
        while True:
            try:
                piece = client.recv(65536)
            except OSError:
                return
            if not piece:
                return
            rest += piece
            while b"\n" in rest:
                line, rest = rest.split(b"\n", 1)
                request = json.loads(line)
                answer = {"jsonrpc": "2.0", "id": request["id"]}
                if self.fails and request["method"] not in ("subscribe", "whoami", "contacts", "requests", "status", "history", "sync"):
                    answer["error"] = {"code": -32001, "message": "it failed: " + self.trick, "data": {"code": "io", "exit": 1}}
                else:
                    answer["result"] = self.result(request["method"], request.get("params") or {})
                try:
                    client.sendall(json.dumps(answer).encode() + b"\n")
                except OSError:
                    return

    def event(self, event):
        line = json.dumps({"jsonrpc": "2.0", "method": "event", "params": {"v": 1, **event}}).encode() + b"\n"
        for client in list(self.clients):
            try:
                client.sendall(line)
            except OSError:
                self.clients.remove(client)

    def contact(self):
        t = self.trick
        return {"v": 1, "event": "contact", "name": t if self.names else NAME, "account": "a" * 52, "verified": False, "blocked": False, "state": "accepted",
                "key_changed": False, "list_forked": False, "reduced_secrecy": False, "proposed_name": t, "relay": "tacet://" + t, "unread": 1, "created_at": "2026-01-01T00:00:00Z"}

    def messages(self):
        t, n = self.trick, self.trick if self.names else NAME
        common = {"v": 1, "conversation": n, "from": n, "sent_at": "2026-01-01T12:00:00.000Z", "received_at": "2026-01-01T12:00:01.000Z", "outgoing": False, "state": "received"}
        return [{**common, "event": "message", "id": "0" * 31 + "1", "text": t, "verified": False, "reply_to": None},
                {**common, "event": "gap", "id": "0" * 31 + "2", "missing": 3},
                {**common, "event": "notice", "id": "0" * 31 + "3", "text": t},
                {**common, "event": "file", "id": "0" * 31 + "4", "name": t, "size": 1 << 20, "state": "offered", "have": 0, "media_type": t},
                {**common, "event": "file", "id": "0" * 31 + "5", "name": t, "size": 1 << 20, "state": "complete", "have": 1 << 20, "saved_to": "/home/" + t}]

    def result(self, method, params):
        t, n = self.trick, self.trick if self.names else NAME
        if method == "whoami":
            return {"v": 1, "event": "whoami", "name": "me", "account": "a" * 52, "link": "tacet://me@127.0.0.1:1/k#a.t", "relay": "tacet://127.0.0.1:1/k",
                    "devices": [{"id": 1, "created_at": t}]}
        table = {"contacts": [self.contact()], "requests": [{"v": 1, "event": "request", "from": n, "account": "b" * 52, "text": t, "proposed_name": t, "relay": t, "received_at": t}],
                 "verify": {"name": n, "safety_number": "12345" * 12, "verified": False}, "sync": {"online": True, "queued": 0},
                 "status": {"online": True, "relay": t, "clock_offset_s": 0, "queued": 0, "vault_bytes": 1, "quarantined": 0},
                 "outbox": [{"v": 1, "event": "outbox", "id": "0" * 32, "conversation": n, "state": t, "created_at": t}], "history": self.messages(), "search": self.messages()[:1],
                 "receive": self.messages(), "files": self.messages()[3:], "send": {"v": 1, "event": "sent", "id": "0" * 32, "conversation": n, "state": "queued"},
                 "ping": {"rtt_ms": [1.0]}, "link": {"link": t}, "add": self.contact(), "accept": self.contact(), "trust": self.contact(), "untrust": self.contact(),
                 "block": self.contact(), "unblock": self.contact(), "rename": self.contact(), "remove": self.contact()}
        return table.get(method, {})

    def events(self):
        t, n = self.trick, self.trick if self.names else NAME
        return [{"event": "message", **{k: v for k, v in self.messages()[0].items() if k != "event"}, "id": os.urandom(16).hex(), "conversation": NAME},
                {"event": "request", "from": n, "account": "b" * 52, "text": t}, {"event": "accepted", "contact": n}, {"event": "key-changed", "contact": n},
                {"event": "quarantined", "count": 1, "reason": t, "conversation": n}, {"event": "error", "code": t, "exit": 1, "message": t},
                {"event": "history-forked", "conversation": n}, {"event": "session-reset", "conversation": n, "by": t}, {"event": "new-device", "contact": n, "device": 1},
                {"event": "file", "id": "0" * 31 + "4", "conversation": n, "name": t, "size": 1 << 20, "state": "receiving", "have": 1},
                {"event": "progress", "id": "0" * 31 + "4", "have": 1, "of": 2, "bytes_per_s": 5, "state": t}]


def on_a_pty(words, folder, seconds=15):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
        os.execv(TACET, [TACET, "--home", folder, *words])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    else:
        os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"{words} does not come to an end: {seen!r}")
    os.waitpid(pid, 0)
    os.close(fd)
    return seen


def looked_at(seen, what, bells=0):
    """Nothing but text and what is ours."""
    text = seen.decode("utf-8")  # whole characters only
    assert text.count("\x07") <= bells, (what, "rings", text)
    text = OURS.sub("", text.replace("\x07", ""))
    assert "\x1b" not in text, (what, text[max(0, text.index("\x1b") - 40):][:80])
    found = FORBIDDEN.search(text.replace("\r\n", "\n"))
    assert not found, (what, hex(ord(found.group())), text[max(0, found.start() - 40):][:80])
    assert "owned" not in re.findall(r"\x1b\].*", seen.decode()), what


def commands(host, folder):
    rows = [["contacts"], ["requests"], ["receive"], ["history", NAME], ["search", "x"], ["verify", NAME], ["whoami"], ["outbox"], ["link"], ["add", "zoe"], ["accept", NAME],
            ["trust", NAME], ["untrust", NAME], ["block", NAME], ["unblock", NAME], ["rename", NAME, "rob"], ["remove", NAME], ["reject", NAME], ["send", NAME, "x"], ["ping"], ["doctor"],
            ["files"]]
    everything = "".join(TRICKS.values())
    for host.fails in (False, True):
        for words in rows:
            for shape in ([], ["--json"]):
                host.trick, host.names = everything, True
                looked_at(on_a_pty([*words, *shape], folder), (words, shape, host.fails))
    host.fails = False
    for name, host.trick in TRICKS.items():  # one by one where most of a peer's words stand
        for words in (["receive"], ["requests"], ["contacts"]):
            looked_at(on_a_pty(words, folder), (words, name))


def settled(s, name):
    """The picture as it is once nothing is on its way any more."""
    try:
        return s.framed("p", "", 80, 24, 5)
    except AssertionError as broken:
        raise AssertionError(name, *broken.args)


def full_screen(host, s):
    """Under tmux, which does what it is told: afterwards it must not have been told anything."""
    host.trick, host.names, host.fails = "", False, False
    s.tmux("new-session", "-d", "-x", "80", "-y", "24", "-s", "p", f"{TACET} --home {s.dir}/me chat {NAME}; echo left $?; sleep 60")
    s.tmux("set-option", "-g", "set-clipboard", "on")
    s.wait("p", "● online")
    title = s.tmux("display-message", "-p", "-t", "p", "#{pane_title}")
    for name, trick in TRICKS.items():
        host.trick = trick
        for number, event in enumerate(host.events()):
            host.event(event)
            if name in ("clear", "title") or number == 0:
                time.sleep(0.08)
                settled(s, name)
        for key in ("F2", "F1", "F4"):
            s.keys("p", key)
            time.sleep(0.08)
            settled(s, name)
            s.keys("p", "Escape")
        s.say("p", "/search x")
        s.wait("p", "Enter open there")
        settled(s, name)
        s.keys("p", "Escape")
        s.keys("p", "C-l")
        s.wait("p", "▤" if name != "frame" else "├─")
        settled(s, name)
        assert s.tmux("display-message", "-p", "-t", "p", "#{pane_title}") == title, name
        assert not s.tmux("list-buffers").strip(), (name, "something came into the clipboard")
        assert s.tmux("display-message", "-p", "-t", "p", "#{cursor_x},#{cursor_y}").strip() == "4,22", name
    host.fails = True  # what an error says
    for name, host.trick in TRICKS.items():
        s.say("p", "/rename x")
        s.wait("p", "it failed")
        settled(s, name)
        s.keys("p", "C-u")
    host.fails = False
    s.keys("p", "C-q")
    s.wait("p", "left 0")


def full_screen_bytes(host, folder):
    """The same, byte by byte."""
    host.trick, host.names, host.fails = "".join(TRICKS.values()), True, False
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
        os.execv(TACET, [TACET, "--home", folder, "chat"])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, steps = b"", [lambda: [host.event(e) for e in host.events()], lambda: os.write(fd, b"\x1bOQ"), lambda: os.write(fd, b"\x1b"), lambda: os.write(fd, b"/search x\r"),
                        lambda: os.write(fd, b"\x1b"), lambda: os.write(fd, b"\x1b[5~"), lambda: os.write(fd, b"\x11")]
    begin = time.monotonic()
    while True:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        elif steps and time.monotonic() - begin > 1:
            steps.pop(0)()
        assert time.monotonic() - begin < 60, seen[-300:]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    os.close(fd)
    looked_at(seen.replace(b"\b", b""), "chat", bells=40)  # ncurses moves the cursor with it; what a peer's would do shows under tmux
    assert "gone" in seen.decode()


def main():
    if not shutil.which("tmux"):
        sys.exit(77)
    s = Stage()
    try:
        os.chmod(s.dir, 0o700)
        os.makedirs(f"{s.dir}/me", mode=0o700)
        host = Host(f"{s.dir}/me/default")
        commands(host, f"{s.dir}/me")
        full_screen(host, s)
        full_screen_bytes(host, f"{s.dir}/me")
    finally:
        s.close()


main()
