"""Stores: whole files or none, on local paths and through file systems by URI."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StoreError, UsageError
from harness.store import StudyStore, open_study
from tests.harness.conftest import Command
from tests.object_store import Server


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "study")
    store.write_text("plan.json", "old")
    with pytest.raises(TypeError):
        store.write_bytes("plan.json", "not bytes")  # type: ignore[arg-type]
    assert store.read_bytes("plan.json") == b"old"
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["plan.json"]


def test_the_start_of_a_name_will_do_where_one_study_is_called_so(tmp_path: Path) -> None:
    for name in ("first-smoke", "first-laptop", "second-smoke", "reference/third-laptop"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "plan.json").write_text("{}")
    assert open_study("sec", str(tmp_path)).uri == str(tmp_path / "second-smoke")
    assert open_study("third", str(tmp_path)).uri == str(tmp_path / "reference" / "third-laptop")
    with pytest.raises(UsageError, match=r"unknown study .*: 'first'.*\(choices: first-(smoke, first-laptop|laptop, first-smoke)\)"):
        open_study("first", str(tmp_path))


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        StudyStore(str(tmp_path / "file"), "study").check_writable()


def test_names_lists_a_folder_without_half_written_files(tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "study")
    assert store.names("curves") == []
    for name in ("curves/b.parquet", "curves/a.parquet"):
        store.write_bytes(name, b"x")
    (tmp_path / "study" / "curves" / ".a.parquet-tmp").touch()
    assert store.names("curves") == ["curves/a.parquet", "curves/b.parquet"]
    store.remove("curves/a.parquet")
    store.remove("curves/a.parquet")
    assert store.names("curves") == ["curves/b.parquet"]


def test_a_scheme_that_nothing_serves_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="not a path or URI that can be opened"):
        StudyStore("nosuch://bucket/x", "study")


def test_a_study_is_found_by_name_and_by_folder_and_a_wrong_name_gets_the_nearest(tmp_path: Path) -> None:
    StudyStore(str(tmp_path), "first-smoke").write_text("plan.json", "{}")
    assert open_study("first-smoke", str(tmp_path)).uri == open_study(str(tmp_path / "first-smoke")).uri == str(tmp_path / "first-smoke")
    with pytest.raises(UsageError, match="did you mean 'first-smoke'"):
        open_study("frist-smoke", str(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../../evil",
            "/tmp/evil",
            "a/b",
            "a\\b",
            ".",
            "..",
            "",
            " ",
            "~/x",
            "~x",
            "-x",
            ".x",
            "x.",
            "x ",
            "a\nb",
            "\udce9",
            "a\x1bb",
        ),
        *("x" * 151, "é" * 76, "a:b", "a?b", "a*b", "<a>", 'a"b', "a|b", "CON", "nul.txt", "com1"),
    ],
)
def test_what_a_study_may_not_be_called_is_said_and_nothing_is_made(papertrial: Command, tmp_path: Path, name: str) -> None:
    for words in (["run", "misbehaving", "--scale", "smoke", "--local", f"--study={name}"], ["status", f"--store={tmp_path}", "--", name]):
        said = papertrial(*words)
        assert said.code == 2
        assert said.err.startswith(f"papertrial: a study cannot be called {name[:150]!r}: ")
        assert said.err.count("\n") == 1
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("name", ["a [v2]", "x_1.5+b,c=d@(e)", "日本", "µP", "Console", "x" * 150])
def test_other_names_are_folders_of_the_store(tmp_path: Path, name: str) -> None:
    store = StudyStore(str(tmp_path), name)
    store.write_text("plan.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert open_study(name, str(tmp_path)).uri == open_study(str(tmp_path / name)).uri == store.uri


@pytest.mark.parametrize("store", ["", " ", "~nobody-here/x", "a\x00b", "nosuch://u:hunter2-planted@x/y", "x" * 5000])
def test_a_store_that_can_be_no_folder_is_one_sentence(papertrial: Command, tmp_path: Path, store: str) -> None:
    for words in (
        ["status", "x"],
        ["run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none"],
        ["plan", "misbehaving", "--scale", "smoke"],
    ):
        said = papertrial(*words, f"--store={store}")
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "planted" not in said.err
    assert not list(tmp_path.rglob("*"))


def test_a_study_is_found_by_a_uri_with_a_query(object_store: Server, tmp_path: Path) -> None:
    uri = object_store.uri(tmp_path.name)
    StudyStore(uri, "study").write_text("plan.json", "{}")
    found = open_study(uri.replace("?", "/study?"))
    assert found.parent_uri == uri
    assert found.read_bytes("plan.json") == b"{}"
