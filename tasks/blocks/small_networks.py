"""Small networks as functions of their parameters, the form in which many of one shape are trained together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

Tensors = Mapping[str, Tensor]
Activation = Callable[[Tensor, Tensors], Tensor]

ACTIVATIONS: Mapping[str, Activation] = {
    "identity": lambda h, _: h,
    "relu": lambda h, _: torch.relu(h),
    "tanh": lambda h, _: torch.tanh(h),
    "gelu": lambda h, _: F.gelu(h),
    "erf": lambda h, _: torch.erf(h),
    "square": lambda h, _: h * h,
    "quadratic": lambda h, fixed: h + 0.5 * fixed["curvature"] * h * h,
}
"""Functions of the pre-activations and of what is fixed in a member; `quadratic` is h + curvature h^2 / 2 (2310.06110)."""


class Network(Protocol):
    """One member: how it starts and what it computes."""

    def initial(self, stream: torch.Generator) -> dict[str, Tensor]:
        """Its parameters at the start, in float64, drawn from `stream` alone."""
        ...

    def __call__(self, parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
        """Outputs (examples, outputs). `fixed` holds the member's own constants, and in training what `noise` drew for the step."""
        ...

    def noise(self, stream: torch.Generator, examples: int) -> Tensors:
        """What one step of training adds to `fixed`, such as dropout masks; empty where training is not random."""
        ...


def linear_std(fan_in: int) -> float:
    """Standard deviation of the weights of torch.nn.Linear at its start, U(-1, 1) / sqrt(fan in)."""
    return 1.0 / math.sqrt(3.0 * fan_in)


@dataclass(frozen=True, kw_only=True)
class MLP:
    """A multilayer perceptron x -> phi(x W1 + b1) -> ... -> x W + b, of any depth; (d, k) is a linear model.

    standard: W ~ N(0, gain^2 / fan_in), biases zero. ntk: W, b ~ N(0, 1) and every layer is gain / sqrt(fan_in) x W + bias_scale b
    (Jacot et al. 2018). mean-field: the same with gain / fan_in in the last layer. Inputs are (examples, d), or integers: rows of
    the first matrix that are summed, which is what their concatenated one-hot vectors would give. `fixed["scale"]` multiplies the outputs.
    """

    widths: Sequence[int]
    activation: str | Activation = "relu"
    bias: bool = False
    parametrisation: Literal["standard", "ntk", "mean-field"] = "standard"
    gain: float = 1.0
    bias_scale: float = 1.0
    std: Sequence[float] = ()
    """Standard deviation of the weights of each layer at the start, instead of the parametrisation's."""
    readout: Literal["trained", "mean"] = "trained"
    """mean: the last layer is the mean over the last hidden units and has no parameters, a committee machine for one output."""
    dropout: float = 0.0
    """Chance that a pre-activation is dropped in training, by masks of the member's own stream."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths are those of inputs, hidden layers and outputs, not {tuple(self.widths)}")
        if self.std and len(self.std) != len(self._shapes):
            raise ValueError(f"std has {len(self.std)} entries for {len(self._shapes)} layers")
        if self.readout == "mean" and (self.widths[-1] != 1 or len(self.widths) < 3):
            raise ValueError("the mean over hidden units is one output of at least one hidden layer")

    @property
    def _shapes(self) -> list[tuple[int, int]]:
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        return pairs[:-1] if self.readout == "mean" else pairs

    def initial(self, stream: torch.Generator) -> dict[str, Tensor]:
        """Layer by layer, weights (fan_in, fan_out) before biases."""
        drawn: dict[str, Tensor] = {}
        standard = self.parametrisation == "standard"
        for index, (rows, columns) in enumerate(self._shapes):
            std = self.std[index] if self.std else self.gain / math.sqrt(rows) if standard else 1.0
            drawn[f"weight{index}"] = std * torch.randn(rows, columns, generator=stream, dtype=torch.float64)
            if self.bias:
                bias = torch.zeros(columns, dtype=torch.float64)
                drawn[f"bias{index}"] = bias if standard else bias.normal_(generator=stream)
        return drawn

    def noise(self, stream: torch.Generator, examples: int) -> dict[str, Tensor]:
        """Dropout masks of one step, one a hidden layer."""
        keep = 1.0 - self.dropout
        hidden = self.widths[1:-1] if self.dropout else ()
        return {f"keep{i}": torch.rand(examples, width, generator=stream).lt(keep) / keep for i, width in enumerate(hidden)}

    def hidden(self, parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
        """Activations of the last hidden layer, (examples, width)."""
        x = inputs
        for index in range(len(self.widths) - 2):
            h = self.layer(parameters, x, index)
            x = self.phi(h * fixed[f"keep{index}"] if f"keep{index}" in fixed else h, fixed)
        return x

    def __call__(self, parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
        """Outputs (examples, outputs)."""
        x = self.hidden(parameters, inputs, fixed)
        out = x.mean(-1, keepdim=True) if self.readout == "mean" else self.layer(parameters, x, len(self.widths) - 2)
        return out * fixed["scale"] if "scale" in fixed else out

    @property
    def phi(self) -> Activation:
        """The activation."""
        return ACTIVATIONS[self.activation] if isinstance(self.activation, str) else self.activation

    def multiplier(self, index: int) -> float:
        """What the parametrisation multiplies x W of that layer by."""
        if self.parametrisation == "standard":
            return 1.0
        fan_in, last = self.widths[index], index == len(self.widths) - 2
        return self.gain / (fan_in if last and self.parametrisation == "mean-field" else math.sqrt(fan_in))

    def layer(self, parameters: Tensors, x: Tensor, index: int) -> Tensor:
        """Pre-activations (examples, fan_out) of layer `index` from its inputs."""
        weight = parameters[f"weight{index}"]
        h = x @ weight if x.is_floating_point() else _summed_rows(x, weight)
        if self.parametrisation != "standard":
            h = h * self.multiplier(index)
        return h + self.bias_scale * parameters[f"bias{index}"].unsqueeze(-2) if self.bias else h


def packed(network: Network) -> Callable[[Tensors, Tensor, Tensors], Tensor]:
    """`network` for many members: parameters, inputs, `fixed` and outputs have the members in front.

    An MLP is batched products; any other network, and an activation that is not one of `ACTIVATIONS`, is mapped over the members, because
    what it does along an axis is not known.
    """
    if type(network) is not MLP or not isinstance(network.activation, str):
        return torch.func.vmap(network)

    def together(parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
        wide = {name: value.reshape(len(value), *[1] * (3 - value.ndim), *value.shape[1:]) for name, value in fixed.items()}
        return network(parameters, inputs, wide)

    return together


_DENSE_ROWS = 64
"""Up to so many rows a product with one-hot vectors is quicker than to gather them (measured on one core, width 32 to 256)."""


def _summed_rows(index: Tensor, weight: Tensor) -> Tensor:
    """Sums of the rows `index` (..., examples, summed) of `weight` (..., rows, columns)."""
    rows, columns = weight.shape[-2:]
    if rows <= _DENSE_ROWS or weight.ndim > 3:
        return F.one_hot(index, rows).sum(-2).to(weight.dtype) @ weight
    if weight.ndim == 2:
        return F.embedding(index, weight).sum(-2)
    first = torch.arange(len(weight), device=index.device).mul_(rows).reshape(-1, 1, 1)
    bags = (index + first).reshape(-1, index.shape[-1])
    return F.embedding_bag(bags, weight.reshape(-1, columns), mode="sum").reshape(len(weight), -1, columns)


@dataclass(frozen=True)
class BatchNormed:
    """BatchNorm between the last activation of an MLP and its last layer, x -> BN(phi(...)) W: gamma and beta are trained.

    In training it has the moments of the batch. What is measured has those of all examples that `fixed["seen"]` marks, (examples, 1),
    which are those that it is trained on; torch's layer follows them by a running mean.
    """

    mlp: MLP

    def __post_init__(self) -> None:
        if self.mlp.bias or self.mlp.readout != "trained" or self.mlp.parametrisation != "standard" or self.mlp.dropout:
            raise ValueError("BatchNorm stands in a plain MLP: no biases, no dropout, a trained last layer of the standard parametrisation")

    def initial(self, stream: torch.Generator) -> dict[str, Tensor]:
        """The weights of the network without BatchNorm, then gamma = 1 and beta = 0."""
        ones = torch.ones(self.mlp.widths[-2], dtype=torch.float64)
        return {**self.mlp.initial(stream), "gamma": ones, "beta": torch.zeros_like(ones)}

    def noise(self, stream: torch.Generator, examples: int) -> dict[str, Tensor]:  # noqa: ARG002 - the signature of all networks
        """Nothing random: that all examples of the batch count."""
        return {"batch": torch.ones(examples, 1)}

    def __call__(self, parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
        """Outputs (examples, outputs)."""
        hidden, counted = self.mlp.hidden(parameters, inputs, fixed), fixed["batch" if "batch" in fixed else "seen"]
        centred = hidden - (counted * hidden).sum(-2) / counted.sum()
        variance = (counted * centred.square()).sum(-2) / counted.sum()
        normed = centred * (variance + 1e-5).rsqrt() * parameters["gamma"] + parameters["beta"]
        return normed @ parameters[f"weight{len(self.mlp.widths) - 2}"]


def committee(inputs: int, units: int, activation: str | Activation = "quadratic") -> MLP:
    """f(x) = scale / units * sum_i phi(w_i . x) with w_i ~ N(0, I); `scale` and `curvature` are fixed in a member."""
    return MLP(widths=(inputs, units, 1), activation=activation, std=(1.0,), readout="mean")
