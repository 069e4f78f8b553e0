"""One MLflow experiment that gathers the leaderboards of all papers: a run per (paper, experiment, method, scale) under common names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import registry
from harness.judgement import Ruling
from harness.leaderboard import Board, Row
from harness.mlflow_client import create_run, experiment_id, find_runs, log, log_table
from harness.ranking import Contender
from harness.task import Better, Statistic

if TYPE_CHECKING:
    from mlflow import MlflowClient

GATHERED = "papertrial/leaderboard"
TABLE = "leaderboard.json"
"""`mlflow.set_experiment(GATHERED); mlflow.load_table(TABLE)` is one frame over all studies."""
OF = "papertrial.of"
"""Tag: the key of the study, task and scale whose board a run is of."""
TAGS = {
    "mlflow.note.content": "Every method of every paper on trial, under common names: rank, what it gains on the paper's baseline in "
    "per cent and in standard errors (positive is better), seconds, memory and energy a trial. Each run is one row of the "
    "table leaderboard.json."
}


@dataclass(frozen=True)
class Gain:
    """What a method gains on the baseline in the number that ranks, paired by seed; positive is better, NaN where it cannot be said."""

    percent: float = math.nan
    standard_errors: float = math.nan
    over: str = ""
    """The baseline."""


def gain(own: Contender | None, baseline: Contender | None, better: Better) -> Gain:
    """Of seeds that both have, and whose numbers are known, not bounds. Per cent are of the baseline's mean."""
    if own is None or baseline is None or better == "none" or own.method == baseline.method:
        return Gain()
    seeds = [seed for seed in own.values if seed in baseline.values and seed not in own.ranges and seed not in baseline.ranges]
    if not seeds:
        return Gain(over=baseline.method)
    ours, theirs = (np.array([one.values[seed] for seed in seeds]) for one in (own, baseline))
    if better == "zero":
        ours, theirs = abs(ours), abs(theirs)
    gained = ours - theirs if better == "higher" else theirs - ours
    middle = abs(theirs.mean())
    error = gained.std(ddof=1) / math.sqrt(len(seeds)) if len(seeds) > 1 else 0.0
    return Gain(
        float(100 * gained.mean() / middle) if middle else math.nan,
        float(gained.mean() / error) if error > 0 else math.nan,
        baseline.method,
    )


def rows(ruling: Ruling) -> Iterator[dict[str, Any]]:
    """The rows of a task at a scale; a number that is not known is None."""
    entries, task = registry.tasks(), ruling.evidence.task
    field = entries[task.id].field if task.id in entries else ""
    for board in ruling.boards:
        ranking = next((column for column in board.statistics if column.name == board.ranked_by), None)
        first = next((row for row in board.rows if row.role == "baseline"), None)
        for row in board.rows:
            yield _row(ruling, field, board, row, ranking, first)


def _row(ruling: Ruling, field: str, board: Board, row: Row, ranking: Statistic | None, first: Row | None) -> dict[str, Any]:
    task, study = ruling.evidence.task, ruling.evidence.study
    entry = row.entries[ranking.name] if ranking else None
    base = first.entries[ranking.name].seeds if ranking and first else None
    gained = gain(entry.seeds, base, ranking.better) if ranking and entry else Gain()
    interval = entry.interval if entry else None
    numbers = {
        "rank": row.standing.low if row.standing else None,
        "rank_high": row.standing.high if row.standing else None,
        "p_best": row.standing.p_best if row.standing else None,
        "primary": interval.estimate if interval else None,
        "primary_low": interval.low if interval else None,
        "primary_high": interval.high if interval else None,
        "gain_percent": gained.percent,
        "gain_standard_errors": gained.standard_errors,
        "trial_seconds": row.cost.seconds,
        "peak_memory_mib": row.cost.memory,
        "trial_energy_j": row.cost.energy,
        "tuning_trials": row.cost.tuning,
        "trials_ok": row.trials_ok,
        "trials_failed": row.trials_failed,
        "seeds": interval.n if interval else 0,
        "seeds_lost": entry.lost if entry else 0,
    }
    return {
        # A bare id would be read back from the table as a number, without its last zeros.
        "paper": f"arXiv:{task.paper.arxiv}",
        "task": task.id,
        "field": field,
        "scale": board.scale,
        "experiment": board.experiment,
        "method": row.method,
        "role": row.role,
        "statistic": ranking.name if ranking else "",
        "unit": ranking.unit if ranking else "",
        "better": ranking.better if ranking else "",
        "baseline": gained.over,
        "data_kind": board.data_kind,
        "study": study.name,
        **{name: float(value) if value is not None and math.isfinite(value) else None for name, value in numbers.items()},
    }


def publish(client: MlflowClient, uri: str, key: str, ruling: Ruling) -> None:
    """Put the rows of a task at a scale into the gathering experiment, in place of those that were there under `key`."""
    from mlflow.entities import Metric, Param

    experiment = experiment_id(client, uri, GATHERED, TAGS)
    before = find_runs(client, experiment, OF, key)
    for row in rows(ruling):
        name = f"{row['method']} ({row['task']}, {row['experiment']}, {row['scale']})"
        run = create_run(client, experiment, name, {OF: key, **_tags(row)})
        words = [Param(name, value) for name, value in row.items() if isinstance(value, str)]
        log(client, run, [Metric(name, value, 0, 0) for name, value in row.items() if isinstance(value, float)], words)
        log_table(client, run, {name: [value] for name, value in row.items()}, TABLE)
        client.set_terminated(run)
    for run in before:
        client.delete_run(run.info.run_id)


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    return {f"papertrial.{name}": str(row[name]) for name in ("field", "scale", "role", "data_kind")}
