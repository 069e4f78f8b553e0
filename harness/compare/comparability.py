"""What keeps one study from being judged against another: what is missing, and what else differs than the numbers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.compare.changes import Change
from harness.compare.pairs import Pair
from harness.judgement import Judgement
from harness.leaderboard import columns, is_comparable
from harness.study import Study
from harness.tally import was_tried

if TYPE_CHECKING:
    import pandas as pd

_CONDITIONS = {
    "data": ("data", "data_fingerprint"),
    "version": ("version of the task", "version"),
    "source": ("source of the task", "source_digest"),
    "device": ("device", "device"),
    "libraries": ("library versions", "versions"),
}
ALLOWED = (*_CONDITIONS, "parameters", "seeds")
"""What may differ between two studies that a gate judges, where the user says that it is meant."""
_MOST_SHOWN = 3


@dataclass(frozen=True)
class Obstacle:
    """Why a gate cannot judge."""

    sentence: str
    allowed_by: str = ""
    """The word that makes it a remark; empty: nothing does."""

    def __str__(self) -> str:
        return f"{self.sentence} (meant? --allow {self.allowed_by})" if self.allowed_by else self.sentence


def without_record(study: Study) -> int:
    """Trials that a study plans and has no record of."""
    return len(study.plan) - len(study.frame)


def obstacles(before: Judgement, after: Judgement, pairs: Sequence[Pair]) -> list[Obstacle]:
    """Of two studies and the tasks at scales that they share, before any number is looked at."""
    shared = [pair.before for pair in pairs]
    found = [
        Obstacle(f"{after.study.name} has no trial of {ruling.evidence.task.id} at scale {ruling.evidence.scale}")
        for ruling in before.rulings
        if ruling not in shared
    ]
    if count := without_record(after.study):
        found.append(Obstacle(f"{count} trials of {after.study.name} have no record yet: run it to its end"))
    for pair in pairs:
        found += [*_missing(pair), *_conditions(pair)]
    return found


def of_changes(changes: Sequence[Change]) -> list[Obstacle]:
    """Of primary numbers: seeds too few to test, and means over other cells."""
    primary = [change for change in changes if change.primary]
    few = [c for c in primary if c.test != "exact" and c.loss.n < 2 and c.direction != "lost seeds"]
    others = [c for c in primary if not c.same_cells]
    found = [Obstacle(f"{_of(few)}: fewer than two seeds to compare")] if few else []
    return [*found, *([Obstacle(f"{_of(others)}: read from other parameters than before", "parameters")] if others else [])]


def of_claims(pairs: Sequence[Pair]) -> list[Obstacle]:
    """Claims that were decided and are not tested any more; of those that lost every seed the gate speaks where it counts lost seeds."""
    found = []
    for pair in pairs:
        tried = {verdict.claim for verdict in pair.after.verdicts if was_tried(verdict)}
        gone = [v.claim for v in pair.before.verdicts if v.verdict != "not tested" and v.claim not in tried]
        if gone:
            found.append(Obstacle(f"{pair.where}: not tested any more: {_listed(gone)}"))
    return found


def remarks(pairs: Sequence[Pair]) -> Iterator[str]:
    """What is left out of the comparison."""
    for pair in pairs:
        evidence = pair.new
        for name in evidence.experiments:
            experiment = evidence.task.experiment(name)
            unequal = [column.name for column in columns(evidence, experiment) if not is_comparable(evidence, experiment, column)]
            if unequal:
                yield (
                    f"{pair.where}, experiment {name}: methods ran with different parameters and no statistics are declared, so only "
                    f"claims are compared there, not {', '.join(unequal)}"
                )


def _missing(pair: Pair) -> Iterator[Obstacle]:
    """Methods, cells and seeds that were planned and are not any more."""
    old, new = pair.cells
    where, methods = pair.where, {cell[:2] for cell in new}
    gone = sorted({f"{method} ({experiment})" for experiment, method, _ in old if (experiment, method) not in methods})
    if gone:
        yield Obstacle(f"{where}: the plan has no trial of {_listed(gone)} any more")
    cells = [cell for cell in old if cell[:2] in methods and cell not in new]
    if cells:
        names = sorted({f"{method} ({experiment})" for experiment, method, _ in cells})
        yield Obstacle(f"{where}: {len(cells)} of {len(old)} cells are not planned any more, of {_listed(names)}", "parameters")
    common = [cell for cell in old if cell in new]
    if pair.is_replicate:
        seeds = [_spelled(side) for side in pair.seeds]
        yield Obstacle(f"{where}: no seed in common ({seeds[0]} before, {seeds[1]} after), an independent replicate", "seeds")
    elif absent := {seed for cell in common for seed in old[cell] - new[cell]}:
        yield Obstacle(f"{where}: seeds {_spelled(absent)} are not planned any more", "seeds")


def _conditions(pair: Pair) -> Iterator[Obstacle]:
    """What records of the methods in common say of the circumstances."""
    sides = [side.study.records(side.task, side.scale) for side in (pair.old, pair.new)]
    names = [list(zip(side["experiment"], side["method"], strict=True)) for side in sides]
    both = set(names[0]) & set(names[1])
    old, new = (side[np.array([name in both for name in own], dtype=bool)] for side, own in zip(sides, names, strict=True))
    for word, (what, column) in _CONDITIONS.items():
        if set(old[column]) != set(new[column]):
            values = _libraries(old, new) if word == "libraries" else [_values(side[column]) for side in (old, new)]
            yield Obstacle(f"{pair.where}: the studies differ in the {what}: {values[0]} before, {values[1]} after", word)


def _values(column: pd.Series[Any]) -> str:
    return _listed(sorted(str(value) or "none" for value in set(column)))


def _libraries(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Of both sides, the libraries that are not the same."""
    sides: list[Mapping[str, set[Any]]] = []
    for frame in (old, new):
        found: dict[str, set[Any]] = defaultdict(set)
        for versions in frame["versions"].unique():
            for name, version in json.loads(versions).items():
                found[name].add(version)
        sides.append(found)
    names = sorted(name for name in sides[0].keys() | sides[1].keys() if sides[0].get(name) != sides[1].get(name))
    return [_listed([f"{name} {'/'.join(sorted(map(str, side.get(name, {'none'}))))}" for name in names]) for side in sides]


def _of(changes: Sequence[Change]) -> str:
    names = _listed([f"{change.statistic} of {change.method}" for change in changes])
    where = dict.fromkeys(f"{change.task} at scale {change.scale}" for change in changes)
    return f"{' and '.join(where)}: {names}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "") if names else "none"


def _spelled(seeds: set[int]) -> str:
    """`0 to 4`, or one by one where some are left out between."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    return _listed([str(seed) for seed in ordered])
