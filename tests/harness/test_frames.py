"""Parquet: round trips, the frozen old file, and curves of repeated attempts."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from harness import frames
from harness.errors import StoreError
from harness.frames import CurveWriter, read_curves, read_trials, records_frame, to_parquet, write_trials
from harness.record import SCHEMA_VERSION
from harness.store import StudyStore
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


@pytest.mark.parametrize("file", FROZEN, ids=lambda file: file.stem)
def test_a_file_of_an_older_schema_is_read_for_ever(file: Path) -> None:
    frame = read_trials(file.read_bytes())
    assert frame["experiment"].tolist() == ["", ""]
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
    writer.write({"a": [{"step": 0.0, "loss": 9.0}, {"step": 1.0, "loss": 8.0}], "b": [{"step": 0.0, "loss": 1.0}]})
    writer.write({"a": [{"step": 0.0, "loss": 3.0}]})
    for _ in range(2):
        curves = read_curves(store)
        assert curves[curves["trial_id"] == "a"][["step", "loss"]].to_numpy().tolist() == [[0.0, 3.0]]
        assert len(curves) == 2
        writer.compact()
    assert store.names("curves") == ["curves/curves.parquet"]


def test_curves_of_one_trial_over_different_things_do_not_overwrite_each_other(store: StudyStore) -> None:
    points = [{"step": 0.0, "loss": 1.0}, {"step": 0.0, "psd": 5.0}, {"step": 4.0, "psd": 6.0}, {"step": 0.0, "loss": 2.0}]
    CurveWriter(store).write({"a": points})
    curves = read_curves(store)
    assert curves["step"].tolist() == [0.0, 4.0]
    assert curves["psd"].tolist() == [5.0, 6.0]
    assert curves["loss"].tolist()[0] == 2.0
    assert math.isnan(curves["loss"].tolist()[1])


def test_a_kill_between_packing_and_deleting_shows_no_point_twice(store: StudyStore) -> None:
    writer = CurveWriter(store)
    writer.write({"a": [{"step": 0.0, "loss": 9.0}]})
    part = store.names("curves")[0]
    kept = store.read_bytes(part)
    writer.compact()
    store.write_bytes(part, kept)
    assert len(read_curves(store)) == 1


def test_many_parts_are_packed_on_the_way(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_CURVE_PARTS", 4)
    writer = CurveWriter(store)
    for trial in "abcdefghij":
        writer.write({trial: [{"step": 0.0, "loss": 1.0}]})
    assert len(store.names("curves")) <= 5
    assert sorted(read_curves(store)["trial_id"]) == list("abcdefghij")
