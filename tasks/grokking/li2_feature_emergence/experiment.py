"""Networks x -> (x W)^2 V on addition modulo M, the energy that their hidden units climb, and what ridge regression sends back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from harness.censoring import reached
from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.algorithmic import corrupt, modular, split
from tasks.blocks.small_models import (
    Adam,
    Member,
    Muon,
    Optimizer,
    PerParameter,
    Run,
    centred_squared_error,
    log_spaced,
    steps_to_threshold,
    train_trials,
)
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator

_QUINTICS = ((4.01, -9.22, 5.80), (3.49, -6.38, 3.23), (3.34, -6.21, 3.20), (3.64, -7.48, 4.43), (3.46, -5.35, 2.85))
MUON = PerParameter({"weight0": Muon(momentum=0.99, nesterov=False, scale="none", coefficients=_QUINTICS), "weight1": Adam()})
"""As the authors' `optim=muon`, with the quintics of their `muon_opt.py`; both layers have the same rate and decay."""


def network(method: str, modulus: int, width: int) -> MLP:
    """Weights start with the variance of torch.nn.Linear's; the draws are the same for all methods."""
    top = 0.0 if method == "zero-init" else 1.0 / math.sqrt(3.0 * width)
    return MLP(widths=(2 * modulus, width, modulus), activation="square", std=(1.0 / math.sqrt(6.0 * modulus), top))


def member(trial: Trial) -> Member:
    """One network; methods of a seed share split and start."""
    p, seed = trial.params, trial.seed_for("network")
    inputs, truth = modular(p.modulus, encoding="index")
    splits = split(len(truth), {"train": p.fraction, "val": 0.1}, trial.seed_for("split"))
    share = 1.0 if trial.method == "shuffled-labels" else 0.0
    targets, _ = corrupt(truth, splits["train"], share, p.modulus, trial.seed_for("labels"))
    decay = 0.0 if trial.method == "no-decay" else p.decay
    return Member(seed=seed, inputs=inputs, targets=targets, truth=truth, splits=splits, lr=p.lr, decay=decay, steps=p.steps)


def metrics(_: Trial, run: Run) -> dict[str, float]:
    """What became of one network; steps are known to 1 % of the whole training."""
    power = frequency_power(run.parameters["weight0"].double())
    strongest = torch.where(power == power.amax(0), power, 0.0)
    held = strongest.sum(1)
    steps, accuracy = (torch.tensor(values, dtype=torch.float64) for values in (run.steps, run.measured["val_accuracy"]))
    return {
        **{f"{name}_accuracy": run.measured[f"{name}_accuracy"][-1] for name in ("train", "val", "test")},
        "val_area": float(torch.trapezoid(accuracy, steps) / steps[-1]),
        **reached("steps_to_fit", *steps_to_threshold(run.curve("train_accuracy"), 0.9)),
        **reached("steps_to_90", *steps_to_threshold(run.curve("test_accuracy"), 0.9)),
        "frequency_share": float(strongest.sum() / power.sum()),
        "frequencies": float(held.sum().square() / held.square().sum() / len(held)),
    }


def frequency_power(weights: Tensor) -> Tensor:
    """Power of columns [u; v] of (2 M, units) at the frequencies 1 ... M // 2 of u and v together, (frequencies, units)."""
    power: Tensor = torch.fft.rfft(weights.reshape(2, -1, weights.shape[1]), dim=1)[:, 1:].abs().square().sum(0)
    return power


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """The program of trials that agree in method, sizes and steps."""
    first, p = trials[0], trials[0].params
    optimizer: Optimizer = MUON if first.method == "muon" else Adam()
    points, logged = sorted({*log_spaced(p.steps), *range(0, p.steps, max(1, p.steps // 100))}), ("train_accuracy", "test_accuracy")
    networks = network(first.method, p.modulus, p.width)
    return train_trials(trials, networks, member, metrics, logged=logged, loss=centred_squared_error, optimizer=optimizer, points=points)


def whole_group(modulus: int) -> tuple[Tensor, Tensor]:
    """All pairs as concatenated one-hot vectors (M^2, 2 M), and one-hot targets less their mean (M^2, M); float64."""
    inputs, labels = modular(modulus)
    targets = F.one_hot(labels, modulus).double()
    return inputs.double(), targets - targets.mean(0)


def energies(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """E(w) = |Y~^T (X w)^2|^2 / 2 of rows (..., 2 M) (theorem 1)."""
    return 0.5 * ((weights @ inputs.T).square() @ targets).square().sum(-1)


def gradients(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """Of the energies, (starts, 2 M); as E is of degree four, w . grad E = 4 E."""
    hidden = weights @ inputs.T
    return 2.0 * ((hidden.square() @ targets) @ targets.T * hidden) @ inputs


def hessians(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """Of the energies, (starts, 2 M, 2 M)."""
    hidden = weights @ inputs.T
    pull, pushed = (hidden.square() @ targets) @ targets.T, (hidden[:, None] * inputs.T) @ targets
    return 2.0 * (pull[:, None] * inputs.T) @ inputs + 4.0 * pushed @ pushed.mT


def theory(trial: Trial) -> dict[str, float]:
    """What the paper says of one hidden unit, the worst of all starts, or of the output layer on random features."""
    if trial.method == "ridge":
        return _ridge(trial)
    p, (inputs, targets), stream = trial.params, whole_group(trial.params.modulus), generator(trial.seed_for("starts"))
    w = F.normalize(torch.randn(p.starts, 2 * p.modulus, generator=stream, dtype=torch.float64), dim=1)
    for _ in range(p.ascent if trial.method == "ascent" else 0):
        # By the gradient alone u and v would change places for ever; a fixed point of the sum is one of the gradient.
        slope = gradients(w, inputs, targets)
        w = F.normalize(slope + (w * slope).sum(1, keepdim=True) * w, dim=1)
    energy, slope, hessian = (of(w, inputs, targets) for of in (energies, gradients, hessians))
    tangent = torch.eye(2 * p.modulus, dtype=w.dtype) - w[:, :, None] * w[:, None, :]
    along = 4.0 * energy[:, None]
    found = {
        "slope": (slope - along * w).norm(dim=1) / (4.0 * energy),
        "curvature": torch.linalg.eigvalsh(tangent @ hessian @ tangent - along[:, :, None] * tangent).amax(1) / energy,
        "frequency_gap": 1.0 - frequency_power(w.T).amax(0) * 2.0 / p.modulus,
        "published_gap": (16.0 * energy / p.modulus - 1.0).abs(),
        "derived_gap": (4.0 * energy / p.modulus - 1.0).abs(),
        "mirror_gap": mirror_gaps(w),
    }
    return {name: float(values.max()) for name, values in found.items()}


def mirror_gaps(weights: Tensor) -> Tensor:
    """Distance of v from P u or -P u, the nearer one, over |u|, of rows [u; v]; P u reads u backwards (theorem 2)."""
    u, v = weights.reshape(len(weights), 2, -1).unbind(1)
    back = u[:, -torch.arange(u.shape[1]) % u.shape[1]]
    gaps: Tensor = torch.minimum((v - back).norm(dim=1), (v + back).norm(dim=1)) / u.norm(dim=1)
    return gaps


def _ridge(trial: Trial) -> dict[str, float]:
    p, (pairs, labels), stream = trial.params, whole_group(trial.params.modulus), generator(trial.seed_for("features"))
    rows = torch.randperm(len(pairs), generator=stream)[: len(pairs) // 2]
    hidden = (pairs[rows] @ network("", p.modulus, 128).initial(stream)["weight0"]).square()
    features, targets = (part - part.mean(0) for part in (hidden, labels[rows]))
    output, limit = ridge(features, targets, p.decay)
    flat = features.T @ (features @ output - targets) + p.decay * output
    sent = (targets - features @ output) @ output.T
    return {"ridge_gap": float(flat.norm() / (features.T @ targets).norm()), "sent_gap": float((sent - limit).norm() / sent.norm())}


def ridge(features: Tensor, targets: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """V_ridge = (F^T F + eta I)^-1 F^T Y, and G_F(infinity) = eta (F F^T + eta I)^-1 Y Y^T F (F^T F + eta I)^-1 (proposition 1)."""
    wide, tall = (gram + decay * torch.eye(len(gram), dtype=gram.dtype) for gram in (features.T @ features, features @ features.T))
    signal = targets @ (targets.T @ features)
    return torch.linalg.solve(wide, features.T @ targets), decay * torch.linalg.solve(wide, torch.linalg.solve(tall, signal).T).T
