"""The leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.estimates import Mean
from harness.task import Statistic
from tasks.eeg.eeg_denoising_atat.designs import HIGHEST, LOWEST
from tasks.eeg.eeg_denoising_atat.estimates import half_clean, scores

_LEVELS = "EMG, mean over the levels"

STATISTICS = (
    Statistic(name="cc", estimate=Mean("cc", scores()), better="higher", description=_LEVELS),
    Statistic(name="cc_minus_7db", estimate=Mean("cc", scores(snr=LOWEST)), better="higher", description="EMG at -7 dB"),
    Statistic(name="cc_2db", estimate=Mean("cc", scores(snr=HIGHEST)), better="higher", description="EMG at 2 dB"),
    Statistic(name="rrmse_temporal", estimate=Mean("rrmse_temporal", scores()), unit="ratio", better="lower", description=_LEVELS),
    Statistic(name="rrmse_spectral", estimate=Mean("rrmse_spectral", scores()), unit="ratio", better="lower", description=_LEVELS),
    Statistic(name="share_sent", estimate=Mean("share_sent", scores()), unit="ratio", description=f"segments sent; {_LEVELS}"),
    Statistic(name="cc_half", estimate=Mean("cc", half_clean()), better="higher", description="EMG, half of the windows clean"),
    Statistic(
        name="cc_of_clean",
        estimate=Mean("cc_clean", half_clean()),
        better="higher",
        description="of the clean windows among them: what a method does to EEG that needs nothing",
    ),
    Statistic(name="share_sent_half", estimate=Mean("share_sent", half_clean()), unit="ratio", description="segments sent of both"),
    Statistic(name="proxy_auc", estimate=Mean("proxy_auc", half_clean()), better="higher", description="proxy, contaminated against clean"),
    Statistic(name="cc_eog", estimate=Mean("cc", scores("eog")), better="higher", description="EOG, mean over the levels"),
    Statistic(name="rrmse_temporal_eog", estimate=Mean("rrmse_temporal", scores("eog")), unit="ratio", better="lower"),
    Statistic(name="parameters", estimate=Mean("parameters", scores()), description="used in cleaning"),
    Statistic(name="multiply_adds", estimate=Mean("multiply_adds", scores()), description="a window"),
    Statistic(name="train_seconds", estimate=Mean("train_seconds", scores()), unit="s", description="depends on the machine"),
    Statistic(name="seconds_per_1000", estimate=Mean("seconds_per_1000", scores()), unit="s", description="to clean 1,000 windows"),
    Statistic(
        name="val_cc",
        estimate=Mean("val_cc", {"stage": "train", "artifact": "emg", "width": 1.0}),
        better="higher",
        description="validation split, EMG; of ae-only also the half-budget autoencoder that at-* start from",
    ),
)
