#!/usr/bin/env python3
"""Every C and C++ file of the project is formatted as .clang-format says."""

import subprocess
import sys

from sources import ROOT, project_files

files = project_files(".cpp", ".hpp", ".c", ".h")
if not files:
    sys.exit("no source files found")
status = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT).returncode
print(f"{len(files)} files looked at")
if status != 0:
    print("put right with: clang-format -i FILE...")
sys.exit(status)
