"""Seconds until the command line answers, as processes from cold interpreter to exit; also with sixty tasks on trial.

python tests/benchmarks/startup.py [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
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


SIXTY = """
from dataclasses import dataclass

from harness.claims import best_of, better, equivalent
from harness.sweeps import Sweep
from harness.task import Experiment, Grid, Method, Metric, Paper, Scale, Task, param

@dataclass(frozen=True)
class Params:
    width: int = param(64, "width")
    lr: float = param(0.1, "rate", low=0.0)

METHODS = [Method(f"m{i}", "rival") for i in range(8)]
NAMES = [m.name for m in METHODS[1:]]
train = Experiment("train", params=Params, metrics=[Metric("val_loss", "nats", "lower"), Metric("test_loss", "nats", "lower")],
                   tuned=Sweep("lr"), run="nowhere:run")
cost = Experiment("cost", params=Params, metrics=[Metric("seconds", "s", "lower")], run="nowhere:run")
grids = [Grid(train, view="sweep", axes={"lr": (0.1, 0.3), "width": (32, 64)}), Grid(cost)]
TASK = Task(
    id="@ID@", version=1, paper=Paper(arxiv="0000.00000", title="One of sixty", year=2026), methods=METHODS, experiments=[train, cost],
    scales={name: Scale(description="", grids=grids, seeds=5, time_limit_s=60) for name in ("smoke", "laptop", "gpu", "paper")},
    claims=[claim for i, e in enumerate((train["test_loss"], train["test_loss"].at("sweep", width=64), train["val_loss"], cost["seconds"]))
            for claim in (*better(f"B{i}", "m0", NAMES, e, source="t"), *best_of(f"O{i}", "m0", NAMES, e, source="t"),
                          *equivalent(f"E{i}", "m0", "m1", e, margin=0.1, source="t"))],
)
"""
"""A declaration with two experiments, eight methods, four scales and 36 claims: above the present mean of 31 claims a task."""


def sixty(folder: Path) -> dict[str, str]:
    """An environment in which sixty more tasks are on trial."""
    for number in range(60):
        paper = folder / "many" / "field" / f"paper_{number}"
        paper.mkdir(parents=True)
        for package in (paper, paper.parent, paper.parent.parent):
            (package / "__init__.py").touch()
        (paper / "task.py").write_text(SIXTY.replace("@ID@", f"paper-{number}"))
    return {**os.environ, "PAPERTRIAL_TASKS": str(folder / "many")}


def seconds(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """Wall time of a process that must succeed."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    sides: dict[str, Callable[[], float]] = {name: partial(seconds, command) for name, command in COMMANDS.items()}
    with tempfile.TemporaryDirectory() as folder:
        many = sixty(Path(folder))
        sides["papertrial list, 60 more tasks"] = partial(seconds, COMMANDS["papertrial list"], many)
        take(sides, 1)  # reads everything from disk once
        show("start-up", "s", take(sides, options.rounds), over="python -c pass", notes={})


if __name__ == "__main__":
    main()
