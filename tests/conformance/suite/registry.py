"""What a case is, and how it is declared."""

import dataclasses
import fnmatch
import importlib
import inspect
import pathlib
import typing

from . import kinds

CASES = pathlib.Path(__file__).resolve().parents[1] / "cases"


@dataclasses.dataclass(frozen=True)
class Case:
    id: str           # requirement, topic, executable, value: "E7.bad-ifname.bridge"
    requirement: str  # in a few words
    source: str       # where it is written: a section of SPEC.md, libcni's skel, CONVENTIONS.md, or "ours"
    needs: tuple      # executables that must be in the folder
    judge: typing.Callable

    def run(self, world):
        self.judge(world)


_declared = []


def case(identity, requirement, source, *, plugins=None, needs=(), values=None):
    """Declares the function under it: once, or once for every one of `plugins` and every label in `values`.

    The function is called with the world and, if it has parameters of these names, `plugin` and `value`. It fails by
    raising; what it returns does not matter.
    """
    def declare(function):
        wanted = inspect.signature(function).parameters
        for plugin in plugins() if plugins else (None,):
            for label, value in (values or {None: None}).items():
                given = {key: entry for key, entry in (("plugin", plugin), ("value", value)) if key in wanted}
                name = ".".join(str(part) for part in (identity, plugin, label) if part is not None)
                text = requirement if label is None else requirement.replace("{}", str(label))
                _declared.append(Case(name, text, source, tuple(needs) + ((plugin,) if plugin else ()),
                                      lambda world, f=function, g=given: f(world, **g)))
        return function
    return declare


def load(extra_plugins=()):
    """All cases in the order of the requirements. `extra_plugins`: executables that the table of kinds does not know."""
    kinds.add_unknown(extra_plugins)
    for path in sorted(CASES.glob("*.py")):
        if path.stem != "__init__":
            importlib.import_module(f"cases.{path.stem}")
    ids = [one.id for one in _declared]
    doubles = {name for name in ids if ids.count(name) > 1}
    assert not doubles, f"declared twice: {sorted(doubles)}"
    return list(_declared)


def select(cases, patterns):
    """Shell patterns on the id; a plain word also selects what begins with it."""
    if not patterns:
        return cases
    fits = lambda name, pattern: fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern + ".")
    return [one for one in cases if any(fits(one.id, pattern) for pattern in patterns)]
