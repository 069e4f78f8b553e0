"""A tiny corpus, and the trials of the task that a module of tests is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.data import UserData, resolve
from harness.plan import DataRef
from tests.tasks.trials import Trials


def words(count: int, offset: int = 0) -> str:
    """Text with structure to learn, different for each offset."""
    return "".join(f"def f{(offset * 7 + i) % 97}(x):\n    return x + {i % 11}\n" for i in range(count))


@pytest.fixture
def tiny_text(tmp_path: Path) -> Path:
    """A folder of 300 short files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for index in range(300):
        (folder / f"{index:03}.txt").write_text(words(10, offset=index) + str(index))
    return folder


@pytest.fixture
def tiny_ref(tiny_text: Path, cache: Path) -> DataRef:
    """The tiny corpus, adopted as the set `text`."""
    return resolve(registry.dataset("text"), {"text": UserData(tiny_text)})


@pytest.fixture
def trials(request: pytest.FixtureRequest, tmp_path: Path) -> Trials:
    """Trials of the task `TASK_ID` of the module, with its `BASE` over the defaults."""
    return Trials(request.module.TASK_ID, tmp_path, base=request.module.BASE)
