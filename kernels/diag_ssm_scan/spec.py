"""The spec of `diag_ssm_scan`."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from kernels.configs import Config
from kernels.diag_ssm_scan.op import diag_ssm_scan
from kernels.diag_ssm_scan.reference import diag_ssm_scan_reference
from kernels.diag_ssm_scan.tiles import BACKWARD, FORWARD
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape, Target

_MODULE = "kernels.diag_ssm_scan.triton"
_SIZES = {"length": "i32", "channels": "i32", "chunk": "i32"}


def _inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """`dtype` is that of the real part. |lam| from 0 to just past 1 (1 + 1/L at most), all phases."""
    generator = torch.Generator(device).manual_seed(seed)
    batch, length, channels = shape["batch"], shape["length"], shape["channels"]
    radius = torch.linspace(0.0, 1.0 + 1.0 / max(1, length), channels, device=device)
    phase = 2.0 * math.pi * torch.rand(channels, generator=generator, device=device)
    wanted = torch.complex128 if dtype == torch.float64 else torch.complex64
    u = torch.randn(batch, length, channels, generator=generator, dtype=torch.complex64, device=device)
    x0 = torch.randn(batch, channels, generator=generator, dtype=torch.complex64, device=device)
    return {name: tensor.to(wanted) for name, tensor in (("lam", torch.polar(radius, phase)), ("u", u), ("x0", x0))}


def _cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    """Forward reads u and writes x; backward reads dx and x and writes du."""
    elements = 2 * dtype.itemsize * shape["batch"] * shape["length"] * shape["channels"]
    return Cost(bytes=elements * (2 if mode == "forward" else 5))


def _samples() -> Iterable[tuple[Any, tuple[Any, ...]]]:
    inputs = _inputs({"batch": 2, "length": 3, "channels": 4}, torch.float32, torch.device("cpu"), 5)
    lam, u, x0 = (tensor.requires_grad_() for tensor in inputs.values())
    permuted = u.detach().transpose(0, 2).contiguous().transpose(0, 2).requires_grad_()
    for layout in (u, permuted):
        yield torch.ops.kernels.diag_ssm_scan, (lam, layout, x0)
    yield torch.ops.kernels.diag_ssm_scan_backward, (torch.ones_like(u), lam.detach(), x0.detach(), u.detach())


def _case(name: str, kernel: str, pointers: Sequence[str], constants: dict[str, Any], config: Config, limit: float) -> AotCase:
    tiles = config.tiles
    return AotCase(
        name=f"diag_ssm_scan_{name}",
        jit=f"{_MODULE}:{kernel}_kernel",
        types={f"{pointer}_ptr": "*fp32" for pointer in pointers} | _SIZES,
        constants=constants | {"COMPUTE": "fp32"},
        aligned=(*(f"{pointer}_ptr" for pointer in pointers), "channels", "chunk"),
        config=config,
        elements=tiles["SPANS"] * tiles["STEPS"] * tiles["CHANNELS"],
        max_instructions_per_element=limit,
        contains=("LDG.E.128",),
    )


def _forward_cases(config: Config) -> Sequence[AotCase]:
    pointers = ("u", "lam", "start", "x")
    return [
        _case("forward", "forward", pointers, {"REVERSED": False, "ENDS": False}, config, 25.0),
        _case("forward_ends", "forward", pointers, {"REVERSED": False, "ENDS": True}, config, 25.0),
        _case("backward_ends", "forward", pointers, {"REVERSED": True, "ENDS": True}, config, 25.0),
    ]


def _backward_cases(config: Config) -> Sequence[AotCase]:
    return [_case("backward", "backward", ("dx", "lam", "start", "x", "du", "partial"), {}, config, 34.0)]


def _associative_scan() -> Callable[..., Tensor] | None:
    """torch's own operator, generic over the combination: the gate is repeated for every step."""
    from torch._higher_order_ops.associative_scan import associative_scan

    def combine(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return left[0] * right[0], left[1] * right[0] + right[1]

    def scan(lam: Tensor, u: Tensor, x0: Tensor) -> Tensor:
        first = (u[:, 0] + lam * x0)[:, None]
        states: Tensor = associative_scan(
            combine, (lam.expand_as(u).contiguous(), torch.cat([first, u[:, 1:]], 1)), dim=1, combine_mode="generic"
        )[1]
        return states

    return scan


def _accelerated_scan() -> Callable[..., Tensor] | None:
    """accelerated-scan's complex Triton scan: channels before time, a gate for every step, lengths that are powers of two."""
    if importlib.util.find_spec("accelerated_scan") is None:
        return None
    peer = importlib.import_module("accelerated_scan.complex").scan

    def scan(lam: Tensor, u: Tensor, x0: Tensor) -> Tensor:
        first = (u[:, 0] + lam * x0)[:, None]
        tokens = torch.cat([first, u[:, 1:]], 1).transpose(1, 2).contiguous()
        gates = lam[None, :, None].expand_as(tokens).contiguous()
        states: Tensor = peer(gates, tokens)
        return states.transpose(1, 2)

    return scan


SPECS = (
    OpSpec(
        name="diag_ssm_scan",
        summary="Complex diagonal linear recurrence of state-space models, the same diagonal at every step",
        formula="x_k = lam x_{k-1} + u_k",
        source="arXiv 2208.04933 (S5) section 3; gradients by the adjoint recurrence",
        reference=diag_ssm_scan_reference,
        op=diag_ssm_scan,
        inputs=_inputs,
        outputs=("x",),
        differentiable=("lam", "u", "x0"),
        tolerances={
            torch.float64: {"x": 1e-13, "d_lam": 1e-12, "d_u": 1e-13, "d_x0": 1e-13},
            torch.float32: {"x": 5e-6, "d_lam": 1e-5, "d_u": 5e-6, "d_x0": 5e-6},
        },
        # Errors of the recurrence pile up over 1/(1 - |lam|) steps; the reference doubles, so that it makes log2 L additions a step.
        beside_eager=16.0,
        small=(
            {"batch": 2, "length": 37, "channels": 5},
            {"batch": 1, "length": 150, "channels": 33},
            {"batch": 1, "length": 385, "channels": 2},
            {"batch": 1, "length": 1, "channels": 4},
            {"batch": 2, "length": 0, "channels": 4},
        ),
        paper={"batch": 32, "length": 4096, "channels": 256},
        neighbours=({"batch": 8, "length": 16_384, "channels": 64}, {"batch": 50, "length": 1000, "channels": 190}),
        size=lambda shape: shape["batch"] * shape["length"] * shape["channels"],
        cost=_cost,
        samples=_samples,
        kernels=(KernelSpec(tunable=FORWARD, cases=_forward_cases), KernelSpec(tunable=BACKWARD, cases=_backward_cases)),
        benchmark_dtype=torch.float32,
        peers={"torch_associative_scan": _associative_scan, "accelerated_scan": _accelerated_scan},
        target=Target(eager=15.0, compile=10.0, roof=0.60),
    ),
)
