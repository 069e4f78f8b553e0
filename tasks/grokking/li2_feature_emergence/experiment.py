"""Networks x -> (x W)^2 V on addition modulo M, the energy that their hidden units climb, and what ridge regression sends back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.algorithmic import modular
from tasks.blocks.diagnostics import frequency_power, frequency_use
from tasks.blocks.ridge_regression import ridge, sent_back
from tasks.blocks.small_models import Adam, Member, Muon, PerParameter, Run, centred_squared_error, log_spaced, train_trials
from tasks.blocks.small_networks import MLP, linear_std
from tasks.blocks.spheres import climbed, curvatures, slopes
from tasks.blocks.training import generator
from tasks.grokking.addition import adding

_QUINTICS = ((4.01, -9.22, 5.80), (3.49, -6.38, 3.23), (3.34, -6.21, 3.20), (3.64, -7.48, 4.43), (3.46, -5.35, 2.85))
MUON = PerParameter({"weight0": Muon(momentum=0.99, nesterov=False, scale="none", coefficients=_QUINTICS), "weight1": Adam()})
"""As the authors' `optim=muon`, with the quintics of their `muon_opt.py`; both layers have the same rate and decay."""


def network(method: str, modulus: int, width: int) -> MLP:
    """Weights start with the deviation of torch's Linear; the draws are the same for all methods."""
    std = (linear_std(2 * modulus), 0.0 if method == "zero-init" else linear_std(width))
    return MLP(widths=(2 * modulus, width, modulus), activation="square", std=std)


def member(trial: Trial) -> Member:
    """One network; methods of a seed share split and start."""
    p, wrong = trial.params, 1.0 if trial.method == "shuffled-labels" else 0.0
    decay = 0.0 if trial.method == "no-decay" else p.decay
    return adding(trial, p.modulus, {"train": p.fraction, "val": 0.1}, wrong=wrong, start="network", decay=decay)


def metrics(_: Trial, run: Run) -> dict[str, float]:
    """What became of one network; steps are known to 1 % of the whole training."""
    ended = run.last("train_accuracy", "val_accuracy", "test_accuracy") | {"val_area": run.mean("val_accuracy")}
    when = run.reached(steps_to_fit=("train_accuracy", 0.9), steps_to_90=("test_accuracy", 0.9))
    return ended | when | frequency_use(run.parameters["weight0"].double())


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """The program of trials that agree in method, sizes and steps."""
    p, method, logged = trials[0].params, trials[0].method, ("train_accuracy", "test_accuracy")
    net, optimizer = network(method, p.modulus, p.width), MUON if method == "muon" else Adam()
    points = [*log_spaced(p.steps), *range(0, p.steps, max(1, p.steps // 100))]
    return train_trials(trials, net, member, metrics, logged=logged, loss=centred_squared_error, optimizer=optimizer, points=points)


def energies(weights: Tensor) -> Tensor:
    """E(w) = |Y~^T (X w)^2|^2 / 2 of rows (..., 2 M) over all pairs (theorem 1); Y~ are one-hot labels less their mean."""
    inputs, labels = modular(weights.shape[-1] // 2)
    targets = F.one_hot(labels).double()
    return 0.5 * ((weights @ inputs.double().T).square() @ (targets - targets.mean(0))).square().sum(-1)


def mirror_gaps(weights: Tensor) -> Tensor:
    """Distance of v from P u or -P u, the nearer one, over |u|, of rows [u; v]; P u reads u backwards (theorem 2)."""
    u, v = weights.reshape(len(weights), 2, -1).unbind(1)
    back = u[:, -torch.arange(u.shape[1]) % u.shape[1]]
    return torch.minimum((v - back).norm(dim=1), (v + back).norm(dim=1)).div(u.norm(dim=1))


def theory(trial: Trial) -> dict[str, float]:
    """What the paper says of one hidden unit, the worst of all starts, or of the output layer on random features."""
    if trial.method == "ridge":
        return _ridge(trial)
    p, stream = trial.params, generator(trial.seed_for("starts"))
    w = F.normalize(torch.randn(p.starts, 2 * p.modulus, generator=stream, dtype=torch.float64), dim=1)
    w = climbed(energies, w, p.ascent if trial.method == "ascent" else 0, degree=4.0)
    energy = energies(w)
    found = {
        "slope": slopes(energies, w).norm(dim=1) / (4.0 * energy),
        "curvature": curvatures(energies, w) / energy,
        "frequency_gap": 1.0 - frequency_power(w.T).amax(0) * 2.0 / p.modulus,
        "published_gap": (16.0 * energy / p.modulus - 1.0).abs(),
        "derived_gap": (4.0 * energy / p.modulus - 1.0).abs(),
        "mirror_gap": mirror_gaps(w),
    }
    return {name: float(values.max()) for name, values in found.items()}


def _ridge(trial: Trial) -> dict[str, float]:
    p, (pairs, labels), stream = trial.params, modular(trial.params.modulus), generator(trial.seed_for("features"))
    rows = torch.randperm(len(pairs), generator=stream)[: len(pairs) // 2]
    hidden = (pairs[rows].double() @ network("", p.modulus, 128).initial(stream)["weight0"]).square()
    features, targets = (part - part.mean(0) for part in (hidden, F.one_hot(labels[rows], p.modulus).double()))
    output = ridge(features, targets, p.decay)
    missed = targets - features @ output
    flat, sent, wanted = p.decay * output - features.T @ missed, missed @ output.T, sent_back(features, targets, p.decay)
    return {"ridge_gap": float(flat.norm() / (features.T @ targets).norm()), "sent_gap": float((sent - wanted).norm() / sent.norm())}
