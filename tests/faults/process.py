"""P07: another process of the same user gets nothing out of a running client or relay: no core file, no ptrace, no /proc/PID/mem.
As root it becomes an ordinary user first, for whom the kernel's rules hold."""
import ctypes, os, resource, shutil, signal, subprocess, sys, tempfile, time

if os.geteuid() == 0:  # the build may lie where only root can look
    public = tempfile.mkdtemp(prefix="tacet-test.")
    os.chmod(public, 0o755)
    sys.argv[1:3] = [shutil.copy(program, public) for program in sys.argv[1:3]]
from world import World, fail, wait_until  # before the user changes: the interpreter may lie in root's folder

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    os.environ["HOME"] = tempfile.gettempdir()
    os.chdir("/")

PTRACE_SEIZE = 0x4206
libc = ctypes.CDLL(None, use_errno=True)


def processes_of(session):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[3]) == session:
                yield int(pid)
        except OSError:
            continue


def must_be_closed(pid):
    try:
        open(f"/proc/{pid}/mem", "rb")
        fail(f"/proc/{pid}/mem opens")
    except PermissionError:
        pass
    if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) == 0:
        fail(f"process {pid} lets itself be traced")
    try:
        if resource.prlimit(pid, resource.RLIMIT_CORE) != (0, 0):
            fail(f"process {pid} may leave a core file")
    except PermissionError:
        pass  # not even its limits can be asked


def main():
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell's background jobs ignore it, and so would the host
    control = subprocess.Popen(["sleep", "60"])
    wait_until("an ordinary process of ours can be read: else this test could not fail", lambda: os.access(f"/proc/{control.pid}/mem", os.R_OK), 5)
    open(f"/proc/{control.pid}/mem", "rb").close()
    control.kill()
    control.wait()
    with World() as w:
        alice = w.user("alice")
        host = alice.popen("receive", "--follow", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        relay = list(processes_of(os.getsid(w.relay.pid)))
        if len(relay) < 2 or host.poll() is not None:
            fail("nothing to look at")
        for pid in relay + [host.pid]:
            must_be_closed(pid)
        os.kill(host.pid, signal.SIGQUIT)
        host.wait(timeout=20)
        left = [f for f in os.listdir(".") + os.listdir(w.dir) if f.startswith("core")]
        if left:
            fail(f"core files: {left}")
        print(f"{len(relay)} processes of the relay and a client: closed")


main()
