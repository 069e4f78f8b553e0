"""Maximum likelihood of two gated experts, from starts near the truth, and the identity that makes one gate's parameters unidentified."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.mixtures import Experts, Gate
from tasks.blocks.training import generator, normal

TAU = 0.5
_TRUTH = [1.5, 0.3, math.log(TAU), 1.0, -1.0, 0.5, -0.5, math.log(0.3), math.log(0.4)]
"""b1, b0, log tau, a (2), c (2), log s (2): all ours, the catalogue names none."""


def truth(trial: Trial) -> Experts:
    """Where the data come from: the gate of the method, with one truth for all."""
    gate: Gate = "tanh" if trial.method == "tanh" else "softmax"
    return Experts(gate, torch.tensor(_TRUTH, dtype=torch.float64, device=trial.device))


def data(trial: Trial, model: Experts) -> tuple[Tensor, Tensor]:
    """x uniform on [-1, 1] and y, both (n,)."""
    stream = generator(trial.seed_for("data"))
    x = 2.0 * torch.rand(trial.params.examples, generator=stream, dtype=torch.float64) - 1.0
    y = Experts(model.gate, model.vector.cpu()).sample(x, stream)
    return x.to(trial.device), y.to(trial.device)


def start(trial: Trial, model: Experts) -> Experts:
    """The truth and the same normal noise for every method: tau moves by as much as the other parameters."""
    noise = trial.params.jitter * normal(trial, "start", len(_TRUTH))
    vector = model.vector + noise
    vector[2] = math.log(TAU if trial.method == "known-temperature" else abs(TAU + float(noise[2])))
    return Experts(model.gate, vector)


def gate_errors(found: Experts, model: Experts) -> Mapping[str, float]:
    """Sums of absolute errors: of b1, b0 and tau, and of what a softmax gate leaves identified, b1 / tau and b0 / tau."""
    own, true = (torch.cat([*each.parts[:2], each.parts[2].exp()]) for each in (found, model))
    ratios = own[:2] / own[2] - true[:2] / true[2]
    return {"gate_error": float((own - true).abs().sum()), "ratio_error": float(ratios.abs().sum())}


def errors(found: Experts, model: Experts) -> Mapping[str, float]:
    """Distance of the densities; and of each expert to the nearest true one (|a| + |c| + |s|), weighed by its mean gate."""
    x = torch.linspace(-1.0, 1.0, 401, dtype=torch.float64, device=found.vector.device)
    weights = torch.softmax(found.logits(x), -1).mean(0)
    own, true = (torch.stack([*each.parts[3:5], each.parts[5].exp()]) for each in (found, model))
    nearest = (own[:, :, None] - true[:, None]).abs().sum(0).min(1).values
    return {"hellinger": found.hellinger(model), "expert_error": float((weights * nearest).sum())}


def fit(trial: Trial) -> Mapping[str, float]:
    """As many experts as there are."""
    model = truth(trial)
    found, gradient = start(trial, model).maximised(*data(trial, model), keep=2 if trial.method == "known-temperature" else None)
    return {**gate_errors(found, model), **errors(found, model), "gradient": gradient}


def over(trial: Trial) -> Mapping[str, float]:
    """An expert too many: the first starts as two that share its weight."""
    model = truth(trial)
    b1, b0, log_tau, *experts = model.parts
    halved = b0 - log_tau.exp() * math.log(2.0)
    twice = torch.cat([b1, b1, halved, halved, log_tau, *(torch.cat([each[:1], each]) for each in experts)])
    begin = Experts(model.gate, twice + trial.params.jitter * normal(trial, "start", len(twice)))
    found, gradient = begin.maximised(*data(trial, model))
    return {**errors(found, model), "gradient": gradient}


def identity(trial: Trial) -> Mapping[str, float]:
    """Largest breach, over random parameters and points, of d/d log tau = -(b1 d/d b1 + b0 d/d b0) and of invariance under scaling."""
    stream, gate = generator(trial.seed_for("parameters")), truth(trial).gate
    pde, scaled = [], []
    for _ in range(trial.params.draws):
        vector = torch.tensor(_TRUTH, dtype=torch.float64) + 0.3 * torch.randn(len(_TRUTH), generator=stream, dtype=torch.float64)
        x, y = (torch.randn(64, generator=stream, dtype=torch.float64) for _ in range(2))
        jacobian = torch.func.jacrev(lambda own, x=x, y=y: Experts(gate, own).log_density(x, y))(vector)
        pde.append((jacobian[:, 2] + jacobian[:, :2] @ vector[:2]).abs().max() / jacobian[:, :3].abs().max())
        twice = torch.cat([2.0 * vector[:2], vector[2:3] + math.log(2.0), vector[3:]])
        scaled.append((Experts(gate, twice).log_density(x, y) - Experts(gate, vector).log_density(x, y)).abs().max())
    return {"residual": float(_of(pde, gate)), "scaled": float(_of(scaled, gate))}


def _of(found: list[Tensor], gate: str) -> Tensor:
    """What tells most against the gate: of an identity the largest breach, of one that must not hold the smallest."""
    return torch.stack(found).max() if gate == "softmax" else torch.stack(found).min()
