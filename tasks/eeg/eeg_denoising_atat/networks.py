"""EEGdenoiseNet's networks, built anew from their published description. All map windows (n, t) to windows (n, t).

Zhang et al. 2021, J. Neural Eng. 18 056057, section 2.4: four dense layers as wide as the window; four convolutions of 64 channels and a
dense layer; residual convolutions of three kernel sizes in parallel and a dense layer; an LSTM of one unit and three dense layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Inverted dropout from a random stream of its own, whose state a checkpoint can hold."""

    def __init__(self, rate: float, stream: torch.Generator) -> None:
        super().__init__()
        self.rate, self.stream = rate, stream

    def forward(self, x: Tensor) -> Tensor:
        """Any shape is kept; nothing happens in evaluation."""
        if not self.training or not self.rate:
            return x
        kept = torch.rand(x.shape, generator=self.stream, device=x.device) >= self.rate
        return x * kept / (1.0 - self.rate)


def fcnn(samples: int, dropout: Callable[[], nn.Module]) -> nn.Module:
    """Four dense layers of `samples` units, the last one linear."""
    hidden = [layer for _ in range(3) for layer in (nn.Linear(samples, samples), nn.ReLU(), dropout())]
    return nn.Sequential(*hidden, nn.Linear(samples, samples))


def simple_cnn(samples: int, dropout: Callable[[], nn.Module]) -> nn.Module:
    """Four convolutions of 64 channels, kernel 3, with BatchNorm, then one dense layer over all of them."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, samples))]
    for inputs in (1, 64, 64, 64):
        layers += [*_convolution(inputs, 64, 3), dropout()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * samples, samples))


def complex_cnn(samples: int, dropout: Callable[[], nn.Module]) -> nn.Module:  # noqa: ARG001 - the published form has none
    """A convolution, residual branches of kernels 3, 5 and 7 side by side, a 1 x 1 convolution to 32 channels, one dense layer."""
    branches = [nn.Sequential(_Residual(kernel), _Residual(kernel)) for kernel in (3, 5, 7)]
    return nn.Sequential(
        nn.Unflatten(1, (1, samples)),
        *_convolution(1, 32, 5),
        _Beside(branches),
        *_convolution(96, 32, 1),
        nn.Flatten(),
        nn.Linear(32 * samples, samples),
    )


class Recurrent(nn.Module):
    """An LSTM of one unit along the window, then three dense layers over its outputs."""

    def __init__(self, samples: int, dropout: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 1, batch_first=True)
        hidden = [layer for _ in range(2) for layer in (nn.Linear(samples, samples), nn.ReLU(), dropout())]
        self.head = nn.Sequential(*hidden, nn.Linear(samples, samples))

    def forward(self, noisy: Tensor) -> Tensor:
        """(n, t) -> (n, t)."""
        states, _ = self.lstm(noisy[:, :, None])
        cleaned: Tensor = self.head(states[:, :, 0])
        return cleaned


class _Residual(nn.Module):
    """Three convolutions, 32 - 16 - 32 channels, around an identity."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_convolution(32, 32, kernel), *_convolution(32, 16, kernel), *_convolution(16, 32, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 32, t) -> (n, 32, t)."""
        added: Tensor = x + self.body(x)
        return added


class _Beside(nn.Module):
    """The outputs of several modules on one input, their channels side by side."""

    def __init__(self, branches: list[nn.Sequential]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, t) -> (n, branches c, t)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _convolution(inputs: int, outputs: int, kernel: int) -> tuple[nn.Module, ...]:
    return nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm1d(outputs), nn.ReLU()


NETWORKS: dict[str, Callable[[int, Callable[[], nn.Module]], nn.Module]] = {
    "fcnn": fcnn,
    "cnn": simple_cnn,
    "complex-cnn": complex_cnn,
    "rnn": Recurrent,
}
