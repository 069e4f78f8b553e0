"""Accuracy at a matched reduction, on planted curves."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from harness.estimates import Difference, Mean, Of
from tasks.pruning.estimates import AtReduction

OURS = Of("ours", Mean("flops_reduction"))
AT = AtReduction("test_accuracy", "l1", OURS)


def row(
    method: str, asked: float, reached: float, test: float, *, val: float = 50.0, status: str = "ok", lr: float = 0.1
) -> dict[str, Any]:
    """One record."""
    metrics = {"metric.flops_reduction": reached, "metric.test_accuracy": test, "metric.val_accuracy": val}
    return {"method": method, "seed": 0, "status": status, "param.reduction": asked, "param.lr": lr} | metrics


def frame(at: float, *more: dict[str, Any], dense: float = 90.0) -> pd.DataFrame:
    """A curve 90 at 0, 88 at 42, 80 at 62, and `ours` at `at` percent."""
    curve = [row("dense", 0.5, 0.0, dense), row("l1", 0.4, 42.0, 88.0), row("l1", 0.6, 62.0, 80.0), row("ours", 0.5, at, 87.0)]
    return pd.DataFrame([*curve, *more])


@pytest.mark.parametrize(("at", "expected"), [(0.0, 90.0), (21.0, 89.0), (42.0, 88.0), (47.0, 86.0), (62.0, 80.0)])
def test_between_two_points_the_curve_is_straight(at: float, expected: float) -> None:
    assert AT(frame(at)) == pytest.approx(expected)
    assert Difference(Of("ours", Mean("test_accuracy")), AT)(frame(at)) == pytest.approx(87.0 - expected)


@pytest.mark.parametrize("at", [62.1, 90.0, -1.0, math.nan])
def test_nothing_is_extrapolated(at: float) -> None:
    assert math.isnan(AT(frame(at)))


def test_without_the_dense_network_the_curve_begins_at_its_first_point() -> None:
    alone = AtReduction("test_accuracy", "l1", OURS, dense="")
    assert math.isnan(alone(frame(41.9)))
    assert alone(frame(52.0)) == pytest.approx(84.0)


def test_val_chooses_and_test_does_not() -> None:
    lucky = row("l1", 0.6, 62.0, 99.0, val=40.0, lr=0.2)
    better = row("l1", 0.6, 66.0, 70.0, val=60.0, lr=0.3)
    assert AT(frame(62.0, lucky)) == pytest.approx(80.0)
    assert AT(frame(54.0, lucky, better)) == pytest.approx(79.0)  # halfway from (42, 88) to (66, 70)
    assert AtReduction("test_accuracy", "l1", OURS, where={"lr": 0.1})(frame(62.0, lucky, better)) == pytest.approx(80.0)


def test_divergence_loses_against_another_rate_but_does_not_vanish() -> None:
    gone = row("l1", 0.6, math.nan, math.nan, val=math.nan, status="diverged", lr=0.2)
    assert AT(frame(62.0, gone)) == pytest.approx(80.0)
    alone = row("l1", 0.5, math.nan, math.nan, val=math.nan, status="diverged")
    assert math.isnan(AT(frame(50.0, alone)))
    failed = row("l1", 0.6, math.nan, math.nan, val=math.nan, status="failed", lr=0.2)
    assert math.isnan(AT(frame(50.0, failed)))


def test_a_missing_part_is_no_number() -> None:
    assert math.isnan(AT(frame(50.0, dense=math.nan)))
    whole = frame(50.0)
    for method in ("ours", "l1", "dense"):
        assert math.isnan(AT(whole[whole["method"] != method]))
    assert math.isnan(AT(whole.drop(columns="metric.flops_reduction")))
