"""Plots of the report, one line a method."""

from __future__ import annotations

from typing import Any

from harness.task import Figure

_SWEPT: dict[str, Any] = {"threshold": 0.0}
_ASKED = "Over the reduction that was asked for; what a dynamic method reaches is the next plot."

FIGURES = (
    Figure(id="accuracy", title="Test accuracy", x="reduction", y="test_accuracy", where=_SWEPT, caption=_ASKED),
    Figure(id="reached", title="FLOPs reduction reached on test images", x="reduction", y="flops_reduction", where=_SWEPT),
    Figure(id="masks", title="Agreement of masks with the ground truth", x="reduction", y="mask_accuracy", where=_SWEPT),
    Figure(id="spread", title="Spread of an input's FLOPs", x="reduction", y="flops_std", where=_SWEPT),
    Figure(id="latency", title="Time of a batch over the dense network's", x="reduction", y="latency_ratio", where=_SWEPT),
    Figure(id="curve", title="Training loss", x="step", y="train_loss", where=_SWEPT, caption="Mean over the reductions of the scale."),
)
