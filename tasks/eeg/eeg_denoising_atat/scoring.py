"""How well windows are cleaned: EEGdenoiseNet's three numbers, and what of the gate can be measured."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.eeg.eeg_denoising_atat.mixing import rms
from tasks.eeg.eeg_denoising_atat.targeted import correlation
from tasks.eeg.spectra import welch


def per_window(cleaned: Tensor, clean: Tensor, rate: float) -> dict[str, Tensor]:
    """Correlation, and relative root mean square errors of the samples and of the spectral density, of each window: (n, t) -> (n,)."""
    wanted = welch(clean, rate).density
    return {
        "cc": correlation(cleaned, clean),
        "rrmse_temporal": rms(cleaned - clean) / rms(clean),
        "rrmse_spectral": rms(welch(cleaned, rate).density - wanted) / rms(wanted),
    }


def area_under_roc(low: Tensor, high: Tensor) -> float:
    """Probability that a value of `low` (n,) is below one of `high` (m,), ties counted as half: the area under the ROC curve."""
    ordered = high.double().sort().values.contiguous()
    values = low.double().contiguous()
    above = len(ordered) - torch.searchsorted(ordered, values, right=True)
    equal = torch.searchsorted(ordered, values, right=True) - torch.searchsorted(ordered, values)
    return float((above + 0.5 * equal).sum() / (len(values) * len(ordered)))
