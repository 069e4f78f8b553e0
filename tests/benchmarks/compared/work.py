"""The trial that all sides of the comparison run, and the marks that it leaves in $COMPARED_MARKS.

Two lines a trial, one as it starts and one as it ends, each a single appended write: so executions are counted the same way on every
side, also those of a driver that was killed.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MARKS = "COMPARED_MARKS"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a side's command was told: trials, seconds that each pauses, processes at once, the folder for what it keeps."""

    trials: int
    pause: float
    workers: int
    folder: Path

    @staticmethod
    def words() -> Asked:
        """From the command line, in this order."""
        trials, pause, workers, folder = sys.argv[1:5]
        return Asked(int(trials), float(pause), int(workers), Path(folder))

    def keep(self, results: Mapping[int, float]) -> None:
        """What the user holds once the command has ended, by trial number."""
        (self.folder / "results.json").write_text(json.dumps(results))


def trial(number: int, pause: float) -> float:
    """One Gaussian number after `pause` seconds."""
    _mark(number, "start")
    if pause:
        time.sleep(pause)
    value = random.Random(number).gauss(0.0, 1.0)
    _mark(number, "end")
    return value


def _mark(number: int, what: str) -> None:
    target = os.open(os.environ[MARKS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(target, f"{number} {what} {time.time()}\n".encode())
    os.close(target)
