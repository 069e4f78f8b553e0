"""The rooms: what may import what, checked by the same contracts as CI, and that those contracts can break."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import faults

ROOT = Path(__file__).parents[1]
LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
PACKAGES = ("harness", "kernels", "tests", "tasks", "tasks/blocks", "tasks/apples", "tasks/apples/paper", "tasks/oranges")


def checked(folder: Path, importer: str, line: str, contract: str) -> subprocess.CompletedProcess[str]:
    """`lint-imports` with one of our contracts on a small tree in which `importer` has the import `line`."""
    for package in PACKAGES:
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / importer / "__init__.py").write_text(line + "\n")
    shutil.copy(ROOT / "tests" / "field_contract.py", folder / "tests")
    head, *contracts = (ROOT / "pyproject.toml").read_text().split("[tool.importlinter]")[1].split("[[tool.importlinter.contracts]]")
    rule = next(text for text in contracts if contract in text)
    (folder / "pyproject.toml").write_text(f"[tool.importlinter]{head}[[tool.importlinter.contracts]]{rule}")
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder), "PATH": ""})


def test_the_rooms_import_only_what_they_may() -> None:
    done = subprocess.run(LINT, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_harness_that_imports_a_task_is_caught(tmp_path: Path) -> None:
    done = checked(tmp_path, "harness", "import tasks.apples", "the engine knows no paper")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the engine knows no paper and no kernel BROKEN" in done.stdout


@pytest.mark.parametrize(
    ("importer", "line", "kept"),
    [
        ("tasks/oranges", "import tasks.apples.paper", False),
        ("tasks/blocks", "import tasks.apples", False),
        ("tasks/apples/paper", "import tasks.blocks\nimport tasks.apples", True),
    ],
)
def test_a_field_that_nobody_listed_is_guarded(tmp_path: Path, importer: str, line: str, kept: bool) -> None:
    done = checked(tmp_path, importer, line, 'type = "strangers"')
    assert done.returncode == (0 if kept else 1), done.stdout + done.stderr
    assert kept or "fields are strangers" in done.stdout


def test_the_fault_table_names_tests_that_exist() -> None:
    table = [line for line in faults.TABLE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| fault")]
    assert all("::" in line for line in table)
    for node in faults.named():
        file, _, name = node.partition("::")
        assert f"\ndef {name.partition('[')[0]}(" in (ROOT / file).read_text(), node
