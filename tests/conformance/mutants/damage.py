"""Deliberately broken plugins: a wrapper runs the real executable and damages one thing of the call.

Imported by the wrappers that `matrix.py` writes, in a bare interpreter: standard library only, and quick to load.
"""

import json
import os
import signal
import subprocess
import sys

VERB = os.environ.get("CNI_COMMAND", "")
MUTANTS = {}


class Call:
    """One call on its way to the real executable, and its answer on the way back."""

    def __init__(self, real):
        self.real = real
        self.env = dict(os.environ)
        self.stdin = None  # bytes, once it was read
        self.status = self.out = self.err = None

    def read(self):
        if self.stdin is None:
            self.stdin = b"" if VERB == "VERSION" else sys.stdin.buffer.read()
        return self.stdin

    @property
    def config(self):
        try:
            found = json.loads(self.read())
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def change_config(self, change):
        config = self.config
        if config is not None:
            change(config)
            self.stdin = json.dumps(config).encode()

    def become(self):
        """The real executable takes this process over."""
        if self.stdin is not None:
            file = os.memfd_create("stdin")
            os.write(file, self.stdin)
            os.lseek(file, 0, os.SEEK_SET)
            os.dup2(file, 0)
            os.close(file)
        os.execve(self.real, [self.real], self.env)

    def run(self):
        # Of VERSION nobody may wait for the end of stdin.
        stdin = {} if VERB == "VERSION" else {"input": self.read()}
        done = subprocess.run([self.real], env=self.env, capture_output=True, check=False, **stdin)
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def answer(self):
        try:
            found = json.loads(self.out)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def change_answer(self, change):
        answer = self.answer
        if answer is not None:
            change(answer)
            self.out = json.dumps(answer).encode()

    def finish(self):
        sys.stderr.buffer.write(self.err)
        sys.stderr.flush()
        try:
            sys.stdout.buffer.write(self.out)
            sys.stdout.flush()
        except OSError:
            os._exit(1)
        if self.status < 0:
            os.kill(os.getpid(), -self.status)
        sys.exit(self.status)

    def fail(self, code, message, status=1):
        self.status, self.err = status, b""
        self.out = json.dumps({"cniVersion": "1.0.0", "code": code, "msg": message}).encode()
        self.finish()

    def succeed(self):
        """As if all were well, and nothing done."""
        config = self.config or {}
        self.status, self.err = 0, b""
        self.out = json.dumps(config.get("prevResult") or {"cniVersion": config.get("cniVersion", "1.0.0")}).encode() \
            if VERB == "ADD" else b""
        self.finish()


def before(function):
    """The damage is done to the call; then the real executable is this process."""
    MUTANTS[function.__name__.replace("_", "-")] = (function, False)
    return function


def after(function):
    """The damage is done to the answer."""
    MUTANTS[function.__name__.replace("_", "-")] = (function, True)
    return function


def act(name, real):
    call = Call(real)
    function, is_after = MUTANTS[name]
    if name != "dies-of-signals":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    if is_after:
        call.run()
        function(call)
        call.finish()
    function(call)
    call.become()


def ip(*arguments, netns=None):
    enter = ["nsenter", f"--net={netns}"] if netns else []
    subprocess.run([*enter, "ip", *arguments], capture_output=True, check=False)


def is_set(name):
    return bool(os.environ.get(name))
