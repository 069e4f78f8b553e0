"""`papertrial compare`: paired differences between two studies, and a gate for regressions."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.compare import LEVEL, Change, Comparison, Turn, compare
from harness.console import console as make_console
from harness.judgement import judge
from harness.report.tables import heading
from harness.stats import Interval, number
from harness.store import open_study, write_file
from harness.study import load

GATE_FELL_SHORT = 3
_STYLES = {"better": "green", "worse": "red", "lost seeds": "red", "changed": "yellow"}


def run(options: argparse.Namespace) -> int:
    """Say what differs. The exit code is 3 when `--gate` was given and something is worse or missing."""
    before, after = (judge(load(open_study(name, options.store))) for name in (options.before, options.after))
    found, console = compare(before, after), make_console()
    _show(found, console)
    if options.csv:
        _write(found.changes, Path(options.csv))
    if not options.gate or not (found.regressions or found.unfinished):
        return 0
    short = [f"{len(found.regressions)} of {len(found.changes)} numbers fell short"] if found.regressions else []
    short += [f"{found.unfinished} trials of {after.study.name} have no record yet: run it to its end"] if found.unfinished else []
    console.print(f"gate: {'; '.join(short)}", style="red", soft_wrap=True)
    return GATE_FELL_SHORT


def _show(found: Comparison, console: Console) -> None:
    shown = [change for change in found.changes if change.direction in _STYLES]
    if shown:
        console.print(_changes(shown))
    counts = Counter(change.direction for change in found.changes)
    tally = ", ".join(f"{count:,} {direction}" for direction, count in counts.most_common())
    console.print(
        f"{len(found.changes):,} numbers over common seeds: {tally or 'none'}. Beyond chance means p < {LEVEL:g} after Holm's correction "
        "over all of them.",
        soft_wrap=True,
    )
    if found.turns:
        console.print(_turns(found.turns))
    console.print(f"{len(found.turns)} of {found.claims} verdicts changed")
    for sentence in found.mixed:
        console.print(f"mind: {sentence}", style="yellow", soft_wrap=True)


def _changes(changes: Sequence[Change]) -> Table:
    table = Table("task", "experiment", "method", "statistic", "before", "after", "difference [95 %]", "p", "direction")
    for change in changes:
        name = heading(change.statistic, change.unit, change.better)
        means = (number(change.before.estimate), number(change.after.estimate))
        cells = (
            f"{change.task} ({change.scale})",
            change.experiment,
            change.method,
            name,
            *means,
            str(change.difference),
            number(change.p),
        )
        table.add_row(*cells, Text(change.direction, style=_STYLES[change.direction]))
    return table


def _turns(turns: Sequence[Turn]) -> Table:
    table = Table("task", "claim", "before", "after")
    for turn in turns:
        table.add_row(f"{turn.task} ({turn.scale})", turn.claim, turn.before, Text(turn.after, style="red" if turn.lost else ""))
    return table


def _write(changes: Sequence[Change], path: Path) -> None:
    rows = [_flat(change) for change in changes]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, text.getvalue())


def _flat(change: Change) -> dict[str, object]:
    row: dict[str, object] = {}
    for field in dataclasses.fields(change):
        value = getattr(change, field.name)
        if isinstance(value, Interval):
            row |= {field.name: value.estimate, f"{field.name}_low": value.low, f"{field.name}_high": value.high}
        else:
            row[field.name] = value
    return row | {"n": change.difference.n}
