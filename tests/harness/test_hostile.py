"""Trials that do what no trial should: one record each that says so, their neighbours unharmed, in process and on a real Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness import data, gate, ledger, registry
from harness.engine import run_trials
from harness.frames import read_curves
from harness.plan import Overrides, TrialSpec, expand
from harness.record import Record
from harness.store import StudyStore
from harness.worker import Context, Worker
from tests.harness.processes import ROOT, Process

FAILS = {
    "complex": "metric value is",
    "numpy text": "metric value is",
    "numpy truth": "metric value is",
    "duration": "metric value is",
    "array": "metric value is",
    "masked value": "metric value is masked: not a number",
    "text": "metric value is '1.0': not a number",
    "truth": "metric value is True: not a number",
    "too large": "which no 64-bit float holds",
    "missing": "which experiment do does not declare",
    "key": "which experiment do does not declare",
    "log a taken name": "a curve cannot be called 'trial_id'",
    "log another taken name": "a curve cannot be called 'written'",
    "log a third taken name": "a curve cannot be called 'ledger.line'",
    "log text": "loss at step 0 is 'low': not a number",
    "log a complex": "not a number",
    "log at no step": "a curve's step is nan",
    "log an odd name": r"a curve cannot be called 'lo\udce9ss'",
    "curve by hand": "points come from trial.log",
    "surrogate": r"FileNotFoundError: no such file: donn\udce9es.bin",
    "unreadable": "UnreadableError: (reading its text raised ValueError)",
    "escapes": r"RuntimeError: \x1b[31mred\x00\x07 and \u202eback",
    "endless text": "RuntimeError: long long",
    "interrupt": "KeyboardInterrupt",
    "leave": "SystemExit: 0",
}
GOOD = {
    "good": 1.0,
    "tensor": 2.5,
    "numpy float": 2.5,
    "log infinity": 1.0,
    "odd backend": 1.0,
    "close streams": 1.0,
    "fork": 1.0,
    "fork and raise": 1.0,
}


def plan(*deeds: str, seeds: int = 1, scale: str = "smoke", limit: float = 30.0, **values: str) -> list[TrialSpec]:
    overrides = Overrides(seeds=seeds, values={"deed": list(deeds), **{name: [text] for name, text in values.items()}})
    task = registry.task("hostile")
    references = {"clay": data.resolve(registry.dataset("clay"), {})} if scale == "laptop" else {}
    return [replace(trial, time_limit_s=limit) for trial in expand(task, scale, overrides, references)]


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(str(tmp_path), "study")


def by_deed(records: dict[str, Record]) -> dict[str, Record]:
    return {record.params["deed"]: record for record in records.values()}


def assert_all_said(records: dict[str, Record]) -> None:
    found = by_deed(records)
    assert {deed: record.metrics for deed, record in found.items() if record.status == "ok"} == {d: {"value": v} for d, v in GOOD.items()}
    assert {deed: record.status for deed, record in found.items() if deed in FAILS} == dict.fromkeys(FAILS, "failed")
    for deed, says in FAILS.items():
        assert says in found[deed].error.partition("\nTraceback")[0], deed
        assert len(found[deed].error) < 2 * gate.MOST_TEXT
    assert found["odd backend"].kernel_backend == r"tri\x1bton\udce9"


def test_whatever_trials_say_in_process_each_has_its_record(store: StudyStore) -> None:
    trials = plan(*FAILS, *GOOD)
    assert_all_said(run_trials(store, trials, local=True).records)
    assert_all_said(ledger.read(store).records)
    assert len(store.read_bytes("ledger.jsonl").splitlines()) == len(trials), "a forked child went on with the study"
    assert set(read_curves(store).columns) == {"trial_id", "step", "loss"}


def test_whatever_trials_say_on_ray_each_has_its_record(store: StudyStore, ray_here: None) -> None:
    trials = plan(*FAILS, *GOOD)
    assert_all_said(run_trials(store, trials).records)
    assert_all_said(ledger.read(store).records)
    assert len(store.read_bytes("ledger.jsonl").splitlines()) == len(trials)


@pytest.mark.parametrize("deed", ["masked", "ignored", "disarmed", "swallow"])
def test_a_trial_that_masks_or_swallows_its_limit_is_stopped_from_inside(tmp_path: Path, deed: str) -> None:
    worker = Worker(Context(store_uri=str(tmp_path), study="study"))
    (trial,) = plan(deed, limit=0.3)
    assert worker.execute(trial).record.status == "timeout"
    assert worker.execute(*plan("good")).record.status == "ok"


def test_a_trial_stuck_in_c_loses_its_worker_and_its_batch_mates_do_not_wait_for_guesses(
    store: StudyStore, ray_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.scheduler.GRACE_S", 1.0)
    monkeypatch.setattr("harness.scheduler.FIRST_GRACE_S", 4.0)
    before, stuck, after = plan("good", seeds=30), plan("masked in C", limit=1.0), plan("good", seeds=60)[30:]
    records = run_trials(store, [*before, *stuck, *(replace(trial, time_limit_s=1.0) for trial in after)]).records
    assert records[stuck[0].id].status == "timeout"
    assert [record.status for record in records.values()].count("ok") == 60


def test_eight_trials_that_leave_the_process_changed_measure_what_one_does_alone(tmp_path: Path) -> None:
    trials = plan("leak", seeds=8)

    def values(*group: TrialSpec) -> list[float]:
        worker = Worker(Context(store_uri=str(tmp_path), study="study"))
        return [worker.execute(trial).record.metrics["value"] for trial in group]

    together = values(*trials)
    assert all(13.0 < value < 16.0 for value in together), "a setting of the trial before was still there"
    assert [values(trial)[0] for trial in trials[:2]] == together[:2]
    assert values(*reversed(trials)) == together[::-1]


def test_what_the_process_was_set_to_before_is_not_what_trials_see(tmp_path: Path) -> None:
    (trial,) = plan("leak")
    worker = Worker(Context(store_uri=str(tmp_path), study="study"))
    expected = worker.execute(trial).record.metrics
    torch.set_default_dtype(torch.float64)
    try:
        assert worker.execute(trial).record.metrics == expected
        assert torch.get_default_dtype() == torch.float64, "what was there before is there again"
    finally:
        torch.set_default_dtype(torch.float32)


_FIRST = """
import sys
from dataclasses import replace
from harness import registry
from harness.plan import Overrides, expand
from harness.worker import Context, Worker
assert "torch" not in sys.modules
trials = expand(registry.task("hostile"), "smoke", Overrides(seeds=2, values={"deed": ["leak"]}), {})
worker = Worker(Context(store_uri=sys.argv[1], study="study"))
print([worker.execute(trial).record.metrics["value"] for trial in [trials[0], trials[0], trials[1]]])
"""


def test_the_first_trial_of_a_process_draws_the_numbers_that_it_draws_later(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FIRST, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, other = json.loads(done.stdout)
    assert first == second, "torch was imported by the first trial, and not seeded"
    assert other != first


@pytest.mark.parametrize("part", ["list", "nested", "tensor", "behind the tensor", "field", "in C"])
def test_a_trial_that_changes_its_data_changes_nobody_elses(tmp_path: Path, cache: Path, part: str) -> None:
    data.prepare(registry.dataset("clay"), force=False)
    worker = Worker(Context(store_uri=str(tmp_path), study="study"))
    records = [worker.execute(trial).record for trial in plan(f"dent {part}", seeds=8, scale="laptop")]
    assert [record.metrics["value"] for record in records] == [9.0] * 8


def test_an_array_of_a_data_set_is_read_only(tmp_path: Path, cache: Path) -> None:
    data.prepare(registry.dataset("clay"), force=False)
    worker = Worker(Context(store_uri=str(tmp_path), study="study"))
    (trial,) = plan("dent array", scale="laptop")
    assert worker.execute(trial).record.error.startswith("ValueError: assignment destination is read-only")


def test_data_that_nobody_changes_is_opened_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.prepare(registry.dataset("clay"), force=False)
    opened: list[str] = []
    real = data.open_data
    monkeypatch.setattr("harness.worker.open_data", lambda *words: (opened.append("once"), real(*words))[1])
    worker = Worker(Context(store_uri=str(tmp_path), study="study"))
    for trial in plan("dent nothing", seeds=4, scale="laptop"):
        worker.execute(trial)
    assert opened == ["once"]


def test_the_command_ends_although_a_trial_left_a_thread_and_tells_what_trials_said(tmp_path: Path) -> None:
    deeds = "deed=thread,close streams,interrupt,surrogate,escapes,good"
    words = ["run", "hostile", "--scale", "smoke", "--seeds", "2", "--study", "s", "--set", deeds, "--local"]
    first = Process(tmp_path, *words)
    assert first.end() == 1, first.out
    assert "6 failed of 12 trials" in first.out
    for file in ("report.html", "leaderboard.md", "ledger.jsonl"):
        content = (first.store / "s" / file).read_bytes()
        assert b"\x00" not in content
        assert b"\x1b" not in content
    again = Process(tmp_path, *words)
    assert again.end() == 1, again.out
    assert "12 recorded before" in again.out, "the study opens again"


def test_finished_trials_do_not_wait_for_the_rest_of_their_batch(tmp_path: Path, executions: Callable[[], list[str]]) -> None:
    worker = Worker(Context(store_uri=str(tmp_path), study="study"))
    outcomes = worker.execute_all([*plan("good", seeds=3), *plan("good", seeds=8, seconds="0.3")])
    assert len(outcomes) == 4, "a batch comes back after a quarter of a second of work"
    assert len(executions()) == 4
