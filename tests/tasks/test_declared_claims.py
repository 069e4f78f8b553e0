"""What papers' claims declare beside their sentence: whose they are, what they stand on, and where a margin comes from."""

from __future__ import annotations

import math

import pytest

from harness import registry
from harness.estimates import Difference
from harness.task import Claim, Task

TASKS = sorted(name for name, entry in registry.tasks().items() if entry.module.startswith("tasks."))


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return registry.task(request.param)


def test_a_paper_stands_on_two_to_six_claims(task: Task) -> None:
    primary = [claim for claim in task.claims if claim.primary]
    assert 2 <= len(primary) <= 6
    assert {claim.kind for claim in primary} == {"paper"}


def test_a_margin_has_a_source_and_a_difference_has_no_effect_at_zero(task: Task) -> None:
    for claim in task.claims:
        assert (claim.aim == "direction") == (claim.margin_source == ""), claim.id
        if isinstance(claim.estimate, Difference):
            assert claim.null == 0.0, claim.id


def test_what_is_ours_is_not_grouped_among_the_papers_sentences(task: Task) -> None:
    for claim in task.claims:
        assert claim.kind != "paper" or not claim.id.startswith(("X-", "control-")), claim.id
        assert claim.kind == "paper" or not claim.group, f"{claim.id}: sentences of the paper are grouped, not ours"


def test_no_interval_leaves_the_range_of_its_number(task: Task) -> None:
    """Metrics that are times, errors, counts, shares or correlations say so."""
    loose = {
        metric.name
        for experiment in task.experiments
        for metric in experiment.metrics
        if metric.unit in ("s", "ms", "count", "share", "correlation") and not metric.bounds.bounded
    }
    assert not loose
    for experiment in task.experiments:
        for statistic in experiment.statistics or ():
            if statistic.unit in ("s", "ms", "share", "correlation"):
                assert statistic.bounds.bounded, statistic.name


def test_what_a_claim_stands_on_rules_out_no_effect(task: Task) -> None:
    claims: dict[str, Claim] = {claim.id: claim for claim in task.claims}
    for claim in task.claims:
        for id in claim.stands_on:
            under = claims[id]
            assert under.kind in ("control", "paper"), f"{claim.id} stands on {id}"
            assert set(claim.scales) <= set(under.scales)
            assert math.isinf(under.holds.low) != math.isinf(under.holds.high) or under.aim == "equivalent"
            assert under.null is not None
            assert under.null not in under.holds or under.aim == "equivalent", f"no effect satisfies {id}"
