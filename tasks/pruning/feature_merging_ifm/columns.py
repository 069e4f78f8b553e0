"""The leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.estimates import Mean
from harness.task import Statistic
from tasks.pruning.feature_merging_ifm.claims import of
from tasks.pruning.feature_merging_ifm.estimates import LossAt, MiddleOverEnds, complexity_accuracy, width_exponent

_SWEEP = "mean over the shares of channels kept"


def _of_networks(norm: bool) -> list[Statistic]:
    name, kept = "bn" if norm else "plain", of("kept", norm)
    return [
        Statistic(name=f"val_accuracy_{name}", estimate=Mean("val_accuracy", kept), unit="percent", better="higher", description=_SWEEP),
        Statistic(
            name=f"test_accuracy_{name}",
            estimate=Mean("test_accuracy", kept),
            unit="percent",
            better="higher",
            description=f"{_SWEEP}; of dense: all channels",
        ),
        *(
            Statistic(
                name=f"kept_{round(100 * share)}_{name}",
                estimate=Mean("test_accuracy", kept | {"kept": share}),
                unit="percent",
                better="higher",
                description=f"test accuracy with {100 * share:g} % of each layer's channels",
            )
            for share in ((0.75, 0.5) if norm else (0.5, 0.25))
        ),
        Statistic(name=f"output_error_{name}", estimate=Mean("output_error", kept), better="lower", description=_SWEEP),
        Statistic(
            name=f"duplicates_{name}",
            estimate=Mean("output_error", of("duplicates", norm)),
            better="lower",
            description="relative error of the logits after merging exact duplicates",
        ),
        Statistic(
            name=f"loss_at_23_{name}",
            estimate=LossAt(23.03, of("threshold", norm)),
            unit="points",
            better="lower",
            description="test accuracy lost at 23 % of the parameters, along the sweep of beta",
        ),
        Statistic(name=f"width_exponent_{name}", estimate=width_exponent(norm), description="b of complexity = a width^b, mean over betas"),
        Statistic(name=f"width_exponent_{name}_low_beta", estimate=width_exponent(norm, "smallest"), description="at the smallest beta"),
        Statistic(name=f"width_exponent_{name}_high_beta", estimate=width_exponent(norm, "largest"), description="at the largest beta"),
        Statistic(
            name=f"complexity_rho_{name}",
            estimate=complexity_accuracy(norm),
            description="Spearman's correlation of complexity and accuracy of one architecture, mean over betas",
        ),
        Statistic(name=f"merge_seconds_{name}", estimate=Mean("merge_seconds", kept), unit="s", better="lower", description=_SWEEP),
    ]


STATISTICS = (
    *_of_networks(True),
    Statistic(name="depth_peak_bn", estimate=MiddleOverEnds(of("width", True)), description="complexity share, middle minus ends"),
    *_of_networks(False),
)
