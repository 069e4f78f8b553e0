"""Which implementation of an op runs, and a record of what ran.

Every op has a reference in plain torch. The choices are `auto`, `reference`, `compile` (the reference through `torch.compile`) and
`triton`, given as an argument or in $KERNELS_BACKEND; the argument wins. `auto` takes Triton on a CUDA device of compute capability 8.0 or
more, and the reference elsewhere and for problems so small that launching costs more than computing; an op whose gain nobody has shown is
left to the reference below the smallest size in the device's file of configs, one without a Triton kernel everywhere. An explicit choice
that cannot run is a `BackendError`: there is no silent fallback.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

BACKENDS = ("auto", "reference", "compile", "triton")
ENVIRONMENT = "KERNELS_BACKEND"
_CAPABILITY = (8, 0)
_HAS_TRITON = importlib.util.find_spec("triton") is not None

Result = TypeVar("Result")


class BackendError(RuntimeError):
    """The implementation that was asked for cannot run here."""


class Used:
    """Which backends ran which ops."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def add(self, op: str, backend: str) -> None:
        """Note one call."""
        self._seen.add((op, backend))

    def summary(self) -> str:
        """`op=backend` of everything that ran, sorted and joined by commas; empty when nothing ran."""
        return ",".join(f"{op}={backend}" for op, backend in sorted(self._seen))


_RECORDERS: list[Used] = []


@contextmanager
def recording() -> Iterator[Used]:
    """Collects which backend each op call inside the block used."""
    used = Used()
    _RECORDERS.append(used)
    try:
        yield used
    finally:
        _RECORDERS.remove(used)


def interpreting() -> bool:
    """Whether Triton kernels run in its interpreter, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on")


def choose(op: str, tensor: Tensor, *, backend: str | None = None, dot: bool = False, small: bool = False, has_kernel: bool = True) -> str:
    """The backend for a call of `op` on tensors like `tensor`: reference, compile or triton.

    `dot` says that the Triton kernel multiplies tiles with `tl.dot`, `small` that plain torch was measured to be faster at this size, or
    that no size down to it was measured on the device; only `auto` heeds it. `has_kernel` is false of an op that is only reference and
    compiler. Raises BackendError when an explicit choice cannot run and ValueError when it is no backend at all.
    """
    chosen = foreseen(op, tensor, backend=backend, dot=dot, small=small, has_kernel=has_kernel)
    if not torch.compiler.is_compiling():
        for used in _RECORDERS:
            used.add(op, chosen)
    return chosen


def foreseen(
    op: str, tensor: Tensor, *, backend: str | None = None, dot: bool = False, small: bool = False, has_kernel: bool = True
) -> str:
    """What `choose` would choose, for no call yet: `recording` does not show it."""
    asked = backend or os.environ.get(ENVIRONMENT) or "auto"
    if asked not in BACKENDS:
        raise ValueError(f"{op}: unknown backend {asked!r}; choose one of {', '.join(BACKENDS)}")
    if asked == "triton":
        reason = _obstacle(tensor, dot) if has_kernel else "it has no Triton kernel: choose auto, reference or compile"
        if reason:
            raise BackendError(f"{op}: backend triton was asked for, but {reason}")
    chosen = asked
    if asked == "auto":
        chosen = "triton" if has_kernel and tensor.is_cuda and not small and not _obstacle(tensor, dot) else "reference"
    return chosen


def _obstacle(tensor: Tensor, dot: bool) -> str:
    """Why Triton cannot serve `tensor`; empty when it can."""
    if not _HAS_TRITON:
        return "triton is not installed"
    if interpreting():
        if tensor.device.type != "cpu":
            return f"its interpreter is on (TRITON_INTERPRET) and the tensors are on {tensor.device}"
        if dot and tensor.dtype == torch.bfloat16:
            return "its interpreter multiplies bfloat16 tiles wrongly: use float16 or float32 there"
        return ""
    if not tensor.is_cuda:
        return f"the tensors are on {tensor.device}: it needs a CUDA device, or TRITON_INTERPRET=1 before triton is imported"
    if dot and tensor.dtype == torch.float64:
        return "it does not multiply float64 tiles on a GPU: use the reference"
    capability = torch.cuda.get_device_capability(tensor.device)
    if capability < _CAPABILITY:
        return f"the device has compute capability {capability[0]}.{capability[1]}, under {_CAPABILITY[0]}.{_CAPABILITY[1]}"
    return ""


def evaluate(chosen: str, reference: Callable[..., Result], *arguments: Any) -> Result:
    """`reference` of `arguments`, as it is or compiled."""
    if chosen == "reference":
        return reference(*arguments)
    try:
        result: Result = compiled(reference)(*arguments)
    except torch._dynamo.exc.BackendCompilerFailed as error:
        raise BackendError(f"torch.compile cannot build {reference.__name__} here: {error}") from error
    return result


@functools.cache
def compiled(reference: Callable[..., Any], mode: str | None = None) -> Callable[..., Any]:
    """`reference` through torch.compile with static shapes, once a process and mode."""
    return torch.compile(reference, dynamic=False, mode=mode)
