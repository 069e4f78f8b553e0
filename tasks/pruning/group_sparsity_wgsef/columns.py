"""The leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.estimates import Slope
from harness.task import Better, Statistic
from tasks.pruning.group_sparsity_wgsef.estimates import TIMED, AtChosen, AtSparsity, chosen, trained

_COLUMNS: tuple[tuple[str, str, Better, str], ...] = (
    ("val_accuracy", "percent", "higher", "k groups an axis kept; chooses lam"),
    ("test_accuracy", "percent", "higher", "k groups an axis kept, at the lam that validation chose"),
    ("test_accuracy_untruncated", "percent", "higher", "as training left it, however many groups that is"),
    ("nonzero_groups", "of k", "none", "non-zero groups after training over k: 1 is exact"),
    ("exact_k", "share", "higher", "of the axes: exactly k non-zero groups"),
    ("reentries", "count", "lower", "groups that were zero and came back"),
    ("flops_reduction", "percent", "higher", "after the rest is removed for real"),
    ("latency_ratio", "ratio", "lower", "time of a forward pass over the dense network's, in turns"),
)


def _of_setting(setting: str) -> list[Statistic]:
    metrics = [
        Statistic(name=f"{name}_{setting}", estimate=chosen(setting, name), unit=unit, better=better, description=text)
        for name, unit, better, text in _COLUMNS
    ]
    sparse = Statistic(
        name=f"test_accuracy_sparse_{setting}",
        estimate=AtSparsity("test", trained(setting)),
        unit="percent",
        better="higher",
        description="best by validation among truncated and untruncated networks with at most k groups an axis on average",
    )
    return [
        *metrics,
        sparse,
        Statistic(name=f"lam_{setting}", estimate=AtChosen("param.lam", trained(setting), swept=True), description="that validation chose"),
    ]


STATISTICS = (
    *_of_setting("units"),
    *_of_setting("filters"),
    *(
        Statistic(
            name=f"{name}_exponent",
            estimate=Slope(f"{name}_seconds", over="groups", where=TIMED),
            better="lower",
            description="slope of log seconds against log groups",
        )
        for name in ("prox", "value")
    ),
)
