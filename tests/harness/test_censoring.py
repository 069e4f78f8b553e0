"""Right-censored metrics: what a trial returns, what estimates and verdicts make of bounds."""

from __future__ import annotations

import math

import pytest

from harness import gate
from harness.censoring import reached
from harness.errors import TaskError
from harness.task import Metric
from tests.harness.fabricated import experiment_of

STEPS = Metric("steps", "steps", "lower", censored=True)


def test_a_censored_metric_comes_with_a_companion_that_is_0_or_1() -> None:
    experiment = experiment_of(metrics=[STEPS, Metric("late", "", "lower", optional=True, censored=True)])
    assert gate.metrics(experiment, "left", reached("steps", 300, True)) == {"steps": 300.0, "steps_censored": 1.0}
    assert gate.metrics(experiment, "left", reached("steps", 300, False)) == {"steps": 300.0, "steps_censored": 0.0}
    with pytest.raises(gate.SaidError, match=r"run returned steps without steps_censored, .* \(harness.censoring.reached makes both\)"):
        gate.metrics(experiment, "left", {"steps": 300.0})
    for wrong in (0.5, -1.0, 2.0, math.nan):
        with pytest.raises(gate.SaidError, match=r"metric steps_censored is .*: 1 where steps is a lower bound, 0 where it was reached"):
            gate.metrics(experiment, "left", {"steps": 300.0, "steps_censored": wrong})
    with pytest.raises(gate.SaidError, match="metric steps_censored is True: not a number"):
        gate.metrics(experiment, "left", {"steps": 300.0, "steps_censored": True})
    with pytest.raises(gate.SaidError, match="late_censored without late"):
        gate.metrics(experiment, "left", {**reached("steps", 300, True), "late_censored": 1.0})


def test_a_diverged_trial_may_leave_the_companion_out() -> None:
    experiment = experiment_of(metrics=[STEPS])
    kept = gate.metrics(experiment, "left", {"steps": math.nan})
    assert math.isnan(kept["steps"])
    assert gate.metrics(experiment, "left", reached("steps", math.nan, True))["steps_censored"] == 1.0


def test_a_metric_that_is_not_censored_has_no_companion() -> None:
    with pytest.raises(gate.SaidError, match="'steps_censored', which experiment train does not declare"):
        gate.metrics(experiment_of(metrics=[Metric("steps", "", "lower")]), "left", reached("steps", 3, True))


@pytest.mark.parametrize(("censored", "says"), [(True, "trials return it undeclared"), (False, "declare steps with censored=True")])
def test_a_companion_is_not_declared_by_hand(censored: bool, says: str) -> None:
    metrics = [Metric("steps", "", "lower", censored=censored), Metric("steps_censored", "", "none")]
    with pytest.raises(TaskError, match=f"metric 'steps_censored' says whether steps is a bound: {says}"):
        experiment_of(metrics=metrics)
