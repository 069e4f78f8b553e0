"""The rooms: what may import what, checked by the same contracts as CI, and that those contracts can break."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]


def test_the_rooms_import_only_what_they_may() -> None:
    done = subprocess.run(LINT, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_harness_that_imports_a_task_is_caught(tmp_path: Path) -> None:
    for package, line in (("harness", "import tasks.paper"), ("tasks", ""), ("tasks/paper", ""), ("kernels", "")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(line + "\n")
    contracts = (ROOT / "pyproject.toml").read_text().split("[tool.importlinter]")[1].split("[[tool.importlinter.contracts]]")[:2]
    text = "[tool.importlinter]" + "[[tool.importlinter.contracts]]".join(contracts)
    (tmp_path / "pyproject.toml").write_text(text)
    done = subprocess.run(LINT, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path), "PATH": ""})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the engine knows no paper and no kernel BROKEN" in done.stdout
