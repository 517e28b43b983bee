"""Runs the rounds of a sweep in child processes, so that a round that fails spoils no other and all failures are told."""

import collections
import json
import os
import sys
import time
import traceback


def in_child(work):
    """work() in a process of its own (a Lab cannot be left again). Yields what it yields, through JSON; a dict with the
    key "crash" tells of an exception."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w", encoding="utf-8") as out:
            status = 0
            try:
                for value in work():
                    out.write(json.dumps(value) + "\n")
                    out.flush()
            except BaseException as error:  # the child must never return into the parent's code
                text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
                out.write(json.dumps({"crash": text or repr(error)}) + "\n")
                status = 1
        sys.stdout.flush()
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as source:
        for line in source:
            yield json.loads(line)
    os.waitpid(child, 0)


class Tally:
    """What a sweep came to."""

    def __init__(self, title):
        self.title = title
        self.log = collections.Counter()
        self.failures = []
        self.began = time.monotonic()

    def __str__(self):
        return f"{self.title}: {dict(self.log)}, {len(self.failures)} failures, {time.monotonic() - self.began:.1f} s"


def sweep(title, make, rounds, most_failures=60):
    """Gives every element of `rounds` to make().round(element), which returns a word for the tally; then make().finish().

    `make` is a context manager's factory: entered in the child. After a failure a fresh child goes on with the next round.
    """
    tally = Tally(title)
    position = 0

    def work():
        with make() as subject:
            for element in rounds[position:]:
                yield {"word": subject.round(*element)}
            subject.finish()
        yield {"done": True}

    while position < len(rounds) and len(tally.failures) < most_failures:
        for event in in_child(work):
            if "word" in event:
                tally.log[event["word"]] += 1
                position += 1
            elif "crash" in event:
                element = rounds[min(position, len(rounds) - 1)]
                tally.failures.append(f"{title}, round {position} {element}: {event['crash']}")
                position += 1
                print(f"FAILED {tally.failures[-1]}", flush=True)
            else:
                position = len(rounds)
    print(tally, flush=True)
    return tally


def finish(tallies):
    """Exit status of a script of sweeps."""
    failures = [failure for tally in tallies for failure in tally.failures]
    if failures:
        sys.exit(f"{len(failures)} rounds failed")
