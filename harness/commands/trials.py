"""`papertrial trials`: the records of a study, those behind a claim, those that did not end ok."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from harness.behind import by_claim
from harness.console import console as make_console
from harness.console import emit, warn
from harness.plan import TrialSpec
from harness.store import open_study
from harness.study import Study, load

MOST = 200
"""Rows on a terminal; all are in the JSON and in the study's tables."""


def run(options: argparse.Namespace) -> int:
    """Print trials in the plan's order with what they measured; one that left no record is `waiting`."""
    study = load(open_study(options.study, options.store))
    trials = [trial for own in by_claim(study, options.claim).values() for trial in own] if options.claim else list(study.plan)
    rows = _rows(study, list({trial.id: trial for trial in trials}.values()))
    if options.failed:
        rows = [row for row in rows if row["status"] not in ("ok", "waiting")]
    if options.json:
        emit(rows)
        return 0
    console = make_console()
    varied = [name for name in rows[0]["params"] if len({str(row["params"].get(name)) for row in rows}) > 1] if rows else []
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))[:4]
    table = Table("trial", "experiment", "method", "seed", *varied, "status", "s", *metrics, title=f"{len(rows):,} trials of {study.name}")
    for row in rows[:MOST]:
        measured = [f"{row['metrics'][name]:.5g}" if row["metrics"].get(name) is not None else "–" for name in metrics]
        seconds = f"{row['seconds']:.3g}" if row["seconds"] is not None else "–"
        own = [str(row["params"].get(name, "")) for name in varied]
        table.add_row(row["trial"], row["experiment"], row["method"], str(row["seed"]), *own, row["status"], seconds, *measured)
    console.print(table)
    if len(rows) > MOST:
        console.print(f"the first {MOST} of {len(rows):,}; all with --json")
    for row in rows[:MOST]:
        if row["error"]:
            warn(console, f"{row['trial']}: {row['error'].strip().splitlines()[-1]}")
    if rows:
        console.print(f"one again, in this process: {again(study, rows[0]['trial'])}", soft_wrap=True)
    return 0


def again(study: Study, id: str) -> str:
    """The command that runs one trial again."""
    trial = next(trial for trial in study.plan if trial.id == id)
    return f"papertrial run {trial.task} --scale {trial.scale} --trial {id} --local"


def _rows(study: Study, trials: Sequence[TrialSpec]) -> list[dict[str, Any]]:
    records = {str(row["trial_id"]): row for row in study.frame.to_dict("records")}
    return [_row(trial, records.get(trial.id)) for trial in trials]


def _row(trial: TrialSpec, record: dict[Any, Any] | None) -> dict[str, Any]:
    record = record or {}
    metrics = {str(name).removeprefix("metric."): _number(value) for name, value in record.items() if str(name).startswith("metric.")}
    return {
        "trial": trial.id,
        "task": trial.task,
        "scale": trial.scale,
        "experiment": trial.experiment,
        "method": trial.method,
        "seed": trial.seed,
        "params": dict(trial.params),
        "views": list(trial.views),
        "requires": trial.requires or None,
        "status": record.get("status", "waiting"),
        "seconds": _number(record.get("seconds")),
        "metrics": {name: value for name, value in metrics.items() if value is not None},
        "error": str(record.get("error") or ""),
    }


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)
