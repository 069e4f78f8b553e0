"""What trains: steps that update it, a state to go on from, and samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from tasks.eeg.eeg_artifact_synthesis.windows import Labelled


class Learner(Protocol):
    """A model with its optimizers and random streams."""

    def step(self) -> Tensor:
        """One update; the loss, without gradient."""
        ...

    def sample(self, y: Tensor, stream: torch.Generator) -> Tensor:
        """Windows of the classes `y`, in z-scores and on y's device."""
        ...

    def parameters(self) -> int:
        """Learned numbers, of all networks that training needs."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Of the network that samples: all that `sample` needs."""
        ...

    def state(self) -> dict[str, Any]:
        """What `load` needs to go on as if there had been no break."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        ...


@dataclass(frozen=True)
class Batches:
    """Training windows drawn with replacement, from a stream that gives the same on every device."""

    windows: Labelled
    stream: torch.Generator

    def draw(self, count: int) -> Labelled:
        """`count` windows, on the device of the data."""
        index = torch.randint(len(self.windows.y), (count,), generator=self.stream).to(self.windows.y.device)
        return Labelled(self.windows.x[index], self.windows.y[index])

    def noise(self, *shape: int) -> Tensor:
        """Standard normal numbers on the device of the data."""
        return torch.randn(shape, generator=self.stream).to(self.windows.x.device)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers between 0 and 1 on the device of the data."""
        return torch.rand(shape, generator=self.stream).to(self.windows.x.device)
