"""The checks find what they are for: every fault planted in a toy op turns its finding red, and no other toy is needed to see green."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.evaluate import poisoned
from kernels.spec import KernelSpec, relative_error
from kernels.verify import findings
from tests.kernels import toy

CPU = torch.device("cpu")


def test_a_right_op_is_green() -> None:
    found = list(findings(toy.spec(), CPU))
    assert [finding.detail for finding in found if not finding.ok] == []
    assert {finding.check for finding in found} >= {
        "accuracy",
        "repeatable",
        "layouts",
        "nan spreads",
        "gradcheck reference",
        "gradcheck triton",
    }


def test_a_candidate_that_is_to_be_proven_runs_as_it_would_be_launched() -> None:
    def wrong_at_128(x: Tensor, *, backend: str) -> Tensor:
        made = toy.right(x, backend=backend)
        return 1.01 * made if x.dtype == torch.float16 and toy.TUNABLE.pick(CPU, 1).tiles["BLOCK"] == 128 else made

    half = {"y": 5e-4, "d_x": 5e-4}
    kernel = KernelSpec(tunable=toy.TUNABLE, cases=lambda config: (), proven=toy.CANDIDATES[1:])
    changes = {"kernels": (kernel,), "dot": True, "tolerances": {torch.float32: {"y": 1e-6, "d_x": 1e-6}, torch.float16: half}}
    red = [finding.check for finding in findings(toy.spec(wrong_at_128, **changes), CPU) if not finding.ok]
    assert red == [f"accuracy {toy.CANDIDATES[2]}"]
    assert toy.TUNABLE.pick(CPU, 1) == toy.CANDIDATES[0]


def _wrong_formula(x: Tensor, *, backend: str) -> Tensor:
    return toy.right(x, backend=backend) if backend == "reference" else x * x * x.abs()


def _wrong_gradient(x: Tensor, *, backend: str) -> Tensor:
    class Broken(toy.Cube):
        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return 2.0 * ctx.saved_tensors[0] ** 2 * gradients[0]

    return Broken.apply(x)


def _unwritten(x: Tensor, *, backend: str) -> Tensor:
    y = torch.empty_like(x)
    y[:-1] = x[:-1] ** 3
    return y


def _changes_its_input(x: Tensor, *, backend: str) -> Tensor:
    y: Tensor = toy.Cube.apply(x)
    x.data.view(-1)[:1] += 1e-3
    return y


def _reads_memory_in_order(x: Tensor, *, backend: str) -> Tensor:
    return torch.as_strided(x, x.shape, (x.shape[1], 1)) ** 3


def _swallows_nan(x: Tensor, *, backend: str) -> Tensor:
    return x.nan_to_num(0.0) ** 3


def _no_gradient(x: Tensor, *, backend: str) -> Tensor:
    return (x.detach() ** 3) + 0.0 * x.sum().detach()


_CALLS = itertools.count()


def _differs_every_time(x: Tensor, *, backend: str) -> Tensor:
    return x**3 * (1.0 + 1e-7 * (next(_CALLS) % 2))


def _fails(x: Tensor, *, backend: str) -> Tensor:
    raise RuntimeError("out of registers")


@pytest.mark.parametrize(
    ("op", "check"),
    [
        (_wrong_formula, "accuracy"),
        (_wrong_gradient, "accuracy"),
        (_wrong_gradient, "gradcheck triton"),
        (_unwritten, "accuracy"),
        (_changes_its_input, "accuracy"),
        (_reads_memory_in_order, "layouts"),
        (_swallows_nan, "nan spreads"),
        (_no_gradient, "gradcheck triton"),
        (_differs_every_time, "repeatable"),
        (_fails, "accuracy"),
    ],
)
def test_a_planted_fault_is_found(op: Callable[..., Tensor], check: str) -> None:
    assert any(finding.check == check and not finding.ok for finding in findings(toy.spec(op), CPU))


def test_a_mask_may_flip_only_as_often_as_the_spec_says() -> None:
    def flipped(x: Tensor, *, backend: str) -> Tensor:
        mask = x > 0
        mask.view(-1)[:1].logical_not_()
        return mask

    changes: dict[str, Any] = {"reference": lambda x: x > 0, "differentiable": (), "outputs": ("mask",)}
    for share, ok in ((1e-5, False), (0.1, True)):
        spec = toy.spec(flipped, **changes, flips={"mask": share}, tolerances={torch.float32: {}})
        assert all(finding.ok for finding in findings(spec, CPU) if finding.check == "accuracy") == ok


def test_uninitialised_memory_is_poisoned_only_inside_the_block() -> None:
    with poisoned():
        assert torch.empty(3).isnan().all()
        assert torch.empty_like(torch.zeros(2, dtype=torch.int8)).tolist() == [127, 127]
    torch.empty(3).fill_(0.0)
    assert torch.empty.__name__ == "empty"


@pytest.mark.parametrize(
    ("value", "truth", "expected"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 4.5], [3.0, 4.0], 0.1),
        ([float("nan"), 4.0], [3.0, 4.0], float("inf")),
        ([float("nan"), 4.0], [float("nan"), 4.0], 0.0),
        ([0.5], [0.0], 0.5),
        ([1.0, 2.0], [1.0], float("inf")),
    ],
)
def test_the_error_is_relative_and_never_hides_a_nan(value: list[float], truth: list[float], expected: float) -> None:
    assert relative_error(torch.tensor(value), torch.tensor(truth)) == pytest.approx(expected)
