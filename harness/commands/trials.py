"""`papertrial trials`: the records of a study, those behind a claim, those that did not end ok."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from harness.behind import by_claim
from harness.causes import cause
from harness.cells import Index
from harness.console import console as make_console
from harness.console import emit, styled, warn
from harness.rerun import of_trial
from harness.store import open_study
from harness.study import Study, load
from harness.tabular import print_table

MOST, METRICS = 200, 4
"""Rows on a terminal, and metrics; all are in the JSON and in the study's tables."""
MOST_TRACED = 3
"""Tracebacks on a terminal, of errors that differ."""


def run(options: argparse.Namespace) -> int:
    """Print trials in the plan's order with what they measured; one that left no record is `waiting`."""
    study = load(open_study(options.study, options.store))
    listed = _Listed(study, _places(study, options.claim))
    if options.failed:
        listed = listed.failed()
    if options.json:
        emit([listed.row(at) for at in range(len(listed.places))])
        return 0
    console = make_console()
    rows = [listed.row(at) for at in range(min(MOST, len(listed.places)))]
    varied, every = listed.varied(), listed.metrics()
    metrics = every[:METRICS]
    count = f"{len(listed.places):,}"
    headings = ("trial", "experiment", "method", "seed", *varied, "status", "s", *metrics)
    cells = []
    for row in rows:
        measured = [f"{row['metrics'][name]:.5g}" if row["metrics"].get(name) is not None else "–" for name in metrics]
        seconds = f"{row['seconds']:.3g}" if row["seconds"] is not None else "–"
        own = [str(row["params"].get(name, "")) for name in varied]
        cells.append([row["trial"], row["experiment"], row["method"], str(row["seed"]), *own, row["status"], seconds, *measured])
    print_table(console, headings, cells, f"{count} trials of {study.name}")
    if len(listed.places) > MOST:
        console.print(f"the first {MOST} of {count}; all with --json")
    if len(every) > METRICS:
        console.print(f"the first {METRICS} of {len(every)} metrics; all with --json")
    _why(rows, console, traced=options.failed)
    if rows:
        trial = study.plan[listed.places[0]]
        again = of_trial(study, trial).trial(trial, retry=rows[0]["status"] not in ("ok", "waiting"))
        console.print(f"one again: {again}", soft_wrap=True)
    return 0


def _why(rows: Sequence[dict[str, Any]], console: Console, *, traced: bool) -> None:
    """What trials that did not end ok said, once for all that said the same; with the traceback of one of them if `traced`."""
    said: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["error"]:
            said.setdefault(cause(row["error"]), []).append(row)
    for place, (why, own) in enumerate(said.items()):
        who = f"{len(own)} trials, such as {own[0]['trial']}" if len(own) > 1 else own[0]["trial"]
        warn(console, f"{who} ({own[0]['method']}, seed {own[0]['seed']}): {why}")
        if traced and place < MOST_TRACED and "\n" in own[0]["error"].strip():
            console.print(styled(own[0]["error"].strip(), "dim"), soft_wrap=True)


def _places(study: Study, claims: Sequence[str]) -> Index:
    """Places in the plan of the trials behind some claims; of all without any."""
    if not claims:
        return np.arange(len(study.plan))
    wanted = dict.fromkeys(trial.id for own in by_claim(study, claims).values() for trial in own)
    at = {trial.id: place for place, trial in enumerate(study.plan)}
    return np.array([at[id] for id in wanted], dtype=np.intp)


@dataclass(frozen=True, eq=False)
class _Listed:
    """Some trials of a study with their records, read column by column: of a million trials a row each fills the memory."""

    study: Study
    places: Index
    """In the plan."""

    @cached_property
    def _records(self) -> Index:
        """Rows of the study's frame, -1 where there is none."""
        found = np.full(len(self.study.plan), -1, dtype=np.intp)
        found[self.study.places] = np.arange(len(self.study.frame))
        return found[self.places]

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        names = ("status", "seconds", "error")
        return {str(n): self.study.frame[n].to_numpy() for n in self.study.frame if n in names or str(n).startswith("metric.")}

    def failed(self) -> _Listed:
        """Those that left a record which is not ok."""
        found = np.zeros(len(self.places), dtype=bool)
        there = self._records >= 0
        found[there] = self._columns["status"][self._records[there]] != "ok"
        return _Listed(self.study, self.places[found])

    def varied(self) -> list[str]:
        """Parameters of which an experiment has several values."""
        values: dict[tuple[str, str], set[str]] = {}
        for number in np.unique(self.study.cells.numbers[self.places]).tolist():
            cell = self.study.cells.firsts[number]
            for name, value in cell.params.items():
                values.setdefault((cell.experiment, name), set()).add(str(value))
        return list(dict.fromkeys(name for (_, name), found in values.items() if len(found) > 1))

    def metrics(self) -> list[str]:
        """Names of the metrics that a trial returned, those of the first trial first."""
        records = self._records[self._records >= 0]
        found = []
        for name in (name for name in self._columns if name.startswith("metric.")):
            there = ~np.isnan(self._columns[name][records])
            if there.any():
                found.append((int(there.argmax()), name.removeprefix("metric.")))
        return [name for _, name in sorted(found, key=lambda each: each[0])]

    def row(self, at: int) -> dict[str, Any]:
        """One trial."""
        trial, record = self.study.plan[self.places[at]], int(self._records[at])
        own = {name: column[record] for name, column in self._columns.items()} if record >= 0 else {}
        metrics = {name.removeprefix("metric."): _number(value) for name, value in own.items() if name.startswith("metric.")}
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
            "status": own.get("status", "waiting"),
            "seconds": _number(own.get("seconds")),
            "metrics": {name: value for name, value in metrics.items() if value is not None},
            "error": str(own.get("error") or ""),
        }


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)
