"""Columns of a study by the names that people use: `width` for `param.width`, `deviation_width` for a leaderboard's statistic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from harness.errors import DataError, UsageError, unknown
from harness.evidence import Evidence
from harness.leaderboard import columns
from harness.study import Study
from harness.task import Experiment, Statistic

if TYPE_CHECKING:
    import pandas as pd

STATISTIC = "statistic."


def named(study: Study, frame: pd.DataFrame, wanted: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The table with a column for each of `wanted` that is a parameter, a metric or a statistic without its prefix, and notes.

    Statistics have a row for each method, seed and combination of the parameters that are wanted too, instead of one for each trial.
    UsageError for a name that is a parameter and a metric, and beside a statistic for one that is nothing. What is none of these otherwise
    stays as it is: a formula, or a mistake.
    """
    boards = [
        (evidence, experiment, {column.name: column for column in columns(evidence, experiment)})
        for evidence in (Evidence(study, task, scale) for task, scale in study.groups())
        for experiment in evidence.task.experiments
    ]
    known = {name for *_, shown in boards for name in shown}
    alias = {name: own for name in dict.fromkeys(wanted) if name not in frame and (own := _prefixed(frame, name))}
    asked = [name for name in dict.fromkeys(wanted) if name not in alias and name.removeprefix(STATISTIC) in known and name not in frame]
    if not asked:
        return frame.assign(**{name: frame[own] for name, own in alias.items()}), []
    for name in wanted:
        if name.isidentifier() and name not in frame and name not in alias and name not in asked:
            params = [column.removeprefix("param.") for column in map(str, frame) if column.startswith("param.")]
            raise unknown(f"column of {study.name}", name, [*params, "task", "experiment", "method", "seed", *sorted(known)])
    along = [own for name in wanted if (own := alias.get(name, name)).startswith("param.") and own in frame]
    rows: list[dict[str, Any]] = []
    for evidence, experiment, shown in boards:
        if all(name.removeprefix(STATISTIC) in shown for name in asked):
            rows += _rows(evidence, experiment, {name: shown[name.removeprefix(STATISTIC)] for name in asked}, along)
    if not rows:
        raise DataError(f"{' and '.join(asked)} of {study.name} has no number at one value of {', '.join(along)}: it runs over them")
    import pandas as pd

    found = pd.DataFrame(rows)
    experiments = list(dict.fromkeys(found["experiment"]))
    note = [f"rows of {len(experiments)} experiments are mixed: --where experiment={experiments[0]} takes one"] if experiments[1:] else []
    return found.assign(**{name: found[own] for name, own in alias.items() if own in found}), note


def _prefixed(frame: pd.DataFrame, name: str) -> str:
    found = [own for own in (f"param.{name}", f"metric.{name}") if own in frame]
    if len(found) > 1:
        raise UsageError(f"{name} is a parameter and a metric of this study: say {' or '.join(found)}")
    return found[0] if found else ""


def _rows(evidence: Evidence, experiment: Experiment, asked: dict[str, Statistic], along: Sequence[str]) -> Iterable[dict[str, Any]]:
    """A row for each method, seed and cell in which every statistic has a number."""
    for method in evidence.task.methods:
        planned = evidence.cells_of(experiment.name, method.name)
        if any(name not in planned for name in along):
            continue
        for values in product(*(sorted(planned[name].dropna().unique()) for name in along)):
            at = dict(zip(along, values, strict=True))
            of = {name: evidence.per_seed(column.estimate, method.name, experiment.name, at).values for name, column in asked.items()}
            for seed in set.intersection(*(set(found) for found in of.values())):
                numbers = {name: found[seed] for name, found in of.items()}
                yield {"task": evidence.task.id, "experiment": experiment.name, "method": method.name, "seed": seed, **at, **numbers}
