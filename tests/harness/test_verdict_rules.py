"""Rules beyond one interval: primary claims together, what a claim stands on, steps and bounds, agreement in size, units of replication."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.bounds import CORRELATION, POSITIVE, SHARE
from harness.claims import best_of, better, monotone
from harness.errors import TaskError
from harness.estimates import Mean, Of, paired
from harness.plan import DataRef, TrialSpec
from harness.stats import Interval, seed_interval
from harness.table import Table
from harness.task import Above, Below, Claim, Grid, Method, Metric, Region, Within
from harness.verdict import Verdict
from tests.harness.fabricated import difference_claim, experiment_of, noise, study_of, task_of, verdicts_of

TRAIN = experiment_of(metrics=[Metric("loss", "nats", "lower"), Metric("right", "percent", "higher", counted=True)])
METHODS = [Method(name, "rival") for name in ("left", "right", "third", "fourth")]


def judged(folder: Path, claims: Sequence[Claim], outcome: Any, **changes: Any) -> dict[str, Verdict]:
    task = task_of(experiment=TRAIN, methods=METHODS, claims=list(claims), **changes)
    return {v.claim: v for v in verdicts_of(study_of(folder, task, outcome))}


def levels(**means: float) -> Any:
    """The loss of each method: its mean and noise of standard deviation 0.1."""
    return lambda trial: {"loss": means.get(trial.method, 0.0) + 0.1 * noise(trial), "right": 50.0}


def claim(id: str, method: str, holds: Any, **about: Any) -> Claim:
    return Claim(id=id, statement=id, source="abstract", estimate=Of(method, TRAIN["loss"]), holds=holds, **about)


def test_primary_claims_are_held_together(tmp_path: Path) -> None:
    # Five seeds, 0.1 apart from the edge by about 1.5 standard deviations: p near .03 alone, not among four.
    seeds = [0.02, 0.09, 0.16, 0.2, 0.05]
    near: Any = lambda trial: {"loss": seeds[trial.seed] + {"left": -0.005}.get(trial.method, 0.0) + 1e-3 * noise(trial), "right": 1.0}  # noqa: E731
    alone = judged(tmp_path, [claim("a", "left", Above(0.0), primary=True)], near)["a"]
    assert alone.verdict == "reproduced"
    assert 0.0125 < alone.p < 0.05
    four = [claim(name, name, Above(0.0), primary=True) for name in ("left", "right", "third", "fourth")]
    found = judged(tmp_path, four, near)
    assert {v.verdict for v in found.values()} == {"inconclusive"}
    assert "not as one of 4 primary claims" in found["left"].reason
    other = judged(tmp_path, [*four[:1], *(claim(c.id, c.id, Above(0.0)) for c in four[1:])], near)
    assert {v.verdict for v in other.values()} == {"reproduced"}


def test_undecided_primary_claims_count_among_the_hypotheses(tmp_path: Path) -> None:
    seeds = {"left": [0.02, 0.09, 0.16, 0.2, 0.05]}

    def outcome(trial: TrialSpec) -> dict[str, float]:
        return {"loss": seeds.get(trial.method, [1.0, -1.0, 2.0, -2.0, 0.1])[trial.seed], "right": 1.0}

    claims = [claim(name, name, Above(0.0), primary=True) for name in ("left", "right", "third", "fourth")]
    assert judged(tmp_path, claims, outcome)["left"].verdict == "inconclusive"
    assert judged(tmp_path, claims[:1], outcome)["left"].verdict == "reproduced"


def test_family_wise_error_of_primary_claims(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(8)]
    train = experiment_of(metrics=[Metric(name, "nats", "lower") for name in names])
    claims = [
        Claim(id=n, statement="", source="", estimate=paired("left", "right", train[n]), holds=Above(0.0), primary=True) for n in names
    ]
    rng, false = np.random.default_rng(5), 0
    for _ in range(50):
        study = study_of(
            tmp_path, task_of(experiment=train, claims=claims), lambda _: dict(zip(names, rng.normal(size=8).tolist(), strict=True))
        )
        false += any(v.verdict != "inconclusive" for v in verdicts_of(study))
    # At most 50 x .05 by construction, which chance takes to 9; one by one .34 of such studies would hold a false verdict.
    assert false <= 9


def test_a_claim_decides_nothing_where_its_control_fails(tmp_path: Path) -> None:
    floor = claim("floor", "right", Below(0.5), kind="control")
    on_it = claim("gain", "left", Above(0.0), stands_on=["floor"])
    failed = judged(tmp_path, [floor, on_it], levels(left=1.0, right=1.0))
    assert failed["gain"].verdict == "not tested"
    assert "stands on floor, which does not hold" in failed["gain"].reason
    assert "reproduced" in failed["gain"].reason
    held = judged(tmp_path, [floor, on_it], levels(left=1.0, right=0.0))
    assert held["gain"].verdict == "reproduced"
    open_ = judged(tmp_path, [claim("floor", "right", Below(0.0)), on_it], levels(left=1.0, right=0.0))
    assert open_["gain"].verdict == "reproduced"
    assert "stands on floor, undecided" in open_["gain"].reason


def test_a_fall_reaches_all_that_stands_above_it(tmp_path: Path) -> None:
    top, middle = claim("top", "left", Above(0.0), stands_on=["middle"]), claim("middle", "left", Above(0.0), stands_on=["floor"])
    found = judged(tmp_path, [top, middle, claim("floor", "right", Below(0.5), kind="control")], levels(left=1.0, right=1.0))
    assert [found[id].verdict for id in ("top", "middle", "floor")] == ["not tested", "not tested", "not reproduced"]
    assert "stands on middle, which decides nothing here. Judged alone: reproduced" in found["top"].reason
    elsewhere = replace(middle, scales=["paper"])
    found = judged(tmp_path, [top, elsewhere, claim("floor", "right", Below(0.5), kind="control")], levels(left=1.0, right=1.0))
    assert [found[id].verdict for id in ("top", "middle")] == ["not tested", "not tested"]


def test_claims_do_not_stand_on_each_other() -> None:
    with pytest.raises(TaskError, match="it stands on claims that stand on it"):
        task_of(claims=[claim(a, "left", Above(0.0), stands_on=[b]) for a, b in ("ab", "bc", "ca")], experiment=TRAIN)


def test_what_a_claim_stands_on_exists_and_only_the_papers_claims_are_primary() -> None:
    with pytest.raises(TaskError, match="claim that gain stands on"):
        task_of(claims=[claim("gain", "left", Above(0.0), stands_on=["flor"]), claim("floor", "right", Above(0.0))], experiment=TRAIN)
    with pytest.raises(TaskError, match="only the paper's own claims are primary"):
        task_of(claims=[claim("gain", "left", Above(0.0), kind="control", primary=True)], experiment=TRAIN)


@pytest.mark.parametrize(
    ("holds", "about", "words"),
    [
        (Above(0.0), {"bounds": POSITIVE}, "every estimate between 0 and inf"),
        (Above(1.0), {"bounds": SHARE}, "every estimate between 0 and 1"),
        (Within(-1.0, 2.0), {"bounds": SHARE}, "every estimate between 0 and 1"),
        (Above(0.5), {"bounds": SHARE, "null": 0.0}, "no estimate between 0 and 1 is its null, 0"),
        (Above(0.5), {"bounds": CORRELATION, "null": 2.0}, "no estimate between -1 and 1 is its null, 2"),
    ],
)
def test_a_claim_that_its_range_decides_is_refused(holds: Any, about: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        task_of(claims=[claim("a", "left", holds, **about)], experiment=TRAIN)
    exact_or_free = [
        claim("b", "left", Above(0.0), bounds=POSITIVE, exact=True),
        claim("c", "left", Above(0.0)),
        claim("d", "left", Region()),
    ]
    assert task_of(claims=exact_or_free, experiment=TRAIN).claims


def test_what_counts_examples_is_not_sharper_than_one_example(tmp_path: Path) -> None:
    # Of 250 examples one is 0.4 points. left is one example better in every seed; on both sides half an example may hide.
    def outcome(trial: TrialSpec) -> dict[str, float]:
        return {"loss": 0.0, "right": 60.0 + 0.4 * trial.seed + (0.4 if trial.method == "left" else 0.0)}

    found = judged(tmp_path, better("C1", "left", "right", TRAIN["right"], source="abstract"), outcome)["C1"]
    assert (found.interval.low, found.interval.high) == pytest.approx((0.0, 0.8))
    assert found.verdict == "inconclusive"

    def clear(trial: TrialSpec) -> dict[str, float]:
        return {"loss": 0.0, "right": 60.0 + 0.4 * trial.seed + (0.8 if trial.method == "left" else 0.0)}

    assert judged(tmp_path, better("C1", "left", "right", TRAIN["right"], source="abstract"), clear)["C1"].verdict == "reproduced"


def test_seeds_that_agree_in_a_count_take_the_step_of_the_other_records(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> dict[str, float]:
        return {"loss": 0.0, "right": 100.0 if trial.method == "left" else 60.0 + 0.4 * trial.seed}

    found = judged(tmp_path, [Claim(id="a", statement="", source="", estimate=Of("left", TRAIN["right"]), holds=Above(99.0))], outcome)
    assert (found["a"].interval.low, found["a"].interval.high) == pytest.approx((99.8, 100.2))
    assert found["a"].verdict == "reproduced"


def test_an_interval_of_bounded_seeds_stays_in_its_range(tmp_path: Path) -> None:
    shares = [0.9, 0.99, 0.97, 0.999, 0.95]
    outcome: Any = lambda trial: {"loss": shares[trial.seed], "right": 1.0}  # noqa: E731
    found = judged(tmp_path, [claim("a", "left", Above(0.5), bounds=SHARE), claim("b", "left", Above(0.5))], outcome)
    assert found["b"].interval.high > 1.0 > found["a"].interval.high > found["a"].interval.low > 0.5
    assert found["a"].verdict == "reproduced"


def test_a_rank_correlation_of_one_in_every_seed_has_the_step_of_its_points(tmp_path: Path) -> None:
    outcome: Any = lambda trial: {"loss": float(trial.params["width"]) + 0.1 * noise(trial), "right": 1.0}  # noqa: E731
    claims = [
        *monotone("loose", "left", TRAIN["loss"], over="width", rises=True, source="Fig. 1"),
        *monotone("tight", "left", TRAIN["loss"], over="width", rises=True, least=0.95, source="Fig. 1"),
    ]
    found = judged(tmp_path, claims, outcome, grids=lambda train: [Grid(train, axes={"width": (8, 16, 32, 64)})])
    # Four points: when two neighbours change places the correlation falls by 0.2, half of which may hide.
    assert (found["loose"].interval.low, found["loose"].interval.high) == pytest.approx((0.9, 1.0))
    assert [found[name].verdict for name in ("loose", "tight")] == ["reproduced", "inconclusive"]


@pytest.mark.parametrize(
    ("scale", "kind", "published", "size"),
    [
        ("paper", "real", 0.35, "agrees"),
        ("paper", "real", 0.9, "differs"),
        ("laptop", "real", 0.35, "not comparable"),
        ("paper", "stand-in", 0.35, "not comparable"),
        ("paper", "real", None, ""),
    ],
)
def test_agreement_in_size_is_a_matter_of_the_papers_scale(
    tmp_path: Path, scale: str, kind: str, published: float | None, size: str
) -> None:
    gaps = [0.2, 0.25, 0.3, 0.35, 0.4]
    task = task_of(claims=[difference_claim(published=published, null=0.0)], grids=lambda train: [Grid(train, data="corpus")], scale=scale)
    outcome: Any = lambda trial: {"loss": 1.0 + (gaps[trial.seed] if trial.method == "left" else 0.0)}  # noqa: E731
    (found,) = verdicts_of(study_of(tmp_path, task, outcome, scale=scale, data={"corpus": DataRef("corpus", "", kind, "f00")}))
    # Mean 0.3, standard deviation 0.0791: one more seed lies in 0.3 -+ 2.776 * 0.0791 * sqrt(1.2) = [0.059, 0.541].
    assert found.size == size
    assert found.effect == pytest.approx(0.3 / np.std(gaps, ddof=1))
    assert math.isnan(found.ratio) if published is None else found.ratio == pytest.approx(0.3 / published)


def test_the_ratio_of_effects_is_from_no_effect(tmp_path: Path) -> None:
    about: Mapping[str, Any] = {"published": 3.0, "null": 1.0, "bounds": POSITIVE}
    found = judged(
        tmp_path, [claim("a", "left", Above(1.0), **about)], lambda trial: {"loss": 2.0 * math.exp(0.01 * noise(trial)), "right": 1.0}
    )
    assert found["a"].ratio == pytest.approx(0.5, abs=0.02)


def test_a_best_of_several_is_refuted_only_beyond_what_several_comparisons_give_by_chance(tmp_path: Path) -> None:
    # left is worse than right with p = .03 (t = 3.32 over 5 seeds), better than the others by far.
    above = [0.0, 0.04, 0.08, 0.05, 0.06]
    levels = {"left": 0.0, "right": 0.0, "third": 9.0, "fourth": 9.0}

    def outcome(trial: TrialSpec) -> dict[str, float]:
        more = above[trial.seed] if trial.method == "left" else 0.01 * noise(trial) * (levels[trial.method] > 0)
        return {"loss": levels[trial.method] + more, "right": 1.0}

    claims = [
        *better("one", "left", "right", TRAIN["loss"], source="Table 1"),
        *best_of("all", "left", ["right", "third", "fourth"], TRAIN["loss"], source="Table 1"),
    ]
    found = judged(tmp_path, claims, outcome)
    assert 0.05 / 3 < found["one"].p < 0.05
    assert [found[name].verdict for name in ("one", "all")] == ["not reproduced", "inconclusive"]
    beyond = judged(tmp_path, claims, lambda trial: outcome(trial) | ({"loss": 0.5 + above[trial.seed]} if trial.method == "left" else {}))
    assert beyond["all"].verdict == "not reproduced"


@dataclass(frozen=True)
class MeanOverMethods:
    """The mean loss over methods, whose interval comes from the methods, not from the seeds."""

    def __call__(self, frame: Any) -> float:
        return float(frame["metric.loss"].mean())

    def interval(self, tables: Sequence[Table]) -> Callable[[float], Interval]:
        (table,) = tables
        means = [float(table.select({}, method=m.name).metric("loss").mean()) for m in METHODS]
        return partial(seed_interval, means)


def test_an_estimate_may_bring_its_own_unit_of_replication(tmp_path: Path) -> None:
    outcome = levels(left=1.0, right=2.0, third=3.0, fourth=10.0)
    about: Any = {"statement": "", "source": "", "estimate": MeanOverMethods()}
    claims = [Claim(id="far", holds=Above(-3.0), **about), Claim(id="near", holds=Above(0.0), **about)]
    found = judged(tmp_path, claims, outcome)
    assert (found["far"].verdict, found["near"].verdict) == ("reproduced", "inconclusive")
    # Four methods 1, 2, 3, 10: mean 4, standard deviation 4.08, 4 -+ 3.182 * 2.04.
    assert found["near"].interval.high - found["near"].interval.low == pytest.approx(2 * 3.182 * 2.04, rel=0.05)
    assert 0.05 < found["near"].p < 0.2
    assert (found["near"].n, found["near"].interval.n) == (len(found["near"].seeds), 4)
    assert len(found["near"].seeds) not in (0, 4)
    assert "over 4 of what is compared, not over seeds. More seeds alone do not decide." in found["near"].reason
    assert found["far"].reason.endswith("where the claim holds (> -3). It is an interval over 4 of what is compared, not over seeds.")
    assert math.isnan(found["near"].effect)


def test_chance_alone(tmp_path: Path) -> None:
    claims = [
        *better("C1", "left", ["right", "third"], TRAIN["loss"], source="abstract"),
        claim("C2", "left", Within(-9.0, 9.0)),
        Claim(id="C3", statement="", source="", estimate=Of("left", Mean("loss")), holds=Above(0.0), exact=True, null=0.0),
    ]
    found = judged(tmp_path, claims, levels())
    assert [v.by_chance for v in found.values()] == pytest.approx([0.025, 0.025, 0.0, 0.0])
    assert [v.group for v in found.values()] == ["C1", "C1", "", ""]
    assert monotone("m", "left", TRAIN["loss"], over="width", rises=True, source="")[0].bounds == CORRELATION
