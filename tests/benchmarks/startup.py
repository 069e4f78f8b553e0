"""Seconds until the command line answers, as processes from cold interpreter to exit.

python tests/benchmarks/startup.py [--rounds N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from interleaved import show, take

PAPERTRIAL = str(Path(sys.executable).with_name("papertrial"))
COMMANDS: dict[str, Sequence[str]] = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "papertrial --help": (PAPERTRIAL, "--help"),
    "papertrial list": (PAPERTRIAL, "list"),
    "import torch": (sys.executable, "-c", "import torch"),
    "import ray": (sys.executable, "-c", "import ray"),
}


def seconds(command: Sequence[str]) -> float:
    """Wall time of a process that must succeed."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    sides: dict[str, Callable[[], float]] = {name: partial(seconds, command) for name, command in COMMANDS.items()}
    take(sides, 1)  # reads everything from disk once
    show("start-up", "s", take(sides, options.rounds), over="python -c pass", notes={})


if __name__ == "__main__":
    main()
