"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100
from tasks.eeg.eeg_denoising_atat.memory import window
from tasks.eeg.eeg_denoising_atat.methods import AUTOENCODER, CLASSICAL, FLOOR, GATED, HIGHEST, LEARNED, LEVELS, LOWEST, NETWORKED

EVERY_LEVEL, HALF_CLEAN, WIDTHS, EYES = "levels", "half-clean", "widths", "eog"
"""Views of the scores: EMG at every level; the same with half of the windows clean; at-at in several sizes; the other artifact."""

_ENDS = (LOWEST, HIGHEST)
_THREE = (LOWEST, -2.0, HIGHEST)
_NETWORKS = ("fcnn", "cnn", "rnn", AUTOENCODER, *GATED)
_SMALL = (FLOOR, *CLASSICAL, *_NETWORKS)
_ON_EYES = (FLOOR, "band-pass", "fcnn", "rnn", AUTOENCODER, "at-at")

_RATES = {"fcnn": 1e-3, "cnn": 3e-4, "rnn": 3e-3, "complex-cnn": 3e-4, **dict.fromkeys((AUTOENCODER, *GATED), 1e-2)}
"""Each network's best on validation, in trial runs of a seed that no study uses (README, Log)."""


def _grids(
    train: Experiment,
    score: Experiment,
    data: str,
    training: Mapping[str, Any],
    *,
    methods: Sequence[str],
    levels: Sequence[float],
    half: Sequence[float],
    widths: Sequence[float],
    eyes: Sequence[float],
    on_eyes: Sequence[str] = _ON_EYES,
    **scoring: int,
) -> list[Grid]:
    """The trainings of the main view, and all scores: those name the trainings that they need themselves.

    `methods` at `levels`; at `half` with half of the windows clean; at-at at `widths`; `on_eyes` at `eyes` with EOG.
    """
    scored = {**training, **scoring}
    return [
        *_block(Grid(train, points=[training], methods=[name for name in methods if name in LEARNED], data=data)),
        *_block(Grid(score, view=EVERY_LEVEL, points=[scored], axes={"snr": levels}, methods=methods, data=data)),
        *_block(Grid(score, view=HALF_CLEAN, points=[{**scored, "contaminated": 0.5}], axes={"snr": half}, methods=methods, data=data)),
        *_block(Grid(score, view=WIDTHS, points=[scored], axes={"width": widths, "snr": _ENDS}, methods=["at-at"], data=data)),
        *_block(Grid(score, view=EYES, points=[{**scored, "artifact": "eog"}], axes={"snr": eyes}, methods=on_eyes, data=data)),
    ]


def _block(grid: Grid) -> list[Grid]:
    """A grid for each learning rate among its methods; a rate in its point is everybody's."""
    (point,) = grid.points
    rates: dict[float | None, list[str]] = {}
    for method in grid.methods:
        rates.setdefault(None if "lr" in point else _RATES.get(method), []).append(method)
    return [replace(grid, points=[{**point, **({} if rate is None else {"lr": rate})}], methods=methods) for rate, methods in rates.items()]


def scales(train: Experiment, score: Experiment) -> dict[str, Scale]:
    """Every scale trains each network once a seed and artifact and scores it everywhere."""
    grids = partial(_grids, train, score)
    small: dict[str, Any] = {"samples": 256, "dropout": 0.0}
    # 80 % of 5,598 EMG epochs, ten pairings, 50 passes.
    published = {"windows": 50 * 10 * 4478, "optimizer": "rmsprop", "lr": 5e-5, "schedule": "constant", "dropout": 0.3}
    everything, wide = (FLOOR, *CLASSICAL, *NETWORKED), (0.5, 1.0, 2.0, 4.0)
    on_gpu = (FLOOR, "band-pass", *_NETWORKS, "complex-cnn")
    ends: dict[str, Any] = {"levels": _ENDS, "half": (LOWEST,), "widths": (0.5, 1.0), "eyes": (LOWEST,), "on_eyes": (FLOOR, "at-at")}
    three: dict[str, Any] = {"levels": LEVELS, "half": _THREE, "eyes": _THREE}
    ten: dict[str, Any] = {"levels": LEVELS, "half": LEVELS, "eyes": LEVELS, "on_eyes": everything}
    return {
        "smoke": Scale(
            description="Does it run: windows of 1 s at 256 Hz, 40 steps of 40 for each network, two levels",
            grids=grids("eeg-denoise", {**small, "windows": 1600}, methods=_SMALL, test_windows=60, slow_windows=3, **ends),
            seeds=2,
            time_limit_s=120,
        ),
        "laptop": Scale(
            description="Windows of 1 s at 256 Hz, 1,000 steps of 40 for each network",
            grids=grids("eeg-denoise", {**small, "windows": 40_000}, methods=_SMALL, widths=(0.5, 1.0, 2.0), **three),
            seeds=5,
            time_limit_s=600,
        ),
        "gpu": Scale(
            description="Whole epochs of 2 s at 256 Hz, 5,000 steps of 40 for each network, eight trials to a card",
            grids=grids("eeg-denoise", {"windows": 200_000, "dropout": 0.0}, methods=on_gpu, widths=wide, test_windows=0, **three),
            seeds=3,
            time_limit_s=600,
            resources=Resources(cpus=1, gpus=0.125),
            hardware=H100,
        ),
        "paper": Scale(
            description="EEGdenoiseNet (bring it with --data): RMSprop at 5e-5, batches of 40, 50 passes over ten pairings of its epochs",
            grids=grids("eegdenoisenet", published, methods=everything, widths=wide, test_windows=0, **ten),
            seeds=5,
            time_limit_s=24 * 3600,
            resources=Resources(cpus=2, gpus=0.25),
            hardware=H100,
        ),
    }


_CPU_STEP = {"fcnn": 0.002, "rnn": 0.005, "cnn": 0.1, "complex-cnn": 0.2, AUTOENCODER: 0.005}
_GPU_STEP = 0.008
_GPU_LSTM = 2e-5
"""Seconds of a sample of the window: an LSTM takes one after the other, however wide a GPU is."""


def training_seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of a training: measured on a core of an EPYC server; on a GPU, estimates with eight trials to a card."""
    steps = float(params["windows"]) / float(params["batch"])
    if scale in ("gpu", "paper"):
        return 5.0 + steps * (_GPU_STEP + (_GPU_LSTM * window(params) if method == "rnn" else 0.0))
    return 0.3 + steps * _CPU_STEP.get(method, 0.006) * max(1.0, float(params["width"]))


def scoring_seconds(_scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of a score."""
    return {"eemd": 0.17 * float(params["slow_windows"]), "rnn": 0.8}.get(method, 0.1)
