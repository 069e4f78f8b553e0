"""The spec of `onehot_square`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from kernels.configs import Config
from kernels.onehot_square.op import onehot_square
from kernels.onehot_square.reference import onehot_square_reference
from kernels.onehot_square.tiles import FORWARD, READOUT, TABLES, fitted
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape, Target

_MODULE = "kernels.onehot_square.triton"
_PAPER = {"members": 64, "examples": 4704, "rows": 97, "width": 500, "classes": 97}
_TF32X3 = 6.0
"""bfloat16 tensor operations that one tf32x3 operation takes the time of: three products at half the rate."""


def _inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """Gaussian tables and readout; every member has pairs of its own, the last row of u in none of them, the first pair twice."""
    generator = torch.Generator(device).manual_seed(seed)
    members, examples, rows, width = (shape[name] for name in ("members", "examples", "rows", "width"))
    pairs = torch.randint(rows, (members, examples, 2), generator=generator, device=device)
    pairs[..., 0].clamp_(max=max(0, rows - 2))
    pairs[:, 1:2] = pairs[:, :1]
    u, v = (torch.randn(members, rows, width, generator=generator, device=device) for _ in range(2))
    w = torch.randn(members, width, shape["classes"], generator=generator, device=device) / max(1, width) ** 0.5
    return {"pairs": pairs, "u": u.to(dtype), "v": v.to(dtype), "w": w.to(dtype)}


def _cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    """Every tensor once, and its gradient; 2 B N C operations forward and for each product of the backward pass (scattering has none)."""
    members, examples, rows, width, classes = (shape[name] for name in ("members", "examples", "rows", "width", "classes"))
    parameters = (2 * rows + classes) * width * dtype.itemsize
    product = 2.0 * members * examples * width * classes * (_TF32X3 if dtype.itemsize > 2 else 1.0)
    forward = members * (parameters + examples * (16 + classes * dtype.itemsize))
    if mode == "forward":
        return Cost(bytes=forward, flops=product)
    return Cost(bytes=2.0 * forward + members * parameters, flops=3.0 * product)


def _samples() -> Iterable[tuple[Any, tuple[Any, ...]]]:
    inputs = _inputs({"members": 2, "examples": 3, "rows": 4, "width": 5, "classes": 6}, torch.float32, torch.device("cpu"), 5)
    pairs, u, v, w = inputs.values()
    leaves = [tensor.requires_grad_() for tensor in (u, v, w)]
    yield torch.ops.kernels.onehot_square, (pairs, *leaves)
    permuted = [tensor.detach()[0].T.contiguous().T.requires_grad_() for tensor in leaves]
    yield torch.ops.kernels.onehot_square, (pairs[0], *permuted)
    plain = [tensor.detach() for tensor in leaves]
    for needs in ((True, True), (False, True)):
        yield torch.ops.kernels.onehot_square_backward, (torch.ones(2, 3, 6), pairs, *plain, *needs)


def _cases(kernel: str, pointers: Sequence[str]) -> Callable[[Config], Sequence[AotCase]]:
    """One kernel at the paper's sizes in float32 and bfloat16."""
    names = [f"{name}_ptr" for name in pointers]
    sizes = dict.fromkeys(("pairs_member", "examples", "rows", "width", "classes"), "i32")

    def case(dtype: str, config: Config) -> AotCase:
        tiles = fitted(config, {name.upper(): size for name, size in _PAPER.items()})
        halves = {"HALVES": dtype == "*fp32"} if kernel == "tables" else {}
        return AotCase(
            name=f"onehot_square_{kernel}_{dtype[1:]}",
            jit=f"{_MODULE}:{kernel}_kernel",
            types=dict.fromkeys(names, dtype) | {"pairs_ptr": "*i64"} | sizes,
            constants={"COMPUTE": "fp32"} | halves,
            aligned=names,
            config=Config(tiles=tiles, num_warps=config.num_warps, num_stages=config.num_stages),
            contains=("HGMMA",),
        )

    return lambda config: [case("*fp32", config), case("*bf16", config)]


def _embedding(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """One table of all members' rows through F.embedding, as nn.Embedding does, and a batched product."""
    members, rows, width = u.shape
    start = 2 * rows * torch.arange(members, device=u.device)[:, None, None]
    index = pairs + start + torch.tensor([0, rows], device=u.device)
    return F.embedding(index, torch.cat([u, v], 1).view(-1, width)).sum(-2).square() @ w


def _one_hot(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """Dense one-hot vectors times the first layer, as the authors feed them."""
    vectors = F.one_hot(pairs, u.shape[-2]).to(u.dtype).flatten(-2)
    return (vectors @ torch.cat([u, v], 1)).square() @ w


SPECS = (
    OpSpec(
        name="onehot_square",
        summary="Two-layer square networks of many members on pairs of one-hot inputs; gathers and scatters inside the products",
        formula="out_b = (u[m_b] + v[n_b])^2 w",
        source="the network of arXiv 2310.13061, after 2301.02679; gradients derived here",
        reference=onehot_square_reference,
        op=onehot_square,
        inputs=_inputs,
        outputs=("out",),
        differentiable=("u", "v", "w"),
        dot=True,
        # A tf32x3 product carries 22 bits, float32 24.
        beside_eager=4.0,
        tolerances={
            torch.float64: {"out": 1e-13, "d_u": 1e-13, "d_v": 1e-13, "d_w": 1e-13},
            torch.float32: {"out": 1e-5, "d_u": 1e-5, "d_v": 1e-5, "d_w": 1e-5},
            torch.float16: {"out": 1e-3, "d_u": 1e-3, "d_v": 1e-3, "d_w": 1e-3},
            torch.bfloat16: {"out": 5e-3, "d_u": 5e-3, "d_v": 5e-3, "d_w": 5e-3},
        },
        small=(
            {"members": 2, "examples": 70, "rows": 11, "width": 40, "classes": 13},
            {"members": 1, "examples": 5, "rows": 150, "width": 70, "classes": 140},
            {"members": 3, "examples": 1, "rows": 1, "width": 1, "classes": 1},
            {"members": 2, "examples": 0, "rows": 3, "width": 4, "classes": 5},
        ),
        paper=_PAPER,
        neighbours=(
            {"members": 4, "examples": 2520, "rows": 71, "width": 2048, "classes": 71},
            {"members": 33, "examples": 1103, "rows": 47, "width": 129, "classes": 47},
        ),
        size=lambda shape: shape["members"] * shape["examples"] * shape["width"] * shape["classes"],
        cost=_cost,
        samples=_samples,
        kernels=(
            KernelSpec(tunable=FORWARD, cases=_cases("forward", ("pairs", "u", "v", "w", "out"))),
            KernelSpec(tunable=TABLES, cases=_cases("tables", ("dout", "pairs", "u", "v", "w", "du", "dv"))),
            KernelSpec(tunable=READOUT, cases=_cases("readout", ("dout", "pairs", "u", "v", "dw"))),
        ),
        benchmark_dtype=torch.float32,
        peers={"F.embedding": lambda: _embedding, "one-hot vectors": lambda: _one_hot},
        target=Target(compile=1.2),
    ),
)
