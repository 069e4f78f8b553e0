"""Two studies against each other: a planted change is found, chance is not called a change, and the gate stops for regressions only."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.compare import LEVEL, Comparison, compare
from harness.errors import UsageError
from harness.judgement import Judgement, judge
from harness.plan import TrialSpec
from harness.stats import adjusted, paired_p
from harness.task import Experiment, Grid, Method, Metric, Scale, param
from tests.harness.conftest import Command
from tests.harness.fabricated import Outcome, difference_claim, experiment_of, noise, study_of, task_of


@dataclass(frozen=True)
class Timed:
    rounds: int = param(3, "calls")


def study(folder: Path, outcome: Callable[[TrialSpec], Outcome], **changes: object) -> Judgement:
    return judge(study_of(folder, task_of(**changes), outcome))


def found(folder: Path, before: Callable[[TrialSpec], Outcome], after: Callable[[TrialSpec], Outcome], **changes: object) -> Comparison:
    return compare(study(folder / "a", before, **changes), study(folder / "b", after, **changes))


def flat(trial: TrialSpec) -> Outcome:
    return {"loss": 2.0 + trial.seed}


def directions(comparison: Comparison) -> dict[str, str]:
    return {change.method: change.direction for change in comparison.changes}


def test_a_shift_common_to_all_seeds_is_found_although_seeds_differ_more(tmp_path: Path) -> None:
    def shifted(trial: TrialSpec) -> Outcome:
        return {"loss": 2.0 + trial.seed + (0.01 + 0.001 * trial.seed) * (trial.method == "right")}

    comparison = found(tmp_path, flat, shifted)
    assert directions(comparison) == {"left": "equal", "right": "worse"}
    (change,) = comparison.regressions
    assert change.difference.estimate == pytest.approx(0.012)
    assert change.before.estimate == pytest.approx(4.0)
    raw = stats.ttest_rel([0.01 + 0.001 * seed for seed in range(5)], [0.0] * 5).pvalue
    assert change.p == pytest.approx(2 * raw), "Holm over two numbers, of which the other has p = 1"


@pytest.mark.parametrize(("better", "says"), [("lower", "better"), ("higher", "worse"), ("zero", "better"), ("none", "changed")])
def test_which_way_is_good_decides(tmp_path: Path, better: str, says: str) -> None:
    metrics = [Metric("loss", "nats", better)]
    smaller = found(tmp_path, lambda t: {"loss": 3.0 + t.seed}, lambda t: {"loss": 2.0 + t.seed}, metrics=metrics)
    assert set(directions(smaller).values()) == {says}
    assert bool(smaller.regressions) is (says == "worse")


def test_nearer_to_zero_counts_whatever_the_sign(tmp_path: Path) -> None:
    metrics = [Metric("loss", "", "zero")]
    across = found(tmp_path, lambda t: {"loss": -1.0 - 0.1 * t.seed}, lambda t: {"loss": 3.0 + 0.1 * t.seed}, metrics=metrics)
    assert set(directions(across).values()) == {"worse"}


def test_equal_studies_are_called_worse_no_more_often_than_promised(tmp_path: Path) -> None:
    methods = [Method(f"m{i}", "baseline") for i in range(12)]
    called, rounds = 0, 40
    for turn in range(rounds):
        sides = [lambda t, side=side, turn=turn: {"loss": noise(t, f"{side}{turn}")} for side in "ab"]
        called += bool(found(tmp_path / str(turn), *sides, methods=methods, seeds=4).regressions)
    assert called <= stats.binom.ppf(0.999, rounds, LEVEL), "a family of twelve numbers, one level for all of them"


def test_a_method_that_loses_seeds_fell_short_whatever_its_survivors_say(tmp_path: Path) -> None:
    def dies(trial: TrialSpec) -> Outcome:
        return "diverged" if (trial.method, trial.seed) == ("left", 3) else flat(trial)

    assert directions(found(tmp_path / "x", flat, dies))["left"] == "lost seeds"
    assert found(tmp_path / "x", flat, dies).regressions
    assert directions(found(tmp_path / "y", dies, dies))["left"] == "equal", "it was lost before"
    assert not found(tmp_path / "z", dies, flat).regressions


def test_a_number_nobody_has_is_left_out(tmp_path: Path) -> None:
    metrics = [Metric("loss", "nats", "lower"), Metric("other", "", "none", optional=True)]
    assert {change.statistic for change in found(tmp_path, flat, flat, metrics=metrics).changes} == {"loss"}


def test_studies_of_several_experiments_are_compared(tmp_path: Path) -> None:
    train, time = experiment_of(), experiment_of(name="time", params=Timed, metrics=[Metric("seconds", "s", "lower")])
    scales = {"laptop": Scale(description="", grids=[Grid(train), Grid(time)], seeds=3, time_limit_s=1.0)}
    task = task_of(experiments=[train, time], scales=scales)
    sides = [
        judge(
            study_of(
                tmp_path / side,
                task,
                lambda t, more=more: {"loss": 1.0} if t.experiment == "train" else {"seconds": 1.0 + more * (1 + 0.1 * t.seed)},
            )
        )
        for side, more in (("a", 0.0), ("b", 1.0))
    ]
    comparison = compare(*sides)
    assert {(c.experiment, c.method): c.direction for c in comparison.changes} == {
        ("train", "left"): "equal",
        ("train", "right"): "equal",
        ("time", "left"): "worse",
        ("time", "right"): "worse",
    }
    assert comparison.mixed == []


def test_verdicts_that_changed_are_named(tmp_path: Path) -> None:
    def outcome(gap: float) -> Callable[[TrialSpec], Outcome]:
        return lambda trial: {"loss": 2.0 + 0.01 * noise(trial) + gap * (trial.method == "left")}

    comparison = found(tmp_path, outcome(-1.0), outcome(1.0), claims=[difference_claim()])
    (turn,) = comparison.turns
    assert {turn.before, turn.after} == {"reproduced", "not reproduced"}
    assert comparison.claims == 1
    assert found(tmp_path / "same", outcome(1.0), outcome(1.0), claims=[difference_claim()]).turns == []


def test_studies_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no task at one scale in common"):
        compare(study(tmp_path / "a", flat), study(tmp_path / "b", flat, id="other"))


def test_other_code_or_data_is_said(tmp_path: Path) -> None:
    other = judge(study_of(tmp_path / "b", task_of(), flat, change=lambda _: {"source_digest": "ffff", "device": "H100"}))
    (sentence,) = compare(study(tmp_path / "a", flat), other).mixed
    assert "source of the task" in sentence
    assert "device" in sentence
    assert compare(other, other).mixed == []


def test_a_task_whose_methods_ran_in_different_cells_is_compared_by_its_claims_alone(tmp_path: Path) -> None:
    def grids(train: Experiment) -> list[Grid]:
        return [Grid(train, axes={"width": [8]}, methods=("left",)), Grid(train, axes={"width": [16]}, methods=("right",))]

    comparison = found(tmp_path, flat, flat, grids=grids, claims=[difference_claim()])
    assert comparison.changes == []
    assert comparison.claims == 1
    assert "only claims are compared" in comparison.mixed[0]


def test_holm_keeps_the_order_and_never_lowers() -> None:
    assert adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted([0.5, math.nan, 0.9])[1:] == pytest.approx([math.nan, 1.0], nan_ok=True)
    draws = np.random.default_rng(0).uniform(size=20).tolist()
    assert all(corrected >= p for p, corrected in zip(draws, adjusted(draws), strict=True))


def test_the_paired_test_agrees_with_scipy_and_knows_exact_repeats() -> None:
    draws = np.random.default_rng(1).normal(0.3, 1.0, 7)
    assert paired_p(draws) == pytest.approx(stats.ttest_1samp(draws, 0.0).pvalue)
    assert paired_p([0.0, 0.0, 0.0]) == 1.0
    assert paired_p([0.1, 0.1]) == 0.0
    assert math.isnan(paired_p([0.1]))


def test_a_gate_does_not_pass_over_trials_that_have_no_record(papertrial: Command, tmp_path: Path) -> None:
    words = ["run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study"]
    for name in ("one", "two"):
        assert papertrial(*words, name).code == 0
    ledger = tmp_path / "results" / "two" / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:5]))
    told = papertrial("compare", "one", "two")
    assert told.code == 0
    assert "two: 13 of 18 planned trials have no record yet" in told.out
    gated = papertrial("compare", "one", "two", "--gate")
    assert gated.code == 3
    assert "13 trials of two have no record yet: run it to its end" in gated.out
    assert papertrial("compare", "two", "one", "--gate").code == 0, "what is missing before is no regression"


def test_the_gate_through_the_command_line(papertrial: Command, tmp_path: Path) -> None:
    words = ["run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study"]
    for name in ("one", "two"):
        assert papertrial(*words, name).code == 0
    assert papertrial(*words, "large", "--set", "size=32").code == 0
    same = papertrial("compare", "one", "two", "--gate", "--csv", str(tmp_path / "differences.csv"))
    assert same.code == 0, same.err
    assert "0 of 1 verdicts changed" in same.out
    rows = list(csv.DictReader((tmp_path / "differences.csv").open()))
    assert [(row["method"], row["direction"], row["n"]) for row in rows] == [("plain", "equal", "3"), ("shifted", "equal", "3")]
    told = papertrial("compare", "one", "large")
    assert told.code == 0
    assert "the studies differ in parameters that were run" in told.out
    gated = papertrial("compare", "one", "large", "--gate")
    assert gated.code == 3
    assert "gate: 2 of 2 numbers fell short" in gated.out
    missing = papertrial("compare", "one", "tow")
    assert missing.code == 2
    assert "did you mean 'two'?" in missing.err
