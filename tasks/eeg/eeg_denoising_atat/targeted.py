"""AT-AT as re-constructed: a small autoencoder, a gate by how much it changed a segment, a transformer for the segments that pass it.

Neither code nor sizes are published; the abstract says "a lightweight autoencoder determines where to apply a time-series transformer".

The adversarial term: a discriminator tells clean segments from filtered ones, the transformer is paid for fooling it. Both players move at
once, with one optimizer and one backward pass: each side sees the other's weights as constants, so that the sum of both losses has each
side's own gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.errors import UsageError

_PATCH, _HEADS = 8, 4


class Autoencoder(nn.Module):
    """Two strided convolutions of kernel 9 with BatchNorm down to a quarter of the length, two transposed ones of kernel 8 back."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = max(1, round(16 * width))
        self.encoder = nn.Sequential(*_down(1, channels), *_down(channels, channels))
        up = nn.ConvTranspose1d(channels, channels, 8, stride=2, padding=3)
        self.decoder = nn.Sequential(up, nn.BatchNorm1d(channels), nn.ReLU(), nn.ConvTranspose1d(channels, 1, 8, stride=2, padding=3))

    def forward(self, noisy: Tensor) -> Tensor:
        """(n, t) -> (n, t); t is a multiple of 4."""
        cleaned: Tensor = self.decoder(self.encoder(noisy[:, None]))
        return cleaned[:, 0]


def _down(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv1d(inputs, outputs, 9, stride=2, padding=4), nn.BatchNorm1d(outputs), nn.ReLU()


class Transformer(nn.Module):
    """One encoder layer over patches of 8 samples of (noisy, autoencoder's output); what it gives is added to the latter."""

    def __init__(self, segment: int, width: float = 1.0) -> None:
        super().__init__()
        size = max(1, round(32 * width / _HEADS)) * _HEADS
        self.embed = nn.Linear(2 * _PATCH, size)
        self.position = nn.Parameter(0.02 * torch.randn(segment // _PATCH, size))
        self.layer = nn.TransformerEncoderLayer(size, _HEADS, 2 * size, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(size, _PATCH)

    def forward(self, noisy: Tensor, coarse: Tensor) -> Tensor:
        """(n, segment) noisy and as the autoencoder left it -> (n, segment) cleaned."""
        patches = torch.cat([segments.reshape(len(segments), len(self.position), _PATCH) for segments in (noisy, coarse)], dim=-1)
        residual: Tensor = self.head(self.layer(self.embed(patches) + self.position))
        return coarse + residual.flatten(1)


def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson's correlation over the last axis: (..., t), (..., t) -> (...); NaN where either is constant."""
    x, y = x - x.mean(-1, keepdim=True), y - y.mean(-1, keepdim=True)
    return (x * y).sum(-1) / (x.square().sum(-1) * y.square().sum(-1)).sqrt()


class Gated(NamedTuple):
    """What came out, (n, t), and of each segment, (n, t / segment): the proxy and whether the transformer had it."""

    cleaned: Tensor
    proxy: Tensor
    sent: Tensor


class Targeted(nn.Module):
    """The transformer on segments whose correlation with the autoencoder's output is below the threshold (infinite: on all).

    The others keep the autoencoder's output, or are `untouched`.
    """

    def __init__(
        self, autoencoder: Autoencoder, transformer: Transformer, segment: int, threshold: float, *, untouched: bool = False
    ) -> None:
        super().__init__()
        self.untouched = untouched
        self.autoencoder, self.transformer = autoencoder, transformer
        self.segment, self.threshold = segment, threshold

    def segments(self, windows: Tensor) -> Tensor:
        """(n, t) -> (n t / segment, segment)."""
        return windows.reshape(-1, self.segment)

    def gate(self, noisy: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """(proxy, sent) of segments (m, segment), each (m,). A proxy that is not a number (a constant output) is sent."""
        proxy = correlation(noisy, coarse)
        return proxy, ~(proxy >= self.threshold)

    def proxies(self, noisy: Tensor) -> Tensor:
        """The proxy of every segment of windows (n, t): (n t / segment,)."""
        return self.gate(self.segments(noisy), self.segments(self.autoencoder(noisy)))[0]

    def clean(self, noisy: Tensor) -> Gated:
        """Windows (n, t) cleaned, and what the gate did. The transformer computes what it is sent and no more."""
        coarse = self.autoencoder(noisy)
        before, after = self.segments(noisy), self.segments(coarse)
        proxy, sent = self.gate(before, after)
        cleaned = (before if self.untouched else after).clone()
        if sent.any():
            cleaned[sent] = self.transformer(before[sent], after[sent])
        count = len(noisy)
        return Gated(cleaned.reshape(noisy.shape), proxy.reshape(count, -1), sent.reshape(count, -1))

    def forward(self, noisy: Tensor) -> Tensor:
        """(n, t) -> (n, t)."""
        return self.clean(noisy).cleaned


def check_lengths(samples: int, segment: int) -> None:
    """UsageError unless windows hold whole segments and segments whole patches."""
    if samples % segment or segment % _PATCH:
        raise UsageError(f"windows of {samples} samples need a segment that divides them and is a multiple of {_PATCH}, not {segment}")


def budget_threshold(proxy: Tensor, budget: float) -> float:
    """The threshold that sends the share `budget` of the segments whose proxies are given, (m,), up to ties."""
    return float(torch.quantile(proxy.flatten().double(), budget))


class Discriminator(nn.Module):
    """Two convolutions of kernel 9 and stride 4, an average over time, one logit: high for clean. Used in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 16, 9, stride=4, padding=4), nn.LeakyReLU(0.2), nn.Conv1d(16, 32, 9, stride=4, padding=4), nn.LeakyReLU(0.2)
        )
        self.head = nn.Linear(32, 1)

    def forward(self, segments: Tensor) -> Tensor:
        """(n, t) -> (n,)."""
        logits: Tensor = self.head(self.body(segments[:, None]).mean(-1))
        return logits[:, 0]


def fooling_loss(discriminator: nn.Module, filtered: Tensor) -> Tensor:
    """-log D(filtered) of each segment, (n, t) -> (n,); the discriminator's weights are constants (non-saturating, Goodfellow 2014)."""
    constant = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    logits: Tensor = torch.func.functional_call(discriminator, constant, (filtered,))
    return F.softplus(-logits)


def telling_loss(discriminator: nn.Module, clean: Tensor, filtered: Tensor) -> Tensor:
    """-log D(clean) - log(1 - D(filtered)) of each pair, (n, t) -> (n,); the filtered segments are constants."""
    return F.softplus(-discriminator(clean)) + F.softplus(discriminator(filtered.detach()))
