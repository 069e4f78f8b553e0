"""The ledger: whatever was appended is read back, and damage costs no more than the damaged line."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import hypothesis
import pytest
from hypothesis import strategies as st

from harness import ledger
from harness.checksums import is_signed, read_signed, signed
from harness.errors import StoreError
from harness.ledger import Ledger
from harness.plan import trial_id
from harness.record import SCHEMA_VERSION, Record
from harness.store import LEDGER, StudyStore
from tests.harness.conftest import Command
from tests.harness.damage import mutated_bytes, mutated_json, small_files

FROZEN = Path(__file__).parent / "frozen"


def record(id: str, **changes: object) -> Record:
    identity = {"trial_id": id, "task": "t", "version": 1, "scale": "smoke", "method": "m", "seed": 0, "params": {"a": 1}}
    base = Record(**identity, metrics={"x": 0.5}, status="ok", peak_memory_mib=1.0, energy_j=2.0)  # type: ignore[arg-type]
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def own(name: str, **changes: object) -> Record:
    """A record under the id of what it says; `name` is its method."""
    made = record("", **({"method": name} | changes))
    id = trial_id(made.task, made.version, made.scale, made.experiment, made.method, made.params, made.seed, made.data_fingerprint)
    return dataclasses.replace(made, trial_id=id)


def ids(*names: str) -> list[str]:
    return [own(name).trial_id for name in names]


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
    failed = own("a", status="failed", error="RuntimeError: no\ntraceback", metrics={})
    full = dataclasses.replace(failed, versions={"torch": "2"}, data_kind="real", seconds=1.5)
    append(store, full, own("b"))
    assert ledger.read(store).records == {full.trial_id: full, own("b").trial_id: own("b")}


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinities_survive(store: StudyStore, value: float) -> None:
    append(store, own("a", metrics={"x": value}, status="diverged"))
    assert ledger.read(store).records[own("a").trial_id].metrics == {"x": value}


def test_nan_survives_and_the_file_is_strict_json(store: StudyStore) -> None:
    append(store, own("a", metrics={"x": math.nan}, status="diverged"))
    assert math.isnan(ledger.read(store).records[own("a").trial_id].metrics["x"])
    assert b"NaN" not in file(store).read_bytes()


def test_the_last_record_of_a_trial_counts(store: StudyStore) -> None:
    append(store, own("a", status="failed", metrics={}))
    append(store, own("a"))
    assert ledger.read(store).records[own("a").trial_id].status == "ok"


@pytest.mark.parametrize("kept", [1, 20, 150])
def test_a_torn_last_line_costs_only_its_own_trial(store: StudyStore, kept: int) -> None:
    append(store, own("a"), own("b"))
    lines = file(store).read_bytes().splitlines(keepends=True)
    file(store).write_bytes(lines[0] + lines[1][:kept])
    contents = ledger.read(store)
    assert list(contents.records) == ids("a")
    assert list(contents.unreadable) == [2]
    append(store, own("c"))
    assert list(ledger.read(store).records) == ids("a", "c"), "what is appended after a torn line must not be glued to it"


@pytest.mark.parametrize("damage", [b"\x00\x00\x00", b"{}", b'{"trial_id": "x"}', b"[1]", b"\xff\xfe", b'"text"'])
def test_a_damaged_line_is_named_and_the_rest_is_kept(store: StudyStore, damage: bytes) -> None:
    append(store, own("a"), own("b"))
    first, second = file(store).read_bytes().splitlines(keepends=True)
    file(store).write_bytes(first + damage + b"\n\n  \n" + second)
    contents = ledger.read(store)
    assert list(contents.records) == ids("a", "b")
    assert list(contents.unreadable) == [2]


def test_an_unknown_status_is_not_taken_for_a_record(store: StudyStore) -> None:
    append(store, own("a"))
    file(store).write_bytes(file(store).read_bytes().replace(b'"ok"', b'"fine"'))
    assert list(ledger.read(store).unreadable) == [1]


def test_a_field_of_a_newer_version_does_not_lose_the_record(store: StudyStore) -> None:
    fields = signed({"schema_version": 4, "added_later": 1, **own("a").to_json()})
    file(store).parent.mkdir()
    file(store).write_text(json.dumps(fields) + "\n")
    assert list(ledger.read(store).records) == ids("a")


def test_a_missing_ledger_is_an_empty_one(store: StudyStore) -> None:
    assert ledger.read(store).records == {}


def lines(store: StudyStore, *rows: Any) -> ledger.LedgerContents:
    """What is read of a ledger of these lines, JSON or text."""
    file(store).parent.mkdir(exist_ok=True)
    file(store).write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return ledger.read(store)


def test_a_record_that_is_not_ok_never_replaces_one_that_is(store: StudyStore) -> None:
    append(
        store, own("a"), own("a", status="failed", metrics={}), own("b", status="failed", metrics={}), own("b", status="oom", metrics={})
    )
    contents = ledger.read(store)
    assert [record.status for record in contents.records.values()] == ["ok", "oom"]
    assert list(contents.lines.values()) == [1, 4]


@pytest.mark.parametrize("moved", ["gone", "blank", "reversed"])
def test_a_record_keeps_its_number_when_lines_before_it_are_lost_or_put_in(store: StudyStore, moved: str) -> None:
    append(store, own("a"), own("b"), own("c"))
    first, *others = file(store).read_bytes().splitlines(keepends=True)
    file(store).write_bytes(b"".join({"gone": others, "blank": [b"\n", first, *others], "reversed": [*others[::-1], first]}[moved]))
    found = ledger.read(store)
    numbers = dict(zip(ids("a", "b", "c"), (1, 2, 3), strict=True))
    assert {id: numbers[id] for id in found.records} == found.lines
    assert len(found.lines) == (2 if moved == "gone" else 3)
    append(store, own("d"))
    assert max(ledger.read(store).lines.values()) > 3, "no number is given twice"


@pytest.mark.parametrize("change", [{"metrics": {"x": 0.25}}, {"seed": 1}, {"status": "failed"}, {"params": {"a": 2}}, {"git_commit": "x"}])
def test_an_edited_line_is_named_and_not_believed(store: StudyStore, change: dict[str, Any]) -> None:
    append(store, own("a"), own("b"))
    first, second = (json.loads(line) for line in file(store).read_text().splitlines())
    contents = lines(store, first, second | change)
    assert list(contents.records) == ids("a")
    assert contents.damages == [
        "ledger.jsonl line 2 cannot be read (its checksum is not its own: it was damaged or edited): its trial counts as not done"
    ]
    assert list(lines(store, json.dumps(first, indent=None, separators=(" , ", " : "))).records) == ids("a"), "spaces change nothing"


def test_many_bad_lines_are_one_sentence_with_their_numbers(store: StudyStore) -> None:
    contents = lines(store, "[]", own("a").to_json(), *["[]"] * 30)
    (sentence,) = contents.damages
    assert sentence.startswith("ledger.jsonl lines 1, 3, 4, 5,")
    assert sentence.endswith(" and 11 more cannot be read (it is no JSON object): their trials count as not done")


def test_a_line_whose_checksum_was_taken_away_is_not_taken_for_an_old_one(store: StudyStore) -> None:
    append(store, own("a"))
    (line,) = file(store).read_text().splitlines()
    assert list(lines(store, {name: value for name, value in json.loads(line).items() if name != "checksum"}).unreadable) == [1]


def test_a_line_that_lost_its_schema_version_too_is_not_taken_for_an_old_one(store: StudyStore) -> None:
    append(store, own("a"))
    fields = json.loads(file(store).read_text())
    kept = {name: value for name, value in fields.items() if name not in ("checksum", "schema_version")}
    assert lines(store, kept | {"metrics": {"x": 9.0}}).unreadable == {1: "its checksum is not its own: it was damaged or edited"}


def test_a_record_under_the_id_of_another_trial_is_named(store: StudyStore) -> None:
    old = own("a", experiment="train").to_json()
    assert list(lines(store, old).records) == [old["trial_id"]], "a line from before there were checksums"
    for change in ({"trial_id": own("b").trial_id}, {"params": {"a": 2}}, {"data_fingerprint": "f00"}, {"version": 2}, {"seed": 3}):
        contents = lines(store, own("c").to_json(), old | change)
        assert list(contents.records) == ids("c")
        assert "it says that it is trial" in contents.unreadable[2]


@pytest.mark.parametrize(
    "change",
    [
        {"params": [1]},
        {"params": {"a": {"b": 1}}},
        {"metrics": {"x": "0.5"}},
        {"metrics": {"x": True}},
        {"metrics": [0.5]},
        {"metrics": {"x": "nan"}},
        {"seed": "0"},
        {"seed": True},
        {"status": ["ok"]},
        {"started": "yesterday"},
        {"started": "2026-11-28T10:00:00"},
        {"error": None},
        {"versions": {"torch": 2}},
        {"trial_id": {}},
        {"seconds": "long"},
        {"attempts": 1e999},
    ],
    ids=str,
)
def test_a_line_of_another_shape_is_named(store: StudyStore, change: dict[str, Any]) -> None:
    contents = lines(store, own("a").to_json(), own("b").to_json() | change)
    assert list(contents.records) == ids("a")
    assert list(contents.unreadable) == [2]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "1" * 5000, "NaN", '{"trial_id": "\\ud800"}'], ids=lambda text: text[:6])
def test_what_no_parser_likes_is_named(store: StudyStore, text: str) -> None:
    assert list(lines(store, text, own("a").to_json()).unreadable) == [1]


def test_a_line_of_a_newer_schema_is_named(store: StudyStore) -> None:
    contents = lines(store, signed({"schema_version": SCHEMA_VERSION + 1, **own("a").to_json()}))
    assert contents.unreadable == {1: f"it has schema version {SCHEMA_VERSION + 1}; this papertrial reads 4 to {SCHEMA_VERSION}"}


@pytest.mark.parametrize(("version", "lines"), [(3, {0}), (4, set(range(1, 13)))])
def test_the_ledger_of_an_older_schema_is_read_for_ever(store: StudyStore, version: int, lines: set[int]) -> None:
    file(store).parent.mkdir()
    shutil.copy(FROZEN / f"study-v{version}" / "ledger.jsonl", file(store))
    contents = ledger.read(store)
    assert len(contents.records) == 12
    assert not contents.unreadable
    assert set(contents.lines.values()) == lines
    assert {record.packed for record in contents.records.values()} == {1}
    assert {record.status for record in contents.records.values()} == {"ok"}


def test_a_full_disk_is_one_error_and_the_file_ends_with_whole_lines_again(store: StudyStore) -> None:
    append(store, own("a"))
    book = Ledger(store)
    with small_files(file(store).stat().st_size + 30), pytest.raises(StoreError, match=r"ledger.jsonl cannot be written: "):
        book.append([own("b")])
    with small_files(0):
        book.close()
    append(store, own("c"))
    assert list(ledger.read(store).records) == ids("a", "c")


@pytest.mark.fuzz
@hypothesis.given(st.data())
def test_whatever_happens_to_a_ledger_no_value_changes_unseen(data: st.DataObject) -> None:
    sample = [
        own("a"),
        own("b", metrics={"x": math.inf}, status="diverged"),
        own("c", error="RuntimeError: no", status="failed", metrics={}),
    ]
    text = b"".join(ledger._line(record, line) for line, record in enumerate(sample, start=1))
    contents = ledger._parsed(data.draw(mutated_bytes(text)))
    assert all(record in sample for record in contents.records.values())


@pytest.mark.fuzz
@hypothesis.given(st.data())
def test_an_old_line_of_any_shape_is_read_or_named(data: st.DataObject) -> None:
    row = data.draw(mutated_json(own("a", experiment="train").to_json()))
    contents = ledger._parsed(json.dumps(row).encode())
    assert len(contents.records) + len(contents.unreadable) == 1


def test_a_run_does_not_write_over_the_tables_of_a_study_without_its_ledger(papertrial: Command, tmp_path: Path) -> None:
    words = ["misbehaving", "--scale", "smoke", "--study", "s"]
    assert papertrial("run", *words, "--local", "--tracking-uri", "none").code == 0
    study = tmp_path / "results" / "s"
    (study / LEDGER).unlink()
    before = (study / "trials" / "misbehaving.parquet").read_bytes()
    assert "the tables in trials/ are shown, and no run writes over them" in papertrial("plan", *words).out
    again = papertrial("run", *words, "--local", "--tracking-uri", "none")
    assert again.code == 2
    assert "has tables of records and no ledger" in again.err
    assert (study / "trials" / "misbehaving.parquet").read_bytes() == before
    assert papertrial("report", "s").code == 0


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@hypothesis.given(st.dictionaries(st.text(max_size=4).filter(lambda name: name != "checksum"), _VALUES, max_size=6))
def test_the_quick_way_reads_what_json_reads(fields: dict[str, Any]) -> None:
    text = json.dumps(signed(fields))
    if (found := read_signed(text.encode())) is not None:
        assert json.dumps(found, sort_keys=True) == json.dumps(fields, sort_keys=True)


@pytest.mark.parametrize(
    "value",
    [
        1e-4,
        1e-5,
        -2.5e-5,
        1e-7,
        1e15,
        1e16,
        -1.5e300,
        5e-324,
        0.1,
        2**63,
        "caf\u00e9",
        "\u2013 \U0001f600",
        '\x7f\t\n"\\',
        {"b": 1e-5, "a": []},
    ],
)
def test_the_quick_way_knows_how_json_spells(value: Any) -> None:
    text = json.dumps(signed({"z": value, "a": 1})).encode()
    assert read_signed(text) == {"z": value, "a": 1}


@hypothesis.given(st.data())
def test_the_quick_way_takes_nothing_that_is_not_signed(data: st.DataObject) -> None:
    text = json.dumps(signed({"metrics": {"loss": 1.25e-05}, "error": "\u00e9 1e-05,", "seed": 3}))
    place = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:place] + data.draw(st.characters(codec="utf-8")) + text[place + 1 :]
    found = read_signed(damaged.encode())
    assert found is None or is_signed(json.loads(damaged))


def test_what_lines_say_alike_is_read_once(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [("a", 1), ("a", 1.0), ("b", 1)]
    written = [own(name, seed=seed, params={"a": a}, metrics={"x": seed / 3}) for seed in range(40) for name, a in names]
    append(store, *written)
    full = Mock(wraps=Record.from_json)
    monkeypatch.setattr(Record, "from_json", full)
    found = ledger.read(store).records
    assert found == {record.trial_id: record for record in written}
    assert [type(found[record.trial_id].params["a"]) for record in written[:3]] == [int, float, int]
    assert full.call_count == len(names)
    shared = {id(record.params) for record in found.values()}
    assert len(shared) == len(names)


def test_a_record_under_anothers_id_is_not_read_for_its_likeness(store: StudyStore) -> None:
    one, other = own("a", seed=0), own("a", seed=1)
    append(store, one, dataclasses.replace(other, seed=2), own("a", seed=3, metrics={"x": math.inf}))
    contents = ledger.read(store)
    assert list(contents.records) == [one.trial_id]
    assert ["another" in why or "what it holds is trial" in why or "not finite" in why for why in contents.unreadable.values()] == [
        True
    ] * 2


def test_a_status_reads_how_trials_ended_and_makes_no_record(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    written = [own("a", seed=0), own("a", seed=1, status="failed"), own("b", seed=0)]
    again = [
        dataclasses.replace(written[0], status="failed"),
        dataclasses.replace(written[1], status="oom"),
        own("b", seed=1, status="timeout"),
    ]
    append(store, *written, *again)
    whole = {id: record.status for id, record in ledger.read(store).records.items()}
    assert set(whole.values()) == {"ok", "oom", "timeout"}
    full = Mock(wraps=Record.from_json)
    monkeypatch.setattr(Record, "from_json", full)
    found, damages = ledger.states(store)
    assert ({id: state.status for id, state in found.items()}, damages) == (whole, [])
    assert full.call_count == 0
    file(store).write_bytes(file(store).read_bytes().replace(b'"status":"oom"', b'"status":"ok"'))
    found, damages = ledger.states(store)
    assert found[written[1].trial_id].status == "failed"
    assert damages == ledger.read(store).damages
    assert damages
