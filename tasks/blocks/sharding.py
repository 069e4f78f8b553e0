"""A model that lies spread over the ranks of a trial: weights, gradients and optimizer state, each rank with its part (FSDP2).

Blocks are gathered one at a time, forward and backward, so that a card holds its part, one whole block, and what backward keeps. Outside
of a forward pass weights are `DTensor`s: code that computes on them directly, such as a norm, gets the number of its own part. It reads
`model.state_dict()` instead, on every rank. All ranks have to go through the same blocks, and call `model` itself, whose hooks gather. A
weight of a block that no example of a batch uses has a zero gradient, where one process has none: momentum and decay move it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from harness.errors import UsageError
from harness.trial import Trial

_ENTRY_BY_ENTRY = (torch.optim.SGD, torch.optim.Adam)


def shard(trial: Trial, model: nn.Module, blocks: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Leave this rank its part of `model` and of what `optimizers` keep for it, in place, on the trial's device.

    A model in main memory gets there block by block. State dictionaries are those of one process, whole tensors in main memory on every
    rank, so that what is saved can be read by any number of ranks; all ranks ask for them together.

    UsageError for an optimizer that does not step entry by entry (SGD, Adam and AdamW do), or that has weights of another model.
    """
    optimizers = list(optimizers)
    for optimizer in optimizers:
        if not isinstance(optimizer, _ENTRY_BY_ENTRY):
            raise UsageError(
                f"a rank sees a part of each weight of a sharded model, enough for SGD, Adam and AdamW, not for {type(optimizer).__name__}"
            )
    names = {id(weight): name for name, weight in model.named_parameters()}
    kept = [optimizer.state_dict() for optimizer in optimizers]
    stepped = [[_named(group, names) for group in optimizer.param_groups] for optimizer in optimizers]
    if not isinstance(model, FSDPModule):
        for optimizer in optimizers:  # a whole weight that is still held there would stay on the card
            optimizer.state.clear()
            for group in optimizer.param_groups:
                group["params"] = []
        _spread(trial, model, blocks)
    weights = dict(model.named_parameters())
    for optimizer, state, groups in zip(optimizers, kept, stepped, strict=True):
        for group, own in zip(optimizer.param_groups, groups, strict=True):
            group["params"] = [weights[name] for name in own]
        optimizer.register_state_dict_post_hook(_whole_state)
        optimizer.register_load_state_dict_pre_hook(_own_state)
        optimizer.load_state_dict(state)


def _named(group: Mapping[str, Any], names: Mapping[int, str]) -> list[str]:
    found = [names.get(id(weight), "") for weight in group["params"]]
    if not all(found):
        raise UsageError("the optimizer of a sharded model steps that model's weights alone")
    return found


def _spread(trial: Trial, model: nn.Module, blocks: Iterable[nn.Module]) -> None:
    mesh = init_device_mesh(torch.device(trial.device).type, (trial.world_size,))
    for module in (*blocks, model):
        made = fully_shard(module, mesh=mesh, reshard_after_forward=True)
        # Of the weights that a rank's examples leave out, such as an expert's, those of others may use some.
        made.set_reduce_scatter_unused_params(True)
    model.register_state_dict_post_hook(_whole_model)  # type: ignore[no-untyped-call]
    model.register_load_state_dict_pre_hook(_own_model)  # type: ignore[no-untyped-call]


def _whole(value: Any) -> Any:
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def _own(value: Any, like: Any) -> Any:
    """This rank's part of a whole tensor of the shape of `like`, where that is sharded."""
    if not isinstance(like, DTensor) or isinstance(value, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def _whole_model(_model: nn.Module, state: dict[str, Any], _prefix: str, _metadata: object) -> None:
    for name, value in state.items():
        state[name] = _whole(value)


def _own_model(model: nn.Module, state: dict[str, Any], _prefix: str, *_: object) -> None:
    for name, weight in model.named_parameters(remove_duplicate=False):
        if name in state:
            state[name] = _own(state[name], weight)


def _whole_state(_optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    return state | {"state": {at: {name: _whole(value) for name, value in kept.items()} for at, kept in state["state"].items()}}


def _own_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    mine = {at: {name: _own(value, weights[at]) for name, value in kept.items()} for at, kept in state["state"].items()}
    return state | {"state": mine}
