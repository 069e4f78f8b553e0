"""Public tables of runs: the published numbers come out, or it is shown why they do not. Sources in tables/SOURCE.md."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from harness.laws import Options, fit

TABLES = Path(__file__).parent / "tables"
COMPUTE = {"flops": "6*n*d", "m": "d/n", "y": "loss"}
GADRE = {"c4_original": (141.3, 189.5, 0.1212, 1.508), "rpj": (212.2, 366.7, 0.1364, 1.837), "rw_original": (157.1, 246.2, 0.1272, 1.734)}
GADRE_ERROR = {"c4_original": (1.288, 0.972, 0.7590), "rpj": (1.323, 0.891, 0.7608), "rw_original": (1.128, 0.821, 0.7677)}
C4 = {"A": math.exp(6.255414), "alpha": 0.3526596, "B": math.exp(7.3049974), "beta": 0.3526596, "E": math.exp(0.6254804)}
FED = {"un": "exp((6.255414-7.3049974)/0.3526596)*u", "y": "loss"}


@pytest.mark.parametrize("corpus", GADRE)
def test_gadre_s_over_training_laws(corpus: str) -> None:
    runs = pd.read_csv(TABLES / "gadre.csv")
    runs = runs[(runs["train"] == corpus) & (runs["fitted_by"] == "loss")]
    assert len(runs) == 5
    # Theirs is least squares in the loss: the same error of y in every row.
    found = fit("over-training", runs, COMPUTE, Options(resamples=0, delta=math.inf, errors="0*loss+1"))
    for name, theirs, close in zip(("a", "b", "eta", "E"), GADRE[corpus], (0.003, 0.003, 0.001, 0.001), strict=True):
        assert found.estimate(name).value == pytest.approx(theirs, rel=close), name


@pytest.mark.parametrize("corpus", GADRE_ERROR)
def test_gadre_s_error_from_loss(corpus: str) -> None:
    runs = pd.read_csv(TABLES / "gadre.csv")
    runs = runs[(runs["train"] == corpus) & runs["fitted_by"].notna()]
    assert len(runs) == 6
    found = fit("error-of-loss", runs, {"y": "error"}, Options(resamples=0, errors="0*error+1"))
    for name, theirs, close in zip(("k", "gamma", "epsilon"), GADRE_ERROR[corpus], (0.015, 0.007, 0.001), strict=True):
        assert found.estimate(name).value == pytest.approx(theirs, rel=close), name


def test_gadre_s_large_runs_lie_where_the_small_ones_predict_them() -> None:
    runs = pd.read_csv(TABLES / "gadre.csv")
    runs = runs[runs["train"] == "rpj"]
    large = runs[(runs["n"] > 1e9) & (runs["d"] > 1e11)]
    points = [{"flops": 6.0 * n * d, "m": d / n} for n, d in zip(large["n"], large["d"], strict=True)]
    found = fit("over-training", runs[runs["n"] < 1e9], COMPUTE, Options(resamples=200, predict=points)).parts[0].predictions
    assert len(found) == 2
    for one, measured in zip(found, large["loss"], strict=True):
        assert one.value == pytest.approx(measured, rel=0.01)
        assert one.new_low < measured < one.new_high
        assert one.beyond.startswith("flops ")


def test_muennighoff_s_optimum_is_one_of_several_in_a_flat_valley() -> None:
    runs = pd.read_csv(TABLES / "muennighoff.csv")
    assert len(runs) == 182
    published = {"R": 15.387756, "R_N": 5.309743}
    found = fit("data-constrained", runs, FED, Options(resamples=0, fixed=C4, starts=(published,))).parts[0]
    assert found.given[0] == pytest.approx(0.0158259366, rel=1e-6), "their objective at their values"
    assert found.objective == pytest.approx(0.0158047, rel=1e-5), "and there is a lower one"
    values = {e.name: e.value for e in found.estimates}
    assert (values["R"], values["R_N"]) == pytest.approx((95.4, 1.706), rel=1e-2)
    kept = fit("data-constrained", runs, FED, Options(resamples=0, fixed=C4 | {"R": 15.387756}))
    assert kept.estimate("R_N").value == pytest.approx(5.31, abs=0.005), "theirs, where R is held at theirs"


def test_muennighoff_s_runs_determine_the_decay_once_the_other_parameters_are_theirs_too() -> None:
    runs = pd.read_csv(TABLES / "muennighoff.csv")
    fixed, free = (fit("data-constrained", runs, FED, Options(resamples=100, fixed=f)) for f in (C4, {}))
    assert fixed.estimate("R").low is None
    assert "almost no information" in fixed.estimate("R").reason
    assert free.parts[0].objective < 0.41 * fixed.parts[0].objective
    decay = free.estimate("R")
    assert 20 < decay.low < decay.value < decay.high < 110
