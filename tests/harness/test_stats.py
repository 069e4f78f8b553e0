"""Intervals against tabulated quantiles and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.stats import Interval, decimals, half_width, number, seed_interval, seeds_to_decide
from harness.task import Above, Below, Region, Within

# Two-sided 95 % quantiles of Student's t as printed in tables, by degrees of freedom.
T_TABLE = {1: 12.7062, 2: 4.30265, 4: 2.77645, 9: 2.26216, 29: 2.04523}


@pytest.mark.parametrize(("freedom", "quantile"), T_TABLE.items())
def test_half_width_is_the_tabulated_quantile_times_the_standard_error(freedom: int, quantile: float) -> None:
    n = freedom + 1
    assert float(half_width(3.0, n)) == pytest.approx(quantile * 3.0 / math.sqrt(n), rel=1e-5)


def test_a_worked_example() -> None:
    # Mean 3, standard deviation sqrt(2.5), n = 5: 3 -+ 2.77645 * sqrt(2.5 / 5).
    interval = seed_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (interval.estimate, interval.n) == (3.0, 5)
    assert interval.low == pytest.approx(1.03676, abs=1e-5)
    assert interval.high == pytest.approx(4.96324, abs=1e-5)


def test_confidence_moves_the_width() -> None:
    narrow, wide = seed_interval([1.0, 2.0, 4.0], confidence=0.5), seed_interval([1.0, 2.0, 4.0], confidence=0.99)
    assert narrow.high < seed_interval([1.0, 2.0, 4.0]).high < wide.high


@pytest.mark.parametrize("n", [3, 5, 10])
def test_coverage_is_what_is_promised(n: int) -> None:
    runs = 4000
    values = np.random.default_rng(n).normal(0.7, 2.0, size=(runs, n))
    half = half_width(values.std(axis=1, ddof=1), np.full(runs, n))
    covered = int((np.abs(values.mean(axis=1) - 0.7) <= half).sum())
    # The interval of one row must be the very one whose coverage was counted.
    assert seed_interval(values[0]).high == pytest.approx(float(values[0].mean() + half[0]))
    low, high = scipy_stats.binom.interval(0.999, runs, 0.95)
    assert low <= covered <= high


def test_one_seed_has_an_estimate_but_no_interval() -> None:
    assert seed_interval([0.4]) == Interval(0.4, -math.inf, math.inf, 1)


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.inf]])
def test_no_finite_value_is_nan(values: list[float]) -> None:
    interval = seed_interval(values)
    assert interval.n == 0
    assert all(math.isnan(x) for x in (interval.estimate, interval.low, interval.high))


def test_equal_values_have_no_width_whatever_rounding_does() -> None:
    interval = seed_interval([0.1] * 7)
    assert interval.low == interval.estimate == interval.high
    assert interval.estimate == pytest.approx(0.1)


def test_a_region_is_open() -> None:
    touching = Interval(0.5, 0.0, 1.0, 5)
    assert not touching.inside(Above(0.0))
    assert touching.outside(Above(1.0))
    assert touching.outside(Below(0.0))
    assert touching.inside(Within(-0.1, 1.1))
    assert not Interval(0.4, -math.inf, math.inf, 1).inside(Region())


@pytest.mark.parametrize("region", [Above(0.0), Below(1.0), Within(0.0, 5.0), Within(-9.0, 1.0)])
def test_seeds_to_decide_is_the_smallest_n_that_decides(region: Region) -> None:
    values = np.array([-0.5, 0.2, 1.4, 0.9])
    n = seeds_to_decide(values.tolist(), region)
    assert n is not None
    distance = min(abs(values.mean() - region.low), abs(values.mean() - region.high))
    assert half_width(values.std(ddof=1), n) < distance <= half_width(values.std(ddof=1), n - 1)


def test_seeds_to_decide_by_hand() -> None:
    # Mean 1, standard deviation 1: t(.975, n-1) / sqrt(n) falls below 1 first at n = 7 (2.44691 / sqrt(7) = 0.925; n = 6: 1.049).
    values = [0.0, 1.0, 2.0]
    assert seeds_to_decide(values, Above(0.0)) == 7


@pytest.mark.parametrize(
    ("values", "region"),
    [([-1.0, 1.0], Above(0.0)), ([1.0, 2.0], Region()), ([1.0], Above(0.0)), ([], Above(0.0)), ([1.0, math.nan], Above(0.0))],
    ids=["on the boundary", "no boundary", "one value", "none", "one finite value"],
)
def test_no_number_of_seeds_decides(values: list[float], region: Region) -> None:
    assert seeds_to_decide(values, region) is None


def test_a_hopelessly_near_boundary_ends() -> None:
    assert seeds_to_decide([-1.0, 1.0 + 1e-12], Above(0.0)) is None
    assert seeds_to_decide([3.0, 3.0, 3.0], Above(0.0)) == 2


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.18123, 0.1201, 0.2423, 5), "0.181 [0.120, 0.242]"),
        (Interval(12345.6, 12000.0, 12691.2, 5), "12,346 [12,000, 12,691]"),
        (Interval(-0.00001, -0.2, 0.2, 5), "0.00 [-0.20, 0.20]"),
        (Interval(2.0, 2.0, 2.0, 3), "2.00 [2.00, 2.00]"),
        (Interval(0.4, -math.inf, math.inf, 1), "0.400"),
        (Interval(math.nan, math.nan, math.nan, 0), "–"),
        (Interval(3.0e-7, 2.9e-7, 3.1e-7, 4), "3.00e-07 [2.90e-07, 3.10e-07]"),
    ],
)
def test_intervals_read_well(interval: Interval, text: str) -> None:
    assert str(interval) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (-math.inf, "-∞"), (1.5e9, "1.50e+09"), (1234.5, "1,234"), (0.05, "0.0500"), (2e-5, "2.00e-05")]
)
def test_numbers_read_well(value: float, text: str) -> None:
    assert number(value) == text


def test_decimals_follow_the_width_not_the_value() -> None:
    assert decimals(1000.0, 0.012) == 3
    assert decimals(0.001234, 5.0) == 1
