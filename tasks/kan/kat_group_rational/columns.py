"""The leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.estimates import Mean
from harness.task import Statistic
from tasks.kan.kat_group_rational.estimates import timed, trained, tuned


def _of_setting(setting: str, unit: str) -> list[Statistic]:
    return [
        Statistic(
            name=f"val_loss_{setting}",
            estimate=tuned(setting, "val_loss"),
            unit=unit,
            better="lower",
            description="at the best learning rate of the seed",
        ),
        Statistic(
            name=f"test_loss_{setting}",
            estimate=tuned(setting, "test_loss"),
            unit=unit,
            better="lower",
            description="at the learning rate that validation chose",
        ),
        Statistic(name=f"train_loss_{setting}", estimate=tuned(setting, "train_loss"), unit=unit, better="lower"),
        Statistic(name=f"parameters_{setting}", estimate=Mean("parameters", trained(setting)), description="of the whole network"),
        Statistic(
            name=f"step_ratio_{setting}",
            estimate=Mean("step_ratio", timed(setting)),
            better="lower",
            description="time of a training step over that of mlp-gelu, in turns",
        ),
        Statistic(name=f"step_seconds_{setting}", estimate=Mean("step_seconds", timed(setting)), unit="s", better="lower"),
        Statistic(
            name=f"activation_ratio_{setting}",
            estimate=Mean("activation_ratio", timed(setting)),
            better="lower",
            description="forward and backward of the activation alone over those of GELU",
        ),
        Statistic(
            name=f"coefficient_gradient_error_{setting}",
            estimate=Mean("coefficient_gradient_error", timed(setting)),
            better="lower",
            description="relative distance from float64",
        ),
    ]


STATISTICS = (
    *_of_setting("lm", "nats/token"),
    Statistic(name="test_accuracy_vit", estimate=tuned("vit", "test_accuracy"), unit="percent", better="higher"),
    *_of_setting("vit", "nats"),
)
