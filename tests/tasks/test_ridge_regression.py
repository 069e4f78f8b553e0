"""Ridge regression against least squares, and what it sends back against differentiation."""

from __future__ import annotations

import math

import torch

from tasks.blocks.ridge_regression import ridge, sent_back
from tasks.blocks.training import generator


def test_the_formulas_agree_with_least_squares_and_differentiation() -> None:
    features, targets = (torch.randn(12, columns, generator=generator(columns), dtype=torch.float64) for columns in (5, 3))
    weights = ridge(features, targets, 0.3)
    penalty, zeros = math.sqrt(0.3) * torch.eye(5, dtype=torch.float64), torch.zeros(5, 3, dtype=torch.float64)
    least = torch.linalg.lstsq(torch.cat([features, penalty]), torch.cat([targets, zeros])).solution
    torch.testing.assert_close(weights, least)
    features.requires_grad_()
    (slope,) = torch.autograd.grad(0.5 * (targets - features @ weights).square().sum(), features)
    torch.testing.assert_close(sent_back(features.detach(), targets, 0.3), -slope)
