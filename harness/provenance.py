"""Where a number came from: code, versions, hardware."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from harness import registry
from harness.errors import PapertrialError
from harness.masking import mask
from harness.shown import visible

_LIBRARIES = ("papertrial", "torch", "ray", "numpy", "triton", "pandas", "pyarrow")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a result, read without importing them."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path, sources: Sequence[Path] = ()) -> tuple[str, bool]:
    """(commit, whether the work tree differs from it) of the repository that holds `folder`; ("", False) outside one.

    A file of `sources` that the repository does not have is a difference too, other untracked ones are none.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return "", False
    if _git(folder, "status", "--porcelain", "--untracked-files=no"):
        return commit, True
    names = [str(path) for path in sources]
    return commit, bool(names and _git(folder, "ls-files", "--others", "--", *names))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def sources(task_id: str) -> list[Path]:
    """The files that decide a task's numbers: the paper's folder, what its field shares, the root's `blocks` and `datasets`.

    None for a task that an entry point brought.
    """
    folder, root = registry.tasks()[task_id].folder, registry.root_of(task_id)
    if folder is None or root is None:
        return []
    files = [*folder.rglob("*.py"), *folder.parent.glob("*.py"), *(root / "blocks").rglob("*.py"), *(root / "datasets").rglob("*.py")]
    return sorted(set(files))


def task_state(task_ids: Sequence[str]) -> tuple[str, bool]:
    """(commit, whether the sources of any of the tasks differ from it), of the repository that holds the first one's folder."""
    folder = registry.tasks()[task_ids[0]].folder
    return git_state(folder, [file for id in task_ids for file in sources(id)]) if folder else ("", False)


def source_digest(task_id: str) -> str:
    """12 hexadecimal digits over the sources that decide a task's numbers; "" where there are none."""
    files, root = sources(task_id), registry.root_of(task_id)
    if not files or root is None:
        return ""
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


class Measured(Protocol):
    """What of a record says by which source it was measured."""

    @property
    def task(self) -> str: ...  # noqa: D102 - the fields of a record
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def source_digest(self) -> str: ...  # noqa: D102


def of_other_sources(records: Iterable[Measured]) -> list[str]:
    """`other_sources` of some records."""
    return other_sources(Counter((record.task, record.version, record.source_digest) for record in records))


def other_sources(counted: Mapping[tuple[str, int, str], int]) -> list[str]:
    """Sentences on the records that another version or another source than today's measured, and how to measure again.

    `counted` says how many records are of a task, a version of it and the digest of a source.
    """
    found: dict[str, Counter[tuple[int, str]]] = {}
    for (task, version, digest), count in counted.items():
        found.setdefault(task, Counter())[version, digest] += count
    installed, sentences = registry.tasks(), []
    for task, counts in found.items():
        now = _version(installed[task]) if task in installed else None
        older = sorted({own for own, _ in counts if now and own not in (0, now)})
        if older:
            count = sum(counts[own] for own in counts if own[0] in older)
            sentences.append(
                f"{count:,} of {counts.total():,} records of {task} are of version{'s' if older[1:] else ''} {', '.join(map(str, older))}; "
                f"the task is at version {now}: `papertrial run` measures again"
            )
        today = source_digest(task) if task in installed else ""
        others = [own for own in counts if own[1] and today and own[1] != today and own[0] not in older]
        if others:
            sentences.append(
                f"{sum(counts[own] for own in others):,} of {counts.total():,} records of {task} were measured by another source "
                f"of the task than today's ({', '.join(digest for _, digest in others)}, now {today}) and stay as they are: to measure "
                "again, raise the task's version, or name another study with --study"
            )
    return sentences


def _version(entry: registry.Entry) -> int | None:
    """The version that a task is at; None where it cannot be loaded."""
    try:
        return registry.task_at(entry).version
    except PapertrialError:
        return None


@cache
def cpu_name() -> str:
    """The processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def environment(words: Sequence[str]) -> dict[str, object]:
    """What `env.json` says of the driver's machine and of the command `papertrial WORDS`, without credentials."""
    folder = Path(__file__).parent
    commit, dirty = git_state(folder)
    return {
        "command": ["papertrial", *(visible(mask(word)) for word in words)],
        "host": platform.node(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "versions": versions(),
        "git_commit": commit,
        "git_dirty": dirty,
    }
