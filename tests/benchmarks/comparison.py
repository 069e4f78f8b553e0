"""papertrial beside Ray Tune, Ray tasks, joblib, benchopt and submitit: what a trial costs, and what a killed driver costs.

    PYTHONPATH=. python tests/benchmarks/comparison.py [--minutes M] [--rounds R] [--budget S] [--kept FILE] [--markdown FILE]

Needs the extra `bench`; a side that is not installed says so. Each side is its own documentation's way of running a grid of trials, as a
command from cold interpreter to exit, on all processors; sides are taken in turn at each size. A command that would pass the budget is not
started, and one that does is stopped: its cell is extrapolated from the rate of the trials that ended, and says from how many. Then each
side's driver gets SIGKILL once 10 of 24 trials of 0.5 s have ended, and the same command is started again.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from compared.kept import Kept
from compared.measure import WORKERS, Run, killed, run
from compared.sides import SIDES
from compared.table import SIZES, table

from harness.provenance import cpu_name, versions

KILL = 24, 0.5
ORDER = (*((size, 0.0) for size in SIZES[1:]), KILL, *((size, 0.01) for size in reversed(SIZES)))
"""(trials, seconds each) after the rounds of the smallest study, the most telling first: a run that must end early has these."""


def worth_it(runs: Sequence[Run], trials: int, budget: float) -> bool:
    """Whether what was seen of a side says that so many trials end within the budget."""
    seen = [run for run in runs if run.ends]
    return not seen or max(seen, key=lambda run: len(run.ends)).seconds(trials) <= budget


def about(loads: Sequence[float], options: argparse.Namespace, whole: bool) -> str:
    """The paragraph above the tables: when, where, what, how busy."""
    others = {name: importlib.metadata.version(name) for name in ("joblib", "benchopt", "submitit") if _has(name)}
    named = ", ".join(f"{name} {version}" for name, version in (versions() | others).items())
    ended = "" if whole else f" The run had {options.minutes:g} minutes, which was not enough for all cells."
    return (
        f"{datetime.date.today()}, {cpu_name()}, {WORKERS} processors, all used by every side; load average {min(loads):.1f} to "
        f"{max(loads):.1f} (what every command itself takes, and whatever else ran).\n{named}.\n"
        f"Rounds of the smallest study: {options.rounds}, of the others one. A command had at most {options.budget:g} s.{ended}"
    )


HEAD = """# papertrial beside others

Written by `PYTHONPATH=. python tests/benchmarks/comparison.py --markdown docs/comparison.md` (extra `bench`). A trial draws one Gaussian
number, or waits 10 ms first. Times are of whole commands, from cold interpreter to exit; overhead is what they take beyond the trials
themselves, divided by the trials. papertrial's command is the plain `papertrial run`: it also decides claims, writes a report and MLflow.
What others keep differs: joblib without `Memory` and plain Ray tasks keep nothing until all is done.

*A further trial* is the time between the ends of a run's first and last trial over their number: no start, no end. *% of ideal* is the
trials' own seconds over all processors, against the whole command and against the time from the start of the first to the end of the last
trial. The last columns are a SIGKILL of the driver once 10 of 24 trials of 0.5 s have ended, and the same command again.

"""


def _has(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of the whole comparison")
    parser.add_argument("--rounds", type=int, default=3, help="of the smallest study, whose ratios are taken round by round")
    parser.add_argument("--budget", type=float, default=300.0, help="seconds of one command")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--kept", type=Path, help="JSON lines of what was measured: a comparison that was stopped goes on from them")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    kept, there, whole = Kept(options.kept), [side for side in SIDES if side.installed], True
    for number, (trials, pause) in enumerate([(SIZES[0], 0.0)] * options.rounds + [*ORDER]):
        for side in there if number % 2 == 0 else reversed(there):
            if number < options.rounds:
                due = kept.rounds(side, trials, pause) <= number
            elif (trials, pause) == KILL:
                due = side.name not in kept.kills
            else:
                due = not kept.rounds(side, trials, pause) and worth_it(kept.runs[side.name], trials, options.budget)
            if due and time.monotonic() > end:
                whole = False
            elif due:
                load, measure = os.getloadavg()[0], killed if (trials, pause) == KILL else run
                print(kept.add(side, measure(side, trials, pause, options.budget), load)[:300], file=sys.stderr, flush=True)
        text = f"{HEAD}{about(kept.loads, options, whole)}\n\n{table(SIDES, kept.runs, kept.kills)}"
        if options.markdown:
            options.markdown.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
