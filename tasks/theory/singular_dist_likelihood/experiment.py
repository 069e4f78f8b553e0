"""Generative models trained by likelihood on points of a curve, and how far the law of g(z) is from that of the points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.autoencoders import GaussianVAE, negative_bound
from tasks.blocks.curves import CurveLaw, Points
from tasks.blocks.small_models import Adam, Member, Run, train_trials
from tasks.blocks.training import generator
from tasks.blocks.transport import wasserstein_1
from tasks.theory.singular_dist_likelihood.task import VAES

SIGMA, FREE = 0.01, 0.5
"""Sigma where nothing is added to the data, close to singular; where a learned one starts."""


def run_batch(trials: Sequence[Trial]) -> Iterator[Progress]:
    """Models of one shape; a trial without a model comes by itself."""
    if trials[0].method not in VAES:
        yield from ((trial, distances(trial, _sampled(trial))) for trial in trials)
        return
    how = {"loss": negative_bound, "optimizer": Adam(), "points": (), "at_once": 64, "dtype": torch.float64}
    yield from train_trials(trials, network(trials[0]), member, metrics, **how)  # type: ignore[arg-type]


def network(trial: Trial) -> GaussianVAE:
    """Of a trial's shape."""
    return GaussianVAE(dimension=trial.params.ambient, latent=trial.params.latent, width=trial.params.width)


def law(trial: Trial) -> CurveLaw:
    """The law that the data are drawn from: the same for all methods and noise levels of a seed."""
    return CurveLaw.drawn(trial.params.curve, trial.params.ambient, _stream(trial, "plane"))


def member(trial: Trial) -> Member:
    """Noise is added to the data once, or by every step anew. Adam does not see the scale of a loss: the rate is one for every sigma."""
    p, learned = trial.params, trial.method in ("learned", "learned-raw")
    noise = 0.0 if trial.method in ("raw", "learned-raw") else p.noise
    once, anew = (0.0, noise) if trial.method == "redrawn" else (noise, 0.0)
    data = torch.from_numpy(_data(trial))
    drawn = torch.randn(data.shape, generator=generator(trial.seed_for("noise")), dtype=torch.float64)
    return Member(
        seed=trial.seed_for("network"),
        inputs=data + once * drawn,
        targets=torch.zeros(p.examples, 1, dtype=torch.float64),
        splits={"train": torch.ones(p.examples, dtype=torch.bool)},
        lr={name: p.lr * (learned or name != "log_sigma") for name in network(trial).initial(generator(0))},
        steps=p.steps,
        batch=min(p.batch, p.examples),
        fixed={"sigma": FREE if learned else math.hypot(SIGMA, noise), "instance": anew},
    )


def metrics(trial: Trial, run: Run) -> Mapping[str, float]:
    """Distances of g(z), and sigma after training."""
    z = torch.randn(trial.params.points, trial.params.latent, generator=generator(trial.seed_for("latent")), dtype=torch.float64)
    sigma = float(member(trial).fixed["sigma"] * run.parameters["log_sigma"].exp())
    return {**distances(trial, network(trial).generate(run.parameters, z).numpy()), "sigma": sigma}


def distances(trial: Trial, made: Points) -> Mapping[str, float]:
    """W1 of a sample (points, ambient) to held-out data, which selects, and to equally spaced points of the curve; NaN if it diverged."""
    if not np.isfinite(made).all():
        return {"val_w1": math.nan, "test_w1": math.nan}
    held_out = law(trial).sample(len(made), _stream(trial, "validation"))
    return {"val_w1": wasserstein_1(made, held_out), "test_w1": wasserstein_1(made, law(trial).quantised(len(made)))}


def _data(trial: Trial) -> Points:
    return law(trial).sample(trial.params.examples, _stream(trial, "data"))


def _sampled(trial: Trial) -> Points:
    """Without a model: as many new points of the law, or of the training data."""
    new = law(trial).sample(trial.params.points, _stream(trial, "truth"))
    rows: Points = _stream(trial, "rows").choice(_data(trial), trial.params.points)
    return new if trial.method == "truth" else rows


def _stream(trial: Trial, purpose: str) -> np.random.Generator:
    return np.random.default_rng(trial.seed_for(purpose))
