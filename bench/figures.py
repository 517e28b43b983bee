"""From samples to figures: medians, paired differences, and the bounds that the product is held to."""

from dataclasses import dataclass
from statistics import median

ADD_TIMES_FASTER = 25.0
ADD_OVER_FLOOR_MS = 2.0
ADD_TIMES_FLOOR = 2.5
DEL_TIMES_FLOOR = 1.3
PEAK_BYTES = 6_000_000
FULL_TIMES = 1.25

VERBS = ("ADD", "DEL")


@dataclass
class Bound:
    text: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def holds(self):
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def line(self):
        sign = ">=" if self.at_least else "<="
        return f"  {'ok    ' if self.holds else 'BROKEN'} {self.text}: {self.value:.2f} {sign} {self.limit:g}"


class Samples:
    """Costs by contender and verb; index i of every list was measured in round i."""

    def __init__(self):
        self.costs = {}

    def record(self, contender, verb, cost):
        self.costs.setdefault(contender, {}).setdefault(verb, []).append(cost)

    def has(self, *contenders):
        return all(contender in self.costs for contender in contenders)

    def times(self, contender, verb):
        return [cost.milliseconds for cost in self.costs[contender][verb]]

    def median(self, contender, verb):
        return median(self.times(contender, verb))

    def cpu_median(self, contender, verb):
        return median(cost.cpu_milliseconds for cost in self.costs[contender][verb])

    def work(self, contender, verb, processes):
        """Per round: the contender's time less that many empty processes of the same round ('empty' holds two)."""
        empties = self.times("empty", verb)
        return [time - empty * processes / 2 for time, empty in zip(self.times(contender, verb), empties)]

    def peak_kib(self, contender):
        peaks = {}
        for costs in self.costs[contender].values():
            for cost in costs:
                for program, kib in cost.peak_kib.items():
                    peaks[program] = max(kib, peaks.get(program, 0))
        return peaks


def paired(left, right):
    """Median of the differences within each round: slow phases of the machine hit both sides of a pair."""
    return median(a - b for a, b in zip(left, right))


def quartiles(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 4], ordered[(len(ordered) * 3) // 4]


def comparison(samples, ours, verb):
    """Every figure of one verb that sets us beside the floor and the reference."""
    figures = {}
    if samples.has(ours, "reference"):
        figures["reference / ours"] = samples.median("reference", verb) / samples.median(ours, verb)
    if samples.has(ours, "empty", "floor"):
        work = samples.work(ours, verb, processes=2)
        floor_whole = samples.times("floor", verb)
        floor_work = samples.work("floor", verb, processes=1)
        figures["ours - 2 empty"] = median(work)
        figures["floor - 1 empty"] = median(floor_work)
        figures["(ours - 2 empty) - floor, paired"] = paired(work, floor_whole)
        figures["(ours - 2 empty) - (floor - 1 empty), paired"] = paired(work, floor_work)
        figures["(ours - 2 empty) / floor"] = median(work) / median(floor_whole)
        figures["(ours - 2 empty) / (floor - 1 empty)"] = median(work) / median(floor_work)
        figures["ours / floor"] = samples.median(ours, verb) / samples.median("floor", verb)
    return figures


def bounds(samples):
    """The bounds that can be judged with the contenders that took part."""
    found = []
    if samples.has("ours"):
        add = comparison(samples, "ours", "ADD")
        delete = comparison(samples, "ours", "DEL")
        if "reference / ours" in add:
            found.append(Bound("ADD, reference / ours", add["reference / ours"], ADD_TIMES_FASTER, at_least=True))
        if samples.has("floor"):
            found += [
                Bound("ADD, (ours - 2 empty) - floor, ms", add["(ours - 2 empty) - floor, paired"],
                      ADD_OVER_FLOOR_MS),
                Bound("ADD, (ours - 2 empty) / floor", add["(ours - 2 empty) / floor"], ADD_TIMES_FLOOR),
                Bound("DEL, ours / floor", delete["ours / floor"], DEL_TIMES_FLOOR)]
        peak = max(samples.peak_kib("ours").values())
        found.append(Bound("peak RSS, MB", peak * 1024 / 1e6, PEAK_BYTES / 1e6))
    if samples.has("ours", "ours-full"):
        ratio = samples.median("ours-full", "ADD") / samples.median("ours", "ADD")
        found.append(Bound("ADD, full store and maps / nearly empty ones", ratio, FULL_TIMES))
    return found


def table(samples):
    heads = "".join(f"{verb:>9}{'(quartiles)':>17}{'CPU':>8}" for verb in VERBS)
    lines = [f"{'median ms':<12}{heads}   peak RSS, KiB"]
    for contender in samples.costs:
        cells = ""
        for verb in VERBS:
            low, high = quartiles(samples.times(contender, verb))
            cells += f"{samples.median(contender, verb):>9.2f}{f'{low:.2f}..{high:.2f}':>17}"
            cells += f"{samples.cpu_median(contender, verb):>8.2f}"
        peaks = ", ".join(f"{program} {kib}" for program, kib in samples.peak_kib(contender).items())
        lines.append(f"{contender:<12}{cells}   {peaks}")
    return "\n".join(lines)


def report(samples):
    """The whole text for people."""
    parts = [table(samples), "('empty' is two processes; the runtime's own work between two plugins is not counted)"]
    for ours in ("ours", "ours-full"):
        for verb in VERBS if samples.has(ours) else ():
            lines = [f"  {value:>8.2f}  {text}" for text, value in comparison(samples, ours, verb).items()]
            parts.append("\n".join([f"{ours} {verb}"] + lines))
    judged = bounds(samples)
    if judged:
        parts.append("\n".join(["bounds"] + [bound.line() for bound in judged]))
    return "\n\n".join(parts)


def as_json(samples, options):
    """The same for programs, with every single time (milliseconds)."""
    return {
        "version": 1, "options": options,
        "contenders": {name: {"milliseconds": {verb: samples.times(name, verb) for verb in VERBS},
                              "median": {verb: samples.median(name, verb) for verb in VERBS},
                              "medianCpu": {verb: samples.cpu_median(name, verb) for verb in VERBS},
                              "peakKib": samples.peak_kib(name)} for name in samples.costs},
        "figures": {f"{ours} {verb}": comparison(samples, ours, verb)
                    for ours in ("ours", "ours-full") if samples.has(ours) for verb in VERBS},
        "bounds": [{"text": bound.text, "value": bound.value, "limit": bound.limit, "holds": bound.holds}
                   for bound in bounds(samples)]}
