"""The spec of `quest_fake_quant`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from kernels.configs import Config
from kernels.fake_quant import grid
from kernels.fake_quant.hadamard import block_hadamard
from kernels.fake_quant.op import quest_quantize
from kernels.fake_quant.reference import quest_quantize_reference
from kernels.fake_quant.tiles import (
    FEW_ROWS_BACKWARD,
    FEW_ROWS_FORWARD,
    QUEST_BACKWARD,
    QUEST_BACKWARD_FLOAT32,
    QUEST_FORWARD,
    QUEST_FORWARD_FLOAT32,
)
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape, Target

_MODULE = "kernels.fake_quant.triton"
_MARGIN = 1e-4
_REDRAWN = 1 << 20


def _quest_inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """x ~ N(0, 1) with one outlier channel, rows on different scales.

    Small inputs are redrawn row by row until no coordinate lies within 1e-4 of a step of a rounding threshold: there float32 and float64
    may rightly differ by a whole step, and one such entry would hide every other error.
    """
    generator = torch.Generator(device).manual_seed(seed)

    def draw(rows: int) -> Tensor:
        x = torch.randn(rows, shape["columns"], generator=generator, device=device)
        x[:, 3] *= 20
        return (x * torch.linspace(0.1, 3.0, max(rows, 1), device=device)[:rows, None]).to(dtype)

    x = draw(shape["rows"])
    close = _close(x, shape["bits"]) if x.numel() <= _REDRAWN else torch.zeros(0, dtype=torch.long)
    while len(close):
        x[close] = draw(len(close))
        close = close[_close(x[close], shape["bits"])]
    return {"x": x, "bits": shape["bits"]}


def _close(x: Tensor, bits: float) -> Tensor:
    """Indices of rows with a coordinate near a threshold: halfway between two levels, or a half step past the last one."""
    v = block_hadamard(x.double())
    step = v.square().mean(-1, keepdim=True).sqrt() * (2 * grid.CLIPS[bits] / (grid.levels(bits) - 1))
    distance = ((v / step + grid.offset(bits) + 0.5) - torch.round(v / step + grid.offset(bits) + 0.5)).abs()
    return (distance < _MARGIN).any(-1).nonzero()[:, 0]


def _quest_cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    """Forward reads x, writes q and a mask byte; backward reads dq and the mask, writes dx. Each multiplies every block by H once."""
    elements = shape["rows"] * shape["columns"]
    passes = 1 if mode == "forward" else 2
    return Cost(bytes=passes * elements * (2 * dtype.itemsize + 1), flops=passes * elements * 256)


def _quest_samples() -> Iterable[tuple[Any, tuple[Any, ...]]]:
    x = torch.randn(3, 256).requires_grad_()
    permuted = torch.randn(256, 3).T.requires_grad_()
    for layout in (x, permuted, torch.randn(2, 1, 128)):
        yield torch.ops.kernels.quest_fake_quant, (layout, 4.0)
    yield torch.ops.kernels.quest_fake_quant_backward, (torch.randn(3, 128), torch.ones(3, 128, dtype=torch.bool))
    yield torch.ops.kernels.quest_fake_quant_backward, (torch.randn(128, 3).T, torch.ones(3, 128, dtype=torch.bool))


def _quest_cases(direction: str, dtype: str, limit: float) -> Callable[[Config], Sequence[AotCase]]:
    """The kernel of one direction on one dtype ("*bf16"), with at most `limit` instructions per element of a tile of 64 rows.

    Lower tiles have no warp-group products: operands go through registers.
    """
    forward = direction == "forward"
    source, result = ("x", "q") if forward else ("dq", "dx")
    pointers = {f"{source}_ptr": dtype, "signs_ptr": dtype, f"{result}_ptr": dtype, "mask_ptr": "*i8"}
    strides = {f"{source}_stride": "i32", f"{result}_stride": "i32"}
    scalars = {"clip": "fp32", "steps": "fp32", "offset": "fp32"} if forward else {}

    def cases(config: Config) -> Sequence[AotCase]:
        tall = config.tiles["ROWS"] >= 64
        return [
            AotCase(
                name=f"quest_fake_quant_{direction}_{dtype[1:]}",
                jit=f"{_MODULE}:quest_{direction}_kernel",
                types=pointers | strides | scalars | {"rows": "i32", "columns": "i32"},
                constants={"COMPUTE": "fp32"},
                aligned=(*pointers, *strides, "columns"),
                config=config,
                elements=config.tiles["ROWS"] * 128,
                max_instructions_per_element=limit if tall else 30.0,
                contains=("HGMMA",) if tall else ("HMMA",),
            )
        ]

    return cases


SPECS = (
    OpSpec(
        name="quest_fake_quant",
        summary="QuEST quantizer: block-128 Hadamard, RMS scale, Gaussian-optimal clip, trust-masked straight-through gradient",
        formula="q = step (rne(clip(xH, -s, s) / step + 1/2) - 1/2), s = clip_b rms(xH), mask = abs(q - xH) <= clip_b rms / (2^b - 1)",
        source="QuEST, arXiv 2502.05003, and its base_linear.py",
        reference=quest_quantize_reference,
        op=quest_quantize,
        inputs=_quest_inputs,
        outputs=("q", "mask"),
        differentiable=("x",),
        gradcheck=False,
        dot=True,
        tolerances={
            torch.float64: {"q": 1e-13, "d_x": 1e-13},
            torch.float32: {"q": 1e-6, "d_x": 1e-6},
            torch.float16: {"q": 5e-4, "d_x": 5e-4},
            torch.bfloat16: {"q": 3e-3, "d_x": 3e-3},
        },
        flips={"mask": 1e-5},
        small=(
            {"rows": 70, "columns": 384, "bits": 4},
            {"rows": 5, "columns": 1280, "bits": 2},
            {"rows": 9, "columns": 128, "bits": 1},
            {"rows": 3, "columns": 256, "bits": 8},
            {"rows": 0, "columns": 128, "bits": 4},
        ),
        paper={"rows": 32_768, "columns": 2048, "bits": 4},
        neighbours=(
            {"rows": 8192, "columns": 2048, "bits": 4},
            {"rows": 32_749, "columns": 5632, "bits": 4},
            # A weight of a linear layer: few programs with tall tiles.
            {"rows": 2048, "columns": 2048, "bits": 4},
        ),
        size=lambda shape: shape["rows"] * shape["columns"],
        cost=_quest_cost,
        samples=_quest_samples,
        kernels=(
            KernelSpec(tunable=QUEST_FORWARD, cases=_quest_cases("forward", "*bf16", 20.0), proven=(FEW_ROWS_FORWARD,)),
            KernelSpec(tunable=QUEST_BACKWARD, cases=_quest_cases("backward", "*bf16", 30.0), proven=(FEW_ROWS_BACKWARD,)),
            KernelSpec(tunable=QUEST_FORWARD_FLOAT32, cases=_quest_cases("forward", "*fp32", 40.0), dtype=torch.float32),
            KernelSpec(tunable=QUEST_BACKWARD_FLOAT32, cases=_quest_cases("backward", "*fp32", 40.0), dtype=torch.float32),
        ),
        target=Target(eager=8.0, compile=1.6, roof=0.75),
    ),
)
