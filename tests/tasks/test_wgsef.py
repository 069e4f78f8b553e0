"""The estimates on planted effects, the claims at every scale, and whole trials at toy size."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from harness import data, params, registry
from harness.artifacts import Artifacts
from harness.data import open_data
from harness.errors import UsageError
from harness.plan import DataRef, Overrides, TrialSpec, data_names, expand
from harness.store import StudyStore
from harness.task import Task
from harness.trial import Trial
from tasks.blocks.convnets import initialize
from tasks.blocks.training import generator
from tasks.pruning.group_sparsity_wgsef import cost, quality
from tasks.pruning.group_sparsity_wgsef.estimates import AtChosen, AtLargest, AtSparsity, chosen, gap, trained
from tasks.pruning.group_sparsity_wgsef.experiment import run
from tasks.pruning.group_sparsity_wgsef.proximal import Plain, Prox

TASK_ID = "group-sparsity-wgsef"
TINY = {"setting": "units", "arch": "mlp", "width": 0.05, "dense_epochs": 1.0, "dense_lr": 0.1, "eval_images": 50, "train_images": 200}
TRAINED = ("wgsef", "wgsef-hspg", "wgsef-finetune", "group-lasso", "hspg", "magnitude-finetune", "random-finetune", "k-from-scratch")

MakeTrial = Callable[..., Trial]


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture
def digits(cache: Path) -> DataRef:
    return data.prepare(registry.dataset("digits"))


@pytest.fixture
def make_trial(task: Task, digits: DataRef, tmp_path: Path) -> MakeTrial:
    """Trials on the digits with the given parameters over those of a toy; what one keeps, its dependents find."""
    artifacts = Artifacts(StudyStore(str(tmp_path / "store"), "study"))

    def make(method: str, values: Mapping[str, Any] | None = None, *, seed: int = 0) -> Trial:
        resolved = params.resolve(task, TINY | dict(values or {}))
        needed = task.requires(method, resolved) if task.requires else None
        requires = spec(needed.method, params.resolve(task, needed.params), seed).id if needed else ""
        return trial(spec(method, resolved, seed, requires))

    def spec(method: str, resolved: Mapping[str, Any], seed: int, requires: str = "") -> TrialSpec:
        return TrialSpec(task=TASK_ID, version=1, scale="smoke", method=method, params=resolved, seed=seed, data=digits, requires=requires)

    def trial(asked: TrialSpec) -> Trial:
        return Trial(task, asked, open_data=lambda _: open_data(registry.dataset("digits"), digits), artifacts=artifacts)

    return make


def row(lam: float, val: float, *, method: str = "m", status: str = "ok", keep: float = 0.25, **metrics: float) -> dict[str, Any]:
    """One record."""
    values = {"val_accuracy": val, "val_loss": 1.0, "test_accuracy": 0.0} | metrics
    where = {"setting": "units", "part": "train", "arch": "mlp", "width": 0.25, "keep": keep, "lam": lam}
    return (
        {"method": method, "seed": 0, "status": status}
        | {f"param.{name}": value for name, value in where.items()}
        | {f"metric.{name}": value for name, value in values.items()}
    )


def test_validation_chooses_lam_and_test_only_reports() -> None:
    frame = pd.DataFrame([row(0.1, 80.0, test_accuracy=99.0), row(0.3, 90.0, test_accuracy=70.0), row(1.0, 85.0, test_accuracy=95.0)])
    assert chosen("units", "test_accuracy")(frame) == 70.0
    assert math.isnan(chosen("filters", "test_accuracy")(frame))
    lam = AtChosen("param.lam", trained("units"), swept=True)
    assert lam(frame) == 0.3
    assert math.isnan(lam(frame[:1]))


def test_ties_go_to_the_lower_loss_and_then_to_the_larger_lam() -> None:
    frame = pd.DataFrame(
        [
            row(0.1, 90.0, val_loss=0.5, test_accuracy=1.0),
            row(0.3, 90.0, val_loss=0.4, test_accuracy=2.0),
            row(0.6, 90.0, val_loss=0.4, test_accuracy=3.0),
        ]
    )
    assert chosen("units", "test_accuracy")(frame) == 3.0


def test_every_k_has_its_own_lam_and_missing_trials_decide_nothing() -> None:
    rows = [row(0.1, 90.0, test_accuracy=1.0), row(0.3, 80.0, test_accuracy=9.0), row(0.3, 70.0, keep=0.5, test_accuracy=3.0)]
    assert chosen("units", "test_accuracy")(pd.DataFrame(rows)) == 2.0
    diverged, failed = row(1.0, math.nan, status="diverged"), row(1.0, math.nan, status="failed")
    assert chosen("units", "test_accuracy")(pd.DataFrame([*rows, diverged])) == 2.0
    assert math.isnan(chosen("units", "test_accuracy")(pd.DataFrame([*rows, failed])))


def test_the_largest_lam_and_gaps() -> None:
    frame = pd.DataFrame(
        [row(0.1, 90.0, group_error=4.0, test_accuracy=5.0), row(0.6, 80.0, group_error=0.0), row(0.1, 1.0, method="n", test_accuracy=2.0)]
    )
    own = frame[frame["method"] == "m"]
    assert AtLargest("metric.group_error", trained("units"))(own) == 0.0
    assert chosen("units", "group_error")(own) == 4.0
    assert gap("units", "m", "n")(frame) == 3.0


def test_at_a_sparsity_the_better_of_truncated_and_sparse_enough_counts() -> None:
    def at(*rows: dict[str, Any]) -> float:
        return AtSparsity("test", trained("units"))(pd.DataFrame(rows))

    sparse = {"nonzero_groups": 0.9, "val_accuracy_untruncated": 95.0, "test_accuracy_untruncated": 7.0}
    dense = sparse | {"nonzero_groups": 1.1, "val_accuracy_untruncated": 99.0}
    assert at(row(0.1, 90.0, test_accuracy=3.0, **sparse)) == 7.0
    assert at(row(0.1, 90.0, test_accuracy=3.0, **dense)) == 3.0, "one that has too many groups is offered truncated only"
    assert at(row(0.1, 96.0, test_accuracy=3.0, **sparse)) == 3.0
    assert math.isnan(at(row(0.1, 96.0, nonzero_groups=math.nan))), "the dense network is not sparse"
    assert at(row(0.1, 90.0, test_accuracy=3.0, **sparse), row(0.3, 97.0, test_accuracy=2.0, **dense)) == 2.0


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_every_scale_expands_and_serves_its_claims(task: Task, scale: str) -> None:
    refs = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
    names = [metric.name for metric in task.metrics if metric.name not in ("prox_seconds", "value_seconds")]
    rows = []
    for trial in expand(task, scale, Overrides(seeds=1), refs):
        timed = trial.params["part"] == "cost"
        assert (trial.data is None) == timed
        assert trial.expected_s > 0
        metrics = {"prox_seconds": 1.0, "value_seconds": 1.0} if timed else dict.fromkeys(names, 1.0)
        rows.append(
            {"method": trial.method, "seed": 0, "status": "ok"}
            | {f"param.{name}": value for name, value in trial.params.items()}
            | {f"metric.{name}": value for name, value in metrics.items()}
        )
    frame = pd.DataFrame(rows)
    for claim in task.claims:
        assert math.isfinite(claim.estimate(frame)) == (scale in claim.scales), claim.id


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_methods_share_budget_k_and_the_dense_network(task: Task, scale: str) -> None:
    """Equal but for lam; the dense network of the truncation is the one that the grid lists."""
    refs = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
    kinds: dict[tuple[str, str], dict[str, set[str]]] = {}
    trials = [trial for trial in expand(task, scale, Overrides(seeds=1), refs) if trial.params["part"] == "train"]
    for trial in trials:
        cell = kinds.setdefault((trial.params["arch"], trial.data.name if trial.data else ""), {})
        budget = {name: value for name, value in trial.params.items() if name not in ("lam", "keep")}
        cell.setdefault(str(sorted(budget.items())), set()).add(trial.method)
    for budgets in kinds.values():
        assert len(budgets) == 1
        assert next(iter(budgets.values())) == {method.name for method in task.methods} - {"wgsef-sorted"}
    dense = [trial.id for trial in trials if trial.method == "dense"]
    assert len(dense) == len(kinds)
    assert {trial.requires for trial in trials if trial.method == "one-shot"} == set(dense)
    assert not any(trial.requires for trial in trials if trial.method != "one-shot")


@pytest.mark.parametrize("method", TRAINED)
def test_a_trial_gives_its_metrics(make_trial: MakeTrial, task: Task, method: str) -> None:
    metrics = run(make_trial(method, {"lam": 0.05}))
    optional = {"dense_accuracy", "penalty", "prox_seconds", "value_seconds"}
    assert {metric.name for metric in task.metrics} - set(metrics) <= optional
    assert set(metrics) <= {metric.name for metric in task.metrics}
    assert ("penalty" in metrics) == (method in ("wgsef", "wgsef-hspg", "wgsef-finetune", "group-lasso", "hspg"))
    assert all(math.isfinite(value) for value in metrics.values())
    if method.endswith("finetune") or method == "k-from-scratch":
        assert metrics["exact_k"] == 1.0
        assert metrics["nonzero_groups"] == 1.0
        assert metrics["test_accuracy"] == metrics["test_accuracy_untruncated"]
    assert metrics["flops_reduction"] > 50


def test_truncation_starts_from_the_dense_network_of_its_seed(make_trial: MakeTrial) -> None:
    dense = run(make_trial("dense"))
    truncated = run(make_trial("one-shot"))
    assert truncated["test_accuracy_untruncated"] == dense["test_accuracy"]
    assert truncated["val_loss"] != dense["val_loss"]
    whole = run(make_trial("one-shot", {"keep": 1.0}))
    assert whole["test_accuracy"] == dense["test_accuracy"]
    assert whole["flops_reduction"] == 0.0


def test_the_envelope_reaches_k_and_truncation_then_changes_nothing(make_trial: MakeTrial) -> None:
    long = {"lam": 1.0, "keep": 0.4, "dense_epochs": 30.0, "train_images": 0, "eval_images": 0, "width": 0.08, "batch": 32}
    metrics = run(make_trial("wgsef", long))
    assert metrics["exact_k"] == 1.0
    assert metrics["group_error"] == 0.0
    assert metrics["test_accuracy"] == metrics["test_accuracy_untruncated"]
    assert metrics["test_accuracy"] > 60, "chance is 10 %"


def test_without_the_prox_no_group_is_removed(make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: proximal SGD that forgets its prox leaves every group, so that exactness cannot come from elsewhere."""
    values = {"lam": 1.0, "dense_epochs": 10.0, "train_images": 400}
    assert run(make_trial("wgsef", values))["nonzero_groups"] < 2
    monkeypatch.setattr(Prox, "__call__", lambda self, step, groups, lr: Plain()(step, groups, lr))
    broken = run(make_trial("wgsef", values))
    assert broken["exact_k"] == 0.0
    assert broken["nonzero_groups"] == pytest.approx(26 / 6)


def test_a_penalty_of_nothing_is_plain_training_for_both_penalties(make_trial: MakeTrial) -> None:
    plain = {name: run(make_trial(name, {"lam": 0.0, "keep": 1.0}))["test_loss"] for name in ("wgsef", "group-lasso")}
    dense = run(make_trial("dense"))["test_loss"]
    assert plain["group-lasso"] == pytest.approx(dense, rel=1e-5)
    assert plain["wgsef"] == pytest.approx(dense, rel=1e-5)


def test_methods_of_a_seed_start_alike_and_seeds_do_not(make_trial: MakeTrial) -> None:
    def start(method: str, seed: int) -> torch.Tensor:
        return next(quality.fresh_network(make_trial(method, seed=seed)).parameters())

    assert torch.equal(start("wgsef", 0), start("dense", 0))
    assert not torch.equal(start("wgsef", 0), start("wgsef", 1))


def test_a_trial_repeats_itself(make_trial: MakeTrial) -> None:
    timed = {"latency_ms", "latency_ratio"}
    first, again = (run(make_trial("wgsef-hspg", {"lam": 0.1})) for _ in range(2))
    assert {name: value for name, value in first.items() if name not in timed} == {
        name: value for name, value in again.items() if name not in timed
    }
    assert run(make_trial("wgsef-hspg", {"lam": 0.1}, seed=1))["val_loss"] != first["val_loss"]


def test_random_groups_follow_from_the_seed_and_are_not_the_largest(make_trial: MakeTrial) -> None:
    losses = [run(make_trial(method))["test_loss"] for method in ("random-finetune", "random-finetune", "magnitude-finetune")]
    assert losses[0] == losses[1] != losses[2]


def test_the_network_from_scratch_has_k_channels_and_its_own_scale(make_trial: MakeTrial) -> None:
    trial = make_trial("k-from-scratch")
    axes = quality.channel_axes(quality.fresh_network(trial), (1, 8, 8))
    small, now = quality.smaller_network(trial, quality.fresh_network(trial), axes, torch.tensor([3, 4]))
    assert [axis.size for axis in now] == [3, 4]
    twin = copy.deepcopy(small)
    initialize(twin, generator(trial.seed_for("init")))
    assert all(torch.equal(a, b) for a, b in zip(small.parameters(), twin.parameters(), strict=True))


def test_a_run_that_diverges_says_so(make_trial: MakeTrial) -> None:
    assert math.isnan(run(make_trial("group-lasso", {"dense_lr": 10.0, "decay": 10.0, "lam": 0.0, "dense_epochs": 20.0}))["val_loss"])


@pytest.mark.parametrize("method", ["wgsef", "wgsef-sorted", "group-lasso"])
def test_a_cost_trial_gives_seconds(task: Task, method: str) -> None:
    resolved = params.resolve(task, {"part": "cost", "groups": 10_000, "keep": 0.125, "rounds": 3})
    spec = TrialSpec(task=TASK_ID, version=1, scale="smoke", method=method, params=resolved, seed=0)
    metrics = run(Trial(task, spec))
    assert set(metrics) == {"prox_seconds", "value_seconds"}
    assert all(value > 0 for value in metrics.values())


def test_what_is_timed_is_the_same_prox() -> None:
    norms = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(cost.sorted_factors(norms, 2500, 0.01), cost.envelope.factors(norms, 2500, 0.01), atol=1e-6)


def test_the_shortest_call_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], iter((9.0, 3.0, 2.0, 5.0))

    def work() -> None:
        clock[0] += next(calls)

    monkeypatch.setattr(cost.time, "perf_counter", lambda: clock[0])
    assert cost.least_seconds(work, 3, "cpu") == 2.0


@pytest.mark.parametrize(("name", "value"), [("keep", 1.5), ("keep", 0.0), ("lam", -0.1), ("switch", 2.0), ("gains", "out"), ("groups", 1)])
def test_a_parameter_outside_its_range_is_refused(task: Task, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        params.resolve(task, {name: value})


def test_declaring_the_task_imports_no_torch() -> None:
    heavy = "[name for name in ('torch', 'pandas', 'ray', 'numpy') if name in sys.modules]"
    code = f"import sys, harness.registry as r; r.task('{TASK_ID}'); print({heavy})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
