"""The variational bound against torch.distributions, and laws on curves against quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch.distributions import Normal, kl_divergence

from tasks.blocks.autoencoders import GaussianVAE, negative_bound, part
from tasks.blocks.curves import CURVES, TURNS, CurveLaw
from tasks.blocks.small_models import Adam, Member, train_many
from tasks.blocks.training import generator
from tasks.blocks.transport import wasserstein_1

VAE = GaussianVAE(dimension=3, latent=2, width=8)


def member(sigma: float = 0.3, log_sigma_lr: float = 0.0) -> Member:
    x = torch.randn(20, 3, generator=generator(4), dtype=torch.float64)
    lr = {name: log_sigma_lr if name == "log_sigma" else 1e-2 for name in VAE.initial(generator(0))}
    splits = {"train": torch.ones(20, dtype=torch.bool)}
    return Member(seed=1, inputs=x, targets=x[:, :1], splits=splits, lr=lr, steps=40, batch=5, fixed={"sigma": sigma, "instance": 0.1})


def test_the_output_is_the_negative_lower_bound() -> None:
    parameters = VAE.initial(generator(0)) | {"log_sigma": torch.tensor([0.2], dtype=torch.float64)}
    clean, drawn = torch.randn(5, 3, generator=generator(1), dtype=torch.float64), VAE.noise(generator(2), 5)
    x = clean + 0.4 * drawn["added"]
    mean, log_scale = VAE.encoder(part(parameters, "encoder"), x, {}).chunk(2, -1)
    posterior = Normal(mean, log_scale.exp())
    seen = Normal(VAE.generate(parameters, mean + posterior.scale * drawn["draw"]), 0.3 * math.exp(0.2)).log_prob(x).sum(1)  # type: ignore[no-untyped-call]
    wanted = kl_divergence(posterior, Normal(torch.zeros(2), torch.ones(2))).sum(1) - seen
    fixed = {"sigma": torch.tensor(0.3, dtype=torch.float64), "instance": torch.tensor(0.4, dtype=torch.float64), **drawn}
    assert torch.allclose(negative_bound(VAE(parameters, clean, fixed), clean), wanted)


def test_sigma_moves_only_at_a_rate_of_its_own() -> None:
    fixed, learned = train_many(VAE, [member(), member(log_sigma_lr=1e-2)], loss=negative_bound, optimizer=Adam(), dtype=torch.float64)
    assert float(fixed.parameters["log_sigma"]) == 0.0 != float(learned.parameters["log_sigma"])


def test_adam_takes_the_same_steps_whatever_the_scale_of_the_loss() -> None:
    """What makes the rate equal at every sigma, where losses differ by four orders."""
    runs = [
        train_many(VAE, [member()], loss=lambda o, t, s=s: s * negative_bound(o, t), optimizer=Adam(), dtype=torch.float64)[0]  # type: ignore[misc]
        for s in (1.0, 1e4)
    ]
    assert all(torch.allclose(value, runs[1].parameters[name], atol=1e-5) for name, value in runs[0].parameters.items())


@pytest.mark.parametrize("curve", CURVES)
def test_laws_are_uniform_in_length(curve: str) -> None:
    law = CurveLaw.drawn(curve, 5, np.random.default_rng(0))
    points = law.quantised(2000)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    end = 2 * math.pi * TURNS
    length = 2 * math.pi if curve == "circle" else integrate.quad(lambda t: math.hypot(1.0, t) / end, 0.0, end)[0]
    assert np.allclose(steps[20:], length / 2000, rtol=2e-3)
    assert np.linalg.matrix_rank(points, tol=1e-9) == 2
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1.0, abs=1e-3)
    sample = law.sample(400, np.random.default_rng(1))
    assert 0.02 < wasserstein_1(sample, law.quantised(400)) < 0.15
