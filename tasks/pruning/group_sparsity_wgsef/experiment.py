"""Train one method, count its groups, cut it down to k for real, and measure it before and after."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.convnets import initialize
from tasks.blocks.supervised import Recipe, evaluate, fit
from tasks.blocks.training import Trained, generator
from tasks.pruning.axes import Axis, channel_axes, cut
from tasks.pruning.dense import dense_network, fresh_network, problem, train_dense
from tasks.pruning.group_sparsity_wgsef.groups import Groups, kept
from tasks.pruning.group_sparsity_wgsef.penalties import Envelope, GroupLasso, Penalty
from tasks.pruning.group_sparsity_wgsef.proximal import HalfSpace, Keep, Phases, Plain, Prox, ProximalSGD
from tasks.pruning.measure import costs, latencies, measured
from tasks.pruning.params import DENSE

_DIVERGED = {"val_loss": math.nan}


def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of the trial's method; the network is chosen by nothing and measured once."""
    if trial.method == DENSE:
        model, metrics = train_dense(trial)
        return _DIVERGED if math.isnan(metrics["train_loss"]) else metrics | latencies(trial, model, copy.deepcopy(model))
    shape, _ = problem(trial)
    model = dense_network(trial) if trial.method == "one-shot" else fresh_network(trial)
    axes = channel_axes(model, shape)
    k = kept(axes, trial.params.keep).to(trial.device)
    if trial.method == "k-from-scratch":
        model, axes_now = smaller_network(trial, model, axes, k)
        return _trained(trial, model, axes, axes_now, k)
    return _trained(trial, model, axes, axes, k)


def _trained(trial: Trial, model: nn.Module, axes: list[Axis], axes_now: list[Axis], k: Tensor) -> Mapping[str, float]:
    params = trial.params
    groups = Groups(model, axes_now, gains=params.gains)
    penalised = penalty(trial, groups, k)
    metrics: dict[str, float] = {}
    if trial.method != "one-shot":
        recipe = Recipe(params.dense_epochs, params.dense_lr, params.dense_schedule)
        images = params.train_images or trial.dataset().count("train")
        steps = recipe.schedule(images, params.batch).steps
        plan = phases(trial, penalised, k, steps)
        optimizer = ProximalSGD(model, groups, plan, lr=params.dense_lr, decay=params.decay)
        trained = _fit(trial, model, recipe, optimizer, k, images)
        if trained.diverged:
            return _DIVERGED
        metrics = {"train_loss": trained.loss, "reentries": float(optimizer.reentries)}
    return metrics | report(trial, model, axes, groups, k, penalised)


def _fit(trial: Trial, model: nn.Module, recipe: Recipe, optimizer: ProximalSGD, k: Tensor, images: int) -> Trained:
    def count(epoch: int) -> None:
        nonzero = float((optimizer.groups.norms() > 0).sum() / k.sum())
        trial.log(round(epoch * images / trial.params.batch), nonzero_groups=nonzero)

    return fit(trial, model, recipe, optimizer=optimizer, on_epoch=count)


def smaller_network(trial: Trial, model: nn.Module, axes: list[Axis], k: Tensor) -> tuple[nn.Module, list[Axis]]:
    """A network with k channels on every axis, initialised as one of its size from the stream that all methods start from."""
    first = {axis.name: torch.arange(int(count)) for axis, count in zip(axes, k, strict=True)}
    small = cut(model.cpu(), axes, first)
    initialize(small, generator(trial.seed_for("init")))
    return small.to(trial.device), channel_axes(small, problem(trial)[0])


def penalty(trial: Trial, groups: Groups, k: Tensor) -> Penalty | None:
    """The method's penalty, None where it has none."""
    if trial.method.startswith("wgsef"):
        return Envelope(trial.params.lam, k)
    return GroupLasso(trial.params.lam, groups.elements) if trial.method in ("group-lasso", "hspg", "group-lasso-finetune") else None


def phases(trial: Trial, penalised: Penalty | None, k: Tensor, steps: int) -> Phases:
    """What the steps of a method do to the groups; `steps` is the length of the whole training."""
    switch = round(trial.params.switch * steps)
    first = Plain() if penalised is None else Prox(penalised)
    if trial.method.endswith("hspg"):
        assert penalised is not None
        return Phases(first, HalfSpace(penalised, trial.params.half_space_eps), switch)
    if trial.method.endswith("finetune"):
        return Phases(first, Keep(), switch, random_scores(trial) if trial.method == "random-finetune" else Groups.norms, k)
    return Phases(first)


def random_scores(trial: Trial) -> _Random:
    """Scores that depend on the seed alone."""
    return _Random(trial.seed_for("random groups"))


class _Random:
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, groups: Groups) -> Tensor:
        return torch.rand(groups.elements.shape, generator=generator(self.seed)).to(groups.elements.device)


def report(trial: Trial, model: nn.Module, axes: list[Axis], groups: Groups, k: Tensor, penalised: Penalty | None) -> dict[str, float]:
    """Counts of the groups as training left them, accuracies as it left them and after the k largest are kept, costs after removal."""
    norms = groups.norms()
    nonzero = (norms > 0).sum(1)
    total = sum(axis.size for axis in axes)
    untruncated = evaluate(trial, model, "val") | evaluate(trial, model, "test")
    metrics = {f"{name}_untruncated": value for name, value in untruncated.items()} | {
        "nonzero_groups": float(nonzero.sum() / k.sum()),
        "group_error": float((nonzero - k).abs().sum()),
        "exact_k": float((nonzero == k).double().mean()),
        "group_sparsity": 100.0 * (1.0 - float(nonzero.sum()) / total),
    }
    if penalised is not None:
        metrics["penalty"] = penalised.value(norms)
    # Groups of zeros among the k largest need no place in the network either, but one group an axis has to stay.
    needed = (norms > 0) | groups.largest(norms, torch.ones_like(k))
    dense, shape = fresh_network(trial), problem(trial)[0]
    small = cut(model, groups.axes, groups.indices(groups.largest(norms, k) & needed))
    metrics["flops_reduction_untruncated"] = costs(cut(model, groups.axes, groups.indices(needed)), dense, shape)["flops_reduction"]
    return metrics | measured(trial, small, dense) | latencies(trial, small, dense)
