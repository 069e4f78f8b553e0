"""Seconds that a trial costs beyond its own work: papertrial's engine against Ray Tune, a plain Ray task and joblib.

    python tests/benchmarks/overhead.py [--rounds N] [--tune-trials N] [--trials N]

All sides run the same thing (one Gaussian number), two at a time, in one process tree; those that use Ray share one embedded
Ray of two CPUs that is up before the clock starts. Each side's clock runs from the call to the last result in hand, worker
start-up included, and each side's results are counted. papertrial's side is `run_trials` as `papertrial run` calls it:
provenance, curves, and a ledger synced to disk.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import tempfile
import time
from pathlib import Path

os.environ["PAPERTRIAL_TASKS"] = str(Path(__file__).parents[1] / "throwaway")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import ray
from interleaved import show, take
from ray import tune

from harness import registry
from harness.cluster import ray_session
from harness.engine import run_trials
from harness.plan import Overrides, expand
from harness.store import StudyStore

WORKERS = 2


def trivial(seed: int) -> float:
    """The work of a trial."""
    return random.Random(seed).gauss(0.0, 1.0)


def papertrial(folder: Path, count: int) -> float:
    """Seconds a trial through the engine."""
    task = registry.task("misbehaving")
    trials = expand(task, "smoke", Overrides(seeds=count // 6), {})
    started = time.perf_counter()
    result = run_trials(StudyStore(str(folder), "study"), trials)
    seconds = time.perf_counter() - started
    assert sum(record.status == "ok" for record in result.records.values()) == len(trials)
    return seconds / len(trials)


def ray_tune(folder: Path, count: int) -> float:
    """Seconds a trial through Tune with its default settings: a function trainable that reports once."""

    def trainable(config: dict[str, int]) -> None:
        tune.report({"value": trivial(config["seed"])})

    tuner = tune.Tuner(
        trainable,
        param_space={"seed": tune.grid_search(list(range(count)))},
        run_config=tune.RunConfig(storage_path=str(folder), name="tune", verbose=0),
    )
    started = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - started
    assert len([result for result in results if result.metrics and "value" in result.metrics]) == count
    return seconds / count


def ray_task(count: int) -> float:
    """Seconds a trial as one Ray task each, with nothing kept on disk."""
    remote = ray.remote(num_cpus=1)(trivial)
    started = time.perf_counter()
    assert len(ray.get([remote.remote(seed) for seed in range(count)])) == count
    return (time.perf_counter() - started) / count


def joblib_loky(count: int) -> float:
    """Seconds a trial through joblib's default processes and batching, with nothing kept on disk."""
    started = time.perf_counter()
    assert len(joblib.Parallel(n_jobs=WORKERS)(joblib.delayed(trivial)(seed) for seed in range(count))) == count
    return (time.perf_counter() - started) / count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=6000, help="trials a round of the sides that are fast")
    parser.add_argument("--tune-trials", type=int, default=12, help="trials a round of Tune, at about two seconds each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ray_session(None, cpus=WORKERS):
        folders = (Path(scratch) / str(number) for number in itertools.count())
        sides = {
            "papertrial": lambda: 1e3 * papertrial(next(folders), options.trials),
            "Ray Tune": lambda: 1e3 * ray_tune(next(folders), options.tune_trials),
            "papertrial, few": lambda: 1e3 * papertrial(next(folders), options.tune_trials),
            "Ray task": lambda: 1e3 * ray_task(options.trials),
            "joblib": lambda: 1e3 * joblib_loky(options.trials),
        }
        notes = {
            "papertrial": f"{options.trials // 6 * 6} trials, curves, synced ledger",
            "Ray Tune": f"{options.tune_trials} trials, defaults",
            "papertrial, few": f"{options.tune_trials} trials: the start of the workers is most of it",
            "Ray task": f"{options.trials} tasks, nothing kept",
            "joblib": f"{options.trials} calls, nothing kept",
        }
        figures = take(sides, options.rounds)
    show("overhead of a trial", "ms", figures, over="papertrial", notes=notes)


if __name__ == "__main__":
    main()
