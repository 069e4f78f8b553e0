"""The spec of `group_rational`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from kernels.configs import Config
from kernels.group_rational.op import group_rational
from kernels.group_rational.reference import group_rational_reference
from kernels.group_rational.tiles import BACKWARD, FORWARD, PER_ELEMENT_ATOMIC, PER_TILE_ATOMIC
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape, Target

_MODULE = "kernels.group_rational.triton"
_POINTERS = {"x_ptr": "*bf16", "numerator_ptr": "*fp32", "denominator_ptr": "*fp32"}
_SIZES = {"rows": "i32", "width": "i32", "group_width": "i32"}


def _inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """x ~ N(0, 2^2) so that both tails of the rational are met; coefficients of both signs, one denominator coefficient zero."""
    generator = torch.Generator(device).manual_seed(seed)
    coefficients = torch.float64 if dtype == torch.float64 else torch.float32
    numerator = torch.randn(shape["groups"], 6, generator=generator, dtype=torch.float64, device=device)
    denominator = torch.randn(shape["groups"], 4, generator=generator, dtype=torch.float64, device=device)
    denominator[0, 0] = 0.0
    x = 2.0 * torch.randn(shape["rows"], shape["width"], generator=generator, dtype=torch.float32, device=device)
    return {
        "x": x.to(dtype),
        "numerator": numerator.to(coefficients),
        "denominator": denominator.to(coefficients),
    }


def _smooth(inputs: Inputs) -> Inputs:
    """Coefficients at zero are moved off it: |b| has a corner there."""
    denominator = inputs["denominator"]
    return inputs | {"denominator": torch.where(denominator == 0, 0.5, denominator)}


def _block(op: Callable[..., Any], inputs: Inputs) -> torch.Tensor:
    """The feed-forward half of a KAT block: residual + linear(rational(x)), with the identity as the weight so that nothing overflows."""
    x = inputs["x"]
    weight = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    mapped: torch.Tensor = x + torch.nn.functional.linear(op(**inputs), weight)
    return mapped


def _cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    """Forward reads x and writes y; backward reads x and dy and writes dx."""
    elements = shape["rows"] * shape["width"] * dtype.itemsize
    return Cost(bytes=elements * (2 if mode == "forward" else 5))


def _samples() -> Iterable[tuple[Any, tuple[Any, ...]]]:
    inputs = _inputs({"rows": 3, "width": 8, "groups": 2}, torch.float32, torch.device("cpu"), 5)
    x, numerator, denominator = (tensor.requires_grad_() for tensor in inputs.values())
    permuted = torch.randn(8, 3).T.requires_grad_()
    for layout in (x, permuted):
        yield torch.ops.kernels.group_rational, (layout, numerator, denominator, "two_stage")
    plain = [tensor.detach() for tensor in (x, numerator, denominator)]
    yield torch.ops.kernels.group_rational_backward, (torch.ones(3, 8), *plain, "two_stage")


def _forward_cases(config: Config) -> Sequence[AotCase]:
    elements = config.tiles["ROWS"] * config.tiles["COLUMNS"]
    return [
        AotCase(
            name="group_rational_forward",
            jit=f"{_MODULE}:forward_kernel",
            types=_POINTERS | {"y_ptr": "*bf16"} | _SIZES | {"across": "i32"},
            constants={"COMPUTE": "fp32"},
            aligned=(*_POINTERS, "y_ptr", "width", "group_width"),
            config=config,
            elements=elements,
            contains=("LDG.E.128", "STG.E.128"),
        )
    ]


def _backward_cases(config: Config) -> Sequence[AotCase]:
    pointers = {"dy_ptr": "*bf16"} | _POINTERS | {"dx_ptr": "*bf16"}
    return [
        AotCase(
            name="group_rational_backward",
            jit=f"{_MODULE}:backward_kernel",
            types=pointers | {"partial_ptr": "*fp32"} | _SIZES,
            constants={"COMPUTE": "fp32"},
            aligned=(*pointers, "partial_ptr", "width", "group_width"),
            config=config,
            elements=config.tiles["ROWS"] * config.tiles["COLUMNS"],
            max_instructions_per_element=60.0,
        )
    ]


def _atomic_cases(kernel: str, sizes: dict[str, str]) -> Any:
    pointers = {"dy_ptr": "*bf16"} | _POINTERS | {"dx_ptr": "*bf16"}

    def cases(config: Config) -> Sequence[AotCase]:
        return [
            AotCase(
                name=f"group_rational_{kernel}",
                jit=f"{_MODULE}:{kernel}_kernel",
                types=pointers | {"sums_ptr": "*fp32"} | sizes,
                constants={"COMPUTE": "fp32"},
                aligned=(*pointers, "sums_ptr", "width", "group_width"),
                config=config,
            )
        ]

    return cases


_FLAT = {"elements": "i64", "width": "i32", "group_width": "i32"}

SPECS = (
    OpSpec(
        name="group_rational",
        summary="Group-wise safe Pade 5/4 activation of KAT, deterministic coefficient gradients",
        formula="y = sum_i a_i x^i / (1 + sum_j |b_j| |x|^j)",
        source="arXiv 2409.10594 section 4; form A of the released kernel",
        reference=group_rational_reference,
        op=group_rational,
        inputs=_inputs,
        outputs=("y",),
        differentiable=("x", "numerator", "denominator"),
        smooth=_smooth,
        tolerances={
            torch.float64: {"y": 1e-14, "d_x": 1e-13, "d_numerator": 1e-13, "d_denominator": 1e-13},
            torch.float32: {"y": 1e-6, "d_x": 2e-6, "d_numerator": 1e-5, "d_denominator": 1e-5},
            torch.float16: {"y": 5e-4, "d_x": 5e-4, "d_numerator": 1e-5, "d_denominator": 1e-5},
            torch.bfloat16: {"y": 5e-3, "d_x": 5e-3, "d_numerator": 1e-4, "d_denominator": 1e-4},
        },
        small=(
            {"rows": 5, "width": 24, "groups": 3},
            {"rows": 70, "width": 2 * 129, "groups": 2},
            {"rows": 530, "width": 16, "groups": 1},  # more row tiles than programs
            {"rows": 1, "width": 128, "groups": 1},
            {"rows": 0, "width": 16, "groups": 2},
        ),
        paper={"rows": 25_216, "width": 3072, "groups": 8},
        neighbours=({"rows": 25_216, "width": 768, "groups": 8}, {"rows": 12_547, "width": 1536, "groups": 8}),
        size=lambda shape: shape["rows"] * shape["width"],
        cost=_cost,
        samples=_samples,
        kernels=(
            KernelSpec(tunable=FORWARD, cases=_forward_cases),
            KernelSpec(tunable=BACKWARD, cases=_backward_cases),
            KernelSpec(tunable=PER_TILE_ATOMIC, cases=_atomic_cases("per_tile_atomic", _SIZES | {"across": "i32"})),
            KernelSpec(tunable=PER_ELEMENT_ATOMIC, cases=_atomic_cases("per_element_atomic", _FLAT)),
        ),
        variants={name: {"schedule": name} for name in ("per_tile_atomic", "per_element_atomic")},
        block=_block,
        target=Target(eager=20.0, compile=1.5, roof=0.70),
    ),
)
