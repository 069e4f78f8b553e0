"""Accuracy of runs that were not made, through their loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.errors import UsageError
from harness.laws import LAWS, Options, downstream, fit
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture

AT = {"x": 1e23}


def loss(x: np.ndarray | float) -> np.ndarray | float:
    return 1.8 + 400 * x**-0.14


def accuracy(found: np.ndarray | float) -> np.ndarray | float:
    return 0.25 + 0.6 / (1 + np.exp(3.0 * (found - 2.6)))


def runs(seed: int = 0, points: int = 24, noise: tuple[float, float] = (0.004, 0.01)) -> pd.DataFrame:
    rng, x = np.random.default_rng(seed), np.logspace(17.5, 22, points)
    seen = loss(x) * np.exp(rng.normal(0, noise[0], points))
    return pd.DataFrame({"x": x, "loss": seen, "acc": accuracy(seen) * np.exp(rng.normal(0, noise[1], points))})


def chained(frame: pd.DataFrame, resamples: int = 60) -> downstream.Prediction:
    first = fit("power-law-floor", frame, {"y": "loss"}, Options(resamples=resamples, predict=[AT]))
    second = fit("sigmoid", frame, {"y": "acc"}, Options(resamples=resamples))
    (found,) = downstream.through(first, second)
    return found


def test_without_noise_it_is_the_composition() -> None:
    found = chained(runs(noise=(0.0, 0.0)), resamples=0)
    assert found.value == pytest.approx(accuracy(loss(1e23)), rel=1e-4)
    assert (found.low, found.reason) == (None, "no resamples were asked for")
    assert found.beyond == "x 10 times the largest, loss 1.04 times below the least"


def test_both_stages_widen_the_band() -> None:
    plain, first, second = (chained(runs(noise=noise)) for noise in ((0.002, 0.005), (0.008, 0.005), (0.002, 0.02)))
    for wider in (first, second):
        assert wider.high - wider.low > 1.5 * (plain.high - plain.low)
        assert wider.new_high - wider.new_low > wider.high - wider.low


def test_bands_through_both_stages_cover_as_often_as_promised() -> None:
    sets, law, new, truth = 20, 0, 0, accuracy(loss(1e23))
    for seed in range(sets):
        found = chained(runs(seed))
        rng = np.random.default_rng(1000 + seed)
        own = accuracy(loss(1e23) * np.exp(rng.normal(0, 0.004))) * np.exp(rng.normal(0, 0.01))
        law += found.low <= truth <= found.high
        new += found.new_low <= own <= found.new_high
    least, most = stats.binom.interval(0.999, sets, 0.95)
    assert least <= law <= most
    assert least <= new <= most


def test_laws_that_do_not_chain_are_named() -> None:
    with pytest.raises(UsageError, match="--through is for laws of loss, such as sigmoid, not chinchilla"):
        downstream.check(LAWS["power-law"], LAWS["chinchilla"])
    with pytest.raises(UsageError, match="--through takes a law that gives a loss"):
        downstream.check(LAWS["sigmoid"], LAWS["sigmoid"])


def test_the_command_predicts_accuracy(papertrial: Command) -> None:  # noqa: F811
    both = pd.concat([runs(seed).assign(kind=kind) for seed, kind in enumerate(("one", "two"))])
    both.rename(columns={"loss": "c4", "x": "C"}).to_csv("runs.csv", index=False)
    words = ["fit", "sigmoid", "runs.csv", "--loss", "c4", "--y", "acc", "--through", "power-law-floor", "--x", "C"]
    said = papertrial(
        *words,
        "--resamples",
        "60",
        "--predict",
        "C=1e23",
        "--group",
        "kind",
        "--fix",
        "a=0.25,E=1.8",
        "--json",
        "fit.json",
        "--markdown",
        "fit.md",
    )
    assert said.code == 0, said.err
    found = json.loads(Path("fit.json").read_text())
    one, two = found["predictions_through"]
    assert [one["group"], two["group"]] == ["one", "two"]
    assert one["new_run_low"] < one["low"] < one["value"] < one["high"] < one["new_run_high"]
    assert one["value"] == pytest.approx(accuracy(loss(1e23)), rel=0.03)
    assert found["through"]["fits"][0]["parameters"][-1]["fixed"]
    assert found["fits"][0]["parameters"][0]["fixed"]
    assert "| x = 1e+23 | one |" in Path("fit.md").read_text()
    said = papertrial(*words, "--isoflop")
    assert (said.code, "--isoflop means nothing to sigmoid" in said.err) == (2, True), said.err
