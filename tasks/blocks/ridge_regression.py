"""Ridge regression on the outputs of a layer, and the gradient that the fitted weights send back to it."""

from __future__ import annotations

import torch
from torch import Tensor


def ridge(features: Tensor, targets: Tensor, decay: float) -> Tensor:
    """V = (F^T F + eta I)^-1 F^T Y, (units, outputs): the least |F V - Y|^2 + eta |V|^2, of (examples, units) and (examples, outputs)."""
    weights: Tensor = torch.linalg.solve(_shifted(features.T @ features, decay), features.T @ targets)
    return weights


def sent_back(features: Tensor, targets: Tensor, decay: float) -> Tensor:
    """-d/dF |Y - F V|^2 / 2 at V = ridge(F, Y), (examples, units): eta (F F^T + eta I)^-1 Y Y^T F (F^T F + eta I)^-1.

    Proposition 1 of 2509.21519, where it is G_F at infinity. It takes V from nowhere: only F, Y and eta.
    """
    left = torch.linalg.solve(_shifted(features @ features.T, decay), targets @ (targets.T @ features))
    sent: Tensor = decay * torch.linalg.solve(_shifted(features.T @ features, decay), left.T).T
    return sent


def _shifted(gram: Tensor, decay: float) -> Tensor:
    return gram + decay * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
