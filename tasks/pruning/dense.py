"""The dense network: trained once a seed, kept, and loaded by every method that prunes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from harness import given_files
from harness.errors import UsageError
from harness.shown import visible
from harness.trial import Trial
from tasks.blocks.convnets import Shape, convnet
from tasks.blocks.convnets.checkpoints import load_checkpoint, read_checkpoint, renormalize
from tasks.blocks.supervised import Recipe, fit
from tasks.blocks.training import generator
from tasks.pruning.measure import measured
from tasks.pruning.params import Brought, Network

CIFAR_STEPS = (81 / 200, 122 / 200, 151 / 200)
"""Milestones of the schedule of FTWT's authors, as shares of its epochs: with 200 of them what their tables were trained by."""
_STEPS = (0.5, 0.75)

_IDENTITY = ("arch", "width", "norm", "shape", "classes")
"""What a checkpoint and the network that loads it have to share."""


def train_dense(trial: Trial) -> tuple[nn.Module, dict[str, float]]:
    """Train the trial's dense network from its init stream and keep it; the network and its shared metrics."""
    model = fresh_network(trial)
    if isinstance(trial.params, Brought) and trial.params.checkpoint:
        metrics = _bring(trial, model)
    else:
        metrics = {"train_loss": fit(trial, model, dense_recipe(trial.params)).loss}
    metrics |= measured(trial, model, model)
    metrics["dense_accuracy"] = metrics["test_accuracy"]
    trial.keep(_identity(trial) | {"state": model.state_dict(), "dense_accuracy": metrics["dense_accuracy"]})
    return model, metrics


def dense_recipe(params: Network, epochs: float | None = None) -> Recipe:
    """The training of the dense network, or of as many `epochs` at its rates."""
    steps = CIFAR_STEPS if params.dense_schedule == "cifar-steps" else _STEPS
    shape = params.dense_schedule.removeprefix("cifar-")
    return Recipe(params.dense_epochs if epochs is None else epochs, params.dense_lr, shape, milestones=steps)  # type: ignore[arg-type]


def _bring(trial: Trial, model: nn.Module) -> dict[str, float]:
    """Put the user's checkpoint into `model`; nothing is trained, so there is no training loss."""
    file = given_files.located(trial.params.checkpoint)
    note = load_checkpoint(model, read_checkpoint(file), trial.params.arch)
    trial.notes.append(f"started from {visible(file.name)} (SHA-256 {trial.params.checkpoint}...): {note}")
    return {}


def fresh_network(trial: Trial, *, arch: str | None = None, width: float | None = None) -> nn.Module:
    """The untrained network on the trial's device, from the init stream that the dense network started from.

    One that stands in for a checkpoint takes its images as that was trained to.
    """
    params, (shape, classes) = trial.params, problem(trial)
    arch, width = params.arch if arch is None else arch, params.width if width is None else width
    stream = generator(trial.seed_for("init"))
    model = convnet(arch, shape=shape, num_classes=classes, width=width, norm=params.norm, stream=stream).to(trial.device)
    if isinstance(params, Brought) and params.checkpoint and params.checkpoint_inputs != "data":
        renormalize(model, trial.dataset(), params.checkpoint_inputs)
    return model


def dense_network(trial: Trial) -> nn.Module:
    """The dense network that this trial needs. UsageError naming both when what was kept is another architecture's."""
    kept, own = trial.required(), _identity(trial)
    found = {name: kept.get(name) for name in _IDENTITY} if isinstance(kept, Mapping) else {}
    if found != own or "state" not in kept:
        raise UsageError(f"the checkpoint holds {_described(found)}, this trial needs {_described(own)}")
    model = fresh_network(trial)
    model.load_state_dict(kept["state"])
    return model


def dense_accuracy(trial: Trial) -> float:
    """Test accuracy (percent) of the dense network that this trial needs, as it was measured behind its training."""
    return float(trial.required()["dense_accuracy"])


def problem(trial: Trial) -> tuple[Shape, int]:
    """Shape (channels, height, width) of an image and the number of classes."""
    images = trial.dataset()
    return tuple(images.shape), images.num_classes


def _identity(trial: Trial) -> dict[str, Any]:
    shape, classes = problem(trial)
    return {"arch": trial.params.arch, "width": trial.params.width, "norm": trial.params.norm, "shape": list(shape), "classes": classes}


def _described(identity: Mapping[str, Any]) -> str:
    if not identity.get("arch"):
        return "no network"
    norm = "with" if identity["norm"] else "without"
    shape = " x ".join(map(str, identity["shape"] or ()))
    return f"{identity['arch']} at width {identity['width']} {norm} BatchNorm ({shape} -> {identity['classes']} classes)"
