"""Runs one trial in this process and turns whatever happens into a record."""

from __future__ import annotations

import math
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness import gate, packing, provenance, registry
from harness.artifacts import Artifacts
from harness.checkpoints import Checkpoints
from harness.data import open_data
from harness.isolation import isolated
from harness.opened import OpenedData
from harness.plan import TrialSpec
from harness.record import Curve, Record, Status
from harness.store import StudyStore
from harness.task import Resources
from harness.time_limit import TrialTimeout, time_limit
from harness.trial import Trial

_MIB = 2**20
BATCH_SECONDS = 0.25
"""After this much work a batch goes back, however many of its trials are left: what has finished must not wait for the rest."""


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
        self._opened = OpenedData(lambda data: open_data(registry.dataset(data.name), data))
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(context.resources.cpus)))

    def execute(self, spec: TrialSpec) -> Outcome:
        """The outcome of a trial, whatever it raises; what an interruption of the run made of it is for the caller to forget."""
        started, clock = datetime.now(UTC), time.perf_counter()
        trial: Trial | None = None
        metrics: dict[str, float] = {}
        curve: Curve = []
        device, backend = "cpu", ""
        try:
            experiment = registry.task(spec.task).experiment(spec.experiment)
            run = packing.runner(experiment)
            device = _prepare_device(self._context.resources)
            with isolated(int(spec.id, 16)):
                clock = time.perf_counter()  # what the process imports for its first trial is not that trial's cost
                trial = Trial(
                    experiment,
                    spec,
                    device=device,
                    open_data=self._open,
                    checkpoints=self._checkpoints,
                    artifacts=self._artifacts,
                    source_digest=self._context.source_digests.get(spec.task, ""),
                )
                with time_limit(spec.time_limit_s), _only_this_process():
                    returned = run(trial)
                metrics = gate.metrics(experiment, spec.method, returned)
            bad = [name for name, value in metrics.items() if not math.isfinite(value)]
            status: Status = "diverged" if bad else "ok"
            error = f"not finite: {', '.join(bad)}" if bad else ""
        except TrialTimeout as problem:
            status, error = "timeout", f"ran longer than its limit of {spec.time_limit_s:g} s\n{gate.error(problem)}"
        except BaseException as problem:
            status = "oom" if _is_out_of_memory(problem) else "failed"
            error = gate.error(problem)
        seconds = (trial.seconds_before if trial else 0.0) + time.perf_counter() - clock
        try:
            curve, backend = (gate.curve(trial.curve), gate.text(trial.kernel_backend, gate.MOST_NAME)) if trial else ([], "")
        except Exception as problem:
            metrics, status, error = {}, "failed", gate.error(problem)
        self._opened.settle()
        if status in ("ok", "diverged"):
            self._checkpoints.discard(spec.id)
        record = self._record(
            spec,
            metrics=metrics,
            status=status,
            error=error,
            started=started.isoformat(timespec="milliseconds"),
            seconds=seconds,
            device=_device_name(device),
            peak_memory_mib=_peak_memory(device),
            kernel_backend=backend,
            notes=gate.text("\n".join(trial.notes)) if trial else "",
        )
        return Outcome(record, curve, retire=self._retire(error))

    def execute_all(self, specs: Sequence[TrialSpec]) -> list[Outcome]:
        """Outcomes of a batch in order; shorter than the batch once its work is worth the way back, or when this process should go."""
        outcomes: list[Outcome] = []
        enough = time.monotonic() + BATCH_SECONDS
        for spec in specs:
            outcomes.append(self.execute(spec))
            if outcomes[-1].retire or time.monotonic() > enough:
                break
        return outcomes

    def _open(self, spec: TrialSpec) -> Any:
        assert spec.data is not None
        return self._opened.get(spec.data.fingerprint, spec.data)

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
    return Outcome(blank_record(spec, context, metrics={}, status=status, error=gate.text(error), attempts=attempts), [])


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


@contextmanager
def _only_this_process() -> Iterator[None]:
    """A child that a trial forked and that comes back from it ends here: it must not go on with the study."""
    here = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != here:
            os._exit(0)


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
