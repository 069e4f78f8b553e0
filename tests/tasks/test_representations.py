"""Features that data without labels tell: against sklearn, and against those that made the data."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from tasks.blocks.generators import FactorModel, similar_pairs
from tasks.blocks.representations import pairwise, probabilistic_pca


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_features_are_those_of_the_most_likely_loadings() -> None:
    truth = FactorModel(0.2 * torch.randn(30, 3, generator=stream(1), dtype=torch.float64), torch.ones(3).double(), 0.5)
    x = truth.draw(3000, stream()).x
    found = probabilistic_pca(x.T @ x / len(x), 3)
    pca = PCA(3).fit(x.numpy())
    loadings = pca.components_.T * np.sqrt(pca.explained_variance_ - 1.0)
    expected = np.linalg.solve(loadings @ loadings.T + np.eye(30), loadings)
    assert np.allclose(found @ found.T, expected @ expected.T, atol=0.01)
    exact = probabilistic_pca(truth.loadings @ truth.loadings.T + torch.eye(30, dtype=torch.float64), 3)
    assert torch.allclose(exact @ exact.T, truth.features @ truth.features.T)


def test_pairs_tell_their_features() -> None:
    true = torch.randn(2, 10, generator=stream(), dtype=torch.float64)
    x, other, similar = similar_pairs(20_000, true, stream(1))
    found = pairwise(x, other, similar, 2)
    assert torch.allclose(found @ found.T, true.T @ true, atol=0.25)
    turned = pairwise(x, other, 1.0 - similar, 2)
    assert not torch.allclose(turned @ turned.T, true.T @ true, atol=0.5)
