"""The gate at reduced size: `python -m tests.calibration.gate` is the full one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.compare import LEVEL, Tolerance, compare
from tests.calibration.gate import Scenario, simulate


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("normal", "as found", 12, 5),
        Scenario("normal", "two kinds", 12, 3),
        Scenario("coarse", "equal", 12, 3),
        Scenario("skewed", "as found", 6, 5, replicate=True),
    ],
    ids=str,
)
def test_equal_studies_stop_the_gate_no_more_often_than_promised(scenario: Scenario) -> None:
    sets = 40
    assert simulate(scenario, sets).stopped <= stats.binom.ppf(0.999, sets, LEVEL)


@pytest.mark.parametrize("noise", ["normal", "skewed", "heavy tails"])
def test_a_regression_of_three_standard_deviations_is_found_at_five_seeds(noise: str) -> None:
    rates = simulate(Scenario(noise, "as found", 12, 5, regression=3.0), 30)
    assert rates.found >= 0.8 * rates.sets


def test_a_loss_as_large_as_the_tolerance_rarely_passes_and_none_does_often() -> None:
    lost = simulate(Scenario("normal", "equal", 4, 5, regression=3 / 2**0.5, tolerance=3.0), 40)
    assert lost.sets - lost.stopped <= stats.binom.ppf(0.999, 40, LEVEL)
    kept = simulate(Scenario("normal", "equal", 4, 10, tolerance=3.0), 20)
    assert kept.stopped <= 2


@pytest.mark.parametrize("more", [{}, {"effects": 1.0}, {"effects": 1.0, "strict": True}, {"replicate": True}, {"tolerance": 2.0}], ids=str)
def test_what_is_simulated_is_what_compare_does(more: dict[str, Any]) -> None:
    scenario = Scenario("normal", "as found", 6, 5, regression=4.0, **more)
    before, after, _ = scenario.draw(np.random.default_rng(5))
    tolerance = Tolerance(scenario.tolerance)
    comparison = compare(before, after, allow=["seeds"], strict=scenario.strict, tolerance=tolerance)
    assert comparison.obstacles == []
    assert scenario.judge(before, after) == (comparison.regressions, comparison.fallen)
    assert comparison.regressions


def test_claims_share_the_level_when_the_gate_is_strict() -> None:
    rates = simulate(Scenario("normal", "equal", 4, 5, effects=1.0, strict=True), 25)
    assert rates.stopped <= stats.binom.ppf(0.999, 25, LEVEL)
