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

NAMED, CHECKOUT, OWN = f"the folder that ${TASK_PATHS} names", "the checkout's own tasks", "a folder of your own"
_FIXTURE = """

@pytest.fixture(autouse=True)
def _task_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("{variable}", "{root}")
"""
_NAME = re.compile(r"([a-z][a-z0-9-]*)/([a-z][a-z0-9-]*)")


def run(options: argparse.Namespace) -> int:
    """Write the skeleton into the first folder of $PAPERTRIAL_TASKS; without it into the checkout's `tasks`, or `papertrial_tasks` here.

    Its test goes beside that folder.
    """
    match = _NAME.fullmatch(options.name)
    if not match:
        raise UsageError(
            f"new takes FIELD/PAPER in lower-case words joined by dashes, such as pruning/lottery-ticket, not {options.name!r}"
        )
    field, name = match.groups()
    if name in registry.tasks():
        raise UsageError(f"there is a task {name!r} already")
    root, whose = _root()
    folder = root / field.replace("-", "_") / name.replace("-", "_")
    test = root.parent / "tests" / "tasks" / folder.parent.name / f"test_{folder.name}.py"
    for path in (folder, test):
        if path.exists():
            raise UsageError(f"{path} exists already")
    _write(folder, test, name, options.kind, in_checkout=whose == CHECKOUT)
    console = make_console()
    if whose == OWN:
        console.print(f"export {TASK_PATHS}={root}", soft_wrap=True)
    console.print(
        f"task in {folder} ({whose})\ntest in {test}\nnext: papertrial run {name} --scale smoke; papertrial test {name}", soft_wrap=True
    )
    return 0


def _root() -> tuple[Path, str]:
    """The folder that holds the fields, and whose it is."""
    checkout = Path.cwd() / "tasks"
    is_one = (checkout / "__init__.py").exists() and (Path.cwd() / "harness").is_dir()
    named = next(registry.named_roots(), None)
    if named and not (is_one and named.samefile(checkout)):
        return named, NAMED
    return (checkout, CHECKOUT) if is_one else (Path.cwd() / "papertrial_tasks", OWN)


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
