"""What counts as a change of the code behind a number."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import provenance, registry
from harness.plan import TrialSpec
from harness.record import Record
from tests.harness.fabricated import record_of

TASK = "from tests.harness.fabricated import task_of\nTASK = task_of(id='{0}')\n"


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two committed tasks that share a field, in a repository of their own."""
    root = tmp_path / "tasks_in_git"
    for name in ("one", "two"):
        (root / "field" / name).mkdir(parents=True)
        (root / "field" / name / "task.py").write_text(TASK.format(name))
    (root / "blocks").mkdir()
    (root / "blocks" / "net.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    monkeypatch.setenv(registry.TASK_PATHS, str(root))
    return root


def dirty(*ids: str) -> bool:
    return provenance.task_state(ids)[1]


def test_a_clean_checkout_is_clean_and_scratch_files_beside_the_code_do_not_matter(root: Path) -> None:
    (root.parent / "notes.py").write_text("x = 1\n")
    (root / "field" / "one" / "notes.txt").write_text("x\n")
    assert not dirty("one", "two")
    assert len(provenance.task_state(["one"])[0]) == 40


@pytest.mark.parametrize("name", ["field/one/helper.py", "field/shared.py", "blocks/new.py"])
def test_a_source_that_the_repository_does_not_have_is_a_change(root: Path, name: str) -> None:
    before = provenance.source_digest("one")
    (root / name).write_text("RATE = 2\n")
    assert dirty("one")
    assert provenance.source_digest("one") != before


def test_a_file_of_another_paper_is_no_change_unless_both_run(root: Path) -> None:
    (root / "field" / "two" / "helper.py").write_text("")
    assert not dirty("one")
    assert dirty("one", "two")


def test_an_ignored_source_is_a_change_and_so_is_an_edited_one(root: Path) -> None:
    (root.parent / ".gitignore").write_text("secret.py\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "ignore")
    (root / "field" / "one" / "secret.py").write_text("")
    assert dirty("one")
    (root / "field" / "one" / "secret.py").unlink()
    assert not dirty("one")
    (root / "blocks" / "net.py").write_text("x = 1\n")
    assert dirty("one")


def test_records_of_another_source_are_counted_by_task(root: Path) -> None:
    now = provenance.source_digest("one")
    records = [record(task, digest) for task, digest in (("one", now), ("one", "old"), ("one", "older"), ("one", ""), ("gone", "old"))]
    assert provenance.of_other_sources(records[:1]) == []
    (said,) = provenance.of_other_sources(records)
    assert said.startswith(
        f"2 of 4 records of one were measured by another source of the task than today's (old, older, now {now}) and stay"
    )
    (root / "field" / "one" / "task.py").write_text(TASK.format("one") + "RATE = 2\n")
    assert provenance.of_other_sources(records[:1])[0].startswith("1 of 1 records of one were measured by another source of the task than")


def record(task: str, digest: str) -> Record:
    """One that a trial of this task left, measured by that source."""
    return record_of(
        TrialSpec(task=task, version=1, scale="laptop", experiment="train", method="left", params={}, seed=0), {}, source_digest=digest
    )
