"""The calibration of verdicts at a reduced size, and what its committed page promises."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.looks import schedule
from harness.stats import Sample
from harness.task import Within
from tests.calibration import verdicts
from tests.calibration.seeds import SEEDS
from tests.calibration.verdicts import COUNTS, EFFECTS, NAIVE, TUNED, Rate

PAGE = (Path(__file__).parents[2] / "docs" / "calibration-verdicts.md").read_text()
BY_NAME = {seeds.name: seeds for seeds in SEEDS}
SURE = 1e-4


def at_most(rate: Rate, promised: float) -> bool:
    """Whether chance alone would hardly make a rate as large as this one, were the promise kept."""
    return rate.count <= scipy_stats.binom.ppf(1 - SURE, rate.of, promised)


def near(rate: Rate, computed: float) -> bool:
    low, high = scipy_stats.binom.ppf([SURE, 1 - SURE], rate.of, computed)
    return bool(low <= rate.count <= high)


def test_a_method_against_itself_is_decided_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    for seeds in SEEDS:
        rates = [verdicts.false_alarms(seeds, n, 1000, rng) for n in COUNTS]
        assert at_most(Rate(sum(r.count for r in rates), sum(r.of for r in rates)), 0.05), seeds.name


@pytest.mark.parametrize("name", ["normal", "log-normal, positive", "beta(2, 2), share", "share of 300 examples, counted"])
def test_intervals_cover_what_they_promise(name: str) -> None:
    found = verdicts.coverage(BY_NAME[name], 5, 6000, np.random.default_rng(2))
    assert near(found.covered, 0.95)
    assert at_most(found.below, 0.04)
    assert at_most(found.above, 0.04)
    assert not found.undecidable.count


def test_what_rounding_hides_is_covered() -> None:
    for spread in ("1 step", "0.3 steps"):
        seeds = BY_NAME[f"normal of sd {spread}, counted"]
        turned = dataclasses.replace(seeds, draw=lambda rng, shape, draw=seeds.draw: -draw(rng, shape), truth=-seeds.truth)
        for side in (seeds, turned):
            found = verdicts.coverage(side, 3, 4000, np.random.default_rng(8))
            assert found.covered.value > 0.945, "equal seeds are a step wide"
            assert not found.undecidable.count


def test_the_calibration_sees_what_is_wrong() -> None:
    rng = np.random.default_rng(3)
    skewed = verdicts.coverage(BY_NAME["log-normal, no bounds declared"], 5, 4000, rng)
    assert skewed.covered.value < 0.88
    assert skewed.above.count > 10 * skewed.below.count
    hidden = verdicts.coverage(BY_NAME["normal of sd 0.3 steps, not declared"], 3, 4000, rng)
    assert hidden.undecidable.value > 0.3, "equal seeds decide nothing"
    naive = verdicts.until_decided(rng.normal(size=(3000, 20)), NAIVE)
    assert naive.right.value + naive.wrong.value > 0.15


@pytest.mark.parametrize("effect", EFFECTS)
def test_planted_effects_are_found_as_often_as_computed(effect: float) -> None:
    for n in COUNTS:
        assert near(verdicts.power(effect, n, 4000, np.random.default_rng(n)), verdicts.computed_power(effect, n)), n


def test_sides_are_those_of_verdicts() -> None:
    values, region = np.random.default_rng(4).normal(0.4, 1.0, (60, 5)), Within(-0.4, 1.8)
    values[:20] += 2.0
    found = verdicts.sides(values, region, 0.3)
    for row, side in zip(values, found, strict=True):
        sample = Sample.of(row)
        interval, decided = sample.interval(0.7), sample.p(region) < 0.3
        assert side == (decided and interval.inside(region)) - (decided and interval.outside(region))
    assert set(found) == {-1.0, 0.0, 1.0}


def _course(effect: float, studies: int, looks: Sequence[verdicts.Look]) -> verdicts.Course:
    return verdicts.until_decided(np.random.default_rng(5).normal(effect, 1.0, (studies, looks[-1].seeds)), looks)


def test_looks_err_no_more_often_than_one_interval_and_find_what_they_should() -> None:
    null, real = _course(0.0, 8000, schedule()), _course(1.0, 4000, schedule())
    assert at_most(Rate(null.right.count + null.wrong.count, 8000), 0.05)
    assert near(real.right, 0.970)
    assert 12.5 < real.seeds < 13.1, "a fixed study of that power takes 18"
    assert null.seeds > 19.5


def test_a_claim_that_waits_for_another_errs_no_more_often() -> None:
    rng, looks = np.random.default_rng(6), schedule()
    for stops in (np.full(4000, 4), rng.integers(0, 5, 4000)):
        first, last = verdicts.judged_again(rng.normal(size=(4000, 20)), looks, stops)
        assert at_most(Rate(int((first < 1).sum()), 4000), 0.05)
        assert (first <= last).all()


def test_primary_claims_err_together_no_more_often_than_one_interval() -> None:
    rng = np.random.default_rng(7)
    values = verdicts.correlated(rng, 1500, 5, 20, 0.0)
    for looks in (schedule(), (verdicts.Look(5, 0.05),)):
        assert at_most(verdicts.family_error(values, [True] * 5, looks), 0.05)
    effects = values + np.array([0, 0, 0, 1.5, 1.5])[None, :, None]
    assert at_most(verdicts.family_error(effects, [True] * 3 + [False] * 2, schedule()), 0.05)
    assert not at_most(Rate(int((verdicts.p_values(values[:, :, :5]) < 0.05).any(axis=1).sum()), 1500), 0.05), "one by one they do"


def test_levels_that_sum_to_the_error_hold_for_a_family_where_tuned_ones_do_not() -> None:
    # The smaller the levels, the rarer a study crosses at two looks: what one claim saves by crossing twice, a family does not.
    assert sum(look.level for look in schedule()) == pytest.approx(0.05)
    assert sum(look.level for look in TUNED) > 0.06


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines if not set("".join(line)) <= set(" -")]


def test_the_committed_page_keeps_its_promises() -> None:
    _, *rows = _rows("A method against itself")
    assert [row[0] for row in rows] == [seeds.name for seeds in SEEDS]
    for row in rows:
        assert all(float(re.findall(r"[\d.]+", cell)[1]) <= 6.0 for cell in row[1:]), row
    _, *rows = _rows("Power of planted effects")
    for row in rows:
        assert all(abs(float(found) - float(computed)) <= 5 for found, computed in (re.findall(r"[\d.]+", cell) for cell in row[1:]))
    for name, effect, right, wrong, _, alone in _rows("Until decided")[1:12]:
        if name == "ours" and effect == "0":
            assert float(right) + float(wrong) <= 5.0
        elif name == "ours":
            assert -0.5 <= float(right) - float(alone) <= 5, "the looks before the last one add to its power"
    _, *rows = _rows("Primary claims together")
    assert all(float(cell) <= 5.5 for row in rows for cell in row[4:6]), "5 % and what chance adds"
    explained = PAGE.split("Outside 93 to 97 %:")[1]
    for row in _rows("Coverage of the 95 % interval")[1:]:
        outside = any(not 93.0 <= float(cell.split(" ")[0]) <= 97.0 for cell in row[1:4])
        assert not outside or re.search(rf"\*{re.escape(row[0])}\*: \w", explained), row
