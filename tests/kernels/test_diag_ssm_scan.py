"""The diagonal scan: closed forms, the sequential recurrence, chunks of time, what bad numbers and bad shapes do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch

from kernels.configs import Config, forced
from kernels.diag_ssm_scan.op import diag_ssm_scan
from kernels.spec import relative_error

BACKENDS = ("reference", "triton")


@pytest.fixture(params=[1, 3], ids=["whole", "chunks"])
def small_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blocks of 2 x 2 steps, so that a short scan has many; time in one piece, and in up to three chunks."""
    triton = pytest.importorskip("kernels.diag_ssm_scan.triton")
    monkeypatch.setattr(triton, "PROGRAMS", request.param)
    monkeypatch.setattr(triton, "SHORTEST", 1)
    config = Config(tiles={"SPANS": 2, "STEPS": 2, "CHANNELS": 4}, num_warps=1)
    with ExitStack() as stack:
        for kernel in ("diag_ssm_scan_forward", "diag_ssm_scan_backward"):
            stack.enter_context(forced(kernel, config))
        yield


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.complex128) for shape in shapes]


def sequential(lam: torch.Tensor, u: torch.Tensor, x0: torch.Tensor) -> torch.Tensor:
    """One step after the other."""
    states, state = [], x0
    for k in range(u.shape[1]):
        state = lam * state + u[:, k]
        states.append(state)
    return torch.stack(states, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_impulse_answers_with_powers(backend: str) -> None:
    lam = torch.polar(torch.tensor([1.0, 0.9, 1.05, 0.0], dtype=torch.float64), torch.tensor([0.3, -2.0, 3.0, 0.0], dtype=torch.float64))
    u = torch.zeros(1, 150, 4, dtype=torch.complex128)
    u[0, 0] = 1.0
    x = diag_ssm_scan(lam, u, backend=backend)
    k = torch.arange(150, dtype=torch.float64)
    for channel, (radius, phase) in enumerate(((1.0, 0.3), (0.9, -2.0), (1.05, 3.0))):
        torch.testing.assert_close(x[0, :, channel], torch.polar(radius**k, phase * k), rtol=1e-12, atol=1e-12)
    assert torch.equal(x[0, :, 3], u[0, :, 3])


@pytest.mark.parametrize("backend", BACKENDS)
def test_lam_one_is_the_cumulative_sum_and_lam_zero_the_input(backend: str) -> None:
    (u,) = drawn(1, (2, 140, 3))
    lam = torch.tensor([1.0, 0.0, 1.0], dtype=torch.complex128)
    x = diag_ssm_scan(lam, u, backend=backend)
    torch.testing.assert_close(x[..., ::2], u[..., ::2].cumsum(1), rtol=1e-12, atol=1e-12)
    assert torch.equal(x[..., 1], u[..., 1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_input_the_start_decays(backend: str) -> None:
    lam, x0 = drawn(2, (3,), (2, 3))
    lam = 0.9 * lam / lam.abs()
    x = diag_ssm_scan(lam, torch.zeros(2, 20, 3, dtype=torch.complex128), x0, backend=backend)
    k = torch.arange(1, 21)[:, None]
    torch.testing.assert_close(x, x0[:, None] * lam**k, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("length", [1, 5, 23])
def test_blocks_and_chunks_equal_one_step_after_the_other(length: int) -> None:
    """Forward and all three gradients, in many blocks, with time in one piece and split."""
    lam, u, x0, pull = drawn(3, (3,), (1, length, 3), (1, 3), (1, length, 3))
    lam = torch.linspace(0.0, 1.05, 3) * lam / lam.abs()
    results = []
    for function in (sequential, lambda *tensors: diag_ssm_scan(*tensors, backend="triton")):
        leaves = [tensor.clone().requires_grad_() for tensor in (lam, u, x0)]
        x = function(*leaves)
        x.backward(pull)
        results.append([x.detach(), *(leaf.grad for leaf in leaves)])
    for expected, made in zip(*results, strict=True):
        torch.testing.assert_close(made, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_bad_number_spreads_to_later_steps_of_its_channel_only(value: float) -> None:
    lam, u = drawn(5, (3,), (1, 14, 3))
    u[0, 6, 2] = value
    for backend in BACKENDS:
        finite = torch.view_as_real(diag_ssm_scan(lam, u, backend=backend)).isfinite().all(-1)
        expected = torch.ones(1, 14, 3, dtype=torch.bool)
        expected[0, 6:, 2] = False
        assert torch.equal(finite, expected), backend


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("with_start", [True, False])
def test_no_steps_and_one_step(backend: str, with_start: bool) -> None:
    lam, one, x0 = drawn(6, (3,), (2, 1, 3), (2, 3))
    for u in (one[:, :0], one):
        leaves = [tensor.clone().requires_grad_() for tensor in (lam, u, x0)]
        x = diag_ssm_scan(*leaves[: 3 if with_start else 2], backend=backend)
        expected = u + lam * x0[:, None] if with_start else u
        torch.testing.assert_close(x, expected, rtol=1e-14, atol=0)
        x.sum().abs().backward()
        assert leaves[0].grad is not None
        assert leaves[0].grad.isfinite().all()


def test_long_memory_keeps_single_precision() -> None:
    """|lam| = 1 for 1000 steps: powers of lam squared in float32 would be off by 3e-5."""
    generator = torch.Generator().manual_seed(7)
    lam = torch.polar(torch.ones(2), torch.tensor([0.7, 2.9]))
    u = torch.randn(1, 1000, 2, generator=generator, dtype=torch.complex64)
    expected = diag_ssm_scan(lam.to(torch.complex128), u.to(torch.complex128), backend="reference")
    for backend in BACKENDS:
        assert relative_error(diag_ssm_scan(lam, u, backend=backend), expected) < 5e-6, backend


def test_lazy_conjugates_and_permuted_inputs_are_read_as_what_they_mean() -> None:
    lam, u, x0 = drawn(8, (3,), (3, 6, 2), (3, 2))
    views = (lam.conj(), u.conj().permute(2, 1, 0), x0.conj().T)
    plain = tuple(tensor.resolve_conj().contiguous() for tensor in views)
    for backend in BACKENDS:
        assert torch.equal(diag_ssm_scan(*views, backend=backend), diag_ssm_scan(*plain, backend=backend))


def test_bad_input_is_named() -> None:
    lam, u, x0 = drawn(10, (3,), (2, 4, 3), (2, 3))
    for arguments, error, message in (
        ((lam.real, u), TypeError, "lam must be complex64 or complex128, not torch.float64"),
        ((lam, u.to(torch.complex64)), TypeError, "u is torch.complex64, lam torch.complex128"),
        ((lam, u, x0.real), TypeError, "x0 is torch.float64"),
        ((lam[:2], u), ValueError, r"not \(2,\) and \(2, 4, 3\)"),
        ((lam, u[0]), ValueError, r"not \(3,\) and \(4, 3\)"),
        ((lam, u, x0[:1]), ValueError, r"x0 must be \(2, 3\), not \(1, 3\)"),
    ):
        with pytest.raises(error, match=message):
            diag_ssm_scan(*arguments)


def test_a_batch_of_any_size_fits_a_launch() -> None:
    """CUDA's grid has 2^31 - 1 places on its first axis and 65535 on the others."""
    from kernels.diag_ssm_scan.tiles import FORWARD
    from kernels.diag_ssm_scan.triton import _grid

    u, starts = torch.empty(100_000, 8, 70, device="meta"), torch.empty(100_000, 2, 70, device="meta")
    grid = _grid(u, starts, FORWARD.default)
    assert (grid[0], *grid[1:]) == (100_000 * -(-70 // FORWARD.default.tiles["CHANNELS"]), 2)
