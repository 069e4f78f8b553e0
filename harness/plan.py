"""Task x scale x overrides -> trials with content-addressed ids, and what of them is left to do."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from harness import coverage, params
from harness.errors import PapertrialError, TaskError, UsageError, unknown
from harness.task import Experiment, Grid, Requirement, Resources, Scale, Task


@dataclass(frozen=True, slots=True)
class DataRef:
    """Which data a trial reads: the name of the set, where it came from, its kind and its fingerprint."""

    name: str
    source: str
    kind: str
    fingerprint: str
    path: str = ""
    notes: tuple[str, ...] = ()
    """What of the files was left out and why, a sentence each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSpec:
    """The unit of work. Its id is a hash of exactly what decides its result.

    A plan has many that differ in the seed alone: these share their parameters, data and resources, see `expand` and `read_trials`.
    """

    task: str
    version: int
    scale: str
    experiment: str
    method: str
    params: Mapping[str, Any]
    seed: int
    data: DataRef | None = None
    resources: Resources = Resources()
    time_limit_s: float = 3600.0
    expected_s: float = 0.0
    expected_gib: float = 0.0
    """Expected peak memory, of its GPUs where it takes any; 0 where the task says nothing."""
    requires: str = ""
    """Id of the trial that has to end ok first; empty where there is none. It follows from the method and the parameters."""
    views: tuple[str, ...] = ()
    """Views of the grids that ask for it."""
    _id: str = field(default="", init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """See `trial_id`."""
        if not self._id:
            object.__setattr__(self, "_id", self.identity.id(self.seed))
        return self._id

    @property
    def identity(self) -> Identity:
        """Of the trials that differ from this one in the seed alone."""
        fingerprint = self.data.fingerprint if self.data else ""
        return Identity.of(self.task, self.version, self.scale, self.experiment, self.method, self.params, fingerprint)

    def cell_key(self) -> Hashable:
        """The same for trials that share what they are made of but for their seed; of other trials of a cell it may be another.

        It holds as long as these trials do.
        """
        shared = id(self.params), id(self.data), id(self.resources)
        return (
            self.task,
            self.version,
            self.scale,
            self.experiment,
            self.method,
            *shared,
            self.expected_s,
            self.expected_gib,
            self.time_limit_s,
            self.views,
        )

    def shared(self) -> dict[str, Any]:
        """The arguments that make it, but for what a seed changes: `seed` and `requires`."""
        return {name: getattr(self, name) for name in _SHARED}

    @classmethod
    def known(cls, shared: Mapping[str, Any], seed: int, requires: str, id: str) -> TrialSpec:
        """A trial whose id was made from its identity: hashing it again would be most of what it costs."""
        trial = cls(**shared, seed=seed, requires=requires)
        object.__setattr__(trial, "_id", id)
        return trial

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with the id and without the data's path, which is true on one machine only."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        fields["params"], fields["resources"] = dict(self.params), dataclasses.asdict(self.resources)
        if not self.expected_gib:
            del fields["expected_gib"]
        for name in ("accelerator", "memory_gib", "custom", "labels"):
            if not fields["resources"][name]:
                del fields["resources"][name]
        for name, usual in (("ranks", 0), ("nodes", 1)):
            if fields["resources"][name] == usual:
                del fields["resources"][name]
        if self.data:
            fields["data"] = dataclasses.asdict(self.data)
            del fields["data"]["path"]
            if not self.data.notes:
                del fields["data"]["notes"]
        return {"id": self.id, **fields}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrialSpec:
        """The trial behind `to_json`. ValueError, KeyError, TypeError or AttributeError on anything else."""
        fields = {k: v for k, v in value.items() if k != "id"}
        fields["data"] = DataRef(**{**fields["data"], "notes": tuple(fields["data"].get("notes", ()))}) if fields["data"] else None
        fields["resources"] = Resources(**fields["resources"])
        fields["views"] = tuple(fields.get("views", ()))
        fields["params"] = {name: tuple(given) if isinstance(given, list) else given for name, given in fields["params"].items()}
        trial = cls(**fields)
        if trial.id != value["id"]:
            raise ValueError(f"trial {value['id']} does not say what its id says")
        # The id vouches for the types of what it is made of.
        data = trial.data
        texts = [*trial.views, trial.requires, *((data.name, data.source, data.kind, data.fingerprint, *data.notes) if data else ())]
        asked = trial.resources
        texts += [asked.accelerator, *asked.custom, *asked.labels, *asked.labels.values()]
        numbers = [trial.time_limit_s, trial.expected_s, trial.expected_gib]
        numbers += [asked.cpus, asked.gpus, asked.memory_gib, asked.ranks, asked.nodes, *asked.custom.values()]
        if not all(isinstance(text, str) for text in texts) or not all(type(number) in (int, float) for number in numbers):
            raise ValueError(f"trial {trial.id} is of another shape")
        return trial


_FIELDS = tuple(f.name for f in dataclasses.fields(TrialSpec) if f.init)
_SHARED = tuple(name for name in _FIELDS if name not in ("seed", "requires"))


class Siblings:
    """Reads trials that differ in the seed alone: the first one is checked whole, and the others share what it has."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[dict[str, Any], Identity]] = {}

    def read(self, cell: Hashable, fields: Mapping[str, Any], id: str, seed: int, requires: str) -> TrialSpec:
        """A trial of a cell, whose other `fields` are as in `TrialSpec.to_json`; the errors of `TrialSpec.from_json`."""
        if (found := self._known.get(cell)) and type(seed) is int and type(requires) is str:
            shared, identity = found
            if identity.id(seed) != id:
                raise ValueError(f"trial {id} does not say what its id says")
            return TrialSpec.known(shared, seed, requires, id)
        trial = TrialSpec.from_json({**fields, "id": id, "seed": seed, "requires": requires})
        self._known[cell] = trial.shared(), trial.identity
        return trial


def read_trials(rows: Sequence[Any]) -> list[TrialSpec]:
    """The trials behind a plan's rows, as `TrialSpec.from_json` reads each; what differs in the seed alone is checked once and shared."""
    siblings, trials = Siblings(), []
    for row in rows:
        fields = {name: value for name, value in row.items() if name not in ("id", "seed", "requires")}
        trials.append(siblings.read(msgspec.json.encode(fields), fields, row["id"], row["seed"], row.get("requires", "")))
    return trials


@dataclass(frozen=True, slots=True)
class Identity:
    """What the ids of trials that differ in the seed alone are made of: the text before the seed, hashed, and the text after it."""

    before: Any
    after: str

    @classmethod
    def of(cls, task: str, version: int, scale: str, experiment: str, method: str, params: Mapping[str, Any], fingerprint: str) -> Identity:
        """Of a cell; `experiment` is empty where it is from before there were any."""
        own = {"experiment": experiment} if experiment else {}
        # JSON sorts by name, so that the seed stands between these two.
        before = {"data": fingerprint, **own, "method": method, "params": dict(params), "scale": scale}
        text = json.dumps(before, sort_keys=True)[:-1] + ', "seed": '
        return cls(hashlib.sha256(text.encode()), ", " + json.dumps({"task": task, "version": version}, sort_keys=True)[1:])

    def id(self, seed: int) -> str:
        """16 hexadecimal digits of SHA-256 over what decides a trial's result."""
        found = self.before.copy()
        found.update(f"{seed if type(seed) is int else json.dumps(seed)}{self.after}".encode())
        digits: str = found.hexdigest()
        return digits[:16]


def versions(trials: Iterable[TrialSpec]) -> str:
    """The versions of a task that some trials are of: `2`, or `1, 2`."""
    return ", ".join(map(str, sorted({trial.version for trial in trials})))


def trial_id(
    task: str, version: int, scale: str, experiment: str, method: str, params: Mapping[str, Any], seed: int, fingerprint: str
) -> str:
    """The id of a trial, see `Identity`."""
    return Identity.of(task, version, scale, experiment, method, params, fingerprint).id(seed)


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the command line changes of a scale."""

    seeds: int | None = None
    first_seed: int = 0
    """The seeds run from here: with others than a study has, its trials are an independent replicate."""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Parameter -> the values it takes instead of the scale's, as written by the user."""
    methods: Sequence[str] = ()
    experiments: Sequence[str] = ()
    data: Sequence[str] = ()
    """Data sets whose grids are wanted, by the names that the grids have; empty means all."""

    def digest(self) -> str:
        """A short name of what makes this another study; more seeds are the same study, continued."""
        if not (self.values or self.methods or self.experiments or self.data):
            return ""
        chosen: list[Any] = [sorted((k, list(v)) for k, v in self.values.items()), sorted(self.methods)]
        if self.experiments:
            chosen.append(sorted(self.experiments))
        if self.data:
            chosen.append({"data": sorted(self.data)})
        text = json.dumps(chosen)
        return hashlib.sha256(text.encode()).hexdigest()[:6]


def data_names(task: Task, scale: str, overrides: Overrides = Overrides()) -> list[str]:
    """Data sets that the scale reads, each once."""
    return list(dict.fromkeys(grid.data for grid in _chosen(task, scale, overrides) if grid.data))


def placeholder(name: str) -> DataRef:
    """Stands for a data set while names, values and costs are asked for, which needs no data on the machine."""
    return DataRef(name, "", "synthetic", "")


def placeholders(task: Task, scale: str) -> dict[str, DataRef]:
    """What stands for the sets that a scale reads where nothing is run, so that trials on one are none on another."""
    return {name: replace(placeholder(name), fingerprint=name) for name in data_names(task, scale)}


def today(task: Task, scale: str) -> list[TrialSpec]:
    """One seed of all that a scale plans now, whatever data it reads; none where the task is declared so that it plans nothing."""
    try:
        return expand(task, scale, Overrides(seeds=1), placeholders(task, scale))
    except PapertrialError:
        return []


MOST_SEEDS = 100_000
"""More are taken for a slip of the pen: their plan alone would fill the memory."""
LAST_FIRST_SEED = 1_000_000


def expand(task: Task, scale: str, overrides: Overrides, data: Mapping[str, DataRef]) -> list[TrialSpec]:
    """All trials of a task at a scale, seed-major so that whole seeds finish first; a trial that two grids share comes once.

    A trial that another needs comes before it, whether a grid names it or not.
    """
    chosen = task.scale(scale)
    seeds = overrides.seeds if overrides.seeds is not None else chosen.seeds
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}")
    if seeds > MOST_SEEDS:
        raise UsageError(f"--seeds must be at most {MOST_SEEDS:,}, not {seeds:,}")
    if not 0 <= overrides.first_seed <= LAST_FIRST_SEED:
        raise UsageError(f"--first-seed must lie in 0 to {LAST_FIRST_SEED:,}, not {overrides.first_seed:,}")
    for name in overrides.methods:
        task.method(name)
    coverage.check(task, scale)
    grids = _chosen(task, scale, overrides)
    parsed = _parsed(grids, overrides.values)
    cells = [
        (grid, method, params.resolve(grid.experiment, point))
        for grid in grids
        for point in _points(grid, parsed[grid.experiment.name])
        for method in task.methods_of(grid)
        if not overrides.methods or method in overrides.methods
    ]
    build = _Builder(task, scale, chosen)
    trials: dict[str, TrialSpec] = {}
    for grid, method, values in cells:
        *before, trial = build(grid, grid.experiment, method, values, overrides.first_seed, data[grid.data] if grid.data else None)
        for asked in (*before, replace(trial, views=(grid.view,) if grid.view else ())):
            trials[asked.id] = _together(trials[asked.id], asked) if asked.id in trials else asked
    if not trials:
        raise UsageError(f"nothing to run: no grid of {task.id} at scale {scale} uses the chosen methods")
    return [*trials.values(), *_again([*trials.values()], range(overrides.first_seed + 1, overrides.first_seed + seeds))]


def _again(trials: Sequence[TrialSpec], seeds: Iterable[int]) -> Iterable[TrialSpec]:
    """The trials of a seed once more for each of others: nothing that a task declares depends on the seed."""
    cells = [(trial.id, trial.shared(), trial.identity, trial.requires) for trial in trials]
    for seed in seeds:
        ids = {id: identity.id(seed) for id, _, identity, _ in cells}
        for id, shared, _, requires in cells:
            yield TrialSpec.known(shared, seed, ids[requires] if requires else "", ids[id])


def _together(one: TrialSpec, other: TrialSpec) -> TrialSpec:
    """A trial that two grids ask for: in the views of both, with the most that either grants it."""
    return replace(one, views=tuple(dict.fromkeys([*one.views, *other.views])), resources=one.resources.together(other.resources))


def _chosen(task: Task, scale: str, overrides: Overrides) -> list[Grid]:
    """The grids of the experiments and data sets that were asked for."""
    for name in overrides.experiments:
        task.experiment(name)
    grids = [grid for grid in task.scale(scale).grids if not overrides.experiments or grid.experiment.name in overrides.experiments]
    if not grids:
        raise UsageError(f"nothing to run: scale {scale} of {task.id} has no trial of experiment {', '.join(overrides.experiments)}")
    chosen = [grid for grid in grids if not overrides.data or grid.data in overrides.data]
    if not chosen:
        raise UsageError(f"nothing to run: no such trial of {task.id} at scale {scale} reads {' or '.join(overrides.data)}")
    return chosen


def _parsed(grids: Sequence[Grid], values: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[Any]]]:
    """Experiment -> parameter -> the user's values for it. A name that no experiment has is an error, as is a value that does not fit."""
    experiments = {grid.experiment.name: grid.experiment for grid in grids}
    known = list(dict.fromkeys(name for experiment in experiments.values() for name in experiment.parameters))
    for name in values:
        if name not in known:
            raise unknown(f"parameter of {' or '.join(experiments)}", name, known)
    return {
        label: {
            name: [params.parse(experiment, name, text) for text in texts]
            for name, texts in values.items()
            if name in experiment.parameters
        }
        for label, experiment in experiments.items()
    }


_MOST_LEVELS = 16
"""Trials that need each other beyond this are taken for a declaration without an end."""


@dataclass(frozen=True)
class _Builder:
    """Trials of a task at a scale."""

    task: Task
    name: str
    scale: Scale

    def __call__(
        self,
        grid: Grid,
        experiment: Experiment,
        method: str,
        values: Mapping[str, Any],
        seed: int,
        data: DataRef | None,
        behind: Sequence[tuple[str, str, Mapping[str, Any]]] = (),
    ) -> list[TrialSpec]:
        """The trial of a grid, preceded by what it needs; `behind` are experiment, method and parameters of the trials that need it."""
        own = (experiment.name, method, values)
        if own in behind or len(behind) > _MOST_LEVELS:
            raise TaskError(f"task {self.task.id}: {' needs '.join([*(name for _, name, _ in behind), method])}")
        needed = _asked(self.task, experiment, "requires", experiment.requires, method, values)
        if not (needed is None or isinstance(needed, Requirement)):
            raise TaskError(f"task {self.task.id}: `requires` of experiment {experiment.name} gives a Requirement or None, not {needed!r}")
        before: list[TrialSpec] = []
        if needed:
            self.task.method(needed.method, TaskError)
            other = self.task.experiment(needed.experiment, TaskError) if needed.experiment else experiment
            if other.methods and needed.method not in other.methods:
                raise TaskError(f"task {self.task.id}: {method} needs {needed.method}, which experiment {other.name} does not run")
            before = self(grid, other, needed.method, params.resolve(other, needed.params), seed, data, [*behind, own])
        trial = TrialSpec(
            task=self.task.id,
            version=self.task.version,
            scale=self.name,
            experiment=experiment.name,
            method=method,
            params=values,
            seed=seed,
            data=data,
            resources=grid.resources
            or _asked(self.task, experiment, "resources", experiment.resources, self.name, method, values)
            or self.scale.resources,
            time_limit_s=self.scale.time_limit_s,
            expected_s=_asked(self.task, experiment, "seconds", experiment.seconds, self.name, method, values) or 0.0,
            expected_gib=_asked(self.task, experiment, "memory", experiment.memory, self.name, method, values) or 0.0,
            requires=before[-1].id if before else "",
        )
        return [*before, trial]


def _asked(task: Task, experiment: Experiment, what: str, function: Callable[..., Any] | None, *of: Any) -> Any:
    """What a function of the declaration says, None without one; a TaskError that names it when it raises."""
    try:
        return function(*of) if function else None
    except Exception as error:
        raise TaskError(f"task {task.id}: `{what}` of experiment {experiment.name} raised {type(error).__name__}: {error}") from error


def _points(grid: Grid, overridden: Mapping[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    """Points x axes of a grid; an overridden parameter takes the user's values in place of the grid's."""
    axes = {name: values for name, values in grid.axes.items() if name not in overridden} | dict(overridden)
    for point in grid.points:
        kept = {name: value for name, value in point.items() if name not in overridden}
        for values in itertools.product(*axes.values()):
            yield kept | dict(zip(axes, values, strict=True))
