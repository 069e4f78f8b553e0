"""The linear layers of a network: what every scheme quantizes."""

from __future__ import annotations

from torch import nn

from harness.errors import UsageError


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Every nn.Linear below `model` by its first name, in order of registration; a layer that is used twice is there once.

    A head that is tied to an embedding without a module of its own is no nn.Linear. UsageError: there is none, or the model is one.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if not layers or "" in layers:
        what = "is itself a linear layer: put it into a module" if layers else "has no linear layer"
        raise UsageError(f"nothing to quantize: {type(model).__name__} {what}")
    return layers


def replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `model` holds `old`."""
    for name in [name for name, module in model.named_modules(remove_duplicate=False) if module is old]:
        model.set_submodule(name, new)
