"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Grid, Resources, Scale
from tasks.eeg.eeg_denoising_atat.designs import AUTOENCODER, CLASSICAL, FLOOR, GATED, HIGHEST, LEVELS, LOWEST, NETWORKED

_ENDS = (LOWEST, HIGHEST)
_THREE = (LOWEST, -2.0, HIGHEST)
_NETWORKS = ("fcnn", "cnn", "rnn", AUTOENCODER, *GATED)
_SMALL = (FLOOR, *CLASSICAL, *_NETWORKS)
_ON_EYES = (FLOOR, "band-pass", "fcnn", "rnn", AUTOENCODER, "at-at")

_RATES = {"fcnn": 1e-3, "cnn": 3e-4, "rnn": 3e-3, "complex-cnn": 3e-4, **dict.fromkeys((AUTOENCODER, *GATED), 1e-2)}
"""Each network's best on validation, in trial runs of a seed that no study uses (README, Log)."""


def _grid(point: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], methods: Sequence[str], data: str) -> list[Grid]:
    """One block of scores, a grid for each learning rate among its methods; a rate in `point` is everybody's."""
    rates: dict[float | None, list[str]] = {}
    for method in methods:
        rates.setdefault(None if "lr" in point else _RATES.get(method), []).append(method)
    return [
        Grid(points=[{**point, **({} if rate is None else {"lr": rate})}], axes=axes, methods=names, data=data)
        for rate, names in rates.items()
    ]


def _grids(
    point: Mapping[str, Any],
    data: str,
    *,
    methods: Sequence[str],
    levels: Sequence[float],
    half: Sequence[float],
    widths: Sequence[float],
    eyes: Sequence[float],
    on_eyes: Sequence[str] = _ON_EYES,
) -> list[Grid]:
    """`methods` at `levels`; at `half` with half of the windows clean; at-at at `widths`; `on_eyes` at `eyes` with EOG."""
    return [
        *_grid(point, {"snr": levels}, methods, data),
        *_grid({**point, "contaminated": 0.5}, {"snr": half}, methods, data),
        *_grid(point, {"width": widths, "snr": _ENDS}, ["at-at"], data),
        *_grid({**point, "artifact": "eog"}, {"snr": eyes}, on_eyes, data),
    ]


SMOKE = Scale(
    description="Does it run: windows of 1 s at 256 Hz, 40 steps of 40 for each network, two levels",
    grids=_grids(
        {"samples": 256, "windows": 1600, "dropout": 0.0, "test_windows": 60, "slow_windows": 3},
        "eeg-denoise",
        methods=_SMALL,
        levels=_ENDS,
        half=(LOWEST,),
        widths=(0.5, 1.0),
        eyes=(LOWEST,),
        on_eyes=(FLOOR, "at-at"),
    ),
    seeds=2,
    time_limit_s=120,
)

LAPTOP = Scale(
    description="Windows of 1 s at 256 Hz, 1,000 steps of 40 for each network",
    grids=_grids(
        {"samples": 256, "windows": 40_000, "dropout": 0.0, "slow_windows": 20},
        "eeg-denoise",
        methods=_SMALL,
        levels=LEVELS,
        half=_THREE,
        widths=(0.5, 1.0, 2.0),
        eyes=_THREE,
    ),
    seeds=5,
    time_limit_s=600,
)

GPU = Scale(
    description="Whole epochs of 2 s at 256 Hz, 5,000 steps of 40 for each network, eight trials to a card",
    grids=_grids(
        {"windows": 200_000, "dropout": 0.0, "test_windows": 0},
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

PAPER = Scale(
    description="EEGdenoiseNet (bring it with --data): RMSprop at 5e-5, batches of 40, 50 passes over ten pairings of the training epochs",
    grids=_grids(
        # 80 % of 5,598 EMG epochs, ten pairings, 50 passes.
        {"windows": 50 * 10 * 4478, "optimizer": "rmsprop", "lr": 5e-5, "schedule": "constant", "dropout": 0.3, "test_windows": 0},
        "eegdenoisenet",
        methods=(FLOOR, *CLASSICAL, *NETWORKED),
        levels=LEVELS,
        half=LEVELS,
        widths=(0.5, 1.0, 2.0, 4.0),
        eyes=LEVELS,
        on_eyes=(FLOOR, *CLASSICAL, *NETWORKED),
    ),
    seeds=5,
    time_limit_s=24 * 3600,
    resources=Resources(cpus=2, gpus=0.25),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}

_CPU_STEP = {"fcnn": 0.002, "rnn": 0.005, "cnn": 0.1, "complex-cnn": 0.2, AUTOENCODER: 0.005}
_GPU_STEP = 0.008


def seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured on a core of an EPYC server; on a GPU, estimates with eight trials to a card."""
    if params["stage"] == "score":
        return {"eemd": 0.17 * float(params["slow_windows"]), "rnn": 0.8}.get(method, 0.1)
    steps = float(params["windows"]) / float(params["batch"])
    if SCALES[scale].resources.gpus:
        return 5.0 + steps * _GPU_STEP
    return 0.3 + steps * _CPU_STEP.get(method, 0.006) * max(1.0, float(params["width"]))
