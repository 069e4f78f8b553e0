"""The comparison as Markdown: what was not measured says so."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from compared.measure import WORKERS, Killed, Run
from compared.sides import Side

SIZES = (12, 100, 2000)
PAUSES = (0.0, 0.01)
NOT_REACHED = "not reached"
DEATHS = (
    "side",
    "first trial ended [s]",
    "first record [s]",
    "times papertrial",
    "2,000 of 10 ms: % of ideal",
    "first to last trial: %",
    "executed again: of those ended",
    "of those in flight",
    "results lost",
)


def table(sides: Sequence[Side], runs: Mapping[str, Sequence[Run]], kills: Mapping[str, Killed]) -> str:
    """Two tables, a row a side in each."""
    heads = [f"{size:,} {'trivial' if not pause else f'of {1e3 * pause:g} ms'}" for pause in PAUSES for size in SIZES]
    costs = [["side", *heads, "a further trial"]]
    deaths = [[*DEATHS]]
    base = _firsts(runs.get(sides[0].name, ()))
    for side in sides:
        own = runs.get(side.name, ())
        if not side.installed:
            costs.append([side.name, *["not installed"] * (len(heads) + 1)])
            deaths.append([side.name, *["not installed"] * (len(deaths[0]) - 1)])
            continue
        costs.append([side.name, *(_overhead(own, size, pause) for pause in PAUSES for size in SIZES), _further(own)])
        deaths.append([side.name, *_starts(side, own, base), *_ideal(own), *_death(kills.get(side.name))])
    return f"Overhead a trial [ms]:\n\n{_rows(costs)}\nStart, and the driver killed:\n\n{_rows(deaths)}"


def _overhead(runs: Sequence[Run], size: int, pause: float) -> str:
    same = [run for run in runs if run.pause == pause and 0 < len(run.ends) <= size]
    if not same:
        return NOT_REACHED
    ended = [1e3 * run.overhead(size) for run in same if run.trials == size and run.wall is not None]
    if ended:
        return _spread(ended)
    best = max(same, key=lambda run: len(run.ends))
    return f"{_figure(1e3 * best.overhead(size))} (extrapolated from {len(best.ends)} trials)"


def _further(runs: Sequence[Run]) -> str:
    """Between the ends of a run's first and last trial: without start and end of the command."""
    trivial = [run for run in runs if not run.pause and len(run.ends) > 1]
    if not trivial:
        return NOT_REACHED
    longest = max(trivial, key=lambda run: len(run.ends))
    return _figure(1e3 * (longest.ends[-1] - longest.ends[0]) / (len(longest.ends) - 1))


def _firsts(runs: Sequence[Run]) -> list[float]:
    """Seconds until the first trial ended, in the smallest study, a round each."""
    return [run.ends[0] for run in runs if run.trials == SIZES[0] and not run.pause and run.ends]


def _starts(side: Side, runs: Sequence[Run], base: Sequence[float]) -> list[str]:
    ended = _firsts(runs)
    if not ended:
        return [NOT_REACHED] * 3
    records = [run.first_record for run in runs if run.trials == SIZES[0] and not run.pause and run.first_record is not None]
    kept = _spread(records) if records else "none while it runs" if side.records is None else "none seen"
    return [_spread(ended), kept, _spread([own / other for own, other in zip(ended, base, strict=False)]) if base else NOT_REACHED]


def _ideal(runs: Sequence[Run]) -> list[str]:
    long = [run for run in runs if run.trials == SIZES[-1] and run.pause and run.wall is not None]
    if not long:
        return ["not measured"] * 2
    ideal = long[0].trials * long[0].pause / WORKERS
    return [f"{100 * ideal / (long[0].wall or 1):.0f}", f"{100 * ideal / long[0].span:.0f}"]


def _death(killed: Killed | None) -> list[str]:
    if killed is None:
        return [NOT_REACHED] * 3
    lost = "second start passed the budget" if killed.lost is None else str(killed.lost)
    return [f"{killed.ended_again} of {killed.ended}", f"{killed.in_flight_again} of {killed.in_flight}", lost]


def _spread(values: Sequence[float]) -> str:
    """Median, and the range of several rounds."""
    middle = _figure(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_figure(min(values))} to {_figure(max(values))})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rows(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"
