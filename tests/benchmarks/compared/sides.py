"""The rows of the comparison: the command of each side, where its records appear, what it holds at the end."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Side:
    """A row. `command(trials, pause, workers, folder)`; `records` is a glob under the folder, None where nothing is kept as it runs."""

    name: str
    command: Callable[[int, float, int, Path], Sequence[str]]
    held: Callable[[Path], int]
    records: str | None
    package: str

    @property
    def installed(self) -> bool:
        """Whether its package can be imported."""
        return importlib.util.find_spec(self.package) is not None


def papertrial(*more: str) -> Callable[[int, float, int, Path], Sequence[str]]:
    """The command line as a user has it: ledger, verdicts, report, MLflow."""

    def command(trials: int, pause: float, workers: int, folder: Path) -> Sequence[str]:
        words = ["run", "draw", "--scale", "smoke", "--seeds", str(trials // 2), "--set", f"pause={pause}", "--study", "s"]
        return [sys.executable, "-m", "harness", *words, "--store", str(folder), *more]

    return command


def _in_ledger(folder: Path) -> int:
    from harness import ledger
    from harness.store import StudyStore

    return sum(record.status == "ok" for record in ledger.read(StudyStore(str(folder), "s")).records.values())


def _script(name: str, *more: str) -> Callable[[int, float, int, Path], Sequence[str]]:
    def command(trials: int, pause: float, workers: int, folder: Path) -> Sequence[str]:
        return [sys.executable, str(HERE / name), str(trials), str(pause), str(workers), str(folder), *more]

    return command


def _in_results(folder: Path) -> int:
    path = folder / "results.json"
    return len(json.loads(path.read_text())) if path.exists() else 0


def _benchopt(trials: int, pause: float, workers: int, folder: Path) -> Sequence[str]:
    """A copy of the benchmark: its cache and outputs lie inside."""
    shutil.copytree(HERE / "benchopt_draw", folder / "draw", dirs_exist_ok=True)
    return [sys.executable, "-m", "benchopt", "run", str(folder / "draw"), "-n", "1", "-r", "1", "-j", str(workers), "--no-plot"]


def _in_parquet(folder: Path) -> int:
    import pandas as pd

    paths = sorted((folder / "draw" / "outputs").glob("*.parquet"), key=lambda path: path.stat().st_mtime)
    return int(pd.read_parquet(paths[-1])["p_solver_number"].nunique()) if paths else 0


SIDES = (
    Side("papertrial", papertrial(), _in_ledger, "s/**/*.jsonl", "harness"),
    Side("Ray Tune, defaults", _script("with_tune.py"), _in_results, "tune/*/result.json", "ray.tune"),
    Side("Ray Tune, `reuse_actors=True`", _script("with_tune.py", "reuse"), _in_results, "tune/*/result.json", "ray.tune"),
    Side("Ray tasks", _script("with_ray.py"), _in_results, None, "ray"),
    Side("joblib", _script("with_joblib.py"), _in_results, None, "joblib"),
    Side("joblib with `Memory`", _script("with_joblib.py", "memory"), _in_results, "cache/**/output.pkl", "joblib"),
    Side("benchopt", _benchopt, _in_parquet, "draw/__cache__/**/output.pkl", "benchopt"),
    Side("submitit, local executor", _script("with_submitit.py"), _in_results, "jobs/*_result.pkl", "submitit"),
)
