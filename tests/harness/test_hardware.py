"""What trials may ask of the machine that runs them, and on which cards the seeds of a cell are measured."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from harness.cards import on_one_kind
from harness.engine import run_trials
from harness.errors import ResourceError, TaskError
from harness.nodes import Site, fit, slots
from harness.plan import TrialSpec
from harness.store import StudyStore
from harness.task import Resources
from harness.worker import blank_record
from harness.workers import Node
from tests.harness.fake_workers import CONTEXT, FakeWorkers, node, trial
from tests.harness.test_scheduler import run

H100 = {"GPU": 2.0, "accelerator_type:H100": 1.0}
A100 = {"GPU": 2.0, "accelerator_type:A100": 1.0}
GIB = 2**30


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (Resources(gpus=1, accelerator="H100"), 2),
        (Resources(gpus=0.5, accelerator="H100"), 4),
        (Resources(gpus=1, accelerator="A100"), 0),
        (Resources(memory_gib=3), 2),
        (Resources(memory_gib=9), 0),
        (Resources(custom={"licence": 2}), 1),
        (Resources(custom={"tpu": 1}), 0),
        (Resources(labels={"zone": "b"}), 8),
        (Resources(labels={"zone": "c"}), 0),
    ],
    ids=str,
)
def test_what_is_asked_beside_cpus_and_gpus_decides_where_trials_fit(asked: Resources, count: int) -> None:
    machine = Node("n", "n", {"CPU": 8.0, "memory": 8.0 * GIB, "licence": 3.0, **H100}, {"zone": "b"})
    assert fit(asked, machine.resources, machine.labels) == count
    site = Site(machine)
    for _ in range(count if not asked.labels else 0):
        assert site.fits(asked)
        site.take(asked)
    assert asked.labels or not site.fits(asked)
    if not count:
        with pytest.raises(ResourceError, match=r"asks for 1 CPU .*which no node of the cluster has") as refused:
            slots(asked, [machine], [])
        assert all(word in str(refused.value) for word in ("8 CPUs + 2 GPUs", *map(str, asked.custom), *asked.labels))


def test_room_that_is_given_back_is_room_again_card_by_card() -> None:
    site, part, whole = Site(node("n", 8, GPU=2)), Resources(gpus=0.6), Resources(gpus=1)
    first, second = site.take(part), site.take(part)
    assert first != second
    assert not site.fits(whole)
    assert not site.fits(part), "1.2 cards are free in no way"
    assert site.without([(part, first)]).fits(whole)
    site.give_back(part, second)
    assert list(site.take(whole)) == list(second)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"accelerator": "H100"}, "has to say how much of it"),
        ({"memory_gib": -1.0}, "memory_gib >= 0"),
        ({"custom": {"tpu": 0.0}}, "custom amounts > 0"),
        ({"custom": {"GPU": 1.0}}, "GPU is not custom"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked: dict[str, float], says: str) -> None:
    with pytest.raises(TaskError, match=says):
        Resources(**asked)  # type: ignore[arg-type]


def test_a_trial_that_two_grids_ask_for_takes_the_most_of_both() -> None:
    one, other = (
        Resources(cpus=2, custom={"a": 1}, labels={"zone": "b"}),
        Resources(gpus=1, accelerator="H100", memory_gib=4, custom={"a": 2}),
    )
    both = Resources(cpus=2, gpus=1, accelerator="H100", memory_gib=4, custom={"a": 2}, labels={"zone": "b"})
    assert one.together(other) == other.together(one) == both
    with pytest.raises(TaskError, match="no machine is both"):
        one.together(Resources(labels={"zone": "c"}))


def test_a_plan_keeps_what_is_asked_and_one_that_asks_for_nothing_is_what_it_was() -> None:
    plain, asks = trial(0), trial(0, gpus=1, accelerator="H100", memory_gib=2.5, custom={"a": 1.0}, labels={"zone": "b"})
    assert plain.to_json()["resources"] == {"cpus": 1.0, "gpus": 0.0}
    assert TrialSpec.from_json(asks.to_json()).resources == asks.resources
    with pytest.raises(ValueError, match="of another shape"):
        TrialSpec.from_json(asks.to_json() | {"resources": {"labels": {"zone": 5}}})


@pytest.mark.parametrize("asked", [{"custom": {"tpu": 1.0}}, {"labels": {"zone": "b"}}, {"memory_gib": 1e6}], ids=str)
def test_in_process_too_what_this_machine_has_not_is_refused(tmp_path: object, asked: dict[str, float]) -> None:
    with pytest.raises(ResourceError, match=r"a trial asks for 1 CPU \+ .*; this machine has .* CPUs \+ 0 GPUs"):
        run_trials(StudyStore(str(tmp_path), "s"), [trial(0, **asked)], local=True)  # type: ignore[arg-type]


def cells(seeds: int = 6) -> list[TrialSpec]:
    return [trial(seed, 4.0, method=method, gpus=1) for seed in range(seeds) for method in ("a", "b", "c", "d")]


def test_the_seeds_of_a_cell_run_on_one_kind_of_card_and_all_kinds_work() -> None:
    machines = [node("h", 8, **H100), node("a", 8, **A100)]
    workers = FakeWorkers(machines)
    settled = on_one_kind(cells(), machines, [])
    run(workers, settled)
    where = {method: {workers.ran()[one.id][0] for one in settled if one.method == method} for method in "abcd"}
    assert all(len(nodes) == 1 for nodes in where.values())
    assert sorted(node for nodes in where.values() for node in nodes) == ["a", "a", "h", "h"]
    assert [one.id for one in settled] == [one.id for one in cells()]


def test_a_cell_keeps_to_the_card_of_its_records() -> None:
    machines = [node("h", 8, **H100), node("a", 8, **A100)]
    before = [blank_record(one, CONTEXT, metrics={}, status="ok", device="NVIDIA A100-SXM4-80GB") for one in cells(1)]
    assert {one.resources.accelerator for one in on_one_kind(cells(), machines, before)} == {"A100"}
    with pytest.raises(ResourceError, match="seeds of a ran on NVIDIA A100-SXM4-80GB before, and the cluster has H100: --mixed-hardware"):
        on_one_kind(cells(), machines[:1], before)


def test_a_node_of_another_card_that_joins_gets_no_seed_of_a_cell_that_began() -> None:
    machines = [node("h", 8, **H100)]
    workers = FakeWorkers(machines)
    workers.at(5.0, lambda: workers.cluster.append(node("a", 8, **A100)))
    run(workers, on_one_kind(cells(12), list(machines), []))
    assert {where for nodes in workers.ran().values() for where in nodes} == {"h"}


def test_cards_without_a_name_are_any_card() -> None:
    trials = cells(1)
    assert on_one_kind(trials, [node("h", 8, GPU=2.0)], []) == trials
    assert on_one_kind([trial(0)], [node("h", 8, **H100)], []) == [trial(0)]
    asked = [replace(trials[0], resources=Resources(gpus=1, accelerator="A100"))]
    assert on_one_kind(asked, [node("h", 8, **H100)], []) == asked


@pytest.mark.parametrize(
    ("asked", "machines", "count"),
    [
        (Resources(gpus=8), [8, 8], 2),
        (Resources(gpus=8), [4, 4], 0),
        (Resources(gpus=8, nodes=2), [8, 8], 2),
        (Resources(gpus=8, nodes=2), [4, 4], 1),
        # Three parts of four cards, and no two of one trial on one node.
        (Resources(gpus=8, nodes=2), [8, 4], 1),
        (Resources(gpus=8, nodes=2), [16], 0),
        # Three nodes with room for two parts each: every trial takes another pair.
        (Resources(gpus=8, nodes=2), [8, 8, 8], 3),
        (Resources(cpus=4, ranks=4, nodes=2), [0, 0], 16),
        (Resources(cpus=2, ranks=2, custom={"seat": 2}, nodes=2), [0, 0], 1),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
def test_trials_of_several_nodes_take_a_part_of_each(asked: Resources, machines: list[int], count: int) -> None:
    cluster = [node(str(place), 32, GPU=cards, seat=1) for place, cards in enumerate(machines)]
    if not count:
        with pytest.raises(ResourceError, match=r"in 8 ranks.* which no (2 )?nodes? of the cluster ha(s|ve) or can add"):
            slots(asked, cluster, [])
        return
    assert slots(asked, cluster, []) == slots(asked, [], [(one, 1) for one in cluster]) == count
    trials = [trial(seed, 10.0, **dataclasses.asdict(asked)) for seed in range(2 * count)]
    workers = FakeWorkers(cluster)
    assert {record.status for record in run(workers, trials).values()} == {"ok"}
    assert workers.now == 1.0 + 2 * 10.0


def test_a_trial_of_two_nodes_waits_for_room_on_both_and_gets_it() -> None:
    small = [trial(seed, 10.0, cpus=1) for seed in range(8)]
    workers = FakeWorkers([node("a", 4), node("b", 4)])
    run(workers, [*small, trial(9, 5.0, cpus=8, ranks=2, nodes=2, requires=small[0].id)])
    assert workers.now == 1 + 10 + 1 + 5
    assert [where for _, what, _, where in workers.log if what == "run"][-1] in ("a,b", "b,a")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"cpus": 2, "nodes": 2}, "as many ranks on each of its nodes, not 1 on 2: say ranks="),
        ({"gpus": 4, "nodes": 3}, "not 4 on 3"),
        ({"gpus": 1, "ranks": 2}, "takes whole GPUs, or none takes any, not 1"),
        ({"gpus": 0.5, "ranks": 2}, "not 0.5"),
        ({"ranks": -1}, "not -1 on 1"),
        ({"nodes": 0}, "not 1 on 0"),
    ],
    ids=str,
)
def test_ranks_that_cannot_share_are_refused(asked: dict[str, float], says: str) -> None:
    with pytest.raises(TaskError, match=says):
        Resources(**asked)  # type: ignore[arg-type]


def test_ranks_and_nodes_are_planned_shown_and_shared_out() -> None:
    eight = Resources(cpus=16, gpus=8, memory_gib=64, nodes=2)
    assert str(eight) == "16 CPUs + 8 GPUs + 64 GiB in 8 ranks on 2 nodes"
    assert eight.of_node == Resources(cpus=8, gpus=4, memory_gib=32, ranks=4)
    assert eight.of_rank == Resources(cpus=2, gpus=1, memory_gib=8, ranks=1)
    assert Resources(gpus=8, ranks=1).world_size == 1
    assert Resources(gpus=0.5).of_rank == Resources(gpus=0.5)
    planned = trial(0, cpus=2, ranks=2)
    assert planned.to_json()["resources"] == {"cpus": 2, "gpus": 0.0, "ranks": 2}
    assert TrialSpec.from_json(planned.to_json()).resources == planned.resources
    assert Resources(gpus=8).together(Resources(cpus=4, nodes=4, ranks=4)) == Resources(cpus=4, gpus=8, ranks=8, nodes=4)


def test_one_process_runs_no_ranks(tmp_path: object) -> None:
    with pytest.raises(ResourceError, match=r"2 CPUs in 2 ranks, and --local runs trials in one process: leave it out"):
        run_trials(StudyStore(str(tmp_path), "s"), [trial(0, cpus=2, ranks=2)], local=True)


@pytest.mark.parametrize("gone", [["b"], ["a", "b"]], ids=["one of its nodes", "both"])
def test_a_trial_of_two_nodes_that_loses_some_runs_again_on_others(gone: list[str]) -> None:
    workers = FakeWorkers([node("a", 2), node("b", 2), node("c", 2), node("d", 2)])
    asked = trial(0, 60.0, cpus=4, ranks=2, nodes=2)

    def lose() -> None:
        """Nobody says so: the scheduler sees it at its next look."""
        workers.cluster[:] = [one for one in workers.cluster if one.id not in gone]

    workers.at(5.0, lose)
    records = run(workers, [asked])
    assert (records[asked.id].status, records[asked.id].attempts) == ("ok", 2)
    assert len(workers.ran()[asked.id]) == 2
    assert not set(workers.ran()[asked.id][-1].split(",")) & set(gone)
