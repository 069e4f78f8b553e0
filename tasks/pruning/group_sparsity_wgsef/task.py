"""WHAT: does a convex envelope leave exactly k groups, and is the network better than what simpler ways leave? WGSEF, arXiv 2212.12921."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.task import Method, Metric, Paper, Requirement, Task
from tasks.pruning.group_sparsity_wgsef.claims import CLAIMS
from tasks.pruning.group_sparsity_wgsef.columns import STATISTICS
from tasks.pruning.group_sparsity_wgsef.figures import FIGURES
from tasks.pruning.group_sparsity_wgsef.params import Params
from tasks.pruning.group_sparsity_wgsef.scales import SCALES, seconds
from tasks.pruning.params import DENSE, network_fields

METHODS = (
    Method("dense", "baseline", "all groups, no penalty"),
    Method("wgsef", "proposed", "proximal SGD with lam S_k on every axis"),
    Method("wgsef-hspg", "proposed", "the same for half of the steps, then half-space steps"),
    Method("group-lasso", "baseline", "proximal SGD with lam sum_j sqrt(|s_j|) ||theta_j||"),
    Method("hspg", "baseline", "the same for half of the steps, then half-space steps"),
    Method("magnitude-finetune", "baseline", "half of the steps plain, keep the k groups of largest norm, train on"),
    Method("wgsef-finetune", "control", "half of the steps with lam S_k, keep the k groups of largest norm, train on without penalty"),
    Method("k-from-scratch", "control", "the network with k groups an axis, from its own start"),
    Method("random-finetune", "floor", "half of the steps plain, keep k random groups, train on"),
    Method("one-shot", "floor", "the dense network, the k groups of largest norm kept, no training after it"),
    Method("wgsef-sorted", "rival", "timed: the prox by a binary search over all sorted breakpoints, the value by its closed form"),
)

METRICS = (
    Metric("val_loss", "nats", "lower", "validation, with the k largest groups of every axis kept"),
    Metric("val_accuracy", "percent", "higher", "the same; chooses lam"),
    Metric("test_loss", "nats", "lower", "test, with the k largest groups of every axis kept"),
    Metric("test_accuracy", "percent", "higher", "the same; selects nothing"),
    Metric("val_loss_untruncated", "nats", "lower", "validation, the network as training left it"),
    Metric("val_accuracy_untruncated", "percent", "higher", "the same"),
    Metric("test_loss_untruncated", "nats", "lower", "test, the network as training left it"),
    Metric("test_accuracy_untruncated", "percent", "higher", "the same"),
    Metric("train_loss", "nats", "lower", "mean over the last steps, without the penalty"),
    Metric("dense_accuracy", "percent", "higher", "test accuracy of the dense network"),
    Metric("nonzero_groups", "ratio", "none", "groups that are not exactly zero after training, over k, all axes together"),
    Metric("group_error", "groups", "lower", "|non-zero groups - k|, summed over the axes"),
    Metric("exact_k", "share", "higher", "axes with exactly k non-zero groups"),
    Metric("reentries", "count", "lower", "groups that were zero after one step and not after the next"),
    Metric("group_sparsity", "percent", "higher", "groups that are exactly zero after training"),
    Metric("penalty", "nats", "lower", "lam R at the end, of the method's own penalty R"),
    Metric("multiply_adds", "count", "lower", "of one image, after all but the k largest groups are removed for real"),
    Metric("flops_reduction", "percent", "higher", "multiply-adds saved against the dense network"),
    Metric("flops_reduction_untruncated", "percent", "higher", "the same after only groups that are exactly zero are removed"),
    Metric("parameters", "count", "lower", "after removal"),
    Metric("parameters_kept", "percent", "lower", "of the dense network's"),
    Metric("latency_ms", "ms", "lower", "median forward pass of one batch after removal: depends on the machine and on what else it runs"),
    Metric("latency_ratio", "ratio", "lower", "latency over that of the dense network, timed in turns"),
    Metric("prox_seconds", "s", "lower", "cost: the shortest of several proxes of one set of norms"),
    Metric("value_seconds", "s", "lower", "cost: the shortest of several evaluations of the penalty"),
)


def requires(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """Truncation without training needs the dense network; every other method trains from the start that the dense network had."""
    if method != "one-shot" or params["part"] != "train":
        return None
    return Requirement(method=DENSE, params=network_fields(params) | {"setting": params["setting"]})


TASK = Task(
    id="group-sparsity-wgsef",
    version=1,
    paper=Paper(
        arxiv="2212.12921",
        title="Learning k-Level Structured Sparse Neural Networks Using Group Envelope Regularization",
        year=2022,
    ),
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    requires=requires,
    run="tasks.pruning.group_sparsity_wgsef.experiment:run",
    seconds=seconds,
    summary="Whether a convex envelope leaves exactly k filters, and better ones than group lasso, magnitudes or a smaller network.",
)
