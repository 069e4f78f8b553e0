"""Trials of tasks whose trials stand on each other, made and run in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness import params
from harness.artifacts import Artifacts
from harness.checkpoints import Checkpoints
from harness.plan import DataRef, TrialSpec
from harness.store import StudyStore
from harness.task import Task
from harness.trial import Trial

MakeTrial = Callable[..., Trial]
"""`(method, values=None, *, seed=0, given=None) -> Trial`: what it stands on has been run, once."""


def maker(
    task: Task,
    run: Callable[[Trial], Any],
    folder: Path,
    *,
    base: Mapping[str, Any],
    opened: Callable[[Any], Any],
    reference: Callable[[Any], DataRef],
) -> MakeTrial:
    """Trials with `values` over `base`. `given` decides the data: `opened(given)`, known to the plan as `reference(given)`."""
    store = StudyStore(str(folder), "study")
    artifacts, checkpoints = Artifacts(store), Checkpoints(store)

    def make(method: str, values: Mapping[str, Any] | None = None, *, seed: int = 0, given: Any = None) -> Trial:
        resolved = params.resolve(task, {**base, **(values or {})})
        assert task.requires is not None
        needed = task.requires(method, resolved)
        below = make(needed.method, needed.params, seed=seed, given=given) if needed else None
        if below is not None and below.id not in artifacts:
            run(below)
        spec = TrialSpec(
            task=task.id,
            version=task.version,
            scale="smoke",
            method=method,
            params=resolved,
            seed=seed,
            data=reference(given),
            requires=below.id if below else "",
        )
        return Trial(task, spec, open_data=lambda _: opened(given), artifacts=artifacts, checkpoints=checkpoints)

    return make
