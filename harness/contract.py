"""What holds of every task, asked of one: findings are sentences, and an empty list keeps the contract.

Nothing here needs a repository, so `papertrial test` asks a task of any package. What needs data made for the purpose, such as which
split moves which number, is asked of the tasks of this repository by their own tests.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import coverage, data, memory, registry
from harness.causes import cause
from harness.checkpoints import Checkpoint
from harness.errors import PapertrialError
from harness.plan import DataRef, Overrides, TrialSpec, data_names, expand, placeholders
from harness.record import Record
from harness.task import Experiment, Task
from harness.worker import Context, Worker

HEAVY = ("torch", "ray", "mlflow", "pandas", "pyarrow", "numpy", "scipy", "sklearn", "mne", "matplotlib")
"""What a declaration may not import: listing sixty papers costs milliseconds."""
_STUDY = "contract"


def findings(name: str, chosen: Mapping[str, data.UserData] | None = None) -> list[str]:
    """All that is wrong with the task called `name`; its trials are run only where the declaration is sound.

    DataError, which says what to fetch, where a set that the trials read is not here; `chosen` are the user's own files.
    """
    task = registry.task(name)
    return [*imports(task.id), *declared(task)] or ran(task, references(task, chosen or {}))


def imports(name: str) -> list[str]:
    """Heavy packages that declaring the task imports, looked for in a process of its own."""
    code = f"import sys; from harness import registry; registry.task({name!r}); print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    path = f"import sys; sys.path[:] = {sys.path!r}; "
    done = subprocess.run([sys.executable, "-c", path + code], capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"task {name} cannot be loaded in a fresh process: {_last(done.stderr)}"]
    found = done.stdout.split()
    return [f"task.py imports {', '.join(found)}: import it in experiment.py, listing tasks has to stay instant"] if found else []


def declared(task: Task) -> list[str]:
    """What the declaration alone shows: who is compared, what claims say and read, whether estimates keep to the limits."""
    roles = {method.role for method in task.methods}
    found = [] if "proposed" in roles else ["no method is proposed: one of them is what the paper proposes"]
    if roles <= {"proposed"}:
        found.append("nothing is compared with what is proposed: add a baseline, a rival, a control or a floor")
    for claim in task.claims:
        empty = [name for name in ("statement", "source") if not getattr(claim, name).strip()]
        found += [f"claim {claim.id} has an empty {name}" for name in empty]
        if not set(claim.scales) & set(task.scales):
            found.append(f"claim {claim.id} is tested at none of the task's scales")
        if not coverage.needs(claim.estimate):
            found.append(f"claim {claim.id} reads nothing")
    return [*found, *(f"scale {name}: {one}" for name in task.scales for one in _planned(task, name))]


def _planned(task: Task, name: str) -> Iterator[str]:
    scale = task.scales[name]
    try:
        trials = expand(task, name, Overrides(), placeholders(task, name))
    except PapertrialError as error:
        yield str(error)
        return
    over = {f"{t.experiment}/{t.method}": t.expected_s for t in trials if t.expected_s > t.time_limit_s}
    for cell, seconds in over.items():
        yield f"{cell} is estimated at {seconds:g} s, above the limit of {scale.time_limit_s:g} s"
    if not scale.hardware and any(trial.resources.gpus for trial in trials):
        yield "its trials take a GPU and its hardware has no name"
    # A scale of a GPU is planned on what it names; what other scales find differs from machine to machine.
    if scale.hardware and memory.too_large(trials, [task], scale.hardware):
        yield f"trials beyond the memory of {scale.hardware.name}"
    if scale.seeds < 2 and any(name in claim.scales and not claim.exact for claim in task.claims):
        yield "one seed decides nothing: take two or more, or declare exact claims"


def references(task: Task, chosen: Mapping[str, data.UserData]) -> dict[str, DataRef]:
    """The copies of all sets that the smallest scale of each experiment reads."""
    names = [name for experiment in task.experiments for name in data_names(task, *_smallest(task, experiment))]
    return {name: data.resolve(registry.dataset(name), chosen) for name in dict.fromkeys(names)}


def ran(task: Task, found: Mapping[str, DataRef]) -> list[str]:
    """What a trial of every method shows, run at the smallest scale of each experiment in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="papertrial-") as folder:
        return [
            f"experiment {experiment.name}, {one}"
            for experiment in task.experiments
            for one in _Cells(task, experiment, found, Path(folder) / experiment.name).findings()
        ]


def timeless(experiment: Experiment, metrics: Mapping[str, float]) -> dict[str, float]:
    """Without what a clock measured."""
    clocked = {metric.name for metric in experiment.metrics if metric.timed}
    return {name: float(value) for name, value in metrics.items() if name not in clocked}


@dataclass
class _Cells:
    """The first trial of each method of an experiment, with what it needs first."""

    task: Task
    experiment: Experiment
    data: Mapping[str, DataRef]
    folder: Path
    trials: list[TrialSpec] = field(init=False)

    def __post_init__(self) -> None:
        self.trials = expand(self.task, *_smallest(self.task, self.experiment, seeds=2), self.data)

    def findings(self) -> list[str]:
        """Each method ends ok at two seeds, gives the same again in another order and when cut; some method heeds its seed."""
        first = self._firsts(0)
        worker = self._worker("first")
        records = {spec.method: self._with_needed(worker, spec) for spec in first}
        broken = [f"{method}: {_ended(record)}" for method, record in records.items() if record.status != "ok"]
        if broken:
            return broken
        found = []
        for spec in reversed(first):
            found += self._repeated(spec, records[spec.method])
        return found or self._at_another_seed(records)

    def _repeated(self, spec: TrialSpec, before: Record) -> list[str]:
        """Cut behind its first checkpoint, where it makes one, and taken up again: the same numbers."""
        cut = self._worker(f"again-{spec.method}")
        was_cut = self._cut(cut, spec)
        again = self._with_needed(self._worker(f"again-{spec.method}"), spec)
        if self._same(before, again):
            return []
        if was_cut and self._same(before, self._with_needed(self._worker(f"third-{spec.method}"), spec)):
            return [f"{spec.method}: a trial that goes on from its checkpoint gives other numbers ({self._differing(before, again)})"]
        return [f"{spec.method}: the same trial gives other numbers when it runs again ({self._differing(before, again)})"]

    def _cut(self, worker: Worker, spec: TrialSpec) -> bool:
        """Whether the trial made a checkpoint, right behind which it was stopped."""
        for needed in self._needed(spec):
            worker.execute(needed)
        save, cut = worker._checkpoints.save, []

        def save_and_stop(trial_id: str, found: Checkpoint) -> None:
            save(trial_id, found)
            cut.append(True)
            raise InterruptedError

        worker._checkpoints.save = save_and_stop  # type: ignore[method-assign]
        worker.execute(spec)
        return bool(cut)

    def _at_another_seed(self, records: Mapping[str, Record]) -> list[str]:
        if self.task.scales[self.trials[0].scale].seeds < 2:
            return []
        worker = self._worker("seed")
        others = {spec.method: self._with_needed(worker, spec) for spec in self._firsts(1)}
        broken = [f"{method}: at seed 1 {_ended(record)}" for method, record in others.items() if record.status != "ok"]
        if broken or self.experiment.exact or not all(self._same(records[method], record) for method, record in others.items()):
            return broken
        return ["all methods: seed 1 gives the numbers of seed 0, so an interval over seeds says nothing; draw from trial.seed_for(...)"]

    def _firsts(self, seed: int) -> list[TrialSpec]:
        own = [spec for spec in self.trials if spec.seed == seed and spec.experiment == self.experiment.name]
        return list({spec.method: spec for spec in reversed(own)}.values())[::-1]

    def _needed(self, spec: TrialSpec) -> list[TrialSpec]:
        below = [other for other in self.trials if other.id == spec.requires]
        return [*(one for other in below for one in self._needed(other)), *below]

    def _with_needed(self, worker: Worker, spec: TrialSpec) -> Record:
        for needed in self._needed(spec):
            record = worker.execute(needed).record
            if record.status != "ok":
                return record
        return worker.execute(spec).record

    def _worker(self, name: str) -> Worker:
        return Worker(Context(store_uri=str(self.folder / name), study=_STUDY))

    def _same(self, one: Record, other: Record) -> bool:
        return self._differing(one, other) == ""

    def _differing(self, one: Record, other: Record) -> str:
        """What differs, in words; empty where nothing does."""
        if one.status != other.status:
            return _ended(other)
        before, after = (timeless(self.experiment, record.metrics) for record in (one, other))
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        return "; ".join(f"{name} {before.get(name)} and {after.get(name)}" for name in names[:2])


def _smallest(task: Task, experiment: Experiment, *, seeds: int | None = None) -> tuple[str, Overrides]:
    """The smallest scale that has the experiment, and what narrows it to that."""
    scale = next(scale for scale, _ in task.grids(experiment.name))
    return scale, Overrides(seeds=seeds, experiments=(experiment.name,))


def _ended(record: Record) -> str:
    return f"{record.status}, {cause(record.error)}"


def _last(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else ""
