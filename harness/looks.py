"""The looks of a study that runs until its claims are decided: how many seeds before each, and the error that each may spend.

Looking after every seed and stopping at the first interval that decides errs far more often than one interval does. Here the looks and
their levels are fixed before the first seed (group-sequential tests: Pocock 1977; O'Brien and Fleming 1979; spending: Lan and DeMets 1983).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.plan import TrialSpec
    from harness.plan_file import Outline

USUAL = (3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 800)
"""Each about 1.6 times the one before: a look later than needed costs at most that factor."""
CAP = 20
ERROR = 0.05
"""Two-sided error of all looks together: that of one 95 % interval."""


@dataclass(frozen=True)
class Look:
    """A number of seeds at which claims are judged, and the two-sided error of an interval there."""

    seeds: int
    level: float


def schedule(cap: int = CAP) -> tuple[Look, ...]:
    """Looks up to `cap` seeds, which share ERROR in proportion to their seeds.

    The levels sum to ERROR, so that no dependence between looks, between claims or under Holm's correction makes all of them err more
    often. UsageError for a cap below the first look, or beyond the last of the usual ones.
    """
    if not USUAL[0] <= cap <= USUAL[-1]:
        raise UsageError(f"--cap must lie in {USUAL[0]} to {USUAL[-1]} seeds, not {cap:,}")
    seeds = [*(n for n in USUAL if n < cap), cap]
    return tuple(Look(n, ERROR * n / sum(seeds)) for n in seeds)


def parse(value: Any) -> tuple[Look, ...]:
    """Looks from the JSON of a plan, `[[seeds, level], ...]`. ValueError or TypeError on anything else."""
    looks = tuple(Look(seeds, level) for seeds, level in value)
    numbers = [0, *(look.seeds for look in looks)]
    rise = all(type(n) is int and n > before for before, n in itertools.pairwise(numbers))
    if not looks or not rise or not all(type(look.level) is float and 0 < look.level < 1 for look in looks):
        raise ValueError("its looks are of another shape")
    return looks


def reached(looks: Sequence[Look], trials: Sequence[TrialSpec | Outline], recorded: Collection[str]) -> int:
    """How many looks are complete: every trial of as many seeds, in the plan's order, has left a record."""
    seeds = list(dict.fromkeys(trial.seed for trial in trials))
    waiting = {trial.seed for trial in trials if trial.id not in recorded}
    whole = next((place for place, seed in enumerate(seeds) if seed in waiting), len(seeds))
    return sum(look.seeds <= whole for look in looks)


def added(looks: Sequence[Look], complete: int, seeds: int) -> int:
    """How many of the planned `seeds` belong to no look: neither to those that are complete nor to the next one."""
    behind = looks[complete - 1].seeds if complete else 0
    due = looks[complete].seeds if complete < len(looks) else behind
    return 0 if seeds == due else max(0, seeds - behind)


def standing(looks: Sequence[Look], complete: int) -> str:
    """`look 2 of 5 (5 seeds)`, with the next one."""
    if not complete:
        return f"no look yet, the first at {looks[0].seeds} seeds"
    here = f"look {complete} of {len(looks)} ({looks[complete - 1].seeds} seeds)"
    return here + (f", the next at {looks[complete].seeds}" if complete < len(looks) else ", the last")


def standings(looks: Sequence[Look], trials: Sequence[TrialSpec | Outline], recorded: Collection[str]) -> list[str]:
    """A sentence for each task and scale of a plan that has looks: at which it stands, and what was added by hand."""
    groups = dict.fromkeys((trial.task, trial.scale) for trial in trials) if looks else {}
    found = []
    for task, scale in groups:
        own = [trial for trial in trials if (trial.task, trial.scale) == (task, scale)]
        complete = reached(looks, own, recorded)
        extra = added(looks, complete, len({trial.seed for trial in own}))
        found.append(f"{task}, scale {scale}: {standing(looks, complete)}" + (f"; {extra} seeds belong to no look" if extra else ""))
    return found
