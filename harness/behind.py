"""From a number to its trials: which trials of a plan a claim reads, and what these need."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from harness.cells import Cells
from harness.coverage import needs
from harness.errors import UsageError, unknown
from harness.plan import TrialSpec
from harness.study import Study
from harness.task import Claim, Task


def trials_of(claim: Claim, trials: Sequence[TrialSpec]) -> list[TrialSpec]:
    """The trials of one task and scale that the claim's estimate reads, those among which a sweep selects included."""
    cells = Cells.of(trials)
    frame = cells.frame()
    wanted = np.zeros(len(frame), dtype=bool)
    for need in needs(claim.estimate):
        wanted[need.rows(frame).index] = True
    return [trials[place] for place in np.flatnonzero(wanted[cells.numbers]).tolist()]


def by_claim(study: Study, claims: Sequence[str]) -> dict[tuple[str, str, str], list[TrialSpec]]:
    """(task, scale, claim) -> the planned trials that it reads, of the claims of these names. UsageError for a name that none has."""
    found: dict[tuple[str, str, str], list[TrialSpec]] = {}
    for task, scale in study.groups():
        planned = [trial for trial in study.plan if (trial.task, trial.scale) == (task.id, scale)]
        found |= {(task.id, scale, claim.id): trials_of(claim, planned) for claim in task.claims if claim.id in claims}
    check_names(study, claims)
    return found


def check_names(study: Study, claims: Sequence[str]) -> None:
    """UsageError for a name that no claim of the study's tasks has."""
    known = list(dict.fromkeys(claim.id for task, _ in study.groups() for claim in task.claims))
    for name in claims:
        if name not in known:
            raise unknown(f"claim of study {study.name}", name, known)


def chosen(tasks: Sequence[Task], scale: str, trials: Sequence[TrialSpec], claims: Sequence[str], ids: Sequence[str]) -> list[TrialSpec]:
    """The trials behind some claims and what these stand on, and those whose ids start so, with the trials that they need.

    All without either. A claim without the control that it stands on would be decided where the control may fail.

    UsageError for a claim that none of the tasks makes or the scale does not test, and for an id that is none's, or several's.
    """
    if not claims and not ids:
        return list(trials)
    wanted = {_one(trials, id) for id in ids}
    for name in claims:
        own = [(task, claim) for task in tasks for claim in task.claims if claim.id == name]
        if not own:
            raise unknown(f"claim of {', '.join(task.id for task in tasks)}", name, [c.id for task in tasks for c in task.claims])
        for task, claim in own:
            if scale not in claim.scales:
                raise UsageError(f"claim {name} of {task.id} is not tested at scale {scale} (it is at {', '.join(task.tested_at(claim))})")
            planned = [trial for trial in trials if trial.task == task.id]
            grounds = [task.claim(id) for id in task.grounds(claim)]
            wanted |= {trial.id for one in (claim, *grounds) for trial in trials_of(one, planned)}
    return closed(trials, wanted)


def _one(trials: Sequence[TrialSpec], id: str) -> str:
    found = [trial.id for trial in trials if id and trial.id.startswith(id)]
    if len(found) != 1:
        hint = f"{len(found)} trials start so" if found else "no trial of this plan starts so"
        raise UsageError(f"--trial {id}: {hint}; `papertrial trials STUDY` lists the ids")
    return found[0]


def closed(trials: Sequence[TrialSpec], wanted: Collection[str]) -> list[TrialSpec]:
    """The wanted trials and those that they need, in the plan's order."""
    planned = {trial.id: trial for trial in trials}
    kept, unseen = set(wanted), list(wanted)
    while unseen:
        needed = planned[unseen.pop()].requires
        if needed in planned and needed not in kept:
            kept.add(needed)
            unseen.append(needed)
    return [trial for trial in trials if trial.id in kept]
