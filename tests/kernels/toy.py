"""A toy op whose kernel can be broken in every way that the checks must notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from kernels.configs import Config, Tunable
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape


def cube(x: Tensor) -> Tensor:
    return x**3


class Cube(torch.autograd.Function):
    """x^3 with a backward of its own, computed in single precision for single-precision inputs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.empty_like(x).copy_(x * x * x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3.0 * x * x * gradients[0]


def right(x: Tensor, *, backend: str) -> Tensor:
    return cube(x) if backend == "reference" else Cube.apply(x)


def _inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(shape["rows"], shape["width"], generator=generator).to(dtype).to(device)}


def _cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    return Cost(bytes=2.0 * shape["rows"] * shape["width"] * dtype.itemsize)


CANDIDATES = tuple(Config(tiles={"BLOCK": block}) for block in (32, 64, 128))
TUNABLE = Tunable("cube", CANDIDATES)


def _no_cases(_config: Config) -> Sequence[AotCase]:
    return ()


def spec(op: Callable[..., Any] = right, **changes: Any) -> OpSpec:
    """The toy's spec with `op` as its implementation."""
    fields: dict[str, Any] = {
        "name": "cube",
        "summary": "",
        "formula": "x^3",
        "source": "",
        "reference": cube,
        "op": op,
        "inputs": _inputs,
        "outputs": ("y",),
        "differentiable": ("x",),
        "tolerances": {torch.float64: {"y": 1e-14, "d_x": 1e-14}, torch.float32: {"y": 1e-6, "d_x": 1e-6}},
        "small": ({"rows": 3, "width": 5}, {"rows": 0, "width": 5}),
        "paper": {"rows": 64, "width": 64},
        "neighbours": ({"rows": 32, "width": 64}, {"rows": 33, "width": 65}),
        "size": lambda shape: shape["rows"] * shape["width"],
        "cost": _cost,
        "samples": lambda: (),
        "kernels": (KernelSpec(tunable=TUNABLE, cases=_no_cases),),
    }
    return OpSpec(**fields | changes)
