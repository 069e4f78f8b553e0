"""Gaussian priors: the algebra of ridge regression, limits, coverage, and what the command says."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.errors import UsageError
from harness.laws import Options, fit
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import chinchilla_runs


def line(seed: int = 0, points: int = 8) -> pd.DataFrame:
    x = np.logspace(1, 2, points)
    return pd.DataFrame({"x": x, "y": 2 * x**0.6 * np.exp(np.random.default_rng(seed).normal(0, 0.1, points))})


def test_a_prior_is_an_observation_of_the_parameter() -> None:
    frame = line()
    log_x, log_y = np.log(frame["x"]), np.log(frame["y"])
    alone = stats.linregress(log_x, log_y)
    left = log_y - alone.intercept - alone.slope * log_x
    variance = float((left**2).sum()) / 6
    spread = float(((log_x - log_x.mean()) ** 2).sum())
    # Two independent measurements of the slope, averaged by the inverse of their variances.
    precision = spread / variance + 1 / 0.05**2
    expected = (alone.slope * spread / variance + 0.5 / 0.05**2) / precision
    found = fit("power-law", frame, options=Options(resamples=200, priors={"a": (0.5, 0.05)}))
    a = found.estimate("a")
    assert a.value == pytest.approx(expected, rel=1e-9)
    half = stats.t.ppf(0.975, 6) / math.sqrt(precision)
    assert 0.95 * half < (a.high - a.low) / 2 < 1.4 * half
    assert f"the rows alone say {alone.slope:.4g}" in found.parts[0].notes[0]


@pytest.mark.parametrize("delta", [None, math.inf])
def test_a_wide_prior_says_nothing_and_a_narrow_one_fixes(delta: float | None) -> None:
    frame = chinchilla_runs()
    names = ("A", "alpha", "B", "beta", "E")
    plain, wide = (fit("chinchilla", frame, options=Options(resamples=0, delta=delta, priors=p)) for p in ({}, {"E": (1.5, 1e4)}))
    assert [wide.estimate(n).value for n in names] == pytest.approx([plain.estimate(n).value for n in names], rel=1e-4)
    narrow = fit("chinchilla", frame, options=Options(resamples=0, delta=delta, priors={"E": (1.5, 1e-6)}))
    fixed = fit("chinchilla", frame, options=Options(resamples=0, delta=delta, fixed={"E": 1.5}))
    assert [narrow.estimate(n).value for n in names] == pytest.approx([fixed.estimate(n).value for n in names], rel=1e-3)


def test_a_prior_tells_apart_what_the_rows_cannot() -> None:
    frame = chinchilla_runs(ratio=20.0)
    found = fit("chinchilla", frame, options=Options(resamples=100, priors={"alpha": (0.34, 0.01), "beta": (0.28, 0.01)}))
    alpha = found.estimate("alpha")
    assert alpha.low is not None
    assert alpha.low < 0.34 < alpha.high
    assert fit("chinchilla", frame, options=Options(resamples=100)).estimate("alpha").low is None


def test_intervals_cover_when_the_prior_is_right() -> None:
    sets, held = 40, 0
    for seed in range(sets):
        mean = float(np.random.default_rng(500 + seed).normal(0.6, 0.05))
        a = fit("power-law", line(seed), options=Options(resamples=60, seed=seed, priors={"a": (mean, 0.05)})).estimate("a")
        held += a.low <= 0.6 <= a.high
    least, most = stats.binom.interval(0.999, sets, 0.95)
    assert least <= held <= most


def test_families_share_the_prior_not_the_parameter() -> None:
    frame = pd.concat([line(seed).assign(kind=kind) for seed, kind in enumerate(("one", "two"))])
    found = fit("power-law", frame, options=Options(resamples=50, group=["kind"], share=["c"], priors={"a": (0.6, 0.05)}))
    assert [note.split(":")[0] for note in found.parts[0].notes] == ["prior on a[one]", "prior on a[two]"]


def test_priors_that_are_none_are_named(papertrial: Command) -> None:  # noqa: F811
    frame = line()
    for priors, says in (
        ({"b": (0.5, 0.1)}, "unknown free parameter of law power-law: 'b'"),
        ({"a": (0.5, 0.0)}, "needs a positive spread"),
        ({"c": (-1.0, 0.1)}, "a prior on c needs a positive value, not -1"),
    ):
        with pytest.raises(UsageError, match=says):
            fit("power-law", frame, options=Options(priors=priors))
    frame.to_csv("runs.csv", index=False)
    for written in ("a=0.5+-0.05", "a=0.5±0.05"):
        said = papertrial("fit", "power-law", "runs.csv", "--prior", written, "--resamples", "30")
        assert (said.code, "prior on a: 0.5 ± 0.05; the rows alone say" in said.out) == (0, True), said.err
    said = papertrial("fit", "power-law", "runs.csv", "--prior", "a=0.5")
    assert (said.code, "--prior takes NAME=VALUE+-SPREAD, such as alpha=0.34+-0.05, not a=0.5" in said.err) == (2, True)
    said = papertrial("fit", "power-law", "runs.csv", "--prior", "a=0.5+-0.1", "--compare", "--resamples", "30")
    assert (said.code, "does not go with --prior" in said.err) == (2, True)
