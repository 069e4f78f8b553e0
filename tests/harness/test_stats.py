"""Intervals against tabulated quantiles and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.bounds import CORRELATION, POSITIVE, SHARE, Bounds
from harness.stats import Interval, Sample, decimals, half_width, number, seed_interval, smallest_error
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


def power(distance: float, n: int) -> float:
    """Of the two-sided t test at 5 %, on the side of the effect: by its definition, not by the code."""
    return float(scipy_stats.nct.sf(scipy_stats.t.ppf(0.975, n - 1), n - 1, distance * math.sqrt(n)))


@pytest.mark.parametrize("region", [Above(0.0), Below(1.0), Above(-1.0)])
def test_the_seeds_that_would_decide_have_the_power(region: Region) -> None:
    sample = Sample.of([-0.5, 0.2, 1.4, 0.9])
    n = sample.seeds(region)
    assert n is not None
    distance = min(abs(sample.mean - edge) for edge in (region.low, region.high)) / sample.spread
    assert power(distance, n) >= 0.8 > power(distance, n - 1)


def test_seeds_that_would_decide_by_the_tables() -> None:
    # One standard deviation away: the sample size of a two-sided paired t test at 5 % with power 80 % is 10 (Cohen 1988).
    assert Sample.of([0.0, 1.0, 2.0]).seeds(Above(0.0)) == 10
    # Half a standard deviation: 34.
    assert Sample.of([-0.5, 0.5, 1.5]).seeds(Above(0.0)) == 34


def test_a_region_with_two_edges_needs_the_power_on_both() -> None:
    sample = Sample.of([0.0, 1.0, 2.0])
    one, two = sample.seeds(Above(0.0)), sample.seeds(Within(0.0, 2.0))
    assert one is not None
    assert two is not None
    assert two > one


@pytest.mark.parametrize(
    ("values", "region"),
    [([-1.0, 1.0], Above(0.0)), ([1.0, 2.0], Region()), ([1.0], Above(0.0)), ([], Above(0.0)), ([1.0, math.nan], Above(0.0))],
    ids=["on the boundary", "no boundary", "one value", "none", "one finite value"],
)
def test_no_number_of_seeds_decides(values: list[float], region: Region) -> None:
    assert Sample.of(values).seeds(region) is None


def test_a_hopelessly_near_boundary_ends() -> None:
    assert Sample.of([-1.0, 1.0 + 1e-12]).seeds(Above(0.0)) is None
    assert Sample.of([3.0, 3.0, 3.0]).seeds(Above(0.0)) is None
    assert Sample.of([3.0, 3.0, 3.0], step=0.1).seeds(Above(0.0)) == 2


def test_p_is_where_the_interval_leaves_the_edge() -> None:
    sample = Sample.of([0.2, 0.25, 0.3, 0.35, 0.45])
    assert sample.p(Above(0.0)) == pytest.approx(scipy_stats.ttest_1samp([0.2, 0.25, 0.3, 0.35, 0.45], 0.0).pvalue)
    for region in (Above(0.0), Above(0.28), Below(0.4), Within(0.1, 0.6), Within(0.5, 0.9)):
        p = sample.p(region)
        assert p == pytest.approx(smallest_error(sample.interval, region), abs=1e-6)
        just_wider, just_narrower = sample.interval(1 - p * 0.99), sample.interval(1 - p * 1.01)
        assert not just_wider.inside(region)
        assert not just_wider.outside(region)
        assert just_narrower.inside(region) or just_narrower.outside(region)


def test_equal_seeds_decide_nothing_without_a_step() -> None:
    assert math.isnan(Sample.of([1.0, 1.0, 1.0]).p(Above(0.0)))
    assert math.isnan(Sample.of([0.1, 0.1 + 1e-15, 0.1]).p(Above(0.0)))
    assert Sample.of([1.0, 1.0, 1.0], step=0.5).p(Above(0.0)) == 0.0
    assert Sample.of([1.0, 1.0, 1.0], step=2.0).p(Above(0.0)) == 1.0


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("spread", [0.05, 0.3, 1.0])
def test_coverage_of_values_that_were_rounded(n: int, spread: float) -> None:
    runs, rng = 3000, np.random.default_rng(n)
    truth = rng.uniform(0.0, 1.0, size=runs)
    values = np.round(truth[:, None] + rng.normal(0.0, spread, size=(runs, n)))
    intervals = [Sample.of(row, step=1.0).interval() for row in values.tolist()]
    covered = sum(i.low <= t <= i.high for i, t in zip(intervals, truth, strict=True))
    assert covered >= scipy_stats.binom.ppf(0.001, runs, 0.95)


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        (POSITIVE, [0.001, 0.4, 1.2, 0.05]),
        (SHARE, [0.2, 0.99, 0.97, 0.9]),
        (CORRELATION, [0.9, 0.99, 0.3, 0.95]),
        (SHARE, [1.0, 1.0, 0.7, 0.9]),
        (Bounds(high=1.0), [0.9, 0.99, -3.0, 0.2]),
    ],
)
def test_an_interval_stays_within_the_bounds(bounds: Bounds, values: list[float]) -> None:
    interval = seed_interval(values, bounds=bounds)
    assert bounds.low <= interval.low < interval.estimate < interval.high <= bounds.high


def test_the_interval_of_positive_numbers_is_that_of_their_logarithms() -> None:
    values = [0.5, 1.0, 4.0, 2.0]
    plain = seed_interval(np.log(values).tolist())
    found = seed_interval(values, bounds=POSITIVE)
    assert (found.low, found.estimate, found.high) == pytest.approx((math.exp(plain.low), math.exp(plain.estimate), math.exp(plain.high)))


def test_the_interval_of_a_correlation_is_fishers() -> None:
    values = [0.5, 0.8, 0.9]
    plain = seed_interval(np.arctanh(values).tolist())
    found = seed_interval(values, bounds=CORRELATION)
    assert (found.low, found.high) == pytest.approx((math.tanh(plain.low), math.tanh(plain.high)))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_coverage_of_skewed_positive_numbers(n: int) -> None:
    values = np.exp(np.random.default_rng(n).normal(0.0, 1.0, size=(3000, n)))
    intervals = [seed_interval(row, bounds=POSITIVE) for row in values.tolist()]
    for missed in (sum(i.low > 1.0 for i in intervals), sum(i.high < 1.0 for i in intervals)):
        low, high = scipy_stats.binom.interval(0.999, 3000, 0.025)
        assert low <= missed <= high


def test_a_prediction_covers_one_more_seed() -> None:
    draws = np.random.default_rng(7).normal(size=(3000, 6))
    ranges = [Sample.of(row[:5]).prediction() for row in draws.tolist()]
    covered = sum(r.low <= row[5] <= r.high for r, row in zip(ranges, draws, strict=True))
    low, high = scipy_stats.binom.interval(0.999, 3000, 0.95)
    assert low <= covered <= high


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
