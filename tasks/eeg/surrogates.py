"""Windows without a network: recorded ones with other phases, and autoregressive processes."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.blocks.training import generator

_STABLE = 0.995
"""The largest modulus that a pole of the fitted process may have."""
_WARM_UP = 10
"""Lengths of a window that a process runs before its first sample is kept."""


def phase_randomised(x: Tensor, seed: int) -> Tensor:
    """`x` (n, channels, t) with a random phase added at each frequency, the same to all channels of a window.

    Power spectra and cross-spectra stay as they were, to rounding; waveforms do not. (Prichard and Theiler, PRL 73, 1994.)
    """
    spectrum = torch.fft.rfft(x.double())
    angles = 2.0 * torch.pi * torch.rand((len(x), 1, spectrum.shape[-1]), generator=generator(seed), dtype=torch.float64)
    angles[..., 0] = 0.0
    if x.shape[-1] % 2 == 0:
        angles[..., -1] = 0.0  # the Nyquist frequency of a real signal is real
    turned = spectrum * torch.polar(torch.ones_like(angles), angles)
    made: Tensor = torch.fft.irfft(turned, n=x.shape[-1]).to(x.dtype)
    return made


def fit_autoregression(x: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Coefficients (order, channels, channels) and residual covariance of x_t = sum_k A_k x_{t-k} + e_t, by least squares over all windows.

    `x` (n, channels, t), taken to have mean zero. No lag reaches over the border of two windows. ValueError when t <= order.
    """
    _, channels, samples = x.shape
    if samples <= order:
        raise ValueError(f"autoregression: windows of {samples} samples do not hold {order} lags")
    x = x.double()
    past = torch.cat([x[..., order - lag : samples - lag] for lag in range(1, order + 1)], 1)
    rows = past.transpose(1, 2).reshape(-1, order * channels)
    targets = x[..., order:].transpose(1, 2).reshape(-1, channels)
    gram = rows.T @ rows
    ridge = 1e-8 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, rows.T @ targets)
    left = targets - rows @ solution
    return solution.T.reshape(channels, order, channels).transpose(0, 1).contiguous(), left.T @ left / max(1, len(rows) - len(gram))


def stabilised(coefficients: Tensor) -> Tensor:
    """The same process with its poles drawn in, A_k r^k, where the largest would be outside `_STABLE`."""
    order, channels, _ = coefficients.shape
    companion = torch.zeros((order * channels, order * channels), dtype=torch.float64)
    companion[:channels] = coefficients.transpose(0, 1).reshape(channels, -1)
    companion[channels:, :-channels] = torch.eye((order - 1) * channels, dtype=torch.float64)
    radius = float(torch.linalg.eigvals(companion).abs().max())
    shrink = min(1.0, _STABLE / radius) if radius > 0.0 else 1.0
    return coefficients * shrink ** torch.arange(1, order + 1, dtype=torch.float64).reshape(-1, 1, 1)


def simulate_autoregression(coefficients: Tensor, covariance: Tensor, count: int, samples: int, stream: torch.Generator) -> Tensor:
    """`count` stretches (channels, samples) of the process with Gaussian innovations, each after a warm-up of its own, float64."""
    order, channels, _ = coefficients.shape
    weights = coefficients.transpose(0, 1).reshape(channels, -1)
    roots, vectors = torch.linalg.eigh(covariance)
    factor = vectors * roots.clamp_min(0.0).sqrt()
    history = torch.zeros((count, order * channels), dtype=torch.float64)
    kept = []
    for step in range((_WARM_UP + 1) * samples):
        shock = torch.randn((count, channels), generator=stream, dtype=torch.float64) @ factor.T
        value = history @ weights.T + shock
        history = torch.cat([value, history[:, :-channels]], 1)
        if step >= _WARM_UP * samples:
            kept.append(value)
    return torch.stack(kept, 2)
