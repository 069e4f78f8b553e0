"""`papertrial compare`: differences between two studies, and a gate for regressions."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from harness.compare import Comparison, Tolerance, compare
from harness.console import console as make_console
from harness.errors import UsageError
from harness.judgement import judge
from harness.report.comparison import show, to_csv
from harness.store import open_study, write_file
from harness.study import load

GATE_FELL_SHORT, CANNOT_JUDGE = 3, 4


def run(options: argparse.Namespace) -> int:
    """Say what differs. With `--gate` the exit code is 3 when something is worse, and 4 when that cannot be judged."""
    before, after = (judge(load(open_study(name, options.store))) for name in (options.before, options.after))
    allow = [word for text in options.allow for word in text.split(",")]
    found = compare(before, after, allow=allow, tolerance=_tolerance(options.tolerance), strict=options.strict)
    console = make_console()
    show(found, console)
    if options.csv:
        write_file(Path(options.csv), to_csv(found.changes))
    if not options.gate:
        return 0
    code, sentence = _gate(found)
    console.print(f"gate: {sentence}", style="red" if code else "green")
    return code


def _gate(found: Comparison) -> tuple[int, str]:
    short = [f"{len(found.regressions)} of {len(found.changes)} numbers fell short"] if found.regressions else []
    short += [f"{len(found.fallen)} claims fell beyond chance"] if found.fallen else []
    if found.obstacles:
        reasons = "; ".join(map(str, found.obstacles))
        return CANNOT_JUDGE, f"cannot judge: {reasons}" + (f" (beside that, {', '.join(short)})" if short else "")
    if short:
        return GATE_FELL_SHORT, "; ".join(short)
    tolerated = any(change.tolerance is not None for change in found.primary)
    return 0, "passed: nothing is worse beyond " + ("chance, or beyond its tolerance" if tolerated else "chance")


def _tolerance(texts: list[str]) -> Tolerance:
    """`0.5`, `test_accuracy=0.5`, or several with commas."""
    every, named = None, {}
    for item in [item for text in texts for item in text.split(",")]:
        name, _, value = item.rpartition("=")
        try:
            margin = float(value)
        except ValueError:
            margin = math.nan
        if not 0 <= margin < math.inf or (not name and "=" in item):
            raise UsageError(f"--tolerance takes NUMBER or STATISTIC=NUMBER, at least 0, not {item!r}")
        if name in named or (not name and every is not None):
            raise UsageError(f"--tolerance says twice what {name or 'every number'} may lose")
        if name:
            named[name] = margin
        else:
            every = margin
    return Tolerance(every, named)
