#!/usr/bin/env python3
"""headers.py BUILD_FOLDER COMPILER: every header of the product compiles alone and starts with #pragma once.

A header that is the first include of a source needs no run of its own: the build compiles it alone, in effect.
"""

import re
import sys

import compile_database
from sources import ROOT, product_files

build_folder, compiler = sys.argv[1], sys.argv[2]
known = compile_database.entries(build_folder)
FIRST_INCLUDE = re.compile(r'^#include [<"]([^">]+)[">]', re.MULTILINE)


def flags_of_folder(header):
    """Definitions and include paths of a source beside the header, or of any source of the product."""
    folder = header.rsplit("/", 1)[0]
    beside = [path for path in known if path.rsplit("/", 1)[0] == folder]
    arguments = known[(beside or product_files(".cpp"))[0]]
    flags = []
    for position, argument in enumerate(arguments):
        if argument.startswith(("-I", "-D", "-std=")):
            flags.append(argument)
        if argument == "-isystem":
            flags += arguments[position : position + 2]
    return flags


headers = product_files(".hpp", ".h")
if not headers:
    sys.exit("no headers found")
proven_by_build = {match.group(1) for path in product_files(".cpp") if path in known
                   and (match := FIRST_INCLUDE.search((ROOT / path).read_text()))}
alone = [path for path in headers if path not in proven_by_build]
problems = {path: "does not start with #pragma once" for path in headers
            if not (ROOT / path).read_text().startswith("#pragma once\n")}
problems |= compile_database.run_each(
    {path: [compiler, "-fsyntax-only", "-Wall", "-Werror", *flags_of_folder(path), "-include", path,
            "-x", "c++", "/dev/null"] for path in alone})
for path, output in sorted(problems.items()):
    print(f"== {path}\n{output}")
print(f"{len(headers)} headers, {len(alone)} of them compiled alone, {len(problems)} with problems")
sys.exit(1 if problems else 0)
