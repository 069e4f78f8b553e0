"""By which values of parameters trials are not those that a scale plans by itself, as after `--set`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.kinds import text

if TYPE_CHECKING:
    from harness.plan import TrialSpec

_ABSENT = object()


def nearest(trial: TrialSpec, usual: Iterable[TrialSpec], defaults: Mapping[str, Any]) -> list[str]:
    """The parameters in which a trial differs from the nearest of the usual ones of its experiment and method; none without any.

    A parameter that either lacks, as a plan of before does, has its default.
    """
    own = {**defaults, **trial.params}
    differing = [
        [name for name, value in own.items() if {**defaults, **other.params}.get(name, _ABSENT) != value]
        for other in usual
        if (other.experiment, other.method) == (trial.experiment, trial.method)
    ]
    return min(differing, key=len, default=[])


def written(names: Iterable[str], trials: Sequence[TrialSpec]) -> list[str]:
    """`name=3,4` of each parameter, with all the values that trials have, as `--set` takes them."""
    found = {name: dict.fromkeys(text(trial.params[name]) for trial in trials if name in trial.params) for name in dict.fromkeys(names)}
    return [f"{name}={','.join(texts)}" for name, texts in found.items()]
