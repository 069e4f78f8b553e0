"""Parquet: round trips, the frozen old file, and curves of repeated attempts."""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import hypothesis
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from harness import frames
from harness.cli import main
from harness.errors import StoreError
from harness.frames import CurveWriter, read_curves, read_trials, records_frame, stacked, to_parquet, write_trials
from harness.judgement import judge
from harness.plans import read_plan
from harness.record import SCHEMA_VERSION
from harness.store import StudyStore
from harness.study import load
from tests.harness.damage import mutated_bytes
from tests.harness.test_ledger import record

FROZEN = sorted((Path(__file__).parent / "frozen").glob("trials-v*.parquet"))


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(str(tmp_path), "study")


def test_trials_come_back_from_parquet_one_file_a_task(store: StudyStore) -> None:
    records = [
        record("a", params={"size": 4, "kind": "x"}, metrics={"loss": 0.25}),
        record("b", params={"size": 8, "kind": "y"}, metrics={"loss": math.nan}, status="diverged"),
        record("c", task="u", params={"other": True}, metrics={}, status="failed", error="no"),
    ]
    assert [Path(path).name for path in write_trials(store, records)] == ["t.parquet", "u.parquet"]
    frame = read_trials(store.read_bytes("trials/t.parquet"))
    assert list(frame["trial_id"]) == ["a", "b"]
    assert list(frame["param.size"]) == [4, 8]
    assert frame["metric.loss"].isna().tolist() == [False, True]
    assert "param.other" not in frame
    assert read_trials(store.read_bytes("trials/u.parquet"))["status"].tolist() == ["failed"]


def test_text_that_many_records_share_is_kept_once_and_written_as_text() -> None:
    records = [
        record(f"{place}", status=status, error=error) for place, (status, error) in enumerate([("ok", ""), ("oom", "no"), ("ok", "")])
    ]
    frame = records_frame(records)
    assert [str(frame[name].dtype) for name in ("method", "status", "versions")] == ["category"] * 3
    assert frame["status"].cat.categories.tolist() == ["ok", "oom"]
    assert "category" not in {str(frame[name].dtype) for name in ("trial_id", "error", "started", "notes")}
    plain = frame.astype({name: str for name in frame if str(frame[name].dtype) == "category"})
    assert to_parquet(frame) == to_parquet(plain), "a file says nothing of how it was kept"
    pd.testing.assert_frame_equal(read_trials(to_parquet(frame)), frame)


def test_two_files_make_the_frame_of_all_their_records() -> None:
    parts = [[record("a", status="oom")], [record("b", metrics={"loss": 1.0}), record("c", method="another")]]
    both = stacked([records_frame(part) for part in parts])
    pd.testing.assert_frame_equal(both[sorted(both)], (whole := records_frame([*parts[0], *parts[1]]))[sorted(whole)])


@pytest.mark.parametrize("file", FROZEN, ids=lambda file: file.stem)
def test_a_file_of_an_older_schema_is_read_for_ever(file: Path) -> None:
    frame = read_trials(file.read_bytes())
    assert frame["experiment"].tolist() == (["train", "train"] if file.stem >= "trials-v3" else ["", ""])
    assert frame["notes"].tolist() == frame["packing"].tolist() == ["", ""]
    assert frame["packed"].tolist() == [1, 1]
    assert frame["energy_j"].isna().all()
    assert frame["trial_id"].tolist() == ["0000000000000001", "0000000000000002"]
    assert frame["status"].tolist() == ["ok", "diverged"]
    assert frame["metric.loss"].tolist()[0] == 0.25
    assert frame["param.width"].tolist() == [32, 64]
    assert set(record("a").__dataclass_fields__) - {"params", "metrics"} <= set(frame.columns)


def test_every_older_schema_has_its_frozen_file() -> None:
    assert [file.stem for file in FROZEN] == [f"trials-v{version}" for version in range(1, SCHEMA_VERSION)]


def test_a_newer_schema_is_refused_rather_than_misread(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(frames, "SCHEMA_VERSION", frames.SCHEMA_VERSION + 1)
        data = to_parquet(pd.DataFrame({"trial_id": ["a"]}))
    with pytest.raises(StoreError, match=f"schema version {frames.SCHEMA_VERSION + 1}"):
        read_trials(data)


def test_no_records_make_an_empty_frame_with_the_columns() -> None:
    frame = records_frame([])
    assert frame.empty
    assert {"trial_id", "task", "scale", "status"} <= set(frame.columns)


def test_of_a_trial_that_ran_twice_only_the_last_curve_is_read(store: StudyStore) -> None:
    writer = CurveWriter(store)
    writer.write({"a": [{"step": 0.0, "loss": 9.0}, {"step": 1.0, "loss": 8.0}], "b": [{"step": 0.0, "loss": 1.0}]}, 1, {})
    writer.write({"a": [{"step": 0.0, "loss": 3.0}]}, 3, {})
    for _ in range(2):
        curves = read_curves(store)
        assert curves[curves["trial_id"] == "a"][["step", "loss"]].to_numpy().tolist() == [[0.0, 3.0]]
        assert len(curves) == 2
        writer.compact({"a": 3, "b": 2})
    assert store.names("curves") == ["curves/curves.parquet"]


def test_curves_of_one_trial_over_different_things_do_not_overwrite_each_other(store: StudyStore) -> None:
    points = [{"step": 0.0, "loss": 1.0}, {"step": 0.0, "psd": 5.0}, {"step": 4.0, "psd": 6.0}, {"step": 0.0, "loss": 2.0}]
    CurveWriter(store).write({"a": points}, 1, {})
    curves = read_curves(store)
    assert curves["step"].tolist() == [0.0, 4.0]
    assert curves["psd"].tolist() == [5.0, 6.0]
    assert curves["loss"].tolist()[0] == 2.0
    assert math.isnan(curves["loss"].tolist()[1])


def test_a_kill_between_packing_and_deleting_shows_no_point_twice(store: StudyStore) -> None:
    writer = CurveWriter(store)
    writer.write({"a": [{"step": 0.0, "loss": 9.0}]}, 1, {})
    part = store.names("curves")[0]
    kept = store.read_bytes(part)
    writer.compact({"a": 1})
    store.write_bytes(part, kept)
    assert len(read_curves(store)) == 1


def test_many_parts_are_packed_on_the_way(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_CURVE_PARTS", 4)
    writer = CurveWriter(store)
    lines = {trial: line for line, trial in enumerate("abcdefghij", 1)}
    for trial, line in lines.items():
        writer.write({trial: [{"step": 0.0, "loss": 1.0}]}, line, lines)
    assert len(store.names("curves")) <= 5
    assert sorted(read_curves(store)["trial_id"]) == list("abcdefghij")


def points(store: StudyStore, lines: dict[str, int] | None = None) -> dict[str, list[float]]:
    curves = read_curves(store, lines)
    return {str(trial): rows["loss"].tolist() for trial, rows in curves.groupby("trial_id")}


def test_the_curve_is_the_one_of_the_record_that_counts_and_not_of_the_last_attempt(store: StudyStore) -> None:
    # Attempt 1 ended ok, attempt 2 did not and replaces no record; trial b ran again after a kill that lost its record of line 3.
    writer = CurveWriter(store)
    writer.write({"a": [{"step": 0.0, "loss": 1.0}]}, 1, {})
    writer.write({"a": [{"step": 0.0, "loss": 2.0}]}, 2, {"a": 1})
    writer.write({"b": [{"step": 0.0, "loss": 3.0}, {"step": 1.0, "loss": 3.0}]}, 3, {"a": 1})
    CurveWriter(store).write({"b": [{"step": 0.0, "loss": 4.0}]}, 3, {"a": 1})
    lines = {"a": 1, "b": 3}
    assert points(store, lines) == {"a": [1.0], "b": [4.0]}
    writer.write({"c": [{"step": 0.0, "loss": 5.0}]}, 4, lines)
    CurveWriter(store).write({"c": []}, 4, lines)
    lines["c"] = 4
    assert "c" not in points(store, lines), "the attempt that counts logged nothing"
    writer.compact(lines)
    assert points(store, lines) == points(store) == {"a": [1.0], "b": [4.0]}


def test_attempts_are_not_ordered_by_the_clock(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # Parts of schema 3 bear the clock's time, here of next year; whatever has a line of the ledger is later.
    old = pd.DataFrame({"trial_id": ["a", "b"], "written": [1_800_000_000_000_000_000] * 2, "step": [0.0, 0.0], "loss": [1.0, 5.0]})
    store.write_bytes("curves/part-1800000000000000000.parquet", to_parquet(old))
    writer = CurveWriter(store)
    writer.write({"a": [{"step": 0.0, "loss": 2.0}]}, 7, {"a": 0, "b": 0})
    assert points(store, {"a": 7, "b": 0}) == points(store) == {"a": [2.0], "b": [5.0]}
    assert points(store, {"a": 0, "b": 0}) == {"a": [1.0], "b": [5.0]}
    writer.compact({"a": 7, "b": 0})
    assert points(store, {"a": 7, "b": 0}) == {"a": [2.0], "b": [5.0]}


def damaged_file(kind: str) -> bytes:
    whole = to_parquet(pd.DataFrame({"trial_id": ["a"], "step": [0.0], "ledger.line": [1], "loss": [1.0]}))
    table = pq.read_table(io.BytesIO(whole))
    sink = io.BytesIO()
    if kind == "edited":
        pq.write_table(table.set_column(3, "loss", [[2.0]]), sink)
    if kind == "without metadata":
        pq.write_table(table.replace_schema_metadata({}), sink)
    if kind == "checksum gone":
        pq.write_table(table.replace_schema_metadata({b"papertrial.schema_version": b"4"}), sink)
    if kind == "no curves":
        return to_parquet(pd.DataFrame({"x": [1]}))
    if kind == "words":
        return to_parquet(pd.DataFrame({"trial_id": ["a"], "step": [0.0], "ledger.line": [1], "loss": ["low"]}))
    return sink.getvalue() or {"truncated": whole[:-50], "empty": b"", "foreign": b"PK\x03\x04" * 20}[kind]


@pytest.mark.parametrize("kind", ["truncated", "empty", "foreign", "edited", "without metadata", "checksum gone", "no curves", "words"])
def test_a_bad_file_of_curves_is_named_hides_no_other_and_is_not_deleted(store: StudyStore, kind: str) -> None:
    writer = CurveWriter(store)
    writer.write({"b": [{"step": 0.0, "loss": 3.0}]}, 2, {})
    store.write_bytes("curves/part-000000000001.parquet", damaged_file(kind))
    for _ in range(2):
        said: list[str] = []
        assert read_curves(store, {"a": 1, "b": 2}, said.append)["trial_id"].tolist() == ["b"]
        assert len(said) == 1
        assert said[0].startswith("curves/part-000000000001.parquet cannot be read (")
        writer.compact({"a": 1, "b": 2})
    assert store.names("curves") == ["curves/curves.parquet", "curves/part-000000000001.parquet"]
    assert store.read_bytes("curves/part-000000000001.parquet") == damaged_file(kind)


def test_packed_curves_that_went_bad_are_not_packed_over(store: StudyStore) -> None:
    writer = CurveWriter(store)
    store.write_bytes("curves/curves.parquet", damaged_file("truncated"))
    writer.write({"b": [{"step": 0.0, "loss": 3.0}]}, 2, {})
    writer.compact({"b": 2})
    assert store.read_bytes("curves/curves.parquet") == damaged_file("truncated")
    assert points(store, {"b": 2}) == {"b": [3.0]}


@pytest.fixture
def old_study(tmp_path: Path) -> StudyStore:
    """A study of schema 3 without its ledger, as committed ones are."""
    shutil.copytree(FROZEN[0].parent / "study-v3", tmp_path / "old")
    (tmp_path / "old" / "ledger.jsonl").unlink()
    return StudyStore(str(tmp_path), "old")


def test_a_study_of_schema_3_is_read_for_ever_from_its_ledger_or_without(old_study: StudyStore) -> None:
    study = load(old_study)
    whole = load(StudyStore(str(FROZEN[0].parent), "study-v3"))
    assert study.damages == whole.damages == []
    assert len(study.frame) == len(whole.frame) == 12
    assert study.frame["metric.value"].tolist() == whole.frame["metric.value"].tolist()
    assert len(study.curves) == len(whole.curves) == 36
    for found in (study, whole):
        (verdict,) = judge(found).verdicts
        assert (verdict.verdict, round(verdict.interval.estimate, 12), verdict.interval.n) == ("inconclusive", -1.0, 2)
        assert found.env["host"] == "node-1"


def test_the_curves_of_a_trial_that_left_the_plan_are_not_the_studys(old_study: StudyStore) -> None:
    plan = read_plan(old_study)
    left = load(old_study, plan=replace(plan, trials=plan.trials[1:]))
    assert set(left.curves["trial_id"]) == {trial.id for trial in plan.trials[1:]}


def test_the_status_of_a_study_without_its_ledger_is_that_of_its_tables(old_study: StudyStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "old", "--store", old_study.store_uri]) == 0
    assert "12 of 12 trials recorded, 0 left" in capsys.readouterr().out


def test_rows_that_do_not_say_what_their_id_says_are_left_out_by_name(old_study: StudyStore) -> None:
    table = read_trials(old_study.read_bytes("trials/misbehaving.parquet")).drop(columns="notes")
    first, second = table["trial_id"][:2]
    table.loc[0, "param.size"] = 9
    table.loc[1, "method"] = "plain"
    old = pq.read_table(io.BytesIO(to_parquet(table))).replace_schema_metadata({b"papertrial.schema_version": b"3"})
    sink = io.BytesIO()
    pq.write_table(old, sink)
    old_study.write_bytes("trials/misbehaving.parquet", sink.getvalue())
    study = load(old_study)
    assert len(study.frame) == 10
    assert [damage.split(" does")[0] for damage in study.damages] == [f"trials/misbehaving.parquet: trial {id}" for id in (first, second)]
    old_study.write_bytes("trials/copy.parquet", sink.getvalue())
    assert load(old_study).frame.empty, "of two records of one trial neither is known to be the right one"


def test_a_bad_file_of_trials_hides_no_other(old_study: StudyStore) -> None:
    old_study.write_bytes("trials/other.parquet", b"PAR1")
    old_study.write_bytes("env.json", json.dumps(["not", "an", "object"]).encode())
    study = load(old_study)
    assert len(study.frame) == 12
    assert [damage.split(" (")[0] for damage in study.damages] == ["trials/other.parquet cannot be read", "env.json cannot be read"]


@pytest.mark.fuzz
@hypothesis.given(st.data())
def test_whatever_happens_to_a_table_no_value_changes_unseen(data: st.DataObject) -> None:
    whole = to_parquet(records_frame([record("a"), record("b", metrics={"x": 0.25, "y": 3.0})]))
    mutated = data.draw(mutated_bytes(whole))
    try:
        found = read_trials(mutated)
    except StoreError:
        return
    pd.testing.assert_frame_equal(found, read_trials(whole))


@pytest.mark.fuzz
@hypothesis.given(st.data())
def test_whatever_happens_to_an_old_table_it_is_read_or_refused(data: st.DataObject) -> None:
    with contextlib.suppress(StoreError):
        read_trials(data.draw(mutated_bytes((FROZEN[-1]).read_bytes())))
