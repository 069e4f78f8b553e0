"""Losses by example for packed networks, and whether an example is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs (..., examples, outputs) and targets, classes (..., examples) or numbers like the outputs -> losses (..., examples)."""


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of classes, by example."""
    return -_of_class(outputs.log_softmax(-1), targets)


def cross_entropy_in(dtype: torch.dtype) -> Loss:
    """Cross-entropy of softmax in an arithmetic of its own, whatever that of the network (2501.04697: float16, float32, float64).

    Only the mean over the examples is taken in no less than the network's precision: in float16 it would overflow.
    """

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        losses = -_of_class(outputs.to(dtype).log_softmax(-1), targets)
        return losses.to(torch.promote_types(dtype, outputs.dtype))

    return loss


def collapsed(outputs: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether softmax in that arithmetic is 1 at the class, by example (2501.04697, equation 2): the gradient is then exactly zero.

    The sum of the powers is its own term of the class.
    """
    z = outputs.to(dtype)
    powers = (z - z.amax(-1, keepdim=True)).exp()
    # torch adds halves in float32 on a CPU: the sum is rounded to the arithmetic that it stands for.
    total = powers.to(torch.promote_types(dtype, torch.float32)).sum(-1).to(dtype)
    return total == _of_class(powers, targets)


def stablemax_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """-log(s(x_y) / sum_k s(x_k)), s(x) = x + 1 for x >= 0 and 1 / (1 - x) below (2501.04697).

    In float64 like the authors' `utils.py`, and so are the losses. Each branch stays finite where it is not taken: no gradient is NaN.
    """
    x = outputs.double()
    s = torch.where(x < 0, 1.0 / (1.0 - x.clamp(max=0.0)), 1.0 + x)
    return s.sum(-1).log() - _of_class(s, targets).log()


def centred_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """|o - (e_y - 1/M)|^2 of M outputs o less their mean: the zero-mean loss of 2509.21519, sum o^2 - 2 o_y + 1 - 1/M for classes y."""
    centred = outputs - outputs.mean(-1, keepdim=True)
    return centred.square().sum(-1) - 2.0 * _of_class(centred, targets) + (1.0 - 1.0 / outputs.shape[-1])


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the outputs, by example; classes stand for their one-hot vectors."""
    if not targets.is_floating_point():
        return _less_one_hot(outputs, targets).square().mean(-1)
    if targets.shape != outputs.shape:
        raise ValueError(f"targets {tuple(targets.shape)} for outputs {tuple(outputs.shape)}")
    return (outputs - targets).square().mean(-1)


def correct(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest output is the class, 0 where not, NaN where outputs are not finite: a diverged network has no accuracy."""
    right = (outputs.argmax(-1) == targets).to(outputs.dtype)
    return right.where(outputs.isfinite().all(-1), torch.nan)


def _squared_slope(outputs: Tensor, targets: Tensor) -> Tensor:
    missed = outputs - targets if targets.is_floating_point() else _less_one_hot(outputs, targets)
    return missed.mul_(2.0 / outputs.shape[-1])


def _centred_slope(outputs: Tensor, targets: Tensor) -> Tensor:
    missed = _less_one_hot(outputs - outputs.mean(-1, keepdim=True), targets)
    return missed.add_(1.0 / outputs.shape[-1]).mul_(2.0)


SLOPES: Mapping[Loss, Loss] = {
    squared_error: _squared_slope,
    centred_squared_error: _centred_slope,
    cross_entropy: lambda outputs, targets: _less_one_hot(outputs.log_softmax(-1).exp_(), targets),
}
"""Gradients in closed form of the losses of examples, by their outputs: some need a tenth of the time of automatic ones."""


def _less_one_hot(values: Tensor, targets: Tensor) -> Tensor:
    at = targets.unsqueeze(-1)
    return values.scatter_add(-1, at, values.new_full((), -1.0).expand_as(at))


def _of_class(values: Tensor, targets: Tensor) -> Tensor:
    return values.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
