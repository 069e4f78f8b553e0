"""What trains: networks that a step updates, and samples of what they have learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.eeg.eeg_artifact_synthesis.labelled_windows import Labelled


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


class Learner(ABC):
    """A model in training. Its whole state is that of its networks, its optimizers and the stream of its batches."""

    networks: nn.Module
    """All of them."""
    sampler: nn.Module
    """The one that samples: its weights are all that `sample` needs."""
    optimizers: Mapping[str, torch.optim.Optimizer]
    batches: Batches

    @abstractmethod
    def step(self, index: int) -> Tensor:
        """Update number `index`, from 0; the loss before it."""

    @abstractmethod
    def sample(self, y: Tensor, stream: torch.Generator) -> Tensor:
        """Windows of the classes `y`, in z-scores and on y's device."""

    def parameters(self) -> int:
        """Learned numbers, of all networks that training needs."""
        return sum(p.numel() for p in self.networks.parameters() if p.requires_grad)
