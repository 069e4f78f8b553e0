"""Data with structure that unlabelled examples tell: what is said of their best predictors, against samples."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.blocks import generators


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


MODEL = generators.FactorModel(torch.randn(6, 2, generator=stream(), dtype=torch.float64), torch.tensor([1.0, -0.5]).double(), 0.7)


def test_a_factor_models_best_predictor_is_the_regression_and_has_its_risk() -> None:
    data = MODEL.draw(400_000, stream(1))
    losses = (data.best(data.x) - data.y).square()
    assert abs(float(losses.mean()) - data.bayes_risk) < 4 * float(losses.std()) / math.sqrt(len(losses))
    fitted = torch.linalg.lstsq(data.x, data.y[:, None]).solution[:, 0]
    assert torch.allclose(fitted, MODEL.features @ MODEL.readout, atol=0.01)
    assert MODEL.excess(fitted) < 1e-3
    zero = torch.zeros(6, dtype=torch.float64)
    assert MODEL.excess(zero) == pytest.approx(float(data.y.var()) - MODEL.bayes_risk, rel=0.02)
    other = fitted + torch.tensor([0.3, -0.2, 0.0, 0.1, 0.0, 0.5]).double()
    assert MODEL.excess(other) == pytest.approx(float((data.x @ other - data.y).square().mean()) - data.bayes_risk, rel=0.02)


def test_second_moments_vary_as_those_of_samples() -> None:
    drawn = torch.stack([MODEL.second_moment(40, seed) for seed in range(1500)])
    samples = [MODEL.draw(40, stream(seed)).x for seed in range(1500)]
    moments = torch.stack([x.T @ x / 40 for x in samples])
    assert torch.allclose(drawn.mean(0), moments.mean(0), atol=0.08)
    assert torch.allclose(drawn.var(0), moments.var(0), rtol=0.25)
    tops = [torch.linalg.eigvalsh(of)[:, -1] for of in (drawn, moments)]
    assert float(tops[0].mean()) == pytest.approx(float(tops[1].mean()), rel=0.01)
    with pytest.raises(ValueError, match="at least as many"):
        MODEL.second_moment(5, 0)


def test_pairs_are_similar_as_often_as_their_features_say() -> None:
    features = torch.tensor([[1.0, 0.0, 0.5], [0.0, 2.0, 0.0]]).double()
    x, other, similar = generators.similar_pairs(200_000, features, stream(2))
    logits = ((x @ features.T) * (other @ features.T)).sum(1)
    for low, high in ((-3.0, -1.0), (-0.3, 0.3), (1.0, 3.0)):
        inside = (logits > low) & (logits < high)
        assert float(similar[inside].mean()) == pytest.approx(float(torch.sigmoid(logits[inside]).mean()), abs=0.01)


def test_a_rule_errs_as_often_as_is_said_and_the_best_has_the_bayes_risk() -> None:
    data = generators.gaussian_mixture(200_000, 3, 1.5, stream(3))
    direction, threshold = torch.tensor([1.0, 0.4, -0.3]).double(), 0.2
    errors = ((data.x @ direction > threshold).long() != data.y).double().mean()
    assert generators.mixture_error(direction, threshold, 1.5) == pytest.approx(float(errors), abs=0.004)
    assert generators.mixture_error(torch.tensor([2.0, 0.0, 0.0]), 0.0, 1.5) == pytest.approx(data.bayes_risk)
