"""Plots of the report, one line a method."""

from __future__ import annotations

from harness.task import Figure
from tasks.kan.kat_group_rational.estimates import timed, trained

_RATES = "Every method is taken at its own lowest point, seed by seed."
_MEAN = "Mean over the learning rates of the scale."

FIGURES = (
    Figure(id="rate-lm", title="Learning rate, language model", x="lr", y="val_loss", where=trained("lm"), log_x=True, caption=_RATES),
    Figure(
        id="rate-vit", title="Learning rate, vision transformer", x="lr", y="val_loss", where=trained("vit"), log_x=True, caption=_RATES
    ),
    Figure(id="curve-lm", title="Training loss, language model", x="step", y="train_loss", where=trained("lm"), caption=_MEAN),
    Figure(id="curve-vit", title="Training loss, vision transformer", x="step", y="train_loss", where=trained("vit"), caption=_MEAN),
    Figure(id="cost-lm", title="Step over GELU step, language model", x="width", y="step_ratio", where=timed("lm"), log_y=True),
    Figure(id="cost-vit", title="Step over GELU step, vision transformer", x="width", y="step_ratio", where=timed("vit"), log_y=True),
)
