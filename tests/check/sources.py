"""Which files belong to the project: what git tracks or would track; without git, everything outside build/."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCT_FOLDERS = ("base", "netlink", "iptables", "ipam", "plugins", "netctl")


def project_files(*suffixes):
    """Paths relative to ROOT, sorted; all files when no suffix is given."""
    files = [path for path in _listed_by_git() or _found_on_disk() if (ROOT / path).is_file()]
    return sorted(path for path in files if not suffixes or path.endswith(suffixes))


def product_files(*suffixes):
    return [path for path in project_files(*suffixes) if path.split("/")[0] in PRODUCT_FOLDERS]


def _listed_by_git():
    # A clone that belongs to another user (sudo) is refused by git unless told otherwise.
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return listing.splitlines()


def _found_on_disk():
    found = []
    for folder, children, names in os.walk(ROOT):
        children[:] = [child for child in children if child not in (".git", "build", "__pycache__")]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    return found
