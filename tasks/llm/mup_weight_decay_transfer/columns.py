"""The leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.estimates import Mean, Slope
from harness.task import Statistic
from tasks.llm.mup_weight_decay_transfer.estimates import (
    decay_shift,
    gain_slope,
    implied_exponent,
    kappa,
    lr_shift,
    ratio_slope,
    rules,
    shape_distance,
    shape_noise,
)

LM_CLASSES = ("qkv", "o", "gate", "up", "down")
FFN_CLASSES = ("in", "out")


def _of_setting(setting: str, classes: tuple[str, ...]) -> list[Statistic]:
    return [
        Statistic(name=f"gain_slope_{setting}", estimate=gain_slope(setting), better="zero", description="d log gain / d log width"),
        Statistic(
            name=f"sigma_slope_{setting}",
            estimate=Slope("sigma_top", "width", rules(setting)),
            better="zero",
            description="d log sigma_top / d log width, mean over the classes of matrices",
        ),
        *(
            Statistic(name=f"sigma_slope_{setting}_{name}", estimate=Slope(f"sigma_top_{name}", "width", rules(setting)), better="zero")
            for name in classes
        ),
        Statistic(name=f"kappa_{setting}", estimate=kappa(setting), description="exponent of the width in sigma_top / sqrt(eta/lambda)"),
        *(Statistic(name=f"kappa_{setting}_{name}", estimate=kappa(setting, name)) for name in classes),
        Statistic(
            name=f"implied_exponent_{setting}",
            estimate=implied_exponent(setting),
            description="2 kappa - 1: the p of lambda_2 ∝ d^p that would hold sigma_top",
        ),
        Statistic(
            name=f"kappa_entry_{setting}",
            estimate=Slope("entry_norm", "width", rules(setting)),
            description="the same for the RMS entry: 0 in the steady state",
        ),
        Statistic(
            name=f"horizon_{setting}",
            estimate=Mean("horizon", rules(setting)),
            unit="time constants",
            description="eta*lambda*T, mean over widths: steady above about 3",
        ),
        Statistic(
            name=f"ratio_slope_{setting}", estimate=ratio_slope(setting, "sigma_top"), description="d log sigma_top / d log(eta/lambda)"
        ),
        Statistic(
            name=f"ratio_slope_entry_{setting}", estimate=ratio_slope(setting, "entry_rms"), description="the same for the RMS entry"
        ),
        Statistic(name=f"shape_distance_{setting}", estimate=shape_distance(setting), description="of spectra over 16 times eta/lambda"),
        Statistic(name=f"shape_noise_{setting}", estimate=shape_noise(setting), description="floor of shape_distance: two redraws"),
    ]


STATISTICS = (
    Statistic(
        name="val_loss_rules",
        estimate=Mean("val_loss", rules("lm")),
        unit="nats/token",
        better="lower",
        description="mean over widths at the base rates",
    ),
    *_of_setting("ffn", FFN_CLASSES),
    *_of_setting("lm", LM_CLASSES),
    Statistic(name="gain_slope_lm_attention", estimate=Slope("gain_attention", "width", rules("lm")), better="zero"),
    Statistic(name="gain_slope_lm_mlp", estimate=Slope("gain_mlp", "width", rules("lm")), better="zero"),
    Statistic(name="lr_shift", estimate=lr_shift(), unit="octaves per doubling", better="zero"),
    Statistic(name="decay_shift", estimate=decay_shift(), unit="octaves per doubling", better="zero"),
)
