"""What passes through named modules while a network runs, and the Jacobian of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def recorded(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[Tensor]]]:
    """A mapping that fills with the outputs of the submodules called `names`, one a forward pass, detached, while the context lasts.

    KeyError with the known names where one does not exist. The hooks are gone afterwards, whatever happened inside.
    """
    known = dict(module.named_modules())
    for name in names:
        if name not in known:
            raise KeyError(f"no module {name!r}; there are {', '.join(filter(None, known))}")
    found: dict[str, list[Tensor]] = {name: [] for name in names}

    def keeping(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[name].append(output.detach())

        return keep

    handles = [known[name].register_forward_hook(keeping(name)) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def input_jacobian(module: nn.Module, inputs: Tensor) -> Tensor:
    """(n, outputs, features): the derivative of each row's output by that row's input, (n, features) -> (n, outputs)."""

    def one(row: Tensor) -> Tensor:
        output: Tensor = module(row.unsqueeze(0)).squeeze(0)
        return output

    jacobian: Tensor = torch.func.vmap(torch.func.jacrev(one))(inputs)
    return jacobian.detach()


def parameter_jacobian(module: nn.Module, inputs: Tensor) -> Tensor:
    """(n, outputs, parameters): the derivative of each row's output by all parameters, in their order: J J^T is the tangent kernel."""
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}

    def one(values: dict[str, Tensor], row: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(module, values, (row.unsqueeze(0),)).squeeze(0)
        return output

    found = torch.func.vmap(torch.func.jacrev(one), in_dims=(None, 0))(parameters, inputs)
    return torch.cat([found[name].flatten(2) for name in parameters], dim=2).detach()
