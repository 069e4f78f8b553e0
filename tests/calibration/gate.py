"""How often `papertrial compare --gate` stops for chance, and how often it finds a planted regression.

    python -m tests.calibration.gate [--sets N] > docs/calibration-gate.md

Seeds are drawn in place of records. What follows is what `compare` does with them.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy
from scipy import stats

from harness.claims import better
from harness.compare import LEVEL, Change, Comparison, Tolerance, Turn
from harness.compare.changes import changes
from harness.compare.family import NO_TOLERANCE, judged
from harness.compare.pairs import Pair
from harness.compare.turns import turns
from harness.estimates import Difference, Estimate, Of, Reading
from harness.evidence import Evidence, SeedValues
from harness.judgement import Judgement, Ruling
from harness.leaderboard import boards
from harness.provenance import cpu_name
from harness.task import Method, Metric
from harness.verdict import decide
from tests.harness.fabricated import experiment_of, study_of, task_of

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Spread = Callable[[np.random.Generator, int], np.ndarray]


def _skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Log-normal, standardised: skewness 6.2."""
    return (rng.lognormal(size=shape) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


NOISE: Mapping[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": _skewed,
    "heavy tails": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
    "discrete": lambda rng, shape: rng.normal(size=shape),
    "coarse": lambda rng, shape: rng.normal(size=shape),
}
"""Of one seed: mean 0 and standard deviation 1."""
STEP = {"discrete": 1.0, "coarse": 2.0}
"""What values are rounded to multiples of: about one and two standard deviations of a seed."""


def _as_found(rng: np.random.Generator, methods: int) -> np.ndarray:
    """As in the reference studies: most methods within a factor of two, one in eight noisier by up to a thousand."""
    spread = np.exp(0.4 * rng.normal(size=methods))
    return np.where(rng.random(methods) < 1 / 8, spread * 10 ** rng.uniform(0.5, 3.0, methods), spread)


SPREAD: Mapping[str, Spread] = {
    "equal": lambda _rng, methods: np.ones(methods),
    "two kinds": lambda _rng, methods: np.where(np.arange(methods) < methods // 2, 5.0, 1.0),
    "as found": _as_found,
}
"""Standard deviations of the methods."""


@dataclass(frozen=True, eq=False)
class Drawn(Evidence):
    """Evidence whose seeds say what was drawn for them."""

    drawn: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    template: Evidence | None = None
    """Evidence of the same plan, which is read once for all that are drawn."""

    def cells_of(self, experiment: str, method: str | None = None) -> pd.DataFrame:
        """What the template plans."""
        return super().cells_of(experiment, method) if self.template is None else self.template.cells_of(experiment, method)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """What the template plans."""
        return super().cells if self.template is None else self.template.cells

    def per_seed(self, estimate: Estimate, method: str | None = None, experiment: str = "") -> SeedValues:
        """What was drawn, of one method or of a difference."""
        seeds = next(iter(self.drawn.values()))
        return SeedValues({seed: self._value(estimate, method, seed) for seed in seeds}, {}, frozenset())

    def _value(self, estimate: Any, method: str | None, seed: int) -> float:
        if isinstance(estimate, Difference):
            return self._value(estimate.left, method, seed) - self._value(estimate.right, method, seed)
        if isinstance(estimate, Of):
            return self._value(estimate.estimate, estimate.method, seed)
        if not isinstance(estimate, Reading) or method is None:
            raise TypeError(f"nothing was drawn for {estimate!r}")
        return self.drawn[method][seed]


@cache
def _template(methods: int, seeds: int, first_seed: int, claims: bool) -> Ruling:
    names = [f"m{place}" for place in range(methods)]
    experiment = experiment_of(metrics=[Metric("score", "points", "higher")])
    said = [claim for name in names[1:] for claim in better(f"C-{name}", name, names[0], experiment["score"], source="abstract")]
    task = task_of(methods=[Method(name, "baseline") for name in names], experiment=experiment, seeds=seeds, claims=said if claims else [])
    study = study_of(Path(tempfile.gettempdir()), task, lambda _: {"score": 0.0}, first_seed=first_seed)
    evidence = Evidence(study, task, "laptop")
    return Ruling(evidence, boards(evidence), [])


def judgement(values: np.ndarray, *, first_seed: int = 0, claims: bool = False) -> Judgement:
    """A study of one experiment. values: (methods, seeds), where more is better; claims: each method is better than the first."""
    template = _template(*values.shape, first_seed, claims)
    drawn = {f"m{place}": {first_seed + seed: float(v) for seed, v in enumerate(row)} for place, row in enumerate(values)}
    evidence = Drawn(template.evidence.study, template.evidence.task, "laptop", drawn=drawn, template=template.evidence)
    return Judgement(evidence.study, [Ruling(evidence, template.boards, decide(evidence))])


@dataclass(frozen=True)
class Scenario:
    """Two studies of the same methods."""

    noise: str
    spread: str
    methods: int
    seeds: int
    regression: float = 0.0
    """Of one method, in standard deviations of its difference between the studies (of paired differences, where seeds are shared)."""
    replicate: bool = False
    effects: float = 0.0
    """With claims: half of the methods are better than the first by so many standard deviations, half are equal to it."""
    strict: bool = False
    tolerance: float | None = None
    """In standard deviations of a seed."""

    def draw(self, rng: np.random.Generator) -> tuple[Judgement, Judgement, int]:
        """Two studies, and which method got worse."""
        shape, spread = (self.methods, self.seeds), SPREAD[self.spread](rng, self.methods)
        before, after = (spread[:, None] * NOISE[self.noise](rng, shape) for _ in range(2))
        worse = int(rng.integers(self.methods))
        # Two independent studies: a difference has twice the variance of a seed.
        after[worse] -= self.regression * np.sqrt(2) * spread[worse]
        if self.effects:
            gains = np.where(np.arange(self.methods) % 2 == 1, self.effects, 0.0)[:, None]
            before, after = before + gains, after + gains
        if step := STEP.get(self.noise):
            before, after = step * np.round(before / step), step * np.round(after / step)
        claims = bool(self.effects)
        return judgement(before, claims=claims), judgement(after, first_seed=self.seeds if self.replicate else 0, claims=claims), worse

    def judge(self, before: Judgement, after: Judgement) -> tuple[list[Change], list[Turn]]:
        """What a gate stops for."""
        level = LEVEL / 2 if self.strict else LEVEL
        pair = Pair(before.rulings[0], after.rulings[0])
        tolerance = NO_TOLERANCE if self.tolerance is None else Tolerance(self.tolerance)
        found = Comparison(
            changes=judged(changes(pair), level, tolerance),
            claims=turns([pair], level, strict=self.strict),
            obstacles=[],
            remarks=[],
            level=level,
            replicate=self.replicate,
        )
        return found.regressions, found.fallen


@dataclass
class Rates:
    """Counts over simulated comparisons."""

    sets: int = 0
    stopped: int = 0
    """The gate stops, whatever for."""
    found: int = 0
    """The method that got worse is called so."""

    @property
    def bound(self) -> float:
        """Upper 95 % bound of the rate of stops (Clopper and Pearson, 1934)."""
        return 1.0 if self.stopped == self.sets else float(stats.beta.ppf(0.95, self.stopped + 1, self.sets - self.stopped))


def simulate(scenario: Scenario, sets: int, seed: int = 0) -> Rates:
    """`sets` comparisons of a scenario."""
    rng, rates = np.random.default_rng(seed), Rates(sets)
    for _ in range(sets):
        before, after, worse = scenario.draw(rng)
        regressions, fallen = scenario.judge(before, after)
        rates.stopped += bool(regressions or fallen)
        rates.found += any(change.method == f"m{worse}" for change in regressions)
    return rates


SEED = 1 / np.sqrt(2)
"""A standard deviation of a seed, in those of a difference of two independent studies."""
EQUAL = [
    *(Scenario(noise, "as found", 12, seeds) for seeds in (3, 5, 10) for noise in NOISE),
    *(Scenario("normal", spread, methods, 5) for spread in ("equal", "two kinds") for methods in (2, 6, 28)),
    *(Scenario(noise, "as found", 12, 5, replicate=True) for noise in ("normal", "skewed", "coarse")),
]
WORSE = [
    *(Scenario(noise, "as found", 12, 5, regression=3.0) for noise in NOISE),
    *(Scenario("normal", spread, methods, 5, regression=3.0) for spread in ("equal", "as found") for methods in (6, 28)),
    *(Scenario("normal", "as found", 12, seeds, regression=3.0) for seeds in (3, 10)),
    *(Scenario("normal", "as found", methods, 5, regression=3.0 * SEED) for methods in (6, 12, 28)),
    Scenario("normal", "as found", 12, 5, regression=3.0 * SEED, replicate=True),
]
CLAIMS = [Scenario("normal", "as found", 6, 5, effects=effects, strict=strict) for effects in (1.0, 2.0) for strict in (False, True)]
TOLERATED = [Scenario("normal", "equal", 6, seeds, regression=r * SEED, tolerance=3.0) for seeds in (5, 10) for r in (0.0, 3.0)]


def _row(scenario: Scenario, *cells: str) -> str:
    test = "Welch" if scenario.replicate else "paired"
    return f"| {' | '.join([scenario.noise, scenario.spread, str(scenario.methods), str(scenario.seeds), test, *cells])} |"


def _table(title: str, text: str, columns: Sequence[str], rows: Iterator[str]) -> None:
    print(f"\n## {title}\n\n{text}\n")
    heads = ["noise", "methods differ in noise", "methods", "seeds", "test", *columns]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for row in rows:
        print(row, flush=True)


def _percent(count: int, sets: int) -> str:
    return f"{100 * count / sets:.1f}"


def _equal(scenarios: Sequence[Scenario], sets: int) -> Iterator[str]:
    for scenario in scenarios:
        rates = simulate(scenario, sets)
        shown = [f"{scenario.effects:g}", "yes" if scenario.strict else "no"] if scenario.effects else []
        yield _row(scenario, *shown, str(sets), _percent(rates.stopped, sets), f"{100 * rates.bound:.1f}")


def _worse(sets: int) -> Iterator[str]:
    for scenario in WORSE:
        rates = simulate(scenario, sets)
        yield _row(scenario, f"{scenario.regression:.2f}", str(sets), _percent(rates.found, sets))


def _tolerated(sets: int) -> Iterator[str]:
    for scenario in TOLERATED:
        rates = simulate(scenario, sets)
        lost = f"{scenario.regression / SEED:g}"
        yield _row(scenario, f"{scenario.tolerance:g}", lost, str(sets), _percent(sets - rates.stopped, sets))


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000, help="comparisons of equal studies; a quarter of them for the other tables")
    sets = parser.parse_args().sets
    few, began = max(sets // 4, 1), time.monotonic()
    print("# The gate: false alarms, and what it finds")
    print(
        "\nMade by `python -m tests.calibration.gate`: seeds are drawn, and judged as `papertrial compare --gate` judges those of records."
    )
    print("Noise: of a seed. Skewed: log-normal. Heavy tails: Student's t with 3 degrees of freedom. Discrete, coarse: normal, rounded to")
    print("steps of one and two standard deviations. Methods differ in noise: not at all; by a factor of 5 in half of them; as in the")
    print("reference studies, most within a factor of two and one in eight noisier by up to a thousand.")
    ends = ["comparisons", "gate stops, %", "upper 95 % bound, %"]
    _table("Equal studies", "The gate promises at most 5 %.", ends, _equal(EQUAL, sets))
    text = "Half of the methods are better than the first by the effect, in standard deviations; a claim for each. 5 % are for all of it."
    _table("Equal studies with claims", text, ["effect", "--strict", *ends], _equal(CLAIMS, few))
    text = (
        "One method is worse by so many standard deviations of its difference between the studies. 2.12 of these are 3 of a seed where the "
        "noise of the studies is independent."
    )
    _table("A planted regression", text, ["regression", "comparisons", "found, %"], _worse(few))
    text = "How often the gate passes with `--tolerance`, in standard deviations of a seed; one method lost as much as said."
    _table("Non-inferiority", text, ["tolerance", "loss", "comparisons", "passes, %"], _tolerated(few))
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, pandas {pd.__version__}"
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {cpu_name()}, {versions}, {(time.monotonic() - began) / 60:.0f} minutes.")


if __name__ == "__main__":
    main()
