"""Finds tasks and data sets without importing what they need to run.

By convention task `a-b` is `TASK` in `<root>/<field>/a_b/task.py`, and data set `a-b` is `DATASET` in `<root>/datasets/a_b.py`.
Roots are the installed `tasks` package and the folders named in $PAPERTRIAL_TASKS. Other people's packages join through
entry points in the groups `papertrial.tasks` and `papertrial.datasets`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from harness import coverage
from harness.data import Dataset
from harness.errors import TaskError, unknown
from harness.task import Task

TASK_PATHS = "PAPERTRIAL_TASKS"

_Declared = TypeVar("_Declared", Task, Dataset)


@dataclass(frozen=True)
class Entry:
    """Where a task or data set is declared."""

    name: str
    field: str
    module: str
    attribute: str
    folder: Path | None = None

    @property
    def committed(self) -> bool:
        """Whether it is of the installed `tasks`, whose studies are committed."""
        return self.module.startswith("tasks.")


def tasks() -> dict[str, Entry]:
    """Every task by id, none of them imported."""
    found = {}
    for package, root in _roots():
        for file in sorted(root.glob("*/*/task.py")):
            name, field = file.parent.name.replace("_", "-"), file.parent.parent.name
            found[name] = Entry(name, field, f"{package}.{field}.{file.parent.name}.task", "TASK", file.parent)
    return found | _entry_points("papertrial.tasks")


def datasets() -> dict[str, Entry]:
    """Every data set by name. A module of the `datasets` folder that starts with an underscore or declares none is a helper."""
    found = {}
    for package, root in _roots():
        for file in sorted((root / "datasets").glob("*.py")):
            if "DATASET = Dataset(" in file.read_text():
                name = file.stem.replace("_", "-")
                found[name] = Entry(name, "datasets", f"{package}.datasets.{file.stem}", "DATASET", file.parent)
    return found | _entry_points("papertrial.datasets")


@cache
def task(name: str) -> Task:
    """The task called `name`, or the only one whose name starts so."""
    entries = tasks()
    longer = [other for other in entries if name and other.startswith(name)]
    if len(longer) == 1 and name not in entries:
        return task_at(entries[longer[0]])
    return task_at(_entry("task", name, entries, "papertrial list", longer))


@cache
def task_at(entry: Entry) -> Task:
    """The task that is declared there. TaskError where it cannot be loaded, or reads a name that it does not have."""
    found = _load(entry, Task)
    if found.id != entry.name:
        raise TaskError(f"task {entry.name!r} calls itself {found.id!r}: the folder and the id must agree")
    coverage.check_names(found)
    return found


@cache
def dataset(name: str) -> Dataset:
    """The data set called `name`."""
    found = _load(_entry("data set", name, datasets(), "papertrial data list"), Dataset)
    if found.name != name:
        raise TaskError(f"data set {name!r} calls itself {found.name!r}: the module and the name must agree")
    return found


def root_of(task_id: str) -> Path | None:
    """The folder of the task's package root (that which holds the fields), None for a task from an entry point."""
    folder = tasks()[task_id].folder
    return folder.parent.parent if folder else None


def declares(module: str) -> bool:
    """Whether a module is of a package that declares tasks."""
    package = module.partition(".")[0]
    return package in (name for name, _ in _roots()) or package in (
        entry.module.partition(".")[0] for entry in _entry_points("papertrial.tasks").values()
    )


def _entry(what: str, name: str, entries: Mapping[str, Entry], listed_by: str, near: Sequence[str] = ()) -> Entry:
    if name not in entries:
        raise unknown(what, name, near or list(entries), listed_by=listed_by)
    return entries[name]


def _load(entry: Entry, kind: type[_Declared]) -> _Declared:
    try:
        found = getattr(importlib.import_module(entry.module), entry.attribute)
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(f"{entry.module} cannot be loaded: {type(error).__name__}: {error}{_hidden(entry)}") from error
    if not isinstance(found, kind):
        raise TaskError(f"{entry.module}: {entry.attribute} must be a {kind.__name__}")
    return found


def _hidden(entry: Entry) -> str:
    """Whose package was imported in the place of a root's, where another of its name was found first; empty where none was."""
    package = entry.module.partition(".")[0]
    found = [str(Path(place).resolve()) for place in getattr(sys.modules.get(package), "__path__", ())]
    if entry.folder is None or not found or str(entry.folder.resolve()).startswith(tuple(f"{place}{os.sep}" for place in found)):
        return ""
    return f"; another package called {package}, in {found[0]}, hides its folder: one of the two needs another name"


@cache
def _own_roots() -> tuple[Path, ...]:
    """Where the installed `tasks` lies. It is imported, because a folder called `tasks` beside somebody's root would hide it later."""
    if importlib.util.find_spec("tasks") is None:
        return ()
    return tuple(Path(location) for location in importlib.import_module("tasks").__path__)


def named_roots() -> Iterator[Path]:
    """The folders that $PAPERTRIAL_TASKS names. TaskError for one that is not there."""
    for text in filter(None, os.environ.get(TASK_PATHS, "").split(os.pathsep)):
        root = Path(text).expanduser().resolve()
        if not root.is_dir():
            raise TaskError(f"${TASK_PATHS} names {root}, which is not a folder")
        yield root


def _roots() -> Iterator[tuple[str, Path]]:
    for location in _own_roots():
        yield "tasks", location
    for root in named_roots():
        if str(root.parent) not in sys.path:
            sys.path.append(str(root.parent))
        yield root.name, root


@cache
def _entry_points(group: str) -> dict[str, Entry]:
    found = {}
    for point in importlib.metadata.entry_points(group=group):
        module, _, attribute = point.value.partition(":")
        found[point.name] = Entry(point.name, module.partition(".")[0], module, attribute)
    return found
