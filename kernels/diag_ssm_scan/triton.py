"""Triton kernels of the diagonal scan, and their launches.

A program owns CHANNELS channels of one batch row and goes through time in blocks of SPANS x STEPS steps. A block is read once, as STEPS
tiles of (SPANS, CHANNELS): first every span is scanned from zero, all spans side by side; then each span's start is the sum of the ends of
the spans before it times powers of lam^STEPS (kept in registers, so that no chain of products and no generic associative scan is needed);
then the spans are scanned again from their starts, out of registers. Per entry two complex multiply-adds, one read and one write.

When batch x channels is too small to fill a device, time is split into chunks for programs of their own: the ends of the chunks, a scan
over the ends, and the scan of each chunk from its start. Complex numbers are interleaved pairs. Sums have a fixed order: no atomics. The
gradient runs against time with conj(lam): a reversed scan has a negative stride and nothing else that differs.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.configs import Config
from kernels.diag_ssm_scan.tiles import BACKWARD, FORWARD

PROGRAMS = 132
"""Programs below which a launch splits time: one for each multiprocessor of a large GPU. Splitting reads u twice."""
SHORTEST = 2
"""Blocks of time that a chunk has at least."""


@triton.jit
def _parts(pairs, SPANS: tl.constexpr, CHANNELS: tl.constexpr):
    """(real, imaginary), each (SPANS, CHANNELS), of an interleaved (SPANS, 2 CHANNELS) tile."""
    return tl.split(pairs.reshape(SPANS, CHANNELS, 2))


@triton.jit
def _pairs(real, imaginary, SPANS: tl.constexpr, CHANNELS: tl.constexpr):
    """The inverse of `_parts`."""
    return tl.join(real, imaginary).reshape(SPANS, 2 * CHANNELS)


@triton.jit
def _place(channels, CHANNELS: tl.constexpr):
    """(batch row, tile of channels) of a program, from grid axis 0: the others end at 65535. Neighbours read neighbouring channels."""
    tiles = tl.cdiv(channels, CHANNELS)
    return tl.program_id(0) // tiles, tl.program_id(0) % tiles


@triton.jit
def _step(lam_real, lam_imaginary, real, imaginary, u_real, u_imaginary):
    """lam x + u. Added to u term by term, it is four fused multiply-adds."""
    return u_real - lam_imaginary * imaginary + lam_real * real, u_imaginary + lam_imaginary * real + lam_real * imaginary


@triton.jit
def _powers(real, imaginary, SPANS: tl.constexpr, CHANNELS: tl.constexpr):
    """a^(s - 1 - j) for spans s > j as (SPANS, SPANS, CHANNELS) in float64, by the bits of the exponent; a is (CHANNELS,)."""
    tl.static_assert(SPANS <= 16, "exponents have four bits")
    span = tl.arange(0, SPANS)
    exponent = tl.maximum(span[:, None] - 1 - span[None, :], 0)[:, :, None]
    power_real = tl.zeros((SPANS, SPANS, CHANNELS), dtype=tl.float64) + 1.0
    power_imaginary = tl.zeros((SPANS, SPANS, CHANNELS), dtype=tl.float64)
    for _ in tl.static_range(4):
        odd = exponent % 2 == 1
        a, b = real[None, None, :], imaginary[None, None, :]
        product_real = power_real * a - power_imaginary * b
        product_imaginary = power_real * b + power_imaginary * a
        power_real = tl.where(odd, product_real, power_real)
        power_imaginary = tl.where(odd, product_imaginary, power_imaginary)
        exponent = exponent // 2
        square = real * real - imaginary * imaginary
        imaginary = 2.0 * real * imaginary
        real = square
    return power_real, power_imaginary


@triton.jit
def _starts(power_real, power_imaginary, end_real, end_imaginary, carry_real, carry_imaginary, SPANS: tl.constexpr):
    """The state before each span: the carry before the first, else sum_(j<s) a^(s - 1 - j) end_j. Others are not added, even NaN."""
    span = tl.arange(0, SPANS)
    earlier = (span[None, :] < span[:, None])[:, :, None]
    a, b = end_real[None, :, :], end_imaginary[None, :, :]
    real = tl.sum(tl.where(earlier, power_real * a - power_imaginary * b, 0.0), 1)
    imaginary = tl.sum(tl.where(earlier, power_real * b + power_imaginary * a, 0.0), 1)
    first = (span == 0)[:, None]
    return tl.where(first, carry_real[None, :], real), tl.where(first, carry_imaginary[None, :], imaginary)


@triton.jit
def _entry(values, index, COUNT: tl.constexpr):
    """values[index] of a (COUNT, CHANNELS) tile."""
    return tl.sum(tl.where((tl.arange(0, COUNT) == index)[:, None], values, 0.0), 0)


@triton.jit
def _scan_block(
    block_ptr,
    offset,
    stride,
    mask,
    remaining,
    lam_real,
    lam_imaginary,
    leap_real,
    leap_imaginary,
    power_real,
    power_imaginary,
    carry_real,
    carry_imaginary,
    SPANS: tl.constexpr,
    STEPS: tl.constexpr,
    CHANNELS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """(the block's tiles, the state before each span, the state after the block)."""
    span = tl.arange(0, SPANS)
    tiles = ()
    for t in tl.static_range(STEPS):
        inside = mask & (span * STEPS + t < remaining)[:, None]
        tile = tl.load(block_ptr + offset + t * stride, mask=inside, other=0.0).to(COMPUTE)
        tiles = tiles + (tile,)  # type: ignore[assignment]  # noqa: RUF005 - Triton does not unpack tuples
    first = (span == 0)[:, None]
    real = tl.where(first, carry_real[None, :], 0.0).to(COMPUTE)
    imaginary = tl.where(first, carry_imaginary[None, :], 0.0).to(COMPUTE)
    for t in tl.static_range(STEPS):
        u_real, u_imaginary = _parts(tiles[t], SPANS, CHANNELS)
        real, imaginary = _step(lam_real, lam_imaginary, real, imaginary, u_real, u_imaginary)
    start_real, start_imaginary = _starts(power_real, power_imaginary, real, imaginary, carry_real, carry_imaginary, SPANS)
    # The last span was scanned from zero: its true end is that plus lam^STEPS times its start.
    carry_real = _entry(leap_real * start_real - leap_imaginary * start_imaginary + real, SPANS - 1, SPANS)
    carry_imaginary = _entry(leap_real * start_imaginary + leap_imaginary * start_real + imaginary, SPANS - 1, SPANS)
    return tiles, start_real, start_imaginary, carry_real, carry_imaginary


@triton.jit
def _leap(real, imaginary, STEPS: tl.constexpr):
    """lam^STEPS in float64 by repeated squaring: rounding it would count once a span, always to the same side. STEPS is a power of two."""
    tl.static_assert(STEPS <= 32 and STEPS & (STEPS - 1) == 0, "STEPS must be a power of two, at most 32")
    real, imaginary = real.to(tl.float64), imaginary.to(tl.float64)
    for doubling in tl.static_range(5):
        if (2 << doubling) <= STEPS:
            square = real * real - imaginary * imaginary
            imaginary = 2.0 * real * imaginary
            real = square
    return real, imaginary


@triton.jit
def forward_kernel(
    u_ptr,
    lam_ptr,
    start_ptr,
    x_ptr,
    length,
    channels,
    chunk,
    SPANS: tl.constexpr,
    STEPS: tl.constexpr,
    CHANNELS: tl.constexpr,
    REVERSED: tl.constexpr,
    ENDS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """The states of a chunk of time from start[batch, chunk], with ENDS only the last; the grid is (batch x channel tiles, chunks)."""
    batch, tile = _place(channels, CHANNELS)
    channel = tile * CHANNELS + tl.arange(0, CHANNELS)
    span, plane = tl.arange(0, SPANS), tile * (2 * CHANNELS) + tl.arange(0, 2 * CHANNELS)
    stride = -2 * channels if REVERSED else 2 * channels
    mask = (plane < 2 * channels)[None, :]
    offset = (span * STEPS * stride)[:, None] + plane[None, :]
    lam_real = tl.load(lam_ptr + 2 * channel, mask=channel < channels, other=0.0).to(COMPUTE)
    lam_imaginary = tl.load(lam_ptr + 2 * channel + 1, mask=channel < channels, other=0.0).to(COMPUTE)
    leap_real, leap_imaginary = _leap(lam_real, lam_imaginary, STEPS)
    power_real, power_imaginary = _powers(leap_real, leap_imaginary, SPANS, CHANNELS)
    power_real, power_imaginary = power_real.to(COMPUTE), power_imaginary.to(COMPUTE)
    leap_real, leap_imaginary = leap_real.to(COMPUTE), leap_imaginary.to(COMPUTE)
    row = batch.to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    state = start_ptr + row * 2 * channels + 2 * channel
    carry_real = tl.load(state, mask=channel < channels, other=0.0).to(COMPUTE)
    carry_imaginary = tl.load(state + 1, mask=channel < channels, other=0.0).to(COMPUTE)
    first = tl.program_id(1) * chunk
    base = batch.to(tl.int64) * length * 2 * channels
    if REVERSED:
        base += (length - 1).to(tl.int64) * 2 * channels
    for begin in range(first, tl.minimum(first + chunk, length), SPANS * STEPS):
        position = base + tl.cast(begin, tl.int64) * stride
        remaining = length - begin
        tiles, real, imaginary, carry_real, carry_imaginary = _scan_block(
            u_ptr + position,
            offset,
            stride,
            mask,
            remaining,
            lam_real[None, :],
            lam_imaginary[None, :],
            leap_real[None, :],
            leap_imaginary[None, :],
            power_real,
            power_imaginary,
            carry_real,
            carry_imaginary,
            SPANS,
            STEPS,
            CHANNELS,
            COMPUTE,
        )
        if not ENDS:
            for t in tl.static_range(STEPS):
                u_real, u_imaginary = _parts(tiles[t], SPANS, CHANNELS)
                real, imaginary = _step(lam_real[None, :], lam_imaginary[None, :], real, imaginary, u_real, u_imaginary)
                inside = mask & (span * STEPS + t < remaining)[:, None]
                tl.store(x_ptr + position + offset + t * stride, _pairs(real, imaginary, SPANS, CHANNELS), mask=inside)
    if ENDS:
        end = x_ptr + row * 2 * channels + 2 * channel
        tl.store(end, carry_real, mask=channel < channels)
        tl.store(end + 1, carry_imaginary, mask=channel < channels)


@triton.jit
def backward_kernel(
    dx_ptr,
    lam_ptr,
    start_ptr,
    x_ptr,
    du_ptr,
    partial_ptr,
    length,
    channels,
    chunk,
    SPANS: tl.constexpr,
    STEPS: tl.constexpr,
    CHANNELS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """du, the scan of dx against time (lam comes conjugated), and the sum of du_k conj(x_(k-1)), k >= 1, to partial[batch, chunk]."""
    batch, tile = _place(channels, CHANNELS)
    channel = tile * CHANNELS + tl.arange(0, CHANNELS)
    span, plane = tl.arange(0, SPANS), tile * (2 * CHANNELS) + tl.arange(0, 2 * CHANNELS)
    stride = -2 * channels
    mask = (plane < 2 * channels)[None, :]
    offset = (span * STEPS * stride)[:, None] + plane[None, :]
    lam_real = tl.load(lam_ptr + 2 * channel, mask=channel < channels, other=0.0).to(COMPUTE)
    lam_imaginary = tl.load(lam_ptr + 2 * channel + 1, mask=channel < channels, other=0.0).to(COMPUTE)
    leap_real, leap_imaginary = _leap(lam_real, lam_imaginary, STEPS)
    power_real, power_imaginary = _powers(leap_real, leap_imaginary, SPANS, CHANNELS)
    power_real, power_imaginary = power_real.to(COMPUTE), power_imaginary.to(COMPUTE)
    leap_real, leap_imaginary = leap_real.to(COMPUTE), leap_imaginary.to(COMPUTE)
    row = batch.to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    state = start_ptr + row * 2 * channels + 2 * channel
    carry_real = tl.load(state, mask=channel < channels, other=0.0).to(COMPUTE)
    carry_imaginary = tl.load(state + 1, mask=channel < channels, other=0.0).to(COMPUTE)
    sum_real = tl.zeros((SPANS, CHANNELS), dtype=COMPUTE)
    sum_imaginary = tl.zeros((SPANS, CHANNELS), dtype=COMPUTE)
    first = tl.program_id(1) * chunk
    base = (batch.to(tl.int64) * length + length - 1) * 2 * channels
    for begin in range(first, tl.minimum(first + chunk, length), SPANS * STEPS):
        position = base + tl.cast(begin, tl.int64) * stride
        remaining = length - begin
        tiles, real, imaginary, carry_real, carry_imaginary = _scan_block(
            dx_ptr + position,
            offset,
            stride,
            mask,
            remaining,
            lam_real[None, :],
            lam_imaginary[None, :],
            leap_real[None, :],
            leap_imaginary[None, :],
            power_real,
            power_imaginary,
            carry_real,
            carry_imaginary,
            SPANS,
            STEPS,
            CHANNELS,
            COMPUTE,
        )
        for t in tl.static_range(STEPS):
            u_real, u_imaginary = _parts(tiles[t], SPANS, CHANNELS)
            real, imaginary = _step(lam_real[None, :], lam_imaginary[None, :], real, imaginary, u_real, u_imaginary)
            inside = mask & (span * STEPS + t < remaining)[:, None]
            has_previous = mask & (span * STEPS + t + 1 < remaining)[:, None]
            previous = tl.load(x_ptr + position + offset + (t + 1) * stride, mask=has_previous, other=0.0).to(COMPUTE)
            x_real, x_imaginary = _parts(previous, SPANS, CHANNELS)
            sum_real = sum_real + real * x_real + imaginary * x_imaginary
            sum_imaginary = sum_imaginary + imaginary * x_real - real * x_imaginary
            tl.store(du_ptr + position + offset + t * stride, _pairs(real, imaginary, SPANS, CHANNELS), mask=inside)
    sums = partial_ptr + row * 2 * channels + 2 * channel
    tl.store(sums, tl.sum(sum_real, 0), mask=channel < channels)
    tl.store(sums + 1, tl.sum(sum_imaginary, 0), mask=channel < channels)


def launch_forward(lam: Tensor, u: Tensor, x0: Tensor) -> Tensor:
    """The states (B, L, P) from contiguous complex lam (P,), u (B, L, P) and x0 (B, P), L > 0."""
    config = FORWARD.pick(u.device, u.numel())
    chunk = _chunk(u, config)
    starts = _chunk_starts(lam, u, x0, chunk, config, reverse=False)
    return _launch(lam, u, starts, chunk, config, reverse=False, ends=False)


def launch_backward(dx: Tensor, lam: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """du (B, L, P) and the sum (P,) of du_k conj(x_(k-1)) over batch and steps after the first, from the states and their gradient."""
    _, length, channels = x.shape
    config = BACKWARD.pick(x.device, x.numel())
    chunk = _chunk(x, config)
    conjugate = torch.conj_physical(lam)
    starts = _chunk_starts(conjugate, dx, torch.zeros_like(dx[:, 0]), chunk, config, reverse=True)
    du = torch.empty_like(dx)
    partial = torch.empty_like(starts)
    backward_kernel[_grid(x, starts, config)](
        *_planes(dx, conjugate, starts, x, du, partial), length, channels, chunk, COMPUTE=_compute(x), **config.launch()
    )
    return du, partial.sum((0, 1))


def _launch(lam: Tensor, u: Tensor, starts: Tensor, chunk: int, config: Config, *, reverse: bool, ends: bool) -> Tensor:
    """The states (B, L, P) of chunks that begin with `starts` (B, chunks, P), or the last state of each chunk in the shape of `starts`."""
    out = torch.empty_like(starts if ends else u)
    forward_kernel[_grid(u, starts, config)](
        *_planes(u, lam, starts, out), u.shape[1], u.shape[2], chunk, REVERSED=reverse, ENDS=ends, COMPUTE=_compute(u), **config.launch()
    )
    return out


def _chunk_starts(lam: Tensor, u: Tensor, x0: Tensor, chunk: int, config: Config, *, reverse: bool) -> Tensor:
    """The state before each chunk, (B, chunks, P)."""
    chunks = triton.cdiv(u.shape[1], chunk)
    if chunks == 1:
        return x0[:, None].contiguous()
    zeros = torch.zeros(u.shape[0], chunks, u.shape[2], dtype=u.dtype, device=u.device)
    ends = _launch(lam, u, zeros, chunk, config, reverse=reverse, ends=True)
    carried = _launch(_power(lam, chunk), ends, x0[:, None].contiguous(), chunks, config, reverse=False, ends=False)
    return torch.cat([x0[:, None], carried[:, :-1]], 1)


def _chunk(u: Tensor, config: Config) -> int:
    """Steps of time that one program treats: all of them, or when that gives few programs a multiple of the block."""
    batch, length, channels = u.shape
    block = config.tiles["SPANS"] * config.tiles["STEPS"]
    blocks = triton.cdiv(length, block)
    wanted = triton.cdiv(PROGRAMS, batch * triton.cdiv(channels, config.tiles["CHANNELS"]))
    chunks = max(1, min(wanted, blocks // SHORTEST))
    return block * int(triton.cdiv(blocks, chunks))


def _power(lam: Tensor, exponent: int) -> Tensor:
    """lam^exponent, exponent >= 1, by squaring in complex128: `torch.pow` of a complex zero is NaN."""
    power, square = torch.ones_like(lam, dtype=torch.complex128), lam.to(torch.complex128)
    while exponent:
        if exponent % 2:
            power = power * square
        square, exponent = square * square, exponent // 2
    return power.to(lam.dtype)


def _grid(u: Tensor, starts: Tensor, config: Config) -> tuple[int, int]:
    """(batch rows x tiles of channels, chunks of time)."""
    return u.shape[0] * triton.cdiv(u.shape[2], config.tiles["CHANNELS"]), starts.shape[1]


def _planes(*tensors: Tensor) -> list[Tensor]:
    return [torch.view_as_real(tensor) for tensor in tensors]


def _compute(u: Tensor) -> tl.dtype:
    return tl.float64 if u.dtype == torch.complex128 else tl.float32
