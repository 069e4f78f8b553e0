"""Seconds to judge a study that was redrawn without any effect: all studies at once, against `decide()` on the frames of one at a time.

python tests/benchmarks/redrawn_studies.py [--studies N] [--alone N] [--rounds N] [TASK...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from interleaved import show, take

from harness import registry
from harness.evidence import Evidence
from harness.noise import NOT_DRAWN, Redrawn, is_planned, judged, redraw, to_null
from harness.plan import Overrides, expand, placeholders
from harness.rule import OUTCOMES
from harness.store import StudyStore, open_study
from harness.study import Study, load
from harness.verdict import decide

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def as_study(redrawn: Redrawn, number: int) -> Study:
    """One of the redrawn studies, as if its trials had left these records."""
    task, scale = redrawn.task, redrawn.scale
    plan = expand(task, scale, Overrides(seeds=redrawn.seeds), placeholders(task, scale))
    frames = [redrawn.table.frame(number * redrawn.seeds + seed) for seed in range(redrawn.seeds)]
    frame = pd.concat(frames, ignore_index=True).drop(columns=[name for name in frames[0] if str(name).startswith("view.")])
    frame = frame.assign(task=task.id, scale=scale, trial_id=[trial.id for trial in plan], data_kind="synthetic")
    store, curves = StudyStore(tempfile.gettempdir(), "redrawn"), pd.DataFrame()
    return Study(name="redrawn", store=store, tasks={task.id: task}, plan=plan, frame=frame, curves=curves, env={})


def agree(redrawn: Redrawn, studies: int) -> None:
    """Both sides give the same verdicts, but for claims whose numbers are moved to where there is no effect."""
    _, whole = judged(redrawn, slow=studies)
    claims = redrawn.task.claims
    parts = {claim.id: getattr(claim.estimate, "parts", (claim.estimate,)) for claim in claims}
    moved = {c.id for c in claims if is_planned(redrawn, c) and any(to_null(redrawn, c, part) for part in parts[c.id])}
    for number in range(studies):
        for verdict, place, claim in zip(decide(_evidence(redrawn, number)), whole[:, number], claims, strict=True):
            bound = moved & {claim.id, *claim.stands_on} or (claim.primary and any(c.primary and c.id in moved for c in claims))
            if not bound and place != NOT_DRAWN and verdict.verdict != OUTCOMES[place]:
                raise SystemExit(f"{redrawn.task.id} {claim.id}: {verdict.verdict} alone, {OUTCOMES[place]} among all")


def _evidence(redrawn: Redrawn, number: int) -> Evidence:
    return Evidence(as_study(redrawn, number), redrawn.task, redrawn.scale)


def at_once(redrawn: Redrawn, slow: int) -> float:
    """Seconds a study, of studies judged together; `slow` of them have claims that read frames."""
    started = time.process_time()
    judged(redrawn, slow=slow)
    return (time.process_time() - started) / redrawn.studies


def one_by_one(redrawn: Redrawn, studies: int) -> float:
    """Seconds a study, each judged from its frames."""
    evidences = [_evidence(redrawn, number) for number in range(studies)]
    started = time.process_time()
    for evidence in evidences:
        decide(evidence)
    return (time.process_time() - started) / studies


def main() -> None:
    """Measure and print, task by task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--alone", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("tasks", nargs="*")
    options = parser.parse_args()
    for folder in sorted(REFERENCE.glob("*-laptop")):
        task = registry.task(folder.name.removesuffix("-laptop"))
        if options.tasks and task.id not in options.tasks:
            continue
        records = load(open_study(str(folder))).frame
        redrawn = redraw(task, "laptop", studies=options.studies, random=np.random.default_rng(0), records=records)
        agree(redrawn, options.alone)
        sides: dict[str, Callable[[], float]] = {
            "one by one": lambda redrawn=redrawn: one_by_one(redrawn, options.alone),
            "all at once": lambda redrawn=redrawn: at_once(redrawn, 0),
        }
        if (judged(redrawn.first(1), slow=0)[0] == NOT_DRAWN).any():
            sides["all at once, and what reads frames"] = lambda redrawn=redrawn: at_once(redrawn.first(4), 4)
        notes = {"one by one": f"{options.alone} studies", "all at once": f"{options.studies} studies"}
        show(task.id, "s", take(sides, options.rounds), over="one by one", notes=notes)


if __name__ == "__main__":
    main()
