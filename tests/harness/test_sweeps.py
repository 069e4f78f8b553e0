"""What a sweep goes over and selects: on validation, never among survivors; curves read at a matched x."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.coverage import needs
from harness.errors import TaskError
from harness.estimates import Curve, Mean, Of, RankCorrelation, RankTrend, paired, ratio
from harness.sweeps import AtLargest, Chosen, Sweep, edges, powers
from harness.table import Table
from harness.task import Metric
from tests.harness.fabricated import experiment_of

RATES = (0.1, 0.2, 0.4)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([{"experiment": "train", "method": "m", "seed": 0, "status": "ok", **row} for row in rows])


def swept(val: list[float], test: list[float], **fixed: Any) -> list[dict[str, Any]]:
    return [{"param.lr": lr, "metric.val": v, "metric.test": t, **fixed} for lr, v, t in zip(RATES, val, test, strict=True)]


def mean(sweep: Sweep, rows: pd.DataFrame, name: str) -> float:
    """What the sweep gives of one seed's records."""
    return float(sweep.means(Table.of(rows), name)[0])


def test_validation_selects_and_test_only_reports() -> None:
    rows = frame(swept([2.0, 1.0, 3.0], [10.0, 20.0, 5.0]))
    assert mean(Sweep("lr", by="val", better=("lower",)), rows, "metric.test") == 20.0
    assert mean(Sweep("lr", by="val", better=("higher",)), rows, "metric.test") == 5.0


def test_each_cell_is_tuned_by_itself() -> None:
    rows = frame(
        [*swept([2.0, 1.0, 3.0], [10.0, 20.0, 5.0], **{"param.width": 8}), *swept([1.0, 2.0, 3.0], [40.0, 0.0, 0.0], **{"param.width": 16})]
    )
    assert mean(Sweep("lr", by="val", better=("lower",)), rows, "metric.test") == 30.0


def test_a_diverged_trial_is_infinitely_bad_and_a_lost_one_stops_the_choice() -> None:
    rows = swept([2.0, 1.0, 3.0], [10.0, 20.0, 5.0])
    diverged = frame([rows[0], rows[1] | {"status": "diverged", "metric.val": math.nan}, rows[2]])
    assert mean(Sweep("lr", by="val", better=("lower",)), diverged, "metric.test") == 10.0
    lost = frame([rows[0], rows[1], rows[2] | {"status": "oom", "metric.val": math.nan}])
    assert math.isnan(mean(Sweep("lr", by="val", better=("lower",)), lost, "metric.test"))
    assert math.isnan(mean(Sweep("lr", by="val", better=("lower",)), frame([row | {"status": "diverged"} for row in rows]), "metric.test"))
    unmeasured = frame([rows[0], rows[1] | {"metric.val": math.nan}, rows[2]])
    assert math.isnan(mean(Sweep("lr", by="val", better=("lower",)), unmeasured, "metric.test")), "ok and without the number that selects"


def test_ties() -> None:
    rows = frame(swept([1.0, 1.0, 2.0], [10.0, 20.0, 5.0]))
    assert mean(Sweep("lr", by="val", better=("lower",)), rows, "metric.test") == 10.0
    assert mean(Sweep("lr", by="val", ties="largest", better=("lower",)), rows, "metric.test") == 20.0
    assert mean(Sweep("lr", by=("val", "test"), better=("lower", "higher")), rows, "metric.test") == 20.0


def test_words_have_no_edge() -> None:
    rows = frame([{"param.opt": name, "metric.val": loss} for name, loss in (("adam", 1.0), ("sgd", 2.0))])
    assert edges(Sweep("opt", by="val", better=("lower",)), Table.of(rows)) == {}


def test_a_diverged_trials_other_numbers_are_not_read() -> None:
    rows = frame([{"metric.acc": 1.0}, {"metric.acc": 9.0, "status": "diverged"}])
    assert math.isnan(Mean("acc")(rows))
    assert math.isnan(experiment_of(metrics=[Metric("acc", "", "higher")])["acc"](rows))


def test_an_optimum_at_the_edge_is_named() -> None:
    sweep, losses = Sweep("lr", by="val", better=("lower",)), ([2.0, 1.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [math.nan, 2.0, 1.0])
    seeds = Table.stacked([frame(swept(loss, [0, 0, 0])) for loss in losses])
    assert edges(sweep, seeds) == {1: ["lr at its largest (0.4)"], 2: ["lr at its smallest (0.1)"]}, "nothing is chosen among survivors"
    assert edges(sweep, Table.of(frame(swept([1.0, 2.0, 3.0], [0, 0, 0])[:1]))) == {}, "a single value is no sweep"


def test_edges_come_cell_by_cell_each_once() -> None:
    wide = swept([1.0, 2.0, 3.0], [0, 0, 0], **{"param.width": 16})
    rows = [*swept([3.0, 2.0, 1.0], [0, 0, 0], **{"param.width": 8}), *wide, *swept([3.0, 2.0, 1.0], [0, 0, 0], **{"param.width": 32})]
    found = edges(Sweep("lr", by="val", better=("lower",)), Table.of(frame(rows)))
    assert found == {0: ["lr at its largest (0.4)", "lr at its smallest (0.1)"]}


def test_the_chosen_value_and_the_largest() -> None:
    rows = frame(swept([2.0, 1.0, 3.0], [10.0, 20.0, 5.0]))
    assert Chosen("lr", Sweep("lr", by="val", better=("lower",)))(rows) == 0.2
    assert math.isnan(Chosen("lr", Sweep("lr", by="val", better=("lower",)))(rows.iloc[:1]))
    assert AtLargest("test", "lr")(rows) == 5.0


def test_a_reading_has_the_sweep_and_its_direction() -> None:
    metrics = [Metric("accuracy", "percent", "higher"), Metric("size", "", "none")]
    train = experiment_of(metrics=metrics, tuned=Sweep("width", by="accuracy"))
    reading = train["accuracy"]
    rows = frame([{"param.width": 1, "metric.accuracy": 50.0}, {"param.width": 2, "metric.accuracy": 70.0}])
    assert (reading(rows), reading.untuned()(rows), reading.at(width=1)(rows)) == (70.0, 60.0, 50.0)
    assert math.isnan(reading(rows.assign(experiment="other")))
    for sweep, says in (
        (lambda: Sweep("width", by="size"), "size is none"),
        (lambda: Sweep("width", by="test_loss"), "measured on test; validation selects"),
        (lambda: Sweep("setting", by="accuracy", ties="largest"), "words have no largest"),
        (lambda: Sweep("width", by=()), "at least one parameter, and a metric"),
        (lambda: Sweep(()), "at least one parameter, and a metric"),
    ):
        with pytest.raises(TaskError, match=says):
            experiment_of(metrics=[*metrics, Metric("test_loss", "nats", "lower")], tuned=sweep())
    with pytest.raises(TaskError, match="does not say which way is better"):
        mean(Sweep("width", by="accuracy"), rows, "metric.accuracy")
    assert Chosen("width", train.tuned)(rows) == 2, "what an experiment is tuned by knows its direction"


def test_a_view_is_read_alone() -> None:
    train = experiment_of()
    rows = frame([{"metric.loss": 1.0, "view.a": True, "view.b": False}, {"metric.loss": 3.0, "view.a": True, "view.b": True}])
    assert [train["loss"].at(view)(rows) for view in ("a", "b", "")] == [2.0, 3.0, 2.0]
    assert math.isnan(train["loss"].at("c")(rows))
    assert train.within(Mean("loss"), "b")(rows) == 3.0


def test_contrasts_are_of_methods_in_one_seed() -> None:
    rows = frame([{"method": "a", "metric.loss": 6.0}, {"method": "b", "metric.loss": 2.0}])
    assert paired("a", "b", Mean("loss"))(rows) == 4.0
    assert ratio("a", "b", Mean("loss"))(rows) == pytest.approx(3.0)
    assert math.isnan(ratio("a", "b", Mean("loss"))(rows.assign(**{"metric.loss": [-1.0, 2.0]})))


def test_a_curve_is_read_between_its_points_and_never_beyond() -> None:
    points = [{"param.target": t, "metric.cost": c, "metric.score": s} for t, c, s in ((1, 10.0, 90.0), (2, 20.0, 80.0), (3, 40.0, 50.0))]
    rows = frame([*points, {"method": "dense", "metric.cost": 0.0, "metric.score": 100.0}, {"method": "point", "metric.cost": 30.0}])
    curve = Curve("cost", "score")
    assert curve.of("m", 15.0)(rows) == 85.0
    assert curve.of("m", Of("point", Mean("cost")))(rows) == 65.0
    assert math.isnan(curve.of("m", 5.0)(rows))
    ended = Curve("cost", "score", ends=((Of("dense", Mean("cost")), Of("dense", Mean("score"))),))
    assert ended.of("m", 5.0)(rows) == 95.0
    assert math.isnan(curve.of("m", 15.0)(rows.assign(**{"metric.score": [90.0, math.nan, 50.0, 100.0, math.nan]})))
    assert [need.method for need in needs(ended.of("m", 5.0))] == ["m", "dense", "dense"]


def test_a_curve_takes_of_each_target_the_trial_that_validation_selects() -> None:
    rows = frame(
        [
            {"param.target": t, "param.lr": lr, "metric.val": lr, "metric.cost": 10.0 * t + lr, "metric.score": 1.0 * t}
            for t in (1, 2)
            for lr in (0.1, 0.2)
        ]
    )
    curve = Curve("cost", "score", target="target", sweep=Sweep("lr", by="val", better=("higher",)))
    x, y = curve.points(Table.of(rows), "m")
    assert (x.tolist(), y.tolist()) == ([[10.2, 20.2]], [[1.0, 2.0]])


def test_rank_correlations() -> None:
    x = np.arange(5.0)
    rows = frame([{"param.width": int(w), "metric.a": w, "metric.b": math.exp(w), "metric.c": 1.0} for w in x])
    assert RankCorrelation("a", "b")(rows) == pytest.approx(1.0)
    assert RankTrend("width", Mean("b"))(rows) == pytest.approx(1.0)
    assert RankTrend("width", Mean("a"))(rows.assign(**{"metric.a": -x})) == pytest.approx(-1.0)
    assert math.isnan(RankCorrelation("a", "c")(rows))
    assert math.isnan(RankTrend("width", Mean("a"))(rows.iloc[:2]))


def test_powers_have_both_ends_and_so_many_steps_between() -> None:
    assert powers(2, -2, 1) == [0.25, 0.5, 1.0, 2.0]
    assert powers(10, 0, 1, each=2) == [1.0, math.sqrt(10), 10.0]
