"""P07: two terminals wait for the passphrase of one profile. It is typed in one, which is the host then, and in the other, which attaches. After
`tacet lock` neither opens anything: the first one has ended, the second one asks again."""
import os, pty, select, signal, subprocess, sys, tempfile, time, shutil

TACET, TACETD = sys.argv[1], sys.argv[2]
PASSPHRASE = b"correct horse\n"


class Terminal:
    def __init__(self, *words):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execv(TACET, [TACET, *words])

    def until(self, what):
        end = time.monotonic() + 60
        while what not in self.seen:
            assert time.monotonic() < end, f"{what!r} does not come after {self.seen!r}"
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 65536)
        self.seen = b""

    def type(self, keys):
        os.write(self.fd, keys)

    def ended(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.ended()


def main():
    folder = tempfile.mkdtemp(prefix="tacet-it.")
    alice = ["--home", f"{folder}/alice"]
    relay, second = None, None
    try:
        with open(f"{folder}/pass", "wb") as f:
            f.write(PASSPHRASE)
        subprocess.run([TACETD, "init", "--data", f"{folder}/relay", "--listen", "127.0.0.1:0"], check=True, capture_output=True)
        relay = subprocess.Popen([TACETD, "run", "--data", f"{folder}/relay"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        address = relay.stdout.readline().split()[1]
        made = [TACET, *alice, "init", "--relay", address, "--name", "alice", "--passphrase-file", f"{folder}/pass", "--low-memory"]
        subprocess.run(made, check=True, capture_output=True, timeout=60)
        first, second = Terminal(*alice, "receive", "--follow"), Terminal(*alice, "receive", "--follow")
        for one in first, second:
            one.until(b"Passphrase: ")
        for one in first, second:
            one.type(PASSPHRASE)
            one.until(b"connected to the relay")
        subprocess.run([TACET, *alice, "lock"], check=True, capture_output=True, timeout=60)
        assert first.ended() == 6, "the host goes on"
        second.until(b"Passphrase: ")
        locked = subprocess.run([TACET, *alice, "contacts"], capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True, timeout=60)
        assert locked.returncode == 6, locked
    finally:
        if second:
            second.kill()
        if relay:
            relay.terminate()
            relay.wait()
        shutil.rmtree(folder)


main()
