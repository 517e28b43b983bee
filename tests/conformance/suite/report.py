"""What a run found: a table for people, and JSON."""

import json

from .runner import ABSENT, FAILED, PASSED

WIDTH_OF_REQUIREMENT = 66


def table(cases, sides):
    """One line a case; `sides`: {name of the side: {case id: Verdict}}."""
    width = max([len(one.id) for one in cases] + [4])
    source_width = max([len(one.source) for one in cases] + [6])
    line = lambda *cells: "  ".join([cells[0].ljust(width), cells[1][:WIDTH_OF_REQUIREMENT].ljust(WIDTH_OF_REQUIREMENT),
                                     cells[2].ljust(source_width), *[cell.ljust(9) for cell in cells[3:]]]).rstrip()
    lines = [line("CASE", "REQUIREMENT", "SOURCE", *[name.upper() for name in sides])]
    for one in cases:
        if all(side[one.id].verdict == ABSENT for side in sides.values()):
            continue
        lines.append(line(one.id, one.requirement, one.source, *[side[one.id].verdict for side in sides.values()]))
    return "\n".join(lines)


def reasons(cases, verdicts, whole):
    """Why cases fail: the whole text, or the beginning of each."""
    lines = []
    for one in cases:
        found = verdicts[one.id]
        if found.verdict != FAILED:
            continue
        text = found.reason.strip() or "no reason given"
        lines.append(f"{one.id}: {one.requirement}")
        lines += [f"    {part}" for part in (text.splitlines() if whole else [" ".join(text.split())[:220]])]
    return "\n".join(lines)


def summary(cases, sides, seconds):
    lines = []
    for name, verdicts in sides.items():
        count = lambda wanted, side=verdicts: sum(1 for one in cases if side[one.id].verdict == wanted)
        lines.append(f"{name}: {count(PASSED)} of {len(cases)} cases pass, {count(FAILED)} fail, {count(ABSENT)} are about "
                     f"executables that it has not; {seconds[name]:.1f} s")
    if len(sides) == 2:
        ours, other = sides.values()
        better = sum(1 for one in cases if ours[one.id].verdict == PASSED and other[one.id].verdict == FAILED)
        worse = sum(1 for one in cases if ours[one.id].verdict == FAILED and other[one.id].verdict == PASSED)
        lines.append(f"pass here and fail there: {better}; fail here and pass there: {worse}")
    return "\n".join(lines)


def write_json(path, cases, sides, seconds):
    document = {"version": 1, "seconds": seconds, "cases": [
        {"id": one.id, "requirement": one.requirement, "source": one.source,
         **{name: {"verdict": side[one.id].verdict, "reason": side[one.id].reason,
                   "seconds": round(side[one.id].seconds, 3)} for name, side in sides.items()}}
        for one in cases]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
