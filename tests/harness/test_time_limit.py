"""The time limit of a trial does not tear an import apart."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from pathlib import Path

import pytest

from harness import time_limit
from harness.time_limit import TrialTimeout

SLOW = "import time\nbegan = time.monotonic()\nwhile time.monotonic() - began < {seconds}:\n    pass\nwhole = True\n"


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"slow_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(SLOW.format(seconds=2.0))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def imported(name: str, limit_s: float) -> str:
    """What a trial that imports a slow module, and would then go on for long, comes to."""
    try:
        with time_limit.time_limit(limit_s):
            assert importlib.import_module(name).whole
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                pass
    except TrialTimeout:
        return "whole" if hasattr(sys.modules.get(name), "whole") else "torn"
    return "no limit"


def test_an_import_is_let_finish_and_the_trial_ends_then(slow: str) -> None:
    assert imported(slow, 0.1) == "whole"


def test_outside_a_main_thread_too(slow: str) -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(imported(slow, 0.1)))
    thread.start()
    thread.join()
    assert found == ["whole"]


def test_an_import_that_never_ends_is_torn(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "IMPORT_S", 0.2)
    assert imported(slow, 0.1) == "torn"


def test_an_import_around_the_trial_is_none_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs_a_trial.py").write_text(f"import {__name__} as here\nfound = here.endless(0.1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[endless.__module__])
    monkeypatch.setattr(time_limit, "IMPORT_S", 600.0)
    assert importlib.import_module("runs_a_trial").found == "stopped"
    del sys.modules["runs_a_trial"]


def endless(limit_s: float) -> str:
    """A trial that loops."""
    try:
        with time_limit.time_limit(limit_s):
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                pass
    except TrialTimeout:
        return "stopped"
    return "no limit"
