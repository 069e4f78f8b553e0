"""The specs of `sym_matmul` and `newton_schulz`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from kernels.configs import Config
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape, Target
from kernels.sym_matmul.iteration import pick_form
from kernels.sym_matmul.op import newton_schulz, sym_matmul
from kernels.sym_matmul.reference import newton_schulz_reference, sym_matmul_reference
from kernels.sym_matmul.tiles import SYM_MATMUL, SYM_MATMUL_WIDE

_STEPS = 5


def _product_inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """A Gaussian A and a symmetric addend."""
    generator = torch.Generator(device).manual_seed(seed)
    a = torch.randn(shape["batch"], shape["m"], shape["n"], generator=generator, device=device) / max(1, shape["n"]) ** 0.5
    addend = torch.randn(shape["batch"], shape["m"], shape["m"], generator=generator, device=device)
    return {"a": a.to(dtype), "alpha": 2.0315, "beta": -4.775, "addend": (addend + addend.mT).to(dtype)}


def _product_cost(shape: Shape, dtype: torch.dtype, _mode: Mode) -> Cost:
    """Reads A and half the addend, writes C; the lower triangle's multiplications and additions."""
    batch, m, n = shape["batch"], shape["m"], shape["n"]
    return Cost(bytes=batch * dtype.itemsize * (m * n + 1.5 * m * m), flops=batch * m * (m + 1) * n)


def _product_samples() -> Iterable[tuple[Any, tuple[Any, ...]]]:
    a = torch.randn(2, 3, 5)
    symmetric = a @ a.mT
    yield torch.ops.kernels.sym_matmul, (a, None, 1.0, 0.0, None)
    yield torch.ops.kernels.sym_matmul, (torch.randn(5, 3).T, None, 0.5, 2.0, symmetric[0])
    yield torch.ops.kernels.sym_matmul, (symmetric, symmetric @ symmetric, 1.0, 0.0, None)


def _cases(pointer: str, tensor_core: str) -> Callable[[Config], Sequence[AotCase]]:
    pointers = {"a_ptr": pointer, "b_ptr": pointer, "addend_ptr": pointer, "c_ptr": pointer}
    strides = {f"{name}_{axis}": "i32" for name in ("a", "b", "addend", "c") for axis in ("batch", "row")}
    scalars = {"m": "i32", "n": "i32", "triangle": "i32", "alpha": "fp32", "beta": "fp32"}

    def cases(config: Config) -> Sequence[AotCase]:
        return [
            AotCase(
                name=f"sym_matmul_{pointer[1:]}{'_add' if add else ''}",
                jit="kernels.sym_matmul.triton:sym_matmul_kernel",
                types=pointers | scalars | strides,
                constants={"ADD": add, "COMPUTE": "fp32", "LONG": False},
                aligned=(*pointers, "m", "n", *strides),
                config=config,
                contains=(tensor_core,),
            )
            for add in (False, True)
        ]

    return cases


def _iteration_inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """Gaussian matrices, not centred: one large singular value among many."""
    generator = torch.Generator(device).manual_seed(seed)
    g = torch.randn(shape["batch"], shape["m"], shape["n"], generator=generator, device=device) + 0.1
    return {"g": g.to(dtype)}


def _iteration_cost(shape: Shape, dtype: torch.dtype, _mode: Mode) -> Cost:
    """Bytes as if each matrix were touched once a product; multiplications and additions of the form that `auto` takes."""
    short, long = sorted((shape["m"], shape["n"]))
    if pick_form((short, long), "auto") == "gram":
        segments = -(-_STEPS // 3)
        products = _STEPS + (_STEPS - segments) * 3
        flops, touched = segments * 3 * short**2 * long + products * short**3, segments * 3 * short * long + products * 3 * short**2
    else:
        flops, touched = _STEPS * (3 * short**2 * long + short**3), _STEPS * (3 * short * long + 4 * short**2)
    return Cost(bytes=shape["batch"] * dtype.itemsize * touched, flops=shape["batch"] * flops)


def _muon_of_torch() -> Callable[..., Any] | None:
    """torch.optim.Muon's own iteration, a matrix at a time; it writes into bfloat16 inputs, so it gets a copy."""
    try:
        from torch.optim._muon import _zeropower_via_newtonschulz as zeropower
    except ImportError:
        return None

    def peer(g: Tensor) -> Tensor:
        return torch.stack([zeropower(matrix.clone(), (3.4445, -4.7750, 2.0315), _STEPS, 1e-7) for matrix in g]).to(g.dtype)

    return peer


SPECS = (
    OpSpec(
        name="sym_matmul",
        summary="Products with a symmetric result by half the tiles, batched; A A^T, polynomials of a symmetric matrix",
        formula="C = alpha A B^T + beta addend, A B^T symmetric",
        source="Muon's Newton-Schulz (torch.optim.Muon); the triangle of tiles derived here",
        reference=sym_matmul_reference,
        op=sym_matmul,
        inputs=_product_inputs,
        outputs=("c",),
        dot=True,
        tolerances={
            torch.float64: {"c": 1e-13},
            torch.float32: {"c": 1e-5},
            torch.float16: {"c": 1e-3},
            torch.bfloat16: {"c": 5e-3},
        },
        small=(
            {"batch": 2, "m": 130, "n": 200},
            {"batch": 1, "m": 257, "n": 65},
            {"batch": 3, "m": 1, "n": 3},
            {"batch": 1, "m": 16, "n": 0},
            {"batch": 0, "m": 16, "n": 16},
        ),
        paper={"batch": 1, "m": 4096, "n": 4096},
        neighbours=({"batch": 24, "m": 1024, "n": 4096}, {"batch": 1, "m": 2047, "n": 2048}),
        size=lambda shape: shape["m"],
        cost=_product_cost,
        samples=_product_samples,
        kernels=(
            KernelSpec(tunable=SYM_MATMUL, cases=_cases("*bf16", "HGMMA")),
            KernelSpec(tunable=SYM_MATMUL_WIDE, cases=_cases("*fp32", "HGMMA"), dtype=torch.float32),
        ),
        target=Target(compile=1.25, roof=0.65),
    ),
    OpSpec(
        name="newton_schulz",
        summary="Orthogonalisation of batched matrices by composed odd quintics; Gram form where one side is at least twice the other",
        formula="X <- a X + b (X X^T) X + c (X X^T)^2 X, from g / (||g||_F + eps)",
        source="Muon (torch.optim.Muon); Polar Express, arXiv 2505.16932; the Gram form derived here",
        reference=newton_schulz_reference,
        op=newton_schulz,
        inputs=_iteration_inputs,
        outputs=("x",),
        dot=True,
        # float32 goes through tf32x3, 22 bits, and five quintics of slope 3.4 at zero.
        beside_eager=3.0,
        tolerances={
            torch.float64: {"x": 1e-10},
            torch.float32: {"x": 1e-4},
            torch.float16: {"x": 2e-2},
            torch.bfloat16: {"x": 1e-1},
        },
        small=(
            {"batch": 2, "m": 48, "n": 70},
            {"batch": 1, "m": 130, "n": 40},
            {"batch": 1, "m": 20, "n": 130},
            {"batch": 1, "m": 1, "n": 1},
            {"batch": 0, "m": 4, "n": 8},
        ),
        paper={"batch": 1, "m": 4096, "n": 4096},
        neighbours=({"batch": 24, "m": 1024, "n": 4096}, {"batch": 1, "m": 2047, "n": 2048}),
        size=lambda shape: min(shape["m"], shape["n"]),
        cost=_iteration_cost,
        samples=tuple,
        kernels=(),
        peers={"torch.optim.Muon": _muon_of_torch},
        target=Target(compile=1.25, roof=0.65),
    ),
)
