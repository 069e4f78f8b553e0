"""Selection on planted numbers, equal budgets at every scale, and whole trials at toy size."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from harness import data, params, registry
from harness.errors import UsageError
from harness.estimates import In
from harness.plan import DataRef, Overrides, data_names, expand
from harness.sweeps import AtLargest, Chosen
from tasks.blocks.convnets import initialize
from tasks.blocks.training import generator
from tasks.pruning.group_sparsity_wgsef import cost, experiment
from tasks.pruning.group_sparsity_wgsef.claims import SWEEP, AtSparsity
from tasks.pruning.group_sparsity_wgsef.proximal import Plain, Prox
from tasks.pruning.group_sparsity_wgsef.task import TASK, TIME, TRAIN
from tests.tasks.trials import Trials

TINY = {"arch": "mlp", "width": 0.05, "dense_epochs": 1.0, "dense_lr": 0.1, "eval_images": 50, "train_images": 200}
PENALISED = ("wgsef", "wgsef-hspg", "wgsef-finetune", "group-lasso", "hspg", "group-lasso-finetune")
FITTED = (*PENALISED, "magnitude-finetune", "random-finetune", "k-from-scratch")


@pytest.fixture
def trials(tmp_path: Path, cache: Path) -> Trials:
    """On the digits; what one trial keeps, its dependents find."""
    return Trials(TASK, tmp_path / "store", base=TINY, data=data.prepare(registry.dataset("digits")))


def row(lam: float, val: float, *, method: str = "m", status: str = "ok", keep: float = 0.25, **metrics: float) -> dict[str, Any]:
    """One record of the hidden units."""
    values = {"val_accuracy": val, "val_loss": 1.0, "test_accuracy": 0.0} | metrics
    return (
        {"experiment": "train", "method": method, "seed": 0, "status": status, "view.units": True, "view.filters": False}
        | {"param.arch": "mlp", "param.width": 0.25, "param.keep": keep, "param.lam": lam, "param.switch": 0.5, "param.dense_lr": 0.1}
        | {f"metric.{name}": value for name, value in values.items()}
    )


def test_validation_chooses_lam_for_each_k_and_the_larger_of_equals() -> None:
    accuracy = TRAIN["test_accuracy"].at("units")
    frame = pd.DataFrame([row(0.1, 80.0, test_accuracy=99.0), row(0.3, 90.0, test_accuracy=70.0), row(1.0, 85.0, test_accuracy=95.0)])
    assert accuracy(frame) == 70.0
    assert math.isnan(TRAIN["test_accuracy"].at("filters")(frame))
    assert In("train", Chosen("lam", SWEEP), "units")(frame) == 0.3
    assert accuracy(pd.DataFrame([*frame.to_dict("records"), row(0.3, 70.0, keep=0.5, test_accuracy=10.0)])) == 40.0
    losses, tests = (0.5, 0.4, 0.4), (1.0, 2.0, 3.0)
    ties = [row(lam, 90.0, val_loss=loss, test_accuracy=test) for lam, loss, test in zip((0.1, 0.3, 0.6), losses, tests, strict=True)]
    assert accuracy(pd.DataFrame(ties)) == 3.0
    errors = pd.DataFrame([row(0.1, 90.0, group_error=4.0), row(0.6, 80.0, group_error=0.0)])
    assert (AtLargest("group_error", "lam")(errors), TRAIN["group_error"].at("units")(errors)) == (0.0, 4.0)


def test_at_a_sparsity_the_better_of_truncated_and_sparse_enough_counts() -> None:
    def at(*rows: dict[str, Any]) -> float:
        return AtSparsity("test")(pd.DataFrame(rows))

    sparse = {"nonzero_groups": 0.9, "val_accuracy_untruncated": 95.0, "test_accuracy_untruncated": 7.0}
    dense = sparse | {"nonzero_groups": 1.1, "val_accuracy_untruncated": 99.0}
    assert at(row(0.1, 90.0, test_accuracy=3.0, **sparse)) == 7.0
    assert at(row(0.1, 90.0, test_accuracy=3.0, **dense)) == 3.0, "one that has too many groups is offered truncated only"
    assert at(row(0.1, 96.0, test_accuracy=3.0, **sparse)) == 3.0
    assert math.isnan(at(row(0.1, 96.0, nonzero_groups=math.nan))), "the dense network is not sparse"
    assert at(row(0.1, 90.0, test_accuracy=3.0, **sparse), row(0.3, 97.0, test_accuracy=2.0, **dense)) == 2.0


def test_the_claims_set_methods_against_each_other() -> None:
    frame = pd.DataFrame(
        [
            *(row(0.1, 90.0, method="wgsef", test_accuracy=80.0, group_error=1.0, nonzero_groups=1.0),),
            *(row(0.1, 90.0, method="group-lasso", test_accuracy=30.0, group_error=7.0, nonzero_groups=1.1),),
            *(row(0.1, 90.0, method="random-finetune", test_accuracy=75.0, group_error=0.0, nonzero_groups=1.0),),
        ]
    )
    found = {id: TASK.claim(f"C{id}").estimate(frame) for id in ("1-units-lasso", "2-units-lasso", "2-units-lasso-floor", "2-units-random")}
    assert found == {"1-units-lasso": -6.0, "2-units-lasso": 50.0, "2-units-lasso-floor": -45.0, "2-units-random": 5.0}
    assert TASK.claim("C2-units-lasso").stands_on == ("C2-units-lasso-floor",)
    assert (-0.9 in TASK.claim("C2-units-lasso").holds, -1.1 in TASK.claim("C2-units-lasso").holds) == (True, False)


def test_the_envelope_as_a_selector_meets_group_lasso_as_one() -> None:
    frame = pd.DataFrame(
        [
            row(0.1, 90.0, method="wgsef-finetune", test_accuracy=80.0),
            *(
                row(lam, val, method="group-lasso-finetune", test_accuracy=test)
                for lam, val, test in ((0.01, 95.0, 83.0), (0.03, 91.0, 90.0))
            ),
            *(
                row(0.1, val, method="random-finetune", test_accuracy=test) | {"param.switch": at}
                for at, val, test in ((0.25, 70.0, 9.0), (0.5, 75.0, 74.0))
            ),
        ]
    )
    claim, floor = TASK.claim("C2-units-lasso-finetune"), TASK.claim("C2-units-lasso-finetune-floor")
    assert claim.estimate(frame) == -3.0
    assert claim.stands_on == (floor.id,)
    assert floor.estimate(frame) == 9.0, "the random groups' own setting is chosen too"


def test_linear_is_neither_constant_nor_quadratic() -> None:
    def timed(exponent: float) -> pd.DataFrame:
        return pd.DataFrame(
            {"experiment": "cost", "method": "wgsef", "seed": 0, "status": "ok", "param.groups": m, "metric.prox_seconds": m**exponent}
            for m in (1e3, 1e4, 1e5)
        )

    claim = TASK.claim("C3-prox")
    assert [claim.estimate(timed(exponent)) in claim.holds for exponent in (0.0, 0.3, 1.0, 1.2, 2.0)] == [False, False, True, False, False]


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_methods_share_budget_k_and_the_dense_network(scale: str) -> None:
    """Equal but for what each has to choose, and as many choices for all. The dense network of the truncation is the one listed."""
    refs = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(TASK, scale)}
    kinds: dict[tuple[str, str], dict[str, set[str]]] = {}
    trials = [trial for trial in expand(TASK, scale, Overrides(seeds=1), refs) if trial.experiment == "train"]
    for trial in trials:
        cell = kinds.setdefault((trial.params["arch"], trial.data.name if trial.data else ""), {})
        budget = {name: value for name, value in trial.params.items() if name not in ("lam", "keep", "switch", "dense_lr")}
        cell.setdefault(str(sorted(budget.items())), set()).add(trial.method)
    for (arch, _), budgets in kinds.items():
        assert len(budgets) == 1
        left_out = {"wgsef-hspg", "hspg"} if scale == "laptop" and arch != "mlp" else set()
        assert next(iter(budgets.values())) == {method.name for method in TASK.methods} - {"wgsef-sorted"} - left_out
    draws: dict[tuple[str, str, str, float], int] = {}
    for trial in trials:
        if trial.method not in ("dense", "one-shot"):
            place = (trial.method, trial.params["arch"], trial.data.name if trial.data else "", trial.params["keep"])
            draws[place] = draws.get(place, 0) + 1
    assert set(draws.values()) == {5 if scale == "paper" else 3}
    dense = [trial.id for trial in trials if trial.method == "dense"]
    assert len(dense) == len(kinds)
    assert {trial.requires for trial in trials if trial.method == "one-shot"} == set(dense)
    assert not any(trial.requires for trial in trials if trial.method != "one-shot")


@pytest.mark.parametrize("method", FITTED)
def test_what_is_kept_for_training_has_exactly_k_groups(trials: Trials, method: str) -> None:
    metrics = trials.run(method, {"lam": 0.05})
    assert ("penalty" in metrics) == (method in PENALISED)
    assert all(math.isfinite(value) for value in metrics.values())
    if method.endswith("finetune") or method == "k-from-scratch":
        assert metrics["exact_k"] == metrics["nonzero_groups"] == 1.0
        assert metrics["test_accuracy"] == metrics["test_accuracy_untruncated"]
    assert metrics["flops_reduction"] > 50


def test_truncation_starts_from_the_dense_network_of_its_seed(trials: Trials) -> None:
    dense = trials.run("dense")
    truncated = trials.run("one-shot")
    assert truncated["test_accuracy_untruncated"] == dense["test_accuracy"]
    assert truncated["val_loss"] != dense["val_loss"]
    whole = trials.run("one-shot", {"keep": 1.0})
    assert whole["test_accuracy"] == dense["test_accuracy"]
    assert whole["flops_reduction"] == 0.0


def test_the_envelope_reaches_k_and_truncation_then_changes_nothing(trials: Trials) -> None:
    long = {"lam": 1.0, "keep": 0.4, "dense_epochs": 30.0, "train_images": 0, "eval_images": 0, "width": 0.08, "batch": 32}
    metrics = trials.run("wgsef", long)
    assert metrics["exact_k"] == 1.0
    assert metrics["group_error"] == 0.0
    assert metrics["test_accuracy"] == metrics["test_accuracy_untruncated"]
    assert metrics["test_accuracy"] > 60, "chance is 10 %"


def test_without_the_prox_no_group_is_removed(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: proximal SGD that forgets its prox leaves every group, so that exactness cannot come from elsewhere."""
    values = {"lam": 1.0, "dense_epochs": 10.0, "train_images": 400}
    assert trials.run("wgsef", values)["nonzero_groups"] < 2
    monkeypatch.setattr(Prox, "__call__", lambda self, step, groups, lr: Plain()(step, groups, lr))
    broken = trials.run("wgsef", values)
    assert broken["exact_k"] == 0.0
    assert broken["nonzero_groups"] == pytest.approx(26 / 6)


def test_a_penalty_of_nothing_is_plain_training_for_both_penalties(trials: Trials) -> None:
    plain = {name: trials.run(name, {"lam": 0.0, "keep": 1.0})["test_loss"] for name in ("wgsef", "group-lasso")}
    dense = trials.run("dense")["test_loss"]
    assert plain["group-lasso"] == pytest.approx(dense, rel=1e-5)
    assert plain["wgsef"] == pytest.approx(dense, rel=1e-5)


def test_methods_of_a_seed_start_alike_and_seeds_do_not(trials: Trials) -> None:
    def start(method: str, seed: int) -> torch.Tensor:
        return next(experiment.fresh_network(trials(method, seed=seed)).parameters())

    assert torch.equal(start("wgsef", 0), start("dense", 0))
    assert not torch.equal(start("wgsef", 0), start("wgsef", 1))


def test_random_groups_follow_from_the_seed_and_are_not_the_largest(trials: Trials) -> None:
    losses = [trials.run(method)["test_loss"] for method in ("random-finetune", "random-finetune", "magnitude-finetune")]
    assert losses[0] == losses[1] != losses[2]


def test_the_network_from_scratch_has_k_channels_and_its_own_scale(trials: Trials) -> None:
    trial = trials("k-from-scratch")
    axes = experiment.channel_axes(experiment.fresh_network(trial), (1, 8, 8))
    small, now = experiment.smaller_network(trial, experiment.fresh_network(trial), axes, torch.tensor([3, 4]))
    assert [axis.size for axis in now] == [3, 4]
    twin = copy.deepcopy(small)
    initialize(twin, generator(trial.seed_for("init")))
    assert all(torch.equal(a, b) for a, b in zip(small.parameters(), twin.parameters(), strict=True))


def test_each_method_has_the_penalty_of_its_name(trials: Trials) -> None:
    def kind(method: str) -> str:
        trial = trials(method)
        model = experiment.fresh_network(trial)
        axes = experiment.channel_axes(model, (1, 8, 8))
        found = experiment.penalty(trial, experiment.Groups(model, axes), experiment.kept(axes, 0.25))
        return type(found).__name__

    lasso = {"group-lasso", "hspg", "group-lasso-finetune"}
    wanted = {method: "GroupLasso" if method in lasso else "Envelope" if method in PENALISED else "NoneType" for method in FITTED}
    assert {method: kind(method) for method in FITTED} == wanted


def test_a_run_that_diverges_says_so(trials: Trials) -> None:
    assert math.isnan(trials.run("group-lasso", {"dense_lr": 10.0, "decay": 10.0, "lam": 0.0, "dense_epochs": 20.0})["val_loss"])


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
def test_a_parameter_outside_its_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        params.resolve(TIME if name == "groups" else TRAIN, {name: value})
