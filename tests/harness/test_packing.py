"""Trials that share a program: equal to those that do not, whatever their neighbours do and whatever is killed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from harness import ledger, packing, registry
from harness.energy import Meter
from harness.engine import run_trials
from harness.errors import TaskError
from harness.frames import read_curves, read_trials, write_trials
from harness.lazy import load
from harness.pack import Ended, Pack, Problem
from harness.packing import Progress
from harness.plan import DataRef, Overrides, TrialSpec, expand
from harness.probe import Gauge, Pace, probe
from harness.queue import Batch, Queue
from harness.record import Record
from harness.store import StudyStore
from harness.task import Experiment
from harness.trial import Trial
from harness.worker import Context, Slice, Worker
from tests.harness.conftest import Command
from tests.harness.processes import Process

PAYS = {"shared_s": "0.004"}


def plan(*behaviours: str, seeds: int = 3, methods: tuple[str, ...] = ("plain", "shifted"), **values: str) -> list[TrialSpec]:
    """Trials of the throw-away task; a step of their program costs the same with one member and with many."""
    given = {"behaviour": list(behaviours or ["good"]), **{name: text.split(",") for name, text in {**PAYS, **values}.items()}}
    overrides = Overrides(seeds=seeds, values=given, methods=methods)
    return expand(registry.task("together"), "smoke", overrides, {})


def of(trials: list[TrialSpec], records: Mapping[str, Record], behaviour: str) -> list[Record]:
    return [records[trial.id] for trial in trials if trial.params["behaviour"] == behaviour]


def declared() -> Experiment:
    return registry.task("together").experiments[0]


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(str(tmp_path), "study")


@pytest.fixture
def stepped(executions: Callable[[], list[str]]) -> Callable[[], list[tuple[str, int, int]]]:
    """(trial id, step, members of its program) of every step that was taken in this process."""

    def read() -> list[tuple[str, int, int]]:
        words = [line.split(":") for line in executions()]
        return [(id, int(step), int(members)) for id, step, members in words]

    return read


def measured(records: Mapping[str, Record]) -> dict[str, Mapping[str, float]]:
    return {id: record.metrics for id, record in records.items()}


def test_packed_trials_measure_and_log_what_they_do_one_by_one(store: StudyStore, tmp_path: Path) -> None:
    trials, apart = plan(seeds=10, rate="0.25,0.5"), StudyStore(str(tmp_path), "apart")
    packed = run_trials(store, trials, local=True).records
    alone = run_trials(apart, trials, local=True, packs=False).records
    assert measured(packed) == measured(alone)
    assert min(record.packed for record in packed.values()) >= 8
    assert {record.packing for record in alone.values()} == {"by itself: --no-packing"}
    assert all(record.packing.startswith(f"{record.packed} trials at once, ") for record in packed.values())
    curves = [read_curves(one).sort_values(["trial_id", "step"])[["trial_id", "step", "total"]] for one in (store, apart)]
    assert curves[0].values.tolist() == curves[1].values.tolist()
    write_trials(store, packed.values())
    assert read_trials(store.read_bytes("trials/together.parquet"))["packed"].min() >= 8


def test_on_ray_too(store: StudyStore, tmp_path: Path, ray_here: None) -> None:
    trials = plan(seeds=10, rate="0.25,0.5")
    packed = run_trials(store, trials).records
    assert measured(packed) == measured(run_trials(StudyStore(str(tmp_path), "apart"), trials, packs=False).records)
    assert {record.status for record in packed.values()} == {"ok"}
    assert min(record.packed for record in packed.values()) > 1


def test_the_cost_of_a_program_is_shared_by_the_members_that_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    specs, clock = plan(seeds=3, methods=("plain",)), [100.0]
    monkeypatch.setattr("harness.pack.time.perf_counter", lambda: clock[0])

    def costly(members: Sequence[Trial]) -> Iterator[Progress]:
        clock[0] += 3.0
        yield members[0], {"value": 1.0}
        assert members[1].elapsed() == 1.0
        clock[0] += 4.0
        yield 0.5
        clock[0] += 2.0
        yield members[2], {"value": 1.0}
        clock[0] += 5.0
        yield members[1], {"value": 1.0}

    running, ended = pack_of(costly, specs), list[Ended]()
    while running.left:
        clock[0] += 1000.0
        some, problem = running.advance(0.5)
        assert problem is None
        ended += some
    assert {one.trial.seed: one.seconds for one in ended} == {0: 1.0, 2: 4.0, 1: 9.0}, "what passed between two slices is nobody's"


@pytest.mark.parametrize(("shared", "own", "pays"), [("0.004", "0", True), ("0", "0.002", False)])
def test_the_probe_packs_where_it_pays_and_nowhere_else(store: StudyStore, shared: str, own: str, pays: bool) -> None:
    trials = plan(seeds=6, methods=("plain",), shared_s=shared, own_s=own, steps="40")
    records = run_trials(store, trials, local=True).records
    assert {record.packed for record in records.values()} == ({6} if pays else {1})
    if not pays:
        assert all(record.packing.startswith("by itself: packing did not pay") for record in records.values())


def test_a_method_without_a_packed_form_runs_alone_and_its_record_says_so(store: StudyStore) -> None:
    trials = plan(methods=("plain", "unpacked"))
    records = run_trials(store, trials, local=True).records
    assert {(records[t.id].packed, records[t.id].packing) for t in trials if t.method == "unpacked"} == {
        (1, "by itself: unpacked has no packed form")
    }
    assert {records[t.id].packed for t in trials if t.method == "plain"} == {3}


def test_the_last_of_its_kind_runs_alone(store: StudyStore) -> None:
    (record,) = run_trials(store, plan(seeds=1, methods=("plain",)), local=True).records.values()
    assert record.packed == 1
    assert "no other trial" in record.packing


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(("behaviour", "status"), [("raise", "failed"), ("undeclared", "failed"), ("nan", "diverged"), ("mute", "ok")])
def test_one_bad_member_is_found_and_the_others_end_as_if_it_were_not_there(
    store: StudyStore, tmp_path: Path, request: pytest.FixtureRequest, local: bool, behaviour: str, status: str
) -> None:
    if not local:
        request.getfixturevalue("ray_here")
    good = plan(seeds=8)
    bad = plan(behaviour, seeds=1, methods=("plain",))
    trials = [*good[:7], *bad, *good[7:]]
    records = run_trials(store, trials, local=local).records
    assert [record.status for record in of(trials, records, behaviour)] == [status]
    assert {record.status for record in of(trials, records, "good")} == {"ok"}
    alone = run_trials(StudyStore(str(tmp_path), "apart"), good, local=True, packs=False).records
    assert {id: records[id].metrics for id in alone} == measured(alone)
    if behaviour in ("raise", "mute"):
        assert of(trials, records, behaviour)[0].packing.startswith("by itself: its program ended early (")
        assert max(record.packed for record in of(trials, records, "good")) > 1, "not all of them had to run by themselves"
    else:
        assert of(trials, records, behaviour)[0].packed > 1, "what one member returns breaks no program"


def test_a_member_that_ends_twice_ends_its_program(store: StudyStore) -> None:
    trials = plan("twice", seeds=2, methods=("plain",))
    records = run_trials(store, trials, local=True).records
    assert {record.status for record in records.values()} == {"ok"}


def test_members_of_different_shapes_are_told_apart_by_halving(store: StudyStore) -> None:
    trials = plan(width="1,2", seeds=4, methods=("plain",))
    records = run_trials(store, trials, local=True).records
    assert {record.status for record in records.values()} == {"ok"}


def test_a_program_too_large_for_the_memory_is_made_smaller(store: StudyStore) -> None:
    trials = plan("memory", seeds=8, methods=("plain",), steps="8")
    records = run_trials(store, trials, local=True).records
    assert {record.status for record in records.values()} == {"ok"}
    assert max(record.packed for record in records.values()) <= 2


def test_a_member_past_its_time_limit_is_found_and_the_others_end(store: StudyStore) -> None:
    trials = [dataclasses.replace(trial, time_limit_s=1.5) for trial in plan("good", "hang", seeds=2, methods=("plain",))]
    trials = [trial for trial in trials if trial.params["behaviour"] == "good" or trial.seed == 0]
    records = run_trials(store, trials, local=True).records
    assert [record.status for record in of(trials, records, "hang")] == ["timeout"]
    assert {record.status for record in of(trials, records, "good")} == {"ok"}


def test_a_member_that_kills_its_worker_is_found(store: StudyStore, ray_here: None) -> None:
    trials = plan("good", seeds=6, methods=("plain",)) + plan("die", seeds=1, methods=("plain",))
    records = run_trials(store, trials).records
    (poison,) = of(trials, records, "die")
    assert poison.status == "failed"
    assert poison.error.startswith("the worker process died")
    assert {(record.status, record.error) for record in of(trials, records, "good")} == {("ok", "")}


def test_after_the_death_of_a_worker_members_go_on_from_what_they_saved(store: StudyStore, tmp_path: Path, ray_here: None) -> None:
    kept = plan("checkpointed", "die-once", seeds=4, methods=("plain",), steps="9")
    trials = [trial for trial in kept if trial.params["behaviour"] == "checkpointed" or trial.seed == 0]
    records = run_trials(store, trials).records
    assert {record.status for record in records.values()} == {"ok"}
    alone = run_trials(StudyStore(str(tmp_path), "apart"), trials, local=True, packs=False).records
    assert measured(records) == measured(alone)


def test_a_study_killed_three_times_and_gone_on_with_equals_one_run_one_by_one(tmp_path: Path) -> None:
    words = ["run", "together", "--scale", "smoke", "--study", "s", "--seeds", "6", "--local", "--method", "plain", "--method", "shifted"]
    values = ["--set", "behaviour=checkpointed", "--set", "steps=40,60", "--set", "shared_s=0.01"]
    chance = random.Random(14)
    for kill in range(3):
        packed = Process(tmp_path, *words, *values)
        packed.until_executed(len(packed.executed()) + chance.randint(100, 300))
        packed.process.send_signal(signal.SIGKILL)
        packed.process.wait()
        left = 24 - len(ledger.read(StudyStore(str(packed.store), "s")).records)
        assert left > 0, f"kill {kill} came too late"
    again = Process(tmp_path, *words, *values)
    assert again.end() == 0, again.out
    alone = Process(tmp_path / "alone", *words, *values, "--no-packing")
    assert alone.end() == 0, alone.out
    found, wanted = (ledger.read(StudyStore(str(one.store), "s")).records for one in (again, alone))
    assert measured(found) == measured(wanted)
    assert len(found) == 24
    curves = [read_curves(StudyStore(str(one.store), "s")).sort_values(["trial_id", "step"])["total"].tolist() for one in (again, alone)]
    assert curves[0] == curves[1]
    # A member's steps are taken once, but for those of three probes a run and for one a kill.
    steps = Counter(word.rpartition(":")[0] for word in again.executed())
    assert max(steps.values()) <= 1 + 4 * 3 + 3


def test_a_first_slice_that_is_stopped_leaves_no_half_records(tmp_path: Path) -> None:
    stopped = Process(
        tmp_path, "run", "together", "--scale", "smoke", "--study", "s", "--local", "--set", "steps=2000", "--set", "shared_s=0.01"
    )
    stopped.until_executed(400)
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.end() == 1
    assert "go on with: papertrial run together" in stopped.out
    assert all(record.status == "ok" for record in ledger.read(StudyStore(str(stopped.store), "s")).records.values())


def test_no_packing_is_an_option_of_the_command_line(papertrial: Command, tmp_path: Path) -> None:
    said = papertrial("run", "together", "--scale", "smoke", "--local", "--no-packing", "--tracking-uri", "none", "--study", "s")
    assert said.code == 0
    lines = [json.loads(line) for line in (tmp_path / "results" / "s" / "ledger.jsonl").read_text().splitlines()]
    assert {line["packed"] for line in lines} == {1}


def test_an_experiment_without_run_is_a_program_of_one(store: StudyStore) -> None:
    only = dataclasses.replace(declared(), run="")
    worker = Worker(Context(store_uri=store.parent_uri, study=store.name))
    (spec,) = plan(seeds=1, methods=("plain",))
    trial = worker._trial(spec, "cpu")
    assert packing.runner(only)(trial) == packing.runner(declared())(worker._trial(spec, "cpu"))


def test_declarations_that_cannot_be_meant_are_refused() -> None:
    for wrong, says in (
        ({"run": "", "run_batch": ""}, "run must be"),
        ({"run_batch": "nowhere"}, "run_batch must be"),
        ({"run_batch": ""}, "there is no `run_batch`"),
    ):
        with pytest.raises(TaskError, match=says):
            dataclasses.replace(declared(), **wrong)


def test_what_trials_agree_on_is_said_by_alike_and_by_their_data(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = plan(seeds=2, methods=("plain",))
    assert packing.shared(one) == packing.shared(other) is not None
    assert packing.shared(one) != packing.shared(plan(seeds=1, methods=("plain",), own_s="0.5")[0])
    assert packing.shared(one) != packing.shared(dataclasses.replace(other, time_limit_s=5.0))
    assert packing.shared(plan(seeds=1, methods=("unpacked",))[0]) is None
    assert packing.shared(one) != packing.shared(dataclasses.replace(other, data=DataRef("d", "d", "real", "f")))
    monkeypatch.setitem(declared().__dict__, "alike", lambda _method, params: params["lr"])
    with pytest.raises(TaskError, match=r"`alike` of experiment train raised KeyError"):
        packing.shared(one)
    for another in (object, lambda: math.nan):
        monkeypatch.setitem(declared().__dict__, "alike", lambda _method, _params, another=another: another())
        with pytest.raises(TaskError, match=r"raised ValueError: .* for one trial"):
            packing.shared(one)


# The queue alone


def test_packs_leave_work_for_every_worker_and_what_was_not_taken_comes_back() -> None:
    trials = plan(seeds=20, methods=("plain",))
    queue = Queue(2)
    queue.add(trials)
    probing = queue.next(lambda _: 1)
    assert probing is not None
    assert probing.pace is None
    assert (len(probing.trials), probing.most) == (20, 10), "half is for the other worker"
    assert queue.next(lambda _: 1) is None, "its size is not known yet"
    queue.began(probing, Slice(Pace(8, 4.0), taken=8))
    assert len(probing.trials) == 8
    sizes = []
    while batch := queue.next(lambda _: 1):
        assert batch.pace == Pace(8, 4.0)
        sizes.append(len(batch.trials))
    assert sizes == [6, 6], "as many as take equal parts of what is left"
    assert not queue


def test_what_does_not_pay_joins_the_single_trials() -> None:
    trials = plan(seeds=4, methods=("plain",))
    queue = Queue(1)
    queue.add(trials)
    probing = queue.next(lambda _: 1)
    assert probing is not None
    queue.began(probing, Slice(Pace(1, 1.0)))
    assert probing.trials == []
    singles = [batch for _ in range(4) if (batch := queue.next(lambda _: 1))]
    assert [batch.program for batch in singles] == [None] * 4
    assert [trial for batch in singles for trial in batch.trials] == trials


def test_a_program_that_breaks_is_halved_until_one_is_alone() -> None:
    trials = plan(seeds=5, methods=("plain",))
    queue = Queue(1)
    queue.broke(Batch(list(trials), program="p", pace=Pace(8, 2.0)), Problem("failed", "ValueError: no\ntrace"))
    found, rounds = [], 0
    while batch := queue.next(lambda _: 1):
        rounds += 1
        if batch.program is None:
            found += batch.trials
            assert batch.packing == {batch.trials[0].id: "by itself: its program ended early (ValueError: no)"}
        else:
            queue.broke(batch, Problem("failed", "ValueError: no\ntrace"))
    assert sorted(trial.id for trial in found) == sorted(trial.id for trial in trials)
    assert rounds == 2 * 5 - 2


def test_the_probe_stops_where_more_members_would_not_fit() -> None:
    trials = plan(seeds=200, methods=("plain",), shared_s="0.01", steps="40")
    program, seen = load(declared().run_batch), list[int]()

    def made(spec: TrialSpec, elapsed: Callable[[], float]) -> Trial:
        return Trial(declared(), spec, elapsed=elapsed)

    def counted(members: Sequence[Trial]) -> Iterator[Progress]:
        seen.append(len(members))
        yield from program(members)

    # A member takes 10 MiB; at 8 members 200 MiB are free, of which seven tenths are for 14 more, and then six are for 4.
    gauge = Gauge(time.process_time, lambda: 100.0 + 10.0 * max(seen), lambda: 280.0 - 10.0 * max(seen))
    assert probe(counted, trials, made, gauge).size == 22
    assert seen == [1, 8, 22]
    seen.clear()
    assert probe(counted, trials, made).size == 200
    assert seen == [1, 8, 32, 128, 200]


# A program alone


def pack_of(program: packing.Program, specs: Sequence[TrialSpec]) -> Pack:
    return Pack(program, specs, lambda spec, elapsed: Trial(declared(), spec, elapsed=elapsed), Meter())


def test_a_program_is_stopped_at_the_limit_of_one_trial() -> None:
    specs = [dataclasses.replace(trial, time_limit_s=0.2) for trial in plan(seeds=3, methods=("plain",))]

    def stuck(members: Sequence[Trial]) -> Iterator[Progress]:
        yield members[0], {"value": 1.0}
        for _ in range(300):
            time.sleep(0.01)

    ended, problem = pack_of(stuck, specs).advance(60.0)
    assert [one.trial.seed for one in ended] == [0], "who ended before keeps its result"
    assert problem is not None
    assert problem.status == "timeout"


def test_a_trial_ends_once_and_as_the_one_that_was_handed_in() -> None:
    specs = plan(seeds=2, methods=("plain",))

    def twice(members: Sequence[Trial]) -> Iterator[Progress]:
        yield members[0], {"value": 1.0}
        yield members[0], {"value": 2.0}

    def another(members: Sequence[Trial]) -> Iterator[Progress]:
        yield Trial(declared(), specs[0]), {"value": 1.0}

    for program, count in ((twice, 1), (another, 0)):
        ended, problem = pack_of(program, specs).advance(60.0)
        assert [one.metrics for one in ended] == [{"value": 1.0}] * count
        assert problem is not None
        assert "which is none of its members or has ended before" in problem.error


def test_a_program_leaves_the_process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKED", "before")
    drawn = list[float]()

    def careless(members: Sequence[Trial]) -> Iterator[Progress]:
        os.environ["PACKED"] = "within"
        drawn.append(random.random())
        yield 0.5
        yield members[0], {"value": 1.0}

    for _ in range(2):
        (spec,) = plan(seeds=1, methods=("plain",))
        random.seed(len(drawn))
        running = pack_of(careless, [spec])
        running.advance(0.0)
        running.close()
        assert os.environ["PACKED"] == "before"
    assert drawn[0] == drawn[1], "global streams start from the trial"


def test_what_a_probe_trains_is_kept_nowhere(store: StudyStore) -> None:
    (spec,) = plan("checkpointed", seeds=1, methods=("plain",))
    scratch = Worker(Context(store_uri=store.parent_uri, study=store.name))._trial(spec, "cpu", scratch=True)
    packing.runner(declared())(scratch)
    scratch.keep({"weight": 1.0})
    assert not list((Path(store.parent_uri) / store.name).glob("*/*"))


def test_a_probe_that_runs_out_of_memory_takes_the_size_before() -> None:
    trials, program = plan(seeds=100, methods=("plain",), shared_s="0.01", steps="40"), load(declared().run_batch)

    def large(members: Sequence[Trial]) -> Iterator[Progress]:
        if len(members) > 8:
            raise MemoryError
        yield from program(members)

    assert probe(large, trials, lambda spec, elapsed: Trial(declared(), spec, elapsed=elapsed)).size == 8


def test_a_program_that_will_not_end_and_one_that_is_no_generator(store: StudyStore) -> None:
    specs = plan(seeds=2, methods=("plain",))

    def stubborn(members: Sequence[Trial]) -> Iterator[Progress]:
        while True:
            try:
                yield 0.25
            except GeneratorExit:
                yield 0.5

    running = pack_of(stubborn, specs)
    assert running.advance(0.0) == ([], None)
    running.close()
    ended, problem = pack_of(lambda members: iter([(member, {"value": 1.0}) for member in members]), specs).advance(60.0)
    assert (len(ended), problem) == (2, None)
    for wrong in (None, [math.nan], ["half"], [True]):
        broken = pack_of(lambda _, wrong=wrong: wrong, specs)
        ended, problem = broken.advance(60.0)
        assert (ended, broken.left) == ([], False)
        assert problem is not None
        assert problem.status == "failed"


def test_a_worker_takes_no_more_members_than_it_is_given(store: StudyStore) -> None:
    worker = Worker(Context(store_uri=store.parent_uri, study=store.name))
    assert worker.begin(plan(seeds=5, methods=("plain",)), Pace(4, 2.0), 3).taken == 3
    assert worker.begin(plan(seeds=5, methods=("plain",)), Pace(4, 2.0), 9).taken == 4
    assert worker.begin(plan(seeds=5, methods=("plain",)), Pace(1), 9).taken == 0


def test_torch_says_in_its_own_words_that_the_main_memory_is_full() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert packing.is_out_of_memory(caught.value)
    assert not packing.is_out_of_memory(RuntimeError("shapes do not match"))


def test_a_program_of_one_answers_for_the_one() -> None:
    (spec,) = plan(seeds=1, methods=("plain",))
    trial = Trial(declared(), spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("harness.packing.load", lambda _: lambda _members: iter([(Trial(declared(), spec), {"value": 1.0})]))
        with pytest.raises(ValueError, match="or of another one"):
            packing.runner(dataclasses.replace(declared(), run=""))(trial)
