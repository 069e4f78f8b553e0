"""`papertrial status`: how far a study is, read from its ledger, also while it runs elsewhere, or from its tables where none was kept."""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from harness import ledger, lock, provenance
from harness import looks as looking
from harness.causes import endings
from harness.console import console as make_console
from harness.console import emit, warn
from harness.durations import span
from harness.errors import StoreError
from harness.looks import Look
from harness.plans import plan_if_readable, read_outline
from harness.store import StudyStore, open_study
from harness.study import from_tables
from harness.tabular import print_table
from harness.tally import Line, lines, lost_every_seed

_COLUMNS = ("task", "scale", "experiment", "method", "trials", "ok", "not_ok", "left")


def run(options: argparse.Namespace) -> int:
    """Print done, failed and left per method, and the time left at the pace so far."""
    store = open_study(options.study, options.store)
    damages: list[str] = []
    plan, looks, recorded = _from_ledger(store, damages) if ledger.is_kept(store) else _from_tables(store, damages)
    wanted = {trial.id for trial in plan}
    # Without a plan the records still say what was done, and nobody knows what is left.
    done = {id: record for id, record in recorded.items() if id in wanted or not plan}
    running, left = lock.is_held(store), len(wanted - done.keys())
    rate = _rate(done.values()) if left and running else 0.0
    rows = _rows(plan, done)
    undone = [] if running else _undone(store, damages)
    standings, others = looking.standings(looks, plan, done), provenance.of_other_sources(done.values())
    if options.json:
        found = {"study": store.name, "running": running, "trials": len(plan) if plan else None, "recorded": len(done), "left": left}
        found |= {"seconds_left": left / rate if rate else None, "rows": rows, "looks": standings}
        emit(
            found
            | {
                "lost_every_seed": [
                    {"task": line.task, "scale": line.scale, "claim": line.claim, "reason": line.reason} for line in undone
                ],
                "other_sources": others,
                "damages": damages,
            }
        )
        return 0
    console = make_console()
    title = f"{store.name}: {'running' if running else 'not running'}"
    headings = [name.replace("_", " ") for name in _COLUMNS]
    bad = [f"{row['not_ok']} ({endings(row['statuses'])})" if row["not_ok"] else "0" for row in rows]
    shown = [{**row, "not_ok": text} for row, text in zip(rows, bad, strict=True)]
    cells = [["?" if row[name] is None else str(row[name]) for name in _COLUMNS] for row in shown]
    print_table(console, headings, cells, title, keys=4)
    of = f"of {len(plan)} trials recorded, {left} left" if plan or not done else "trials recorded, without a plan that can be read"
    console.print(f"{len(done)} {of}")
    if rate:
        console.print(f"{span(left / rate, left / rate)} left at {rate:.3g} trials a second")
    for sentence in standings:
        console.print(sentence, markup=False, soft_wrap=True)
    for line in undone:
        console.print(f"{line.claim} of {line.task} is not tested: {line.reason}", markup=False, soft_wrap=True)
    for words in (*damages, *others):
        warn(console, words)
    return 0


def _undone(store: StudyStore, damages: list[str]) -> list[Line]:
    """The claims of which the study's table says that they lost every seed."""
    try:
        return [line for line in lines(store.read_bytes("verdicts.csv").decode()) if lost_every_seed(line)]
    except FileNotFoundError:
        return []
    except (StoreError, ValueError, KeyError, csv.Error) as error:
        damages.append(f"verdicts.csv cannot be read ({type(error).__name__})")
        return []


def _rows(plan: Sequence[Any], done: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How far each method of an experiment is. Without a plan nobody knows how many trials there are, and how many are left."""
    statuses: dict[tuple[str, ...], Counter[str]] = {}
    for (*group, status), count in Counter((r.task, r.scale, r.experiment, r.method, r.status) for r in done.values()).items():
        statuses.setdefault(tuple(group), Counter())[status] = count
    rows = []
    asked: Sequence[Any] = plan or list(done.values())
    for key, count in Counter((trial.task, trial.scale, trial.experiment, trial.method) for trial in asked).items():
        states = statuses.get(key, Counter())
        named = dict(zip(("task", "scale", "experiment", "method"), key, strict=True))
        planned, waiting = (count, count - states.total()) if plan else (None, None)
        ends = {"ok": states["ok"], "not_ok": states.total() - states["ok"], "left": waiting, "statuses": dict(states)}
        rows.append({**named, "trials": planned, **ends})
    return rows


Read = tuple[Sequence[Any], Sequence[Look], Mapping[str, Any]]
"""Planned trials, the study's looks, and how each trial ended, by its id."""


def _from_ledger(store: StudyStore, damages: list[str]) -> Read:
    recorded, found = ledger.states(store)
    damages += found
    return *read_outline(store, damages.append), recorded


def _from_tables(store: StudyStore, damages: list[str]) -> Read:
    damages += ledger.read(store).damages
    found = plan_if_readable(store, damages.append)
    rows = from_tables(store, found.trials, damages.append) if found.trials else None
    return found.trials, found.looks, {} if rows is None else {str(row.trial_id): row for row in rows.itertuples()}


def _rate(records: Iterable[Any]) -> float:
    """Trials a second over the last hundred records, by their start times."""
    starts = sorted(datetime.fromisoformat(record.started) for record in records if record.started)[-100:]
    span = (datetime.now(UTC) - starts[0]).total_seconds() if starts else 0.0
    return len(starts) / span if span > 0 else 0.0
