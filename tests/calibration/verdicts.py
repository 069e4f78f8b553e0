"""How often verdicts err, cover and find: `python -m tests.calibration.verdicts` writes docs/calibration-verdicts.md.

Every number comes from `harness.stats.Samples`, by which claims are judged, on simulated seeds with a fixed random generator.
"""

from __future__ import annotations

import argparse
import math
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import scipy
from scipy import stats as scipy_stats

from harness.looks import ERROR, Look, schedule
from harness.provenance import cpu_name
from harness.shown import markdown_table
from harness.stats import Samples, holm
from harness.task import Above, Region
from tests.calibration.seeds import SEEDS, Floats, Seeds

COUNTS = (3, 5, 10)
EFFECTS = (0.5, 1.0, 2.0, 3.0)
NULL = Above(0.0)
TUNED = tuple(map(Look, (3, 5, 8, 12, 20), (0.0035, 0.007, 0.0116, 0.0163, 0.0232)))
"""Levels tuned to an error of 4.7 % of one claim, which ours are set against."""
NAIVE = tuple(Look(n, ERROR) for n in range(3, 21))
FULL = 40_000


@dataclass(frozen=True)
class Rate:
    """A share of simulated studies."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.of

    @property
    def upper(self) -> float:
        """Upper end of its two-sided 95 % interval (Clopper and Pearson 1934)."""
        return float(scipy_stats.beta.ppf(0.975, self.count + 1, max(self.of - self.count, 1e-9)))

    def __str__(self) -> str:
        return f"{100 * self.value:.1f}"


def sides(values: Floats, region: Region = NULL, error: float = ERROR, *, step: float = 0.0) -> Floats:
    """1 where a study (row) is reproduced, -1 where it is not, 0 where it is inconclusive: the rule of `harness.verdict`."""
    samples = Samples.of(values, step=step)
    low, high = samples.interval(1 - error)
    inside, outside = (low > region.low) & (high < region.high), (high <= region.low) | (low >= region.high)
    return np.where(samples.p(region) < error, inside * 1.0 - outside, 0.0)


def false_alarms(seeds: Seeds, n: int, studies: int, rng: np.random.Generator) -> Rate:
    """Two methods that are the same, set against each other seed by seed: how often a claim about them is decided."""
    shape = studies, n
    differences = seeds.draw(rng, shape) - seeds.draw(rng, shape)
    return Rate(int(np.abs(sides(differences, step=2 * seeds.step)).sum()), studies)


@dataclass(frozen=True)
class Coverage:
    """Of intervals that may decide: where the truth lay. Samples without a spread to judge by decide nothing, by rule."""

    covered: Rate
    below: Rate
    """The truth lay below the interval."""
    above: Rate
    undecidable: Rate


def coverage(seeds: Seeds, n: int, studies: int, rng: np.random.Generator) -> Coverage:
    """Whether the interval covers the truth, study by study."""
    samples = Samples.of(seeds.draw(rng, (studies, n)), step=seeds.step, bounds=seeds.bounds)
    judged = samples.decidable
    low, high = (end[judged] for end in samples.interval())
    below, above, of = int((seeds.truth < low).sum()), int((seeds.truth > high).sum()), int(judged.sum())
    return Coverage(Rate(of - below - above, of), Rate(below, of), Rate(above, of), Rate(studies - of, studies))


def computed_power(effect: float, n: int, level: float = ERROR) -> float:
    """Of a two-sided t test at `level` to find the effect on its side, by the non-central t."""
    return float(scipy_stats.nct.sf(scipy_stats.t.ppf(1 - level / 2, n - 1), n - 1, effect * math.sqrt(n)))


def power(effect: float, n: int, studies: int, rng: np.random.Generator) -> Rate:
    """How often an effect of so many standard deviations is reproduced."""
    return Rate(int((sides(rng.normal(effect, 1.0, (studies, n))) > 0).sum()), studies)


@dataclass(frozen=True)
class Course:
    """What studies that run until they are decided come to."""

    right: Rate
    wrong: Rate
    seeds: float
    """Mean number of seeds."""


def until_decided(values: Floats, looks: Sequence[Look], *, step: float = 0.0) -> Course:
    """Each row of `values` is a study of one claim, which stops at the first look that decides."""
    side, used = np.zeros(len(values)), np.full(len(values), looks[-1].seeds)
    for look in looks:
        open_ = np.flatnonzero(side == 0)
        side[open_] = sides(values[open_, : look.seeds], error=look.level, step=step)
        used[open_[side[open_] != 0]] = look.seeds
    return Course(Rate(int((side > 0).sum()), len(side)), Rate(int((side < 0).sum()), len(side)), float(used.mean()))


def p_values(values: Floats) -> Floats:
    """`Samples.p` of the region above 0 over the last axis of an array, for seeds without bounds and steps."""
    return Samples.of(values.reshape(-1, values.shape[-1])).p(NULL).reshape(values.shape[:-1])


def family_error(values: Floats, null: Sequence[bool], looks: Sequence[Look]) -> Rate:
    """How often any claim without an effect is decided, where claims (second axis) are held together by Holm's correction at each look.

    `values` has the shape (studies, claims, seeds). A study stops when all its claims are decided, each at the first look that does.
    """
    decided = np.zeros(values.shape[:2], dtype=bool)
    for look in looks:
        open_ = np.flatnonzero(~decided.all(axis=1))
        decided[open_] |= holm(p_values(values[open_, :, : look.seeds])) < look.level
    return Rate(int(decided[:, np.asarray(null)].any(axis=1).sum()), len(values))


def judged_again(values: Floats, looks: Sequence[Look], stops: Floats) -> tuple[Floats, Floats]:
    """p over level of a claim in studies that stop at look `stops` for another's sake: the smallest of all looks, and that of the last."""
    ratios = np.array([p_values(values[:, : look.seeds]) / look.level for look in looks])
    run = np.arange(len(looks))[:, None] <= stops
    first = np.where(run, ratios, np.inf).min(axis=0)
    return first, ratios[stops.astype(int), np.arange(len(values))]


def correlated(rng: np.random.Generator, studies: int, claims: int, seeds: int, share: float) -> Floats:
    """Standard normal values (studies, claims, seeds) that share a part of their variance from claim to claim."""
    common = rng.normal(size=(studies, 1, seeds))
    return np.asarray(math.sqrt(share) * common + math.sqrt(1 - share) * rng.normal(size=(studies, claims, seeds)))


def page(studies: int) -> Iterator[str]:
    """The tables, from `studies` simulated studies a cell."""
    rng = np.random.default_rng(19)
    yield "## A method against itself\n"
    yield (
        "Two methods with the same distribution, differences by seed, a claim that one is higher. Decided at all, in % (with the upper end "
        "of its 95 % interval); promised: at most 5.\n"
    )
    rows = []
    for seeds in SEEDS:
        found = [false_alarms(seeds, n, studies, rng) for n in COUNTS]
        rows.append([seeds.name, *(f"{rate} ({100 * rate.upper:.1f})" for rate in found)])
    yield markdown_table(["seeds", *(f"n = {n}" for n in COUNTS)], rows)

    yield (
        "\nStudent's t is exact for normal seeds. Heavy and skewed tails make it decide less often; tails that are lighter than the "
        "normal's, such as those of beta(2, 2), by half a point more often."
    )
    yield "\n## Coverage of the 95 % interval\n"
    yield (
        "In %, with the misses apart: truth below the interval / above it. *Without spread*: equal seeds of which nothing says what "
        "rounding hides; they are inconclusive by rule and not counted.\n"
    )
    rows, notes = [], list[str]()
    for seeds in SEEDS:
        covers = [coverage(seeds, n, studies, rng) for n in COUNTS]
        without = ", ".join(str(c.undecidable) for c in covers) if any(c.undecidable.count for c in covers) else ""
        rows.append([seeds.name, *(f"{c.covered} ({c.below} / {c.above})" for c in covers), without])
        if any(not 0.93 <= c.covered.value <= 0.97 for c in covers):
            notes.append(f"- *{seeds.name}*: {seeds.why}")
    yield markdown_table(["seeds", *(f"n = {n}" for n in COUNTS), "without spread"], rows)
    yield "\nOutside 93 to 97 %:\n\n" + "\n".join(notes)

    yield "\n## Power of planted effects\n"
    yield "Normal seeds; reproduced in %, and computed from the non-central t.\n"
    rows = [[f"{d:g} sd", *(f"{power(d, n, studies, rng)} ({100 * computed_power(d, n):.1f})" for n in COUNTS)] for d in EFFECTS]
    yield markdown_table(["effect", *(f"n = {n}" for n in COUNTS)], rows)
    yield from _looks(studies, rng)
    yield from _families(studies, rng)


def _looks(studies: int, rng: np.random.Generator) -> Iterator[str]:
    yield "\n## Until decided\n"
    looks = schedule()
    levels = ", ".join(f"{look.level:.4f}" for look in looks)
    yield f"One claim, looks at {', '.join(str(look.seeds) for look in looks)} seeds. Ours: two-sided levels {levels}, which sum to 0.05.\n"
    rows = []
    for name, chosen in (("ours", looks), ("tuned to one claim", TUNED), ("95 % at every seed from 3", NAIVE)):
        for effect in (0.0, 0.5, 1.0, 2.0) if chosen is not NAIVE else (0.0,):
            found = until_decided(rng.normal(effect, 1.0, (studies, looks[-1].seeds)), chosen)
            alone = 100 * computed_power(effect, chosen[-1].seeds, chosen[-1].level)
            rows.append([name, f"{effect:g}", str(found.right), str(found.wrong), f"{found.seeds:.1f}", f"{alone:.1f}"])
    for seeds in SEEDS:
        if seeds.name.startswith(("log-normal, no", "t with", "normal of sd 0.3 steps, counted", "share of 300 examples, no")):
            shape = studies, looks[-1].seeds
            found = until_decided(seeds.draw(rng, shape) - seeds.draw(rng, shape), looks, step=2 * seeds.step)
            rows.append([f"ours; {seeds.name}", "0", str(found.right), str(found.wrong), f"{found.seeds:.1f}", ""])
    yield markdown_table(
        ["looks", "effect (sd)", "reproduced %", "not reproduced %", "mean seeds", "by the last look alone (computed) %"], rows
    )
    yield "\nA claim in a study that goes on for another, which has no effect: judged by the first look that decides it, or by the last.\n"
    rows = []
    for effect in (0.0, 0.5, 1.0):
        other = np.array([p_values(rng.normal(size=(studies, look.seeds))) > look.level for look in looks])
        stops = np.where(other.all(axis=0), len(looks) - 1, np.argmin(other, axis=0))
        first, last = judged_again(rng.normal(effect, 1.0, (studies, looks[-1].seeds)), looks, stops)
        rows.append([f"{effect:g}", *(str(Rate(int((found < 1).sum()), studies)) for found in (first, last))])
    yield markdown_table(["effect (sd)", "decided % by the first", "by the last"], rows)


def _families(studies: int, rng: np.random.Generator) -> Iterator[str]:
    yield "\n## Primary claims together\n"
    yield "At least one claim without an effect decided, in %: by Holm's correction at 5 seeds, and at each look of a run until decided.\n"
    rows = []
    for claims, nulls, share in ((2, 2, 0.0), (5, 5, 0.0), (5, 5, 0.5), (5, 3, 0.0), (20, 20, 0.0)):
        null = [place < nulls for place in range(claims)]
        values = correlated(rng, studies, claims, 20, share) + np.where(null, 0.0, 1.5)[None, :, None]
        found = [family_error(values, null, looks) for looks in ((Look(5, ERROR),), schedule(), TUNED)]
        alone = Rate(int((p_values(values[:, :, :5])[:, null] < ERROR).any(axis=1).sum()), studies)
        rows.append([str(claims), str(nulls), f"{share:g}", str(alone), *map(str, found)])
    heads = [
        "claims",
        "without effect",
        "shared variance",
        "n = 5, no correction",
        "n = 5, Holm",
        "until decided",
        "levels tuned to one claim",
    ]
    yield markdown_table(heads, rows)


def main() -> None:
    """Write the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--studies", type=int, default=FULL, help=f"simulated studies a cell (default: {FULL:,})")
    studies = options.parse_args().studies
    parts = list(page(studies))
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    head = (
        "# Calibration of verdicts\n\n"
        f"Written by `python -m tests.calibration.verdicts` ({studies:,} simulated studies a cell) on {datetime.now(UTC):%Y-%m-%d}; "
        f"{cpu_name()}; {versions}. What decides is `harness.stats.Samples`, with the rules of [verdicts.md](verdicts.md). "
        "A smaller run of the same code is a test (`tests/calibration/test_verdicts.py`).\n"
    )
    Path("docs/calibration-verdicts.md").write_text("\n".join([head, *parts]) + "\n")


if __name__ == "__main__":
    main()
