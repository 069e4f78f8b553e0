"""What a training step keeps in memory, counted on the real network at a small size: what estimates of larger ones stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def kept_bytes(forward: Callable[[], Tensor], known: Iterable[Tensor] = ()) -> int:
    """Bytes that the backward pass of the scalar `forward()` keeps, each storage once, without those of `known` (parameters, buffers).

    A view keeps the whole storage that it looks at, and copies of weights that autocast made are among what is kept.
    """
    owned = {tensor.untyped_storage().data_ptr() for tensor in known}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            # Held until the count is taken: the allocator would give the address of a freed one to the next.
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = forward()
    total = sum(storage.nbytes() for storage in kept.values())
    del value
    return total


def state_bytes(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bytes of parameters, buffers, gradients and what the optimizer holds; exact once it has taken a step."""
    tensors: list[Any] = [*model.parameters(), *model.buffers()]
    tensors += [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    tensors += [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def peak_bytes(step: Callable[[], object]) -> int:
    """Most bytes that the CPU's allocator held beyond what it held before, while `step()` ran."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    tree: list[Any] = list(profiled.profiler.kineto_results.experimental_event_tree())
    changes: list[tuple[int, int]] = []
    while tree:
        event = tree.pop()
        tree += event.children
        if event.tag == torch._C._profiler._EventType.Allocation:
            changes.append((event.start_time_ns, event.extra_fields.alloc_size))
    held = peak = 0
    for _, size in sorted(changes, key=lambda change: change[0]):
        held += size
        peak = max(peak, held)
    return peak
