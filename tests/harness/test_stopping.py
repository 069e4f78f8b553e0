"""Runs that are told to stop, at any moment: every record is kept, the tables are written, people read how to go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from harness import ledger
from harness.stopping import Stop, Stopped
from harness.store import StudyStore

ROOT = Path(__file__).parents[2]
SEEDS = 6
TRIALS = SEEDS * 6


class Run:
    """`papertrial run misbehaving` as a process whose output is read while it runs."""

    def __init__(self, folder: Path, *words: str, pause: float = 0.1) -> None:
        self.folder, self.log = folder, folder / "executions.txt"
        command = [sys.executable, "-m", "harness", "run", "misbehaving", "--scale", "smoke", "--seeds", str(SEEDS), "--study", "s"]
        command += ["--set", f"pause={pause}", "--store", str(folder / "store"), "--tracking-uri", "none", *words]
        environment = os.environ | {"THROWAWAY_LOG": str(self.log)}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    @property
    def out(self) -> str:
        return "".join(self.lines)

    def until(self, what: str) -> None:
        """Wait until the command says so."""
        self._wait(lambda: what in self.out)

    def until_executed(self, count: int) -> None:
        """Wait until this many trials have begun."""
        self._wait(lambda: len(self.executed()) >= count)

    def _wait(self, come: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 180
        while not come():
            assert self.process.poll() is None, self.out
            assert time.monotonic() < deadline, self.out
            time.sleep(0.02)

    def executed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def end(self) -> int:
        code = self.process.wait(180)
        self._reader.join()
        return code

    def assert_stopped_well(self) -> None:
        """Exit 1, the sentence, no traceback, tables of exactly what the ledger holds."""
        assert self.end() == 1, self.out
        assert "stopping; what was recorded is safe in" in self.out
        assert "go on with: papertrial run misbehaving" in self.out
        assert "Traceback" not in self.out
        assert "Stack trace" not in self.out
        study = self.folder / "store" / "s"
        done = ledger.read(StudyStore(str(self.folder / "store"), "s"))
        assert not done.unreadable
        assert (study / "report.html").exists()
        assert f"{len(done.records)} of {TRIALS} planned trials recorded" in self.out
        assert len(set(self.executed())) - len(done.records) <= 8, "more than what was in flight is lost"


def test_a_signal_on_ray_stops_the_run_wherever_it_stands(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.until_executed(1 + random.Random(13).randrange(20))
    run.process.send_signal(signal.SIGTERM)
    run.assert_stopped_well()
    kept = ledger.read(StudyStore(str(tmp_path / "store"), "s")).records
    assert kept
    begun = len(run.executed())
    last = Run(tmp_path, "--local")
    assert last.end() == 0, last.out
    assert len(last.executed()) - begun == TRIALS - len(kept), "what was recorded runs again, or something was lost"


def test_a_signal_while_ray_starts_ends_the_run_as_well(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.until("0 recorded before")
    time.sleep(random.Random(4).random())
    run.process.send_signal(signal.SIGHUP)
    run.assert_stopped_well()
    assert run.executed() == []


def test_a_second_interrupt_does_not_keep_the_tables_from_being_written(tmp_path: Path) -> None:
    run = Run(tmp_path, pause=600)  # nobody waits for what is in flight
    run.until_executed(2)
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal sends it: to all processes of the group
    run.until("stopping; what was recorded")
    os.killpg(run.process.pid, signal.SIGINT)
    run.assert_stopped_well()
    assert "the tables are being written; once more leaves at once" in run.out


def test_a_third_interrupt_leaves_and_says_how_the_tables_are_made(tmp_path: Path) -> None:
    run = Run(tmp_path, "--local")
    run.until_executed(3)
    run.process.send_signal(signal.SIGINT)
    run.until("stopping; what was recorded")
    run.process.send_signal(signal.SIGINT)
    run.until("the tables are being written")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 1
    assert f"left before the tables were written; `papertrial report {tmp_path}/store/s` writes them" in run.out
    assert ledger.read(StudyStore(str(tmp_path / "store"), "s")).records


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
