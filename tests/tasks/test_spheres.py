"""Slopes and curvatures on the sphere, of quadratic forms: known by their eigenvectors."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.blocks.spheres import climbed, curvatures, slopes
from tasks.blocks.training import generator

DRAWN = torch.randn(5, 5, generator=generator(0), dtype=torch.float64)
MATRIX = DRAWN + DRAWN.T
VALUES, VECTORS = torch.linalg.eigh(MATRIX)


def quadratic(w: Tensor) -> Tensor:
    return 0.5 * (w @ MATRIX * w).sum(-1)


def test_eigenvectors_are_stationary_and_the_top_one_is_the_maximum() -> None:
    """Along another eigenvector the second derivative is the difference of the two eigenvalues."""
    assert float(slopes(quadratic, VECTORS.T).abs().max()) < 1e-12
    wanted = torch.cat([(VALUES[-1] - VALUES[:-1]), torch.zeros(1)])
    torch.testing.assert_close(curvatures(quadratic, VECTORS.T), wanted, rtol=1e-10, atol=1e-10)


def test_elsewhere_they_are_the_derivatives_along_great_circles() -> None:
    w, v = torch.linalg.qr(torch.randn(5, 2, generator=generator(1), dtype=torch.float64)).Q.T
    step = 1e-4
    ahead, here, behind = (quadratic(torch.cos(t) * w + torch.sin(t) * v) for t in torch.tensor([step, 0.0, -step], dtype=torch.float64))
    slope = slopes(quadratic, w[None])[0]
    torch.testing.assert_close(slope @ v, (ahead - behind) / (2 * step), rtol=1e-6, atol=0.0)
    assert abs(float(slope @ w)) < 1e-12
    assert float(curvatures(quadratic, w[None])) >= float((ahead - 2 * here + behind) / step**2) - 1e-6


def test_the_way_up_a_quadratic_form_ends_at_its_top_eigenvector() -> None:
    shifted = MATRIX + 10.0 * torch.eye(5, dtype=torch.float64)
    start = torch.nn.functional.normalize(torch.randn(3, 5, generator=generator(2), dtype=torch.float64), dim=1)
    ended = climbed(lambda w: 0.5 * (w @ shifted * w).sum(-1), start, 2000, 2.0)
    torch.testing.assert_close((ended @ VECTORS[:, -1]).abs(), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(climbed(quadratic, start, 0, 2.0), start)
