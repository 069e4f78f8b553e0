"""Runs that are told to stop, at any moment: every record is kept, the tables are written, people read how to go on."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from harness import ledger
from harness.stopping import Stop, Stopped
from harness.store import StudyStore
from tests.harness.processes import Process

SEEDS = 6
TRIALS = SEEDS * 6


def started(folder: Path, *words: str, pause: float = 0.1) -> Process:
    task = ["run", "misbehaving", "--scale", "smoke", "--seeds", str(SEEDS), "--study", "s", "--set", f"pause={pause}"]
    return Process(folder, *task, *words)


def assert_stopped_well(run: Process) -> None:
    """Exit 1, the sentence, no traceback, tables of exactly what the ledger holds."""
    assert run.end() == 1, run.out
    assert "stopping; what was recorded is safe in" in run.out
    assert "go on with: papertrial run misbehaving" in run.out
    assert "Traceback" not in run.out
    assert "Stack trace" not in run.out
    done = ledger.read(StudyStore(str(run.store), "s"))
    assert not done.unreadable
    assert (run.store / "s" / "report.html").exists()
    assert f"{len(done.records)} of {TRIALS} planned trials recorded" in run.out
    assert len(set(run.executed())) - len(done.records) <= 8, "more than what was in flight is lost"


def test_a_signal_on_ray_stops_the_run_wherever_it_stands(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.until_executed(1 + random.Random(13).randrange(20))
    run.process.send_signal(signal.SIGTERM)
    assert_stopped_well(run)
    kept = ledger.read(StudyStore(str(run.store), "s")).records
    assert kept
    begun = len(run.executed())
    last = started(tmp_path, "--local")
    assert last.end() == 0, last.out
    assert len(last.executed()) - begun == TRIALS - len(kept), "what was recorded runs again, or something was lost"


def test_a_signal_while_ray_starts_ends_the_run_as_well(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.until("0 recorded before")
    time.sleep(random.Random(4).random())
    run.process.send_signal(signal.SIGHUP)
    assert_stopped_well(run)
    assert run.executed() == []


def test_a_second_interrupt_does_not_keep_the_tables_from_being_written(tmp_path: Path) -> None:
    run = started(tmp_path, pause=600)  # nobody waits for what is in flight
    run.until_executed(2)
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal sends it: to all processes of the group
    run.until("stopping; what was recorded")
    os.killpg(run.process.pid, signal.SIGINT)
    assert_stopped_well(run)
    assert "the tables are being written; once more leaves at once" in run.out


def test_a_third_interrupt_leaves_and_says_how_the_tables_are_made(tmp_path: Path) -> None:
    run = started(tmp_path, "--local")
    run.until_executed(3)
    run.process.send_signal(signal.SIGINT)
    run.until("stopping; what was recorded")
    run.process.send_signal(signal.SIGINT)
    run.until("the tables are being written")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 1
    assert f"left before the tables were written; `papertrial report {run.store}/s` writes them" in run.out
    assert ledger.read(StudyStore(str(run.store), "s")).records


def test_signals_are_noted_where_native_code_runs_and_raise_where_trials_do() -> None:
    noted, stop = Stop(), Stop()
    with noted.installed():
        signal.raise_signal(signal.SIGINT)
        assert noted.asked
        with pytest.raises(Stopped):
            noted.check()
    reached: list[str] = []

    def trial() -> None:
        signal.raise_signal(signal.SIGTERM)
        reached.append("what follows")

    with stop.installed():
        with pytest.raises(Stopped), stop.interrupts():
            trial()
        assert not reached
        stop.over()
        stop.check()


def test_a_trial_that_swallows_the_interruption_does_not_count() -> None:
    def trial() -> None:
        with suppress(BaseException):
            signal.raise_signal(signal.SIGINT)

    stop = Stop()
    with stop.installed(), pytest.raises(Stopped), stop.interrupts():
        trial()


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop().installed():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
