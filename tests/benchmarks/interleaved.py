"""Takes the figures of several sides in turn and prints them: as JSON lines for machines, as a table for people."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from harness.provenance import cpu_name, versions


def take(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """One figure of every side a round, the order turned around every other round, so that a busy minute hits them all."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else reversed(sides):
            figures[name].append(sides[name]())
    return figures


def show(title: str, unit: str, figures: Mapping[str, Sequence[float]], *, over: str, notes: Mapping[str, str]) -> None:
    """Print min, median and max of each side, and of its ratio over the side `over`, round by round."""
    table = Table("side", f"min [{unit}]", "median", "max", f"ratio over {over}: min", "median", "max", "what was done", title=title)
    for name, values in figures.items():
        ratios = [value / base for value, base in zip(values, figures[over], strict=True)]
        spread, ratio_spread = _spread(values), _spread(ratios)
        line = {"benchmark": title, "side": name, "unit": unit, "rounds": len(values), **spread, "over": over}
        print(json.dumps(line | {f"ratio_{key}": value for key, value in ratio_spread.items()}))
        cells = [f"{value:.4g}" for value in (*spread.values(), *ratio_spread.values())]
        table.add_row(name, *cells, notes.get(name, ""))
    where = f"{cpu_name()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; " + ", ".join(f"{k} {v}" for k, v in versions().items())
    console = Console(width=160)
    console.print(table)
    console.print(where, soft_wrap=True)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
