"""The ledger: whatever was appended is read back, and damage costs no more than the damaged line."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from harness import ledger
from harness.ledger import Ledger
from harness.record import Record
from harness.store import StudyStore


def record(id: str, **changes: object) -> Record:
    identity = {"trial_id": id, "task": "t", "version": 1, "scale": "smoke", "method": "m", "seed": 0, "params": {"a": 1}}
    base = Record(**identity, metrics={"x": 0.5}, status="ok", peak_memory_mib=1.0)  # type: ignore[arg-type]
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(str(tmp_path), "study")


def append(store: StudyStore, *records: Record) -> None:
    book = Ledger(store)
    book.append(records)
    book.close()


def file(store: StudyStore) -> Path:
    path = store.local("ledger.jsonl")
    assert path is not None
    return path


def test_records_come_back_as_they_went(store: StudyStore) -> None:
    failed = record("a", status="failed", error="RuntimeError: no\ntraceback", metrics={})
    full = dataclasses.replace(failed, versions={"torch": "2"}, data_kind="real", seconds=1.5)
    append(store, full, record("b"))
    assert ledger.read(store).records == {"a": full, "b": record("b")}


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinities_survive(store: StudyStore, value: float) -> None:
    append(store, record("a", metrics={"x": value}, status="diverged"))
    assert ledger.read(store).records["a"].metrics == {"x": value}


def test_nan_survives_and_the_file_is_strict_json(store: StudyStore) -> None:
    append(store, record("a", metrics={"x": math.nan}, status="diverged"))
    assert math.isnan(ledger.read(store).records["a"].metrics["x"])
    assert b"NaN" not in file(store).read_bytes()


def test_the_last_record_of_a_trial_counts(store: StudyStore) -> None:
    append(store, record("a", status="failed", metrics={}))
    append(store, record("a"))
    assert ledger.read(store).records["a"].status == "ok"


@pytest.mark.parametrize("kept", [1, 20, 150])
def test_a_torn_last_line_costs_only_its_own_trial(store: StudyStore, kept: int) -> None:
    append(store, record("a"), record("b"))
    lines = file(store).read_bytes().splitlines(keepends=True)
    file(store).write_bytes(lines[0] + lines[1][:kept])
    contents = ledger.read(store)
    assert list(contents.records) == ["a"]
    assert contents.unreadable == [2]
    append(store, record("c"))
    assert list(ledger.read(store).records) == ["a", "c"], "what is appended after a torn line must not be glued to it"


@pytest.mark.parametrize("damage", [b"\x00\x00\x00", b"{}", b'{"trial_id": "x"}', b"[1]", b"\xff\xfe", b'"text"'])
def test_a_damaged_line_is_named_and_the_rest_is_kept(store: StudyStore, damage: bytes) -> None:
    append(store, record("a"), record("b"))
    first, second = file(store).read_bytes().splitlines(keepends=True)
    file(store).write_bytes(first + damage + b"\n\n  \n" + second)
    contents = ledger.read(store)
    assert list(contents.records) == ["a", "b"]
    assert contents.unreadable == [2]


def test_an_unknown_status_is_not_taken_for_a_record(store: StudyStore) -> None:
    append(store, record("a"))
    file(store).write_bytes(file(store).read_bytes().replace(b'"ok"', b'"fine"'))
    assert ledger.read(store).unreadable == [1]


def test_a_field_of_a_newer_version_does_not_lose_the_record(store: StudyStore) -> None:
    append(store, record("a"))
    file(store).write_bytes(file(store).read_bytes().replace(b'{"trial_id"', b'{"added_later":1,"trial_id"'))
    assert list(ledger.read(store).records) == ["a"]


def test_a_missing_ledger_is_an_empty_one(store: StudyStore) -> None:
    assert ledger.read(store).records == {}
