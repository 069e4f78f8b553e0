"""Closed forms of the committee f(x) = alpha/N sum_i phi(w_i . x), phi(h) = h + epsilon h^2 / 2, on y = (beta . x)^2 / 2, x ~ N(0, I/D).

f depends on the mean w of the N vectors w_i and on M, the mean of w_i w_i^T, alone: f = alpha w.x + alpha epsilon / 2 x^T M x.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.blocks.small_members import View
from tasks.blocks.small_networks import Tensors, committee
from tasks.blocks.training import generator

VARIANCE = 0.5
"""Of y where |beta|^2 = D: what predicting its mean loses."""


def sampled(examples: int, inputs: int, *, seeds: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Inputs (P, D) and beta (D,) with |beta|^2 = D, each of a seed.

    Of one seed and D, fewer inputs are the first of more, but for the last 16 numbers where P D is no multiple of 16: torch draws so many
    at once.
    """
    x = torch.randn(examples, inputs, generator=generator(seeds[0]), dtype=torch.float64)
    teacher = torch.randn(inputs, generator=generator(seeds[1]), dtype=torch.float64)
    return x / math.sqrt(inputs), teacher * math.sqrt(inputs) / teacher.norm()


def target(inputs: Tensor, teacher: Tensor) -> Tensor:
    """y (P,)."""
    return 0.5 * (inputs @ teacher).square()


@dataclass(frozen=True)
class Committee:
    """`committee(inputs, units)` computed from w and M: the same function and gradient for P D^2 + N D^2 products instead of P N D."""

    inputs: int
    units: int

    def initial(self, stream: torch.Generator) -> dict[str, Tensor]:
        """Weights (D, N) from N(0, 1)."""
        return committee(self.inputs, self.units).initial(stream)

    def noise(self, stream: torch.Generator, examples: int) -> Tensors:  # noqa: ARG002 - nothing is drawn in training
        """None."""
        return {}

    def __call__(self, parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
        """Outputs (P, 1)."""
        return outputs(fixed["scale"], fixed["curvature"], inputs, *moments(parameters["weight0"])).unsqueeze(-1)


def moments(weights: Tensor) -> tuple[Tensor, Tensor]:
    """w (..., D) and M (..., D, D) of weights (..., D, N), a unit a column."""
    return weights.mean(-1), weights @ weights.mT / weights.shape[-1]


def outputs(alpha: Tensor | float, epsilon: Tensor | float, inputs: Tensor, mean: Tensor, second: Tensor) -> Tensor:
    """f (P,) of inputs (P, D)."""
    return alpha * (inputs @ mean + 0.5 * epsilon * ((inputs @ second) * inputs).sum(-1))


def test_loss(alpha: Tensor, epsilon: Tensor, mean: Tensor, second: Tensor, teacher: Tensor) -> Mapping[str, Tensor]:
    """E (f(x) - y)^2 in its three terms, each (...): of the mean, of the traceless quadratic and of the linear part of f - y.

    `mean` (..., D) and `second` (..., D, D) are w and M, less those at the start where f at the start is subtracted; teacher is beta.
    Section 5 of the paper: 1/4 (|beta|^2 / D - alpha epsilon tr M / D)^2 + |alpha epsilon M - beta beta^T|^2 / (2 D^2) + alpha^2 |w|^2 / D.
    """
    inputs = teacher.shape[-1]
    error = (alpha * epsilon)[..., None, None] * second - teacher.unsqueeze(-1) * teacher.unsqueeze(-2)
    trace = error.diagonal(dim1=-2, dim2=-1).sum(-1) / inputs
    return {
        "mean": 0.25 * trace.square(),
        "quadratic": 0.5 * error.square().sum((-2, -1)) / inputs**2,
        "linear": alpha.square() * mean.square().sum(-1) / inputs,
    }


def learning(inputs: Tensor, teacher: Tensor, alpha: float, epsilon: float, start: Tensor | None = None) -> dict[str, Any]:
    """What a member that learns y from inputs (P, D) is made of, beside its rate and steps.

    What f is at the weights `start` (D, N) is subtracted from it, as in the authors' code: here it is added to the targets.
    """
    mean, second = moments(torch.zeros(inputs.shape[1], 1, dtype=inputs.dtype) if start is None else start)
    return {
        "inputs": inputs,
        "targets": (target(inputs, teacher) + outputs(alpha, epsilon, inputs, mean, second)).unsqueeze(1),
        "splits": {"train": torch.ones(len(inputs), dtype=torch.bool)},
        "fixed": {"scale": alpha, "curvature": epsilon, "teacher": teacher, "mean": mean, "second": second},
    }


def observed(view: View) -> Mapping[str, Tensor]:
    """Of such members the exact test loss and its three terms, and the mean square of their weights."""
    weights, fixed = view.parameters["weight0"], view.fixed
    mean, second = moments(weights)
    terms = test_loss(fixed["scale"], fixed["curvature"], mean - fixed["mean"], second - fixed["second"], fixed["teacher"])
    losses = {"test_loss": torch.stack([*terms.values()]).sum(0), **{f"test_loss_{name}": value for name, value in terms.items()}}
    return {**losses, "weight_norm": weights.square().mean((-2, -1))}


def tangent_kernel(inputs: Tensor, epsilon: float, mean: Tensor, second: Tensor) -> Tensor:
    """K(x, x') = N / alpha^2 grad f(x) . grad f(x') over inputs (P, D): (P, P).

    x.x' (1 + epsilon w.(x + x') + epsilon^2 x^T M x').
    """
    linear = inputs @ mean
    return inputs @ inputs.T * (1.0 + epsilon * (linear[:, None] + linear) + epsilon**2 * (inputs @ second @ inputs.T))


def alignment(kernel: Tensor, targets: Tensor) -> float:
    """y^T K y / (|K|_F |y|^2), which the paper calls centred kernel alignment and does not centre."""
    return float(targets @ kernel @ targets / (torch.linalg.matrix_norm(kernel) * (targets @ targets)))
