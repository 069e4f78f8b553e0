"""Claim builders: direction and unit come from the metric, planted effects are decided, and a claim about the best is decided in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.claims import (
    ablation,
    best_of,
    better,
    contrast,
    equivalent,
    exact,
    extreme,
    level,
    monotone,
    non_inferior,
    optimum_shift,
    slope,
)
from harness.errors import TaskError
from harness.estimates import Transformed
from harness.plan import TrialSpec
from harness.sweeps import Sweep
from harness.task import Above, Claim, Grid, Method, Metric, Region, Within, param
from harness.verdict import Verdict
from tests.harness.fabricated import experiment_of, noise, study_of, task_of, verdicts_of


@dataclass(frozen=True)
class Swept:
    width: int = param(8, "width")
    rate: float = param(0.1, "rate")


METRICS = [Metric("accuracy", "percent", "higher"), Metric("loss", "nats", "lower"), Metric("size", "", "none")]
TRAIN = experiment_of(metrics=METRICS)
METHODS = [Method(name, "rival") for name in ("a", "b", "c", "d")]
SQUARED = Transformed(lambda value: value**2, TRAIN["accuracy"])
LEVELS = {"a": 90.0, "b": 80.0, "c": 89.9, "d": 70.0}


def decided(folder: Path, claims: list[Claim], outcome: Any = None, **changes: Any) -> list[Verdict]:
    def level(trial: TrialSpec) -> dict[str, float]:
        value = LEVELS[trial.method] + 0.5 * noise(trial)
        return {"accuracy": value, "loss": -value, "size": 1.0}

    grids = changes.pop("grids", lambda train: [Grid(train)])
    return verdicts_of(
        study_of(folder, task_of(experiment=TRAIN, methods=METHODS, claims=claims, grids=grids, **changes), outcome or level)
    )


def test_a_difference_takes_direction_unit_and_sentence_from_the_metric() -> None:
    (up,), (down,) = (better("C1", "a", "b", TRAIN[name], source="abstract") for name in ("accuracy", "loss"))
    assert (up.statement, up.holds, up.unit) == ("a has a higher accuracy than b", Region(low=0.0), "percentage points")
    assert (down.statement, down.holds, down.unit) == ("a has a lower loss than b", Region(high=0.0), "nats")
    assert str(down.holds) == "< 0"
    (margin,) = better("C1", "a", "b", TRAIN["loss"], by=0.1, source="abstract")
    assert (margin.holds, margin.statement) == (Region(high=-0.1), "a has a lower loss than b by more than 0.1 nats")


def test_several_rivals_make_a_claim_each() -> None:
    claims = better("C1", "a", ["b", "d"], TRAIN["accuracy"], says="a beats {}", source="Table 1", published=1.5, scales=["gpu"])
    assert [(c.id, c.statement, c.published, list(c.scales)) for c in claims] == [
        ("C1-b", "a beats b", 1.5, ["gpu"]),
        ("C1-d", "a beats d", 1.5, ["gpu"]),
    ]


def test_planted_effects_are_decided(tmp_path: Path) -> None:
    about = {"source": "abstract"}
    claims = [
        *better("better", "a", "b", TRAIN["accuracy"], **about),
        *better("worse", "d", "b", TRAIN["loss"], **about),
        *ablation("ablation", "a", "d", TRAIN["loss"], part="the gate"),
        *equivalent("same", "a", "c", TRAIN["accuracy"], margin=2.0, **about),
        *equivalent("not-same", "a", "b", TRAIN["accuracy"], margin=2.0, **about),
        *non_inferior("not-worse", "c", "a", TRAIN["loss"], margin=2.0, **about),
        *non_inferior("is-worse", "b", "a", TRAIN["accuracy"], margin=2.0, **about),
    ]
    assert {v.claim: v.verdict for v in decided(tmp_path, claims)} == {
        "better": "reproduced",
        "worse": "not reproduced",
        "ablation": "reproduced",
        "same": "reproduced",
        "not-same": "not reproduced",
        "not-worse": "reproduced",
        "is-worse": "not reproduced",
    }


def test_sweeps_of_a_parameter(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> dict[str, float]:
        width = trial.params["width"]
        power = {"a": 0.5, "b": -1.0, "c": 0.0, "d": 2.0}[trial.method]
        return {"accuracy": width**power * (1 + 0.001 * noise(trial)), "loss": (np.log2(width) - 4 - power) ** 2, "size": 1.0}

    claims = [
        *slope("slope", "a", TRAIN["accuracy"], over="width", holds=Within(0.4, 0.6), source="Sec. 2"),
        *slope("square", "a", TRAIN.within(SQUARED), over="width", holds=Within(0.9, 1.1), says="the square grows", source="Sec. 2"),
        *monotone("rises", "a", TRAIN["accuracy"], over="width", rises=True, source="Sec. 2"),
        *monotone("falls", "a", TRAIN["accuracy"], over="width", rises=False, source="Sec. 2"),
        *monotone("b-falls", "b", TRAIN["accuracy"], over="width", rises=False, source="Sec. 2"),
    ]
    found = decided(tmp_path, claims, outcome, grids=lambda train: [Grid(train, axes={"width": (8, 16, 32, 64)})])
    assert {v.claim: v.verdict for v in found} == {
        "slope": "reproduced",
        "square": "reproduced",
        "rises": "reproduced",
        "falls": "not reproduced",
        "b-falls": "reproduced",
    }


def test_places_of_one_method_are_set_against_each_other_and_every_one_counts(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> dict[str, float]:
        rises = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.0}[trial.method] * np.log2(trial.params["width"] / 8)
        dent = 5.0 * (trial.method == "c" and trial.params["width"] == 32)
        return {"accuracy": 80.0 + rises - dent + 0.01 * noise(trial), "loss": 1.0, "size": 1.0}

    widths = (8, 16, 32, 64)
    at = dict(zip(widths, TRAIN["accuracy"].each("width", widths), strict=True))
    assert TRAIN["accuracy"].at(setting="x").each("width", widths)[1].where == {"setting": "x", "width": 16}
    steps = [(at[32], at[8]), (at[16], at[8]), (at[64], at[16])]
    about: Any = {"says": "", "source": "Sec. 2"}
    claims = [claim for name in "abc" for claim in contrast(name, name, *steps, holds=Above(0.5), **about)]
    claims += contrast("one", "a", steps[0], holds=Within(1.9, 2.1), **about)
    claims += contrast("back", "a", steps[0][::-1], holds=Above(0.0), **about)
    claims += [claim for name in "ac" for claim in level(f"{name}-all", name, [at[8], at[32]], holds=Above(79.5), **about)]
    found = {v.claim: v for v in decided(tmp_path, claims, outcome, grids=lambda train: [Grid(train, axes={"width": widths})])}
    reproduced = {name for name, verdict in found.items() if verdict.verdict == "reproduced"}
    assert reproduced == {"a", "one", "a-all"}
    assert "Of 3 comparisons: 1 not reproduced, 2 reproduced" in found["c"].reason
    assert found["one"].interval.estimate == pytest.approx(2.0, abs=0.1)
    assert {(claim.null, claim.unit) for claim in claims[:5]} == {(0.0, "percentage points")}
    assert claims[0].estimate != claims[3].estimate


def test_an_optimum_that_moves(tmp_path: Path) -> None:
    experiment = experiment_of(metrics=[Metric("loss", "nats", "lower")], params=Swept)

    def outcome(trial: TrialSpec) -> dict[str, float]:
        best = {"left": 0.0, "right": 1.0}[trial.method] * np.log2(trial.params["width"] / 8) - 3
        return {"loss": float((np.log2(trial.params["rate"]) - best - 0.01 * noise(trial)) ** 2 + 1.0)}

    shift = partial(optimum_shift, reading=experiment["loss"], axis="rate", per="width", holds=Within(-0.1, 0.1), source="Fig. 1")
    axes = {"width": (8, 16), "rate": tuple(2.0**k for k in range(-5, 1))}
    claims = [*shift("left", "left"), *shift("right", "right")]
    task = task_of(experiment=experiment, claims=claims, grids=lambda train: [Grid(train, axes=axes)])
    assert {v.claim: v.verdict for v in verdicts_of(study_of(tmp_path, task, outcome))} == {"left": "reproduced", "right": "not reproduced"}


def test_the_best_of_several_is_decided_by_every_pair(tmp_path: Path) -> None:
    others = lambda name: [m.name for m in METHODS if m.name != name]  # noqa: E731
    claims = [claim for name in "ad" for claim in best_of(name, name, others(name), TRAIN["accuracy"], source="Table 1")]
    claims += best_of("clear", "a", ["b", "d"], TRAIN["accuracy"], source="Table 1")
    found = {v.claim: v for v in decided(tmp_path, claims)}
    assert [found[name].verdict for name in ("a", "d", "clear")] == ["inconclusive", "not reproduced", "reproduced"]
    # The number shown belongs to the rival that comes closest: a is about 0.1 above c.
    assert abs(found["a"].interval.estimate) < 2
    assert found["clear"].interval.estimate == pytest.approx(10.0, abs=1.5)
    assert "Of 3 comparisons: 2 reproduced, 1 inconclusive" in found["a"].reason


def test_an_extreme_is_of_any_number_and_either_end(tmp_path: Path) -> None:
    half = lambda name: Transformed(lambda value: value / 2, TRAIN["accuracy"].of(name))  # noqa: E731
    about: Any = {"says": "", "source": "Table 1"}
    claims = [
        *extreme("most", "a", ["b", "d"], half, most="highest", **about),
        *extreme("least", "d", ["a", "b", "c"], half, most="lowest", **about),
        *extreme("not-least", "b", ["a", "c", "d"], half, most="lowest", **about),
    ]
    found = {v.claim: v for v in decided(tmp_path, claims)}
    assert [v.verdict for v in found.values()] == ["reproduced", "reproduced", "not reproduced"]
    assert [v.interval.estimate for v in found.values()] == pytest.approx([5.0, -5.0, 5.0], abs=0.8)
    assert claims[0].null == 0.0


def test_the_best_of_equal_methods_is_not_refuted_for_being_one_of_many(tmp_path: Path) -> None:
    # A minimum over six equal methods, taken in each seed, lies below any one of them: it would call the claim refuted almost always.
    methods = [Method(f"m{i}", "rival") for i in range(6)]
    refuted = 0
    for turn in range(30):
        claims = best_of("C", "m0", [m.name for m in methods[1:]], TRAIN["accuracy"], source="abstract")
        task = task_of(experiment=TRAIN, methods=methods, claims=claims)
        (found,) = verdicts_of(study_of(tmp_path, task, lambda t, turn=turn: {"accuracy": noise(t, str(turn))}, seeds=8))
        refuted += found.verdict == "not reproduced"
    assert refuted <= 4, "at most 2.5 % of all, five pairs or one"


@pytest.mark.parametrize(("values", "verdict"), [([0.0, 0.0], "reproduced"), ([1e-13], "reproduced"), ([0.0, 2e-9], "not reproduced")])
def test_a_theorem_needs_no_interval_and_one_value_refutes_it(tmp_path: Path, values: list[float], verdict: str) -> None:
    claims = exact("C1", TRAIN["loss"], tolerance=1e-9, source="Theorem 1")
    found = verdicts_of(
        study_of(
            tmp_path,
            task_of(experiment=TRAIN, claims=claims),
            lambda t: {"loss": values[t.seed], "accuracy": 0.0, "size": 0.0},
            seeds=len(values),
        )
    )
    assert [v.verdict for v in found] == [verdict]


def test_errors_of_different_trials_do_not_cancel(tmp_path: Path) -> None:
    claims = [
        *exact("C1", TRAIN["loss"], tolerance=0.1, source="Theorem 1"),
        *exact("C2", TRAIN["loss"], holds=Above(0.5), source="control"),
    ]
    axes = {"width": (1, 2, 3)}
    task = task_of(experiment=TRAIN, claims=claims, grids=lambda train: [Grid(train, axes=axes)])
    errors = {1: -1.0, 2: 1.0, 3: 0.0}
    found = verdicts_of(study_of(tmp_path, task, lambda t: {"loss": errors[t.params["width"]], "accuracy": 0.0, "size": 0.0}, seeds=2))
    assert [(v.verdict, abs(v.interval.estimate)) for v in found] == [("not reproduced", 1.0), ("not reproduced", 1.0)]


def test_a_slope_of_a_swept_number_is_that_of_what_the_sweep_selects(tmp_path: Path) -> None:
    metrics = [Metric("val_loss", "nats", "lower"), Metric("test_loss", "nats", "lower")]
    experiment = experiment_of(metrics=metrics, params=Swept, tuned=Sweep("rate"))
    claims = slope("C1", "left", experiment["test_loss"], over="width", holds=Within(-1.01, -0.99), source="Sec. 2")
    grid = {"width": (8, 16, 32), "rate": (0.1, 0.2, 0.4)}
    task = task_of(experiment=experiment, claims=claims, grids=lambda train: [Grid(train, axes=grid)])

    def outcome(trial: TrialSpec) -> dict[str, float]:
        width, off = trial.params["width"], abs(trial.params["rate"] - 0.2)
        return {"val_loss": 1.0 + off, "test_loss": 64.0 / width + 100.0 * off + 1e-6 * noise(trial)}

    (found,) = verdicts_of(study_of(tmp_path, task, outcome))
    assert found.verdict == "reproduced"
    assert found.interval.estimate == pytest.approx(-1.0, abs=1e-3)


def test_a_claim_on_a_sweep_that_is_cut_at_its_edge_says_so(tmp_path: Path) -> None:
    experiment = experiment_of(metrics=[Metric("val_loss", "nats", "lower"), Metric("test_loss", "nats", "lower")], tuned=Sweep("width"))
    claims = better("C1", "left", "right", experiment["test_loss"], source="abstract")
    task = task_of(experiment=experiment, claims=claims, grids=lambda e: [Grid(e, axes={"width": (1, 2, 4)})])

    def outcome(trial: TrialSpec) -> dict[str, float]:
        width = trial.params["width"]
        loss = {"left": -float(width), "right": abs(width - 2.0)}[trial.method]
        return {"val_loss": loss, "test_loss": loss + 0.01 * noise(trial)}

    (found,) = verdicts_of(study_of(tmp_path, task, outcome))
    assert found.verdict == "reproduced"
    assert "left: width at its largest (4) in 5 of 5 seeds" in found.reason
    assert "right" not in found.reason


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: better("C1", "a", "b", TRAIN["size"], source="x"), "metric size of experiment train has no better direction"),
        (lambda: better("C1", "a", "b", TRAIN["loss"]), "claim C1: say in `source`"),
        (lambda: better("C1", "a", "b", TRAIN["loss"], source="x", publishd=1.0), "did you mean 'published'"),
        (lambda: equivalent("C1", "a", "b", TRAIN["loss"], margin=0.0, source="x"), "a margin is positive"),
        (lambda: best_of("C1", "a", ["b"], TRAIN["loss"], source="x"), "for one there is better"),
        (lambda: best_of("C1", "a", ["b", "a"], TRAIN["loss"], source="x"), "a is set against itself"),
        (lambda: better("C1", "a", "a", TRAIN["loss"], source="x"), "a is set against itself"),
        (lambda: better("C1", "a", [], TRAIN["loss"], source="x"), "a is set against no method"),
        (lambda: slope("C1", "a", TRAIN.within(SQUARED), over="width", holds=Above(0.0), source="x"), "say what grows"),
        (lambda: contrast("C1", "a", holds=Above(0.0), says="", source="x"), "between two readings"),
        (lambda: exact("C1", TRAIN["loss"], tolerance=0.0, source="x"), "a tolerance is positive"),
        (
            lambda: optimum_shift("C1", "a", TRAIN["accuracy"], axis="rate", per="width", holds=Above(0.0), source="x"),
            "an optimum is where a metric is lowest",
        ),
        (lambda: exact("C1", TRAIN["loss"], source="x"), "a region or a tolerance"),
        (lambda: exact("C1", TRAIN["loss"], tolerance=1.0, holds=Above(0.0), source="x"), "a region or a tolerance"),
        (lambda: TRAIN["accurcy"], "did you mean 'accuracy'"),
    ],
)
def test_a_claim_that_makes_no_sense_is_one_sentence(make: Any, says: str) -> None:
    with pytest.raises(TaskError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)
