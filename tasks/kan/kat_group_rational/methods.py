"""The methods, and what each is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.task import Method

METHODS = (
    Method("kat-released", "proposed", "GR-KAN: identity-rational, fc1, swish-rational, fc2; weights N(0, 0.02^2), as the code trains"),
    Method("kat-vp", "proposed", "the same with the variance-preserving start that the paper describes: N(0, alpha/d_in)"),
    Method("kat-gelu", "proposed", "kat-released with the second rational fitted to GELU (for the form that the kernels evaluate)"),
    Method("mlp-gelu", "baseline", "fc1, GELU, fc2; weights N(0, 0.02^2)"),
    Method("mlp-swiglu", "baseline", "SwiGLU with as many parameters"),
    Method("mlp-gelu-vp", "control", "mlp-gelu with the variance-preserving start: what the start alone does"),
    Method("kat-ungrouped", "rival", "kat-released with one denominator for all channels (safe PAU)"),
    Method("kan-spline", "rival", "two layers of cubic B-splines with as many parameters"),
    Method("kat-two-stage", "proposed", "timed on CUDA: coefficient gradients summed in two stages, without atomics"),
    Method("kat-per-tile-atomic", "rival", "timed on CUDA: one atomic addition a tile and coefficient (FlashKAT)"),
    Method("kat-per-element-atomic", "rival", "timed on CUDA: one atomic addition an element and coefficient (KAT's first kernel)"),
)
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
RATIONAL = tuple(name for name, design in DESIGNS.items() if design.mlp == "rational")
