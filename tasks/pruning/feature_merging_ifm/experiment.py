"""Runs one trial of the paper."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.trial import Trial
from tasks.pruning.feature_merging_ifm.metrics import layer_metric
from tasks.pruning.feature_merging_ifm.params import BY_BETA
from tasks.pruning.params import DENSE

if TYPE_CHECKING:
    from torch import nn

    from tasks.pruning.feature_merging_ifm.reduction import Reduced


def run(trial: Trial) -> Mapping[str, float]:
    """Train the dense network, or make it smaller without training and measure what is left of it."""
    from tasks.pruning.dense import dense_accuracy, dense_network, train_dense
    from tasks.pruning.measure import measured

    if trial.method == DENSE:
        return train_dense(trial)[1]
    dense = planted(trial, dense_network(trial))
    reduced, seconds = reduce(trial, dense)
    profile = [left / axis.size for left, axis in zip(reduced.left, reduced.axes, strict=True)]
    for depth, share in enumerate(profile, start=1):
        trial.log(depth, complexity_share=share)
    return {
        **measured(trial, reduced.model, dense),
        "output_error": output_error(trial, reduced.model, dense),
        "dense_accuracy": dense_accuracy(trial),
        "complexity": float(sum(reduced.left)),
        "complexity_share": sum(profile) / len(profile),
        **{layer_metric(depth): share for depth, share in enumerate(profile, start=1)},
        "merges": float(sum(axis.size for axis in reduced.axes) - sum(reduced.left)),
        "merge_seconds": seconds,
    }


def planted(trial: Trial, dense: nn.Module) -> nn.Module:
    """The dense network, with every channel that merges split into exact copies where the trial asks for them."""
    from tasks.pruning.feature_merging_ifm.carriers import mergeable
    from tasks.pruning.feature_merging_ifm.planting import split

    if trial.params.copies == 1:
        return dense.eval()
    return split(dense, mergeable(dense, tuple(trial.dataset().shape)), trial.params.copies).eval()


def reduce(trial: Trial, dense: nn.Module) -> tuple[Reduced, float]:
    """The smaller network, which no image had a part in, and the seconds it took to find and build it."""
    from tasks.pruning.feature_merging_ifm.reduction import by_share, by_threshold

    params, shape, began = trial.params, tuple(trial.dataset().shape), time.perf_counter()
    if params.part in BY_BETA:
        reduced = by_threshold(trial.method, dense, shape, params.beta)
    else:
        reduced = by_share(trial.method, dense, shape, params.kept, trial.seed_for("choice of channels"))
    return reduced, time.perf_counter() - began


def output_error(trial: Trial, model: nn.Module, dense: nn.Module) -> float:
    """||logits - dense logits|| / ||dense logits|| over the validation images."""
    import torch

    images, params = trial.dataset(), trial.params
    device = next(dense.parameters()).device
    apart, size = 0.0, 0.0
    with torch.no_grad():
        for inputs, _ in images.batches("val", 256, params.eval_images or images.count("val")):
            wanted = dense(inputs.to(device)).double()
            apart += float((model(inputs.to(device)).double() - wanted).square().sum())
            size += float(wanted.square().sum())
    return float((apart / size) ** 0.5)
