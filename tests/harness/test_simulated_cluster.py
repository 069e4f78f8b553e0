"""A cluster on paper, with failures and preemptions, run by the real scheduler."""

from __future__ import annotations

from dataclasses import replace

from tests.benchmarks.simulated_cluster import MIXED, Cluster, plan, simulate


def test_preemptions_lose_no_trial_and_fail_none_and_longest_first_keeps_the_cards_busy() -> None:
    load = replace(MIXED, preempted_h=1.0)
    trials = plan(2_000, load)
    found, arrival = (simulate(trials, 50, load, longest_first=first) for first in (True, False))
    ids, fate = sorted(trial.id for trial in trials), Cluster(50, load).fate
    for run in (found, arrival):
        assert sorted(run.recorded) == ids
        assert sorted(run.failed) == sorted(trial.id for trial in trials if fate(trial) == "failed")
        assert run.preemptions > 3
    assert found.utilisation > 0.8
    assert found.makespan_s <= arrival.makespan_s
