"""Triton kernels of the kernel product, and their launches.

K is made a ROWS x COLUMNS tile at a time and multiplied at once; nothing of size N x M is stored. A program owns its rows and goes
through all columns in order, so that two runs give the same bits. Products are "tf32x3": three TF32 products that carry float32's
precision, because plain TF32 distances lose an MMD under about 1e-3. The second product reads its operand transposed: TF32 tensor cores
want the summed axis contiguous. Bases are 64-bit; inside a tile 32 bits are enough.
"""

from __future__ import annotations

import functools
import itertools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.gram_matmul.pointwise import KINDS, Pointwise
from kernels.gram_matmul.tiles import FORWARD, GRADIENT

WIDEST = 128
"""Columns of v that one launch takes."""
_LONGEST_LADDER = 6
"""Squaring doubles the relative error at each rung: past 2^5 roundings a mixture is summed from separate exponentials."""


@triton.jit
def _distances(
    x_ptr,
    y_ptr,
    x_norm_ptr,
    y_norm_ptr,
    row,
    column,
    n,
    m,
    depth,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """Squared distances of one tile, clamped at 0 (NaN stays)."""
    products = _products(x_ptr, y_ptr, row, column, n, m, depth, ROWS, COLUMNS, DEPTH, COMPUTE)
    x_norm = tl.load(x_norm_ptr + row, mask=row < n, other=0.0)
    y_norm = tl.load(y_norm_ptr + column, mask=column < m, other=0.0)
    distances = x_norm[:, None] + y_norm[None, :] - 2.0 * products
    return tl.where(distances < 0.0, 0.0, distances)


@triton.jit
def _correlations(
    x_ptr, y_ptr, row, column, n, m, depth, ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, COMPUTE: tl.constexpr
):
    """Inner products of unit rows of one tile, clamped to [-1, 1] (NaN stays)."""
    u = _products(x_ptr, y_ptr, row, column, n, m, depth, ROWS, COLUMNS, DEPTH, COMPUTE)
    return tl.where(u > 1.0, 1.0, tl.where(u < -1.0, -1.0, u))


@triton.jit
def _products(
    a_ptr,
    b_ptr,
    row,
    column,
    n,
    m,
    depth,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """a b^T of one tile; a (n, depth) and b (m, depth) are contiguous."""
    k = tl.arange(0, DEPTH)
    a_row = a_ptr + row.to(tl.int64)[:, None] * depth + k[None, :]
    b_row = b_ptr + column.to(tl.int64)[None, :] * depth + k[:, None]
    total = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    for start in range(0, depth, DEPTH):
        inside = start + k < depth
        a = tl.load(a_row + start, mask=(row < n)[:, None] & inside[None, :], other=0.0)
        b = tl.load(b_row + start, mask=(column < m)[None, :] & inside[:, None], other=0.0)
        total = tl.dot(a, b, total, input_precision="tf32x3", out_dtype=COMPUTE)
    return total


@triton.jit
def _mixture(distances, mixture_ptr, TERMS: tl.constexpr, LADDER: tl.constexpr):
    """sum_q weight_q 2^(-rate_q d); the rates come first, then the weights. In a ladder each rate is twice the one before: e <- e e."""
    e = tl.exp2(distances * -tl.load(mixture_ptr))
    total = e * tl.load(mixture_ptr + TERMS)
    for q in tl.static_range(1, TERMS):
        e = e * e if LADDER else tl.exp2(distances * -tl.load(mixture_ptr + q))
        total += e * tl.load(mixture_ptr + TERMS + q)
    return total


@triton.jit
def _arc(u, COMPUTE: tl.constexpr):
    """arccos(u) and its sine. Abramowitz and Stegun 4.4.46, an error of 2e-8; in float64 a step of Newton's method squares that."""
    c = tl.abs(u)
    p = ((-0.0012624911 * c + 0.0066700901) * c - 0.0170881256) * c + 0.0308918810
    p = (((p * c - 0.0501743046) * c + 0.0889789874) * c - 0.2145988016) * c + 1.5707963050
    angle = p * tl.sqrt(1.0 - c)
    sine = tl.sqrt((1.0 - c) * (1.0 + c))
    if tl.float64 == COMPUTE:
        angle += tl.where(c < 1.0, (tl.cos(angle) - c) / tl.where(c < 1.0, tl.sin(angle), 1.0), 0.0)
    return tl.where(u < 0.0, 3.141592653589793 - angle, angle), sine


@triton.jit
def _dual(u, mixture_ptr, layers, TERMS: tl.constexpr):
    """p(...p(u)) and its derivative, by Horner and the chain rule."""
    derivative = u * 0.0 + 1.0
    for _ in range(0, layers):
        value = u * 0.0 + tl.load(mixture_ptr + TERMS - 1)
        slope = u * 0.0
        for k in tl.static_range(1, TERMS):
            slope = slope * u + value
            value = value * u + tl.load(mixture_ptr + TERMS - 1 - k)
        derivative *= slope
        u = value
    return u, derivative


@triton.jit
def _map(u, mixture_ptr, layers, KIND: tl.constexpr, TERMS: tl.constexpr, LADDER: tl.constexpr, SLOPE: tl.constexpr, COMPUTE: tl.constexpr):
    """The map of squared distances (KIND 0 and 1) or correlations, or its derivative; see `pointwise.KINDS`.

    For a mixture's derivative the weights are -w_q gamma_q. An infinite derivative is 0.
    """
    if KIND == 0:
        return _mixture(u, mixture_ptr, TERMS, LADDER)
    if KIND == 1:
        distance = tl.sqrt(u)
        mixture = _mixture(distance, mixture_ptr, TERMS, LADDER)
        return tl.where(u == 0.0, 0.0, mixture / tl.where(u == 0.0, 1.0, 2.0 * distance)) if SLOPE else mixture
    if KIND == 5:
        value, derivative = _dual(u, mixture_ptr, layers, TERMS)
        return derivative if SLOPE else value
    angle, sine = _arc(u, COMPUTE)
    zeroth = 1.0 - angle * 0.3183098861837907
    if SLOPE:
        steep = tl.where(sine == 0.0, 0.0, 0.3183098861837907 / tl.where(sine == 0.0, 1.0, sine))
        return steep if KIND == 2 else (zeroth if KIND == 3 else 2.0 * zeroth + u * steep)
    first = sine * 0.3183098861837907 + zeroth * u
    return zeroth if KIND == 2 else (first if KIND == 3 else first + u * zeroth)


@triton.jit
def _entries(
    x_ptr,
    y_ptr,
    x_norm_ptr,
    y_norm_ptr,
    row,
    column,
    n,
    m,
    depth,
    KIND: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """What the map takes, of one tile."""
    if KIND < 2:
        return _distances(x_ptr, y_ptr, x_norm_ptr, y_norm_ptr, row, column, n, m, depth, ROWS, COLUMNS, DEPTH, COMPUTE)
    return _correlations(x_ptr, y_ptr, row, column, n, m, depth, ROWS, COLUMNS, DEPTH, COMPUTE)


@triton.jit
def forward_kernel(
    x_ptr,
    y_ptr,
    x_norm_ptr,
    y_norm_ptr,
    v_ptr,
    mixture_ptr,
    out_ptr,
    n,
    m,
    depth,
    width,
    layers,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    WIDTH: tl.constexpr,
    KIND: tl.constexpr,
    TERMS: tl.constexpr,
    LADDER: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """K v on one tile of rows; v comes as (width, m), the result is (n, width)."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    channel = tl.arange(0, WIDTH)
    total = tl.zeros((ROWS, WIDTH), dtype=COMPUTE)
    for start in range(0, m, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        entries = _entries(x_ptr, y_ptr, x_norm_ptr, y_norm_ptr, row, column, n, m, depth, KIND, ROWS, COLUMNS, DEPTH, COMPUTE)
        kernel = _map(entries, mixture_ptr, layers, KIND, TERMS, LADDER, False, COMPUTE)
        v = tl.load(
            v_ptr + channel.to(tl.int64)[None, :] * m + column[:, None],
            mask=(column < m)[:, None] & (channel < width)[None, :],
            other=0.0,
        )
        total = tl.dot(kernel, v, total, input_precision="tf32x3", out_dtype=COMPUTE)
    offset = row.to(tl.int64)[:, None] * width + channel[None, :]
    tl.store(out_ptr + offset, total, mask=(row < n)[:, None] & (channel < width)[None, :])


@triton.jit
def gradient_kernel(
    x_ptr,
    y_ptr,
    y_transposed_ptr,
    x_norm_ptr,
    y_norm_ptr,
    dout_ptr,
    v_ptr,
    mixture_ptr,
    dx_ptr,
    n,
    m,
    depth,
    width,
    layers,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    OUT: tl.constexpr,
    KIND: tl.constexpr,
    TERMS: tl.constexpr,
    LADDER: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """dx = 2 (x_i sum_j W_ij - sum_j W_ij y_j) on a tile of rows and a slice of the D axis, W = (dout v^T) k'(d).

    With correlations of unit rows it is sum_j W_ij y_j, W = (dout v^T) k'(u). y comes as (m, depth) and as (depth, m).
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    axis = tl.program_id(1) * OUT + tl.arange(0, OUT)
    sums = tl.zeros((ROWS,), dtype=COMPUTE)
    pulls = tl.zeros((ROWS, OUT), dtype=COMPUTE)
    for start in range(0, m, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        entries = _entries(x_ptr, y_ptr, x_norm_ptr, y_norm_ptr, row, column, n, m, depth, KIND, ROWS, COLUMNS, DEPTH, COMPUTE)
        slope = _map(entries, mixture_ptr, layers, KIND, TERMS, LADDER, True, COMPUTE)
        pull = slope * _products(dout_ptr, v_ptr, row, column, n, m, width, ROWS, COLUMNS, DEPTH, COMPUTE)
        y = tl.load(
            y_transposed_ptr + axis.to(tl.int64)[None, :] * m + column[:, None],
            mask=(column < m)[:, None] & (axis < depth)[None, :],
            other=0.0,
        )
        if KIND < 2:
            sums += tl.sum(pull, 1)
        pulls = tl.dot(pull, y, pulls, input_precision="tf32x3", out_dtype=COMPUTE)
    offset = row.to(tl.int64)[:, None] * depth + axis[None, :]
    mask = (row < n)[:, None] & (axis < depth)[None, :]
    if KIND < 2:
        x = tl.load(x_ptr + offset, mask=mask, other=0.0)
        pulls = 2.0 * (x * sums[:, None] - pulls)
    tl.store(dx_ptr + offset, pulls, mask=mask)


@functools.lru_cache(maxsize=64)
def _constants(gammas: tuple[float, ...], weights: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, bool]:
    """Rates (in powers of 2) and weights on the device, in rising order, and whether the rates are a doubling ladder.

    Without gammas the weights as they are: coefficients of a polynomial, or nothing, for which a zero stands.
    """
    if not gammas:
        return torch.tensor(weights or (0.0,), dtype=dtype, device=device), False
    pairs = sorted(zip(gammas, weights, strict=True))
    ladder = len(pairs) <= _LONGEST_LADDER and all(math.isclose(b[0], 2.0 * a[0], rel_tol=1e-12) for a, b in itertools.pairwise(pairs))
    rates = [gamma / math.log(2.0) for gamma, _ in pairs]
    return torch.tensor(rates + [weight for _, weight in pairs], dtype=dtype, device=device), ladder


def launch_forward(x: Tensor, y: Tensor, x_norms: Tensor, y_norms: Tensor, v: Tensor, kernel: Pointwise) -> Tensor:
    """K v, (N, P), from contiguous centred x (N, D) and y (M, D), their squared norms, and v (M, P), all of one dtype."""
    (n, depth), (m, width) = x.shape, v.shape
    config = FORWARD.pick(x.device, n * m)
    mixture, ladder = _constants(kernel.gammas, kernel.weights, x.device, x.dtype)
    grid = (triton.cdiv(n, config.tiles["ROWS"]),)
    parts = []
    for part in v.split(WIDEST, 1):
        out = torch.empty(n, part.shape[1], dtype=x.dtype, device=x.device)
        forward_kernel[grid](
            x,
            y,
            x_norms,
            y_norms,
            part.T.contiguous(),
            mixture,
            out,
            n,
            m,
            depth,
            part.shape[1],
            kernel.layers,
            WIDTH=max(16, triton.next_power_of_2(part.shape[1])),
            KIND=KINDS.index(kernel.kind),
            TERMS=max(1, len(kernel.weights)),
            LADDER=ladder,
            COMPUTE=_compute(x),
            **config.launch(),
        )
        parts.append(out)
    return parts[0] if width <= WIDEST else torch.cat(parts, 1)


def launch_gradient(x: Tensor, y: Tensor, x_norms: Tensor, y_norms: Tensor, dout: Tensor, v: Tensor, kernel: Pointwise) -> Tensor:
    """The gradient with respect to x, (N, D), of sum(dout * K v). With x and y, and dout and v, exchanged it is that of y."""
    (n, depth), (m, width) = x.shape, v.shape
    config = GRADIENT.pick(x.device, n * m)
    derived = tuple(-weight * gamma for gamma, weight in zip(kernel.gammas, kernel.weights, strict=False))
    slopes = derived if kernel.gammas else kernel.weights
    mixture, ladder = _constants(kernel.gammas, slopes, x.device, x.dtype)
    dx = torch.empty_like(x)
    grid = (triton.cdiv(n, config.tiles["ROWS"]), triton.cdiv(depth, config.tiles["OUT"]))
    gradient_kernel[grid](
        x,
        y,
        y.T.contiguous(),
        x_norms,
        y_norms,
        dout,
        v,
        mixture,
        dx,
        n,
        m,
        depth,
        width,
        kernel.layers,
        KIND=KINDS.index(kernel.kind),
        TERMS=max(1, len(kernel.weights)),
        LADDER=ladder,
        COMPUTE=_compute(x),
        **config.launch(),
    )
    return dx


def _compute(x: Tensor) -> tl.dtype:
    return tl.float64 if x.dtype == torch.float64 else tl.float32
