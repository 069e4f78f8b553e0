"""A comparison of two studies: on the screen, and as CSV (full precision)."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from harness.compare import Change, Comparison, Turn
from harness.report.tables import heading
from harness.stats import number
from harness.tabular import Row, print_table

_STYLES = {"better": "green", "worse": "red", "lost seeds": "red", "inferior": "red", "may be inferior": "red", "changed": "yellow"}
_MOST_DESCRIBED = 30


def show(found: Comparison, console: Console) -> None:
    """What differs, on what a gate rests, and what it could not have seen."""
    primary, others = found.primary, [change for change in found.changes if not change.primary]
    shown = [change for change in primary if change.direction not in ("equal", "undecided")]
    if shown:
        _show_changes(shown, "primary numbers that differ", console)
    for sentence in _family(found, primary):
        console.print(sentence)
    described = [change for change in others if change.direction in _STYLES]
    if described:
        _show_changes(described[:_MOST_DESCRIBED], "other numbers that differ", console)
        if len(described) > _MOST_DESCRIBED:
            console.print(f"and {len(described) - _MOST_DESCRIBED} more of these; --csv writes them all")
    if others:
        console.print(
            f"{len(others):,} other numbers are described and stop no gate: {_tally(others)} (two-sided tests; of those called better, "
            f"worse or changed {found.level:.3g} by chance, by Benjamini and Hochberg's correction).",
        )
    if found.turns:
        _show_turns(found.turns, console)
    weakened = sum(turn.weakened for turn in found.turns)
    console.print(f"{len(found.turns)} of {len(found.claims)} verdicts changed, {weakened} for the worse beyond chance")
    if passed := weakened - len(found.fallen):
        console.print(f"of these {passed} {'is' if passed == 1 else 'are'} not refuted: only --strict may stop a gate for that")
    for remark in found.remarks:
        console.print(f"mind: {remark}", style="yellow")
    for obstacle in found.obstacles:
        console.print(f"a gate cannot judge this: {obstacle}", style="yellow")


def _family(found: Comparison, primary: Sequence[Change]) -> Iterator[str]:
    """What was tested, how, and what would have been seen."""
    how = "independent seeds (Welch's test)" if found.replicate else "common seeds (paired tests)"
    yield f"{len(primary):,} primary numbers, those that rank methods, over {how}: {_tally(primary)}."
    tested = [change for change in primary if math.isfinite(change.detectable)]
    if tested:
        yield f"Worse means p < {found.level:g} in a one-sided test, after Holm's correction over the {len(tested)} that differ."
        ranges = "; ".join(_seen(group) for group in _grouped(tested))
        yield f"A regression of this size would have been seen in 80 % of studies like these: {ranges}."
    if any(change.tolerance is not None for change in primary):
        yield "Not inferior means that a loss as large as the tolerance is excluded by a one-sided test at p < 0.05, each number by itself."


def _grouped(changes: Sequence[Change]) -> list[list[Change]]:
    groups: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        groups.setdefault((change.task, change.scale, change.experiment, change.statistic), []).append(change)
    return list(groups.values())


def _seen(group: Sequence[Change]) -> str:
    sizes = sorted(change.detectable for change in group)
    size = number(sizes[0]) if len(sizes) == 1 else f"{number(sizes[0])} to {number(sizes[-1])}"
    return f"{size}{f' {group[0].unit}' if group[0].unit else ''} in {group[0].statistic} ({group[0].task}, {group[0].experiment})"


def _tally(changes: Sequence[Change]) -> str:
    counts = Counter(change.direction for change in changes)
    return ", ".join(f"{count:,} {direction}" for direction, count in counts.most_common()) or "none"


def _show_changes(changes: Sequence[Change], title: str, console: Console) -> None:
    headings = ("task", "experiment", "method", "statistic", "before", "after", "difference [95 %]", "p", "direction")
    rows: list[Row] = [
        [
            f"{change.task} ({change.scale})",
            change.experiment,
            change.method,
            heading(change.statistic, change.unit, change.better),
            change.before.mean,
            change.after.mean,
            number(change.difference.estimate) if change.test == "exact" else str(change.difference),
            "exact" if change.test == "exact" else number(change.p),
            Text(change.direction, style=_STYLES.get(change.direction, "")),
        ]
        for change in changes
    ]
    print_table(console, headings, rows, title, keys=4)


def _show_turns(turns: Sequence[Turn], console: Console) -> None:
    rows: list[Row] = [
        [
            f"{turn.task} ({turn.scale})",
            turn.claim,
            turn.before,
            Text(turn.after, style="red" if turn.weakened else ""),
            "exact" if turn.exact else number(turn.p),
        ]
        for turn in turns
    ]
    print_table(console, ("task", "claim", "before", "after", "p"), rows, "verdicts that changed", keys=2)


def to_csv(changes: Sequence[Change]) -> str:
    """One row a number."""
    rows = [_flat(change) for change in changes]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(change: Change) -> dict[str, object]:
    names = [field.name for field in dataclasses.fields(change) if field.name not in ("values", "loss", "ends")]
    row: dict[str, object] = {name: getattr(change, name) for name in names}
    for name in ("before", "after", "difference"):
        interval = getattr(change, name)
        row |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return row | {"n": change.difference.n}
