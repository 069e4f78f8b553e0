"""Runs one trial of the paper. No image has a part in what merges or goes, and nothing is trained afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import nn

from harness.trial import Trial
from tasks.pruning.dense import dense_accuracy, dense_network, problem, train_dense
from tasks.pruning.feature_merging_ifm.channels import mergeable, split
from tasks.pruning.feature_merging_ifm.claims import LAYERS
from tasks.pruning.feature_merging_ifm.reduction import Reduced, by_share, by_threshold
from tasks.pruning.measure import measured
from tasks.pruning.params import DENSE


def share(trial: Trial) -> Mapping[str, float]:
    """Train the dense network, or keep a share of the channels of every layer."""
    if trial.method == DENSE:
        return train_dense(trial)[1]
    return measure(trial, dense_network(trial).eval(), lambda dense: reduced_to(trial, dense, trial.params.kept))


def duplicates(trial: Trial) -> Mapping[str, float]:
    """Split every channel that merges into exact copies, and keep as many as there were before."""
    dense, copies = dense_network(trial), trial.params.copies
    wide = split(dense, mergeable(dense, problem(trial)[0]), copies).eval()
    return measure(trial, wide, lambda wide: reduced_to(trial, wide, 1.0 / copies))


def threshold(trial: Trial) -> Mapping[str, float]:
    """Merge as long as channels are close."""
    shape, beta = problem(trial)[0], trial.params.beta
    return measure(trial, dense_network(trial).eval(), lambda dense: by_threshold(trial.method, dense, shape, beta))


def reduced_to(trial: Trial, dense: nn.Module, kept: float) -> Reduced:
    """The network of the trial's method that keeps a share of every layer's channels."""
    return by_share(trial.method, dense, problem(trial)[0], kept, trial.seed_for("choice of channels"))


def measure(trial: Trial, dense: nn.Module, reduce: Callable[[nn.Module], Reduced]) -> dict[str, float]:
    """What is left of a network, and what it costs to find it."""
    began = time.perf_counter()
    reduced = reduce(dense)
    seconds = time.perf_counter() - began
    profile = [left / axis.size for left, axis in zip(reduced.left, reduced.axes, strict=True)]
    for depth, complexity in enumerate(profile, start=1):
        trial.log(depth, complexity_share=complexity)
    return {
        **measured(trial, reduced.model, dense),
        "output_error": output_error(trial, reduced.model, dense),
        "dense_accuracy": dense_accuracy(trial),
        "complexity": float(sum(reduced.left)),
        "complexity_share": sum(profile) / len(profile),
        **dict(zip(LAYERS, profile, strict=False)),
        "merges": float(sum(axis.size for axis in reduced.axes) - sum(reduced.left)),
        "merge_seconds": seconds,
    }


@torch.no_grad()
def output_error(trial: Trial, model: nn.Module, dense: nn.Module) -> float:
    """||logits - dense logits|| / ||dense logits|| over the validation images."""
    images = trial.dataset()
    apart, size = 0.0, 0.0
    for inputs, _ in images.batches("val", 256, trial.params.eval_images or images.count("val"), trial.device):
        wanted = dense(inputs).double()
        apart += float((model(inputs).double() - wanted).square().sum())
        size += float(wanted.square().sum())
    return float((apart / size) ** 0.5)
