#!/usr/bin/env python3
"""What no compiler sees: length of files and lines, leftovers, machine paths, foreign hosts, dead links in READMEs."""

import re
import subprocess
import sys

from sources import ROOT, project_files

CODE = (".cpp", ".hpp", ".c", ".h", ".py", ".sh", ".cmake")
MAXIMUM_LINES = 400
MAXIMUM_COLUMNS = 125  # of prose and tables; clang-format holds code to 110
# Brackets in the patterns keep this file from finding itself.
FORBIDDEN = {
    "an open end": re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b"),
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(wor[k]|hom[e])/\w"),
    "an issue number": re.compile(r"\b[Ii]ssue[s]? #?\d"),
    "a debugging leftover": re.compile(r"\b(pdb\.set_tra[c]e|breakpoi[n]t\(\))"),
    "a skipped test": re.compile(r"\b(GTEST_SKI[P]|DISABLE[D]_)"),
}
KNOWN_HOSTS = {"github.com", "deb.debian.org", "www.cni.dev", "cni.dev", "www.kernel.org", "docs.kernel.org",
               "wiki.nftables.org", "www.gnu.org", "www.openldap.org", "datatracker.ietf.org", "www.rfc-editor.org",
               "json-schema.org", "fsf.org"}
URL_HOST = re.compile(r"https?://([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
QUOTED_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:cpp|hpp|c|h|py|md|conflist|conf|txt|cmake|json)|scripts/[\w-]+)`")


def problems_of(path, text):
    lines = text.splitlines()
    if path.endswith(CODE) and len(lines) >= MAXIMUM_LINES:
        yield f"{path}: {len(lines)} lines; below {MAXIMUM_LINES} a file can be read"
    for number, line in enumerate(lines, 1):
        if path.endswith(CODE) and len(line) > MAXIMUM_COLUMNS:
            yield f"{path}:{number}: {len(line)} columns; at most {MAXIMUM_COLUMNS}"
        if line != line.rstrip():
            yield f"{path}:{number}: space at the end of the line"
        for what, pattern in FORBIDDEN.items():
            if pattern.search(line):
                yield f"{path}:{number}: {what}: {line.strip()}"
        for host in URL_HOST.findall(line):
            if host not in KNOWN_HOSTS and not re.search(r"(^|\.)(example|invalid|test)(\.|$)", host):
                yield f"{path}:{number}: {host} is not a host that this project refers to"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"


def dead_links(path, text):
    for target in LINK.findall(text):
        if "://" not in target and not (ROOT / path).parent.joinpath(target).exists():
            yield f"{path}: the link to {target} leads nowhere"
    for target in QUOTED_PATH.findall(text):
        if not (ROOT / target).exists() and not target.startswith("build/"):
            yield f"{path}: there is no {target}"


def shell_errors(path, text):
    if re.match(r"#!/bin/(ba)?sh", text):
        done = subprocess.run(["bash", "-n", ROOT / path], capture_output=True, text=True)
        if done.returncode != 0:
            yield f"{path}: {done.stderr.strip()}"


findings = []
files = project_files()
for path in files:
    try:
        text = (ROOT / path).read_text()
    except UnicodeDecodeError:
        continue  # recorded bytes
    if path == "LICENSE":
        continue  # not our words
    findings += [*problems_of(path, text), *shell_errors(path, text)]
    if path.endswith(".md"):
        findings += dead_links(path, text)
print("\n".join([*findings, f"{len(files)} files looked at, {len(findings)} problems"]))
sys.exit(1 if findings or not files else 0)
