"""Plots of the report, one line a method."""

from __future__ import annotations

from typing import Any

from harness.task import Figure
from tasks.pruning.dynamic_pruning_ftwt.designs import GATED, STATIC
from tasks.pruning.params import DENSE

_SWEPT: dict[str, Any] = {"threshold": 0.0}
_REACHED = "Placed at the reduction reached on test images, predictors counted."


def _accuracy(id: str, title: str, methods: tuple[str, ...]) -> Figure:
    drawn = (DENSE, *methods)
    return Figure(id=id, title=title, x="reduction", y="test_accuracy", at="flops_reduction", where=_SWEPT, methods=drawn, caption=_REACHED)


FIGURES = (
    _accuracy("accuracy-static", "Accuracy over FLOPs: FTWT and static pruning", ("ftwt-code", "ftwt-no-softmax", *STATIC)),
    _accuracy("accuracy-dynamic", "Accuracy over FLOPs: predictors, controls and L1", (*GATED, "l1")),
    Figure(id="reached", title="FLOPs reduction reached", x="reduction", y="flops_reduction", where=_SWEPT, methods=tuple(GATED)),
    Figure(id="masks", title="Agreement of masks with the ground truth", x="reduction", y="mask_accuracy", where=_SWEPT),
    Figure(id="spread", title="Spread of an input's FLOPs", x="reduction", y="flops_std", where=_SWEPT),
    Figure(id="latency", title="Time of a batch over the dense network's", x="reduction", y="latency_ratio", where=_SWEPT),
    Figure(id="curve", title="Training loss", x="step", y="train_loss", where=_SWEPT, caption="Mean over the reductions of the scale."),
)
