"""What a study costs the driver as it grows: status, resume, memory a trial, leaderboard and verdicts.

    python tests/benchmarks/scale.py [--trials N] [--records N] [--seeds N] [--rounds N] [--only PART ...]

`status` and `resume` run the command line on a study of N recorded trials, `tables` on one without its ledger; `plan` is its file alone;
`memory` is what plan and ledger hold of a trial; `judge` and `sweep` take leaderboard and verdicts of made-up records beside a pandas
groupby of the same numbers, `groupby` takes that alone. Every part has a process of its own, so that its peak is its own; processor
time is user and system.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ["PAPERTRIAL_TASKS"] = str(Path(__file__).parents[1] / "throwaway")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))


import numpy as np
import pandas as pd

from harness import ledger, registry
from harness.checksums import signed
from harness.estimates import paired
from harness.frames import records_frame, write_trials
from harness.judgement import Judgement, judge
from harness.ledger import Ledger
from harness.plan import Overrides, TrialSpec, expand
from harness.plans import read_plan, save_plan
from harness.provenance import cpu_name, versions
from harness.store import PLAN, StudyStore
from harness.study import Study
from harness.sweeps import Sweep
from harness.task import Above, Grid
from tests.harness.fabricated import difference_claim, experiment_of, noise, record_of, task_of

CELLS = 6
"""Trials of a seed of the throw-away task."""


def planned(trials: int) -> list[TrialSpec]:
    """The plan of a throw-away study."""
    return expand(registry.task("misbehaving"), "smoke", Overrides(seeds=-(-trials // CELLS)), {})


def written(folder: Path, trials: int) -> StudyStore:
    """A finished study of so many trials on disk."""
    store, plan = StudyStore(str(folder), "scaled"), planned(trials)
    save_plan(store, plan)
    book = Ledger(store)
    book.append([record_of(trial, {"value": noise(trial) - (trial.method == "shifted")}) for trial in plan])
    book.close()
    return store


def clocked(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock, and of this process's processors."""
    clock, used = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - used


def status(options: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """`papertrial status` of a finished study, and of one a quarter as large: a linear one takes at most four times as long."""
    with tempfile.TemporaryDirectory() as scratch:
        for share in (4, 1):
            folder = Path(scratch) / str(share)
            written(folder, options.trials // share)
            used = min(whole("status", "scaled", "--store", str(folder))[0] for _ in range(options.rounds))
            yield f"status of {options.trials // share:,} trials, processor", used, "s"


def resume(options: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """The run of a finished study: everything is read once, nothing runs, no Ray starts. From its ledger alone, then with tables."""
    with tempfile.TemporaryDirectory() as scratch:
        plan = written(Path(scratch), options.trials)
        seeds = str(-(-options.trials // CELLS))
        words = (
            "run",
            "misbehaving",
            "--scale",
            "smoke",
            "--seeds",
            seeds,
            "--study",
            plan.name,
            "--store",
            scratch,
            "--tracking-uri",
            "none",
        )
        for which in ("first", *["again"] * options.rounds):
            used, peak = whole(*words)
            yield f"resume of {options.trials:,} trials, {which}, processor", used, "s"
            yield f"resume of {options.trials:,} trials, {which}, peak", peak, "MiB"


def plan_of(options: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """The plan alone: its bytes, and the time to read, to merge what is there already, and to read it where every trial says everything."""
    with tempfile.TemporaryDirectory() as scratch:
        store, plan = StudyStore(scratch, "scaled"), planned(options.trials)
        save_plan(store, plan)
        flat = json.dumps(signed({"schema_version": 6, "trials": [trial.to_json() for trial in plan]}))
        of = f"the plan of {len(plan):,} trials"
        yield of, len(store.read_bytes(PLAN)) / 2**20, "MiB"
        yield f"{of} where each says everything", len(flat) / 2**20, "MiB"
        yield f"{of}, saved again, processor", min(clocked(lambda: save_plan(store, plan))[1] for _ in range(options.rounds)), "s"
        yield f"{of}, read, processor", min(clocked(lambda: read_plan(store))[1] for _ in range(options.rounds)), "s"
        store.write_text(PLAN, flat)
        yield (
            f"{of} where each says everything, read, processor",
            min(clocked(lambda: read_plan(store))[1] for _ in range(options.rounds)),
            "s",
        )


def memory(options: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """Bytes that a trial holds in the driver: its place in the plan, and its record."""
    with tempfile.TemporaryDirectory() as scratch:
        store = written(Path(scratch), options.trials)
        gc.collect()
        tracemalloc.start()
        plan = planned(options.trials)
        of_plan = tracemalloc.get_traced_memory()[0]
        contents = ledger.read(store)
        whole, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(contents.records) == len(plan)
    yield "plan, a trial", of_plan / len(plan), "B"
    yield "record, a trial", (whole - of_plan) / len(plan), "B"
    yield "both, a trial", whole / len(plan), "B"
    yield "both while the ledger is read, a trial", peak / len(plan), "B"


def of_tables(options: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """Commands on a study that has its tables and no ledger, as a published one: what the whole process takes, its start included."""
    with tempfile.TemporaryDirectory() as scratch:
        store, plan = StudyStore(scratch, "scaled"), planned(options.trials)
        save_plan(store, plan)
        write_trials(store, (record_of(trial, {"value": noise(trial) - (trial.method == "shifted")}) for trial in plan))
        for words in (("verdicts",), ("trials",), ("report",)):
            used, peak = whole(*words, "scaled", "--store", scratch)
            yield f"{' '.join(words)} of {len(plan):,} trials, processor", used, "s"
            yield f"{' '.join(words)} of {len(plan):,} trials, peak", peak, "MiB"


def whole(*words: str) -> tuple[float, float]:
    """Seconds of the processor (user and system) and peak MiB of a `papertrial` command."""
    child = subprocess.Popen([sys.executable, "-m", "harness", *words], stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    _, status, used = os.wait4(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, words
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


LOST = 10_000
"""One in so many trials of the swept study fails."""


def made_up(folder: Path, records: int, seeds: int, *, swept: bool) -> Study:
    """A study of two methods in as many cells as the seeds leave; its frame is made of whole columns.

    Without a sweep every trial is ok and counts; with one the best width of each seed does, and some seeds are lost.
    """
    cells = max(1, records // seeds // 2)
    experiment = experiment_of(tuned=Sweep("width", by="loss") if swept else None)
    task = task_of(
        experiment=experiment,
        grids=lambda train: [Grid(train, axes={"width": tuple(range(1, cells + 1))})],
        seeds=seeds,
        claims=[difference_claim(Above(0.0), **({"estimate": paired("left", "right", experiment["loss"])} if swept else {}))],
    )
    plan = expand(task, "laptop", Overrides(), {})
    one_seed = records_frame([*(record_of(trial, {"loss": 0.0}) for trial in plan[: 2 * cells]), record_of(plan[-1], "failed")])
    frame = one_seed.loc[np.tile(np.arange(2 * cells), seeds)].reset_index(drop=True)
    shift = (frame["method"] == "left").to_numpy(dtype=float)
    frame["trial_id"], frame["seed"] = [trial.id for trial in plan], [trial.seed for trial in plan]
    frame["metric.loss"] = np.random.default_rng(0).normal(size=len(plan)) + 0.01 * shift
    if swept:
        frame.loc[::LOST, ["status", "metric.loss"]] = ["failed", np.nan]
    curves = pd.DataFrame({"trial_id": pd.Series(dtype=str), "step": pd.Series(dtype=float)})
    return Study(
        name="made-up", store=StudyStore(str(folder), "made-up"), tasks={task.id: task}, plan=plan, frame=frame, curves=curves, env={}
    )


def by_pandas(frame: pd.DataFrame, *, swept: bool) -> float:
    """The difference that the claim reads, as a groupby gives it."""
    groups = frame.groupby(["seed", "method"], observed=True)["metric.loss"]
    numbers = groups.min().where(groups.count() == groups.size()).unstack() if swept else groups.mean().unstack()
    return float((numbers["left"] - numbers["right"]).mean())


def judged(options: argparse.Namespace, *, swept: bool = False) -> Iterator[tuple[str, float, str]]:
    """Leaderboard and verdicts of records in memory, beside the groupby that the same numbers take in pandas."""
    with tempfile.TemporaryDirectory() as scratch:
        study = made_up(Path(scratch), options.records, options.seeds, swept=swept)
        before = peak_mib()
        found: list[Judgement] = []
        _, used = clocked(lambda: found.append(judge(study)))
        after = peak_mib()
        (verdict,), (board,) = found[0].verdicts, found[0].boards
        difference: list[float] = []
        _, pandas_used = clocked(lambda: difference.append(by_pandas(study.frame, swept=swept)))
    assert board.recorded == len(study.plan)
    assert abs(verdict.interval.estimate - difference[0]) < 1e-9
    of = f"{len(study.plan):,} records of {options.seeds:,} seeds{', swept' if swept else ''}"
    yield f"judging {of}, processor", used, "s"
    yield "the same difference by a pandas groupby, processor", pandas_used, "s"
    yield "judging, times the groupby", used / pandas_used, ""
    yield "peak of the process before judging (plan and records)", before, "MiB"
    yield "peak of the process", after, "MiB"


def bare(options: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """The groupby alone, on a frame of its three columns and nothing else: the floor of any way to judge."""
    cells = max(1, options.records // options.seeds // 2)
    each = np.arange(2 * cells * options.seeds)
    methods = pd.Categorical.from_codes(each // cells % 2, pd.Index(["left", "right"]))
    loss = np.random.default_rng(0).normal(size=len(each))
    frame = pd.DataFrame({"seed": each // (2 * cells), "method": methods, "metric.loss": loss})
    _, used = clocked(lambda: by_pandas(frame, swept=False))
    yield f"a pandas groupby of {len(frame):,} records and nothing else, processor", used, "s"
    yield "peak of the process", peak_mib(), "MiB"


def peak_mib() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[tuple[str, float, str]]]] = {
    "status": status,
    "resume": resume,
    "plan": plan_of,
    "memory": memory,
    "tables": of_tables,
    "judge": judged,
    "sweep": partial(judged, swept=True),
    "groupby": bare,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=10_000, help="of the records that are judged")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if len(options.only) > 1:
        words = [f"--{name}={getattr(options, name)}" for name in ("trials", "records", "seeds", "rounds")]
        for part in options.only:
            subprocess.run([sys.executable, __file__, *words, "--only", part], check=True)
        return
    for part in options.only:
        for name, value, unit in PARTS[part](options):
            print(json.dumps({"benchmark": "scale", "part": part, "figure": name, "value": value, "unit": unit}), flush=True)
    where = f"{cpu_name()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(where + "; " + ", ".join(f"{name} {version}" for name, version in versions().items()))


if __name__ == "__main__":
    main()
