"""Plots of the report, one line a method."""

from __future__ import annotations

from harness.task import Figure
from tasks.pruning.group_sparsity_wgsef.estimates import TIMED, trained

_SWEEP = "Every penalty has its own range of lam."
_SWEPT = ("wgsef", "wgsef-hspg", "wgsef-finetune", "group-lasso", "hspg")


def _of_setting(setting: str, where: str) -> list[Figure]:
    matching = trained(setting)
    return [
        Figure(
            id=f"accuracy-{setting}",
            title=f"Validation accuracy with k groups kept, {where}",
            x="lam",
            y="val_accuracy",
            where=matching,
            methods=_SWEPT,
            log_x=True,
            caption=_SWEEP,
        ),
        Figure(
            id=f"groups-{setting}",
            title=f"Non-zero groups over k, {where}",
            x="lam",
            y="nonzero_groups",
            where=matching,
            methods=_SWEPT,
            log_x=True,
            log_y=True,
            caption=_SWEEP,
        ),
        Figure(
            id=f"untruncated-{setting}",
            title=f"Validation accuracy as training left the network, over its non-zero groups, {where}",
            x="lam",
            y="val_accuracy_untruncated",
            where=matching,
            at="nonzero_groups",
            methods=tuple(name for name in _SWEPT if name != "wgsef-finetune"),
            log_x=True,
            caption="Non-zero groups over k, mean over seeds of every lam; 1 is the budget.",
        ),
        Figure(
            id=f"count-{setting}",
            title=f"Non-zero groups over k during training, {where}",
            x="step",
            y="nonzero_groups",
            where=matching,
            log_y=True,
            caption="At the beginning of every epoch; mean over the lam of the scale.",
        ),
    ]


FIGURES = (
    *_of_setting("units", "hidden units"),
    *_of_setting("filters", "filters"),
    Figure(id="prox", title="Seconds of one prox", x="groups", y="prox_seconds", where=TIMED, log_x=True, log_y=True),
    Figure(id="value", title="Seconds of one value", x="groups", y="value_seconds", where=TIMED, log_x=True, log_y=True),
)
