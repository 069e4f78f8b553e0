"""The specs of `gram_matmul` and of `mmd2`, which stands on its kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kernels.configs import Config
from kernels.gram_matmul.mmd import mmd2
from kernels.gram_matmul.op import gram_matmul
from kernels.gram_matmul.pointwise import KINDS, Pointwise, arc_cosine, dual_polynomial, gaussian, laplace, relu_ntk
from kernels.gram_matmul.reference import Block, gram_matmul_reference, kernel_block, mmd2_reference
from kernels.gram_matmul.tiles import FORWARD, GRADIENT, SUMS, WIDEST
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape, Target

_MODULE = "kernels.gram_matmul.triton"
_SIZES = {"n": "i32", "m": "i32", "depth": "i32", "width": "i32", "layers": "i32"}
_TF32X3 = 6.0
"""bfloat16 tensor operations that one tf32x3 operation takes the time of: three products at half the rate."""


def _inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """Two clouds off the origin a distance of about one bandwidth apart, and the map `KINDS[kind]` (0 when not said).

    `terms` bandwidths, a doubling ladder when even, or coefficients of a polynomial that is iterated three times.
    """
    generator = torch.Generator(device).manual_seed(seed)
    depth, terms = shape["depth"], shape["terms"]
    x, y = (torch.randn(shape[rows], depth, generator=generator, device=device) + shift for rows, shift in (("n", 1.0), ("m", 1.5)))
    v = torch.randn(shape["m"], shape["width"], generator=generator, device=device)
    gammas = [0.125 / depth * (2.0 if terms % 2 == 0 else 2.5) ** q for q in range(terms)]
    tensors = {name: tensor.to(dtype) for name, tensor in (("x", x), ("y", y), ("v", v))}
    weights = [1.0 / (1 + q) for q in range(terms)]
    kernels = (
        lambda: gaussian(gammas, weights),
        lambda: laplace(gammas, weights),
        lambda: arc_cosine(0),
        lambda: arc_cosine(1),
        relu_ntk,
        lambda: dual_polynomial([weight / sum(weights) for weight in weights], layers=3),
    )
    return tensors | {"kernel": kernels[shape.get("kind", 0)]()}


def _reference(x: Tensor, y: Tensor, v: Tensor, kernel: Pointwise, block: Block | None = None) -> Tensor:
    return gram_matmul_reference(x, y, v, kernel, block=block)


def _cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    """Every matrix once; forward 2NM(D + P) operations, dx and dy each 2NM(2D + P), dv as the forward."""
    n, m, depth, width = shape["n"], shape["m"], shape["depth"], shape["width"]
    elements = (n + m) * (depth + width) * dtype.itemsize
    forward = 2.0 * n * m * (depth + width) * _TF32X3
    if mode == "forward":
        return Cost(bytes=elements, flops=forward)
    return Cost(bytes=3.0 * elements, flops=2.0 * forward + 4.0 * n * m * (2 * depth + width) * _TF32X3)


def _samples() -> Iterable[tuple[Any, tuple[Any, ...]]]:
    inputs = _inputs({"n": 5, "m": 4, "depth": 3, "width": 2, "terms": 2}, torch.float32, torch.device("cpu"), 5)
    numbers = ("gaussian", inputs["kernel"].gammas, inputs["kernel"].weights, 1)
    x, y, v = (inputs[name].requires_grad_() for name in ("x", "y", "v"))
    for layout in (x, torch.randn(3, 5).T.requires_grad_()):
        yield torch.ops.kernels.gram_matmul, (layout, y, v, *numbers)
    plain = [tensor.detach() for tensor in (x, y, v)]
    for needs in ([True, True, True], [False, True, False]):
        yield torch.ops.kernels.gram_matmul_backward, (torch.ones(5, 2), *plain, *numbers, needs)


_GAUSSIAN = (("ladder", 0), ("general", 0))
_OTHERS = tuple((kind, KINDS.index(kind)) for kind in ("laplace", "relu_ntk", "dual"))
"""What the two-layer NTK computes has both arc-cosine kernels in it."""


def _cases(kernel: str, pointers: dict[str, str], widths: Sequence[int], labels: Sequence[tuple[str, int]]) -> Any:
    """Maps with five terms; `widths` are padded columns of v for the forward kernel."""

    def cases(config: Config) -> Sequence[AotCase]:
        return [
            AotCase(
                name=f"gram_matmul_{kernel}_{label}" + (f"_width{width}" if width else ""),
                jit=f"{_MODULE}:{kernel}_kernel",
                types=pointers | _SIZES,
                constants={"TERMS": 5, "LADDER": label == "ladder", "KIND": kind, "COMPUTE": "fp32"} | ({"WIDTH": width} if width else {}),
                aligned=(*pointers, "m", "depth"),
                config=config,
                elements=config.tiles["ROWS"] * config.tiles["COLUMNS"],
                contains=("HGMMA",),
            )
            for width in widths
            for label, kind in labels
        ]

    return cases


_FORWARD_POINTERS = {f"{name}_ptr": "*fp32" for name in ("x", "y", "x_norm", "y_norm", "v", "mixture", "out")}
_GRADIENT_POINTERS = {f"{name}_ptr": "*fp32" for name in ("x", "y", "y_transposed", "x_norm", "y_norm", "dout", "v", "mixture", "dx")}


def _forward_cases(config: Config) -> Sequence[AotCase]:
    narrow = _cases("forward", _FORWARD_POINTERS, (16,), _GAUSSIAN)
    return [*narrow(config), *_cases("forward", _FORWARD_POINTERS, (128,), (*_GAUSSIAN, *_OTHERS))(config)]


def _sums_cases(config: Config) -> Sequence[AotCase]:
    """As many relabellings as a launch takes, of the widest points."""
    pointers = {f"{name}_ptr": "*fp32" for name in ("x", "norm", "sign", "mixture", "linear", "quadratic")}
    return [
        AotCase(
            name=f"gram_matmul_sums_{label}",
            jit="kernels.gram_matmul.triton_sums:sums_kernel",
            types=pointers | dict.fromkeys(("n", "depth", "width"), "i32"),
            constants={"TERMS": 5, "LADDER": label == "ladder", "WIDTH": WIDEST, "COMPUTE": "fp32"},
            aligned=(*pointers, "n", "depth"),
            config=config,
            elements=config.tiles["ROWS"] * config.tiles["COLUMNS"],
            contains=("HGMMA",),
        )
        for label in ("ladder", "general")
    ]


def _sample_inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """Two samples whose means differ by half a standard deviation in every coordinate."""
    made = _inputs({**shape, "width": 1, "terms": 2}, dtype, device, seed)
    return {"x": made["x"], "y": made["y"], "gammas": list(made["kernel"].gammas)}


def _mmd2_value(x: Tensor, y: Tensor, gammas: Sequence[float], backend: str | None = None) -> Tensor:
    return mmd2(x, y, gammas=gammas, backend=backend).value


def _mmd2_cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    pooled = shape["n"] + shape["m"]
    return _cost({"n": pooled, "m": pooled, "depth": shape["depth"], "width": 2}, dtype, mode)


SPECS = (
    OpSpec(
        name="gram_matmul",
        summary="Gaussian, Laplace, arc-cosine, relu NTK or dual-polynomial kernel matrix times a matrix, the kernel matrix never stored",
        formula="O_i = sum_j k(x_i, y_j) v_j, such as k = sum_q w_q exp(-gamma_q |x_i - y_j|^2)",
        source="Gretton et al., JMLR 13, 2012; Cho and Saul 2009; Jacot et al. 2018; gradients derived in the kernel's docstring",
        reference=_reference,
        op=gram_matmul,
        inputs=_inputs,
        outputs=("out",),
        differentiable=("x", "y", "v"),
        tolerances={
            torch.float64: {"out": 1e-13, "d_x": 1e-12, "d_y": 1e-12, "d_v": 1e-13},
            torch.float32: {"out": 1e-5, "d_x": 1e-5, "d_y": 1e-5, "d_v": 1e-5},
            torch.float16: {"out": 5e-4, "d_x": 5e-4, "d_y": 5e-4, "d_v": 5e-4},
            torch.bfloat16: {"out": 3e-3, "d_x": 3e-3, "d_y": 3e-3, "d_v": 3e-3},
        },
        dot=True,
        # A tf32x3 product carries 22 bits, float32 24.
        beside_eager=4.0,
        small=(
            {"n": 37, "m": 70, "depth": 5, "width": 3, "terms": 2},
            {"n": 65, "m": 33, "depth": 70, "width": 130, "terms": 3},
            {"n": 1, "m": 128, "depth": 32, "width": 1, "terms": 1},
            {"n": 37, "m": 33, "depth": 5, "width": 3, "terms": 3, "kind": 1},
            *({"n": 37, "m": 33, "depth": 5, "width": 3, "terms": 4, "kind": kind} for kind in range(2, len(KINDS))),
            {"n": 3, "m": 0, "depth": 2, "width": 2, "terms": 1},
            {"n": 0, "m": 4, "depth": 2, "width": 2, "terms": 1},
        ),
        paper={"n": 65_536, "m": 65_536, "depth": 64, "width": 16, "terms": 5},
        neighbours=(
            {"n": 32_768, "m": 65_536, "depth": 256, "width": 128, "terms": 6},
            {"n": 20_001, "m": 30_007, "depth": 50, "width": 1, "terms": 1},
        ),
        size=lambda shape: shape["n"] * shape["m"],
        cost=_cost,
        samples=_samples,
        kernels=(
            KernelSpec(tunable=FORWARD, cases=_forward_cases),
            KernelSpec(tunable=GRADIENT, cases=_cases("gradient", _GRADIENT_POINTERS, (0,), (*_GAUSSIAN, *_OTHERS))),
        ),
        benchmark_dtype=torch.float32,
        compiled=lambda compile: partial(_reference, block=compile(kernel_block)),
        target=Target(eager=8.0, compile=1.5, roof=0.60),
    ),
    OpSpec(
        name="mmd2",
        summary="Unbiased squared maximum mean discrepancy of two samples, in memory linear in them",
        formula="mean_{i!=j} k(x_i, x_j) + mean_{i!=j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j)",
        source="Gretton et al., JMLR 13, 2012, eq. 3",
        reference=mmd2_reference,
        op=_mmd2_value,
        inputs=_sample_inputs,
        outputs=("value",),
        differentiable=("x", "y"),
        tolerances={
            torch.float64: {"value": 1e-12, "d_x": 1e-12, "d_y": 1e-12},
            torch.float32: {"value": 1e-5, "d_x": 1e-5, "d_y": 1e-5},
            torch.float16: {"value": 1e-5, "d_x": 5e-4, "d_y": 5e-4},
            torch.bfloat16: {"value": 1e-5, "d_x": 3e-3, "d_y": 3e-3},
        },
        dot=True,
        # The 22 bits of tf32x3, and a gradient in which each row's term with itself must cancel.
        beside_eager=16.0,
        small=({"n": 40, "m": 31, "depth": 5}, {"n": 9, "m": 65, "depth": 33}),
        paper={"n": 32_768, "m": 32_768, "depth": 64},
        neighbours=({"n": 8192, "m": 8192, "depth": 256}, {"n": 5001, "m": 7003, "depth": 50}),
        size=lambda shape: (shape["n"] + shape["m"]) ** 2,
        cost=_mmd2_cost,
        samples=lambda: (),
        kernels=(KernelSpec(tunable=SUMS, cases=_sums_cases),),
        benchmark_dtype=torch.float32,
        compiled=lambda compile: partial(mmd2_reference, block=compile(kernel_block)),
        target=Target(eager=8.0, compile=1.5, roof=0.60),
    ),
)
