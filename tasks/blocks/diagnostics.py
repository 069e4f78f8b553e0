"""What a trained network is measured by: singular values and sublayer gains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn


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
