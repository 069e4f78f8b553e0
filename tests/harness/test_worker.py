"""One trial, whatever it does, becomes one record that says so."""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from harness import gate, registry
from harness.artifacts import Artifacts, packed
from harness.bounds import CORRELATION, PERCENT, POSITIVE, UNBOUNDED, Bounds
from harness.checkpoints import Checkpoint, CheckpointError, Checkpoints
from harness.checksums import seal_zip
from harness.errors import StoreError, UsageError
from harness.plan import Overrides, TrialSpec, expand
from harness.record import Record
from harness.store import StudyStore
from harness.task import Metric
from harness.trial import Trial
from harness.worker import Context, Worker
from tests.harness.damage import mutated_bytes


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


@pytest.mark.parametrize(
    ("bounds", "inside", "beyond", "said"),
    [
        (PERCENT, (0.0, 100.0, 100.00001, -1e-5), (1000.0, 100.001, -0.001), "0 to 100"),
        (CORRELATION, (-1.0, 1.0000002), (1.0001, -1.0001), "-1 to 1"),
        (POSITIVE, (0.0, 1e30, -1e-7), (-1e-3,), "at least 0"),
        (Bounds(high=-50.0), (-50.00001, -49.99999), (-49.9, 0.0), "at most -50"),
        (Bounds(0.0, 1e-9), (1e-9,), (1.1e-9, -1e-10), "0 to 1e-09"),
        (UNBOUNDED, (-1e300, 1e300), (), ""),
    ],
)
def test_a_metric_outside_its_bounds_does_not_pass(bounds: Bounds, inside: Sequence[float], beyond: Sequence[float], said: str) -> None:
    behave = registry.task("misbehaving").experiments[0]
    behave = dataclasses.replace(behave, metrics=[Metric("value", "", "lower", bounds=bounds), Metric("loss", "", "lower")])
    for value in inside:
        assert gate.metrics(behave, "plain", {"value": value, "loss": 1.0})["value"] == value
    for value in beyond:
        with pytest.raises(gate.SaidError) as problem:
            gate.metrics(behave, "plain", {"value": value, "loss": 1.0})
        assert str(problem.value) == f"metric value is {value:.9g}, outside the bounds that it declares ({said})"
    diverged = gate.metrics(behave, "plain", {"value": math.nan, "loss": math.inf})
    assert math.isnan(diverged["value"]), "a divergence has left no range"


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


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no zip"])
def test_a_damaged_checkpoint_means_a_fresh_start_and_the_record_says_so(worker: Worker, tmp_path: Path, damage: str) -> None:
    id = worker.execute(trial("checkpoint")).record.trial_id
    file = tmp_path / "study" / "checkpoints" / f"{id}.zip"
    whole = file.read_bytes()
    at = whole.index(b'"curve"')
    flipped = whole[: at + 30] + bytes([whole[at + 30] ^ 1]) + whole[at + 31 :]
    file.write_bytes({"truncated": whole[:100], "flipped": flipped, "no zip": b"nothing"}[damage])
    record = worker.execute(trial("checkpoint")).record
    assert record.error.startswith("RuntimeError: interrupted at step 3")
    assert record.notes.startswith("started afresh: its checkpoint ")
    assert worker.execute(trial("checkpoint")).record.notes == "", "the next attempt goes on from the new one"


def test_a_checkpoint_of_another_trial_is_not_gone_on_from(worker: Worker, tmp_path: Path) -> None:
    one, other = trial("checkpoint"), trial("checkpoint", rate="0.25")
    assert worker.execute(one).record.status == "failed"
    folder = tmp_path / "study" / "checkpoints"
    (folder / f"{one.id}.zip").rename(folder / f"{other.id}.zip")
    record = worker.execute(other).record
    assert record.error.startswith("RuntimeError: interrupted at step 3"), "it started afresh"
    assert record.notes == "started afresh: its checkpoint is another trial's"


def test_a_checkpoint_that_other_code_made_is_not_gone_on_from(tmp_path: Path) -> None:
    def worker_of(digest: str) -> Worker:
        return Worker(Context(store_uri=str(tmp_path), study="study", source_digests={"misbehaving": digest}))

    assert worker_of("d1").execute(trial("checkpoint")).record.status == "failed"
    record = worker_of("d2").execute(trial("checkpoint")).record
    assert record.error.startswith("RuntimeError: interrupted at step 3"), "it started afresh"
    assert record.notes == "started afresh: its checkpoint was made by other code (source d1, now d2)"
    assert worker_of("d2").execute(trial("checkpoint")).record.status == "ok"


def test_seconds_are_those_of_all_attempts_up_to_their_checkpoints(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=10.0)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    first, second = (worker.execute(trial("checkpoint")).record.seconds for _ in range(2))
    # A checkpoint reads the clock once: three of them until the trial is interrupted, two after.
    assert first == 50.0
    assert second == 30.0 + 40.0


@pytest.mark.parametrize(
    "state",
    [{"f": math.sqrt}, {"n": np.float64(1.0)}, [Path("x")], (lambda: None), {"a": {"b": object()}}],
    ids=["function", "numpy", "path", "lambda", "object"],
)
def test_a_state_that_could_not_be_loaded_again_is_refused_when_it_is_kept(tmp_path: Path, state: object) -> None:
    store = StudyStore(str(tmp_path), "study")
    running = Trial(registry.task("misbehaving").experiments[0], trial("good"), checkpoints=Checkpoints(store), artifacts=Artifacts(store))
    for call, keep in (("trial.checkpoint", lambda: running.checkpoint(1, state)), ("trial.keep", lambda: running.keep(state))):
        with pytest.raises(UsageError, match=f"{call} takes tensors, numbers, text and containers of these; this {type(state).__name__}"):
            keep()
    assert running.restore() is None
    running.checkpoint(2, {"w": torch.ones(2), "o": {0: (1.5, "x", None, True)}, "s": torch.nn.Linear(2, 2).state_dict()})
    restored = running.restore()
    assert restored is not None
    assert restored[0] == 2
    assert restored[1]["o"] == {0: (1.5, "x", None, True)}


@pytest.mark.parametrize("at", [0.02, 0.3, 0.5, 0.7, 0.98])
@pytest.mark.parametrize("damage", ["flip", "zero"])
def test_a_damaged_artifact_is_found_whether_it_has_a_checksum_or_not(tmp_path: Path, at: float, damage: str) -> None:
    store = StudyStore(str(tmp_path), "study")
    state = {"w": torch.arange(600.0), "n": 3}
    Artifacts(store).save("a", state)
    whole = store.read_bytes("artifacts/a.pt")
    assert torch.load(io.BytesIO(whole), weights_only=True)["n"] == 3, "any reader of the format opens it"
    old = io.BytesIO()
    torch.save(state, old)
    for content in (whole, old.getvalue()):
        store.write_bytes("artifacts/a.pt", content)
        assert Artifacts(store).is_intact("a")
        assert torch.equal(Artifacts(store).load("a")["w"], state["w"])
        start = int(len(content) * at)
        piece = bytes([content[start] ^ 4]) if damage == "flip" else bytes(64)
        store.write_bytes("artifacts/a.pt", content[:start] + piece + content[start + len(piece) :])
        if content is whole:
            assert not Artifacts(store).is_intact("a")
            with pytest.raises(StoreError, match=r"a\.pt is damaged"):
                Artifacts(store).load("a")
    assert not Artifacts(store).is_intact("b")


@pytest.mark.fuzz
@hypothesis.given(st.data())
def test_whatever_happens_to_an_artifact_it_is_refused_or_the_same(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = StudyStore(folder, "study")
        state = {"w": torch.arange(200.0), "n": 3}
        old = io.BytesIO()
        torch.save(state, old)
        content = data.draw(st.sampled_from([seal_zip(packed(state, "keep")), old.getvalue()]))
        store.write_bytes("artifacts/a.pt", data.draw(mutated_bytes(content)))
        try:
            found = Artifacts(store).load("a")
        except StoreError:
            return
        assert found["n"] == 3
        assert torch.equal(found["w"], state["w"])


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


def test_a_worker_that_retires_does_not_touch_what_it_was_sent_before(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100 * 2**20, 1300 * 2**20])
    monkeypatch.setattr("harness.worker._resident_bytes", lambda: next(sizes))
    assert [outcome.retire for outcome in worker.execute_all([trial("good")] * 3)] == [False, True]
    assert worker.execute_all([trial("good")]) == []


@pytest.mark.fuzz
@hypothesis.given(st.data())
def test_whatever_happens_to_a_checkpoint_it_is_refused_or_the_same(data: st.DataObject) -> None:
    saved = Checkpoint(7, {"w": torch.arange(50.0)}, [{"step": 1.0, "loss": 0.5}], 12.5, "d1")
    with tempfile.TemporaryDirectory() as folder:
        store = StudyStore(folder, "study")
        Checkpoints(store).save("a", saved)
        store.write_bytes("checkpoints/a.zip", data.draw(mutated_bytes(store.read_bytes("checkpoints/a.zip"))))
        try:
            found = Checkpoints(store).load("a")
        except CheckpointError:
            return
    assert found is not None
    assert torch.equal(found.state["w"], saved.state["w"])
    assert dataclasses.replace(found, state=saved.state) == saved
