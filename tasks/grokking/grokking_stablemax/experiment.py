"""ReLU networks on modular addition: how late they generalise, and how much of softmax's loss is lost to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from harness.censoring import reached
from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.algorithmic import corrupt, modular, split
from tasks.blocks.small_losses import Loss, cross_entropy, cross_entropy_in, stablemax_cross_entropy
from tasks.blocks.small_members import Member, Run, View, log_spaced, steps_to_threshold
from tasks.blocks.small_models import train_trials
from tasks.blocks.small_networks import MLP
from tasks.blocks.small_optimizers import AdamW, perp_grad
from tasks.grokking.grokking_stablemax.claims import DTYPES, FIT, FLOOR, GENERALISED, PERP, ROLLED, SOFTMAX16, SOFTMAX64, STABLEMAX

LOSSES: Mapping[str, Loss] = {
    STABLEMAX: stablemax_cross_entropy,
    SOFTMAX16: cross_entropy_in(torch.float16),
    SOFTMAX64: cross_entropy_in(torch.float64),
}
CURVES = ("train_accuracy", "test_accuracy", "alignment", *(f"collapse_{name}" for name in DTYPES))


def beside_rolled(parameter: Tensor, gradient: Tensor) -> Tensor:
    """perp-Grad against another direction: the same weights, each one place further along."""
    rolled = parameter.flatten(1).roll(1, 1).reshape(parameter.shape)
    return perp_grad(rolled, gradient)


def network(trial: Trial) -> MLP:
    """2 p one-hot inputs, two hidden layers, no bias; U(-1, 1) / sqrt(fan in) of torch's Linear has the standard deviation 1 / sqrt(3)."""
    p = trial.params
    return MLP(widths=(2 * p.p, p.width, p.width, p.p), gain=1.0 / math.sqrt(3.0))


def member(trial: Trial) -> Member:
    """A trial as a member; the methods of a seed share start and split."""
    p = trial.params
    inputs, truth = modular(p.p, encoding="index")
    splits = split(len(inputs), {"train": p.fraction, "val": p.held_out}, trial.seed_for("split"))
    everything = torch.ones(len(inputs), dtype=torch.bool)
    targets = corrupt(truth, everything, 1.0, p.p, trial.seed_for("labels"))[0] if trial.method == FLOOR else truth
    return Member(
        seed=trial.seed_for("init"), inputs=inputs, targets=targets, truth=truth, splits=splits, lr=p.lr, decay=p.decay, steps=p.steps
    )


def collapse(outputs: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether the sum of softmax is its own term of the class, by example (equation 2): its gradient is then exactly zero."""
    z = outputs.to(dtype)
    powers = (z - z.amax(-1, keepdim=True)).exp()
    # torch adds halves in float32 on a CPU: the sum is rounded to the arithmetic that it stands for.
    total = powers.to(torch.promote_types(dtype, torch.float32)).sum(-1).to(dtype)
    return total == powers.gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def observe(net: MLP, inputs: Tensor, view: View) -> dict[str, Tensor]:
    """Softmax collapse of the training examples in each arithmetic, and how far the last layer's descent points along its weights."""
    train, last = view.splits["train"], view.parameters["weight2"]
    numbers = {
        f"collapse_{name}": view.mean(collapse(view.outputs, view.targets, getattr(torch, name)).to(view.outputs.dtype), "train")
        for name in DTYPES
    }
    hidden = torch.func.vmap(lambda own: net.hidden(own, inputs, {}))(view.parameters).double()
    missed = view.outputs.double().softmax(-1)
    missed = missed.scatter_add(-1, view.targets.unsqueeze(-1), -torch.ones_like(missed[..., :1])) * train.unsqueeze(-1)
    descent = -(hidden.transpose(-1, -2) @ missed).flatten(1)
    norm = torch.linalg.vector_norm(torch.cat([weight.flatten(1) for weight in view.parameters.values()], dim=1), dim=1)
    return {**numbers, "alignment": torch.cosine_similarity(descent, last.double().flatten(1), dim=1, eps=1e-300), "norm": norm}


def points(steps: int) -> list[int]:
    """Every twentieth of the way and the beginning in between: thresholds are read off these."""
    return sorted({*log_spaced(steps, 6), *(round(steps * part / 40) for part in range(41))})


def metrics(_trial: Trial, run: Run) -> Mapping[str, float]:
    """Numbers after the last step, and when thresholds were passed."""
    last = {name: run.measured[name][-1] for name in ("train_accuracy", "val_accuracy", "test_accuracy", "train_loss", "alignment")}
    last |= {f"collapse_{name}": run.measured[f"collapse_{name}"][-1] for name in DTYPES}
    last |= {
        "norm_ratio": run.measured["norm"][-1] / run.measured["norm"][0],
        "alignment_rise": last["alignment"] - run.measured["alignment"][0],
    }
    last |= reached("fit_steps", *steps_to_threshold(run.curve("train_accuracy"), FIT))
    last |= reached("steps", *steps_to_threshold(run.curve("test_accuracy"), GENERALISED))
    for name in DTYPES:
        last |= reached(f"steps_{name}", *steps_to_threshold(run.curve(f"collapse_{name}"), 0.5))
    return last


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """The experiment's program."""
    net, p = network(trials[0]), trials[0].params
    inputs, _ = modular(p.p, encoding="index")
    gradients: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {PERP: perp_grad, FLOOR: perp_grad, ROLLED: beside_rolled}
    return train_trials(
        trials,
        net,
        member,
        metrics,
        logged=CURVES,
        loss=LOSSES.get(trials[0].method, cross_entropy),
        optimizer=AdamW((0.9, p.beta2), p.eps),
        points=points(p.steps),
        observe=partial(observe, net, inputs.to(trials[0].device)),
        gradient=gradients.get(trials[0].method),
    )


def threshold(trial: Trial) -> Mapping[str, float]:
    """The gap between two logits from which on their softmax has collapsed, by bisection; above log(2 / eps) half a unit is lost."""
    dtype = getattr(torch, trial.params.dtype)
    low, high = 0.0, 64.0
    for _ in range(60):
        middle = (low + high) / 2.0
        z = torch.tensor([0.0, -middle], dtype=torch.float64)
        low, high = (low, middle) if bool(collapse(z, torch.tensor(0), dtype)) else (middle, high)
    closed = math.log(2.0 / torch.finfo(dtype).eps)
    return {"gap": high, "gap_error": high / closed - 1.0}
