"""One call of an op with its gradients, on numbers that every dtype shares, and memory poisoned so that what is not written shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kernels.spec import Inputs, Mode, OpSpec
from kernels.timing import Call


def evaluate(spec: OpSpec, function: Callable[..., Any], inputs: Inputs, **options: Any) -> dict[str, Tensor]:
    """Outputs and gradients (`d_<input>`) of one call, by the names that tolerances use.

    `function` gets copies of `inputs`, which it must not change; the same random numbers are pulled back through every output that
    has a gradient.
    """
    leaves = {name: _leaf(value, name in spec.differentiable) for name, value in inputs.items()}
    produced = function(**leaves, **options)
    outputs = produced if isinstance(produced, tuple) else (produced,)
    if len(outputs) != len(spec.outputs):
        raise AssertionError(f"{len(outputs)} outputs instead of {len(spec.outputs)}")
    values = dict(zip(spec.outputs, outputs, strict=True))
    pulled = [output for output in outputs if isinstance(output, Tensor) and output.requires_grad]
    if spec.differentiable and pulled:
        torch.autograd.backward(pulled, [_cotangent(output, index) for index, output in enumerate(pulled)])
        for name in spec.differentiable:
            gradient = leaves[name].grad
            if gradient is None:
                raise AssertionError(f"no gradient for {name}")
            values[f"d_{name}"] = gradient
    for name, value in inputs.items():
        if isinstance(value, Tensor) and not torch.equal(leaves[name], value):
            raise AssertionError(f"input {name} was changed")
    return {name: torch.as_tensor(value).detach() for name, value in values.items()}


def _leaf(value: Any, differentiable: bool) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().clone(memory_format=torch.preserve_format).requires_grad_(differentiable)


def _cotangent(output: Tensor, index: int) -> Tensor:
    """Numbers that bfloat16 holds exactly, the same for every dtype of `output`, drawn where it is: a large one takes long on a CPU."""
    generator = torch.Generator(output.device).manual_seed(1000 + index)
    dtype = torch.complex64 if output.is_complex() else torch.float32
    drawn = torch.randn(output.shape, generator=generator, dtype=dtype, device=output.device)
    rounded = torch.view_as_complex(torch.view_as_real(drawn).bfloat16().float()) if output.is_complex() else drawn.bfloat16()
    return rounded.to(output.dtype)


def leaves_of(spec: OpSpec, inputs: Inputs) -> Inputs:
    """`inputs` as they are, those that are differentiable asking for gradients."""
    return {
        name: value.detach().requires_grad_(name in spec.differentiable) if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }


def timed_call(spec: OpSpec, function: Callable[..., Any], copies: Sequence[Inputs], mode: Mode) -> Call:
    """A call worth timing, that goes round `copies` (from `leaves_of`); gradients are returned, not accumulated."""
    turn = itertools.cycle(copies)

    def forward() -> object:
        with torch.no_grad():
            return function(**next(turn))

    def forward_backward() -> object:
        inputs = next(turn)
        produced = function(**inputs)
        outputs = [out for out in (produced if isinstance(produced, tuple) else (produced,)) if out.requires_grad]
        return torch.autograd.grad(outputs, [inputs[name] for name in spec.differentiable], [torch.ones_like(out) for out in outputs])

    return forward if mode == "forward" else forward_backward


def upcast(inputs: Inputs) -> Inputs:
    """The same numbers in float64 (complex128)."""
    return {name: _wide(value) if isinstance(value, Tensor) else value for name, value in inputs.items()}


def _wide(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor


@contextmanager
def poisoned() -> Iterator[None]:
    """Inside the block, memory that torch hands out uninitialised holds NaN (or the largest integer): what is not written shows."""
    originals = {name: getattr(torch, name) for name in ("empty", "empty_like")}

    def filled(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def wrapper(*arguments: Any, **options: Any) -> Tensor:
            tensor = make(*arguments, **options)
            if tensor.dtype == torch.bool or not tensor.numel():
                return tensor
            floating = tensor.is_floating_point() or tensor.is_complex()
            return tensor.fill_(float("nan") if floating else torch.iinfo(tensor.dtype).max)

        return wrapper

    try:
        for name, make in originals.items():
            setattr(torch, name, filled(make))
        yield
    finally:
        for name, make in originals.items():
            setattr(torch, name, make)
