"""Runs one trial in this process and turns whatever happens into a record."""

from __future__ import annotations

import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness import gate, provenance, registry
from harness.artifacts import Artifacts
from harness.checkpoints import Checkpoint, Checkpoints
from harness.data import open_data
from harness.data_store import NodeData
from harness.energy import Meter, between, meter, of_trial
from harness.isolation import isolated
from harness.lazy import load
from harness.opened import OpenedData
from harness.pack import SLICE_SECONDS, Pack, Problem, counted_in
from harness.packing import Program, is_out_of_memory, runner
from harness.plan import TrialSpec
from harness.probe import Gauge, Pace, probe
from harness.record import Curve, Record, Status
from harness.store import StudyStore
from harness.task import Experiment, Resources
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


@dataclass(frozen=True)
class Slice:
    """What a program of many trials did since it was last asked."""

    pace: Pace | None = None
    taken: int = 0
    """Trials at the front of those it was given that are members; 0 where packing does not pay."""
    outcomes: Sequence[Outcome] = ()
    left: bool = False
    """Whether it goes on."""
    problem: Problem | None = None
    """Why it ended before its trials did."""
    retire: bool = False


@dataclass(frozen=True)
class _Under:
    """A program under way."""

    pack: Pack
    specs: Mapping[str, TrialSpec]
    pace: Pace
    device: str


class _Readable(Artifacts):
    """Artifacts of a trial that is only tried, or of one of its ranks but the first: it finds what is kept, and keeps nothing."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._store = artifacts._store

    def save(self, trial_id: str, state: Any) -> None:
        """Forget it."""


class _Seen(Checkpoints):
    """Checkpoints as the ranks but the first have them."""

    def save(self, trial_id: str, found: Checkpoint) -> None:
        """Forget it."""

    def discard(self, trial_id: str) -> None:
        """Leave it to the first rank."""


class Worker:
    """Executes trials one after another, or many of them as one program. `rank` of `world_size` processes that run a trial together."""

    def __init__(self, context: Context, *, rank: int = 0, world_size: int = 1, meters: Callable[[str, Resources], Meter] = meter) -> None:
        self._context, self._rank, self._world_size = context, rank, world_size
        self._meters = meters
        self._meter: Meter | None = None
        store = StudyStore(context.store_uri, context.study, answered=True)
        self._checkpoints = _Seen(store) if rank else Checkpoints(store)
        self._artifacts = _Readable(Artifacts(store)) if rank else Artifacts(store)
        self._rss_limit = math.inf
        self._retired = False
        self._pack: _Under | None = None
        self._node_data = NodeData(context.store_uri)
        self._opened = OpenedData(lambda data: open_data(registry.dataset(data.name), data))
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(context.resources.cpus)))
        provenance.versions()  # read from files once, which is no part of the first trial

    def execute(self, spec: TrialSpec, packing: str = "") -> Outcome:
        """The outcome of a trial, whatever it raises; what an interruption of the run made of it is for the caller to forget.

        `packing` is why it shares no program with others.
        """
        started, clock = datetime.now(UTC), time.perf_counter()
        trial: Trial | None = None
        metrics: Mapping[str, float] = {}
        status: Status = "ok"
        device, error = "cpu", ""
        counters, joules = Meter(), math.nan
        try:
            experiment = registry.task(spec.task).experiment(spec.experiment)
            run = runner(experiment)
            device = _prepare_device(self._context.resources)
            self._bring([spec])
            counters = self._counters(device)
            with isolated(int(spec.id, 16)), self._together(spec, device):
                clock = time.perf_counter()  # what the process imports for its first trial is not that trial's cost
                joules = counters.joules()
                trial = self._trial(spec, device)
                with time_limit(spec.time_limit_s), _only_this_process():
                    returned = run(trial)
                if self._rank == 0:
                    metrics, status, error = _passed(experiment, spec, returned)
        except TrialTimeout as problem:
            status, error = "timeout", f"ran longer than its limit of {spec.time_limit_s:g} s\n{gate.error(problem)}"
        except BaseException as problem:
            status = "oom" if is_out_of_memory(problem) else "failed"
            error = gate.error(problem)
        seconds, joules = time.perf_counter() - clock, between(joules, counters.joules())
        before = trial.seconds_before if trial else 0.0
        self._opened.settle()
        outcome = self._outcome(
            spec,
            trial,
            metrics,
            status,
            error,
            seconds=before + seconds,
            energy_j=of_trial(joules, seconds, before),
            started=started.isoformat(timespec="milliseconds"),
            device=device,
        )
        return replace(outcome, record=replace(outcome.record, packing=gate.text(packing)), retire=self._retire(error))

    def _together(self, _spec: TrialSpec, _device: str) -> AbstractContextManager[None]:
        """What a trial of several ranks runs inside."""
        return nullcontext()

    def _trial(self, spec: TrialSpec, device: str, elapsed: Callable[[], float] | None = None, *, scratch: bool = False) -> Trial:
        """A trial as its code sees it; what a scratch one saves or keeps goes nowhere."""
        return Trial(
            registry.task(spec.task).experiment(spec.experiment),
            spec,
            device=device,
            open_data=self._open,
            checkpoints=None if scratch else self._checkpoints,
            artifacts=_Readable(self._artifacts) if scratch else self._artifacts,
            source_digest=self._context.source_digests.get(spec.task, ""),
            elapsed=elapsed,
            rank=self._rank,
            world_size=self._world_size,
        )

    def _outcome(
        self,
        spec: TrialSpec,
        trial: Trial | None,
        metrics: Mapping[str, float],
        status: Status,
        error: str,
        *,
        seconds: float,
        energy_j: float,
        started: str,
        device: str,
    ) -> Outcome:
        """The record of a trial that has ended, and its curve, as far as both pass the gate."""
        curve: Curve = []
        backend = ""
        try:
            curve, backend = (gate.curve(trial.curve), gate.text(trial.kernel_backend, gate.MOST_NAME)) if trial else ([], "")
        except Exception as problem:
            metrics, status, error = {}, "failed", gate.error(problem)
        if status in ("ok", "diverged"):
            self._checkpoints.discard(spec.id)
        record = self._record(
            spec,
            metrics=metrics,
            status=status,
            error=error,
            started=started,
            seconds=seconds,
            device=_device_name(device),
            peak_memory_mib=_peak_memory(device),
            energy_j=energy_j,
            kernel_backend=backend,
            notes=gate.text("\n".join(trial.notes)) if trial else "",
        )
        return Outcome(record, curve)

    def begin(self, specs: Sequence[TrialSpec], pace: Pace | None, most: int) -> Slice:
        """Start one program for as many of `specs` as `pace` says and at most `most`, and drive its first slice.

        Where there is no pace, a probe finds it first.
        """
        experiment = registry.task(specs[0].task).experiment(specs[0].experiment)
        try:
            program: Program = load(experiment.run_batch)
            device = _prepare_device(self._context.resources)
            self._bring(specs)
            if pace is None:
                with _only_this_process():
                    gauge = _gauge(device, self._context.resources)
                    pace = probe(program, specs, lambda spec, elapsed: self._trial(spec, device, elapsed, scratch=True), gauge)
                self._opened.settle()
            if pace.size < 2:
                return Slice(pace=pace)
            taken = specs[: min(pace.size, most)]
            pack = Pack(program, taken, lambda spec, elapsed: self._trial(spec, device, elapsed), self._counters(device))
            self._pack = _Under(pack, {spec.id: spec for spec in taken}, pace, device)
        except TrialTimeout as late:
            return Slice(pace, len(specs), problem=Problem("timeout", gate.error(late)))
        except BaseException as problem:
            return Slice(pace, len(specs), problem=Problem("oom" if is_out_of_memory(problem) else "failed", gate.error(problem)))
        return replace(self.go_on(), taken=len(taken))

    def go_on(self) -> Slice:
        """Drive the program under way for another slice."""
        under = self._pack
        assert under is not None
        with _only_this_process():
            ended, problem = under.pack.advance(SLICE_SECONDS)
        self._opened.settle()
        outcomes = []
        for one in ended:
            spec = under.specs[one.trial.id]
            try:
                metrics, status, error = _passed(registry.task(spec.task).experiment(spec.experiment), spec, one.metrics)
            except Exception as wrong:
                metrics, status, error = {}, "failed", gate.error(wrong)
            cost = {"seconds": one.seconds, "energy_j": one.energy_j}
            outcome = self._outcome(spec, one.trial, metrics, status, error, **cost, started=one.started, device=under.device)
            outcomes.append(replace(outcome, record=counted_in(outcome.record, under.pack.members, under.pace)))
        left = under.pack.left and problem is None
        if not left:
            self._pack = None
        retire = not left and self._retire(problem.error if problem else "")
        return Slice(under.pace, len(under.specs), outcomes, left=left, problem=problem, retire=retire)

    def drop(self) -> None:
        """End the program under way, if there is one; what its members have saved stays."""
        if self._pack is not None:
            self._pack.pack.close()
        self._pack = None

    def execute_all(
        self, specs: Sequence[TrialSpec], packing: Mapping[str, str] = MappingProxyType({}), seconds: float = BATCH_SECONDS
    ) -> list[Outcome]:
        """Outcomes of a batch in order; shorter than the batch after `seconds` of work, or when this process should go.

        One that should go does nothing more, whatever it was sent before that was known.
        """
        outcomes: list[Outcome] = []
        enough = time.monotonic() + seconds
        for spec in () if self._retired else specs:
            outcomes.append(self.execute(spec, packing.get(spec.id, "")))
            self._retired = outcomes[-1].retire
            if self._retired or time.monotonic() > enough:
                break
        return outcomes

    def _bring(self, specs: Sequence[TrialSpec]) -> None:
        for data in {spec.data.fingerprint: spec.data for spec in specs if spec.data}.values():
            self._node_data.bring(registry.dataset(data.name), data)

    def _counters(self, device: str) -> Meter:
        if self._meter is None:
            self._meter = self._meters(device, self._context.resources)
        return self._meter

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


def _passed(experiment: Experiment, spec: TrialSpec, returned: Any) -> tuple[Mapping[str, float], Status, str]:
    """Metrics, status and error of what a trial returned. SaidError where it does not pass the gate."""
    metrics = gate.metrics(experiment, spec.method, returned)
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    return metrics, "diverged" if bad else "ok", f"not finite: {', '.join(bad)}" if bad else ""


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


def _gauge(device: str, resources: Resources) -> Gauge:
    """What programs of this worker are measured by: on a CPU it may take its share of the main memory that is free."""
    peak = partial(_peak_memory, device)
    if device == "cpu":
        share = min(1.0, resources.cpus / (os.cpu_count() or 1))
        return Gauge(time.process_time, peak, lambda: share * _available_mib())
    import torch

    return Gauge(time.perf_counter, peak, lambda: torch.cuda.mem_get_info()[0] / _MIB)


def _available_mib() -> float:
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) / 1024
    except (OSError, ValueError, KeyError, IndexError):
        return math.inf


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - a hot path of microseconds
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
