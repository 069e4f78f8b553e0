"""What only quantization has: the Hadamard matrix, the clip table, grids, trust masks, ties, rows that cannot be scaled."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from kernels.backend import BackendError, interpreting, recording
from kernels.fake_quant import grid
from kernels.fake_quant.hadamard import block_hadamard, hadamard_128
from kernels.fake_quant.op import quest_fake_quant, quest_quantize, rowwise_absmax_fake_quant, rowwise_absmax_quantize
from kernels.fake_quant.reference import quest_quantize_reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BACKENDS = ("reference", "triton")


def _gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def test_hadamard_is_sylvesters_and_orthonormal() -> None:
    expected = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(7):
        expected = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64), expected)
    made = hadamard_128(dtype=torch.float64)
    torch.testing.assert_close(made, expected / math.sqrt(128), rtol=1e-15, atol=0)
    torch.testing.assert_close(made @ made, torch.eye(128, dtype=torch.float64), rtol=0, atol=1e-14)


def test_block_hadamard_is_its_own_inverse_and_keeps_inner_products() -> None:
    x, w = _gaussian(3, 5, 384).double(), _gaussian(7, 384, seed=1).double()
    torch.testing.assert_close(block_hadamard(block_hadamard(x)), x, rtol=0, atol=1e-13)
    torch.testing.assert_close(block_hadamard(x) @ block_hadamard(w).T, x @ w.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(block_hadamard(x)[..., 128:256], x[..., 128:256] @ hadamard_128(dtype=torch.float64, device=DEVICE))


def test_block_hadamard_in_bfloat16_does_not_shrink() -> None:
    x = _gaussian(64, 512).bfloat16()
    ratio = float(block_hadamard(block_hadamard(x)).double().norm() / x.double().norm())
    assert abs(ratio - 1) < 3e-4


def test_block_hadamard_rejects_other_widths() -> None:
    with pytest.raises(ValueError, match=r"\(2, 100\).*128"):
        block_hadamard(torch.ones(2, 100))


def _squared_error(clip: float, levels: int) -> float:
    """E (q(z) - z)^2 for z ~ N(0, 1) and a uniform grid of end points +-clip, in closed form by cells."""
    points = torch.linspace(-clip, clip, levels, dtype=torch.float64)
    edges = torch.cat([torch.tensor([-30.0]), (points[:-1] + points[1:]) / 2, torch.tensor([30.0])]).double()
    density = torch.exp(-edges.square() / 2) / math.sqrt(2 * math.pi)
    mass, first = torch.special.ndtr(edges).diff(), -density.diff()
    second = mass - (edges * density).diff()
    return float((second - 2 * points * first + points.square() * mass).sum())


@pytest.mark.parametrize("bits", sorted(grid.CLIPS))
def test_clips_minimise_the_gaussian_error(bits: float) -> None:
    low, high = 0.3, 6.0
    for _ in range(100):
        third = (high - low) / 3
        if _squared_error(low + third, grid.levels(bits)) < _squared_error(high - third, grid.levels(bits)):
            high -= third
        else:
            low += third
    if bits <= 5:
        assert grid.CLIPS[bits] == pytest.approx(low, abs=1e-4)
    else:
        best = _squared_error(low, grid.levels(bits))
        assert best <= _squared_error(grid.CLIPS[bits], grid.levels(bits)) <= 1.01 * best


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("bits", "value"),
    [(1, 0.79788456), (1.585, 1.2240047), (2, 1.49353), (3, 1.5 * 2 * 2.05107 / 7), (4, 2.5 * 2 * 2.51393 / 15)],
)
def test_known_values(backend: str, bits: float, value: float) -> None:
    """The first unit vector times sqrt(128) is a row of ones in Hadamard space, with rms 1."""
    x = torch.zeros(1, 128, device=DEVICE)
    x[0, 0] = math.sqrt(128)
    q, mask = quest_quantize(x, bits, backend=backend)
    torch.testing.assert_close(q, torch.full_like(q, value), rtol=1e-6, atol=0)
    assert bool(mask.all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_scale_is_the_root_mean_square_not_the_standard_deviation(backend: str) -> None:
    """A row of equal numbers in Hadamard space has no standard deviation but an rms."""
    x = block_hadamard(torch.full((1, 256), 3.0, device=DEVICE))
    assert float(quest_fake_quant(x, 8, backend=backend).mean()) == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bits", [1, 1.585, 2, 3, 8])
def test_results_lie_on_the_grid(backend: str, bits: float) -> None:
    x = _gaussian(4, 256)
    q = quest_fake_quant(x, bits, backend=backend)
    rms = block_hadamard(x).square().mean(-1, keepdim=True).sqrt()
    position = q / (2 * grid.CLIPS[bits] * rms / (grid.levels(bits) - 1)) + grid.offset(bits)
    torch.testing.assert_close(position, position.round(), rtol=0, atol=1e-3)
    assert max(len(row.unique()) for row in q) <= grid.levels(bits)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient_is_masked_and_transformed_back(backend: str) -> None:
    v = _gaussian(5, 256)
    v[2, 7] = 30.0
    x = block_hadamard(v).requires_grad_()
    q, mask = quest_quantize(x, 4, backend=backend)
    dq = _gaussian(5, 256, seed=2)
    q.backward(dq)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, block_hadamard(dq * mask), rtol=0, atol=1e-5)
    assert not mask[2, 7]
    # Inside the grid every point is within half a step of a level: only what lies beyond it is not trusted.
    inside = v.abs() < 2.5 * v.square().mean(-1, keepdim=True).sqrt()
    assert bool(mask[inside].all())


def test_kernel_flips_at_most_one_in_a_hundred_thousand() -> None:
    x = _gaussian(160, 1280, seed=3)
    q, mask = quest_quantize(x, 4, backend="triton")
    truth, true_mask = quest_quantize_reference(x.double(), 4)
    assert float(((q - truth).abs() > 1e-4).double().mean()) <= 1e-5
    assert float((mask != true_mask).double().mean()) <= 1e-5


def test_eight_bits_estimate_a_product() -> None:
    x, w = _gaussian(6, 512), _gaussian(9, 512, seed=1)
    made = quest_fake_quant(x, 8) @ quest_fake_quant(w, 8).T
    assert float((made - x @ w.T).norm() / (x @ w.T).norm()) < 0.02
    rough = quest_fake_quant(x, 2) @ quest_fake_quant(w, 2).T
    assert float((rough - x @ w.T).norm() / (x @ w.T).norm()) > 0.2


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_zeros(backend: str) -> None:
    x = _gaussian(3, 128)
    x[1] = 0.0
    x.requires_grad_()
    q = quest_fake_quant(x, 4, backend=backend)
    q.sum().backward()
    assert x.grad is not None
    assert float(q[1].detach().abs().max()) <= 1e-8
    assert not x.grad[1].any()
    assert bool(x.grad[0].any())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bad_row_leaves_its_neighbours_alone(backend: str) -> None:
    x = _gaussian(3, 256)
    clean = quest_fake_quant(x, 4, backend=backend)
    x[1, 200] = math.inf
    q = quest_fake_quant(x, 4, backend=backend)
    assert not q[1].isfinite().any()
    assert torch.equal(q[[0, 2]], clean[[0, 2]])


def test_a_first_call_in_inference_mode_does_not_spoil_training() -> None:
    with torch.inference_mode():
        quest_fake_quant(torch.ones(1, 128, dtype=torch.float64), 4, backend="reference")
    x = torch.ones(1, 128, dtype=torch.float64, requires_grad=True)
    quest_fake_quant(x, 4, backend="reference").sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("bits", [0, 9, 2.5, -1])
def test_unknown_bits(bits: float) -> None:
    with pytest.raises(ValueError, match=r"1\.585"):
        quest_fake_quant(torch.ones(1, 128), bits)


def test_bad_tensors() -> None:
    with pytest.raises(ValueError, match=r"\(2, 130\)"):
        quest_fake_quant(torch.ones(2, 130), 4)
    with pytest.raises(TypeError, match="int64"):
        quest_fake_quant(torch.ones(2, 128, dtype=torch.long), 4)
    with pytest.raises(ValueError, match="no columns"):
        rowwise_absmax_quantize(torch.ones(2, 0), 4)


@pytest.mark.skipif(not interpreting(), reason="only the interpreter cannot multiply bfloat16")
def test_the_interpreter_refuses_bfloat16() -> None:
    with pytest.raises(BackendError, match="bfloat16"):
        quest_fake_quant(torch.ones(2, 128, dtype=torch.bfloat16), 4, backend="triton")


def _far_apart(rows: Tensor, stride: int) -> Tensor:
    """The same numbers with rows `stride` entries apart, in memory of which only the rows are ever touched."""
    try:
        memory = torch.empty((len(rows) - 1) * stride + rows.shape[1], dtype=rows.dtype, device=rows.device)
    except RuntimeError:
        pytest.skip("no address space for 2^31 entries")
    spread = memory.as_strided(rows.shape, (stride, 1))
    return spread.copy_(rows)


def test_offsets_past_32_bits() -> None:
    rows = _gaussian(3, 128).half()
    spread = _far_apart(rows, 2**30 + 16)
    assert torch.equal(quest_fake_quant(spread, 4, backend="triton"), quest_fake_quant(rows, 4, backend="triton"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_rowwise_known_values_and_ties_to_even(dtype: torch.dtype) -> None:
    x = torch.tensor([[7.0, -3.5, 3.5, 0.5, 1.5, -7.0], [14.0, 3.0, 1.0, 5.0, -13.0, 0.0]], dtype=dtype, device=DEVICE)
    levels, scale = rowwise_absmax_quantize(x, 4)
    assert levels.tolist() == [[7, -4, 4, 0, 2, -7], [7, 2, 0, 2, -6, 0]]
    assert (levels.dtype, scale.dtype) == (torch.int8, torch.float32)
    assert scale.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_rowwise_levels_are_those_of_exact_arithmetic(dtype: torch.dtype) -> None:
    x = (_gaussian(9, 7).double() * torch.linspace(0.01, 30.0, 9, device=DEVICE)[:, None]).T
    # Past a tie in double precision alone.
    x[0] = torch.tensor([7.0, 0.5 + 1e-12, 1.5 - 1e-12, 3.0, 0.0, -0.5, 1.0, 2.0, 4.0], dtype=x.dtype)
    x = x.to(dtype)
    levels, scale = rowwise_absmax_quantize(x, 4)
    for row, found, size in zip(x.tolist(), levels.tolist(), scale.flatten().tolist(), strict=True):
        peak = max(abs(Fraction(value)) for value in row)
        assert found == [round(Fraction(value) * 7 / peak) for value in row]
        assert size == pytest.approx(float(peak / 7), rel=1e-7)
    assert [part.shape for part in rowwise_absmax_quantize(x[:0], 4)] == [(0, 9), (0, 1)]


def test_rowwise_has_no_triton_form(monkeypatch: pytest.MonkeyPatch) -> None:
    x = _gaussian(2, 8)
    for op in (rowwise_absmax_quantize, rowwise_absmax_fake_quant):
        with pytest.raises(BackendError, match=f"{op.__name__}: .* it has no Triton kernel: choose auto, reference or compile"):
            op(x, 4, backend="triton")
    monkeypatch.setenv("KERNELS_BACKEND", "triton")
    with pytest.raises(BackendError, match="no Triton kernel"):
        rowwise_absmax_quantize(x, 4)
    with recording() as used:
        rowwise_absmax_quantize(x, 4, backend="auto")
        rowwise_absmax_fake_quant(x, 4, backend="reference")
    assert used.summary() == "rowwise_absmax_fake_quant=reference,rowwise_absmax_quantize=reference"


def test_rowwise_compiled_gives_the_bits_of_the_reference() -> None:
    x = _gaussian(6, 301)
    x[3], x[4], x[5] = 0.0, x[4] * 1e38, math.inf
    with recording() as used:
        made = rowwise_absmax_quantize(x, 4, backend="compile")
    assert used.summary() == "rowwise_absmax_quantize=compile"
    for ours, theirs in zip(made, rowwise_absmax_quantize(x, 4), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("bits", range(2, 9))
def test_rowwise_errors_are_half_a_scale_and_levels_symmetric(bits: int) -> None:
    x = _gaussian(4, 300)
    levels, scale = rowwise_absmax_quantize(x, bits)
    assert int(levels.abs().amax(-1).min()) == 2 ** (bits - 1) - 1
    assert bool(((levels * scale - x).abs() <= scale * 0.500001).all())
    assert torch.equal(rowwise_absmax_quantize(-x, bits)[0], -levels)
    assert torch.equal(rowwise_absmax_quantize(x * 2.0**40, bits)[0], levels)
    assert torch.equal(rowwise_absmax_fake_quant(x, bits), levels * scale)


def test_rows_at_the_ends_of_the_range() -> None:
    x = torch.tensor([[3.3e38, -1.65e38, 0.2e38], [2.0**-126, -(2.0**-127), 0.05 * 2.0**-126], [0.0, -0.0, 0.0]], device=DEVICE)
    levels, scale = rowwise_absmax_quantize(x, 8)
    assert levels.tolist() == [[127, -64, 8], [127, -64, 6], [0, 0, 0]]
    assert bool(scale.isfinite().all())
    assert float(scale[2]) == 0.0
    assert rowwise_absmax_fake_quant(x, 8)[2].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1500])
def test_a_row_with_nan_or_infinity_is_nan(bad: float, place: int) -> None:
    x = _gaussian(3, 1501)
    clean = rowwise_absmax_fake_quant(x, 4)
    x[1, place] = bad
    levels, scale = rowwise_absmax_quantize(x, 4)
    made = rowwise_absmax_fake_quant(x, 4)
    assert scale.isnan().flatten().tolist() == [False, True, False]
    assert not levels[1].any()
    assert bool(made[1].isnan().all())
    assert torch.equal(made[[0, 2]], clean[[0, 2]])


def test_rowwise_has_no_gradient() -> None:
    x = torch.ones(2, 4, requires_grad=True)
    for op in (rowwise_absmax_quantize, rowwise_absmax_fake_quant):
        with pytest.raises(RuntimeError, match="no gradient"):
            op(x, 4)
        with torch.no_grad():
            op(x, 4)


@pytest.mark.parametrize("bits", [1, 9, 0])
def test_rowwise_bits(bits: int) -> None:
    with pytest.raises(ValueError, match="2 to 8"):
        rowwise_absmax_quantize(torch.ones(1, 4), bits)
