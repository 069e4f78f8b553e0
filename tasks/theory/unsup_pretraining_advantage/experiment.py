"""Pretraining by maximum likelihood on unlabelled data, then regression on the features, and regression on the inputs alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.generators import FactorModel, gaussian_mixture, mixture_error, similar_pairs
from tasks.blocks.random_features import leave_one_out_weights
from tasks.blocks.representations import pairwise, probabilistic_pca
from tasks.blocks.training import generator, normal

RIDGES = torch.logspace(-2, 5, 29, dtype=torch.float64)


def model(trial: Trial, name: str = "loadings") -> FactorModel:
    """Loadings N(0, strength^2), |beta| = 1."""
    p = trial.params
    readout = normal(trial, "readout", p.rank)
    return FactorModel(p.strength * normal(trial, name, p.dimension, p.rank), readout / readout.norm(), p.noise)


def regressed(x: Tensor, y: Tensor, features: Tensor | None) -> Tensor:
    """Weights (d,) of least squares, of least norm where there are several, on features (d, r) or on the inputs."""
    inputs = x if features is None else x @ features
    weights: Tensor = torch.linalg.pinv(inputs) @ y
    return weights if features is None else features @ weights


def learned(trial: Trial, x: Tensor, y: Tensor, features: Tensor | None) -> Tensor:
    """Weights (d,) of a method."""
    if trial.method == "zero":
        return torch.zeros(x.shape[1], dtype=torch.float64)
    return leave_one_out_weights(x, y, RIDGES) if trial.method == "ridge" else regressed(x, y, features)


def factor(trial: Trial) -> Mapping[str, float]:
    """Excess risk on all new data, mean over labelled samples; unlabelled data are of the seed."""
    p, truth = trial.params, model(trial)
    features = truth.features if trial.method == "oracle" else None
    if trial.method in ("pretrained", "elsewhere"):
        source = model(trial, "other loadings") if trial.method == "elsewhere" else truth
        features = probabilistic_pca(source.second_moment(p.unlabelled, trial.seed_for("unlabelled")), p.rank)
    stream = generator(trial.seed_for("labelled"))
    samples = [truth.draw(p.labelled, stream) for _ in range(p.draws)]
    excess = float(np.mean([truth.excess(learned(trial, data.x, data.y, features)) for data in samples]))
    return {"excess_risk": excess, "constant": p.labelled * excess / truth.bayes_risk}


def mixture(trial: Trial) -> Mapping[str, float]:
    """Excess share of errors: classes named by labels after EM without them, or the rule between the labelled classes' means."""
    p, lead = trial.params, torch.eye(trial.params.dimension, dtype=torch.float64)[0]
    stream = generator(trial.seed_for("labelled"))
    data = [gaussian_mixture(p.labelled, p.dimension, p.distance, stream) for _ in range(p.draws)]
    centres = torch.stack([-lead, lead]) * p.distance / 2
    if trial.method == "pretrained":
        free = gaussian_mixture(p.unlabelled, p.dimension, p.distance, generator(trial.seed_for("unlabelled")))
        em = GaussianMixture(2, covariance_type="spherical", n_init=3, random_state=trial.seed_for("em") % 2**32).fit(free.x.numpy())
        centres = torch.from_numpy(em.means_)
    errors = [_classified(trial.method, known.x, known.y, centres, p.distance) for known in data]
    return {"excess_risk": float(np.mean(errors)) - data[0].bayes_risk}


def _classified(method: str, x: Tensor, y: Tensor, centres: Tensor, distance: float) -> float:
    if method == "supervised":
        if y.min() == y.max():
            return 0.5
        centres = torch.stack([x[y == label].mean(0) for label in (0, 1)])
    direction, middle = centres[1] - centres[0], centres.mean(0)
    threshold = float(direction @ middle)
    turn = -1.0 if method == "pretrained" and float(((x @ direction > threshold).long() == y).double().mean()) < 0.5 else 1.0
    return mixture_error(turn * direction, turn * threshold, distance)


def contrastive(trial: Trial) -> Mapping[str, float]:
    """Excess risk of y = <beta, F x> + noise e for inputs N(0, I): the squared distance of the weights."""
    p = trial.params
    true, readout = normal(trial, "features", p.rank, p.dimension) / p.dimension**0.5, normal(trial, "readout", p.rank)
    true, readout = p.strength * true, readout / (p.strength * readout.norm())
    features, best, excess = None, true.T @ readout, []
    if trial.method == "pretrained":
        features = pairwise(*similar_pairs(p.unlabelled, true, generator(trial.seed_for("pairs"))), p.rank)
    for draw in range(p.draws):
        x = normal(trial, f"inputs {draw}", p.labelled, p.dimension)
        y = x @ best + p.noise * normal(trial, f"noise {draw}", p.labelled)
        excess.append(float((learned(trial, x, y, features) - best).square().sum()))
    return {"excess_risk": float(np.mean(excess))}
