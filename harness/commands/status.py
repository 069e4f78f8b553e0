"""`papertrial status`: how far a study is, read from its ledger, also while it runs elsewhere, or from its tables where none was kept."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from harness import ledger, lock
from harness import looks as looking
from harness.console import console as make_console
from harness.console import warn
from harness.durations import duration
from harness.plan import TrialSpec
from harness.plans import plan_if_readable
from harness.record import Record
from harness.store import open_study
from harness.study import from_tables


def run(options: argparse.Namespace) -> int:
    """Print done, failed and left per method, and the time left at the pace so far."""
    store = open_study(options.study, options.store)
    contents = ledger.read(store)
    damages = contents.damages
    found = plan_if_readable(store, damages.append)
    plan = found.trials
    wanted = {trial.id for trial in plan}
    if plan and not contents.kept:
        rows = from_tables(store, {trial.id: trial for trial in plan}, damages.append).itertuples()
        recorded: Mapping[str, Record | Any] = {str(row.trial_id): row for row in rows}
    else:
        recorded = contents.records
    # Without a plan the records still say what was done, and nobody knows what is left.
    done = {id: record for id, record in recorded.items() if id in wanted or not plan}
    asked: Sequence[TrialSpec | Record] = plan or list(done.values())
    console = make_console()
    running = lock.is_held(store)
    table = Table(
        "task",
        "scale",
        "experiment",
        "method",
        "trials",
        "ok",
        "not ok",
        "left",
        title=f"{store.name}: {'running' if running else 'not running'}",
    )
    statuses: dict[tuple[str, ...], Counter[str]] = {}
    for r in done.values():
        statuses.setdefault((r.task, r.scale, r.experiment, r.method), Counter())[r.status] += 1
    for key, count in Counter((trial.task, trial.scale, trial.experiment, trial.method) for trial in asked).items():
        states = statuses.get(key, Counter())
        not_ok = states.total() - states["ok"]
        planned, waiting = (str(count), str(count - states.total())) if plan else ("?", "?")
        table.add_row(*key, planned, str(states["ok"]), str(not_ok), waiting)
    console.print(table)
    left = [trial for trial in plan if trial.id not in done]
    of = f"of {len(plan)} trials recorded, {len(left)} left" if plan or not done else "trials recorded, without a plan that can be read"
    console.print(f"{len(done)} {of}")
    rate = _rate(list(done.values()))
    if left and running and rate:
        console.print(f"about {duration(len(left) / rate)} left at {rate:.3g} trials a second")
    for sentence in looking.standings(found.looks, plan, done):
        console.print(sentence, markup=False, soft_wrap=True)
    for damage in damages:
        warn(console, damage)
    return 0


def _rate(records: Sequence[Record]) -> float:
    """Trials a second over the last hundred records, by their start times."""
    starts = sorted(datetime.fromisoformat(record.started) for record in records if record.started)[-100:]
    span = (datetime.now(UTC) - starts[0]).total_seconds() if starts else 0.0
    return len(starts) / span if span > 0 else 0.0
