"""The rule's level for a wanted FLOPs reduction, and the reduction it predicts: before training, from the dense network's activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harness.errors import UsageError
from tasks.pruning.dynamic_pruning_ftwt.flops import cost
from tasks.pruning.dynamic_pruning_ftwt.gates import GatedNetwork
from tasks.pruning.dynamic_pruning_ftwt.masks import Rule

_STEPS = 12
"""Halvings of (0, 1): the level to 0.00025."""


@dataclass(frozen=True)
class Plan:
    """A rule, and the percentage of the dense network's multiply-adds that its ground truth would save on the images it was found on."""

    rule: Rule
    predicted_reduction: float


@torch.no_grad()
def predict(network: GatedNetwork, images: Tensor, dense: int) -> Callable[[Rule], Plan]:
    """From a rule to its plan, over `images`, for a network whose multiply-adds are `dense` when nothing is switched.

    The ground truth is that of the open network: what its layers see when nothing before them is switched.
    """
    network.set_mode("open").eval()
    network(images)
    seen = [(gate, gate.peaks) for gate in network.switched]
    network.set_mode("masked")

    def plan(rule: Rule) -> Plan:
        for gate, peaks in seen:
            gate.mask = rule(peaks)
        return Plan(rule, 100.0 * (1.0 - float(cost(network, images).multiply_adds.mean()) / dense))

    return plan


def plan_for_level(network: GatedNetwork, images: Tensor, dense: int, rule: Rule) -> Plan:
    """The plan of a given rule. UsageError where it leaves a layer without a filter on every image."""
    plan = predict(network, images, dense)(rule)
    _refuse_empty(network, rule)
    return plan


def plan_for_reduction(network: GatedNetwork, images: Tensor, dense: int, kind: Literal["mass", "uniform"], reduction: float) -> Plan:
    """The plan that keeps most among those predicted to save at least the share `reduction`, by bisection.

    UsageError, with the reach, where no level of the rule saves so much, or only by leaving some layer without any filter.
    """
    predicted = predict(network, images, dense)
    low, high = 2.0**-_STEPS, 1.0 if kind == "mass" else 1.0 - 2.0**-_STEPS
    keep, drop = (high, low) if kind == "mass" else (low, high)
    best = predicted(Rule(kind, keep))
    if best.predicted_reduction < 100.0 * reduction:
        best = predicted(Rule(kind, drop))
        if best.predicted_reduction < 100.0 * reduction:
            raise UsageError(_unmet(reduction, best.predicted_reduction))
        for _ in range(_STEPS):
            middle = predicted(Rule(kind, (keep + drop) / 2.0))
            if middle.predicted_reduction < 100.0 * reduction:
                keep = middle.rule.level
            else:
                best, drop = middle, middle.rule.level
    predicted(best.rule)
    _refuse_empty(network, best.rule)
    return best


def _unmet(reduction: float, reach: float) -> str:
    return f"a FLOPs reduction of {reduction:.0%} cannot be met: with its predictors this network saves at most {reach:.1f} %"


def _refuse_empty(network: GatedNetwork, rule: Rule) -> None:
    """A layer that is empty on some inputs is the paper's rule; one that is empty on all of them passes nothing on to learn from."""
    empty = [name for name, gate in network.gates.items() if gate.rule is not None and not bool(gate.mask.any())]
    if empty:
        names = ", ".join(empty)
        raise UsageError(
            f"the {rule.kind} rule at level {rule.level:.3g} leaves no filter on any input in {names}: choose a milder reduction"
        )
