"""What holds of every registered task, asked of each in the same way. A new paper is asked without being listed here."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import contract, gate, registry
from harness.checkpoints import Checkpoints
from harness.errors import TaskError
from harness.packing import runner
from harness.params import resolve
from harness.plan import Overrides, TrialSpec, expand, placeholders
from harness.task import Experiment, Grid, Task
from harness.trial import Trial
from harness.worker import Context, Worker
from tests.tasks import stand_ins
from tests.tasks.trials import Trials

LISTED = sorted(name for name, entry in registry.tasks().items() if entry.module.startswith("tasks."))


ANEW = {("dynamic-pruning-ftwt", "smaller-from-scratch")}
"""Methods that need another trial for its numbers alone and train a network from the start."""


def loads(name: str) -> bool:
    try:
        registry.task(name)
    except TaskError:
        return False
    return True


OURS = [name for name in LISTED if loads(name)]
EXPERIMENTS = [(name, experiment.name) for name in OURS for experiment in registry.task(name).experiments]
SMALL: Mapping[str, Any] = {
    "steps": 12,
    "warmup": 2,
    "eval_windows": 4,
    "eval_examples": 32,
    "eval_images": 60,
    "train_images": 96,
    "dense_epochs": 1.0,
    "epochs": 1.0,
    "probe_every": 6,
    "probe_windows": 2,
    "calibration_windows": 2,
    "rounds": 3,
    "budget": 1e9,
    "kept_steps": 4,
    "permutations": 10,
    "pairings": 2,
    "test_windows": 30,
    "slow_windows": 2,
    "windows": 320,
}
"""What makes a trial small, whatever the experiment: values of parameters that it has and that are larger there."""


def shrunk(experiment: Experiment, values: Mapping[str, Any]) -> dict[str, Any]:
    resolved = resolve(experiment, values)
    return {name: min(value, type(value)(SMALL[name])) if name in SMALL and value else value for name, value in resolved.items()}


@dataclass(frozen=True, eq=False)
class Case:
    """One experiment of one task at the smallest scale that has it: every method that some grid there runs, made small."""

    task: Task
    experiment: Experiment
    grids: Sequence[Grid]
    """The one with the most methods first. All read the data of that one."""

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(method for grid in self.grids for method in self.task.methods_of(grid)))

    @property
    def data_name(self) -> str:
        return self.grids[0].data or ""

    def values(self, method: str) -> dict[str, Any]:
        """Those of the first grid that has the method."""
        grid = next(grid for grid in self.grids if method in self.task.methods_of(grid))
        axes = {name: values[-1] for name, values in grid.axes.items()}
        return shrunk(self.experiment, {**grid.points[0], **axes})

    def trials(self, folder: Path, data: Any = None) -> Trials:
        given = data if data is not None else self.data()
        return Trials(self.task, folder, experiment=self.experiment.name, data=given)

    def run(self, method: str, folder: Path, data: Any = None) -> dict[str, float]:
        return self.trials(folder, data).run(method, self.values(method))

    def data(self) -> Any:
        return stand_ins.made(self.data_name) if self.data_name else None


@cache
def case(task: str, experiment: str) -> Case:
    """The case of an experiment, on the grids of scale smoke or of the smallest scale that has it."""
    declared = registry.task(task)
    smallest = next(scale for scale, _ in declared.grids(experiment))
    grids = [grid for scale, grid in declared.grids(experiment) if scale == smallest]
    grids.sort(key=lambda grid: -len(declared.methods_of(grid)))
    return Case(declared, declared.experiment(experiment), [grid for grid in grids if grid.data == grids[0].data])


@pytest.mark.parametrize("name", LISTED)
def test_every_task_can_be_loaded(name: str) -> None:
    registry.task(name)


def test_declaring_imports_nothing_heavy() -> None:
    code = (
        "import sys; from harness import registry\n"
        f"for name in {OURS!r}: registry.task(name)\n"
        f"print(sorted(set({contract.HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", OURS)
def test_every_declaration_is_sound_and_estimates_every_trial(name: str) -> None:
    task = registry.task(name)
    assert contract.declared(task) == []
    assert {"smoke", "laptop"} <= set(task.scales)
    for scale in task.scales:
        trials = expand(task, scale, Overrides(seeds=1), placeholders(task, scale))
        assert all(t.expected_s > 0 for t in trials), f"{scale}: a trial without an estimate"


@dataclass(frozen=True)
class Run:
    """What a trial of a case gave, and how it trained."""

    metrics: Mapping[str, float]
    batches: Sequence[str]
    """Digests of what its training loops drew from the training split; without a loop, of all that it drew from there."""
    steps: int
    """Of its training loops."""
    below: int
    """Steps of the trials that it needs first."""
    held_out: frozenset[str]
    """What it read of val and test."""


Measured = Callable[[Case, str], Run]


@pytest.fixture(scope="session", autouse=True)
def small_forests() -> Iterator[None]:
    """Forests of a few trees: nothing is asked here of how well they tell."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tasks.eeg.classify.TREES", 8)
        yield


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Every trial of a case once, for all that is asked of it: the first seed of a method, on the stand-in data."""

    @cache
    def run(found: Case, method: str) -> Run:
        drawn: list[str] = []
        held_out: set[str] = set()
        data = stand_ins.watched(found.data(), drawn, held_out)
        with stand_ins.watched_loops(drawn) as loops:
            trial = found.trials(tmp_path_factory.mktemp("measured"), data)(method, found.values(method))
            below = sum(loop.steps for loop in loops)
            loops.clear()
            drawn.clear()
            held_out.clear()
            metrics = dict(runner(found.experiment)(trial))
        batches = [batch for loop in loops for batch in loop.drawn] if loops else drawn
        return Run(metrics, batches, sum(loop.steps for loop in loops), below, frozenset(held_out))

    return run


@pytest.mark.parametrize(("name", "experiment"), EXPERIMENTS)
def test_trials_repeat_to_the_bit_whatever_ran_before(name: str, experiment: str, tmp_path: Path, measured: Measured) -> None:
    found = case(name, experiment)
    for method in _asked(found):
        first = contract.timeless(found.experiment, measured(found, method).metrics)
        random.seed(1)
        np.random.seed(2)
        torch.manual_seed(3)
        torch.rand(7)
        again = contract.timeless(found.experiment, found.run(method, tmp_path))
        assert again == pytest.approx(first, rel=0, abs=0, nan_ok=True), method


@pytest.mark.parametrize(("name", "experiment"), EXPERIMENTS)
def test_every_method_returns_every_metric(name: str, experiment: str, measured: Measured) -> None:
    found = case(name, experiment)
    for method in found.methods:
        metrics = gate.metrics(found.experiment, method, measured(found, method).metrics)
        assert all(math.isfinite(value) for value in metrics.values()), (method, metrics)


SPLIT_CASES = [(name, experiment) for name, experiment in EXPERIMENTS if case(name, experiment).data_name]


@pytest.mark.parametrize(("name", "experiment"), SPLIT_CASES)
def test_each_split_moves_its_own_numbers(name: str, experiment: str, tmp_path: Path, measured: Measured) -> None:
    found = case(name, experiment)
    data = {split: stand_ins.altered(found.data(), split) for split in stand_ins.SPLITS}
    of = {metric.name: metric.measured_on for metric in found.experiment.metrics}
    still, values = _coarse(found), []
    for method in dict.fromkeys([*_asked(found), *(m for m in found.experiment.selecting if m in found.methods)]):
        before = contract.timeless(found.experiment, measured(found, method).metrics)
        moved = {split: _moved(found, tmp_path / split, data[split], method, before) for split in stand_ins.SPLITS}
        assert not {m for m in moved["test"] if of[m] != "test"}, f"{method}: test decides more than test numbers"
        if method not in found.experiment.selecting:
            assert not {m for m in moved["val"] if of[m] != "val"}, f"{method}: val decides more than val numbers"
        for split in ("val", "test"):
            own = {m for m in before if of[m] == split}
            assert own <= moved[split] | _coarse(found), f"{method}: numbers of {split} that {split} does not move"
            still -= own & moved[split]
        learned = {m for m in before if of[m] in ("train", "val", "test")}
        assert not learned or moved["train"], f"{method}: the training split moves nothing"
        values.append(before)
    differing = {m for m in values[0] if of[m] in ("val", "test") and len({run[m] for run in values if m in run}) > 1}
    stuck = still & differing - {metric.name for metric in found.experiment.metrics if metric.optional}
    percents = {m.name for m in found.experiment.metrics if m.unit in ("percent", "points")}
    shares = differing & {m.name for m in found.experiment.metrics if m.unit == "share" and not m.methods}
    assert not stuck & percents, "numbers of val or test that it moves for no method"
    assert len(stuck & shares) <= len(shares) / 2, "most shares of val or test are moved by it for no method"


def _moved(found: Case, folder: Path, data: Any, method: str, before: Mapping[str, float]) -> set[str]:
    after = contract.timeless(found.experiment, found.run(method, folder, data))
    same = {name for name in before if after.get(name) == before[name] or (math.isnan(before[name]) and math.isnan(after.get(name, 0.0)))}
    return set(before) - same


def _coarse(found: Case) -> set[str]:
    """Shares and counts of a few examples may agree by chance, and so may an optional number."""
    return {
        m.name for m in found.experiment.metrics if m.unit in ("percent", "share", "count", "points", "percentage points") or m.optional
    }


@pytest.mark.parametrize(("name", "experiment"), SPLIT_CASES)
def test_methods_are_measured_on_the_same_examples(name: str, experiment: str, measured: Measured) -> None:
    found = case(name, experiment)
    read = {method: measured(found, method).held_out for method in found.methods}
    for split in ("val", "test"):
        seen = {method: {one for one in of if one.startswith(split)} for method, of in read.items()}
        for method, own in seen.items():
            assert method in found.experiment.selecting or own == next(iter(seen.values())), f"{method} reads another part of {split}"


@pytest.mark.parametrize(("name", "experiment"), SPLIT_CASES)
def test_methods_of_a_seed_draw_the_same_training_batches(name: str, experiment: str, measured: Measured) -> None:
    found = case(name, experiment)
    runs = {method: measured(found, method) for method in found.methods}
    if _shares_compute(found):  # batches of a size of their own: the first ones of a size are the same
        _same_where_the_same_is_drawn(runs)
        return
    longest = max(runs.values(), key=lambda run: len(run.batches))
    for method, run in runs.items():
        assert run.batches == longest.batches[: len(run.batches)], f"{method} does not see the batches of the others"
        assert run.steps != longest.steps or len(run.batches) == len(longest.batches), f"{method} draws from elsewhere"


def _shares_compute(found: Case) -> bool:
    """Whether the methods of the task have the same floating-point operations to train with, and so other steps."""
    return any(metric.name == "training_flops" for experiment in found.task.experiments for metric in experiment.metrics)


def _same_where_the_same_is_drawn(runs: Mapping[str, Run]) -> None:
    first: dict[str, tuple[str, str]] = {}
    for method, run in runs.items():
        for batch in run.batches[:1]:
            size, digest = batch.split("/")
            other, known = first.setdefault(size, (method, digest))
            assert digest == known, f"{method} does not see the first batch of {other}"


@pytest.mark.parametrize(("name", "experiment"), EXPERIMENTS)
def test_methods_that_learn_take_as_many_steps(name: str, experiment: str, measured: Measured) -> None:
    """Those of what they go on from included. A stage of another method takes fewer; where compute is shared out, it is what is kept to."""
    found = case(name, experiment)
    runs = {method: measured(found, method) for method in found.methods}
    if _shares_compute(found):
        for method, run in runs.items():
            spent, given = run.metrics.get("training_flops"), found.values(method)["budget"]
            assert spent is None or given * (1.0 - 1.0 / run.steps) < spent <= given, f"{method} does not keep to the budget"
        return
    taken = {
        method: run.steps + (0 if (name, method) in ANEW else run.below)
        for method, run in runs.items()
        if not _is_a_stage(method, found, runs)
    }
    learning = [steps for steps in taken.values() if steps]
    rounded = 1 if any(run.below for run in runs.values()) else 0  # several stages are rounded to whole steps each
    assert not learning or max(learning) - min(learning) <= rounded, taken


def _is_a_stage(method: str, found: Case, runs: Mapping[str, Run]) -> bool:
    """Whether another method goes on from a trial of this one that takes as many steps."""
    for other in found.methods if found.experiment.requires else ():
        needed = found.experiment.requires(other, found.values(other)) if found.experiment.requires else None
        if needed and needed.method == method and runs[other].below == runs[method].steps:
            return True
    return False


class _CutError(Exception):
    """The trial is stopped right behind its second checkpoint."""


@pytest.mark.parametrize(("name", "experiment"), EXPERIMENTS)
def test_a_trial_cut_and_resumed_equals_one_that_was_not(
    name: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Measured
) -> None:
    found = case(name, experiment)
    method = _asked(found)[0]
    whole = measured(found, method).metrics
    clock = _fast_clock()
    monkeypatch.setattr("tasks.blocks.training.time.monotonic", lambda: next(clock))
    cut, saved, values = found.trials(tmp_path), 0, found.values(method)
    save = Checkpoints.save

    def save_and_stop(self: Checkpoints, *state: Any) -> None:
        nonlocal saved
        save(self, *state)
        saved += 1
        if saved == 2:
            raise _CutError

    monkeypatch.setattr(Checkpoints, "save", save_and_stop)
    try:
        resumed = cut.run(method, values)
    except _CutError:
        resumed = cut.run(method, values)
    assert contract.timeless(found.experiment, resumed) == pytest.approx(
        contract.timeless(found.experiment, whole), rel=0, abs=0, nan_ok=True
    )


def _fast_clock() -> Iterator[float]:
    """A minute passes at every look."""
    now = 0.0
    while True:
        now += 61.0
        yield now


@pytest.mark.parametrize(("name", "experiment"), EXPERIMENTS)
def test_what_is_not_finite_is_a_divergence(name: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = case(name, experiment)
    method = _asked(found)[0]
    trial = found.trials(tmp_path)(method, found.values(method))
    run = runner(found.experiment)

    def poisoned(given: Trial) -> Mapping[str, float]:
        metrics = dict(run(given))
        return {**metrics, next(iter(metrics)): math.nan}

    monkeypatch.setattr("harness.worker.runner", lambda _: poisoned)
    worker = Worker(Context(store_uri=str(tmp_path), study="study"))
    monkeypatch.setattr(worker, "_open", lambda _: found.data())
    monkeypatch.setattr(worker, "_bring", lambda _: None)
    spec = TrialSpec.from_json(trial._spec.to_json())
    assert worker.execute(spec).record.status == "diverged"


def _asked(found: Case) -> list[str]:
    """The first proposed method and the first other one that trains: what the contract is asked of where all would take too long."""
    roles = {method.name: method.role for method in found.task.methods}
    proposed = [name for name in found.methods if roles[name] == "proposed"][:1]
    others = [name for name in found.methods if name not in proposed and roles[name] != "floor"][:1]
    return [*proposed, *others] or found.methods[:1]
