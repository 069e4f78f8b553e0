"""A job whose driver is killed, then one that is stopped, and the same command submitted until the study is done."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness import ledger
from harness.store import StudyStore
from tests.cluster.head import CPUS, Head, started

pytestmark = [pytest.mark.cluster, pytest.mark.lengthy]


@pytest.fixture(scope="module")
def executions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where throw-away trials note their ids as they begin."""
    return tmp_path_factory.mktemp("noted") / "executions.txt"


@pytest.fixture(scope="module")
def head(executions: Path) -> Iterator[Head]:
    with started(environment={"THROWAWAY_LOG": str(executions)}) as running:
        yield running


def driver_of(head: Head) -> int:
    """The process of the one job that runs on the head."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, variables = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"\0-m\0harness\0run\0" in words and f"HOME={head.folder}".encode() in variables:
            found.append(int(entry.name))
    (driver,) = found
    return driver


def recorded(head: Head, store: StudyStore, job: str, least: int) -> None:
    """Wait until the study has so many records."""
    deadline = time.monotonic() + 240
    while len(ledger.read(store).records) < least:
        assert time.monotonic() < deadline, head.job("logs", job).stdout[-4000:]
        time.sleep(0.1)


def interrupted_twice(head: Head, store: StudyStore, words: Sequence[str], counts: tuple[int, int], name: str) -> list[dict[str, str]]:
    """Run the study to its end in three jobs; per interruption, when each trial began that was recorded by then."""
    run = ["python", "-m", "harness", "run", *words, "--study", store.name, "--store", store.store_uri, "--tracking-uri", "none"]
    kept = []
    for interruption, least in zip(("kill", "stop"), counts, strict=True):
        job = f"{name}-{interruption}"
        assert head.submit(*run, options=["--no-wait", "--submission-id", job]).returncode == 0
        recorded(head, store, job, least)
        if interruption == "kill":
            os.kill(driver_of(head), signal.SIGKILL)
        else:
            assert head.job("stop", job).returncode == 0
        kept.append({id: record.started for id, record in ledger.read(store).records.items()})
    done = head.submit(*run)
    assert done.returncode == 0, done.stdout[-4000:]
    records = ledger.read(store).records
    for before in kept:
        assert {id: records[id].started for id in before} == before, "none was measured again"
    return kept


def test_each_trial_is_executed_once_but_for_those_in_flight(head: Head, executions: Path, tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "s")
    words = ["misbehaving", "--scale", "smoke", "--seeds", "10", "--set", "pause=0.5"]
    kept = interrupted_twice(head, store, words, (10, 30), "noted")
    executed = Counter(executions.read_text().split())
    records = ledger.read(store).records
    assert set(executed) == set(records)
    assert len(records) == 60
    assert [id for id in kept[0] if executed[id] > 1] == [], "what was recorded when the driver was killed"
    assert len(list(executed.elements())) - len(records) <= 2 * CPUS, "a trial a worker is in flight"


def test_a_laptop_study_of_a_paper_keeps_what_it_has_recorded(head: Head, tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "s")
    words = ["bandlimited-random-features", "--scale", "laptop", "--seeds", "5"]
    interrupted_twice(head, store, words, (60, 160), "paper")
    lines = (tmp_path / "s" / "ledger.jsonl").read_text().splitlines()
    records = ledger.read(store).records
    assert len(lines) == len(records) == 260
    assert {record.status for record in records.values()} == {"ok"}
