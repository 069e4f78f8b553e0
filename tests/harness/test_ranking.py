"""Ranges of places: equal methods tie, a planted best is found, as often as promised."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from harness.bounds import POSITIVE
from harness.ranking import DRAWS, LEVEL, MANY, Contender, drawn_means, p_best, standings
from harness.task import Better


def contenders(values: npt.ArrayLike, lost: Sequence[int] = (), resolution: tuple[float, float] = (0.0, 0.0)) -> list[Contender]:
    """`values` (methods, seeds), NaN where a seed is missing."""
    rows = np.asarray(values, dtype=float)
    given = [{seed: float(x) for seed, x in enumerate(row) if np.isfinite(x)} for row in rows]
    counts = lost or [0] * len(rows)
    return [Contender(str(i), own, counts[i], resolution) for i, own in enumerate(given)]


def ranges(values: npt.ArrayLike, better: Better = "lower", *, exact: bool = False, lost: Sequence[int] = ()) -> list[str]:
    return [str(found) for found in standings(contenders(values, lost), better, exact=exact).values()]


def test_equal_methods_keep_all_places_in_95_of_100_studies() -> None:
    # Studies of 5 methods and 5 seeds that share the seed's noise: at most 5 % err, up to the 99.5 % point of the binomial.
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(400, 5, 5)) + 3 * rng.normal(size=(400, 1, 5))
    wrong = sum(set(ranges(study, "higher")) != {"1–5"} for study in noise)
    assert 4 <= wrong <= stats.binom.ppf(0.995, len(noise), LEVEL)


def test_a_planted_best_is_found() -> None:
    # Three standard deviations of a paired difference at 8 seeds: Holm's first step over 10 pairs rejects at p < .005, t(7) > 4.03.
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(100, 5, 8))
    noise[:, 2] -= 3 * math.sqrt(2)
    found = [standings(contenders(study), "lower")["2"] for study in noise]
    assert np.mean([(own.low, own.high) == (1, 1) for own in found]) > 0.95
    assert np.mean([own.p_best > 0.99 for own in found]) > 0.95


def test_places_count_who_is_significantly_better_and_worse() -> None:
    wobble = np.array([[0, 1, -1, 0.5, -0.5], [1, 0, 0.5, -1, -0.5], [-1, 0.5, 0, -0.5, 1], [0.5, -0.5, 1, -1, 0]])
    found = standings(contenders(0.01 * wobble + np.array([[0.0], [0.001], [1.0], [2.0]])), "lower")
    assert [str(own) for own in found.values()] == ["1–2", "1–2", "3", "4"]
    assert found["0"].behind is None
    behind = found["2"].behind
    assert behind is not None
    differences = 1.0 + 0.01 * (wobble[2] - wobble[0])
    half = stats.t.ppf(0.975, 4) * differences.std(ddof=1) / math.sqrt(5)
    assert (behind.estimate, behind.low, behind.high) == pytest.approx((1.0, 1.0 - half, 1.0 + half))


def test_a_method_that_lost_seeds_is_below_all_that_lost_none() -> None:
    values = [[0.0, 0.1, 0.3, np.nan], [1.0, 1.2, 1.1, 1.4], [1.1, 1.0, 1.4, 1.2]]
    found = standings(contenders(values, [1, 0, 0]), "lower")
    assert [str(own) for own in found.values()] == ["3", "1–2", "1–2"]
    assert found["0"].behind is None
    assert math.isnan(found["0"].p_best)
    assert found["1"].p_best + found["2"].p_best == pytest.approx(1.0)


def test_one_contender_has_no_place() -> None:
    assert ranges([[1.0, 2.0]]) == ranges([[1.0, 2.0], [np.nan, np.nan]]) == []


def test_pairs_are_compared_over_the_seeds_that_both_have() -> None:
    shared = 100.0 * np.arange(5)
    values = shared + np.array([[0, 0.1, 0, 0.1, 0], [1, 1, 1.1, 1, np.nan]])
    assert ranges(values) == ["1", "2"]


def test_equal_differences_and_one_seed_decide_nothing_unless_exact() -> None:
    constant = np.array([[1.0] * 4, [2.0] * 4, [1.0] * 4])
    assert ranges(constant) == ["1–3"] * 3
    assert ranges(constant, exact=True) == ["1–2", "3", "1–2"]
    assert ranges(constant[:, :1]) == ["1–3"] * 3
    assert ranges([[1.0, 3.0], [2.0, 2.5]], exact=True) == ["1–2"] * 2, "one seed says otherwise"


def test_a_difference_within_one_example_is_none() -> None:
    values = [[97.0, 97.0, 97.0, 97.0], [96.0, 96.0, 96.0, 96.0]]
    for step, expected in ((0.1, ["1", "2"]), (1.0, ["1–2", "1–2"])):
        found = standings(contenders(values, resolution=(step, 0.0)), "higher")
        assert [str(own) for own in found.values()] == expected, "the steps of both sides may hide the difference"


def test_distances_from_zero_are_compared_whatever_the_sign() -> None:
    wobble = 0.01 * np.array([[0, 1, -1, 0.5, -0.5], [1, 0, 0.5, -1, -0.5], [-1, 0.5, 0, -0.5, 1]])
    found = standings(contenders(wobble + np.array([[-1.0], [0.1], [2.0]])), "zero")
    assert [str(own) for own in found.values()] == ["2", "1", "3"]
    behind = found["0"].behind
    assert behind is not None
    assert behind.estimate == pytest.approx(0.9)
    # The same distance on both sides of zero is a tie, however far the two numbers are apart.
    assert ranges(wobble[:2] + np.array([[-1.0], [1.0]]), "zero") == ["1–2", "1–2"]


def test_the_chance_of_the_best_is_that_of_its_bootstrap() -> None:
    # Two methods, two seeds: seed 0 says the first by 1, seed 1 the second by 2. Of the four draws only (0, 0) has the first.
    found = p_best(contenders([[0.0, 2.0], [1.0, 0.0]]), "lower")
    error = 4 * math.sqrt(0.25 * 0.75 / DRAWS)
    assert found["0"] == pytest.approx(0.25, abs=error)
    assert p_best(contenders([[0.0, 2.0], [1.0, 0.0]]), "higher")["0"] == pytest.approx(0.75, abs=error)
    assert p_best(contenders([[0.0, 2.0], [0.0, 2.0], [9.0, 9.0]]), "lower") == {"0": 0.5, "1": 0.5, "2": 0.0}
    assert p_best(contenders([[0.0, 2.0]]), "lower") == {}
    assert p_best(contenders([[0.0], [1.0]]), "lower") == {}


def test_means_are_drawn_on_the_scale_of_the_bounds() -> None:
    # Geometric means: sqrt(1 * 100) = 10 against 20; arithmetic ones are 50.5 against 20.
    values = [{0: 1.0, 1: 100.0}, {0: 20.0, 1: 20.0}]
    bounded = p_best([Contender(str(i), own, bounds=POSITIVE) for i, own in enumerate(values)], "lower")
    error = 4 * math.sqrt(0.25 * 0.75 / DRAWS)
    assert bounded["0"] == pytest.approx(0.75, abs=error)
    assert p_best([Contender(str(i), own) for i, own in enumerate(values)], "lower")["0"] == pytest.approx(0.25, abs=error)


def test_means_of_many_seeds_are_drawn_as_means_of_few_are() -> None:
    rng = np.random.default_rng(5)
    few = rng.normal(size=(3, MANY - 1)) + np.array([[0.0], [0.3], [0.3]])
    few[2] = 0.8 * few[1] + 0.2 * few[2]
    many = np.concatenate([few, few.mean(axis=1, keepdims=True)], axis=1)
    by_weights, by_normal = drawn_means(few), drawn_means(many)
    assert by_normal.shape == by_weights.shape == (3, DRAWS)
    assert by_normal.mean(axis=1) == pytest.approx(few.mean(axis=1), abs=0.002)
    assert np.cov(by_normal) == pytest.approx(np.cov(few, ddof=0) / MANY, rel=0.05, abs=3e-5)
    assert np.cov(by_weights) == pytest.approx(np.cov(few, ddof=0) / MANY, rel=0.05, abs=3e-5)


def test_methods_with_equal_values_share_a_draw_of_many_seeds() -> None:
    values = np.random.default_rng(5).normal(size=2 * MANY)
    equal = [Contender(name, dict(enumerate(values.tolist()))) for name in ("a", "b")]
    assert p_best(equal, "lower") == {"a": 0.5, "b": 0.5}
    worse = Contender("c", dict(enumerate((values + 10.0).tolist())))
    assert p_best([*equal, worse], "lower") == {"a": 0.5, "b": 0.5, "c": 0.0}
