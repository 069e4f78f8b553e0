"""The head's machine dies with the driver of a study in an object store; the same command on another machine goes on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from harness import ledger
from harness.store import StudyStore
from tests.cluster.head import Head, started
from tests.object_store import Server

pytestmark = [pytest.mark.cluster, pytest.mark.lengthy]


def kill(head: Head) -> None:
    """Everything that runs on the head, at once: its processes have a home of their own."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"HOME={head.folder}".encode() in variables:
            os.kill(int(entry.name), signal.SIGKILL)


def test_a_study_in_an_object_store_outlives_its_head(object_store: Server, tmp_path: Path) -> None:
    log, uri = tmp_path / "executions.txt", object_store.uri(tmp_path.name)
    variables = {"PAPERTRIAL_HEARTBEAT": "0.5", "THROWAWAY_LOG": str(log)}
    words = ["run", "misbehaving", "--scale", "smoke", "--set", "pause=1.5"]
    words += ["--study", "s", "--store", uri, "--tracking-uri", "none"]
    store = StudyStore(uri, "s")
    with started(environment=variables) as head:
        submitted = head.submit("python", "-m", "harness", *words, options=["--no-wait", "--submission-id", "to-be-killed"])
        assert submitted.returncode == 0, submitted.stdout[-4000:]
        deadline = time.monotonic() + 150
        while not ledger.read(store).records:
            assert time.monotonic() < deadline, head.job("logs", "to-be-killed").stdout[-4000:]
            time.sleep(0.1)
        kill(head)
        before = set(ledger.read(store).records)
        done = head.papertrial(*words, "--local")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "has given no sign for 1.5 s: this run takes study s over from it" in " ".join(done.stdout.split())
    assert f"study s: 18 trials, {len(before)} recorded before" in done.stdout
    found, executed = ledger.read(store).records, log.read_text().split()
    assert [record.status for record in found.values()] == ["ok"] * 18
    assert len(before) < 18
    assert [executed.count(id) for id in before] == [1] * len(before), "what is in the store runs once"
