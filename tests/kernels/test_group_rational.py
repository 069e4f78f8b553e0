"""group_rational: closed forms, subgradients at zero, published schedules, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels import group_rational
from kernels.group_rational.op import SCHEDULES

BOTH = pytest.mark.parametrize("backend", ["reference", "triton"])
IDENTITY = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])


@BOTH
def test_the_identity_coefficients_give_the_identity(backend: str) -> None:
    x = torch.linspace(-50, 50, 48).view(2, 24)
    assert torch.equal(group_rational(x, IDENTITY, torch.zeros(3, 4), backend=backend), x)


@BOTH
def test_each_coefficient_stands_where_the_formula_has_it(backend: str) -> None:
    x = torch.tensor([[-2.0, 3.0]], dtype=torch.float64)
    for power in range(6):
        numerator = torch.zeros(1, 6, dtype=torch.float64)
        numerator[0, power] = 1.0
        for degree in range(4):
            denominator = torch.zeros(1, 4, dtype=torch.float64)
            denominator[0, degree] = -0.5
            expected = x**power / (1 + 0.5 * x.abs() ** (degree + 1))
            assert torch.allclose(group_rational(x, numerator, denominator, backend=backend), expected, rtol=1e-14)


@BOTH
def test_groups_are_neighbouring_channels(backend: str) -> None:
    numerator = torch.zeros(3, 6)
    numerator[:, 0] = torch.tensor([1.0, 2.0, 3.0])
    y = group_rational(torch.randn(2, 12), numerator, torch.zeros(3, 4), backend=backend)
    assert torch.equal(y, torch.tensor([1.0, 2.0, 3.0]).repeat_interleave(4).expand(2, 12))


@BOTH
def test_a_shared_numerator_gets_the_sum_of_its_groups_gradients(backend: str) -> None:
    x, denominator = torch.randn(5, 12, dtype=torch.float64), torch.rand(3, 4, dtype=torch.float64)
    shared = torch.randn(6, dtype=torch.float64, requires_grad=True)
    apart = shared.detach().expand(3, 6).clone().requires_grad_()
    group_rational(x, shared, denominator, backend=backend).sum().backward()
    group_rational(x, apart, denominator, backend=backend).sum().backward()
    assert apart.grad is not None
    assert shared.grad is not None
    assert torch.allclose(shared.grad, apart.grad.sum(0), rtol=1e-12)


@BOTH
def test_a_denominator_at_zero_can_leave_it(backend: str) -> None:
    # d|b|/db = +1 at 0: with P = x and b = 0, dy/db_j = -x |x|^j.
    x = torch.tensor([[2.0]])
    denominator = torch.zeros(1, 4, requires_grad=True)
    group_rational(x, IDENTITY, denominator, backend=backend).sum().backward()
    assert denominator.grad is not None
    assert denominator.grad.tolist() == [[-4.0, -8.0, -16.0, -32.0]]


@BOTH
def test_the_slope_at_zero_is_that_of_the_numerator(backend: str) -> None:
    # d|x|/dx = 0 at 0, so that Q' = 0 there: dy/dx = a_1, whatever b_1.
    x = torch.zeros(1, 1, requires_grad=True)
    group_rational(x, torch.tensor([3.0, 7.0, 0, 0, 0, 0]), torch.ones(1, 4), backend=backend).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == 7.0


def _gradients(schedule: str, x: Tensor, numerator: Tensor, denominator: Tensor, dy: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in (x, numerator, denominator)]
    return list(torch.autograd.grad(group_rational(*leaves, backend="triton", schedule=schedule), leaves, dy))


def test_the_published_schedules_compute_the_same_gradients() -> None:
    x, dy = torch.randn(2, 9, 24)
    numerator, denominator = torch.randn(2, 6), torch.randn(2, 4)
    truth = _gradients("two_stage", x.double(), numerator.double(), denominator.double(), dy.double())
    for schedule in SCHEDULES:
        for made, expected in zip(_gradients(schedule, x, numerator, denominator, dy), truth, strict=True):
            assert torch.allclose(made.double(), expected, rtol=2e-5, atol=1e-5), schedule


def test_the_gradients_of_the_kernel_do_not_depend_on_the_tiles() -> None:
    from kernels.configs import forced
    from kernels.group_rational.tiles import BACKWARD

    x, dy = torch.randn(2, 19, 2 * 65, dtype=torch.float64)
    numerator, denominator = torch.randn(2, 6, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    expected = _gradients("two_stage", x, numerator, denominator, dy)
    for config in BACKWARD.candidates[1:]:
        with forced("group_rational_backward", config):
            made = _gradients("two_stage", x, numerator, denominator, dy)
        assert all(torch.allclose(a, b, rtol=1e-11) for a, b in zip(made, expected, strict=True))


def test_offsets_pass_two_to_the_thirty_first_element() -> None:
    import triton.language as tl

    from kernels.group_rational.triton import forward_kernel

    # Memory that nobody writes is mapped, not stored: three rows of 16 channels, 2^30 elements apart.
    # The interpreter copies the tensors that it is given, so it is given their start.
    stride = 2**30
    x, y = (torch.empty(2 * stride + 16, dtype=torch.float16) for _ in range(2))
    x[-16:] = torch.arange(16)
    forward_kernel[(3,)](x[:16], IDENTITY[None], torch.zeros(1, 4), y[:16], 3, stride, 16, 1, ROWS=1, COLUMNS=16, COMPUTE=tl.float32)
    assert y[-16:].tolist() == list(range(16))


@BOTH
def test_overflow_is_not_finite_rather_than_a_wrong_number(backend: str) -> None:
    y = group_rational(torch.tensor([[1e9, 1.0]]), torch.ones(6), torch.ones(1, 4), backend=backend)
    assert not y[0, 0].isfinite()
    assert y[0, 1].item() == pytest.approx(6 / 5)


def test_the_kernel_compiles_into_a_graph() -> None:
    x, numerator, denominator = torch.randn(3, 8), torch.randn(2, 6), torch.randn(2, 4)

    def function(x: Tensor) -> Tensor:
        return 2 * group_rational(x + 1, numerator, denominator, backend="triton")

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    leaf = x.clone().requires_grad_()
    compiled(leaf).sum().backward()
    expected = x.clone().requires_grad_()
    (2 * group_rational(expected + 1, numerator, denominator, backend="reference")).sum().backward()
    assert leaf.grad is not None
    assert expected.grad is not None
    assert torch.allclose(leaf.grad, expected.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "numerator", "denominator", "error", "says"),
    [
        (torch.ones(2, 10), torch.ones(6), torch.ones(4, 4), ValueError, r"last axis of x \(2, 10\) is not a multiple of the 4 groups"),
        (torch.ones(2, 8), torch.ones(5), torch.ones(4, 4), ValueError, r"numerator must be \(6,\), \(1, 6\) or \(4, 6\), not \(1, 5\)"),
        (torch.ones(2, 8), torch.ones(3, 6), torch.ones(4, 4), ValueError, r"not \(3, 6\)"),
        (torch.ones(2, 8), torch.ones(6), torch.ones(4), ValueError, r"denominator must be \(groups, 4\), not \(4,\)"),
        (torch.ones(2, 8), torch.ones(6), torch.ones(0, 4), ValueError, r"denominator must be \(groups, 4\), not \(0, 4\)"),
        (
            torch.ones(2, 8, dtype=torch.int32),
            torch.ones(6),
            torch.ones(4, 4),
            TypeError,
            "x must be a floating-point tensor, not torch.int32",
        ),
        (torch.ones(2, 8), torch.ones(6, device="meta"), torch.ones(4, 4), ValueError, "numerator is on meta, x on cpu"),
        (torch.tensor(1.0), torch.ones(6), torch.ones(1, 4), ValueError, "last axis"),
    ],
)
def test_what_does_not_fit_is_named(x: Tensor, numerator: Tensor, denominator: Tensor, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        group_rational(x, numerator, denominator)


def test_schedules_belong_to_triton() -> None:
    arguments = torch.ones(2, 8), torch.ones(6), torch.ones(4, 4)
    with pytest.raises(ValueError, match="unknown schedule 'atomic'"):
        group_rational(*arguments, schedule="atomic")
    with pytest.raises(ValueError, match="is a Triton schedule; the backend here is reference"):
        group_rational(*arguments, schedule="per_tile_atomic")
