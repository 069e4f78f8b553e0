"""Features of the greatest likelihood on data without labels: what pretraining finds where the data have a known structure."""

from __future__ import annotations

import torch
from torch import Tensor


def probabilistic_pca(moment: Tensor, rank: int) -> Tensor:
    """Features (d, r) for E[z | x] = features^T x at the most likely loadings U (L - I)^{1/2}: the top eigenpairs of X^T X / m."""
    values, vectors = torch.linalg.eigh(moment)
    top = values[-rank:].clamp_min(1.0 + 1e-12)
    features: Tensor = vectors[:, -rank:] * ((top - 1.0).sqrt() / top)
    return features


def pairwise(x: Tensor, other: Tensor, similar: Tensor, rank: int) -> Tensor:
    """Features (d, r) of the greatest likelihood of the pairs, from the top eigenvectors of E[(t - 1/2) x x'^T]."""
    moment = ((similar - 0.5)[:, None] * x).T @ other / len(x)
    values, vectors = torch.linalg.eigh(moment + moment.T)
    features = (vectors[:, -rank:] * (4.0 * values[-rank:]).clamp_min(1e-3).sqrt()).contiguous().requires_grad_()
    optimizer = torch.optim.LBFGS([features], max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = ((x @ features) * (other @ features)).sum(1)
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, similar)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found: Tensor = features.detach()
    return found
