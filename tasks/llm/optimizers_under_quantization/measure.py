"""What a trained network is measured by: the rise of its loss under every scheme, its error terms and its outliers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from tasks.blocks.diagnostics import geometric_mean
from tasks.llm.evaluation import mean_loss
from tasks.llm.optimizers_under_quantization.decomposition import LayerError, decompose
from tasks.llm.optimizers_under_quantization.outliers import activation_statistics
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES, quantized

GAINS = ("gain", "gain_spectral", "gain_alignment", "gain_rounding")
"""G = G1 G2 G3; G3 is what rounding the layer's own inputs adds, one for schemes that leave activations alone."""
Windows = tuple[Tensor, Tensor]
ERROR_WINDOWS = 16
"""Validation windows that errors and outliers are measured on: their terms are sums over tokens, channels and layers."""


def scheme_metrics(
    model: nn.Module, losses: dict[str, float], windows: dict[str, Windows], calibration: Sequence[Tensor]
) -> dict[str, float]:
    """Rise of the validation loss under each scheme, and of the test loss under the paper's."""
    metrics = {}
    for name, scheme in SCHEMES.items():
        rounded = quantized(model, scheme, calibration if scheme.method == "gptq" else ())
        metrics[f"rise_{name}"] = mean_loss(rounded, *windows["val"]) - losses["val_loss"]
        if name == "w4a4":
            metrics["test_rise_w4a4"] = mean_loss(rounded, *windows["test"]) - losses["test_loss"]
    return metrics


def error_metrics(model: nn.Module, tokens: Tensor) -> dict[str, float]:
    """R_L, and A, B, C, gains and outliers over the layers, all under W4A4 on `tokens` (count, length)."""
    tokens = tokens[:ERROR_WINDOWS].to(next(model.parameters()).device)
    errors = decompose(model, quantized(model, SCHEMES["w4a4"]), tokens)
    return {"r_l": errors[-1].R} | _shares(errors) | _gains(errors) | activation_statistics(model, tokens)


def _shares(errors: Sequence[LayerError]) -> dict[str, float]:
    """Mean A/R, B/R and C/R over linear layers and blocks, and the share of them in which A is the largest of A, B, |C|."""
    layers = [error for error in errors if error.kind != "end"]
    count = len(layers)
    means = {f"share_{term.lower()}": math.fsum(getattr(e, term) / e.R for e in layers) / count for term in "ABC"}
    return means | {"accumulated": sum(max(e.B, abs(e.C)) < e.A for e in layers) / count}


def _gains(errors: Sequence[LayerError]) -> dict[str, float]:
    """Geometric means of the linear layers' gains, and how far each factor is from one: mean |log|."""
    factors = [(e.G, e.G1, e.G2, e.G3) for e in errors]
    gains = [[factor for factor in gain if factor is not None] for gain in factors if None not in gain]
    columns = {name: [gain[i] for gain in gains] for i, name in enumerate(GAINS)}
    metrics = {name: geometric_mean(values) for name, values in columns.items()}
    for name in GAINS[1:]:
        metrics[name.replace("gain", "log")] = math.fsum(abs(math.log(value)) for value in columns[name]) / len(gains)
    return metrics
