"""Synthetic data whose best possible risk is known: what a method reaches can be set against what can be reached."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import integrate, special, stats
from torch import Tensor


@dataclass(frozen=True)
class Known:
    """Data with their best predictor. Everything is float64, labels are int64."""

    x: Tensor
    """(n, d)"""
    y: Tensor
    """(n,): labels 0 and 1, or real targets."""
    bayes_risk: float
    """Share of errors, or mean squared error, of the best predictor on new data."""
    best: Callable[[Tensor], Tensor]
    """The best predictor: (m, d) -> (m,)."""


def gaussian_mixture(count: int, dimension: int, distance: float, generator: torch.Generator, prior: float = 0.5) -> Known:
    """Two classes N(+-distance/2 e_1, I), class 1 with probability `prior`: the Bayes rule is a threshold on the first coordinate.

    Risk: (1 - p) Phi(-d/2 - t) + p Phi(-d/2 + t) with t = log((1 - p)/p) / d (Hastie et al. 2009, Sec. 4.3).
    """
    y = (torch.rand(count, generator=generator, dtype=torch.float64) < prior).long()
    x = torch.randn(count, dimension, generator=generator, dtype=torch.float64)
    x[:, 0] += distance * (y.double() - 0.5)
    threshold = math.log((1.0 - prior) / prior) / distance
    risk = (1.0 - prior) * stats.norm.cdf(-distance / 2 - threshold) + prior * stats.norm.cdf(-distance / 2 + threshold)
    return Known(x, y, float(risk), lambda points: (points[:, 0].double() > threshold).long())


def logistic_teacher(count: int, teacher: Tensor, generator: torch.Generator) -> Known:
    """Labels with P(y = 1 | x) = sigmoid(<teacher, x>), x ~ N(0, I): the Bayes risk is E[sigmoid(-|z|)], z ~ N(0, |teacher|^2)."""
    weights = teacher.double()
    x = torch.randn(count, len(weights), generator=generator, dtype=torch.float64)
    y = (torch.rand(count, generator=generator, dtype=torch.float64) < torch.sigmoid(x @ weights)).long()
    scale = float(weights.norm())

    def error(z: float) -> float:
        return float(2.0 * stats.norm.pdf(z) * special.expit(-scale * z))

    return Known(x, y, float(integrate.quad(error, 0.0, np.inf)[0]), lambda points: (points.double() @ weights > 0).long())


def product_on_sphere(normals: Tensor) -> tuple[Tensor, Tensor]:
    """Points (n, d) on the unit sphere, uniform for `normals` ~ N(0, I), and their labels sign(x_1 x_2), (n, 1), without noise."""
    x = torch.nn.functional.normalize(normals, dim=1)
    return x, (x[:, :1] * x[:, 1:2]).sign()


def striped_sphere(count: int, dimension: int, frequency: float, margin: float, generator: torch.Generator) -> Known:
    """Inputs uniform on the part of S^dimension with positive coordinates, and P(y = 1 | x) = 1/2 + margin sign(sin(frequency x_1)).

    The Bayes risk is 1/2 - margin whatever the other parameters are. On S^2 the first coordinate is uniform on (0, 1) (Archimedes).
    """
    if not 0.0 < margin <= 0.5:
        raise ValueError(f"a probability of 1/2 + margin has a margin in (0, 1/2], not {margin:g}")
    x = torch.randn(count, dimension + 1, generator=generator, dtype=torch.float64).abs()
    x = x / x.norm(dim=1, keepdim=True)

    def best(points: Tensor) -> Tensor:
        return (torch.sin(frequency * points[:, 0].double()) > 0).long()

    chance = 0.5 + margin * (2.0 * best(x) - 1.0)
    y = (torch.rand(count, generator=generator, dtype=torch.float64) < chance).long()
    return Known(x, y, 0.5 - margin, best)


def sphere_teacher(count: int, dimension: int, target: Literal["quadratic", "sign"], stream: np.random.Generator) -> Known:
    """Inputs uniform on the unit sphere and targets of mean 0 and variance 1 without noise: sqrt(d (d + 2)) x_1 x_2, or sign(x_1)."""
    drawn = stream.standard_normal((count, dimension))
    x = torch.from_numpy(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))

    def best(points: Tensor) -> Tensor:
        found: Tensor = math.sqrt(dimension * (dimension + 2)) * points[:, 0] * points[:, 1]
        return found if target == "quadratic" else torch.sign(points[:, 0])

    return Known(x, best(x), 0.0, best)


def linear_teacher(count: int, teacher: Tensor, noise: float, generator: torch.Generator, covariance: Tensor | None = None) -> Known:
    """y = <teacher, x> + noise e, x ~ N(0, diag(covariance)): no predictor has a mean squared error below noise^2."""
    weights = teacher.double()
    x = torch.randn(count, len(weights), generator=generator, dtype=torch.float64)
    x = x if covariance is None else x * covariance.double().sqrt()
    y = x @ weights + noise * torch.randn(count, generator=generator, dtype=torch.float64)
    return Known(x, y, noise**2, lambda points: points.double() @ weights)


def flipped(data: Known, share: float, generator: torch.Generator) -> Known:
    """The same with that share of labels turned around at random, also in new data: risk r becomes r + share (1 - 2 r)."""
    if not 0.0 <= share < 0.5:
        raise ValueError(f"a share of flipped labels lies in [0, 0.5), not {share}: beyond, the best predictor turns around")
    turned = torch.rand(len(data.y), generator=generator, dtype=torch.float64) < share
    return Known(data.x, torch.where(turned, 1 - data.y, data.y), data.bayes_risk + share * (1.0 - 2.0 * data.bayes_risk), data.best)


@dataclass(frozen=True)
class FactorModel:
    """x = B z + N(0, I), z ~ N(0, I), and y = <beta, z> + noise e: x tells z but for a rest, which no predictor can remove."""

    loadings: Tensor
    """B (d, r)."""
    readout: Tensor
    """beta (r,)."""
    noise: float

    @property
    def features(self) -> Tensor:
        """(d, r): E[z | x] = features^T x, (B B^T + I)^{-1} B = B (I + B^T B)^{-1}."""
        rest = torch.linalg.inv(self.loadings.T @ self.loadings + torch.eye(len(self.readout), dtype=torch.float64))
        features: Tensor = self.loadings @ rest
        return features

    @property
    def bayes_risk(self) -> float:
        """Mean squared error of <beta, E[z | x]>: noise^2 + beta^T (I + B^T B)^{-1} beta."""
        explained = self.readout @ (self.loadings.T @ self.features @ self.readout)
        return float(self.noise**2 + self.readout @ self.readout - explained)

    def draw(self, count: int, generator: torch.Generator) -> Known:
        """`count` examples."""
        z = torch.randn(count, len(self.readout), generator=generator, dtype=torch.float64)
        x = z @ self.loadings.T + torch.randn(count, len(self.loadings), generator=generator, dtype=torch.float64)
        y = z @ self.readout + self.noise * torch.randn(count, generator=generator, dtype=torch.float64)
        best = self.features @ self.readout
        return Known(x, y, self.bayes_risk, lambda points: points.double() @ best)

    def second_moment(self, count: int, seed: int) -> Tensor:
        """X^T X / count (d, d) of `count` >= d examples without drawing them: it has Wishart's law, by Bartlett's decomposition."""
        size, draw = len(self.loadings), np.random.default_rng(seed)
        if count < size:
            raise ValueError(f"{count} examples of {size} dimensions: Bartlett's decomposition takes at least as many examples")
        root = np.tril(draw.normal(size=(size, size)), -1) + np.diag(np.sqrt(draw.chisquare(count - np.arange(size))))
        covariance = self.loadings @ self.loadings.T + torch.eye(size, dtype=torch.float64)
        mixed: Tensor = torch.linalg.cholesky(covariance) @ torch.from_numpy(root)
        return mixed @ mixed.T / count

    def excess(self, weights: Tensor) -> float:
        """Mean squared error of <weights, x> on new data above the Bayes risk, weights (d,)."""
        off = weights - self.features @ self.readout
        return float(off @ off + (self.loadings.T @ off).square().sum())


def similar_pairs(count: int, features: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """x and x' (n, d) ~ N(0, I) and whether they are called similar (n,): P(1) = sigmoid(<F x, F x'>), features F of shape (r, d)."""
    x, other = (torch.randn(count, features.shape[1], generator=generator, dtype=torch.float64) for _ in range(2))
    logits = ((x @ features.T) * (other @ features.T)).sum(1)
    return x, other, (torch.rand(count, generator=generator, dtype=torch.float64) < torch.sigmoid(logits)).double()


def mixture_error(direction: Tensor, threshold: float, distance: float) -> float:
    """Share of errors of the rule <direction, x> > threshold on `gaussian_mixture` with equal classes, direction (d,)."""
    along, size = 0.5 * distance * float(direction[0]), float(direction.norm())
    return float(0.5 * (stats.norm.cdf((threshold - along) / size) + stats.norm.cdf((-threshold - along) / size)))
