"""What a trained network is measured by: singular values, sublayer gains, and how periodic its weights are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.blocks.training import generator

Pruned = Literal["lowest", "highest", "random"]
"""Which neurons are pruned: those of the lowest or the highest number, or any."""


def singular_values(matrix: Tensor) -> Tensor:
    """Singular values of (rows, columns) in falling order, float64 on the CPU, min(rows, columns) of them.

    Square roots of the eigenvalues of the smaller Gram matrix: several times faster than a decomposition of the matrix, exact to
    1e-8 of the top value, which is far below what a spectrum is read for here.
    """
    tall = matrix.detach().double()
    tall = tall if tall.shape[0] >= tall.shape[1] else tall.T
    values: Tensor = torch.linalg.eigvalsh(tall.T @ tall)
    return values.clamp_min(0.0).sqrt().flip(0).cpu()


def geometric_mean(values: Sequence[float]) -> float:
    """exp(mean(log v)); NaN as soon as one value is not positive and finite."""
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        return math.nan
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


def rms(x: Tensor) -> float:
    """Root mean square of all entries, in double precision."""
    return float(x.detach().double().square().mean().sqrt())


@torch.no_grad()
def sublayer_gains(sublayers: Mapping[str, nn.Module], forward: Callable[[], object]) -> dict[str, float]:
    """RMS(f(x)) / RMS(x) of each sublayer f over everything that passes through it while `forward` runs once.

    The input x of a pre-norm sublayer is the normalised residual stream, so this is the gain that the paper keeps fixed.
    """
    gains: dict[str, float] = {}

    def measure(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            before = rms(inputs[0])
            gains[name] = rms(output) / before if before > 0 else math.nan

        return hook

    handles = [module.register_forward_hook(measure(name)) for name, module in sublayers.items()]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return gains


SHAPE_QUANTILES = {"shape_q10": 0.10, "shape_q50": 0.50, "shape_q90": 0.90, "shape_top": 1.0}
"""Points of a spectrum that describe its shape, each divided by the spectrum's root mean square."""


def spectrum_shape(spectra: Sequence[Tensor]) -> dict[str, float]:
    """SHAPE_QUANTILES of each spectrum over its own RMS, geometric mean over the spectra (scale-free by construction)."""
    shape = {}
    for name, quantile in SHAPE_QUANTILES.items():
        shape[name] = geometric_mean([float(values.quantile(quantile) / values.square().mean().sqrt()) for values in spectra])
    return shape


def frequency_power(weights: Tensor, inputs: int = 2) -> Tensor:
    """Power of columns (inputs x p, units) at the frequencies 1 ... p // 2 of all inputs together, (frequencies, units).

    A unit is a single frequency where one of them holds all; its mean takes no part.
    """
    spectrum = torch.fft.rfft(weights.reshape(inputs, -1, weights.shape[1]), dim=1)
    power: Tensor = spectrum[:, 1:].abs().square().sum(0)
    return power


def frequency_use(weights: Tensor, inputs: int = 2) -> dict[str, float]:
    """Of the power of such columns: the share at the strongest frequency of each unit, and over how many frequencies that spreads.

    The second is the participation ratio of what all units hold at their strongest one, as a share: 1 where every frequency has as much.
    """
    power = frequency_power(weights, inputs)
    strongest = torch.where(power == power.amax(0), power, 0.0)
    held = strongest.sum(1)
    return {
        "frequency_share": float(strongest.sum() / power.sum()),
        "frequencies": float(held.sum().square() / held.square().sum() / len(held)),
    }


def inverse_participation_ratio(weights: Tensor, dim: int) -> Tensor:
    """sum |F|^4 / (sum |F|^2)^2 over the frequencies of the real Fourier transform F along `dim`, which goes (2310.13061, section 2).

    1 for a single frequency, 1 / frequencies where all are equally strong, 0 for weights that are all zero; their scale changes nothing.
    """
    spectrum = torch.fft.rfft(weights, dim=dim).abs()
    peak = spectrum.amax(dim, keepdim=True)
    power = (spectrum / peak.where(peak != 0, 1.0)).square()  # relative to the peak: squares of small weights are zero in float32
    ratio: Tensor = power.square().sum(dim) / power.sum(dim).square().clamp_min(1.0)
    return ratio


def neuron_periodicity(first: Tensor, last: Tensor, inputs: int = 2) -> Tensor:
    """Inverse participation ratio of hidden neurons, (..., width): the mean over all that a neuron reads and writes.

    `first` (..., inputs x p, width) are its weights on so many one-hot numbers, `last` (..., width, p) those on the outputs.
    """
    blocks = (*first.tensor_split(inputs, dim=-2), last.mT)
    return torch.stack([inverse_participation_ratio(block, -2) for block in blocks]).mean(0)


def periodicity(first: Tensor, last: Tensor, inputs: int = 2) -> dict[str, Tensor]:
    """How `neuron_periodicity` is distributed over the neurons, each (...)."""
    ipr = neuron_periodicity(first, last, inputs)
    quantiles = {f"ipr_{name}": ipr.quantile(share, dim=-1) for name, share in (("q10", 0.1), ("median", 0.5), ("q90", 0.9))}
    return {**quantiles, "ipr_mean": ipr.mean(-1), "ipr_bimodality": bimodality_coefficient(ipr)}


def without_neurons(last: Tensor, numbers: Tensor, share: float, which: Pruned, *, seed: int = 0) -> Tensor:
    """The weights (width, outputs) that read hidden neurons, with a share of them set to zero by their numbers (width,).

    Neurons of equal number go in their order; random ones are drawn from `seed`.
    """
    if which == "random":
        order = torch.randperm(len(numbers), generator=generator(seed))
    else:
        order = numbers.argsort(descending=which == "highest", stable=True)
    return last.index_fill(0, order[: round(share * len(order))], 0.0)


def correlation(some: Tensor, others: Tensor) -> Tensor:
    """Pearson's, over the last dimension; 0 where either is constant."""
    pair = [values - values.mean(-1, keepdim=True) for values in (some, others)]
    return torch.cosine_similarity(pair[0], pair[1], dim=-1)


def bimodality_coefficient(values: Tensor) -> Tensor:
    """Sarle's (skewness^2 + 1) / kurtosis over the last dimension: 1 for two points, 5/9 for a uniform and 1/3 for a normal distribution.

    More than 5/9 speaks for two modes, or for a long tail. 0 where all values are equal.
    """
    centred = values - values.mean(-1, keepdim=True)
    second, third, fourth = (centred.pow(power).mean(-1) for power in (2, 3, 4))
    spread = second.where(second != 0, 1.0)
    return ((third.square() / spread**3 + 1.0) * spread.square() / fourth.where(fourth != 0, 1.0)).where(second != 0, second)
