"""Trials of any task, made and run in this process: what a trial needs first is run once and kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import params, registry
from harness.artifacts import Artifacts
from harness.checkpoints import Checkpoints
from harness.data import open_data
from harness.packing import Program, Progress, runner
from harness.plan import DataRef, TrialSpec
from harness.store import StudyStore
from harness.task import Experiment, Task
from harness.trial import Trial


class Trials:
    """`trials(method, values, ...)` is a trial of an experiment with `values` over `base` over the defaults; `trials.run(...)` its metrics.

    `data` is a reference to a prepared set, or any object that the trial gets as its data set as it is.
    """

    def __init__(
        self, task: Task | str, folder: Path, *, experiment: str = "", base: Mapping[str, Any] | None = None, data: Any = None
    ) -> None:
        self.task = registry.task(task) if isinstance(task, str) else task
        self._experiment = self.task.experiment(experiment) if experiment else self.task.experiments[0]
        self._base, self._data, self._folder = dict(base or {}), data, folder

    def __call__(
        self,
        method: str,
        values: Mapping[str, Any] | None = None,
        *,
        experiment: str = "",
        seed: int = 0,
        data: Any = None,
        scale: str = "smoke",
        study: str = "study",
    ) -> Trial:
        """A trial that can be run: the trials that it needs first have been."""
        chosen = self.task.experiment(experiment) if experiment else self._experiment
        base = {name: value for name, value in self._base.items() if name in chosen.parameters}
        given = self._data if data is None else data
        return self._made(chosen, method, params.resolve(chosen, {**base, **(values or {})}), seed, given, scale, study)

    def run(self, method: str, values: Mapping[str, Any] | None = None, **how: Any) -> dict[str, float]:
        """The metrics of that trial."""
        trial = self(method, values, **how)
        return dict(runner(self.task.experiment(trial.experiment))(trial))

    def _made(self, experiment: Experiment, method: str, values: Mapping[str, Any], seed: int, given: Any, scale: str, study: str) -> Trial:
        store = StudyStore(str(self._folder), study)
        artifacts, checkpoints = Artifacts(store), Checkpoints(store)
        needed = experiment.requires(method, values) if experiment.requires else None
        below: Trial | None = None
        if needed:
            other = self.task.experiment(needed.experiment) if needed.experiment else experiment
            below = self._made(other, needed.method, params.resolve(other, needed.params), seed, given, scale, study)
            if below.id not in artifacts:
                runner(other)(below)
        spec = TrialSpec(
            task=self.task.id,
            version=self.task.version,
            scale=scale,
            experiment=experiment.name,
            method=method,
            params=values,
            seed=seed,
            data=_reference(given),
            requires=below.id if below else "",
        )
        return Trial(experiment, spec, open_data=lambda asked: _opened(asked, given), artifacts=artifacts, checkpoints=checkpoints)


def trials_of(task: str, *, experiment: str = "", base: Mapping[str, Any] | None = None) -> Any:
    """A fixture that gives the trials of a task in the test's own folder."""

    @pytest.fixture
    def trials(tmp_path: Path) -> Trials:
        return Trials(task, tmp_path, experiment=experiment, base=base)

    return trials


def recipe(program: Program, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a program of packed trials asks of `train_trials` for one of them, by the names of its options; nothing is trained."""
    asked: dict[str, Any] = {}

    def instead(*_: object, **options: Any) -> Iterator[Progress]:
        asked.update(options)
        yield 1.0

    with monkeypatch.context() as patched:
        patched.setattr(sys.modules[program.__module__], "train_trials", instead)
        assert list(program([trial])) == [1.0]
    return asked


def descended(start: Sequence[Tensor], loss: Callable[..., Tensor], *, lr: float, steps: int) -> list[Tensor]:
    """Where gradient descent on a function of some tensors ends, by torch.optim: what packed training is compared with."""
    own = [tensor.clone().requires_grad_() for tensor in start]
    optimizer = torch.optim.SGD(own, lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(*own).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [tensor.detach() for tensor in own]


def _reference(given: Any) -> DataRef | None:
    if given is None or isinstance(given, DataRef):
        return given
    return DataRef("given", "given", "synthetic", f"{id(given):x}")


def _opened(asked: TrialSpec, given: Any) -> Any:
    if isinstance(given, DataRef):
        return open_data(registry.dataset(given.name), given)
    return given
