"""What a callable of a task computes is in what its claim asks; how it is written is not."""

from __future__ import annotations

import functools
import importlib
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.asked import asks
from harness.estimates import Combined
from tests.harness.fabricated import difference_claim

SOURCE = '''
import functools, math, statistics
from harness.estimates import Vectorised
from dataclasses import dataclass

LIMIT = 3.0
WEIGHTS = [1, 2]
UNREAD = 1

def helper(parts):
    return sum(parts) / LIMIT

@functools.lru_cache
def cached(value):
    return value + 1

def f(parts, power=2):
    """What it is."""
    # why
    return cached(helper(parts)) ** power + WEIGHTS[0] + statistics.fmean(parts)

def enclosing(shift, most):
    return lambda parts, most=most: min(parts[0] - shift, most)

g = enclosing(5.0, 9.0)

@dataclass(frozen=True)
class Share:
    metric: str = "loss"
    LEAST = 0.5

    @property
    def half(self):
        return 0.5

    def __call__(self, frame):
        return helper(frame) * self.half

h = Share()
'''
Asked = Callable[..., tuple[str, str, str]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """`asked(old, new)`: what the three estimates of the source ask when a text of it is another."""
    root, counter = tmp_path / "edited_tasks", itertools.count()
    root.mkdir()
    monkeypatch.setenv("PAPERTRIAL_TASKS", str(root))
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "edited_tasks"]:
        monkeypatch.delitem(sys.modules, name)

    def of(old: str = "", new: str = "") -> tuple[str, str, str]:
        name = f"v{next(counter)}"
        assert old in SOURCE
        (root / f"{name}.py").write_text(SOURCE.replace(old, new) if old else SOURCE)
        importlib.invalidate_caches()
        module = importlib.import_module(f"edited_tasks.{name}")
        estimates = [Combined(functools.partial(module.f), ()), Combined(module.g, ()), module.h]
        f, g, h = (asks(difference_claim(estimate=estimate)) for estimate in estimates)
        return f, g, h

    return of


SAME = [
    ("# why", "# another reason\n\n    # of two lines"),
    ('    """What it is."""\n', ""),
    ("(parts, power=2):", "(parts, power: int = 2) -> float:"),
    ("sum(parts) / LIMIT", "(sum(parts)\n        / LIMIT)"),
    ("UNREAD = 1", "UNREAD = 2"),
    ("\nLIMIT", "\n\n\nLIMIT"),
]
OTHER = [
    ("** power +", "** power -", "f"),
    ("power=2", "power=3", "f"),
    ("value + 1", "value + 2", "f"),
    ("[1, 2]", "[2, 2]", "f"),
    ("statistics.fmean", "statistics.median", "f"),
    ("sum(parts)", "max(parts)", "fh"),
    ("LIMIT = 3.0", "LIMIT = 4.0", "fh"),
    ("parts[0] -", "parts[0] +", "g"),
    ("enclosing(5.0, ", "enclosing(6.0, ", "g"),
    ("9.0)", "8.0)", "g"),
    ("return 0.5", "return 0.25", "h"),
    ("LEAST = 0.5", "LEAST = 0.4", "h"),
    ("* self.half", "/ self.half", "h"),
]


def test_how_a_function_is_written_asks_the_same(asked: Asked) -> None:
    first = asked()
    assert {asked(old, new) for old, new in SAME} == {first}


@pytest.mark.parametrize(("old", "new", "moved"), OTHER)
def test_what_a_function_computes_asks_otherwise(asked: Asked, old: str, new: str, moved: str) -> None:
    changed = [name for name, one, other in zip("fgh", asked(), asked(old, new), strict=True) if one != other]
    assert changed == list(moved)


def test_a_name_of_a_library_is_its_name() -> None:
    """The functions of the harness and of libraries change with their versions: a table of before stays readable."""
    code = (
        "from harness.asked import _plain; import statistics; from harness.estimates import _log;"
        "print(*map(_plain, (statistics.fmean, abs, _log)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fmean", "abs", "_log"]
