"""Supervised training as papers declare it: the parameters that such trainings share, and what their networks are measured by. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.bounds import PERCENT, POSITIVE, SHARE, Bounds
from harness.task import Better, Metric, param


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """How a classifier is trained and measured by `tasks.blocks.supervised`."""

    batch: int = param(64, "examples of a step, in every training", unit="images", low=1, high=65536)
    decay: float = param(5e-4, "L2 penalty of all weights, in every training", low=0.0, high=10.0)
    augment: bool = param(False, "mirror half of the training images and shift them by up to 4 pixels (an ImageFolder always has its own)")
    train_images: int = param(0, "training images, evenly spread over the split (0: all)", unit="images", low=0, high=100_000_000)
    eval_images: int = param(0, "images that val and test are measured on, evenly spread (0: all)", unit="images", low=0, high=100_000_000)
    precision: str = param(
        "float32", "arithmetic of the forward pass (bfloat16: autocast; weights stay in float32)", choices=("float32", "bfloat16")
    )


TRAINING = (Metric("train_loss", "nats", "lower", "mean over the last steps", bounds=POSITIVE),)
"""What `fit` returns."""
CLASSIFICATION = (
    Metric("val_loss", "nats", "lower", "cross-entropy on the validation split", bounds=POSITIVE),
    Metric("val_accuracy", "percent", "higher", "top-1 on the validation split", counted=True, bounds=PERCENT),
    Metric("test_loss", "nats", "lower", "cross-entropy on the test split; selects nothing", bounds=POSITIVE),
    Metric("test_accuracy", "percent", "higher", "top-1 on the test split; selects nothing", counted=True, bounds=PERCENT),
)
"""What `evaluate` returns on both held-out splits."""
CALIBRATION = tuple(
    Metric(f"{split}_{name}", unit, "lower", f"{text} on the {split} split")
    for split in ("val", "test")
    for name, unit, text in (
        ("nll", "nats", "negative log-likelihood"),
        ("brier", "", "squared distance of the probabilities to the one-hot label"),
        ("ece", "percent", "expected calibration error over 15 bins"),
    )
)
"""What `tasks.blocks.scores.calibration` returns on both held-out splits."""
REGRESSION = tuple(
    metric
    for split in ("val", "test")
    for metric in (
        Metric(f"{split}_mse", "", "lower", f"mean squared error on the {split} split"),
        Metric(f"{split}_mae", "", "lower", f"mean absolute error on the {split} split"),
        Metric(f"{split}_r2", "share", "higher", f"variance explained on the {split} split"),
    )
)
"""What `tasks.blocks.scores.regression` returns on both held-out splits."""
COST = (
    Metric("multiply_adds", "count", "lower", "of one image", split="none", bounds=POSITIVE),
    Metric("flops_reduction", "percent", "higher", "multiply-adds saved against the dense network", split="none"),
    Metric("parameters", "count", "lower", "numbers of the network as it runs", split="none", bounds=POSITIVE),
    Metric("parameters_kept", "percent", "lower", "of the dense network's", split="none", bounds=POSITIVE),
)
"""What a smaller network costs beside the one that it was made from."""
LATENCY = (
    Metric(
        "latency_ms",
        "ms",
        "lower",
        "median forward pass of a batch: depends on the machine and on what else it runs",
        timed=True,
        bounds=POSITIVE,
    ),
    Metric("latency_ratio", "ratio", "lower", "latency over that of the dense network, timed in turns", timed=True, bounds=POSITIVE),
)


def share(name: str, description: str, better: Better = "higher", **about: Any) -> Metric:
    """A share of examples."""
    return Metric(name, "share", better, description, **{"counted": True, "bounds": SHARE, **about})


def steps(name: str, description: str, better: Better = "lower", **about: Any) -> Metric:
    """Steps until something is reached, or a lower bound: `tasks.blocks.small_members.Run.reached` returns both."""
    return Metric(name, "steps", better, description, **{"censored": True, "bounds": POSITIVE, **about})


ACCURACIES = tuple(share(f"{split}_accuracy", "after the last step") for split in ("test", "val", "train"))
"""What packed training measures of classes on its three splits."""
LABELS = (
    share("memorised", "wrong training labels that are reproduced", "lower", optional=True),
    share("corrected", "wrong training labels for which the true one is given", optional=True),
    share("clean_accuracy", "right training labels that are reproduced"),
    share("test_accuracy", "examples outside the training set", split="test"),
)
"""What `tasks.blocks.algorithmic.label_shares` returns; the first two only where there are wrong labels."""
KNOWN = 0.9
"""An accuracy from which on data count as known, and below 1 minus which they do not."""
_OF_WRONG: Mapping[str, Any] = {"optional": True, "split": "test", "counted": False}
CORRUPTED = (
    share("train_excess", "train accuracy less the share of right labels", "zero", bounds=Bounds(-1.0, 1.0)),
    share("wrong_share", "training labels that are wrong", "none"),
    share("full_inversion", "1: nine in ten test pairs known, of the wrong labels at most one in ten", **_OF_WRONG),
    share("coexistence", "1: nine in ten of either known", **_OF_WRONG),
)
"""What `tasks.blocks.algorithmic.outcome` adds; the last two only where there are wrong labels."""
PERIODICITY = (
    *(share(f"ipr_{name}", "IPR over the neurons", "none", counted=False) for name in ("mean", "q10", "median", "q90")),
    share("ipr_bimodality", "Sarle's coefficient of the neurons' IPR", "none", counted=False),
)
"""What `tasks.blocks.diagnostics.periodicity` returns."""
FREQUENCIES = (
    share("frequency_share", "of the hidden layer's power that lies in the strongest frequency of its unit", counted=False),
    share("frequencies", "of all frequencies, by the participation ratio of that power over them: 1 where all hold as much", counted=False),
)
"""What `tasks.blocks.diagnostics.frequency_use` returns."""
