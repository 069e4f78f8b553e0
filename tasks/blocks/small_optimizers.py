"""Optimizers of many members at once: their weights, gradients and moments are the rows of (members, parameters)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam

from kernels.sym_matmul.coefficients import Coefficients
from tasks.blocks.shampoo import MATCHED_RMS
from tasks.blocks.spectral import orthogonalize


@dataclass(frozen=True)
class Step:
    """What the members' rates and decays are in a step, and how many steps each has made with this one."""

    lr: Tensor
    """(members, 1), or (members, parameters) where parameters have rates of their own; in float64."""
    decay: Tensor
    count: float | Tensor
    """1, 2, ...; (members, 1) in float64 where members are at different steps."""
    shapes: Mapping[str, torch.Size]
    """Of a member's parameters, in their order."""

    def columns(self) -> Iterator[tuple[str, slice]]:
        """Where each parameter lies."""
        start = 0
        for name, shape in self.shapes.items():
            yield name, slice(start, start + shape.numel())
            start += shape.numel()

    def of(self, name: str, columns: slice) -> Step:
        """The same of one parameter."""
        lr, decay = (rate[:, columns] if rate.shape[1] > 1 else rate for rate in (self.lr, self.decay))
        return Step(lr, decay, self.count, {name: self.shapes[name]})


class Optimizer(Protocol):
    """One for all members of a program."""

    @property
    def slots(self) -> int:
        """Numbers that it remembers of every weight, zeros at the start."""
        ...

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place: `weights`, `gradient` and each slot of `state` are (members, parameters)."""
        ...


@dataclass(frozen=True)
class SGD:
    """torch.optim.SGD: an L2 penalty in the gradient, heavy-ball momentum without dampening."""

    momentum: float = 0.0

    @property
    def slots(self) -> int:
        """The velocity, where there is momentum."""
        return 1 if self.momentum else 0

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place."""
        gradient = gradient + now.decay.to(weights.dtype) * weights
        if state:
            gradient = state[0].mul_(self.momentum).add_(gradient)
        weights.sub_(now.lr.to(weights.dtype) * gradient)


@dataclass(frozen=True)
class Adam:
    """torch.optim.Adam: the decay is an L2 penalty in the gradient and goes through the moments.

    `eps` may be as small as 1e-30 in float32: it keeps 0 / 0 away and nothing else, as in 2501.04697.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decoupled: bool = False

    @property
    def slots(self) -> int:
        """First and second moments."""
        return 2

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place."""
        lr = now.lr.to(weights.dtype)
        if self.decoupled:
            weights.mul_((1.0 - now.lr * now.decay).to(weights.dtype))
        else:
            gradient = gradient + now.decay.to(weights.dtype) * weights
        if isinstance(now.count, Tensor) or not state[0].is_contiguous():
            weights.sub_(lr * self._direction(gradient.contiguous(), state, now.count))
        else:
            weights.addcmul_(lr, self._fused(gradient.contiguous(), state, now.count))

    def _direction(self, gradient: Tensor, state: Sequence[Tensor], count: float | Tensor) -> Tensor:
        """Of a step of length 1, for members at any steps."""
        first, second = state
        one, two = 1.0 - self.betas[0] ** count, (1.0 - self.betas[1] ** count) ** 0.5
        if isinstance(one, Tensor) and isinstance(two, Tensor):
            one, two = one.to(gradient.dtype), two.to(gradient.dtype)
        first.lerp_(gradient, 1.0 - self.betas[0])
        second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1.0 - self.betas[1])
        return first.div(second.sqrt().div_(two).add_(self.eps).mul_(one))

    def _fused(self, gradient: Tensor, state: Sequence[Tensor], count: float) -> Tensor:
        """What torch's one-pass Adam adds to zeros at rate 1: a third of the time, because all lies in the cache once.

        It also spares the square roots of zeros, which cost many times those of other numbers.
        """
        moved, steps = torch.zeros_like(gradient), torch.full((), count - 1.0, device=gradient.device)
        adam(
            [moved],
            [gradient],
            [state[0]],
            [state[1]],
            [],
            [steps],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=1.0,
            weight_decay=0.0,
            eps=self.eps,
            maximize=False,
        )
        return moved


def AdamW(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Adam:  # noqa: N802 - a constructor by its usual name
    """torch.optim.AdamW: the decay shrinks the weights by 1 - lr decay and leaves the moments alone."""
    return Adam(betas, eps, decoupled=True)


@dataclass(frozen=True)
class Muon:
    """Muon (Jordan et al. 2024) on matrices (fan in, fan out): the momentum's polar factor by five quintics, decoupled decay.

    Of torch.optim.Muon but for the arithmetic: it iterates in bfloat16, this one on CPUs in the weights' precision. `scale` multiplies
    the rate: original, sqrt(max(1, fan out / fan in)), torch's default; match-rms, 0.2 sqrt(the longer side) (2502.16982); none, 1.
    It is for matrices only: give other parameters another optimizer by `PerParameter`.
    """

    momentum: float = 0.95
    nesterov: bool = True
    scale: Literal["original", "match-rms", "none"] = "original"
    coefficients: Coefficients = "muon"
    """One triple for all quintics, or one for each."""

    @property
    def slots(self) -> int:
        """The running mean of the gradient."""
        return 1

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place. ValueError for a parameter that is no matrix."""
        (mean,) = state
        mean.lerp_(gradient, 1.0 - self.momentum)
        direction = gradient.lerp(mean, self.momentum) if self.nesterov else mean
        weights.mul_((1.0 - now.lr * now.decay).to(weights.dtype))
        for name, columns in now.columns():
            shape, own = now.shapes[name], now.of(name, columns)
            if len(shape) != 2:
                raise ValueError(f"Muon works on matrices, not on {name} of shape {tuple(shape)}")
            factor = orthogonalize(direction[:, columns].reshape(-1, *shape), self.coefficients).flatten(1)
            weights[:, columns].sub_((own.lr * self._scale(*shape)).to(weights.dtype) * factor)

    def _scale(self, fan_in: int, fan_out: int) -> float:
        if self.scale == "original":
            return math.sqrt(max(1.0, fan_out / fan_in))
        return MATCHED_RMS * math.sqrt(max(fan_in, fan_out)) if self.scale == "match-rms" else 1.0


@dataclass(frozen=True)
class PerParameter:
    """Another optimizer for every parameter, by name; rates of their own are given by `Member.lr`."""

    optimizers: Mapping[str, Optimizer]

    @property
    def slots(self) -> int:
        """Those of the one that remembers most."""
        return max(optimizer.slots for optimizer in self.optimizers.values())

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place. ValueError where a parameter has none, or one is of no parameter."""
        if self.optimizers.keys() != now.shapes.keys():
            raise ValueError(f"optimizers for {', '.join(self.optimizers)}; the network has {', '.join(now.shapes)}")
        for name, columns in now.columns():
            optimizer = self.optimizers[name]
            slots = [slot[:, columns] for slot in state[: optimizer.slots]]
            optimizer.step(weights[:, columns], gradient[:, columns], slots, now.of(name, columns))


def perp_grad(parameter: Tensor, gradient: Tensor) -> Tensor:
    """perp-Grad of 2501.04697, a `gradient` of `train_many`: what is across the parameter, as long as the whole gradient was.

    g' = g - (w.g / (w.w + 1e-30)) w, times |g| / (|g'| + 1e-30), as in the authors' `orthograd.py`. Both are (members, ...), and each
    parameter of a member is a tensor by itself.
    """
    w, g = parameter.flatten(1), gradient.flatten(1)
    along = (w * g).sum(1, keepdim=True) / (w.square().sum(1, keepdim=True) + 1e-30)
    across = g - along * w
    longer: Tensor = torch.linalg.vector_norm(g, dim=1, keepdim=True) / (torch.linalg.vector_norm(across, dim=1, keepdim=True) + 1e-30)
    return (across * longer).reshape(gradient.shape)
