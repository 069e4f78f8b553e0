"""The methods as what they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BASELINE = "mlp-gelu"


@dataclass(frozen=True, kw_only=True)
class Design:
    """How a method fills the place of the MLP, and how it starts."""

    mlp: Literal["gelu", "swiglu", "rational", "spline"]
    variance_preserving: bool = False
    """Weights of the MLP ~ N(0, alpha / d_in) with alpha of the activation before them, instead of N(0, 0.02^2)."""
    start: Literal["swish", "gelu"] = "swish"
    """rational: what the second activation starts as; the first starts as the identity."""
    grouped: bool = True
    """rational: a denominator for each group of channels; one for all otherwise."""
    schedule: Literal["two_stage", "per_tile_atomic", "per_element_atomic"] | None = None
    """rational: the Triton backward to use; None leaves the choice of the backend to the machine."""


DESIGNS: Mapping[str, Design] = {
    BASELINE: Design(mlp="gelu"),
    "mlp-swiglu": Design(mlp="swiglu"),
    "mlp-gelu-vp": Design(mlp="gelu", variance_preserving=True),
    "kat-released": Design(mlp="rational"),
    "kat-vp": Design(mlp="rational", variance_preserving=True),
    "kat-gelu": Design(mlp="rational", start="gelu"),
    "kat-ungrouped": Design(mlp="rational", grouped=False),
    "kan-spline": Design(mlp="spline"),
    "kat-two-stage": Design(mlp="rational", schedule="two_stage"),
    "kat-per-tile-atomic": Design(mlp="rational", schedule="per_tile_atomic"),
    "kat-per-element-atomic": Design(mlp="rational", schedule="per_element_atomic"),
}
SCHEDULED = tuple(name for name, design in DESIGNS.items() if design.schedule)
"""Only timed, and on CUDA alone: a schedule changes how gradients are summed, not what is learned."""
TRAINED = tuple(name for name in DESIGNS if name not in SCHEDULED)
