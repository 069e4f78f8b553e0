"""The dense network: trained once a seed, kept, and loaded by every method that prunes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks.convnets import Shape, convnet
from tasks.blocks.supervised import Recipe, fit
from tasks.blocks.training import generator
from tasks.pruning.measure import measured

_IDENTITY = ("arch", "width", "norm", "shape", "classes")
"""What a checkpoint and the network that loads it have to share."""


def train_dense(trial: Trial) -> tuple[nn.Module, dict[str, float]]:
    """Train the trial's dense network from its init stream and keep it; the network and its shared metrics."""
    params, model = trial.params, fresh_network(trial)
    trained = fit(trial, model, Recipe(params.dense_epochs, params.dense_lr, params.dense_schedule))
    metrics = measured(trial, model, model) | {"train_loss": trained.loss}
    metrics["dense_accuracy"] = metrics["test_accuracy"]
    trial.keep(_identity(trial) | {"state": model.state_dict(), "dense_accuracy": metrics["dense_accuracy"]})
    return model, metrics


def fresh_network(trial: Trial, *, arch: str | None = None, width: float | None = None) -> nn.Module:
    """The untrained network on the trial's device, from the init stream that the dense network started from."""
    params, (shape, classes) = trial.params, problem(trial)
    arch, width = params.arch if arch is None else arch, params.width if width is None else width
    stream = generator(trial.seed_for("init"))
    return convnet(arch, shape=shape, num_classes=classes, width=width, norm=params.norm, stream=stream).to(trial.device)


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
