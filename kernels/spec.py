"""What is known about an op, in one place: tests, ahead-of-time compile checks, benchmarks, tuning and docs are driven by it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from kernels.configs import Config, Tunable

Shape = Mapping[str, int]
Inputs = dict[str, Any]
Mode = Literal["forward", "forward_backward"]

OPS = (
    "group_rational",
    "sym_matmul",
    "newton_schulz",
    "quest_fake_quant",
    "gram_matmul",
    "mmd2",
    "diag_ssm_scan",
    "stablemax_ce",
    "onehot_square",
)
"""Every op; the spec of `name` is `SPEC` in `kernels/<folder>/spec.py`."""
_FOLDERS = {
    "newton_schulz": "sym_matmul",
    "quest_fake_quant": "fake_quant",
    "mmd2": "gram_matmul",
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one call must move and compute at least: bytes over the memory bus, and operations at the rate of a bfloat16 product."""

    bytes: float
    flops: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AotCase:
    """One kernel compiled ahead of time for sm_90 without a GPU.

    `types` are Triton's type names by argument ("*bf16", "i32"), `constants` the constexprs beside the config's tiles, `aligned` the
    arguments that a launch finds divisible by 16 (pointers, strides): without it no 128-bit access appears. `elements` is how many
    elements of the problem one pass of the innermost loop treats (0: instructions per element are not reported).
    """

    name: str
    jit: str
    """`package.module:kernel`, imported only where it is compiled."""
    types: Mapping[str, str]
    config: Config
    constants: Mapping[str, Any] = field(default_factory=dict)
    aligned: Sequence[str] = ()
    elements: int = 0
    max_instructions_per_element: float | None = None
    max_spills: int = 0
    spill_reason: str = ""
    """Why spills are accepted; needed when `max_spills` is not 0."""
    contains: Sequence[str] = ()
    """Prefixes of machine instructions that must appear: "HGMMA" (tensor cores), "LDG.E.128"."""


@dataclass(frozen=True, kw_only=True)
class KernelSpec:
    """One @triton.jit kernel of an op as it ships: its tunable configs and how each of them is compiled."""

    tunable: Tunable
    cases: Callable[[Config], Sequence[AotCase]]
    dtype: torch.dtype | None = None
    """The dtype that reaches this kernel; None: the op's `benchmark_dtype` does."""
    proven: Sequence[Config] = ()
    """Candidates that `check` runs and compiles beside those that ship, because `tune` is expected to choose them."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Speed-ups over eager and over the better torch.compile, and the share of the roof, that the op must reach on an H200."""

    eager: float | None = None
    compile: float | None = None
    roof: float | None = None


@dataclass(frozen=True, kw_only=True)
class OpSpec:
    """An op: its truth, its public function, how to make inputs, how exact it must be, what it costs, what it competes with."""

    name: str
    summary: str
    formula: str
    source: str
    """Paper section or author's file that the formula comes from."""
    reference: Callable[..., Any]
    """Plain torch, any floating dtype, differentiable by autograd. Takes the arguments that `inputs` makes."""
    op: Callable[..., Any]
    """The public function: the same arguments and `backend=`."""
    inputs: Callable[[Shape, torch.dtype, torch.device, int], Inputs]
    """(shape, dtype, device, seed) -> keyword arguments. Fresh seeds give different numbers."""
    outputs: Sequence[str]
    differentiable: Sequence[str] = ()
    """Inputs that get gradients; empty for ops without a backward."""
    tolerances: Mapping[torch.dtype, Mapping[str, float]]
    """Largest relative L2 error against the float64 reference, by dtype and by output or by `d_<input>` for gradients."""
    flips: Mapping[str, float] = field(default_factory=dict)
    """Outputs that are masks or integers: largest share of entries that may differ (those within rounding of a threshold)."""
    gradcheck: bool = True
    """Whether gradients are true derivatives (a straight-through estimator's are not) and float64 inputs are computed in float64."""
    smooth: Callable[[Inputs], Inputs] = lambda inputs: inputs
    """Moves inputs off the points where the op is not differentiable, for gradcheck."""
    dot: bool = False
    beside_eager: float = 2.0
    """On a GPU: how many times as far from the truth as eager torch in the same dtype the op may be. More than 2 needs a reason."""
    small: Sequence[Shape]
    """A few programs each, for the interpreter; odd sizes among them."""
    paper: Shape
    neighbours: Sequence[Shape]
    """Two or more shapes near the paper's, one of them odd: no kernel ships on the strength of one shape."""
    size: Callable[[Shape], int]
    """The problem size by which configs are looked up."""
    cost: Callable[[Shape, torch.dtype, Mode], Cost]
    samples: Callable[[], Iterable[tuple[Any, tuple[Any, ...]]]]
    """(torch operator, arguments) pairs for torch.library.opcheck: forward and backward, compact and permuted layouts."""
    kernels: Sequence[KernelSpec]
    benchmark_dtype: torch.dtype = torch.bfloat16
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    """(compile) -> the reference with the parts that compile well compiled; None: `compile` of the whole reference."""
    peers: Mapping[str, Callable[[], Callable[..., Any] | None]] = field(default_factory=dict)
    """What else a user could call, by name: a factory that gives a function of the same arguments, None when it is not installed."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Named sets of extra keyword arguments of `op` that are benchmarked too, such as published schedules."""
    block: Callable[[Callable[..., Any], Inputs], torch.Tensor] | None = None
    """(op, inputs) -> output of the real block around the op, where fusion with neighbours counts."""
    target: Target = Target()


def specs(names: Sequence[str] = OPS) -> list[OpSpec]:
    """The specs of these ops; ValueError for a name that is none."""
    found = []
    for name in names:
        if name not in OPS:
            raise ValueError(f"unknown op {name!r}; choose among {', '.join(OPS)}")
        module = importlib.import_module(f"kernels.{_FOLDERS.get(name, name)}.spec")
        found.append(next(spec for spec in module.SPECS if spec.name == name))
    return found


def relative_error(value: torch.Tensor, truth: torch.Tensor) -> float:
    """||value - truth|| / ||truth|| in float64; the plain norm where the truth is zero.

    Infinity when shapes differ or when not the same entries are finite: a NaN in one place only is an error however large the tensor.
    """
    value, truth = _real(value), _real(truth)
    if value.shape != truth.shape or not torch.equal(value.isfinite(), truth.isfinite()):
        return float("inf")
    finite = truth.isfinite()
    difference, scale = float((value - truth)[finite].norm()), float(truth[finite].norm())
    return difference / scale if scale > 0 else difference


def _real(tensor: torch.Tensor) -> torch.Tensor:
    detached = tensor.detach()
    return (torch.view_as_real(detached.resolve_conj()) if detached.is_complex() else detached).double()
