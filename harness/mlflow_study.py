"""A study in MLflow: written by the driver alone, after the records are safe, and the same however often it is published."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import mlflow_leaderboard, registry
from harness.errors import PapertrialError
from harness.evidence import Evidence
from harness.frames import to_parquet
from harness.judgement import Judgement, Ruling
from harness.leaderboard import Board, Row, equal_cells
from harness.masking import mask
from harness.mlflow_client import (
    DERIVED,
    DIGEST,
    KEY,
    PARENT,
    Key,
    TrackingError,
    connect,
    create_run,
    experiment_id,
    find_runs,
    log,
    log_table,
    names,
    sha,
)
from harness.papers import COUNTED
from harness.partial import Partial
from harness.plan import versions
from harness.report import tables
from harness.report.verdicts import caution, region, verdicts_csv
from harness.shown import plain, sentence
from harness.stats import Interval, seed_interval
from harness.tally import outcome, sentences, tally

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

CONTENT = 3
"""Of what a publication holds: studies that an older papertrial published are published again."""


def publish(judgement: Judgement, tracking_uri: str, files: Mapping[str, str]) -> str:
    """One parent run a (task, scale) with one child an (experiment, method); returns the parents' run ids, joined by spaces.

    What is already there with the same content stays untouched; an older version of the study is deleted once the new one is whole.
    `files` are the report's files, name -> text. Raises TrackingError, whatever went wrong inside MLflow.
    """
    try:
        client = connect(tracking_uri)
        return " ".join(_publish_task(client, tracking_uri, ruling, files) for ruling in judgement.rulings)
    except PapertrialError:
        raise
    except Exception as error:
        raise TrackingError(f"MLflow at {mask(tracking_uri)} did not take study {judgement.study.name}: {sentence(error)}") from error


def _publish_task(client: MlflowClient, uri: str, ruling: Ruling, files: Mapping[str, str]) -> str:
    evidence = ruling.evidence
    study, task, scale = evidence.study, evidence.task, evidence.scale
    experiment = experiment_id(client, uri, f"papertrial/{task.id}", experiment_tags(ruling))
    key = sha(study.name, study.store.uri, task.id, scale)
    content = digest(ruling)
    before = find_runs(client, experiment, KEY, key)
    for run in before:
        if run.data.tags.get(DIGEST) == content:
            return str(run.info.run_id)
    started, ended = span(study.records(task, scale))
    parent = create_run(client, experiment, study.name, {KEY: key, **parent_tags(ruling)}, started)
    _summary(client, parent, ruling)
    for board in ruling.boards:
        found = {row.method: metrics(evidence, board, row) for row in board.rows}
        labels = names(key for values in found.values() for key in values)
        for row in board.rows:
            _child(client, experiment, parent, evidence, board, row, {labels[key]: value for key, value in found[row.method].items()})
    _artifacts(client, parent, evidence, files)
    mlflow_leaderboard.publish(client, uri, key, ruling)
    client.set_terminated(parent, end_time=ended)
    # The digest comes last: a run without one was cut short, and the next publication replaces it.
    client.set_tag(parent, DIGEST, content)
    for run in before:
        for child in find_runs(client, experiment, PARENT, run.info.run_id):
            client.delete_run(child.info.run_id)
        client.delete_run(run.info.run_id)
    return parent


def experiment_tags(ruling: Ruling) -> dict[str, str]:
    """What an experiment of MLflow says of its paper."""
    task, entries = ruling.evidence.task, registry.tasks()
    paper = task.paper
    return {
        "papertrial.paper": plain(paper.title),
        "papertrial.arxiv": plain(paper.arxiv),
        "papertrial.field": entries[task.id].field if task.id in entries else "",
        "mlflow.note.content": plain(f"{paper.title} ({paper.year}), https://arxiv.org/abs/{paper.arxiv}. {task.summary}".strip()),
    }


def span(records: pd.DataFrame) -> tuple[int | None, int | None]:
    """When the first trial started and the last one ended, in milliseconds of the epoch; None where no record says it."""
    found = records[records["started"].astype(str) != ""]
    if found.empty:
        return None, None
    starts = [datetime.fromisoformat(text).timestamp() for text in found["started"]]
    ends = [start + seconds for start, seconds in zip(starts, found["seconds"], strict=True) if seconds == seconds]
    return round(1000 * min(starts)), round(1000 * max([*ends, max(starts)]))


def _summary(client: MlflowClient, run: str, ruling: Ruling) -> None:
    """The parent's parameters, its claims by verdict, the estimates of those that the paper stands on, its data, and both tables."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    evidence = ruling.evidence
    records = evidence.study.records(evidence.task, evidence.scale)
    planned = [trial for trial in evidence.study.plan if (trial.task, trial.scale) == (evidence.task.id, evidence.scale)]
    params = {
        "task": evidence.task.id,
        "version": versions(planned),
        "scale": evidence.scale,
        "seeds": len({trial.seed for trial in planned}),
        "trials": len(planned),
        "data_kind": evidence.data_kind(),
    }
    own = sentences([verdict for verdict in ruling.verdicts if verdict.kind == "paper"])
    numbers = {f"claims.{verdict.replace(' ', '_')}": float(own.count(verdict)) for verdict in COUNTED}
    numbers |= {"trials_ok": float((records["status"] == "ok").sum()), "trials_recorded": float(len(records))}
    keys: dict[Key, float] = {("", name): value for name, value in numbers.items()}
    for verdict in ruling.verdicts:
        if verdict.primary and verdict.interval.n:
            keys |= _spread(f"{DERIVED}claim.{verdict.claim}", verdict.interval)
    labels = names(keys)
    finite = [Metric(labels[key], value, 0, 0) for key, value in keys.items() if abs(value) < float("inf")]
    log(client, run, finite, [Param(name, plain(str(value))) for name, value in params.items()])
    sets = {trial.data.fingerprint: trial.data for trial in planned if trial.data and trial.data.fingerprint}
    inputs = [
        DatasetInput(Dataset(data.name, digest, "local", plain(mask(str(data.source)))), [InputTag("papertrial.kind", data.kind)])
        for digest, data in sets.items()
    ]
    if inputs:
        client.log_inputs(run, inputs)
    if wide := wide_table(ruling):
        log_table(client, run, wide, "leaderboard.json")
    if ruling.verdicts:
        log_table(client, run, verdict_table(ruling), "verdicts.json")


def wide_table(ruling: Ruling) -> dict[str, list[Any]]:
    """Columns of the leaderboards as they are read: a row a method, with its rank, and each statistic between its interval's ends."""
    found: list[dict[str, Any]] = []
    for board in ruling.boards:
        for row in board.rows:
            cells: dict[str, Any] = {"experiment": board.experiment, "method": row.method, "role": row.role}
            cells |= {"rank": str(row.standing) if row.standing else ""}
            for name in sorted(row.entries, key=lambda name: name != board.ranked_by):
                interval = row.entries[name].interval
                ends = {name: interval.estimate, f"{name} low": interval.low, f"{name} high": interval.high}
                cells |= ends if interval.n else {name: None}
            cells |= {"seconds": row.cost.seconds, "peak MiB": row.cost.memory}
            cells |= {} if math.isnan(row.cost.energy) else {"J/trial": row.cost.energy}
            cells |= {"trials ok": row.trials_ok, "trials failed": row.trials_failed}
            found.append(cells)
    return _columns(found)


def verdict_table(ruling: Ruling) -> dict[str, list[Any]]:
    """A row a claim: verdict, estimate with its interval, the paper's value, seeds."""
    return _columns(
        [
            {
                "claim": v.claim,
                "verdict": outcome(v.kind, v.verdict),
                "estimate": v.interval.estimate,
                "low": v.interval.low,
                "high": v.interval.high,
                "unit": v.unit,
                "paper": v.published,
                "holds": region(v.holds, v.unit),
                "seeds": v.n,
                "whose": v.kind,
                "primary": v.primary,
                "statement": plain(v.statement),
                "scale": v.scale,
                "data": v.data_kind,
                "version": v.version,
                "reason": plain(v.reason),
            }
            for v in ruling.verdicts
        ]
    )


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns; what a row does not have, or is not finite, is None."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return {name: [_known(row.get(name)) for row in rows] for name in columns}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def _child(
    client: MlflowClient, experiment: str, parent: str, evidence: Evidence, board: Board, row: Row, numbers: Mapping[str, float]
) -> None:
    from mlflow.entities import Metric, Param

    tags = {PARENT: parent, "papertrial.role": row.role, "papertrial.scale": evidence.scale, "papertrial.experiment": board.experiment}
    name = row.method if len(evidence.experiments) == 1 else f"{board.experiment}: {row.method}"
    run = create_run(client, experiment, name, tags)
    seeds = evidence.seeds_of(evidence.cells_of(board.experiment).index)
    if board.ranked_by and row.entries[board.ranked_by].interval.n:
        numbers = {**numbers, "primary": row.entries[board.ranked_by].interval.estimate}
    params = {
        "ranked_by": board.ranked_by,
        "experiment": board.experiment,
        "method": row.method,
        "role": row.role,
        "scale": evidence.scale,
        "seeds": seeds,
    }
    finite = [Metric(name, value, 0, 0) for name, value in numbers.items() if abs(value) < float("inf")]
    log(client, run, finite, [Param(name, plain(str(value))) for name, value in params.items()])
    client.set_terminated(run)


def _artifacts(client: MlflowClient, parent: str, evidence: Evidence, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        if not name.startswith("plots/") or name.startswith(f"plots/{evidence.task.id}-{evidence.scale}-"):
            client.log_text(parent, text, name)
    with tempfile.TemporaryDirectory() as folder:
        trials = Path(folder) / f"{evidence.task.id}.parquet"
        trials.write_bytes(to_parquet(evidence.study.records(evidence.task, evidence.scale)))
        client.log_artifact(parent, str(trials), "trials")


def digest(ruling: Ruling) -> str:
    """A name of everything that a publication says: the records, and what today's claims make of them."""
    evidence = ruling.evidence
    records = evidence.study.records(evidence.task, evidence.scale).sort_values("trial_id").to_csv(index=False)
    return sha(str(CONTENT), records, tables.leaderboard_csv(ruling.boards), verdicts_csv(ruling.verdicts))


def parent_tags(ruling: Ruling) -> dict[str, str]:
    """Tags of the run of one task: what it is, where it came from, and a verdict a claim."""
    evidence, verdicts = ruling.evidence, ruling.verdicts
    study = evidence.study
    frame = study.records(evidence.task, evidence.scale)
    commits = sorted(set(frame["git_commit"].dropna()) - {""})
    tags = {
        "papertrial.study": study.name,
        "papertrial.store": study.store.uri,
        "papertrial.task_version": study.versions(evidence.task.id),
        "papertrial.scale": evidence.scale,
        "papertrial.data_kind": evidence.data_kind(),
        "papertrial.git_dirty": str(bool((frame["git_dirty"] == True).any())).lower(),  # noqa: E712 - an object column after a mixed read
        "mlflow.source.name": "papertrial",
        "mlflow.note.content": f"{tally(verdicts)}. {caution(verdicts)}",
        **{f"verdict.{v.claim}": v.verdict for v in verdicts},
    }
    return tags | ({"mlflow.source.git.commit": ", ".join(commits)} if commits else {})


def metrics(evidence: Evidence, board: Board, row: Row) -> dict[Key, float]:
    """Rank, cost, statistics with their intervals; means of the metrics too where every method has the same cells: runs can be compared."""
    experiment = evidence.task.experiment(board.experiment)
    found: dict[Key, float] = {("", "trials_ok"): row.trials_ok, ("", "trials_failed"): row.trials_failed}
    if row.standing is not None:
        found |= {("", "rank"): row.standing.low, ("", "rank_high"): row.standing.high, ("", "p_best"): row.standing.p_best}
    costs = {
        "trial_seconds": row.cost.seconds,
        "peak_memory_mib": row.cost.memory,
        "trial_energy_j": row.cost.energy,
        "tuning_trials": row.cost.tuning,
    }
    found |= {("", name): value for name, value in costs.items()}
    for name, entry in row.entries.items():
        found |= _spread(name, entry.interval) | {(name, ".lost_seeds"): entry.lost}
        found |= {(name, ".censored_seeds"): entry.censored} if entry.censored else {}
    for metric in experiment.metrics if equal_cells(evidence, experiment) else ():
        own, name = evidence.per_seed(experiment[metric.name].untuned(), row.method, experiment.name), f"{DERIVED}mean.{metric.name}"
        if own.ranges:
            found |= _spread(name, Partial(own.ends, bounds=metric.bounds).interval()) | {(name, ".censored_seeds"): len(own.ranges)}
        else:
            found |= _spread(name, seed_interval(list(own.values.values()), bounds=metric.bounds))
    return found


_KNOWN = {"exact": "", "at least": ".at_least", "at most": ".at_most"}


def _spread(name: str, interval: Interval) -> dict[Key, float]:
    """A mean that is only a bound is called one: under the bare name it would be sorted among numbers."""
    ends = {(name, ".low"): interval.low, (name, ".high"): interval.high}
    return ends | ({(name, _KNOWN[interval.side]): interval.estimate} if interval.side in _KNOWN else {})
