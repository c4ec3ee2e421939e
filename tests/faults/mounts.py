"""Small disks of a scene's own: tmpfs in a mount namespace that nobody else sees and that ends with the process. Needs root, and a root folder that is a
mount point (in a plain chroot it is none, and what is mounted there would be seen outside); the scene is skipped (77) otherwise."""
import ctypes, os, subprocess, sys

CLONE_NEWNS = 0x00020000


def of_our_own():
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        sys.exit(77)
    if subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode != 0:
        print("skipped: the root folder here is no mount point", flush=True)
        sys.exit(77)


def small(path, mib):
    os.makedirs(path, mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", path], check=True)


def larger(path, mib):
    subprocess.run(["mount", "-o", f"remount,size={mib}m", path], check=True)


def fill(path):
    """Takes what room there is; the name of what takes it."""
    name = os.path.join(path, "filler")
    with open(name, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            return name
