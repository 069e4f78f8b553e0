"""Plots of the report, one line a method."""

from __future__ import annotations

from harness.task import Figure
from tasks.pruning.feature_merging_ifm.claims import of

_NAMES = ((True, "bn", "with BatchNorm"), (False, "plain", "without BatchNorm"))
_KEPT = "The same share in every layer, no training afterwards. The dense network stands at 1."
_BETA = "The published knob: squared distances, as a share of the largest. It is a cliff."

FIGURES = (
    *(
        Figure(
            id=f"kept-{name}",
            title=f"Channels kept, {words}",
            x="kept",
            y="test_accuracy",
            where=of("kept", norm),
            log_x=True,
            caption=_KEPT,
        )
        for norm, name, words in _NAMES
    ),
    *(
        Figure(
            id=f"beta-{name}",
            title=f"Threshold, {words}",
            x="beta",
            y="test_accuracy",
            where=of("threshold", norm),
            log_x=True,
            caption=_BETA,
        )
        for norm, name, words in _NAMES
    ),
    *(
        Figure(
            id=f"parameters-{name}",
            title=f"Parameters left by beta, {words}",
            x="beta",
            y="test_accuracy",
            at="parameters_kept",
            where=of("threshold", norm),
            caption="Each point is a beta, placed by the parameters it left (percent).",
        )
        for norm, name, words in _NAMES
    ),
    *(
        Figure(
            id=f"complexity-{name}",
            title=f"Complexity at a threshold, {words}",
            x="beta",
            y="complexity_share",
            where=of("threshold", norm),
            log_x=True,
        )
        for norm, name, words in _NAMES
    ),
    *(
        Figure(
            id=f"width-{name}",
            title=f"Complexity and width, {words}",
            x="width",
            y="complexity",
            where=of("width", norm),
            log_x=True,
            log_y=True,
            caption="Mean over the betas of the scale. A slope of 1 says that wide networks are no more redundant than narrow ones.",
        )
        for norm, name, words in _NAMES
    ),
    Figure(
        id="depth-bn",
        title="Complexity by depth, with BatchNorm",
        x="step",
        y="complexity_share",
        where=of("width", True),
        caption="A step is a layer. Share of its channels that is left, mean over widths and betas.",
    ),
)
