"""Methods over several cells at once: interquartile mean, performance profile, probability of improvement (Agarwal et al. 2021).

Scores are arrays (methods, cells, seeds). Their intervals are bootstrapped over seeds, each drawn for all cells and methods at once: what
a seed decides, such as a split, is common to its cells. The paper's stratified bootstrap draws in each cell by itself, from independent
runs; where seeds move all of their cells its intervals cover .56 to .62 instead of .95.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import special

from harness.bounds import SHARE, UNBOUNDED, Bounds
from harness.coverage import Need, needs
from harness.estimates import Mean, Reading
from harness.evidence import Evidence
from harness.kinds import cell as cell_of
from harness.leaderboard import Board
from harness.pooling import DATA, averages
from harness.stats import CONFIDENCE, Interval
from harness.task import Better, Statistic
from harness.trial_rows import Cell

Floats = npt.NDArray[np.float64]
DRAWS = 4000
MANY = 1000
"""Seeds."""
GROUPS = 40
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Summary:
    """One method over all cells."""

    method: str
    iqm: Interval
    """Mean of the middle half of its runs, in the metric's unit."""
    improvement: Interval
    """Probability that a run of it is better than one of another contender in the same cell; ties count half."""
    profile: tuple[float, ...]
    """Share of its runs that are as good as each threshold, or better."""


@dataclass(frozen=True)
class Aggregate:
    """The contenders of an experiment over the cells that all of them have, largest probability of improvement first."""

    metric: str
    unit: str
    cells: int
    seeds: int
    thresholds: tuple[float, ...]
    """The quartiles of all runs, from what most of them reach on."""
    summaries: Sequence[Summary]
    left_out: Sequence[str]
    """Contenders that lost a seed in one of the cells."""


def aggregate(evidence: Evidence, board: Board) -> Aggregate | None:
    """What the metric that ranks says over an experiment's cells: data sets and parameters that are not swept.

    None where contenders share fewer than two cells or seeds, what ranks is no mean of a metric, or a run did not reach it.
    """
    ranking = next((statistic for statistic in board.statistics if statistic.name == board.ranked_by), None)
    ranked = [row.method for row in board.rows if row.standing is not None]
    if ranking is None or not averages(ranking.estimate) or len(needs(ranking.estimate)) != 1 or len(ranked) < 2:
        return None
    (need,) = needs(ranking.estimate)
    cells = _shared(evidence, board.experiment, ranked, need)
    if len(cells) < 2:
        return None
    reading = Reading(board.experiment, need.metric, sweep=need.sweep) if need.sweep else Mean(need.metric)
    found = {method: [evidence.per_seed(reading, method, board.experiment, cell) for cell in cells] for method in ranked}
    if any(each.ranges for own in found.values() for each in own):
        # Of a bound no quartile and no share of wins is known.
        return None
    kept = [method for method in ranked if not any(each.lost for each in found[method])]
    seeds = sorted(set.intersection(*(set(each.values) for method in kept for each in found[method]))) if kept else []
    if len(kept) < 2 or len(seeds) < 2:
        return None
    scores = np.array([[[each.values[seed] for seed in seeds] for each in found[method]] for method in kept])
    return _aggregate(scores, kept, ranking, need.metric, [method for method in ranked if method not in kept])


def _aggregate(scores: Floats, methods: Sequence[str], ranking: Statistic, metric: str, left_out: Sequence[str]) -> Aggregate:
    shown, merits = (np.abs(scores) if ranking.better == "zero" else scores), merit(scores, ranking.better)
    thresholds = np.quantile(merits, QUARTILES)
    summaries = []
    for i, method in enumerate(methods):
        middle, wins = partial(_middle, shown[i]), partial(improvement, merits, i)
        summaries.append(
            Summary(
                method=method,
                iqm=bootstrapped(middle, scores.shape[2], ranking.bounds),
                improvement=bootstrapped(wins, scores.shape[2], SHARE),
                profile=tuple(performance_profile(merits[i], thresholds)),
            )
        )
    return Aggregate(
        metric=metric,
        unit=ranking.unit,
        cells=scores.shape[1],
        seeds=scores.shape[2],
        thresholds=tuple(-thresholds if ranking.better != "higher" else thresholds),
        summaries=sorted(summaries, key=lambda summary: -summary.improvement.estimate),
        left_out=left_out,
    )


def _shared(evidence: Evidence, experiment: str, methods: Sequence[str], need: Need) -> list[Cell]:
    """Cells in which the plan has trials of all methods. A parameter that no method varies is a trait of methods, and tells no cells."""
    planned = evidence.cells_of(experiment)
    swept = {f"param.{name}" for name in (need.sweep.over if need.sweep else ())}
    names = [str(name) for name in planned if (str(name).startswith("param.") or name == DATA) and name not in swept]
    rows = planned[planned["method"].isin(methods)]
    names = [name for name in names if (rows.groupby("method")[name].nunique(dropna=False) > 1).any()]
    if not names:
        return []
    cells = rows.drop_duplicates(["method", *names]).groupby(names, dropna=False, sort=False)["method"].nunique()
    keys = [key if isinstance(key, tuple) else (key,) for key in cells.index[cells == len(methods)]]
    return [dict(zip(names, (cell_of(value) for value in key), strict=True)) for key in keys]


def merit(scores: Floats, better: Better) -> Floats:
    """The scores so that larger is better."""
    return scores if better == "higher" else -scores if better == "lower" else -np.abs(scores)


def _middle(scores: Floats, draws: npt.NDArray[np.intp]) -> Floats:
    return interquartile_mean(scores[:, draws])


def interquartile_mean(scores: Floats) -> Floats:
    """Mean of the middle half of (cells, ..., seeds), over cells and seeds: a quarter of the runs, rounded down, is cut at each end."""
    flat = np.sort(np.moveaxis(scores, 0, -2).reshape(*scores.shape[1:-1], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return np.asarray(flat[..., cut : flat.shape[-1] - cut].mean(axis=-1))


def improvement(merits: Floats, method: int, draws: npt.NDArray[np.intp]) -> Floats:
    """Mean over cells and other methods of P(X > Y) + P(X = Y) / 2, where X and Y are runs in `draws` (..., seeds) of seeds."""
    own, others = merits[method], np.delete(merits, method, axis=0)
    if merits.shape[2] >= MANY:
        return np.array([_superiority(own[:, row], others[:, :, row]) for row in draws])
    wins = np.sign(own[None, :, :, None] - others[:, :, None, :]).mean(axis=(0, 1)) / 2 + 0.5
    share = (draws[..., None] == np.arange(merits.shape[2])).mean(axis=-2)
    return np.asarray(((share @ wins) * share).sum(axis=-1))


def _superiority(own: Floats, others: Floats) -> float:
    """`improvement` of (cells, runs) over (methods, cells, runs) by ranks: a table of all pairs grows with the square of the runs."""
    found = []
    for other in others:
        for mine, theirs in zip(own, np.sort(other, axis=-1), strict=True):
            below, up_to = (np.searchsorted(theirs, mine, side=side).mean() for side in ("left", "right"))
            found.append((below + up_to) / 2 / len(theirs))
    return float(np.mean(found))


def performance_profile(merits: Floats, thresholds: Floats) -> Floats:
    """Share of the runs (cells, seeds) that reach each threshold: Dolan & Moré 2002, over runs as Agarwal et al. 2021 have it."""
    return np.asarray((merits.reshape(-1, 1) >= thresholds).mean(axis=0))


def bootstrapped(statistic: Callable[[npt.NDArray[np.intp]], Floats], seeds: int, bounds: Bounds = UNBOUNDED) -> Interval:
    """A statistic of drawn seeds, (draws, seeds), with the t interval of its bootstrap standard error, cut at the bounds.

    The bootstrap's variance is (n - 1) / n of the seeds'. Of five seeds percentiles cover 80 to 89 % instead of 95, this 94 to 95.
    Of MANY seeds the error is that between GROUPS of them, by means of batches: as many draws would take hours.
    """
    rng = np.random.default_rng(0)
    if seeds < MANY:
        error, free = float(np.std(statistic(rng.integers(seeds, size=(DRAWS, seeds))))) * math.sqrt(seeds / (seeds - 1)), seeds - 1
    else:
        groups = rng.permutation(seeds)[: seeds // GROUPS * GROUPS].reshape(GROUPS, -1)
        error, free = float(np.std([statistic(group[None])[0] for group in groups], ddof=1)) / math.sqrt(GROUPS), GROUPS - 1
    half = float(special.stdtrit(free, (1 + CONFIDENCE) / 2)) * error
    estimate = float(statistic(np.arange(seeds)[None])[0])
    return Interval(estimate, max(estimate - half, bounds.low), min(estimate + half, bounds.high), seeds)
