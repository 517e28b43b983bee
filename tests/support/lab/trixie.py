"""A root folder with programs of Debian 13, unpacked beside the machine's own, for a runtime that Debian 12 is too old for.

apt does the work with a configuration of its own: it finds the packages' dependencies, checks the archive's signature and
every checksum. Packages stay in a cache folder, so that only the first run downloads. A download that fails in spite of
retries is the test's failure.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import time

from . import kernel

MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_CONFIGURATION = """
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
Dir::State "{home}/state";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Retries "5";
Acquire::Languages "none";
Acquire::http::Timeout "30";
Debug::NoLocking "true";
"""


def cache_folder():
    """$NETCTL_DEB_CACHE, or beside the executables under test."""
    chosen = os.environ.get("NETCTL_DEB_CACHE")
    return pathlib.Path(chosen) if chosen else pathlib.Path(os.environ["NETCTL_BIN_DIR"]).resolve().parents[1] / "debs"


def unpack(debs, root):
    """Unpacks what `downloaded` gave into the folder `root`."""
    _make_root(root)
    for deb in debs:
        subprocess.run(f"dpkg-deb --fsys-tarfile '{deb}' | tar -x -C '{root}' --keep-directory-symlink",
                       shell=True, check=True, timeout=120)
    for name in ("passwd", "group"):
        shutil.copy(f"/etc/{name}", f"{root}/etc/{name}")
    subprocess.run(["chroot", root, "/sbin/ldconfig"], check=True, timeout=60)


def downloaded(packages):
    """The files of `packages` and of all that they need. To be called where the network of the machine is seen."""
    home = cache_folder() / f"trixie-{hashlib.sha256(' '.join(sorted(packages)).encode()).hexdigest()[:8]}"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} trixie main\n")
    (home / "status").write_text("")
    configuration = home / "apt.conf"
    configuration.write_text(_CONFIGURATION.format(home=home))
    environment = {**os.environ, "APT_CONFIG": str(configuration), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    if not list((home / "state/lists").glob("*Packages*")):
        _patiently(["apt-get", "update"], environment)
    # What is in the cache is checked against the signed list, and downloaded only when it is missing or damaged.
    _patiently(["apt-get", "install", "--yes", "--download-only", *packages], environment)
    return sorted((home / "cache/archives").glob("*.deb"))


def _patiently(argv, environment, attempts=4):
    for attempt in range(1, attempts + 1):
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600,
                              stdin=subprocess.DEVNULL)
        # apt-get update calls a list that it could not fetch a warning.
        if done.returncode == 0 and "Failed to fetch" not in done.stderr:
            return
        time.sleep(attempt * 2)
    raise AssertionError(f"{' '.join(argv)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _make_root(root):
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "tmp", "run", "var/tmp",
                   "var/lib", "root"):
        os.makedirs(f"{root}/{folder}")
    for link in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{link}", f"{root}/{link}")
    os.symlink("/run", f"{root}/var/run")
    os.chmod(f"{root}/tmp", 0o1777)


def furnish(root, visible=()):
    """Makes `root` fit for chroot with the host's devices, kernel file systems and /run, and the folders `visible`.

    Needs a mount namespace of its own whose mounts are private (a Lab).
    """
    # A runtime's pivot_root wants a root that is a mount.
    kernel.mount(root, root, None, kernel.MS_BIND | kernel.MS_REC)
    for folder in ("/dev", "/sys", "/run", *visible):
        os.makedirs(f"{root}{folder}", exist_ok=True)
        kernel.mount(folder, f"{root}{folder}", None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("proc", f"{root}/proc", "proc")


def run(root, *argv, check=True, timeout=120, **options):
    """A command in there. Its output goes to a file: what a container inherits would keep a pipe open."""
    with open("/run/trixie-output", "w+", encoding="utf-8") as output:
        done = subprocess.run(["chroot", root, *argv], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                              timeout=timeout, **options)
        output.seek(0)
        text = output.read()
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} -> {done.returncode}: {text}")
    return text
