"""`torch.func.vmap` over operators that take any leading axes: the mapped axis becomes the first one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def register_leading_vmap(operator: str) -> None:
    """Let vmap map `operator` ("kernels::name"), whose tensors all have the same leading axes; other arguments stay as they are."""
    called = getattr(torch.ops.kernels, operator.removeprefix("kernels::"))

    def rule(info: Any, in_dims: Sequence[int | None], *arguments: Any) -> tuple[Any, Any]:
        front = [
            argument if not isinstance(argument, Tensor) else _first(argument, axis, info.batch_size)
            for argument, axis in zip(arguments, in_dims, strict=True)
        ]
        results = called(*front)
        return results, 0 if isinstance(results, Tensor) else (0,) * len(results)

    torch.library.register_vmap(operator, rule)


def _first(tensor: Tensor, axis: int | None, size: int) -> Tensor:
    """The mapped axis in front; a tensor that is not mapped is the same for all, without a copy."""
    return tensor.expand(size, *tensor.shape) if axis is None else tensor.movedim(axis, 0)
