"""Runs one trial in this process and turns whatever happens into a record."""

from __future__ import annotations

import math
import numbers
import os
import platform
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from harness import provenance, registry
from harness.artifacts import Artifacts
from harness.checkpoints import Checkpoints
from harness.data import open_data
from harness.lazy import load
from harness.plan import TrialSpec
from harness.record import Curve, Record, Status
from harness.store import StudyStore
from harness.task import Experiment, Resources
from harness.trial import Trial

_MIB = 2**20


class TrialTimeout(BaseException):
    """Raised inside a trial that passed its limit; not an Exception, so that a task's own `except Exception` lets it through."""


class MetricsError(Exception):
    """What `run` returned is not a mapping of all declared metrics to numbers."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every trial of a study shares; travels to the workers once."""

    store_uri: str
    study: str
    resources: Resources = Resources()
    source_digests: Mapping[str, str] = field(default_factory=dict)
    git_commit: str = ""
    git_dirty: bool = False


@dataclass(frozen=True)
class Outcome:
    """A record, its curve, and whether the process should not run another trial."""

    record: Record
    curve: Curve
    retire: bool = False


class Worker:
    """Executes trials one after another."""

    def __init__(self, context: Context) -> None:
        self._context = context
        store = StudyStore(context.store_uri, context.study)
        self._checkpoints, self._artifacts = Checkpoints(store), Artifacts(store)
        self._rss_limit = math.inf
        self._opened: dict[str, Any] = {}
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(context.resources.cpus)))

    def execute(self, spec: TrialSpec) -> Outcome:
        """The outcome of a trial. Only KeyboardInterrupt escapes."""
        started, clock = datetime.now(UTC), time.perf_counter()
        trial: Trial | None = None
        metrics: dict[str, float] = {}
        device = "cpu"
        try:
            task = registry.task(spec.task)
            experiment = task.experiment(spec.experiment)
            run = load(experiment.run)
            device = _prepare_device(self._context.resources)
            _seed_globals(spec)
            clock = time.perf_counter()  # what the process imports for its first trial is not that trial's cost
            trial = Trial(experiment, spec, device=device, open_data=self._open, checkpoints=self._checkpoints, artifacts=self._artifacts)
            with _time_limit(spec.time_limit_s):
                returned = run(trial)
            metrics = _checked(experiment, spec.method, returned)
            bad = [name for name, value in metrics.items() if not math.isfinite(value)]
            status: Status = "diverged" if bad else "ok"
            error = f"not finite: {', '.join(bad)}" if bad else ""
        except KeyboardInterrupt:
            raise
        except TrialTimeout:
            status, error = "timeout", f"ran longer than its limit of {spec.time_limit_s:g} s\n{traceback.format_exc()}"
        except BaseException as problem:
            status = "oom" if _is_out_of_memory(problem) else "failed"
            error = f"{type(problem).__name__}: {problem}\n{traceback.format_exc()}"
        if status in ("ok", "diverged"):
            self._checkpoints.discard(spec.id)
        record = self._record(
            spec,
            metrics=metrics,
            status=status,
            error=error,
            started=started.isoformat(timespec="milliseconds"),
            seconds=time.perf_counter() - clock,
            device=_device_name(device),
            peak_memory_mib=_peak_memory(device),
            kernel_backend=trial.kernel_backend if trial else "",
        )
        return Outcome(record, trial.curve if trial else [], retire=self._retire(error))

    def execute_all(self, specs: Sequence[TrialSpec]) -> list[Outcome]:
        """Outcomes of a batch in order; shorter than the batch when this process should be replaced first."""
        outcomes: list[Outcome] = []
        for spec in specs:
            outcomes.append(self.execute(spec))
            if outcomes[-1].retire:
                break
        return outcomes

    def _open(self, spec: TrialSpec) -> Any:
        assert spec.data is not None
        if spec.data.fingerprint not in self._opened:
            self._opened[spec.data.fingerprint] = open_data(registry.dataset(spec.data.name), spec.data)
        return self._opened[spec.data.fingerprint]

    def _retire(self, error: str) -> bool:
        """A poisoned CUDA context, or memory that keeps growing: the next trial deserves a fresh process."""
        rss = _resident_bytes()
        if math.isinf(self._rss_limit):
            self._rss_limit = 2 * rss + 1024 * _MIB
        return "CUDA error" in error or rss > self._rss_limit

    def _record(self, spec: TrialSpec, **outcome: Any) -> Record:
        return blank_record(spec, self._context, host=platform.node(), **outcome)


def lost(spec: TrialSpec, context: Context, status: Status, error: str, *, attempts: int = 1) -> Outcome:
    """The outcome of a trial that no worker can tell of."""
    return Outcome(blank_record(spec, context, metrics={}, status=status, error=error, attempts=attempts), [])


def blank_record(spec: TrialSpec, context: Context, **outcome: Any) -> Record:
    """The record of a trial with its identity and provenance filled in; `outcome` gives the rest."""
    data = spec.data
    return Record(
        trial_id=spec.id,
        task=spec.task,
        version=spec.version,
        scale=spec.scale,
        experiment=spec.experiment,
        method=spec.method,
        seed=spec.seed,
        params=spec.params,
        data_name=data.source if data else "",
        data_kind=data.kind if data else "synthetic",
        data_fingerprint=data.fingerprint if data else "",
        data_notes="\n".join(data.notes) if data else "",
        git_commit=context.git_commit,
        git_dirty=context.git_dirty,
        source_digest=context.source_digests.get(spec.task, ""),
        versions=provenance.versions(),
        **outcome,
    )


def _checked(experiment: Experiment, method: str, returned: Any) -> dict[str, float]:
    if not isinstance(returned, Mapping) or not returned:
        raise MetricsError(f"run must return a mapping of metrics to numbers, not {returned!r}")
    declared = {metric.name for metric in experiment.metrics}
    for name, value in returned.items():
        if name not in declared:
            known = ", ".join(sorted(declared))
            raise MetricsError(f"run returned metric {name!r}, which experiment {experiment.name} does not declare (it declares {known})")
        scalar = isinstance(value, numbers.Real) or (hasattr(value, "item") and getattr(value, "ndim", None) == 0)
        if isinstance(value, bool) or not scalar:
            raise MetricsError(f"run returned {value!r} for metric {name!r}: not a number")
    metrics = {name: float(value) for name, value in returned.items()}
    missing = [metric.name for metric in experiment.metrics if metric.returned_by(method) and metric.name not in metrics]
    if missing and all(math.isfinite(value) for value in metrics.values()):
        raise MetricsError(f"run returned no {', '.join(missing)}, which experiment {experiment.name} declares for {method}")
    return metrics


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TrialTimeout in the running code after `seconds`. Outside a main thread only the engine's own deadline acts."""

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise TrialTimeout

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _prepare_device(resources: Resources) -> str:
    if "torch" not in sys.modules and not resources.gpus:
        return "cpu"
    import torch

    threads = max(1, int(resources.cpus))
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if not resources.gpus:
        return "cpu"
    if not torch.cuda.is_available():
        raise RuntimeError("Ray gave this trial a GPU, and torch sees none on this node")
    if 0 < resources.gpus < 1:
        torch.cuda.set_per_process_memory_fraction(min(1.0, resources.gpus))
    torch.cuda.reset_peak_memory_stats()
    return "cuda"


def _seed_globals(spec: TrialSpec) -> None:
    """Global generators start from the trial's id, so that a task that forgets `seed_for` is still repeatable."""
    seed = int(spec.id, 16)
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed % 2**63)


def _is_out_of_memory(problem: BaseException) -> bool:
    return isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError"


def _device_name(device: str) -> str:
    if device == "cpu":
        return provenance.cpu_name()
    import torch

    return str(torch.cuda.get_device_name())


def _peak_memory(device: str) -> float:
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    import torch

    return float(torch.cuda.max_memory_allocated() / _MIB)


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - a hot path of microseconds
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
