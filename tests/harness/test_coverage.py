"""A declaration that contradicts itself is one sentence when it is made or planned, never a dash in a table later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from harness import coverage
from harness.claims import better
from harness.errors import TaskError
from harness.estimates import Combined, Difference, Estimate, Mean, Of, RankCorrelation, Slope
from harness.plan import Overrides, expand
from harness.sweeps import Sweep
from harness.task import Above, Claim, Figure, Grid, Metric, Requirement, Scale, Statistic, param
from tests.harness.fabricated import experiment_of, task_of

TRAIN = experiment_of()


def claim(estimate: Any, **changes: Any) -> Claim:
    return Claim(**({"id": "C1", "statement": "", "source": "", "estimate": estimate, "holds": Above(0.0)} | changes))


@dataclass(frozen=True)
class Odd:
    widths: complex = param(1j, "widths")


@dataclass(frozen=True)
class Wordy:
    width: str = param("wide", "width in words")


def two_types() -> Any:
    time = experiment_of(name="time", params=Wordy)
    scales = {"laptop": Scale(description="", grids=[Grid(TRAIN), Grid(time)], seeds=2, time_limit_s=1.0)}
    return task_of(experiments=[TRAIN, time], scales=scales)


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda: experiment_of(metrics=[Metric("loss", "", "lower")] * 2), "metric 'loss' is declared twice"),
        (lambda: experiment_of(params=Odd), r"parameter widths is of type complex, which has no text form"),
        (lambda: experiment_of(tuned=Sweep("rate", by="loss")), "swept parameter|parameter of experiment train: 'rate'"),
        (lambda: experiment_of(tuned=Sweep("width", by="lss")), "did you mean 'loss'"),
        (lambda: task_of(experiments=[]), "declares no experiment"),
        (lambda: task_of(experiments=[TRAIN, TRAIN]), "experiment 'train' is declared twice"),
        (lambda: task_of(experiment=experiment_of(), grids=lambda _: [Grid(experiment_of(metrics=[]))]), "a grid holds another experiment"),
        (lambda: task_of(grids=lambda train: [Grid(train, methods=["lef"])]), "did you mean 'left'"),
        (lambda: task_of(grids=lambda train: [Grid(train, axes={"widt": [1]})]), "did you mean 'width'"),
        (lambda: task_of(grids=lambda train: [Grid(train, axes={"width": ()})]), "a point list or an axis without values"),
        (lambda: task_of(grids=lambda train: [Grid(train, axes={"width": 8})]), "axis width is a sequence of values, not 8"),
        (lambda: task_of(grids=lambda train: [Grid(train, axes={"setting": "lm"})]), "axis setting is a sequence of values, not 'lm'"),
        (lambda: task_of(claims=[claim(Of("left", Slope("loss", "widht")))]), "claim C1: .*did you mean 'width'"),
        (lambda: task_of(claims=[claim(Of("left", RankCorrelation("loss", "los")))]), "claim C1: .*did you mean 'loss'"),
        (lambda: Requirement(method="left", experiment=TRAIN), "takes the name of an experiment, not Experiment"),  # type: ignore[arg-type]
        (lambda: two_types(), "parameter width has another type in experiment time than in train"),
        (lambda: task_of(grids=lambda train: [Grid(train, points=[])]), "a point list or an axis without values"),
        (lambda: task_of(claims=[claim(Of("lft", Mean("loss")))]), "claim C1: .*did you mean 'left'"),
        (lambda: task_of(claims=[claim(Of("left", Mean("lss")))]), "claim C1: .*did you mean 'loss'"),
        (lambda: task_of(claims=[claim(Of("left", Mean("loss", {"widht": 1})))]), "claim C1: .*did you mean 'width'"),
        (lambda: task_of(claims=[claim(experiment_of(name="trai")["loss"])]), "claim C1: .*did you mean 'train'"),
        (lambda: task_of(claims=[claim(TRAIN["loss"].at("sweep"))]), "no grid of experiment train fills view 'sweep' .views: none."),
        (
            lambda: task_of(
                experiments=(both := [TRAIN, experiment_of(name="time")]),
                scales={"laptop": Scale(description="", grids=[Grid(e) for e in both], seeds=2, time_limit_s=1.0)},
                claims=[claim(Of("left", Mean("loss")))],
            ),
            "does not say of which experiment",
        ),
        (lambda: experiment_of(statistics=[Statistic(name="a", estimate=Mean("loss"))] * 2), "statistic 'a' is declared twice"),
        (lambda: task_of(statistics=[Statistic(name="a", estimate=Mean("los"))]), "statistic a: .*did you mean 'loss'"),
    ],
)
def test_a_contradiction_is_one_sentence(declare: Any, says: str) -> None:
    with pytest.raises(TaskError, match=says) as caught:
        coverage.check(declare(), "laptop")
    assert "\n" not in str(caught.value)


LOSS = Mean("loss")


@dataclass(frozen=True)
class Subject:
    """A number of `subject` that reads every method."""

    subject: str

    def __call__(self, frame: Any) -> float:
        raise NotImplementedError


@pytest.mark.parametrize(
    "function",
    [min, max, np.max, lambda values: sorted(values)[-1], lambda values: min(values) + 0.0],
    ids=["min", "max", "np", "sorted", "+"],
)
@pytest.mark.parametrize(
    "parts",
    [
        (Of("left", LOSS), Of("right", LOSS)),
        (Subject("left"), Subject("right")),
        (Of("left", LOSS), Difference(Of("left", LOSS), Of("right", LOSS))),
    ],
    ids=["methods", "subjects", "contrasts"],
)
def test_the_smallest_or_largest_over_methods_is_refused(function: Any, parts: tuple[Estimate, ...]) -> None:
    extreme = Combined(function, parts)
    inside = claim(Difference(Of("left", LOSS), extreme))
    with pytest.raises(TaskError, match=r"claim C1: .*over methods \(left, right\).* use best_of or extreme"):
        coverage.check(task_of(claims=[inside]), "laptop")
    with pytest.raises(TaskError, match=r"statistic a: .*over methods"):
        coverage.check(task_of(statistics=[Statistic(name="a", estimate=extreme)]), "laptop")


def test_other_functions_and_extremes_within_a_method_are_not() -> None:
    widths = tuple(Mean("loss", {"width": width}) for width in (8, 16))
    both = (Of("left", LOSS), Of("right", LOSS))
    fine = [
        Of("left", Combined(max, widths)),
        Combined(max, tuple(Of("left", width) for width in widths)),
        Combined(fmean, both),
        Combined(lambda values: values[0] / (values[1] - 2 * values[0]), both),
        Combined(lambda values: values[0], both),
        Combined(max, both[:1]),
    ]
    claims = [claim(estimate, id=f"C{place}") for place, estimate in enumerate(fine)]
    coverage.check(task_of(claims=claims, grids=lambda train: [Grid(train, axes={"width": (8, 16)})]), "laptop")


def grids(train: Any) -> list[Grid]:
    return [
        Grid(train, view="rate-sweep", points=[{"setting": "lm"}], axes={"width": (8, 16)}),
        Grid(train, points=[{"setting": "ffn", "width": 4}, {"setting": "ffn", "width": 2}], methods=["left"]),
    ]


READS = {
    "a point": (TRAIN["loss"].at(setting="ffn", width=2).of("left"), True),
    "an axis": (TRAIN["loss"].at("rate-sweep", width=16).of("right"), True),
    "a default": (TRAIN["loss"].at(width=64), False),
    "a value of no axis": (TRAIN["loss"].at(width=32), False),
    "two points mixed": (TRAIN["loss"].at(setting="lm", width=2), False),
    "a method of another grid": (TRAIN["loss"].at(setting="ffn").of("right"), False),
    "a value outside its view": (TRAIN["loss"].at("rate-sweep", setting="ffn"), False),
}


@pytest.mark.parametrize("name", READS)
def test_what_a_claim_reads_has_to_be_planned(name: str) -> None:
    estimate, planned = READS[name]
    task = task_of(experiment=TRAIN, grids=grids, claims=[claim(estimate)])
    if planned:
        assert expand(task, "laptop", Overrides(), {})
        return
    with pytest.raises(TaskError, match="claim C1: no grid of scale laptop plans"):
        expand(task, "laptop", Overrides(), {})
    elsewhere = replace(task, claims=[claim(estimate, scales=["paper"])])
    assert expand(elsewhere, "laptop", Overrides(), {}), "a claim may belong to other scales"


def test_what_a_figure_or_statistic_reads_has_to_be_planned_somewhere() -> None:
    figures = [Figure(id="f", title="", x="width", y="loss", where={"width": 3})]
    with pytest.raises(TaskError, match="figure f: no grid of any scale plans"):
        expand(task_of(figures=figures), "laptop", Overrides(), {})
    with pytest.raises(TaskError, match="statistic s: no grid of any scale plans"):
        expand(task_of(statistics=[Statistic(name="s", estimate=Mean("loss", {"width": 3}))]), "laptop", Overrides(), {})
    with pytest.raises(TaskError, match=r"figure f: .*did you mean 'loss'"):
        expand(task_of(figures=[replace(figures[0], y="lss", where={})]), "laptop", Overrides(), {})


def test_a_trial_that_others_need_is_planned_without_a_grid() -> None:
    train = experiment_of(requires=lambda method, _: Requirement(method="left") if method == "right" else None)
    task = task_of(
        experiment=train, grids=lambda own: [Grid(own, methods=["right"])], claims=better("C1", "right", "left", train["loss"], source="x")
    )
    assert [trial.method for trial in expand(task, "laptop", Overrides(seeds=1), {})] == ["left", "right"]


@pytest.mark.parametrize(
    ("requirement", "says"),
    [
        (Requirement(method="left", experiment="tain"), r"unknown experiment of toy: 'tain'; did you mean 'train'\?"),
        (Requirement(method="lft"), r"unknown method of toy: 'lft'; did you mean 'left'\?"),
        (Requirement(method="right", experiment="prepare"), "right needs right, which experiment prepare does not run"),
        (Requirement(method="right"), "right needs right"),
    ],
)
def test_what_a_trial_needs_has_to_exist(requirement: Requirement, says: str) -> None:
    prepare = experiment_of(name="prepare", methods=["left"])
    train = experiment_of(requires=lambda method, _: requirement if method == "right" else None)
    scales = {"laptop": Scale(description="", grids=[Grid(train), Grid(prepare)], seeds=1, time_limit_s=1.0)}
    with pytest.raises(TaskError, match=says):
        expand(task_of(experiments=[train, prepare], scales=scales), "laptop", Overrides(), {})


@pytest.mark.parametrize("what", ["requires", "seconds", "resources"])
def test_a_function_of_the_declaration_that_raises_is_named(what: str) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("widht")

    with pytest.raises(TaskError, match=f"`{what}` of experiment train raised KeyError: 'widht'"):
        expand(task_of(**{what: broken}), "laptop", Overrides(), {})


def test_needs_narrow_down_from_the_outside_in() -> None:
    (need,) = coverage.needs(Of("left", TRAIN.within(Mean("loss", {"width": 8}), "rate-sweep")))
    assert (need.experiment, need.view, need.method, dict(need.where), need.metric) == ("train", "rate-sweep", "left", {"width": 8}, "loss")
    assert str(need) == "method left with width = 8 of view rate-sweep of experiment train"
