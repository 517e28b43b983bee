"""Reads compile_commands.json and runs one command a file on all processors."""

import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess

from sources import ROOT


def entries(build_folder):
    """{path relative to ROOT: compiler arguments}, without files that were generated into the build folder."""
    database = json.loads((pathlib.Path(build_folder) / "compile_commands.json").read_text())
    result = {}
    for entry in database:
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT) and not path.is_relative_to(build_folder):
            result[str(path.relative_to(ROOT))] = shlex.split(entry["command"])
    return result


def run_each(commands):
    """Runs {name: argv} from ROOT; returns {name: output} of those that failed, and prints nothing."""

    def run(item):
        name, argv = item
        done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return name, done.returncode, done.stdout

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return {name: output for name, status, output in pool.map(run, commands.items()) if status != 0}
