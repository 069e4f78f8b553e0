"""Time training steps of one method against those of the GELU MLP, in turns within the trial, and the rounding of its gradients.

The seconds are those of the machine and of what else runs on it. A ratio of steps that follow each other within milliseconds is much
steadier: whatever slows one slows the other.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from kernels.group_rational.reference import group_rational_reference
from tasks.blocks.backends import recorded
from tasks.blocks.training import generator, precision
from tasks.kan.kat_group_rational.experiment import optimizer
from tasks.kan.kat_group_rational.methods import BASELINE, DESIGNS
from tasks.kan.kat_group_rational.mlp import GroupRational, RationalMLP, SplineMLP, make_mlp
from tasks.kan.kat_group_rational.problems import Problem, problem_of
from tasks.kan.kat_group_rational.spline import cubic_bases

_WARM_UP = 3
_SHORTER = 5
"""An activation takes a small part of a step: more rounds in the same time."""


@recorded
def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of a timing; the record says which implementation of the rational it used."""
    return measured(trial, problem_of(trial))


def measured(trial: Trial, problem: Problem) -> dict[str, float]:
    """Medians over `rounds` steps of each network on one batch, and of the activation alone at the width of the hidden layer."""
    batch = problem.batch(generator(trial.seed_for("batches")))
    inputs, targets = (tensor.to(trial.device) for tensor in batch)
    own, other = (_step(trial, problem, method, inputs, targets) for method in (trial.method, BASELINE))
    seconds, ratio = in_turns(own, other, rounds=trial.params.rounds, device=trial.device)
    metrics = {"step_seconds": seconds, "step_ratio": ratio}
    activation = _activation(trial)
    if activation is None:
        return metrics
    x = torch.randn(problem.tokens, 4 * trial.params.width, generator=generator(trial.seed_for("activations"))).to(trial.device)
    if isinstance(activation, GroupRational):
        metrics["coefficient_gradient_error"] = gradient_error(activation, x)
    own, other = _both_ways(activation, x), _both_ways(F.gelu, x)
    _, ratio = in_turns(own, other, rounds=_SHORTER * trial.params.rounds, device=trial.device)
    return metrics | {"activation_ratio": ratio}


def _step(trial: Trial, problem: Problem, method: str, inputs: Tensor, targets: Tensor) -> Callable[[], object]:
    """One training step: forward, backward, optimizer."""
    model = problem.build(trial, method)
    stepper = optimizer(trial, model)

    def step() -> None:
        stepper.zero_grad(set_to_none=True)
        with precision(trial.device, trial.params.precision):
            logits = model(inputs)
        problem.train_loss(logits, targets).backward()  # type: ignore[no-untyped-call]
        stepper.step()

    return step


def _activation(trial: Trial) -> Callable[[Tensor], Tensor] | None:
    """What the method has in GELU's place; None where it has none of its own."""
    mlp = make_mlp(DESIGNS[trial.method], trial.params.width, trial.params.groups).to(trial.device)
    if isinstance(mlp, RationalMLP):
        return mlp.act2
    return cubic_bases if isinstance(mlp, SplineMLP) else None


def _both_ways(function: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], object]:
    """Forward and backward of a function alone, to its input and its parameters."""
    leaf = x.detach().requires_grad_()
    parameters = list(function.parameters()) if isinstance(function, nn.Module) else []
    upstream = torch.ones_like(function(leaf))
    return lambda: torch.autograd.grad(function(leaf), [leaf, *parameters], upstream)


def in_turns(own: Callable[[], object], other: Callable[[], object], *, rounds: int, device: str) -> tuple[float, float]:
    """Median seconds of `own`, and the median over rounds of its time over that of `other`; who goes first alternates."""
    times: list[tuple[float, float]] = []
    for turn in range(-_WARM_UP, rounds):
        if turn % 2:
            second, first = _seconds(other, device), _seconds(own, device)
        else:
            first, second = _seconds(own, device), _seconds(other, device)
        if turn >= 0:
            times.append((first, second))
    return statistics.median(first for first, _ in times), statistics.median(first / second for first, second in times)


def _seconds(function: Callable[[], object], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    function()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def gradient_error(activation: GroupRational, x: Tensor) -> float:
    """||g - g64|| / ||g64|| of the coefficients' gradients, summed over x, for a random upstream; g64 is the reference in float64."""
    upstream = torch.randn(x.shape, generator=generator(0)).to(x.device)
    parameters = [activation.numerator, activation.denominator]
    found = torch.autograd.grad(activation(x), parameters, upstream)
    exact = [parameter.detach().double().requires_grad_() for parameter in parameters]
    rational = group_rational_reference(x.double(), exact[0].expand(len(exact[1]), -1), exact[1])
    wanted = torch.autograd.grad(rational, exact, upstream.double())
    got, true = (torch.cat([gradient.double().flatten() for gradient in gradients]) for gradients in (found, wanted))
    return float((got - true).norm() / true.norm())
