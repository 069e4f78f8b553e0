"""What was found out about a file is remembered until the file changes, and not while it may be changing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import file_memory
from harness.file_memory import remembered


def finds(folder: Path, file: Path) -> tuple[list[str], int]:
    """What is said of the file, and how often it was read for that."""
    read: list[Path] = []

    def find(path: Path) -> str:
        read.append(path)
        return path.read_text()

    return remembered(folder / "memory.sqlite", "text-1", [file], find), len(read)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "a.txt"
    made.write_text("one")
    return made


def test_a_file_that_may_still_change_is_read_again(tmp_path: Path, file: Path) -> None:
    assert [finds(tmp_path, file) for _ in range(2)] == [(["one"], 1)] * 2


def test_a_settled_file_is_read_once(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_memory, "_SETTLED_NS", 0)
    assert [finds(tmp_path, file) for _ in range(2)] == [(["one"], 1), (["one"], 0)]
    assert remembered(tmp_path / "memory.sqlite", "text-2", [file], lambda path: "other finding") == ["other finding"]


def test_neither_size_nor_time_of_change_hides_another_content(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_memory, "_SETTLED_NS", 0)
    before = file.stat()
    finds(tmp_path, file)
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert finds(tmp_path, file) == (["two"], 1)


def test_a_memory_that_cannot_be_used_is_done_without(tmp_path: Path, file: Path) -> None:
    (tmp_path / "memory.sqlite").write_bytes(b"no database " * 100)
    assert finds(tmp_path, file) == (["one"], 1)
