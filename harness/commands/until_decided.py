"""`papertrial run --until-decided`: the seeds of a look, judged, and those of the next one only where a claim of the paper is open."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rich.console import Console

from harness import engine, ledger
from harness.commands.selection import Selection, deciding
from harness.durations import duration
from harness.engine import RunResult, left_to_do
from harness.evidence import Evidence
from harness.looks import standing
from harness.plan import TrialSpec
from harness.sequential import waits_for_seeds
from harness.stopping import Stop, Stopped
from harness.study import load
from harness.tally import lost_every_seed, was_tried
from harness.verdict import decide

RunTrials = Callable[[Sequence[TrialSpec], bool], RunResult]
"""Runs what is left of trials, those that did not end ok too where it is told to."""


def until_decided(
    selection: Selection, options: argparse.Namespace, console: Console, stop: Stop, run_trials: RunTrials
) -> tuple[Sequence[TrialSpec], RunResult]:
    """Run look after look; a task that stands takes no part in the next one. The trials up to where it ended, and what they left.

    It ends when every claim that it waits for is decided, or can't be by more seeds, at the cap, or where the next look would take longer
    than is left of the budget. One look's trials run as those of any command do: a run that was killed goes on in the look it was in.
    """
    trials, retry = selection.up_to(_begun(selection)), options.retry
    with ExitStack() as stack:
        while True:
            began = time.monotonic()
            try:
                if _left(selection, trials, retry):
                    stack.enter_context(engine.session(options.local, options.address, stop))
                result = run_trials(trials, retry)
            except Stopped:
                result = RunResult({}, 0, True)
            if result.stopped or stop.asked:
                if stop.seconds_left <= 0:
                    console.print("the budget is spent in the middle of a look, which decides nothing before it is complete")
                return trials, result
            stop.begin()
            pace = (time.monotonic() - began) / result.executed if result.executed else 0.0
            retry = False  # a trial that failed again would fail at every look
            following = selection.up_to(_next(selection, console))
            if following == trials:
                return trials, result
            expected_s = pace * len(_left(selection, following, retry))
            if expected_s > stop.seconds_left:
                console.print(f"the next look would take about {duration(expected_s)}, which passes the budget: it ends here")
                return trials, result
            trials = following


def _left(selection: Selection, trials: Sequence[TrialSpec], retry: bool) -> list[TrialSpec]:
    return left_to_do(selection.store, trials, ledger.read(selection.store).records, retry=retry)


def _begun(selection: Selection) -> dict[str, int]:
    """Seeds of the look in which each task is: of the first that holds every seed with a record."""
    records, looks = ledger.read(selection.store).records, [look.seeds for look in selection.looks]
    found = {task.id: looks[0] for task in selection.tasks}
    for trial in selection.trials:
        if trial.id in records:
            found[trial.task] = max(found[trial.task], next(n for n in looks if n > trial.seed - selection.overrides.first_seed))
    return found


def _next(selection: Selection, console: Console) -> dict[str, int]:
    """Seeds of the next look of each task that has a claim open, and of the last one of the others. Says where they stand."""
    study, looks, seeds = load(selection.store), selection.looks, {}
    for task in selection.tasks:
        evidence, awaited = Evidence(study, task, selection.scale), deciding(task, selection.scale)
        complete, verdicts = len(evidence.looks), [verdict for verdict in decide(evidence) if verdict.claim in awaited]
        open_ = [verdict.claim for verdict in verdicts if waits_for_seeds(verdict)]
        lost = [v.claim for v in verdicts if (v.verdict == "inconclusive" and v.lost) or lost_every_seed(v)]
        untested = [v.claim for v in verdicts if not was_tried(v)]
        words = [f"open: {', '.join(open_)}"] if open_ else []
        words += [f"more seeds cannot decide {', '.join(lost)}, which lost seeds (--retry repeats them)"] if lost else []
        words += [f"not tested by these trials, and not waited for: {', '.join(untested)}"] if untested else []
        words = words or [f"nothing is open of {', '.join(awaited)}"]
        console.print(f"{task.id}: {standing(looks, complete)}; {'; '.join(words)}", markup=False, soft_wrap=True)
        seeds[task.id] = looks[min(complete + bool(open_), len(looks)) - 1].seeds
    return seeds
