"""Losses of packed networks: closed forms, torch's and the authors' own, gradients, and where each arithmetic gives up."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tasks.blocks.small_losses import SLOPES, Loss, collapsed
from tasks.blocks.small_models import (
    centred_squared_error,
    correct,
    cross_entropy,
    cross_entropy_in,
    squared_error,
    stablemax_cross_entropy,
)
from tasks.blocks.training import generator


def drawn(dtype: torch.dtype = torch.float32, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    """Outputs of two members, nine examples, four classes, and labels."""
    outputs = scale * torch.randn(2, 9, 4, generator=generator(0), dtype=torch.float64)
    return outputs.to(dtype), torch.randint(4, (2, 9), generator=generator(1))


def test_losses_are_torchs() -> None:
    outputs, labels = drawn()
    torch.testing.assert_close(cross_entropy(outputs, labels), F.cross_entropy(outputs.mT, labels, reduction="none"))
    hot = F.one_hot(labels, 4).float()
    torch.testing.assert_close(squared_error(outputs, labels).mean(), F.mse_loss(outputs, hot))
    torch.testing.assert_close(squared_error(outputs, hot), squared_error(outputs, labels))
    assert correct(hot, labels).tolist() == [[1.0] * 9] * 2
    assert math.isnan(float(correct(torch.full((1, 3), math.inf), torch.tensor([0]))))


def test_stablemax_has_its_known_values() -> None:
    """s(2) = 3, s(0) = 1, s(-1) = 1/2, s(-3) = 1/4, of which the sum is 4.75."""
    outputs = torch.tensor([[2.0, 0.0, -1.0, -3.0]])
    for label, s in enumerate((3.0, 1.0, 0.5, 0.25)):
        assert float(stablemax_cross_entropy(outputs, torch.tensor([label]))) == pytest.approx(math.log(4.75 / s), rel=1e-15)
    huge = stablemax_cross_entropy(torch.tensor([[1e20, -1e20]]), torch.tensor([1]))
    assert huge.dtype == torch.float64
    assert float(huge) == pytest.approx(2 * math.log(1e20), rel=1e-6), "a logarithm, where softmax would give 2e20"


def test_stablemax_has_its_closed_gradient() -> None:
    """d log s(x) / dx = 1 / (1 + |x|) on both sides and at zero, and s' is 1 or s^2: also where a branch that is not taken has a pole."""
    outputs = torch.tensor([[0.0, 1.0, -1.0, 2.5, -4.0]], dtype=torch.float64, requires_grad=True)
    x, labels = outputs.detach()[0], torch.tensor([1])
    (slope,) = torch.autograd.grad(stablemax_cross_entropy(outputs, labels).sum(), outputs)
    s = torch.where(x >= 0, 1 + x, 1 / (1 - x.clamp(max=0)))
    wanted = torch.where(x >= 0, 1.0, s**2) / s.sum()
    wanted[1] -= 1 / (1 + x[1].abs())
    torch.testing.assert_close(slope[0], wanted, rtol=1e-14, atol=0.0)
    free, labels = drawn(torch.float64)
    assert torch.autograd.gradcheck(lambda o: stablemax_cross_entropy(o, labels), free.requires_grad_())


def test_stablemax_is_taken_in_double_precision() -> None:
    """The loss of a fitted example: 1e-10 is lost beside 1 in float32."""
    outputs = torch.tensor([[1e5, -1e5]], requires_grad=True)
    loss = stablemax_cross_entropy(outputs, torch.tensor([0]))
    assert float(loss.detach()) == pytest.approx(1e-10, rel=1e-4)
    (slope,) = torch.autograd.grad(loss.sum(), outputs)
    assert slope.dtype == torch.float32
    assert slope[0, 1] > 0


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float16, 11), (torch.float32, 24), (torch.float64, 53)], ids=["16", "32", "64"])
def test_softmax_collapses_where_its_arithmetic_does(dtype: torch.dtype, bits: int) -> None:
    """A logit gap beyond ln 2^bits leaves nothing beside 1: the loss and its gradient are exactly zero (2501.04697)."""
    loss, gap = cross_entropy_in(dtype), bits * math.log(2)
    for beyond, alive in ((1.0, False), (-1.0, True)):
        outputs = torch.tensor([[[gap + beyond, 0.0]]], dtype=torch.float64, requires_grad=True)
        value = loss(outputs, torch.tensor([[0]]))
        (slope,) = torch.autograd.grad(value.sum(), outputs)
        assert (float(value.detach()) > 0) == alive
        assert (float(slope[0, 0, 0]) != 0) == alive
        assert bool(collapsed(outputs[0], torch.tensor([0]), dtype)) != alive
        assert not collapsed(outputs[0], torch.tensor([1]), dtype), "the other class has its whole gradient left"


def test_softmax_in_another_arithmetic_is_torchs_there() -> None:
    outputs, labels = drawn()
    for dtype, kept in ((torch.float16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)):
        losses = cross_entropy_in(dtype)(outputs, labels)
        assert losses.dtype == kept
        wanted = F.nll_loss(F.log_softmax(outputs.to(dtype), -1).flatten(0, 1), labels.flatten(), reduction="none")
        assert torch.equal(losses.flatten().to(dtype), wanted)
    many = torch.full((1, 70_000, 2), 3.0)
    losses = cross_entropy_in(torch.float16)(many, torch.zeros(1, 70_000, dtype=torch.long))
    assert float(losses.mean()) == pytest.approx(math.log(2), rel=1e-3), "a sum of 48,520 and more than float16 counts"


def test_the_zero_mean_loss_is_the_distance_to_centred_one_hot_vectors() -> None:
    outputs, labels = drawn(torch.float64)
    wanted = F.one_hot(labels, 4) - 0.25
    centred = outputs - outputs.mean(-1, keepdim=True)
    torch.testing.assert_close(centred_squared_error(outputs, labels), (centred - wanted).square().sum(-1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(centred_squared_error(outputs + 7.0, labels), centred_squared_error(outputs, labels), rtol=1e-12, atol=1e-12)
    assert float(centred_squared_error(torch.zeros(1, 5), torch.tensor([2]))) == pytest.approx(1 - 1 / 5)
    assert torch.autograd.gradcheck(lambda o: centred_squared_error(o, labels), outputs.requires_grad_())


@pytest.mark.parametrize("loss", SLOPES, ids=lambda loss: loss.__name__)
def test_written_out_gradients_are_the_automatic_ones(loss: Loss) -> None:
    outputs, labels = drawn(torch.float64)
    given = [labels, outputs.roll(1)] if loss is squared_error else [labels]
    for targets in given:
        free = outputs.clone().requires_grad_()
        (wanted,) = torch.autograd.grad(loss(free, targets).sum(), free)
        torch.testing.assert_close(SLOPES[loss](outputs, targets), wanted, rtol=1e-12, atol=1e-14)
        assert torch.equal(outputs, drawn(torch.float64)[0]), "the outputs stay what they are"
