"""`papertrial status`: how far a study is, read from its ledger, also while it runs elsewhere."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, datetime

from rich.table import Table

from harness import lease, ledger
from harness.console import console as make_console
from harness.record import Record
from harness.store import open_study
from harness.study import load_plan
from harness.wording import duration


def run(options: argparse.Namespace) -> int:
    """Print done, failed and left per method, and the time left at the pace so far."""
    store = open_study(options.study, options.store)
    plan, contents = load_plan(store), ledger.read(store)
    done = {id: record for id, record in contents.records.items() if id in {trial.id for trial in plan}}
    console = make_console()
    running = lease.is_held(store)
    table = Table(
        "task", "scale", "method", "trials", "ok", "not ok", "left", title=f"{store.name}: {'running' if running else 'not running'}"
    )
    for (task, scale, method), count in Counter((trial.task, trial.scale, trial.method) for trial in plan).items():
        states = Counter(r.status for r in done.values() if (r.task, r.scale, r.method) == (task, scale, method))
        not_ok = states.total() - states["ok"]
        table.add_row(task, scale, method, str(count), str(states["ok"]), str(not_ok), str(count - states.total()))
    console.print(table)
    left = [trial for trial in plan if trial.id not in done]
    console.print(f"{len(done)} of {len(plan)} trials recorded, {len(left)} left")
    rate = _rate(list(done.values()))
    if left and running and rate:
        console.print(f"about {duration(len(left) / rate)} left at {rate:.3g} trials a second")
    for line in contents.unreadable:
        console.print(f"ledger line {line} cannot be read: its trial will run again", style="yellow")
    return 0


def _rate(records: list[Record]) -> float:
    """Trials a second over the last hundred records, by their start times."""
    starts = sorted(datetime.fromisoformat(record.started) for record in records if record.started)[-100:]
    span = (datetime.now(UTC) - starts[0]).total_seconds() if starts else 0.0
    return len(starts) / span if span > 0 else 0.0
