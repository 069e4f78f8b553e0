"""One member of a pack of small networks: what is its own, what is measured of it, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from harness.censoring import reached
from tasks.blocks.small_networks import Tensors


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One network of a pack and all that is its own."""

    seed: int
    """Of its initial parameters, its batches and its noise, each a stream of its own."""
    inputs: Tensor
    """(examples, ...) of all splits. Members that hold the same tensor share its memory."""
    targets: Tensor
    """(examples,) classes or (examples, outputs) numbers that it is trained and, unless `truth` is given, measured on."""
    splits: Tensors
    """Masks (examples,) by name. It is trained on `train` and on nothing else; every split is measured."""
    lr: float | Mapping[str, float]
    """One, or one of every parameter by name; the same holds for `decay`."""
    steps: int
    decay: float | Mapping[str, float] = 0.0
    truth: Tensor | None = None
    """Targets that its splits other than `train` are measured on, where its own are corrupted."""
    batch: int = 0
    """Examples a step, a new order every epoch and the rest of an epoch left out; 0: all that it is trained on."""
    fixed: Mapping[str, float | Tensor] = field(default_factory=dict)
    """What its forward pass reads beside its parameters, such as the scale of its outputs; never trained."""

    @property
    def rows(self) -> Tensor:
        """Numbers of the examples that it is trained on."""
        return self.splits["train"].nonzero().flatten()

    @property
    def program(self) -> tuple[object, ...]:
        """What members that are trained as one program agree on."""
        data = (self.inputs.shape, self.targets.shape, self.targets.dtype, tuple(self.splits), len(self.rows))
        return (*data, self.batch, tuple(self.fixed))

    def check(self) -> None:
        """ValueError for one that makes no sense."""
        count = len(self.inputs)
        if "train" not in self.splits:
            raise ValueError(f"a member has a split called train, not only {', '.join(self.splits) or 'none'}")
        for name, mask in self.splits.items():
            if not bool(mask.any()):
                raise ValueError(f"split {name} of a member is empty")
        for name, held in {**self.splits, "targets": self.targets, "truth": self.truth}.items():
            if held is not None and len(held) != count:
                raise ValueError(f"{name} is of {len(held)} examples, the inputs are of {count}")
        if not 0 <= self.batch <= len(self.rows):
            raise ValueError(f"a batch of {self.batch} from {len(self.rows)} examples")


@dataclass(frozen=True)
class View:
    """What can be measured of the members at a step; every tensor has the members in front."""

    outputs: Tensor
    targets: Tensor
    truth: Tensor
    splits: Tensors
    parameters: Tensors
    fixed: Tensors

    def mean(self, values: Tensor, split: str) -> Tensor:
        """Mean of (members, examples) over the examples of a split."""
        mask = self.splits[split]
        return values.where(mask, 0.0).sum(-1) / mask.sum(-1)


Observe = Callable[[View], Mapping[str, Tensor]]
Measured = list[tuple[int, dict[str, float]]]
"""Steps and what was measured of a member after them, in their order."""


@dataclass(frozen=True)
class Run:
    """What became of a member."""

    steps: Sequence[int]
    """Steps at which it was measured, 0 and its last among them."""
    measured: Mapping[str, Sequence[float]]
    """Numbers at those steps: `<split>_loss`, for classes `<split>_accuracy`, and what `observe` adds."""
    parameters: Tensors

    @property
    def diverged(self) -> bool:
        """Whether its parameters or its last numbers are not finite."""
        last = [values[-1] for values in self.measured.values()]
        return not (all(map(math.isfinite, last)) and all(bool(p.isfinite().all()) for p in self.parameters.values()))

    def curve(self, name: str) -> list[tuple[int, float]]:
        """(step, number) of one measure."""
        return list(zip(self.steps, self.measured[name], strict=True))

    def last(self, *names: str) -> dict[str, float]:
        """Numbers after the last step."""
        return {name: self.measured[name][-1] for name in names}

    def at(self, name: str, step: float) -> float:
        """A measure after a step, linear between those at which it was measured."""
        return float(np.interp(step, self.steps, self.measured[name]))

    def mean(self, name: str) -> float:
        """Mean of a measure over all steps, by trapezoids between those at which it was measured."""
        values = self.measured[name]
        areas = [(values[i] + values[i + 1]) / 2.0 * (self.steps[i + 1] - self.steps[i]) for i in range(len(self.steps) - 1)]
        return math.fsum(areas) / (self.steps[-1] - self.steps[0])

    def reached(self, **metrics: tuple[str, float]) -> dict[str, float]:
        """Censored metrics by their names: when a measure was first at or beyond a level, each given as (measure, level)."""
        found = [reached(name, *steps_to_threshold(self.curve(of), level)) for name, (of, level) in metrics.items()]
        return {name: value for one in found for name, value in one.items()}


def row_splits(rows: Mapping[str, int], device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Masks (sum of rows,) of splits whose rows follow each other, so many of each."""
    of = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([*rows.values()])).to(device)
    return {split: of == place for place, split in enumerate(rows)}


def log_spaced(steps: int, per_decade: int = 10) -> list[int]:
    """0, 1, ..., `steps`: about `per_decade` steps between powers of ten, each once, with both ends."""
    exponents = range(math.ceil(per_decade * math.log10(max(1, steps))) + 1)
    return sorted({0, steps, *(min(steps, round(10 ** (e / per_decade))) for e in exponents)})


def steps_to_threshold(curve: Sequence[tuple[float, float]], threshold: float, *, falls: bool = False) -> tuple[float, bool]:
    """The first measured step at or beyond `threshold`, and whether it is censored: (last step, True) when it was not reached by then.

    A curve that is not finite before it gets there has no such step: (NaN, True), which makes a trial that returns it a diverged one.
    """
    for step, value in curve:
        if not math.isfinite(value):
            return math.nan, True
        if value <= threshold if falls else value >= threshold:
            return step, False
    if not curve:
        raise ValueError("a curve without points says nothing about a threshold")
    return curve[-1][0], True
