"""One trial, whatever it does, becomes one record that says so."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from harness import gate, registry
from harness.plan import Overrides, TrialSpec, expand
from harness.record import Record
from harness.task import Metric
from harness.trial import Trial
from harness.worker import Context, Worker


def trial(behaviour: str, **values: str) -> TrialSpec:
    overrides = Overrides(
        seeds=1, methods=("plain",), values={"behaviour": [behaviour], "size": ["1"], **{k: [v] for k, v in values.items()}}
    )
    return expand(registry.task("misbehaving"), "smoke", overrides, {})[0]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(Context(store_uri=str(tmp_path), study="study", git_commit="abc", source_digests={"misbehaving": "d1"}))


def execute(worker: Worker, behaviour: str) -> Record:
    return worker.execute(trial(behaviour)).record


def test_a_good_trial_leaves_its_metrics_curve_and_provenance(worker: Worker) -> None:
    outcome = worker.execute(trial("good"))
    record = outcome.record
    assert record.status == "ok"
    assert record.error == ""
    assert math.isfinite(record.metrics["value"])
    assert [point["step"] for point in outcome.curve] == [0.0, 1.0, 2.0]
    assert (record.git_commit, record.source_digest, record.data_kind) == ("abc", "d1", "synthetic")
    assert record.versions["torch"].startswith("2.")
    assert record.seconds > 0
    assert record.peak_memory_mib > 1


@pytest.mark.parametrize(
    ("behaviour", "status", "says"),
    [
        ("raise", "failed", "RuntimeError: this trial was told to fail"),
        ("exit", "failed", "SystemExit"),
        ("word", "failed", "not a number"),
        ("nothing", "failed", "must return a mapping"),
        ("undeclared", "failed", "'valeu', which experiment behave does not declare (it declares value)"),
        ("nan", "diverged", "not finite: value"),
        ("memory", "oom", "no room"),
    ],
)
def test_a_bad_trial_is_a_record_that_says_why(worker: Worker, behaviour: str, status: str, says: str) -> None:
    record = execute(worker, behaviour)
    assert record.status == status
    assert says in record.error.splitlines()[0]
    if status == "failed":
        assert "Traceback" in record.error
        assert record.metrics == {}, "a failed trial has no metrics, least of all default ones"


def test_a_metric_that_is_declared_and_not_returned_fails_the_trial() -> None:
    metrics = [Metric("value", "", "lower"), Metric("rank", "", "none", methods=["shifted"]), Metric("late", "", "lower", optional=True)]
    experiment = dataclasses.replace(registry.task("misbehaving").experiments[0], metrics=metrics)
    assert gate.metrics(experiment, "plain", {"value": 1.0}) == {"value": 1.0}
    assert gate.metrics(experiment, "shifted", {"value": math.nan}) == pytest.approx({"value": math.nan}, nan_ok=True), "a divergence"
    with pytest.raises(gate.SaidError, match="run returned no rank, which experiment behave declares for shifted"):
        gate.metrics(experiment, "shifted", {"value": 1.0, "late": 2.0})


def test_a_divergence_keeps_its_nan(worker: Worker) -> None:
    assert math.isnan(execute(worker, "nan").metrics["value"])


def test_a_trial_past_its_limit_is_stopped(worker: Worker) -> None:
    spec = TrialSpec.from_json(trial("sleep").to_json() | {"time_limit_s": 0.2})
    record = worker.execute(spec).record
    assert record.status == "timeout"
    assert record.error.startswith("ran longer than its limit of 0.2 s")
    assert execute(worker, "good").status == "ok", "the alarm must not outlive its trial"


def test_a_checkpoint_is_picked_up_by_the_next_attempt_and_then_forgotten(worker: Worker, tmp_path: Path) -> None:
    first = worker.execute(trial("checkpoint"))
    assert first.record.status == "failed"
    assert [file.stem for file in (tmp_path / "study" / "checkpoints").iterdir()] == [first.record.trial_id]
    second = worker.execute(trial("checkpoint"))
    assert second.record.metrics == {"value": 0.0 + 0 + 1 + 2 + 3 + 4}
    assert [point["step"] for point in second.curve] == [1.0, 2.0, 3.0, 4.0, 5.0], "the curve goes on where it was"
    assert not list((tmp_path / "study" / "checkpoints").iterdir())


def test_a_damaged_checkpoint_means_a_fresh_start(worker: Worker, tmp_path: Path) -> None:
    id = worker.execute(trial("checkpoint")).record.trial_id
    file = tmp_path / "study" / "checkpoints" / f"{id}.zip"
    file.write_bytes(file.read_bytes()[:100])
    assert worker.execute(trial("checkpoint")).record.error.startswith("RuntimeError: interrupted at step 3")


def test_methods_share_the_random_numbers_of_a_seed_and_seeds_do_not() -> None:
    task = registry.task("misbehaving")
    trials = [Trial(task.experiments[0], spec) for spec in expand(task, "smoke", Overrides(), {})]
    seeds = {(t.method, t.seed): t.seed_for("noise") for t in trials}
    assert seeds["plain", 0] == seeds["shifted", 0]
    assert len({seeds["plain", seed] for seed in range(3)}) == 3
    assert trials[0].seed_for("noise") != trials[0].seed_for("batches")


def test_a_worker_whose_memory_keeps_growing_retires(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100 * 2**20, 1100 * 2**20, 1300 * 2**20])
    monkeypatch.setattr("harness.worker._resident_bytes", lambda: next(sizes))
    assert [worker.execute(trial("good")).retire for _ in range(3)] == [False, False, True]
