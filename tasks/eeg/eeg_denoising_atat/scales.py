"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Grid, Resources, Scale
from tasks.eeg.eeg_denoising_atat.designs import AUTOENCODER, CLASSICAL, FLOOR, HIGHEST, LEARNED, LEVELS, LOWEST, TARGETED

_FILTERS = ("band-pass", "wavelet")
_ENDS = (LOWEST, HIGHEST)
_THREE = (LOWEST, -2.0, HIGHEST)
_NETWORKS = ("fcnn", "cnn", "rnn", AUTOENCODER, *TARGETED)
_ON_EYES = (FLOOR, "band-pass", "fcnn", "rnn", AUTOENCODER, "at-at")


def _grids(
    base: Mapping[str, Any],
    data: str,
    *,
    methods: Sequence[str],
    levels: Sequence[float],
    half: Sequence[float],
    widths: Sequence[float],
    eyes: Sequence[float] = (),
    on_eyes: Sequence[str] = _ON_EYES,
    eemd: Sequence[float] = (),
) -> list[Grid]:
    """Every method at `levels`; at `half` with half of the windows clean; at-at at `widths`; some at the levels `eyes` on EOG."""
    point = dict(base)
    grids = [
        Grid(points=[point], axes={"snr": levels}, methods=methods, data=data),
        Grid(points=[point | {"contaminated": 0.5}], axes={"snr": half}, methods=methods, data=data),
        Grid(points=[point], axes={"width": widths, "snr": _ENDS}, methods=["at-at"], data=data),
    ]
    if eyes:
        grids.append(Grid(points=[point | {"artifact": "eog"}], axes={"snr": eyes}, methods=on_eyes, data=data))
    if eemd:
        grids.append(Grid(points=[point], axes={"snr": eemd}, methods=["eemd"], data=data))
    return grids


_SMALL = (FLOOR, *_FILTERS, *_NETWORKS)
SMOKE = Scale(
    description="Does it run: windows of 1 s at 256 Hz, 60 steps of 40 for each network, two levels",
    grids=_grids(
        {"samples": 256, "windows": 2400, "test_windows": 60, "slow_windows": 4},
        "eeg-denoise",
        methods=_SMALL,
        levels=_ENDS,
        half=(LOWEST,),
        widths=(0.5, 1.0),
        eyes=(LOWEST,),
        on_eyes=(FLOOR, "at-at"),
        eemd=(LOWEST,),
    ),
    seeds=2,
    time_limit_s=60,
)

LAPTOP = Scale(
    description="Windows of 1 s at 256 Hz, 600 steps of 40 for each network",
    grids=_grids(
        {"samples": 256},
        "eeg-denoise",
        methods=_SMALL,
        levels=LEVELS,
        half=_THREE,
        widths=(0.5, 1.0, 2.0),
        eyes=_THREE,
        eemd=_THREE,
    ),
    seeds=5,
    time_limit_s=300,
)

GPU = Scale(
    description="Whole epochs of 2 s at 256 Hz, 5,000 steps of 40 for each network, eight trials to a card",
    grids=_grids(
        {"windows": 200_000, "test_windows": 0},
        "eeg-denoise",
        methods=(FLOOR, "band-pass", *_NETWORKS, "complex-cnn"),
        levels=LEVELS,
        half=_THREE,
        widths=(0.5, 1.0, 2.0, 4.0),
        eyes=_THREE,
    ),
    seeds=3,
    time_limit_s=600,
    resources=Resources(cpus=1, gpus=0.125),
)

_PUBLISHED = {"optimizer": "rmsprop", "lr": 5e-5, "schedule": "constant", "batch": 40, "dropout": 0.3, "pairings": 10}
PAPER = Scale(
    description="EEGdenoiseNet (bring it with --data): RMSprop at 5e-5, batches of 40, 50 passes over ten pairings of the training epochs",
    grids=_grids(
        # 80 % of 5,598 EMG epochs, ten times, 50 passes; half-second segments at 512 Hz.
        _PUBLISHED | {"windows": 50 * 10 * 4478, "test_windows": 0},
        "eegdenoisenet",
        methods=(FLOOR, *CLASSICAL, *LEARNED),
        levels=LEVELS,
        half=LEVELS,
        widths=(0.5, 1.0, 2.0, 4.0),
        eyes=LEVELS,
        on_eyes=(FLOOR, *CLASSICAL, *LEARNED),
    ),
    seeds=5,
    time_limit_s=24 * 3600,
    resources=Resources(cpus=4, gpus=1),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}


def seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial."""
    return 1.0
