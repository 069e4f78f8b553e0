"""The verdict engine: error rates by simulation, lost and missing seeds, what a reduced scale may decide."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.claims import All
from harness.coverage import needs
from harness.errors import TaskError
from harness.estimates import Combined, Difference, Mean, Of
from harness.evidence import Evidence
from harness.plan import DataRef, TrialSpec
from harness.stats import Sample
from harness.task import Above, Below, Claim, Grid, Metric, Within
from harness.verdict import Verdict, _more_seeds
from tests.harness.fabricated import DATA, Outcome, difference_claim, noise, record_of, study_of, task_of, verdicts_of

GAP = Difference(Of("left", Mean("loss")), Of("right", Mean("loss")))
METRICS = [f"loss-{i}" for i in range(20)]
"""Independent claims of one simulated study, each on a metric of its own."""


def many_claims() -> Any:
    estimates = {name: Difference(Of("left", Mean(name)), Of("right", Mean(name))) for name in METRICS}
    metrics = [Metric(name, "nats", "lower") for name in METRICS]
    return task_of(
        metrics=metrics,
        statistics=(),
        claims=[Claim(id=name, statement="", source="", estimate=e, holds=Above(0.0)) for name, e in estimates.items()],
    )


def simulate(folder: Path, studies: int, effect: float, seed: int) -> list[str]:
    """Verdicts on whether `left` is worse, when it is worse by `effect` standard deviations of the paired difference."""
    rng, task, found = np.random.default_rng(seed), many_claims(), []

    def outcome(trial: TrialSpec) -> dict[str, float]:
        shift = effect * math.sqrt(2) if trial.method == "left" else 0.0
        return dict(zip(METRICS, (rng.normal(size=len(METRICS)) + shift).tolist(), strict=True))

    for _ in range(studies):
        found += [v.verdict for v in verdicts_of(study_of(folder, task, outcome))]
    return found


def within_chance(count: int, runs: int, rate: float) -> bool:
    low, high = scipy_stats.binom.interval(0.999, runs, rate)
    return bool(low <= count <= high)


def test_identical_methods_are_called_different_as_often_as_promised(tmp_path: Path) -> None:
    found = simulate(tmp_path, 100, effect=0.0, seed=1)
    assert len(found) == 2000
    assert within_chance(2000 - found.count("inconclusive"), 2000, 0.05)
    assert within_chance(found.count("reproduced"), 2000, 0.025)
    assert within_chance(found.count("not reproduced"), 2000, 0.025)


@pytest.mark.parametrize("effect", [0.8, 1.5])
def test_planted_effects_are_found_as_often_as_computed(tmp_path: Path, effect: float) -> None:
    found = simulate(tmp_path, 30, effect=effect, seed=2)
    power = float(scipy_stats.nct.sf(scipy_stats.t.ppf(0.975, 4), 4, effect * math.sqrt(5)))
    assert within_chance(found.count("reproduced"), len(found), power)
    assert found.count("not reproduced") <= 2


def verdict_of(folder: Path, outcome: Any, claim: Claim | None = None, **options: Any) -> Verdict:
    (found,) = verdicts_of(study_of(folder, task_of(claims=[claim or difference_claim()]), outcome, **options))
    return found


def gap(*differences: float) -> Any:
    """`left` minus `right` in each seed."""
    return lambda trial: {"loss": 1.0 + (differences[trial.seed] if trial.method == "left" else 0.0)}


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        (Above(0.0), "reproduced"),
        (Below(0.0), "not reproduced"),
        (Above(0.3), "inconclusive"),
        (Within(0.0, 1.0), "reproduced"),
        (Within(1.0, 2.0), "not reproduced"),
        (Within(0.25, 2.0), "inconclusive"),
    ],
    ids=str,
)
def test_the_interval_is_compared_with_the_region(tmp_path: Path, holds: Any, expected: str) -> None:
    # Mean 0.3, half-width 2.776 * 0.0791 / sqrt(5) = 0.098.
    found = verdict_of(tmp_path, gap(0.2, 0.25, 0.3, 0.35, 0.4), difference_claim(holds))
    assert found.verdict == expected
    assert (found.n, found.interval.estimate) == (5, pytest.approx(0.3))
    assert found.interval.low == pytest.approx(0.2018, abs=1e-4)


def test_seeds_are_paired(tmp_path: Path) -> None:
    # The seeds differ by far more than the methods do; only pairing shows the difference.
    found = verdict_of(tmp_path, lambda t: {"loss": 100.0 * t.seed + (0.1 + 0.01 * t.seed if t.method == "left" else 0.0)})
    assert found.verdict == "reproduced"
    assert found.interval.estimate == pytest.approx(0.12)


def test_an_exact_identity_is_decided_without_spread(tmp_path: Path) -> None:
    assert verdict_of(tmp_path, gap(0, 0, 0, 0, 0), difference_claim(Within(-1e-9, 1e-9), exact=True)).verdict == "reproduced"
    assert verdict_of(tmp_path, gap(0, 0, 0, 0, 0), difference_claim(Above(0.0), exact=True)).verdict == "not reproduced"


@pytest.mark.parametrize("holds", [Above(0.0), Above(-1.0), Within(-1e-9, 1e-9)], ids=str)
def test_equal_seeds_decide_nothing_that_is_not_exact(tmp_path: Path, holds: Any) -> None:
    found = verdict_of(tmp_path, gap(0, 0, 0, 0, 0), difference_claim(holds))
    assert (found.verdict, found.n, math.isnan(found.p)) == ("inconclusive", 5, True)
    assert "only an exact claim" in found.reason


def test_inconclusive_says_how_many_seeds_would_decide(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, gap(0.0, 1.0, 2.0), seeds=3)
    assert found.verdict == "inconclusive"
    # One standard deviation from the edge: 10 seeds for a power of 80 %; at the far end of [-1.48, 3.48] it is 3.5 of them.
    assert "With 80 % power it takes 10 seeds at the present effect, and 3 to never by the ends of the interval." in found.reason
    null = verdict_of(tmp_path, gap(0.0, 1.0, 2.0), difference_claim(null=0.0), seeds=3)
    assert null.reason.endswith("3 to never by the ends of the interval; it is also compatible with no effect.")


def test_where_what_is_counted_hides_the_side_the_reason_says_so() -> None:
    """The gain of crrelu on relu in ten seeds of 250 test images: two shares may each be half an image off, 0.2 percentage points."""
    sample = Sample.of([-0.8, -0.4, -2.0, 1.2, 1.6, 1.6, 0.0, 0.0, -0.4, 2.0], step=0.8)
    claim = difference_claim(Above(0.0))
    assert _more_seeds(claim, sample, sample.interval()) == (
        "The estimate lies within 0.4 of the edge, half a step of what is counted, where no number of seeds decides; with 80 % power mean "
        "and spread alone would take 166 seeds. By the ends of the interval it takes 12 to never."
    )
    free = dataclasses.replace(sample, step=0.0)
    assert _more_seeds(claim, free, sample.interval()).startswith("With 80 % power it takes 166 seeds at the present effect, and 12 to")
    one_image = dataclasses.replace(sample, step=0.5)
    assert "166 seeds at the present effect" in _more_seeds(claim, one_image, sample.interval()), "half a step of 0.25 does not reach 0.28"


def test_one_seed_is_inconclusive(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, gap(5.0), seeds=1)
    assert (found.verdict, found.n, found.interval.estimate) == ("inconclusive", 1, 5.0)
    assert "One seed" in found.reason


@pytest.mark.parametrize("status", ["diverged", "failed", "timeout", "oom"])
def test_survivors_never_decide(tmp_path: Path, status: str) -> None:
    good = gap(0.5, 0.51, 0.52, 0.53, 0.54)
    assert verdict_of(tmp_path, good).verdict == "reproduced"
    found = verdict_of(tmp_path, lambda t: status if (t.method, t.seed) == ("right", 2) else good(t))
    assert (found.verdict, found.n, found.lost) == ("inconclusive", 4, 1)
    assert "1 of 5 seeds were lost" in found.reason
    assert f"1 {status}" in found.reason


def test_a_claim_that_lost_every_seed_is_not_tested_and_names_the_statuses(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, lambda t: "diverged" if t.seed else "oom")
    assert (found.verdict, found.n, found.lost) == ("not tested", 0, 5)
    assert "Every seed with records was lost, 5 of them" in found.reason
    assert "8 diverged" in found.reason
    assert "2 oom" in found.reason


def test_a_claim_that_lost_every_seed_eases_no_other_and_spoils_one_over_it(tmp_path: Path) -> None:
    metrics = [Metric("loss", "nats", "lower"), Metric("other", "nats", "lower", optional=True)]
    other = Difference(Of("left", Mean("other")), Of("right", Mean("other")))
    gaps = [0.2, 0.5, 0.6, 0.9, 1.1]

    def judged(both: bool) -> list[Verdict]:
        first, second = (difference_claim(id=id, primary=True, estimate=e) for id, e in (("gap", GAP), ("other", other)))
        claims = [first, second, difference_claim(id="all", estimate=All((GAP, other)))]
        left = {"left": 1.0, "right": 0.0}

        def outcome(t: TrialSpec) -> Outcome:
            values = {"loss": left[t.method] * gaps[t.seed], "other": left[t.method] * (gaps[t.seed] - 0.7)}
            return values if both else {"loss": values["loss"], "other": math.nan}

        return verdicts_of(study_of(tmp_path, task_of(metrics=metrics, statistics=(), claims=claims), outcome))

    whole, torn = judged(both=True), judged(both=False)
    assert [v.verdict for v in whole] == ["reproduced", "inconclusive", "inconclusive"]
    assert [v.verdict for v in torn] == ["reproduced", "not tested", "not tested"]
    assert whole[0].p == torn[0].p, "Holm's number of hypotheses is the same"
    assert "1 reproduced, 1 not tested" in torn[2].reason


def test_an_undefined_estimate_of_good_trials_loses_the_seed(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, lambda t: {"loss": math.nan if t.seed == 0 else float(t.method == "left")})
    assert (found.verdict, found.lost) == ("inconclusive", 1)
    assert "edge of the sweep" in found.reason


def test_seeds_under_way_are_neither_used_nor_lost(tmp_path: Path) -> None:
    good = gap(0.5, 0.51, 0.52, 0.53, 0.54)
    found = verdict_of(tmp_path, lambda t: None if (t.method, t.seed) == ("right", 4) else good(t))
    assert (found.verdict, found.n, found.lost) == ("reproduced", 4, 0)


def test_a_seed_whose_mean_would_stand_on_half_its_trials_has_to_wait(tmp_path: Path) -> None:
    claim = Claim(id="c", statement="", source="", estimate=Of("left", Mean("loss")), holds=Below(2.0))
    task = task_of(claims=[claim], grids=lambda train: [Grid(train, axes={"width": [1, 1000]})], seeds=3)
    half = study_of(tmp_path, task, lambda t: None if t.params["width"] == 1000 and t.seed == 2 else {"loss": float(t.params["width"])})
    (found,) = verdicts_of(half)
    assert (found.n, found.interval.estimate) == (2, 500.5)


def test_a_claim_need_not_wait_for_trials_that_it_does_not_read(tmp_path: Path) -> None:
    claim = Claim(id="c", statement="", source="", estimate=Of("left", Mean("loss")), holds=Above(0.0))
    found = verdict_of(tmp_path, lambda t: {"loss": 1.0 + 0.01 * t.seed} if t.method == "left" else None, claim)
    assert (found.verdict, found.n) == ("reproduced", 5)


def test_nothing_yet_is_not_tested(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, lambda _: None)
    assert (found.verdict, found.n, found.data_kind) == ("not tested", 0, "synthetic")


def test_a_claim_of_another_scale_is_not_tested(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, gap(1, 1, 1, 1, 1), difference_claim(scales=["gpu", "paper"]))
    assert (found.verdict, found.n) == ("not tested", 0)
    assert "gpu or paper" in found.reason


def test_a_method_left_out_of_the_plan_is_not_a_lost_seed(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, gap(1, 1, 1, 1, 1), methods=["left"])
    assert (found.verdict, found.lost) == ("not tested", 0)
    assert "method right" in found.reason


@pytest.mark.parametrize(
    ("scale", "kind", "decides"),
    [("paper", "real", "value"), ("paper", "stand-in", "direction"), ("gpu", "real", "direction"), ("paper", None, "direction")],
)
def test_only_the_papers_scale_on_real_data_decides_the_papers_number(tmp_path: Path, scale: str, kind: str | None, decides: str) -> None:
    claims = [difference_claim(published=0.4)]
    task = task_of(claims=claims, grids=lambda train: [Grid(train, data="corpus" if kind else None)], scale=scale, seeds=2)
    data = {"corpus": DataRef("corpus", "", kind or "", "f00")}
    (found,) = verdicts_of(study_of(tmp_path, task, lambda _: {"loss": 1.0}, scale=scale, data=data))
    assert (found.decides, found.data_kind, found.published) == (decides, kind or "synthetic", 0.4)


def mixed_task(*claims: Claim) -> Any:
    return task_of(
        claims=claims,
        grids=lambda train: [Grid(train, points=[{"setting": "ffn"}]), Grid(train, points=[{"setting": "lm"}], data="tiny-stories")],
        seeds=2,
    )


def test_the_data_kind_is_that_of_the_rows_the_claim_reads(tmp_path: Path) -> None:
    wheres: list[dict[str, Any]] = [{"setting": "ffn"}, {"setting": "lm"}, {}]
    claims = [
        Claim(id=f"c{i}", statement="", source="", estimate=Of("left", Mean("loss", w)), holds=Above(0.0)) for i, w in enumerate(wheres)
    ]
    found = verdicts_of(study_of(tmp_path, mixed_task(*claims), lambda _: {"loss": 1.0}, data=DATA))
    assert [v.data_kind for v in found] == ["synthetic", "stand-in", "stand-in + synthetic"]


def test_needs_walk_the_estimate() -> None:
    estimate = Difference(Of("left", Mean("loss", {"width": 1})), Mean("loss", {"setting": "lm"}))
    assert [(need.method, dict(need.where)) for need in needs(estimate)] == [("left", {"width": 1}), (None, {"setting": "lm"})]


def test_a_plain_function_may_read_anything(tmp_path: Path) -> None:
    estimate = Difference(lambda frame: float(frame["metric.loss"].mean()), Of("left", Mean("loss")))
    assert needs(estimate)[0].method is None
    evidence = Evidence(study_of(tmp_path, task_of(), gap(1, 1, 1, 1, 1)), task_of(), "laptop")
    assert len(evidence.rows_read(estimate, evidence.records)) == 10


def test_an_estimate_that_raises_is_named(tmp_path: Path) -> None:
    def broken(frame: Any) -> float:
        raise KeyError("metric.los")

    with pytest.raises(TaskError, match=r"task toy: an estimate raised KeyError.*metric\.los"):
        verdict_of(tmp_path, gap(1, 1, 1, 1, 1), difference_claim(estimate=broken))


def test_a_record_keeps_what_the_plan_says() -> None:
    # The fabricated records stand for real ones only if they carry the plan's ids.
    trial = TrialSpec(task="t", version=1, scale="laptop", experiment="e", method="left", params={}, seed=0)
    assert record_of(trial, "oom").trial_id == trial.id


def test_an_estimate_may_name_what_it_reads_beside_its_parts() -> None:
    @dataclasses.dataclass(frozen=True)
    class Curve:
        method: str
        at: Of

        @property
        def reads(self) -> tuple[Of, ...]:
            return (Of(self.method, Mean("value", {"size": 2})), self.at)

        def __call__(self, frame: Any) -> float:
            return math.nan

    found = needs(Difference(Curve("curve", Of("point", Mean("value"))), Of("other", Mean("value"))))
    assert [(need.method, dict(need.where)) for need in found] == [("curve", {"size": 2}), ("point", {}), ("other", {})]


def test_a_function_of_estimates_reads_what_they_read_and_nothing_else() -> None:
    least = Combined(min, (Of("left", Mean("loss", {"width": 1})), Of("right", Mean("loss"))))
    assert [(need.method, dict(need.where)) for need in needs(least)] == [("left", {"width": 1}), ("right", {})]


def test_judging_asks_pandas_no_more_often_for_more_seeds(tmp_path: Path) -> None:
    def calls(seeds: int) -> int:
        study = study_of(tmp_path / str(seeds), task_of(claims=[difference_claim()]), lambda trial: {"loss": noise(trial)}, seeds=seeds)
        found = 0

        def count(frame: FrameType, event: str, _argument: object) -> None:
            nonlocal found
            found += event == "call" and f"{os.sep}pandas{os.sep}" in frame.f_code.co_filename

        sys.setprofile(count)
        try:
            verdicts_of(study)
        finally:
            sys.setprofile(None)
        return found

    calls(3)
    assert calls(80) < 1.1 * calls(8)
