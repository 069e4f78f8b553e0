"""Metrics of matrix-like weights, the same in both settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tasks.blocks.diagnostics import geometric_mean, singular_values, spectrum_shape


def spectrum_metrics(matrices: Mapping[str, Sequence[Tensor]], lr: float, decay: float) -> dict[str, float]:
    """Top singular value of each class (geometric mean over its matrices), their shape, and the RMS of the entries.

    Where there is decay, `sigma_norm_*` and `entry_norm` are divided by sqrt(lr / decay): what is left is the factor that
    depends on the width alone.
    """
    spectra = {name: [singular_values(matrix) for matrix in group] for name, group in matrices.items()}
    metrics = {f"sigma_top_{name}": geometric_mean([float(values[0]) for values in group]) for name, group in spectra.items()}
    metrics["sigma_top"] = geometric_mean(list(metrics.values()))
    metrics["entry_rms"] = geometric_mean(
        [float(matrix.double().square().mean().sqrt()) for group in matrices.values() for matrix in group]
    )
    if decay > 0:
        unit = math.sqrt(lr / decay)
        for name in list(metrics):
            if name.startswith("sigma_top"):
                metrics[name.replace("sigma_top", "sigma_norm")] = metrics[name] / unit
        metrics["entry_norm"] = metrics["entry_rms"] / unit
    return metrics | spectrum_shape([values for group in spectra.values() for values in group])


def finite(matrices: Mapping[str, Sequence[Tensor]]) -> bool:
    """Whether every entry is finite: singular values of anything else raise."""
    return all(bool(torch.isfinite(matrix).all()) for group in matrices.values() for matrix in group)
