"""A plugin of the suite's own, for delegation: it notes how it is called and answers what it is told."""

import errno
import json
import os
import stat
import time

NAME = "cf-stub"
_PROGRAM = """#!/bin/sh
here={here}
echo "$CNI_COMMAND" >> $here/calls
env > $here/env.$CNI_COMMAND
cat > $here/stdin.$CNI_COMMAND
readlink /proc/self/ns/net > $here/netns.$CNI_COMMAND
echo "the stub was here" >&2
[ -e $here/gate.$CNI_COMMAND ] && read word < $here/gate.$CNI_COMMAND
if [ -e $here/error.$CNI_COMMAND ]; then cat $here/error.$CNI_COMMAND; exit 1; fi
[ ! -e $here/answer.$CNI_COMMAND ] || cat $here/answer.$CNI_COMMAND
"""
ANSWER = {"cniVersion": "1.0.0", "ips": [{"address": "10.88.0.9/24", "gateway": "10.88.0.1"}],
          "routes": [{"dst": "0.0.0.0/0"}], "dns": {"nameservers": ["10.88.0.53"]}}


class Stub:
    """`answer`: what ADD prints. `errors`: {verb: error object}. `gates`: verbs that wait until open_gate()."""

    def __init__(self, here, folder, answer=ANSWER, errors=None, gates=()):
        self.here = here
        self.path = f"{folder}:{here}"
        os.mkdir(here)
        program = f"{here}/{NAME}"
        with open(program, "w", encoding="ascii") as file:
            file.write(_PROGRAM.format(here=here))
        os.chmod(program, stat.S_IRWXU)
        if answer is not None:
            self.answer(answer)
        for verb, error in (errors or {}).items():
            self._write(f"error.{verb}", json.dumps(error))
        for verb in gates:
            os.mkfifo(f"{here}/gate.{verb}")

    def answer(self, result):
        self.answer_text(json.dumps(result))

    def answer_text(self, text):
        """Bytes that need not be a document."""
        self._write("answer.ADD", text)

    @property
    def ipam(self):
        return {"type": NAME, "anything": ["kept", {"as": "it is"}]}

    @property
    def calls(self):
        if not os.path.exists(f"{self.here}/calls"):
            return []
        return self._read("calls").split()

    def environment(self, verb):
        return dict(line.split("=", 1) for line in self._read(f"env.{verb}").splitlines() if "=" in line)

    def stdin(self, verb):
        return json.loads(self._read(f"stdin.{verb}"))

    def netns(self, verb):
        return self._read(f"netns.{verb}").strip()

    def forget_error(self, verb):
        os.unlink(f"{self.here}/error.{verb}")

    def wait_for_call(self, verb, patience=20):
        deadline = time.monotonic() + patience
        while verb not in self.calls:
            assert time.monotonic() < deadline, f"the delegate was not called with {verb}"
            time.sleep(0.005)

    def open_gate(self, verb, patience=20):
        deadline = time.monotonic() + patience
        while True:
            try:
                gate = os.open(f"{self.here}/gate.{verb}", os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError as error:  # nobody reads yet
                assert error.errno == errno.ENXIO and time.monotonic() < deadline, "the delegate does not wait at its gate"
                time.sleep(0.005)
        os.write(gate, b"go\n")
        os.close(gate)

    def _write(self, name, text):
        with open(f"{self.here}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def _read(self, name):
        with open(f"{self.here}/{name}", encoding="utf-8") as file:
            return file.read()
