#!/usr/bin/env python3
"""tidy.py BUILD_FOLDER [FILE...]: clang-tidy has nothing to say about the product's sources and their headers.

What was found clean is remembered in the build folder by its text and its headers', so that a second run is quick.
"""

import hashlib
import pathlib
import re
import sys

import compile_database
from sources import ROOT, product_files

build_folder, wanted = pathlib.Path(sys.argv[1]), sys.argv[2:]
known = compile_database.entries(build_folder)
clean_folder = build_folder / "tidy-clean"
clean_folder.mkdir(exist_ok=True)
OWN_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def with_own_headers(path, seen):
    """The file and all headers of ours that it sees, directly or not."""
    if path not in seen and (ROOT / path).is_file():
        seen.add(path)
        for target in OWN_INCLUDE.findall((ROOT / path).read_text()):
            with_own_headers(target, seen)
    return seen


def fingerprint(path):
    """Of what the verdict on a file depends on; libraries are taken to stay as they are."""
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes() + " ".join(known[path]).encode())
    for part in sorted(with_own_headers(path, set())):
        digest.update(part.encode() + (ROOT / part).read_bytes())
    return digest.hexdigest()


sources = [path for path in product_files(".cpp") if not wanted or path in wanted]
unknown = [path for path in sources if path not in known]
if unknown:
    sys.exit("not in the compile database, so nobody builds them: " + " ".join(unknown))
if not sources:
    sys.exit("no source files found")
marks = {path: clean_folder / fingerprint(path) for path in sources}
changed = [path for path in sources if not marks[path].exists()]
# The database may be g++'s, which knows warnings that clang does not.
tidy = ["clang-tidy", "--quiet", "-p", str(build_folder), "--extra-arg=-Wno-unknown-warning-option"]
largest_first = sorted(changed, key=lambda path: -(ROOT / path).stat().st_size)
failures = compile_database.run_each({path: [*tidy, path] for path in largest_first})
for path in changed:
    if path not in failures:
        marks[path].touch()
for path, output in sorted(failures.items()):
    print(f"== {path}\n{output}")
print(f"{len(sources)} files, {len(changed)} of them new or changed, {len(failures)} with findings")
sys.exit(1 if failures else 0)
