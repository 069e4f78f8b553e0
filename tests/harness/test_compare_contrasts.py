"""Differences between studies against scipy, closed forms and planted variances."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from harness.compare.contrasts import Contrast, _inverse_trigamma, detectable, moderated, p_above, p_apart, paired, welch

RNG = np.random.default_rng(3)
FIVE, SEVEN = RNG.normal(0.3, 1.0, 5).tolist(), RNG.normal(0.9, 2.0, 7).tolist()


def test_the_paired_test_agrees_with_scipy() -> None:
    found = paired(FIVE)
    assert p_apart(found) == pytest.approx(stats.ttest_1samp(FIVE, 0.0).pvalue)
    assert p_above(found) == pytest.approx(stats.ttest_1samp(FIVE, 0.0, alternative="greater").pvalue)
    assert p_above(found, 0.7) == pytest.approx(stats.ttest_1samp(FIVE, 0.7, alternative="greater").pvalue)
    low, high = stats.ttest_1samp(FIVE, 0.0).confidence_interval()
    assert (found.interval().low, found.interval().high) == pytest.approx((low, high))


def test_welch_agrees_with_scipy() -> None:
    found, theirs = welch(FIVE, SEVEN), stats.ttest_ind(SEVEN, FIVE, equal_var=False)
    assert p_apart(found) == pytest.approx(theirs.pvalue)
    assert found.df == pytest.approx(theirs.df)
    assert found.n == 5
    interval = theirs.confidence_interval()
    assert (found.interval().low, found.interval().high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("few", [paired([]), paired([0.3]), welch([1.0], [2.0, 3.0]), welch([], [1.0])])
def test_one_seed_tests_nothing(few: Contrast) -> None:
    assert math.isnan(p_apart(few))
    assert math.isnan(p_above(few))
    assert few.interval().n == few.n < 2


def test_differences_that_are_all_equal_are_known_to_a_step_and_not_better() -> None:
    assert paired([1.0, 1.0, 1.0]).variance == 0.0
    assert p_above(paired([1.0, 1.0, 1.0])) == 1.0, "no spread, no decision"
    stepped = paired([1.0, 1.0, 1.0], step=1.0)
    assert stepped.variance == pytest.approx((1 / 12 + 1 / 12) / 3), "two values, each rounded to a step: uniform errors"
    assert welch([1.0, 1.0], [2.0, 2.0, 2.0], step=1.0).variance == pytest.approx(1 / 12 / 2 + 1 / 12 / 3)
    assert paired(FIVE, step=1e-6) == paired(FIVE)


@pytest.mark.parametrize(("df", "level"), [(4, 0.05), (4, 0.0018), (9, 0.01), (5.5, 0.02)])
def test_what_would_be_seen_is_seen_in_80_percent(df: float, level: float) -> None:
    size = detectable(Contrast(0.0, 4.0, df, 5), level)
    assert stats.nct.sf(stats.t.isf(level, df), df, size / 2.0) == pytest.approx(0.8, abs=1e-5)
    assert math.isinf(detectable(paired([0.3]), level))


def test_what_would_be_seen_is_seen_in_simulated_studies() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    size = detectable(Contrast(0.0, 1 / 5, 4.0, 5), 0.01)
    t = (draws.mean(1) + size) / (draws.std(1, ddof=1) / np.sqrt(5))
    assert np.mean(stats.t.sf(t, 4) <= 0.01) == pytest.approx(0.8, abs=0.025)


def spread(*variances: float, n: int = 5) -> list[Contrast]:
    """Contrasts with these variances of a seed."""
    return [Contrast(0.5, variance / n, n - 1.0, n) for variance in variances]


def borrowed(found: list[Contrast]) -> list[float]:
    """Second variances, of a seed."""
    return [c.borrowed[0] * c.n for c in found if c.borrowed]


def test_methods_of_one_noise_borrow_a_variance() -> None:
    found = moderated(spread(1.0, 1.0, 1.0, 1.0))
    prior = 4 / special.chdtri(4, 0.5)
    assert borrowed(found) == pytest.approx([(prior**3 * 1.0**4) ** (1 / 7)] * 4), "n - 2 degrees of the prior, n - 1 of its own"
    assert {c.borrowed[1] for c in found if c.borrowed} == {7.0}
    assert [replace(c, borrowed=None) for c in found] == spread(1.0, 1.0, 1.0, 1.0)


def test_of_two_tests_the_one_that_says_more_counts_by_its_share() -> None:
    (loud, *_), quiet = moderated(spread(1.0, 1.0, 1.0, 1.0)), replace(spread(1e-4)[0], borrowed=(0.2, 7.0))
    assert p_above(loud) == pytest.approx(stats.t.sf(0.5 / math.sqrt(loud.borrowed[0]), 7) / 0.7 if loud.borrowed else 0)
    assert p_above(quiet) == pytest.approx(stats.t.sf(0.5 / math.sqrt(1e-4 / 5), 4) / 0.3)
    assert p_above(replace(loud, estimate=-9.0)) == 1.0
    sizes = [detectable(Contrast(0.0, v, df, 5), share * 0.01) for share, v, df in ((0.3, 1e-4 / 5, 4.0), (0.7, 0.2, 7.0))]
    assert detectable(quiet, 0.01) == pytest.approx(min(sizes))


def test_no_second_variance_is_smaller_than_the_own() -> None:
    own = [1.0, 1.1, 0.9, 1.05, 30.0]
    found = borrowed(moderated(spread(*own)))
    assert all(after >= before for before, after in zip(own, found, strict=True))
    assert found[-1] == pytest.approx(30.0)


def test_a_method_of_another_kind_leaves_the_others_as_they_are() -> None:
    alike = moderated(spread(0.8, 1.0, 1.2, 1.0, 0.9, 1.1))
    beside = moderated(spread(0.8, 1.0, 1.2, 1.0, 0.9, 1.1, 1e6))
    assert borrowed(beside)[:-1] == pytest.approx(borrowed(alike), rel=0.15)


def test_methods_that_differ_in_noise_borrow_little() -> None:
    own = [1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6]
    found = moderated(spread(*own))
    assert all(4.0 < c.borrowed[1] < 4.6 for c in found if c.borrowed)
    assert all(after < 3 * before for before, after in zip(own, borrowed(found), strict=True))


def test_nothing_is_borrowed_from_one_method_or_from_two_seeds() -> None:
    assert moderated(spread(2.0)) == spread(2.0)
    assert moderated(spread(2.0, 1.0, n=2)) == spread(2.0, 1.0, n=2)
    unknown = [*spread(2.0, 1.0, 1.5), paired([0.3])]
    assert moderated(unknown)[-1] == unknown[-1]


def test_a_method_without_spread_borrows_one() -> None:
    flat = replace(spread(1.0)[0], variance=0.0)
    assert p_above(flat) == 1.0
    assert 0 < p_above(moderated([*spread(1.0, 1.1, 0.9), flat])[-1]) < 0.5


@pytest.mark.parametrize("x", [0.01, 0.5, 1.0, 7.0, 4e3])
def test_the_trigamma_function_is_inverted(x: float) -> None:
    assert _inverse_trigamma(float(special.polygamma(1, x))) == pytest.approx(x, rel=1e-7)
