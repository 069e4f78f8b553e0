"""The engine on a real Ray, and in process: every trial leaves exactly one record, whatever its neighbours do."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import ledger, registry
from harness.engine import left_to_do, run_trials
from harness.errors import ResourceError, StoreError
from harness.frames import read_curves
from harness.plan import Overrides, TrialSpec, expand
from harness.plans import save_plan
from harness.stopping import Stop
from harness.store import StudyStore
from harness.study import load
from harness.task import Resources
from tests.harness.processes import Process


def plan(*behaviours: str, seeds: int = 1, **values: str) -> list[TrialSpec]:
    overrides = Overrides(seeds=seeds, values={"behaviour": list(behaviours), **{name: text.split(",") for name, text in values.items()}})
    return expand(registry.task("misbehaving"), "smoke", overrides, {})


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(str(tmp_path), "study")


def test_in_process_every_trial_gets_its_record_and_a_second_run_does_nothing(
    store: StudyStore, executions: Callable[[], list[str]]
) -> None:
    trials = plan("good", "raise", "nan", "memory")
    seen: list[str] = []
    result = run_trials(store, trials, local=True, observe=lambda record: seen.append(record.trial_id))
    assert Counter(r.status for r in result.records.values()) == {"ok": 6, "failed": 6, "diverged": 6, "oom": 6}
    assert {r.attempts for r in result.records.values() if r.status == "oom"} == {2}, "out of memory: once more"
    assert sorted(seen) == sorted(trial.id for trial in trials)
    before = len(executions())
    again = run_trials(store, trials, local=True)
    assert again.executed == 0
    assert len(executions()) == before
    assert again.records.keys() == {trial.id for trial in trials}


def test_retry_runs_what_did_not_end_ok_and_nothing_else(store: StudyStore, executions: Callable[[], list[str]]) -> None:
    trials = plan("good", "raise")
    run_trials(store, trials, local=True)
    before = len(executions())
    run_trials(store, trials, local=True, retry=True)
    assert sorted(executions()[before:]) == sorted(trial.id for trial in trials if trial.params["behaviour"] == "raise")


def test_a_larger_plan_runs_only_its_new_trials(store: StudyStore) -> None:
    run_trials(store, plan("good", seeds=2), local=True)
    more = plan("good", seeds=5)
    todo = left_to_do(store, more, ledger.read(store).records, retry=False)
    assert {trial.seed for trial in todo} == {2, 3, 4}
    assert run_trials(store, more, local=True).executed == len(todo)


def test_a_study_reads_in_the_order_of_its_plan_whatever_ended_first(store: StudyStore) -> None:
    trials = plan("good", seeds=2)
    save_plan(store, trials)
    assert load(store).frame.empty
    run_trials(store, list(reversed(trials)), local=True)
    assert load(store).frame["trial_id"].tolist() == [trial.id for trial in trials]


def test_ray_and_in_process_measure_the_same(store: StudyStore, tmp_path: Path, ray_here: None) -> None:
    trials = plan("good", seeds=20)
    here = run_trials(StudyStore(str(tmp_path), "here"), trials, local=True).records
    there = run_trials(store, trials).records
    assert {id: r.metrics for id, r in there.items()} == {id: r.metrics for id, r in here.items()}
    assert set(ledger.read(store).records) == {trial.id for trial in trials}
    assert set(read_curves(store)["trial_id"]) == {trial.id for trial in trials}


def test_a_poisonous_trial_is_found_and_its_batch_mates_survive(store: StudyStore, ray_here: None) -> None:
    # Cheap trials travel in batches: the one that kills its worker must be split off until it is alone.
    trials = plan("good", seeds=40)
    poison = plan("die", size="4")[0]
    mixed = [*trials[:60], poison, *trials[60:]]
    records = run_trials(store, mixed).records
    assert len(records) == len(mixed)
    assert [id for id, record in records.items() if record.status != "ok"] == [poison.id]
    assert records[poison.id].status == "failed"
    assert records[poison.id].attempts == 2
    assert records[poison.id].error.startswith("the worker process died")
    assert records[poison.id].versions, "a record without a worker still says where it came from"


def test_failures_of_every_kind_come_back_from_the_workers(store: StudyStore, ray_here: None) -> None:
    trials = plan("good", "raise", "word", "nan", "memory", size="1")
    records = run_trials(store, trials).records
    by_behaviour = {trial.params["behaviour"]: records[trial.id] for trial in trials}
    statuses = {behaviour: record.status for behaviour, record in by_behaviour.items()}
    assert statuses == {"good": "ok", "raise": "failed", "word": "failed", "nan": "diverged", "memory": "oom"}
    assert by_behaviour["memory"].attempts == 2


@pytest.mark.parametrize("shape", [Resources(cpus=4096), Resources(cpus=1, gpus=64)], ids=str)
def test_what_the_cluster_cannot_hold_fails_at_once(store: StudyStore, ray_here: None, shape: Resources) -> None:
    (trial, *_) = plan("good")
    asked = TrialSpec.from_json(trial.to_json() | {"resources": {"cpus": shape.cpus, "gpus": shape.gpus}})
    with pytest.raises(ResourceError, match=f"asks for {shape}".replace("+", r"\+")):
        run_trials(store, [asked])
    with pytest.raises(ResourceError, match=r"this machine has|one process"):
        run_trials(store, [asked], local=True)
    assert ledger.read(store).records == {}


def started(folder: Path, *words: str) -> Process:
    return Process(folder, "run", "misbehaving", "--scale", "smoke", "--study", "s", *words)


@pytest.mark.parametrize(
    ("mode", "pause", "at", "in_flight"), [("--local", "0.05", 3, 1), ("--local", "0.05", 11, 1), ("--retry", "0.2", 7, 2)]
)
def test_after_a_kill_only_what_was_in_flight_runs_again(tmp_path: Path, mode: str, pause: str, at: int, in_flight: int) -> None:
    # Without --local the trials run on an embedded Ray, two at a time; trials of 0.2 s travel alone.
    words = [mode, "--seeds", "4", "--set", f"pause={pause}"]
    killed = started(tmp_path, *words)
    killed.until_executed(at)
    killed.process.kill()
    killed.process.wait()
    survivors = ledger.read(StudyStore(str(killed.store), "s")).records
    time.sleep(2 * float(pause))  # workers of a dead driver may finish the trial they are in
    assert len(killed.executed()) - len(survivors) <= in_flight
    again = started(tmp_path, *words)
    assert again.end() == 0, again.out
    counts = Counter(again.executed())
    assert len(counts) == 24
    assert all(counts[id] == 1 for id in survivors), "what was recorded must not run again"
    assert counts.total() <= 24 + in_flight


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_run_with_everything_written_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    stopped = started(tmp_path, "--local", "--set", "pause=0.1")
    stopped.until_executed(4)
    stopped.process.send_signal(number)
    assert stopped.end() == 1
    assert "go on with: papertrial run misbehaving" in stopped.out
    done = ledger.read(StudyStore(str(stopped.store), "s")).records
    assert 3 <= len(done) < 18
    assert (stopped.store / "s" / "report.html").exists(), "a stopped run reports what it has"


def test_a_stop_while_a_record_is_written_keeps_it_and_begins_no_other(store: StudyStore, executions: Callable[[], list[str]]) -> None:
    with Stop().installed() as stop:
        result = run_trials(store, plan("good"), local=True, stop=stop, observe=lambda _: signal.raise_signal(signal.SIGINT))
        assert stop.asked
    assert (result.stopped, result.executed) == (True, 1)
    assert executions() == list(result.records) == list(ledger.read(store).records)


def test_a_full_disk_ends_the_run_in_one_sentence_and_keeps_what_was_recorded(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = plan("good", seeds=2)
    real, calls = os.fsync, iter(range(100))

    def fsync(descriptor: int) -> None:
        if next(calls) >= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(StoreError, match="cannot be written: No space left on device; what was recorded before is safe"):
        run_trials(store, trials, local=True)
    monkeypatch.setattr("os.fsync", real)
    before = ledger.read(store).records
    assert 0 < len(before) < len(trials)
    assert run_trials(store, trials, local=True).records.keys() == {trial.id for trial in trials}


def test_a_plan_narrowed_down_takes_no_view_away_and_a_whole_one_drops_cells_that_are_gone(store: StudyStore) -> None:
    whole = plan("good", seeds=2)
    save_plan(store, whole)
    narrow = [replace(trial, views=()) for trial in whole[:3]]
    assert {trial.id: trial.views for trial in save_plan(store, narrow).trials} == {trial.id: trial.views for trial in whole}
    renamed = [replace(trial, views=("other",)) for trial in whole]
    assert {trial.views for trial in save_plan(store, renamed, whole=True).trials} == {("other",)}
    fewer = [trial for trial in whole if trial.params["size"] != 4 and trial.seed == 0]
    left = save_plan(store, fewer, whole=True).trials
    assert {(trial.params["size"], trial.seed) for trial in left} == {(1, 0), (2, 0), (1, 1), (2, 1)} & {
        (trial.params["size"], trial.seed) for trial in whole
    }
