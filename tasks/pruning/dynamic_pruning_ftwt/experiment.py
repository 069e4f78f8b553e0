"""Runs one trial of the paper: the dense network, the static baselines at the same FLOPs and training, and dynamic methods elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks.supervised import fit
from tasks.blocks.training import Trained, generator
from tasks.pruning.axes import remove
from tasks.pruning.budget import keep_at_reduction, scaled_width
from tasks.pruning.criteria import scores
from tasks.pruning.dense import dense_accuracy, dense_network, dense_recipe, fresh_network, problem, train_dense
from tasks.pruning.dynamic_pruning_ftwt import dynamic
from tasks.pruning.dynamic_pruning_ftwt.methods import GATED, SCRATCH, SFP
from tasks.pruning.dynamic_pruning_ftwt.recipe import after_dense, level_batch
from tasks.pruning.dynamic_pruning_ftwt.soft import soft_filter_pruning
from tasks.pruning.measure import latencies, measured
from tasks.pruning.params import DENSE


def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of the trial's method."""
    if trial.params.arch == "mlp":
        raise UsageError("this paper switches convolutional filters, and an mlp has none: choose another arch")
    if trial.method == DENSE:
        model, metrics = train_dense(trial)
        return metrics | {"accuracy_drop": 0.0} | latencies(trial, model, model)
    return dynamic.run(trial) if trial.method in GATED else static(trial)


def static(trial: Trial) -> dict[str, float]:
    """Metrics of a method whose filters are the same for all inputs."""
    dense = dense_network(trial).to(trial.device)
    model, trained = smaller(trial, dense)
    if trained.diverged:
        return {"val_loss": math.nan}
    metrics = measured(trial, model, dense) | {"train_loss": trained.loss, "dense_accuracy": dense_accuracy(trial)}
    return metrics | latencies(trial, model, dense) | {"accuracy_drop": metrics["dense_accuracy"] - metrics["test_accuracy"]}


def smaller(trial: Trial, dense: nn.Module) -> tuple[nn.Module, Trained]:
    """The trained, physically smaller network: filters of `dense` removed once, or a narrower one from scratch."""
    params, (shape, _) = trial.params, problem(trial)
    if trial.method == SCRATCH:
        model = fresh_network(trial, width=scaled_width(trial, params.reduction))
        # As many epochs as a pruned network saw in all, at the dense network's rates.
        return model, fit(trial, model, dense_recipe(params, params.dense_epochs + params.epochs))
    if trial.method == SFP:
        return soft_filter_pruning(trial, dense_network(trial), shape)
    importance = scores(dense, shape, trial.method, generator=generator(trial.seed_for("random")), batch=level_batch(trial))
    model = remove(dense, shape, keep_at_reduction(dense, shape, importance, params.reduction))
    return model, fit(trial, model, after_dense(params))
