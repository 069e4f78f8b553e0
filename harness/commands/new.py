"""`papertrial new`: a working task skeleton with its test."""

from __future__ import annotations

import argparse
import re
from importlib import resources
from pathlib import Path

from harness import registry
from harness.console import console as make_console
from harness.errors import UsageError
from harness.registry import TASK_PATHS

_FIXTURE = """

@pytest.fixture(autouse=True)
def _task_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("{variable}", "{root}")
"""
_NAME = re.compile(r"([a-z][a-z0-9-]*)/([a-z][a-z0-9-]*)")


def run(options: argparse.Namespace) -> int:
    """Write the skeleton: into the checkout's `tasks` when this is one, else into `papertrial_tasks` here."""
    match = _NAME.fullmatch(options.name)
    if not match:
        raise UsageError(
            f"new takes FIELD/PAPER in lower-case words joined by dashes, such as pruning/lottery-ticket, not {options.name!r}"
        )
    field, name = match.groups()
    if name in registry.tasks():
        raise UsageError(f"there is a task {name!r} already")
    root, in_checkout = _root()
    folder = root / field.replace("-", "_") / name.replace("-", "_")
    test = Path.cwd() / "tests" / "tasks" / folder.parent.name / f"test_{folder.name}.py"
    for path in (folder, test):
        if path.exists():
            raise UsageError(f"{path} exists already")
    _write(folder, test, name, options.kind, in_checkout=in_checkout)
    console = make_console()
    if not in_checkout:
        console.print(f"export {TASK_PATHS}={root}", soft_wrap=True)
    console.print(f"task in {folder}\ntest in {test}\nnext: papertrial run {name} --scale smoke; papertrial test {name}", soft_wrap=True)
    return 0


def _root() -> tuple[Path, bool]:
    checkout = Path.cwd() / "tasks"
    if (checkout / "__init__.py").exists() and (Path.cwd() / "harness").is_dir():
        return checkout, True
    return Path.cwd() / "papertrial_tasks", False


def _write(folder: Path, test: Path, name: str, kind: str, *, in_checkout: bool) -> None:
    root = folder.parent.parent
    words = {
        "@ID@": name,
        "@TITLE@": name.replace("-", " ").capitalize(),
        "@MODULE@": f"{root.name}.{folder.parent.name}.{folder.name}",
        "@PYTEST@": "" if in_checkout else "import pytest\n\n",
        "@FIXTURE@": "" if in_checkout else _FIXTURE.format(variable=TASK_PATHS, root=root),
    }
    for package in (root, folder.parent, folder):
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
    test.parent.mkdir(parents=True, exist_ok=True)
    templates = resources.files("harness").joinpath("skeleton")
    own = {"task.py": folder / "task.py", "experiment.py": folder / "experiment.py", "test.py": test, "README.md": folder / "README.md"}
    for template, target in own.items():
        of_kind = templates.joinpath(kind, f"{template}.txt")
        text = (of_kind if of_kind.is_file() else templates.joinpath(f"{template}.txt")).read_text()
        for mark, word in words.items():
            text = text.replace(mark, word)
        target.write_text(text)
