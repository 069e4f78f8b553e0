"""The numbers that a trial returns."""

from __future__ import annotations

from harness.task import Metric

DEEPEST = 33
"""Axes that merge in ResNet-50, the deepest architecture here."""


def layer_metric(depth: int) -> str:
    """The metric of the layer at depth 1, 2, ..."""
    return f"complexity_layer_{depth}"


METRICS = (
    Metric("val_loss", "nats", "lower", "cross-entropy on the validation split"),
    Metric("val_accuracy", "percent", "higher", "top-1 on the validation split"),
    Metric("test_loss", "nats", "lower", "cross-entropy on the test split; selects nothing"),
    Metric("test_accuracy", "percent", "higher", "top-1 on the test split, without any training after merging or cutting"),
    Metric("train_loss", "nats", "lower", "dense: mean over the last steps"),
    Metric("dense_accuracy", "percent", "none", "top-1 on the test split of the network it started from"),
    Metric("output_error", "ratio", "lower", "||logits - dense logits|| / ||dense logits|| on the validation images"),
    Metric("parameters", "count", "none", "learned numbers"),
    Metric("parameters_kept", "percent", "none", "of the dense network's"),
    Metric("multiply_adds", "count", "none", "of convolutions and matrix products for one image"),
    Metric("flops_reduction", "percent", "none", "multiply-adds that are gone"),
    Metric(
        "complexity", "channels", "none", "channels left, over all layers that merge: the paper's feature complexity where beta decides"
    ),
    Metric("complexity_share", "ratio", "none", "channels left over channels, mean over the layers"),
    *(Metric(layer_metric(depth), "ratio", "none", f"channels left over channels of layer {depth}") for depth in range(1, DEEPEST + 1)),
    Metric("merges", "count", "none", "channels that are gone"),
    Metric("merge_seconds", "s", "lower", "to find and build the smaller network: depends on the machine"),
)
