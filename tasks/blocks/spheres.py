"""Functions on the unit sphere: their slope and curvature along it, and the way up, by automatic differentiation.

Of f(w / |w|) at unit vectors the gradient is that of f along the sphere, and so is the Hessian between directions along it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

Function = Callable[[Tensor], Tensor]
"""Vectors (..., d) -> numbers (...), each of its own vector alone."""


def slopes(of: Function, points: Tensor) -> Tensor:
    """Gradients along the sphere at unit rows (points, d), (points, d); along each point they are zero."""
    return _slopes(of, points.detach().requires_grad_()).detach()


def climbed(of: Function, points: Tensor, steps: int, degree: float) -> Tensor:
    """Unit rows (points, d) after steps w <- (g + (w . g) w) / |...| of the gradient g of a function that is homogeneous of a degree.

    A fixed point is one of w <- g / |g|, where a function that is even in some coordinates may change places for ever.
    """
    for _ in range(steps):
        points = F.normalize(slopes(of, points) + 2.0 * degree * of(points)[:, None] * points, dim=1)
    return points


def curvatures(of: Function, points: Tensor) -> Tensor:
    """Largest second derivative along the sphere at unit rows (points, d), (points,); 0 where there is no positive one."""
    leaf = points.detach().requires_grad_()
    columns = _slopes(of, leaf).unbind(1)
    hessians = torch.stack([torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0] for column in columns], dim=1)
    tangent = torch.eye(points.shape[1], dtype=points.dtype, device=points.device) - points[:, :, None] * points[:, None, :]
    found: Tensor = torch.linalg.eigvalsh(tangent @ hessians @ tangent).amax(1)
    return found


def _slopes(of: Function, leaf: Tensor) -> Tensor:
    with torch.enable_grad():
        return torch.autograd.grad(of(F.normalize(leaf, dim=1)).sum(), leaf, create_graph=True)[0]
