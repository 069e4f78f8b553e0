"""The command line as a process of its own, for what a process is needed for: signals, kills, threads that stay behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0


class Process:
    """`papertrial WORDS` without MLflow, its output read while it runs. Its studies are in `store`, below the folder that is given.

    `uri` is another store, `variables` are more of its environment.
    """

    def __init__(self, folder: Path, *words: str, uri: str = "", variables: Mapping[str, str] = MappingProxyType({})) -> None:
        self.store, self._log = folder / "store", folder / "executions.txt"
        command = [sys.executable, "-m", "harness", *words, "--store", uri or str(self.store), "--tracking-uri", "none"]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"THROWAWAY_LOG": str(self._log)} | dict(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    @property
    def out(self) -> str:
        """What it has said so far, on either stream."""
        return "".join(self._lines)

    def executed(self) -> list[str]:
        """The trials that throw-away tasks have begun, by id, those of runs before in this folder too."""
        return self._log.read_text().split() if self._log.exists() else []

    def until(self, what: str) -> None:
        """Wait until it says so."""
        self._wait(lambda: what in self.out)

    def until_executed(self, count: int) -> None:
        """Wait until this many trials have begun."""
        self._wait(lambda: len(self.executed()) >= count)

    def _wait(self, come: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not come():
            assert self.process.poll() is None, self.out
            assert time.monotonic() < deadline, self.out
            time.sleep(0.02)

    def end(self) -> int:
        """Wait until it has ended; its exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code
