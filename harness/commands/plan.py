"""`papertrial plan`: what would run, and what it would cost."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from harness import ledger, memory, provenance, registry
from harness import looks as looking
from harness.commands.selection import Selection, select
from harness.console import console as make_console
from harness.console import emit, styled, warn
from harness.data import state
from harness.durations import duration, span
from harness.engine import left_to_do
from harness.errors import StoreError, quiet
from harness.plan import TrialSpec
from harness.plans import plan_if_readable
from harness.record import Record
from harness.store import StudyStore, studies
from harness.study import from_tables
from harness.tabular import print_table
from harness.task import Hardware
from harness.timing import Cost, OfCell, Timings


def run(options: argparse.Namespace) -> int:
    """Print the plan of a selection; nothing is run or written."""
    selection = select(options, data_optional=True)
    contents = ledger.read(selection.store)
    damages = contents.damages
    kept = plan_if_readable(selection.store, damages.append)
    done = contents.records
    left = left_to_do(selection.store, selection.trials, done, retry=False)
    timings = _timings(selection, done.values())
    rows = _rows(selection, done, left, timings)
    others = provenance.of_other_sources(done[trial.id] for trial in selection.trials if trial.id in done)
    if options.json:
        emit(_fields(selection, rows, left, damages) | {"other_sources": others})
        return 0
    console = make_console()
    console.print(Text.assemble("study ", styled(selection.store.name, "bold"), styled(f" in {selection.store.store_uri}")))
    headings = ("task", "experiment", "method", "trials", "done", "not ok", "left", "cost left")
    cells = [
        [row.task, row.experiment, row.method, *map(str, (row.trials, row.done, row.not_ok, row.left)), _cost(row.left, row.cost)]
        for row in rows
    ]
    print_table(console, headings, cells, f"plan at scale {selection.scale}", keys=3)
    looks = selection.looks or kept.looks
    planned = kept.trials or selection.up_to({task.id: looks[0].seeds if selection.looks else math.inf for task in selection.tasks})
    for sentence in looking.standings(looks, planned, done):
        console.print(sentence, markup=False, soft_wrap=True)
    for words in (*damages, *others):
        warn(console, words)
    _totals(console, selection, left, timings)
    return 0


def _timings(selection: Selection, records: Iterable[Record]) -> Timings:
    """What trials took in this study, and in others of its store that ran the same task at the same scale."""
    found = Timings(selection.trials)
    for study in _others(selection):
        with suppress(StoreError):
            found.learn_elsewhere(_ended(study))
    for record in records:
        found.learn(record)
    return found


def _ended(study: StudyStore) -> Iterator[tuple[OfCell, float]]:
    """Trials that ended ok, and their seconds."""
    if ledger.is_kept(study):
        yield from ((record, record.seconds) for record in ledger.read(study).records.values() if record.status == "ok")
        return
    planned = {trial.id: trial for trial in plan_if_readable(study, quiet).trials}
    if planned:
        frame = from_tables(study, [*planned.values()], quiet)
        own = frame[frame["status"] == "ok"]
        yield from ((planned[id], seconds) for id, seconds in zip(own["trial_id"], own["seconds"], strict=True))


def _others(selection: Selection) -> list[StudyStore]:
    if not selection.store.is_local:
        return []
    names = tuple(f"{task.id}-{selection.scale}" for task in selection.tasks)
    folders = [folder for folder in studies(selection.store.parent_uri) if folder.name.startswith(names)]
    return [StudyStore(str(folder.parent), folder.name) for folder in folders if folder != selection.store.local(".")]


@dataclass(frozen=True)
class _Row:
    """How far one method of an experiment is."""

    task: str
    experiment: str
    method: str
    trials: int
    done: int
    not_ok: int
    left: int
    cost: Cost
    """Of what is left; zeros where nobody knows."""


def _rows(selection: Selection, done: Mapping[str, Record], left: Sequence[TrialSpec], timings: Timings) -> list[_Row]:
    def own(trials: Sequence[TrialSpec]) -> dict[tuple[str, str, str], list[TrialSpec]]:
        found: dict[tuple[str, str, str], list[TrialSpec]] = {}
        for trial in trials:
            found.setdefault((trial.task, trial.experiment, trial.method), []).append(trial)
        return found

    planned, waiting = own(selection.trials), own(left)
    rows = []
    for task in selection.tasks:
        for experiment, method in itertools.product(task.experiments, task.methods):
            key = task.id, experiment.name, method.name
            if trials := planned.get(key):
                states = [done[trial.id].status for trial in trials if trial.id in done]
                ok, mine = states.count("ok"), waiting.get(key, [])
                rows.append(_Row(*key, len(trials), ok, len(states) - ok, len(mine), timings.total(mine)))
    return rows


def _fields(selection: Selection, rows: Sequence[_Row], left: Sequence[TrialSpec], damages: Sequence[str]) -> dict[str, Any]:
    sets = {trial.data for trial in selection.trials if trial.data}
    return {
        "study": selection.store.name,
        "store": selection.store.store_uri,
        "scale": selection.scale,
        "trials": len(selection.trials),
        "seeds": len({trial.seed for trial in selection.trials}),
        "left": len(left),
        "expected_s": sum(row.cost.expected_s for row in rows) or None,
        "expected_low_s": sum(row.cost.low_s for row in rows) or None,
        "expected_high_s": sum(row.cost.high_s for row in rows) or None,
        "data": [{"name": data.name, "kind": data.kind, "fingerprint": data.fingerprint or None} for data in sets],
        "rows": [_row_fields(row) for row in rows],
        "damages": damages,
    }


def _row_fields(row: _Row) -> dict[str, Any]:
    fields = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    cost = fields.pop("cost")
    return fields | {"expected_s": cost.expected_s, "expected_low_s": cost.low_s, "expected_high_s": cost.high_s}


def _totals(console: Console, selection: Selection, left: list[TrialSpec], timings: Timings) -> None:
    seeds = len({trial.seed for trial in selection.trials})
    cost = _cost(len(left), timings.total(left))
    console.print(f"{len(selection.trials)} trials over {seeds} seeds, {len(left)} left, {cost} of trial time")
    for data in {trial.data for trial in selection.trials if trial.data}:
        if data.fingerprint:
            console.print(f"data {data.name}: {data.source} ({data.kind}), fingerprint {data.fingerprint}")
        else:
            console.print(f"data {data.name} is not here yet: {state(registry.dataset(data.name))}", style="yellow")
    for sentence in _over_limit(selection.trials):
        console.print(sentence, style="yellow")
    machine = memory.here(selection.trials)
    for sentence in memory.too_large(selection.trials, selection.tasks, machine):
        console.print(sentence, style="yellow", markup=False, soft_wrap=True)
    for shape in {trial.resources for trial in left}:
        whole = timings.total(trial for trial in left if trial.resources == shape)
        if shape.gpus:
            at_once = max(1, int(1 / shape.gpus))
            cards = "one GPU" if shape.gpus <= 1 else f"{shape.gpus:g} GPUs"
            console.print(f"each trial takes {shape}: {_cost(1, whole * (1 / at_once))} on {cards} ({at_once} at a time)")
        else:
            cpus = os.cpu_count() or 1
            at_once = max(1, int(cpus / shape.cpus))
            console.print(f"each trial takes {shape}: {_cost(1, whole * (1 / at_once))} on these {cpus} CPUs ({at_once} at a time)")
        _peak(console, selection, [trial for trial in left if trial.resources == shape], machine)


def _peak(console: Console, selection: Selection, trials: Sequence[TrialSpec], machine: Hardware) -> None:
    """The largest expectation of trials of one shape, and what as many as run side by side take of the memory."""
    largest = max(trials, key=lambda trial: trial.expected_gib)
    if not largest.expected_gib:
        return
    found = memory.room_of(largest, {task.id: task for task in selection.tasks}, machine)
    standing = f"; {memory.standing(largest.expected_gib, found)}" if found else ""
    console.print(f"peak memory of a trial: {largest.expected_gib:.3g} GiB ({largest.method}){standing}", markup=False, soft_wrap=True)


def _over_limit(trials: Sequence[TrialSpec]) -> list[str]:
    """A sentence for each experiment and method whose estimate passes its limit."""
    worst: dict[tuple[str, str, str], TrialSpec] = {}
    for trial in trials:
        key = trial.task, trial.experiment, trial.method
        if trial.expected_s > trial.time_limit_s and trial.expected_s > (worst[key].expected_s if key in worst else 0.0):
            worst[key] = trial
    return [
        f"{task}, experiment {experiment}: a trial of {method} is expected to take {duration(t.expected_s)}, over its limit of "
        f"{duration(t.time_limit_s)}"
        for (task, experiment, method), t in worst.items()
    ]


def _cost(left: int, cost: Cost) -> str:
    return span(cost.low_s, cost.high_s) if cost.high_s else ("-" if not left else "unknown")
