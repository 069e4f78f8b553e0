"""Throw-away tasks, a cache of their own, and one Ray for the whole session."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.object_store import Line, Server, served

THROWAWAY = Path(__file__).parent / "throwaway"

# Before anything imports torch: one thread a process, as in the workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is printed here is as wide as in a log, whatever terminal the tests were started from.
os.environ.pop("COLUMNS", None)
# Before anything imports triton: without a GPU its kernels are interpreted.
if importlib.util.find_spec("triton") and not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Bounded and the same every time in CI; `make fuzz` asks for more and for new ones. Nothing is timed: a loaded machine is no fault.
CALM = {"deadline": None, "suppress_health_check": list(hypothesis.HealthCheck)}
hypothesis.settings.register_profile("ci", max_examples=60, derandomize=True, database=None, **CALM)
hypothesis.settings.register_profile("long", max_examples=3000, **CALM)
hypothesis.settings.load_profile(os.environ.get("PAPERTRIAL_FUZZ", "ci"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes (`-n`) a file's tests stay together, and all that start a Ray are one process's: it has one Ray."""
    for item in items:
        starts_ray = "ray_here" in getattr(item, "fixturenames", ()) or item.get_closest_marker("cluster")
        item.add_marker(pytest.mark.xdist_group("ray" if starts_ray else str(item.path)))


@pytest.fixture(scope="session", autouse=True)
def _throwaway_tasks() -> Iterator[None]:
    """The throw-away root joins whatever the caller had."""
    before = os.environ.get("PAPERTRIAL_TASKS")
    os.environ["PAPERTRIAL_TASKS"] = os.pathsep.join(filter(None, [str(THROWAWAY), before]))
    yield
    if before is None:
        del os.environ["PAPERTRIAL_TASKS"]
    else:
        os.environ["PAPERTRIAL_TASKS"] = before


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of prepared data."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(folder))
    monkeypatch.delenv("PAPERTRIAL_DATA", raising=False)
    return folder


@pytest.fixture
def executions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The trial ids that throw-away trials executed in this process, in order."""
    log = tmp_path / "executions.txt"
    monkeypatch.setenv("THROWAWAY_LOG", str(log))
    return lambda: log.read_text().split() if log.exists() else []


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One embedded Ray of two CPUs for every test that needs one."""
    from harness.cluster import ray_session

    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    with ray_session(None, cpus=2):
        yield


@pytest.fixture(scope="session")
def object_store() -> Iterator[Server]:
    """One S3 server for every test that needs one; each test takes a prefix of its own."""
    with served() as server:
        yield server


@pytest.fixture
def line(object_store: Server) -> Iterator[Line]:
    """A line to that server which the test may cut and freeze."""
    found = Line(object_store.port)
    yield found
    found.end()
