"""The exact split of a quantized network's error into what came in, what was added, and how the two interact.

For a module f and its quantized twin f^q, with inputs h and h^q in the two networks, the error of the output is Dh = a + b,
    a = 1/2 [(f^q(h^q) - f^q(h)) + (f(h^q) - f(h))]    carried over from the input,
    b = 1/2 [(f^q(h^q) - f(h^q)) + (f^q(h) - f(h))]    added by the module.
Squared and divided by |f(h)|^2 this is R = A + B + C with C = 2<a, b>/|f(h)|^2. Norms are over all tokens and channels at once: then the
gain of a linear layer factorises exactly (the paper's formulas are for one vector; how it averages over tokens is not known to us).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from harness.errors import UsageError
from tasks.blocks.diagnostics import singular_values
from tasks.llm.optimizers_under_quantization.ptq import QuantizedLinear


@dataclass(frozen=True)
class LayerError:
    """The terms of one module: R = A + B + C of its output, and G = A / (R of its input), None where the input has no error.

    A linear layer has G = G1 * G2 * G3. With E the weight's error, M = W + E/2 and |.|_2 the spectral norm: G1 = (|M|_2 / |W|_2)^2,
    spectral; G2 = (cos phi / cos psi)^2, alignment, cos phi = |M Dh| / (|M|_2 |Dh|), cos psi = |W h| / (|W|_2 |h|); G3 = |a|^2 / |M Dh|^2,
    what rounding the layer's own inputs does to a: exactly 1 if only weights are quantized, and the one term that the paper has not.
    """

    name: str
    kind: str
    """linear | block | end: a linear layer, an element of an nn.ModuleList, or the last module if it is neither."""
    A: float
    B: float
    C: float
    R: float
    G: float | None
    G1: float | None = None
    G2: float | None = None
    G3: float | None = None


@dataclass(frozen=True)
class _Call:
    """One evaluation of a module: errors come in by its first argument; the rest (rotary angles) is the same in both networks."""

    name: str
    module: nn.Module
    x: Tensor
    rest: tuple[Any, ...]
    keywords: Mapping[str, Any]
    output: Tensor

    def replay(self, x: Tensor) -> Tensor:
        """The module's output at another input."""
        output: Tensor = self.module(x, *self.rest, **self.keywords)
        return output


@torch.no_grad()
def decompose(model: nn.Module, quantized: nn.Module, tokens: Tensor, at_once: int = 2048) -> list[LayerError]:
    """The error terms of every linear layer, every block and the last module, in the order in which they finish.

    The last entry's R is R_L, the error at the end of the network: that of the final norm where the head is tied to the embedding and
    no module of its own, that of the logits where the head is one. A block is an element of an nn.ModuleList; its f is the block with its
    residual paths, its input the residual stream. Both networks read `tokens` (batch, length) once and each module is evaluated at two
    further inputs, which makes the four that the split needs. Neither network may draw random numbers. Errors are NaN where f(h) is zero.

    Norms are sums over tokens, so that rows of about `at_once` tokens are read at a time: what modules pass on is kept for these alone.

    UsageError: networks whose modules do not match.
    """
    kinds, sums = _kinds(model, tokens), dict[str, _Sums]()
    for rows in torch.split(tokens, max(1, at_once // tokens.shape[1])):
        exact, rounded = _calls(model, kinds, rows), _calls(quantized, kinds, rows)
        if [call.name for call in exact] != [call.name for call in rounded]:
            raise UsageError("the quantized network does not evaluate the modules of the original one in the same order")
        for call, twin in zip(exact, rounded, strict=True):
            found = _sums(kinds[call.name], call, twin)
            sums[call.name] = sums[call.name] + found if call.name in sums else found
    return [_terms(name, kinds[name], found, model, quantized) for name, found in sums.items()]


def _kinds(model: nn.Module, tokens: Tensor) -> dict[str, str]:
    """The modules to decompose by name."""
    kinds: dict[str, str] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList):
            kinds |= {f"{name}.{index}".lstrip("."): "block" for index in range(len(module))}
    kinds |= {name: "linear" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return {_last_leaf(model, tokens[:1]): "end"} | kinds


def _last_leaf(model: nn.Module, tokens: Tensor) -> str:
    """The name of the module without modules of its own that is evaluated last."""
    last = ""

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _arguments: object, _output: object) -> None:
            nonlocal last
            last = name

        return hook

    leaves = [(name, module) for name, module in model.named_modules() if not any(module.children())]
    with _removed([module.register_forward_hook(note(name)) for name, module in leaves]):
        model(tokens)
    return last


def _calls(model: nn.Module, names: Mapping[str, str], tokens: Tensor) -> list[_Call]:
    """What goes in and out of the named modules while the model reads `tokens`, in the order in which they finish."""
    calls: list[_Call] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Tensor], None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Tensor) -> None:
            calls.append(_Call(name, module, arguments[0], arguments[1:], keywords, output))

        return hook

    modules = {name: model.get_submodule(name) for name in names}
    with _removed([module.register_forward_hook(note(name), with_kwargs=True) for name, module in modules.items()]):
        model(tokens)
    return calls


@contextlib.contextmanager
def _removed(handles: Sequence[RemovableHandle]) -> Iterator[None]:
    """Hooks that are gone afterwards, whatever happens."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class _Sums:
    """Squared norms over the tokens that were read."""

    unit: Tensor
    """|f(h)|^2"""
    error: Tensor
    carried: Tensor
    added: Tensor
    interaction: Tensor
    inputs: Tensor
    incoming: Tensor
    passed: Tensor
    """|M Dh|^2 of a linear layer, 0 of the rest"""

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def _sums(kind: str, exact: _Call, rounded: _Call) -> _Sums:
    error = _difference(rounded.output, exact.output)
    crossed = _difference(rounded.replay(exact.x), exact.replay(rounded.x))
    incoming = _difference(rounded.x, exact.x)
    # a = (error - crossed) / 2 and b = (error + crossed) / 2: the formulas above with their terms in another order.
    return _Sums(
        unit=_energy(exact.output),
        error=_energy(error),
        carried=_energy(error - crossed) / 4,
        added=_energy(error + crossed) / 4,
        interaction=(_energy(error) - _energy(crossed)) / 2,
        inputs=_energy(exact.x),
        incoming=_energy(incoming),
        passed=_energy(incoming @ _middle(exact.module, rounded.module).T) if kind == "linear" else torch.zeros_like(_energy(error)),
    )


def _terms(name: str, kind: str, of: _Sums, model: nn.Module, quantized: nn.Module) -> LayerError:
    came_in = of.incoming / of.inputs
    gains = {}
    if kind == "linear" and came_in != 0:
        module, twin = model.get_submodule(name), quantized.get_submodule(name)
        spectral = float((singular_values(_middle(module, twin))[0] / singular_values(_weight(module))[0]).square())
        # |M|_2 and |W|_2 of the two cosines are together the inverse of the spectral term. With a bias, W h in cos psi is the layer's
        # whole output: what the errors are relative to.
        cosines = float((of.passed / of.incoming) / (of.unit / of.inputs))
        gains = {"G1": spectral, "G2": cosines / spectral, "G3": float(of.carried / of.passed)}
    return LayerError(
        name=name,
        kind=kind,
        A=float(of.carried / of.unit),
        B=float(of.added / of.unit),
        C=float(of.interaction / of.unit),
        R=float(of.error / of.unit),
        G=None if came_in == 0 else float(of.carried / of.unit / came_in),
        **gains,
    )


def _middle(module: nn.Module, twin: nn.Module) -> Tensor:
    return (_weight(module) + _weight(twin)) / 2


def _weight(module: nn.Module) -> Tensor:
    weight = module.effective_weight() if isinstance(module, QuantizedLinear) else module.weight
    assert isinstance(weight, Tensor)
    return _single(weight)


def _difference(x: Tensor, y: Tensor) -> Tensor:
    return _single(x) - _single(y)


def _single(x: Tensor) -> Tensor:
    """In single precision or better."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _energy(x: Tensor) -> Tensor:
    """The squared Frobenius norm, summed in double precision."""
    norm: Tensor = torch.linalg.vector_norm(x, dtype=torch.float64)
    return norm.square()
