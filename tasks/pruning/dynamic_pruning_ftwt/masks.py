"""Ground truth: which filters an input needs, read off the network's own activations, by the rules of the authors' code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from harness.errors import UsageError

NEGLIGIBLE = 1e-5
"""A share of the mass, or for the uniform rule a peak, up to which a filter counts as dead; also the slack of the threshold."""


def peaks(outputs: Tensor) -> Tensor:
    """a_c = max over positions of |O_c|: (batch, filters, height, width) -> (batch, filters)."""
    return spatial_max(outputs.detach().abs())


def spatial_max(maps: Tensor) -> Tensor:
    """(batch, channels, height, width) -> (batch, channels); with the channels last a pooling is four times as fast as a reduction."""
    return maps.amax(dim=(2, 3)) if maps.is_contiguous() else F.max_pool2d(maps, maps.shape[2:]).flatten(1)


@dataclass(frozen=True)
class Rule:
    """From peaks (batch, filters) to the filters to keep, True in (batch, filters).

    `mass`: the largest filters, as long as together they hold at most the share `level` of the peaks' sum; the one that crosses it is
    dropped, so that an input whose largest filter alone holds more keeps nothing. At level 1 only dead filters are dropped.
    `uniform`: all but the smallest int(level x filters) of every layer, and the dead ones.
    """

    kind: Literal["mass", "uniform"]
    level: float

    def __post_init__(self) -> None:
        if self.kind == "mass" and not 0.0 < self.level <= 1.0:
            raise UsageError(f"the share of the heat-map mass to keep lies in (0, 1], not {self.level:g}")
        if self.kind == "uniform" and not 0.0 <= self.level < 1.0:
            raise UsageError(f"the share of filters to drop lies in [0, 1), not {self.level:g}")

    def __call__(self, peaks: Tensor) -> Tensor:
        """The mask."""
        return _mass(peaks, self.level) if self.kind == "mass" else _uniform(peaks, self.level)


def _mass(peaks: Tensor, kept: float) -> Tensor:
    # Where every filter is silent there is nothing to share: dividing by a tiny sum leaves zeros, which the last factor drops.
    share = peaks / peaks.sum(dim=1, keepdim=True).clamp_min(torch.finfo(peaks.dtype).tiny)
    if kept == 1.0:
        return share > NEGLIGIBLE
    ordered, index = share.sort(dim=1, descending=True, stable=True)
    within = (ordered.cumsum(dim=1) - kept <= NEGLIGIBLE) & (ordered > 0)
    return torch.zeros_like(within).scatter(1, index, within)


def _uniform(peaks: Tensor, dropped: float) -> Tensor:
    count = int(dropped * peaks.shape[1])
    lowest = peaks.argsort(dim=1, stable=True)[:, :count]
    return (peaks > NEGLIGIBLE).scatter(1, lowest, False)
