"""Crossing times and gaps of known curves, reached and not."""

from __future__ import annotations

import math

import pytest

from tasks.blocks.small_members import Run
from tasks.grokking.gap import crossing, crossings, gap, gap_metrics


def test_an_exponential_is_crossed_where_it_is_whatever_the_steps() -> None:
    for steps in ((0, 1, 2, 5, 100), (0, 7, 50), (0, 30, 60)):
        found, censored = crossing([(step, math.exp(-0.1 * step)) for step in steps], 0.2)
        assert found == pytest.approx(10 * math.log(5))
        assert not censored


def test_the_first_drop_counts_and_what_is_not_reached_is_a_bound() -> None:
    assert crossing([(0, 1.0), (10, 0.1), (20, 1.0), (30, 0.01)], 0.1) == (10.0, False)
    assert crossing([(0, 1.0), (10, 0.3)], 0.2) == (10, True)
    assert crossing([(0, 0.1), (10, 0.3)], 0.2) == (0, False)
    at, censored = crossing([(0, 1.0), (10, math.inf), (20, 0.1)], 0.2)
    assert math.isnan(at)
    assert censored


def test_of_a_run_the_training_loss_comes_first() -> None:
    run = Run([0, 10, 20], {"test_loss": [1.0, 0.9, 0.1], "train_loss": [1.0, 0.1, 0.0]}, {})
    assert crossings(run, 0.1) == ((10.0, False), (20.0, False))


def test_a_gap_is_censored_as_the_test_loss_is() -> None:
    for fitted, late, wanted in (
        ((10.0, False), (40.0, False), {"grok_gap": 30.0, "delay": 4.0, "lag": 0.75}),
        ((10.0, False), (100.0, True), {"grok_gap": 90.0, "delay": 10.0, "lag": 0.9}),
        ((100.0, True), (100.0, True), {"grok_gap": 0.0, "delay": 1.0, "lag": 0.0}),
    ):
        assert gap(fitted, late) == pytest.approx({**wanted, **{f"{name}_censored": float(late[1]) for name in wanted}})
    assert gap((40.0, False), (10.0, False))["grok_gap"] == 0.0
    for diverged in (gap((math.nan, True), (math.nan, True)), gap((10.0, False), (math.nan, True))):
        assert math.isnan(diverged["delay"])
        assert math.isnan(diverged["grok_gap"])
        assert math.isnan(diverged["lag"])
    assert {name for metric in gap_metrics() for name in (metric.name, f"{metric.name}_censored")} == set(gap((1.0, False), (2.0, False)))
