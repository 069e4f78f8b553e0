"""Plots of the report, one line a method."""

from __future__ import annotations

from harness.task import Figure

_SWEEP = {"size": "base", "training": "full", "decay_multiplier": 1.0}
_TUNED = {"lr_multiplier": 1.0, "decay_multiplier": 1.0}


def _over_lr(id: str, title: str, metric: str, caption: str = "") -> Figure:
    return Figure(id=id, title=title, x="lr_multiplier", y=metric, where=_SWEEP, log_x=True, caption=caption)


FIGURES = (
    _over_lr("lr-sweep", "Learning-rate sweep", "val_loss", "Each optimizer's rates over its own base setting."),
    _over_lr("rise", "Rise of the loss under W4A4", "rise_w4a4"),
    _over_lr("residual", "R_L under W4A4", "r_l"),
    _over_lr("mmr", "Max-to-median ratio", "mmr_median", "Rising lines are the paper's C6."),
    _over_lr("kurtosis", "Kurtosis", "kurtosis"),
    Figure(id="probe", title="Probe loss on the way", x="step", y="probe_loss", where=_SWEEP | _TUNED),
    Figure(id="probe-rise", title="Rise under W4A4 on the way down the ladder", x="step", y="w4a4_rise", where=_SWEEP | _TUNED),
    Figure(
        id="size-full", title="Loss over depth, full precision", x="depth", y="val_loss", where=_TUNED | {"training": "full"}, log_x=True
    ),
    Figure(id="size-qat", title="Loss over depth, 4-bit QAT", x="depth", y="val_loss", where=_TUNED | {"training": "qat"}, log_x=True),
)
