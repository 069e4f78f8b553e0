"""A tiny corpus, and trials that run in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import params, registry
from harness.checkpoints import Checkpoints
from harness.data import UserData, open_data, resolve
from harness.plan import DataRef, TrialSpec
from harness.store import StudyStore
from harness.trial import Trial

TASK_ID = "mup-weight-decay-transfer"
TINY_LM = {"width": 16, "base_width": 16, "head_dim": 8, "length": 16, "batch": 4, "steps": 12, "warmup": 2, "eval_windows": 8}
TINY_FFN = {"setting": "ffn", "width": 16, "base_width": 16, "batch": 16, "steps": 40, "warmup": 0}

MakeTrial = Callable[..., Trial]


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
def make_trial(tmp_path: Path) -> MakeTrial:
    """Trials of the task with the given parameters over its defaults; checkpoints lie under the test's own folder."""

    def make(method: str, values: Mapping[str, Any], *, data: DataRef | None = None, seed: int = 0, study: str = "study") -> Trial:
        task = registry.task(TASK_ID)
        spec = TrialSpec(task=TASK_ID, version=1, scale="smoke", method=method, params=params.resolve(task, values), seed=seed, data=data)
        checkpoints = Checkpoints(StudyStore(str(tmp_path / "store"), study))

        def opened(asked: TrialSpec) -> Any:
            assert asked.data is not None
            return open_data(registry.dataset(asked.data.name), asked.data)

        return Trial(task, spec, open_data=opened, checkpoints=checkpoints)

    return make
