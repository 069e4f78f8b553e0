"""Trials that need others first are held back until those are done, and fail with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.plan import TrialSpec
from harness.record import Status


@dataclass(frozen=True)
class Resolved:
    """What the end of a trial means for those that need it: some may start, or none ever will, and why."""

    released: Sequence[TrialSpec] = ()
    lost: Sequence[tuple[TrialSpec, str]] = ()


class Dependencies:
    """Which of `trials` may start. `recorded` are the states of trials that ran before."""

    def __init__(self, trials: Sequence[TrialSpec], recorded: Mapping[str, Status]) -> None:
        self._waiting: dict[str, list[TrialSpec]] = {}
        ready: list[TrialSpec] = []
        lost: list[tuple[TrialSpec, str]] = []
        todo = {trial.id for trial in trials}
        for trial in trials:
            if trial.requires in todo:
                self._waiting.setdefault(trial.requires, []).append(trial)
            elif not trial.requires or recorded.get(trial.requires) == "ok":
                ready.append(trial)
            else:
                lost.append((trial, _reason(trial.requires, recorded.get(trial.requires))))
        self.start = Resolved(ready, lost)
        """What may start at once, and what never will."""

    def resolve(self, trial_id: str, status: Status) -> Resolved:
        """Call once for every trial that has its record, those in `lost` included."""
        held = self._waiting.pop(trial_id, [])
        return Resolved(released=held) if status == "ok" else Resolved(lost=[(trial, _reason(trial_id, status)) for trial in held])


def _reason(trial_id: str, status: Status | None) -> str:
    how = f"ended {status}" if status else "is not in this study"
    return f"not run: the trial {trial_id} that it needs {how}"
