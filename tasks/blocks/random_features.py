"""Ridge regression on features for all ridges at once: one singular value decomposition, then a division a ridge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.blocks.eigenframework import Spectrum


@dataclass(frozen=True)
class RidgePath:
    """What min_w |F w - y|^2 + ridge |w|^2 gives for each ridge, F of shape (n, k). All float64; r ridges, t outputs."""

    ridges: Tensor
    """(r,)"""
    weights: Tensor
    """(r, k, t)"""
    train_error: Tensor
    """(r,): mean squared error over the n rows and t outputs."""
    degrees_of_freedom: Tensor
    """(r,): trace of the hat matrix, sum s^2 / (s^2 + ridge)."""
    norm: Tensor
    """(r,): |w|, which tells a solution that explodes from one that is merely wrong."""

    def predict(self, features: Tensor) -> Tensor:
        """(r, m, t) for features of shape (m, k)."""
        return features.double() @ self.weights

    def error(self, features: Tensor, targets: Tensor) -> Tensor:
        """(r,): mean squared error on other rows, targets (m, t) or (m,)."""
        return (self.predict(features) - _columns(targets)).square().mean(dim=(1, 2))


def ridge_path(features: Tensor, targets: Tensor, ridges: Tensor, rcond: float | None = None) -> RidgePath:
    """The path of (n, k) features and (n, t) or (n,) targets over ridges (r,) >= 0.

    A ridge of 0 is the limit from above, the solution of least norm: singular values below `rcond` of the largest count as zeros,
    by default those below n eps. With it the degrees of freedom at 0 are the rank that the solver sees.
    """
    matrix, y, lam = features.double(), _columns(targets), ridges.double()
    left, s, right = torch.linalg.svd(matrix, full_matrices=False)
    kept = s > s.max() * (max(matrix.shape) * torch.finfo(torch.float64).eps if rcond is None else rcond)
    squares = torch.where(kept, s.square(), 0.0)
    shrunk = torch.where(kept, s / (squares + lam[:, None]).clamp_min(torch.finfo(torch.float64).tiny), 0.0)
    weights = right.T @ (shrunk[:, :, None] * (left.T @ y))
    dof = torch.where(kept, squares / (squares + lam[:, None]).clamp_min(torch.finfo(torch.float64).tiny), 0.0).sum(1)
    residual = (matrix @ weights - y).square().mean(dim=(1, 2))
    return RidgePath(lam, weights, residual, dof, weights.flatten(1).norm(dim=1))


def leave_one_out_weights(features: Tensor, targets: Tensor, ridges: Tensor) -> Tensor:
    """Weights (k,) of the ridge, among ridges (r,) > 0, of the least leave-one-out error on features (n, k) and targets (n,).

    Left out, example i has its residual over 1 less its entry of the hat matrix. `kernel_rules.leave_one_out_ridge` does it from kernels.
    """
    u, s, v = torch.linalg.svd(features, full_matrices=False)
    kept = s.square() / (s.square() + ridges[:, None])
    along = kept * (u.T @ targets)
    errors = ((targets - along @ u.T) / (1.0 - kept @ u.T.square())).square().mean(1)
    weights: Tensor = v.T @ (along[errors.argmin()] / s)
    return weights


def eigenfeature_path(inputs: Tensor, targets: Tensor, values: Tensor, mixing: Tensor | None, ridges: Tensor) -> tuple[RidgePath, Tensor]:
    """The path on k Gaussian mixtures of a kernel's eigenfunctions, and what is learned of each eigenfunction, (m, r).

    `inputs` (n, m) are the eigenfunctions at the examples, `values` (m,) the eigenvalues, `mixing` (k, m) ~ N(0, 1): features are
    x sqrt(values) mixing^T / sqrt(k). Without mixing k is infinite: kernel ridge regression. The excess risk at orthonormal eigenfunctions
    is the squared distance of the learned coefficients to the target's, with no sample of test points.
    """
    scale = values.double().sqrt()
    if mixing is None:
        path = ridge_path(inputs * scale, targets, ridges)
        return path, scale[:, None] * path.weights[:, :, 0].T
    narrowed = mixing.double() / len(mixing) ** 0.5
    path = ridge_path((inputs * scale) @ narrowed.T, targets, ridges)
    return path, scale[:, None] * (narrowed.T @ path.weights[:, :, 0].T)


@dataclass(frozen=True)
class Fits:
    """Ridge regression on drawn features of one data set, for r ridges."""

    path: RidgePath
    validation: Tensor
    """(r,): mean squared error on noisy examples that took no part in the fits."""
    test: Tensor
    """(r,): the same on all new data, with their noise."""

    def best(self, allowed: Tensor) -> tuple[float, float, float, float]:
        """The ridge that is best on validation of those `allowed` (r,), and its training, validation and test error."""
        at = int(torch.where(allowed, self.validation, torch.inf).argmin())
        ridge, train, validation, test = (float(of[at]) for of in (self.path.ridges, self.path.train_error, self.validation, self.test))
        return ridge, train, validation, test


def simulated(
    task: Spectrum, normal: Callable[..., Tensor], examples: int, features: int, fresh: int, ridges: Tensor, *, draw: int = 0
) -> Fits:
    """Fits to a task of Gaussian eigenfunctions, whose errors the eigenframework gives; of infinitely many features for `features` = 0.

    `normal(purpose, rows, columns)` draws N(0, 1) in float64: inputs, features and noise of examples and of `fresh` ones to validate.
    Purposes of the draw 2 end in "-2".
    """

    def labelled(purpose: str, count: int) -> tuple[Tensor, Tensor]:
        x = normal(f"{purpose}-{draw}", count, len(task.values))
        return x, x @ target.to(x.device) + task.noise**0.5 * normal(f"{purpose}-noise-{draw}", count, 1)[:, 0]

    target = torch.from_numpy(task.signal**0.5)
    (inputs, wanted), (others, held_out) = labelled("examples", examples), labelled("validation", fresh)
    mixing = normal(f"features-{draw}", features, len(task.values)) if features else None
    path, learned = eigenfeature_path(inputs, wanted, torch.from_numpy(task.values).to(inputs.device), mixing, ridges)
    validation = (others @ learned - held_out[:, None]).square().mean(0)
    return Fits(path, validation, (learned - target.to(inputs.device)[:, None]).square().sum(0) + task.noise)


def relu_features(inputs: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(n, count) features sqrt(2 / count) relu(<w, x>), w ~ N(0, I): their Gram matrix tends to the arc-cosine kernel of order 1.

    Of one stream, fewer features are the first of more, but for the factor.
    """
    weights = torch.randn(count, inputs.shape[1], generator=generator, dtype=torch.float64).to(inputs.device)
    features: Tensor = (inputs.double() @ weights.T).relu() * (2.0 / count) ** 0.5
    return features


def relu_fits(parts: Sequence[tuple[Tensor, Tensor]], classes: int, count: int, generator: torch.Generator, ridges: Tensor) -> Fits:
    """Fits of one-hot targets, less their mean in training, to `relu_features` of inputs over the root of their dimension.

    `parts`: inputs (n, ...) and labels (n,) for training, to validate and to test on.
    """
    inputs = torch.cat([x.flatten(1) for x, _ in parts]).double()
    features = torch.split(relu_features(inputs / inputs.shape[1] ** 0.5, count, generator), [len(x) for x, _ in parts])
    targets = [torch.nn.functional.one_hot(y, classes).double() for _, y in parts]
    train, *others = zip(features, [one - targets[0].mean(0) for one in targets], strict=True)
    path = ridge_path(*train, ridges)
    return Fits(path, *(path.error(*other) for other in others))


def box_parameters(dimension: int, count: int, bandwidth: float, generator: torch.Generator) -> Tensor:
    """(count, dimension + 1) of weights and a bias, uniform in [-bandwidth, bandwidth]: of one stream fewer are the first of more."""
    return bandwidth * (2.0 * torch.rand(count, dimension + 1, generator=generator, dtype=torch.float64) - 1.0)


def box_features(inputs: Tensor, parameters: Tensor) -> Tensor:
    """(n, count) features sigmoid(<a, x> + b) of inputs (n, d)."""
    return torch.sigmoid(inputs.double() @ parameters[:, :-1].T + parameters[:, -1])


def _columns(targets: Tensor) -> Tensor:
    return targets.double().reshape(len(targets), -1)
