"""Cleans the test windows of one level and mix and measures what is left of the artifact and of the EEG."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.eeg.eeg_denoising_atat.cleaning import clean
from tasks.eeg.eeg_denoising_atat.methods import SHOWN
from tasks.eeg.eeg_denoising_atat.mixing import rms
from tasks.eeg.eeg_denoising_atat.signals import held_out_signals
from tasks.eeg.eeg_denoising_atat.targeted import Gated, correlation
from tasks.eeg.spectra import welch


def score(trial: Trial) -> Mapping[str, float]:
    """Means over the test windows. Networks come from the trial that this one needs."""
    signals, params = held_out_signals(trial), trial.params
    some = slice(params.slow_windows if trial.method == "eemd" else None)
    noisy, wanted = (windows[some] for windows in signals.mixed())
    contaminated = signals.pairs.contaminated[some]
    cleaned = clean(trial, noisy, signals.rate)
    scores = per_window(cleaned.windows, wanted, signals.rate)
    if params.snr in SHOWN and params.contaminated == 1.0:
        _log_example(trial, (noisy, wanted, cleaned.windows), signals.rate)
        _log_spectra(trial, (noisy, wanted, cleaned.windows), signals.rate)
    means = {name: float(values.double().mean()) for name, values in scores.items()}
    return {
        **means,
        "decorrelation": 1.0 - means["cc"],
        "cc_sd": float(scores["cc"].double().std(correction=0)),
        **_apart("cc", scores["cc"], contaminated),
        **(_gate(cleaned.gated, contaminated) if cleaned.gated else {}),
        **cleaned.costs,
        "seconds_per_1000": 1000.0 * cleaned.seconds / len(noisy),
    }


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


def _apart(name: str, values: Tensor, contaminated: Tensor) -> dict[str, float]:
    """Means over the windows with and without artifact, (n, ...), of those that there are."""
    parts = {f"{name}_mixed": values[contaminated], f"{name}_clean": values[~contaminated]}
    return {part: float(of.double().mean()) for part, of in parts.items() if len(of)}


def _gate(gated: Gated, contaminated: Tensor) -> dict[str, float]:
    """The share of segments sent, and how well the proxy tells contaminated ones from clean ones where there are both."""
    told = {"share_sent": float(gated.sent.double().mean()), **_apart("share_sent", gated.sent.double(), contaminated)}
    if contaminated.any() and not contaminated.all():
        told["proxy_auc"] = area_under_roc(gated.proxy[contaminated].flatten(), gated.proxy[~contaminated].flatten())
    return told


def _log_example(trial: Trial, windows: tuple[Tensor, Tensor, Tensor], rate: float) -> None:
    """The first test window over seconds, before, as it should be, and after."""
    for sample, values in enumerate(zip(*(kind[0].tolist() for kind in windows), strict=True)):
        noisy, wanted, cleaned = values
        trial.log(sample / rate, trace_noisy=noisy, trace_clean=wanted, trace_cleaned=cleaned)


def _log_spectra(trial: Trial, windows: tuple[Tensor, Tensor, Tensor], rate: float) -> None:
    """Densities over frequency, mean over the windows."""
    spectra = [welch(kind, rate) for kind in windows]
    rows = zip(spectra[0].frequencies.tolist(), *(spectrum.density.double().mean(0).tolist() for spectrum in spectra), strict=True)
    for frequency, noisy, wanted, cleaned in rows:
        trial.log(frequency, psd_noisy=noisy, psd_clean=wanted, psd_cleaned=cleaned)
