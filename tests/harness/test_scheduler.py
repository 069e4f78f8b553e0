"""The scheduler's decisions, with workers and a clock that exist in this process only."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from harness.errors import ResourceError
from harness.plan import TrialSpec
from harness.record import Record
from harness.scheduler import FIRST_GRACE_S, Scheduler
from harness.workers import Cause
from tests.harness.fake_workers import CONTEXT, FakeWorkers, node, trial


def run(workers: FakeWorkers, trials: Sequence[TrialSpec], said: list[str] | None = None) -> dict[str, Record]:
    """Records by trial; each exactly once."""
    scheduler = Scheduler(CONTEXT, trials, {}, workers, workers.clock, say=(said if said is not None else list[str]()).append)
    records: dict[str, Record] = {}
    for outcome in itertools.chain.from_iterable(scheduler.run()):
        assert outcome.record.trial_id not in records
        records[outcome.record.trial_id] = outcome.record
    assert not workers.alive
    return records


def test_every_trial_has_one_record_in_the_time_of_a_full_machine_and_twice_the_same() -> None:
    trials = [trial(seed, 2.0) for seed in range(40)]
    workers, again = FakeWorkers([node("a")]), FakeWorkers([node("a")])
    assert run(workers, trials).keys() == {one.id for one in trials}
    run(again, trials)
    assert workers.log == again.log
    assert workers.now == 1.0 + 2.0 * 40 / 4
    assert workers.most == {"a": 4.0}


def test_a_1_cpu_and_a_3_cpu_trial_run_at_once() -> None:
    workers = FakeWorkers([node("a")])
    run(workers, [trial(0, 10.0), trial(1, 10.0, cpus=3)])
    assert workers.now == 11.0


def test_room_of_idle_workers_goes_to_a_shape_that_waits_for_it() -> None:
    # Four workers of one CPU are done while a fifth trial, of four CPUs, waits for all of it.
    small = [trial(seed, 10.0) for seed in range(4)]
    workers = FakeWorkers([node("a")])
    run(workers, [*small, trial(9, 5.0, cpus=4, requires=small[0].id)])
    assert workers.now == 1 + 10 + 1 + 5


def test_mixed_shapes_do_not_wait_for_a_straggler() -> None:
    straggler, small, large = trial(0, 100.0), [trial(seed, 1.0) for seed in range(1, 10)], [trial(seed, 10.0, cpus=3) for seed in (20, 21)]
    workers = FakeWorkers([node("a")])
    run(workers, [straggler, *small, *large])
    assert workers.now == pytest.approx(1 + 100, abs=11)


def test_a_shape_that_would_end_last_is_not_starved_by_one_that_always_has_work() -> None:
    trials = [trial(seed, 1.0) for seed in range(100)] + [trial(seed, 1.0, cpus=3, requires=trial(0, 1.0).id) for seed in range(200, 600)]
    workers = FakeWorkers([node("a")])
    run(workers, trials)
    assert workers.now < 400 + 20, "400 s of its own, and not 25 s of the other's before"


def test_what_is_left_of_a_batch_that_comes_back_early_runs_too() -> None:
    workers = FakeWorkers([node("a", 1)], lambda one, _: 0.01 if one.seed % 50 else 2.0)
    assert len(run(workers, [trial(seed, 0.01) for seed in range(1, 400)])) == 399


def test_what_is_left_of_a_batch_of_long_trials_is_spread_over_the_workers() -> None:
    workers = FakeWorkers([node("a", 10)], lambda one, _: 600.0 if 1000 <= one.seed < 1030 else 0.01)
    assert len(run(workers, [trial(seed, 0.01) for seed in range(3000)])) == 3000
    assert workers.now < 5 * 600, "thirty trials of ten minutes on ten workers take three rounds, not thirty"


def test_no_shape_holds_more_than_the_machine() -> None:
    shapes: list[dict[str, Any]] = [{"cpus": 1}, {"cpus": 3}, {"cpus": 2, "gpus": 0.5}, {"cpus": 1, "gpus": 1.0}]
    trials = [trial(10 * seed + place, 1.0 + place, **shape) for place, shape in enumerate(shapes) for seed in range(20)]
    workers = FakeWorkers([node("a", 6, GPU=1), node("b", 3)])
    run(workers, trials)
    assert workers.most["a"] <= 6
    assert workers.most["b"] <= 3


def test_a_batch_that_kills_its_worker_is_split_until_the_culprit_is_alone() -> None:
    trials = [trial(seed, 0.01) for seed in range(60)]
    workers = FakeWorkers([node("a")], lambda one, _: Cause("process", "boom") if one.seed == 33 else one.expected_s)
    records = run(workers, trials)
    bad = [record for record in records.values() if record.status != "ok"]
    assert [(record.seed, record.status, record.attempts) for record in bad] == [(33, "failed", 2)]


def test_a_trial_beyond_its_limit_loses_its_worker_and_the_others_go_on() -> None:
    trials = [trial(seed, 5000.0 if seed == 3 else 2.0, limit=60.0) for seed in range(8)]
    workers = FakeWorkers([node("a")])
    records = run(workers, trials)
    assert [records[one.id].status for one in trials] == ["ok"] * 3 + ["timeout"] + ["ok"] * 4
    assert workers.now == pytest.approx(1 + 60 + 0.25 + FIRST_GRACE_S, abs=1)


def test_out_of_memory_runs_once_more_with_nothing_beside_it_on_its_node() -> None:
    tried: list[tuple[float, int]] = []

    def does(one: TrialSpec, _: str) -> float | str:
        tried.append((workers.now, one.seed))
        return "oom" if one.seed == 2 and [seed for _, seed in tried].count(2) == 1 else 3.0

    workers = FakeWorkers([node("a")], does)
    trials = [trial(seed, 3.0) for seed in range(10)]
    records = run(workers, trials)
    assert records[trials[2].id].attempts == 2
    last, seed = tried[-1]
    assert seed == 2
    assert last >= max(second for second, other in tried if other != 2) + 3.0


def test_what_no_node_holds_is_refused_before_anything_starts() -> None:
    workers = FakeWorkers([node("a")])
    with pytest.raises(ResourceError, match=r"asks for 5 CPUs, which no node .*nodes: 4 CPUs \+ 0 GPUs"):
        run(workers, [trial(0), trial(1, cpus=5)])
    assert workers.log == []


def test_a_thousand_workers_work_longer_before_they_come_back_to_their_one_driver() -> None:
    workers = FakeWorkers([node(str(place), 100) for place in range(10)], order_s=0.002)
    run(workers, [trial(seed, 0.5) for seed in range(12_000)])
    started = sum(what == "start" for _, what, _, _ in workers.log)
    assert started == 1000
    assert workers.sent <= 12_000 / 4, "one by one it would be one order a trial"
    assert workers.now < 1 + 0.5 * 12 * 1.75


@pytest.mark.parametrize(("order_s", "most"), [(0.0001, 1.05), (0.001, 1.1), (0.01, 2.0)])
def test_batches_grow_with_what_one_costs_the_driver(order_s: float, most: float) -> None:
    workers = FakeWorkers([node(str(place), 100) for place in range(2)], order_s=order_s)
    run(workers, [trial(seed, 0.02) for seed in range(40_000)])
    ideal = 1 + 0.02 * 40_000 / 200
    assert workers.now < most * ideal
    assert workers.sent * order_s < 0.7 * workers.now, "the driver has time to spare"


def test_a_worker_at_short_trials_does_not_wait_for_its_driver() -> None:
    workers = FakeWorkers([node("a", 2)], order_s=0.02, record_s=0.002)
    run(workers, [trial(seed, 0.01) for seed in range(2000)])
    began = sorted(second for second, what, _, _ in workers.log if what == "run")
    assert began[-1] + 0.01 - began[0] < 1.05 * 0.01 * 2000 / 2
    assert len(began) == 2000, "none runs twice"


def test_nothing_waits_behind_a_trial_that_takes_long_nor_does_one_that_does_behind_others() -> None:
    trials = [trial(seed, 0.01 if seed % 5 else 100.0) for seed in range(100)]
    workers = FakeWorkers([node("a", 4)])
    run(workers, trials)
    assert workers.now < 1 + 100.0 * 20 / 4 + 1


def test_a_trial_that_kills_a_worker_before_it_has_answered_is_found_and_fails_no_other() -> None:
    # Its batch waited behind another, and the answer of that one dies with the process.
    trials = [trial(seed, 0.12) for seed in range(200)]
    workers = FakeWorkers([node("a", 4)], lambda one, _: Cause("process", "boom") if one.seed % 3 == 2 else one.expected_s)
    workers.mute_death = True
    records = run(workers, trials)
    failed = {record.seed: record.attempts for record in records.values() if record.status != "ok"}
    assert failed == dict.fromkeys(range(2, 200, 3), 2)
    assert max(map(len, workers.ran().values())) <= 4, "alone twice, in company, and beside another culprit"


def test_what_waits_at_a_worker_that_retires_or_is_stuck_runs_elsewhere() -> None:
    trials = [trial(seed, 0.01, limit=60.0) for seed in range(400)]
    workers = FakeWorkers([node("a", 2)], lambda one, _: 5000.0 if one.seed == 100 else 0.01)
    workers.retires = frozenset({trials[50].id, trials[250].id})
    records = run(workers, trials)
    assert [one.seed for one in trials if records[one.id].status != "ok"] == [100]
    started = sum(what == "start" for _, what, _, _ in workers.log)
    assert started == 2 + 2 + 2, "two retire, and one is stuck with others and then alone"


def test_workers_without_work_end_while_a_straggler_runs() -> None:
    workers = FakeWorkers([node("a")])
    run(workers, [trial(0, 500.0), *[trial(seed, 1.0) for seed in range(1, 20)]])
    ended = [second for second, what, _, _ in workers.log if what == "kill"]
    assert len(ended) == 3
    assert max(ended) < 60


# Nodes that come and go


def lost_at(workers: FakeWorkers, *seconds: float) -> None:
    """Node `a` is lost and comes back under another id a second later, so often."""
    for count, second in enumerate(seconds):
        workers.at(second, lambda count=count: workers.lose("a" if not count else f"a{count}"))  # type: ignore[misc]
        workers.at(second + 1, lambda count=count: workers.cluster.append(node(f"a{count + 1}")))  # type: ignore[misc]


def test_a_trial_whose_node_is_lost_again_and_again_is_not_failed() -> None:
    workers = FakeWorkers([node("a")])
    lost_at(workers, *range(20, 160, 20))
    trials = [trial(seed, 50.0 if seed else 500.0) for seed in range(4)]
    records = run(workers, trials)
    assert {record.status for record in records.values()} == {"ok"}
    assert records[trials[0].id].attempts == 8


def test_a_trial_that_loses_every_node_is_left_without_a_record_and_said() -> None:
    workers, said = FakeWorkers([node("a")]), list[str]()
    lost_at(workers, *range(20, 2000, 20))
    trials = [trial(0, 50.0), trial(1, 5.0), trial(2, 1.0, requires=trial(0, 50.0).id)]
    records = run(workers, trials, said)
    assert records.keys() == {trials[1].id}
    assert [text for text in said if "is gone" not in text] == [
        f"trial {trials[0].id} (plain, seed 0) is left to another run: its nodes were lost"
    ]


@pytest.mark.parametrize("kind", ["node", "preempted"])
def test_what_ran_on_a_lost_node_goes_on_elsewhere_and_is_not_halved(kind: str) -> None:
    workers, said = FakeWorkers([node("a"), node("b")]), list[str]()
    workers.at(5.5, lambda: workers.lose("a", kind))
    records = run(workers, [trial(seed, 0.05) for seed in range(800)], said)
    assert said == ["node a is gone: what ran on it runs again"]
    assert {record.status for record in records.values()} == {"ok"}
    assert {record.attempts for record in records.values()} == {1, 2}


def test_a_lost_node_whose_workers_say_nothing_is_not_waited_for() -> None:
    workers = FakeWorkers([node("a"), node("b")])
    workers.at(5.0, lambda: workers.cluster.pop(0))
    workers.does = lambda one, where: 10_000.0 if where == "a" else one.expected_s
    run(workers, [trial(seed, 10.0) for seed in range(16)])
    assert workers.now < 60


def test_the_run_grows_with_nodes_that_join() -> None:
    workers = FakeWorkers([node("a")])
    workers.at(15.0, lambda: workers.cluster.append(node("b", 12)))
    run(workers, [trial(seed, 10.0) for seed in range(64)])
    assert workers.now <= 1 + 20 + 10 * (64 - 8) / 16 + 10
    assert workers.most == {"a": 4, "b": 12}


def test_nodes_that_the_cluster_may_add_are_asked_for_and_used() -> None:
    workers = FakeWorkers([node("head", 2)], may_add=[(node("", 4, GPU=1), 3)])
    trials = [trial(seed, 30.0, gpus=1) for seed in range(9)]
    run(workers, [*trials, trial(20)])
    assert [what for _, what, _, _ in workers.log].count("asked") == 3
    assert len(set(itertools.chain(*[workers.ran()[one.id] for one in trials]))) == 3
    assert workers.now == pytest.approx(60 + 1 + 3 * 30, abs=11)


def test_a_node_that_is_lost_while_workers_start_costs_a_new_start() -> None:
    workers = FakeWorkers([node("a"), node("b")])
    workers.at(0.5, lambda: workers.lose("a"))
    assert {record.status for record in run(workers, [trial(seed) for seed in range(8)]).values()} == {"ok"}


def test_only_where_no_worker_ever_starts_does_the_run_give_up() -> None:
    workers = FakeWorkers([node("a")], starts=lambda _worker, _node: Cause("node", "its node has died"))
    with pytest.raises(ResourceError, match=r"no worker could start: 1[0-9] were lost with their nodes, the last one: its node has died"):
        run(workers, [trial(0)])
    workers = FakeWorkers([node("a"), node("b")], starts=lambda _worker, _node: Cause("process", "ImportError: no torch"))
    with pytest.raises(ResourceError, match="a worker could not start: ImportError: no torch"):
        run(workers, [trial(seed) for seed in range(8)])


def test_a_node_on_which_workers_do_not_start_is_left_out_by_name() -> None:
    said: list[str] = []
    workers = FakeWorkers([node("a"), node("b")])
    workers.starts = lambda _, where: Cause("process", "ImportError: no torch") if where == "a" else None
    records = run(workers, [trial(seed) for seed in range(30)], said)
    assert {record.status for record in records.values()} == {"ok"}
    assert said == ["node a gets no more trials: a worker could not start on it: ImportError: no torch"]
    assert sum(what == "start" and where == "a" for _, what, _, where in workers.log) == 4


@pytest.mark.parametrize("bad", [["a"], ["a", "c"], ["b", "c"], ["a", "b"]])
@pytest.mark.parametrize("seconds", [1.0, 100.0])
def test_trials_that_fail_on_a_node_without_the_data_go_elsewhere(bad: list[str], seconds: float) -> None:
    said: list[str] = []
    workers = FakeWorkers([node(id) for id in "abc"], lambda one, where: "failed" if where in bad else one.expected_s)
    trials = [trial(seed, seconds) for seed in range(60)]
    records = run(workers, trials, said)
    assert {record.status for record in records.values()} == {"ok"}
    assert sorted(said) == [f"node {id} gets no more trials: trials of misbehaving that failed on it went well on others" for id in bad]
    assert max(map(len, workers.ran().values())) <= 3
    assert sum(where in bad for nodes in workers.ran().values() for where in nodes) <= 8 * len(bad)


def test_trials_that_fail_everywhere_are_their_own_failures_and_cost_no_node() -> None:
    workers, said = FakeWorkers([node(id) for id in "abc"], lambda _one, _where: "failed"), list[str]()
    records = run(workers, [trial(seed) for seed in range(60)], said)
    assert {record.status for record in records.values()} == {"failed"}
    assert len(records) == 60
    assert said == []
    assert sum(map(len, workers.ran().values())) <= 60 + 3 * 4 + 3
    assert workers.now < 15, "all three nodes work"


def test_a_method_that_fails_on_good_nodes_costs_no_node() -> None:
    workers, said = FakeWorkers([node(id) for id in "abc"]), list[str]()
    workers.does = lambda one, _where: "failed" if one.method == "bad" else one.expected_s
    records = run(workers, [trial(seed, method=method) for seed in range(40) for method in ("bad", "plain")], said)
    assert {(record.method, record.status) for record in records.values()} == {("bad", "failed"), ("plain", "ok")}
    assert said == []
    assert sum(map(len, workers.ran().values())) <= 80 + 20


def test_a_single_trial_moves_to_a_node_that_has_no_worker_yet() -> None:
    workers = FakeWorkers([node("a"), node("b")], lambda one, where: "failed" if where == "a" else one.expected_s)
    (record,) = run(workers, [trial(0)]).values()
    assert (record.status, record.attempts, record.host) == ("ok", 2, "b")
