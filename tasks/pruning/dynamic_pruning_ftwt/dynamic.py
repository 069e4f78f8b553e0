"""Train a gated network from the dense one, and measure what it would save and how well its masks are predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.complexity import multiply_adds, parameters
from tasks.blocks.convnets import units
from tasks.blocks.optim import sgd
from tasks.blocks.supervised import evaluate, fit
from tasks.blocks.training import Trained, generator
from tasks.datasets.images import spread
from tasks.pruning.dense import dense_accuracy, dense_network, problem
from tasks.pruning.dynamic_pruning_ftwt.budget import Plan, plan_for_level, plan_for_reduction
from tasks.pruning.dynamic_pruning_ftwt.flops import cost
from tasks.pruning.dynamic_pruning_ftwt.gates import AnyPredictor, GatedNetwork, gated
from tasks.pruning.dynamic_pruning_ftwt.masks import Rule
from tasks.pruning.dynamic_pruning_ftwt.methods import GATED, Gated
from tasks.pruning.dynamic_pruning_ftwt.predictor import ConstantPredictor, Predictor
from tasks.pruning.dynamic_pruning_ftwt.recipe import after_dense, level_batch
from tasks.pruning.measure import latencies

_EVAL_BATCH = 256


def run(trial: Trial) -> dict[str, float]:
    """Metrics of a dynamic method."""
    dense = dense_network(trial)
    size = multiply_adds(dense, problem(trial)[0])
    network = build(trial, GATED[trial.method])
    plan = planned(trial, network, size)
    network.set_rule(plan.rule)
    trained = learn(trial, network)
    if trained.diverged:
        return {"val_loss": math.nan}
    network.watch(False)
    metrics = evaluate(trial, network, "val") | evaluate(trial, network, "test") | savings(trial, network, size)
    metrics |= {"train_loss": trained.loss, "level": plan.rule.level, "predicted_reduction": plan.predicted_reduction}
    metrics |= {"parameters": float(parameters(network)), "parameters_kept": 100.0 * parameters(network) / parameters(dense)}
    metrics |= {"dense_accuracy": dense_accuracy(trial)} | latencies(trial, network.watch(False), dense)
    return metrics | {"accuracy_drop": metrics["dense_accuracy"] - metrics["test_accuracy"]}


def build(trial: Trial, design: Gated) -> GatedNetwork:
    """The dense network behind gates: one around every convolution but those of shortcuts, as the authors have it."""
    backbone, stream = dense_network(trial), generator(trial.seed_for("predictors"))

    def make(channels: int, filters: int) -> AnyPredictor | None:
        if design.predictor == "oracle":
            return None
        if design.predictor == "constant":
            return ConstantPredictor(channels, filters, generator=stream)
        return Predictor(channels, filters, pool=design.pool, softmax=design.softmax, generator=stream)

    inside = {name: (unit, unit.conv) for name, unit in units(backbone).items()}
    start = Rule(design.rule, 1.0 if design.rule == "mass" else 0.0)
    return gated(backbone, inside, start, make, always_on=_is_shortcut, joint=design.joint).to(trial.device)


def _is_shortcut(name: str) -> bool:
    return name.endswith("shortcut")


def planned(trial: Trial, network: GatedNetwork, dense: int) -> Plan:
    """The ground truth's level: as given, or for the wanted reduction, on training images."""
    params, design, images = trial.params, GATED[trial.method], level_batch(trial)[0]
    if params.threshold > 0:
        return plan_for_level(network, images, dense, Rule(design.rule, params.threshold))
    return plan_for_reduction(network, images, dense, design.rule, params.reduction)


def learn(trial: Trial, network: GatedNetwork) -> Trained:
    """Cross-entropy of the masked network; the mask loss beside it until the cooldown, when the predictors stop.

    A rate of its own for the predictors, without decay and constant whatever the backbone's schedule does.
    """
    params, recipe = trial.params, after_dense(trial.params)
    images = trial.dataset()
    count = len(spread(images.count("train"), params.train_images or images.count("train")))
    learning = params.cooldown * recipe.schedule(count, params.batch).steps
    predictors = network.predictor_parameters()
    groups: list[dict[str, Any]] = [{"params": predictors, "lr": params.mask_lr, "weight_decay": 0.0}] if predictors else []
    optimizer = sgd(network, params.lr, decay=params.decay, groups=groups)

    def keep_rate(optimizer: torch.optim.Optimizer, *_: object) -> None:
        for group in optimizer.param_groups[1:]:
            group["lr"] = group["initial_lr"]

    optimizer.register_step_pre_hook(keep_rate)

    taken: int | None = None

    def loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        nonlocal taken
        assert isinstance(model, GatedNetwork)
        # A run that resumes has its count in the network; after that it is kept here, because reading it would wait for the device.
        taken = int(model.steps) if taken is None else taken + 1
        teaches = bool(predictors) and taken < learning
        total = F.cross_entropy(model.watch(teaches)(inputs).float(), targets)
        if teaches:
            total = total + model.mask_loss()
        model.steps += 1
        return total

    return fit(trial, network, recipe, loss=loss, optimizer=optimizer)


@torch.no_grad()
def savings(trial: Trial, network: GatedNetwork, dense: int) -> dict[str, float]:
    """What the test images' masks save, and how they agree with the ground truth; the constant rival is chosen on training images."""
    network.eval().watch(True)
    majority = Majority()
    network(level_batch(trial)[0])
    majority.add(network)
    constant, images = majority.masks, trial.dataset()
    rows: list[Tensor] = []
    for inputs, _ in images.batches("test", _EVAL_BATCH, trial.params.eval_images or images.count("test"), trial.device):
        network(inputs)
        spent = cost(network, inputs)
        rows.append(torch.stack([spent.multiply_adds, spent.as_published, *agreement(network, constant), empty_share(network)]).cpu())
    every = torch.cat(rows, dim=1)
    adds, published, own, rival, empty = every.mean(1).tolist()
    return {
        "multiply_adds": adds,
        "flops_reduction": 100.0 * (1.0 - adds / dense),
        "flops_reduction_as_published": 100.0 * (1.0 - published / dense),
        "flops_std": 100.0 * float(every[0].std(unbiased=False)) / dense,
        "mask_accuracy": 100.0 * own,
        "constant_mask_accuracy": 100.0 * rival,
        "empty_layers": 100.0 * empty,
    }


@dataclass
class Majority:
    """Per layer and filter, how often the ground truth keeps it: what the best constant predictor is made of."""

    kept: dict[str, Tensor] = field(default_factory=dict)
    inputs: int = 0

    def add(self, network: GatedNetwork) -> None:
        """Count the targets of the last masked pass."""
        for name, target in targets(network).items():
            self.kept[name] = self.kept.get(name, 0) + target.sum(0)
        self.inputs += len(target)

    @property
    def masks(self) -> dict[str, Tensor]:
        """The mask of each layer, (filters,): on where the filter is kept for more than half the inputs."""
        return {name: count * 2 > self.inputs for name, count in self.kept.items()}


def targets(network: GatedNetwork) -> dict[str, Tensor]:
    """Ground truth of the last masked pass, by gate."""
    return {name: gate.target for name, gate in network.gates.items() if gate.rule is not None}


def agreement(network: GatedNetwork, constant: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Shares of filters right, mean over layers, of each input (batch,): by the gates' masks, and by the constant masks."""
    own = [(network.gates[name].mask == target).double().mean(1) for name, target in targets(network).items()]
    other = [(constant[name] == target).double().mean(1) for name, target in targets(network).items()]
    return torch.stack(own).mean(0), torch.stack(other).mean(0)


def empty_share(network: GatedNetwork) -> Tensor:
    """Share of the switched layers that keep nothing, of each input (batch,)."""
    return torch.stack([~gate.mask.any(1) for gate in network.switched]).double().mean(0)
