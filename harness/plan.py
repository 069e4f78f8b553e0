"""Task x scale x overrides -> trials with content-addressed ids, and what of them is left to do."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness import params
from harness.errors import TaskError, UsageError
from harness.task import Grid, Resources, Scale, Task


@dataclass(frozen=True)
class DataRef:
    """Which data a trial reads: the name of the set, where it came from, its kind and its fingerprint."""

    name: str
    source: str
    kind: str
    fingerprint: str
    path: str = ""
    notes: tuple[str, ...] = ()
    """What of the files was left out and why, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """The unit of work. Its id is a hash of exactly what decides its result."""

    task: str
    version: int
    scale: str
    method: str
    params: Mapping[str, Any]
    seed: int
    data: DataRef | None = None
    resources: Resources = Resources()
    time_limit_s: float = 3600.0
    expected_s: float = 0.0
    requires: str = ""
    """Id of the trial that has to end ok first; empty where there is none. It follows from the method and the parameters."""

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits of SHA-256 over task, version, scale, method, parameters, seed and data fingerprint."""
        identity = {
            "task": self.task,
            "version": self.version,
            "scale": self.scale,
            "method": self.method,
            "params": dict(self.params),
            "seed": self.seed,
            "data": self.data.fingerprint if self.data else "",
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with the id and without the data's path, which is true on one machine only."""
        fields = dataclasses.asdict(self)
        if self.data:
            del fields["data"]["path"]
            if not self.data.notes:
                del fields["data"]["notes"]
        return {"id": self.id, **fields}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrialSpec:
        """The trial behind `to_json`."""
        fields = {k: v for k, v in value.items() if k != "id"}
        fields["data"] = DataRef(**{**fields["data"], "notes": tuple(fields["data"].get("notes", ()))}) if fields["data"] else None
        fields["resources"] = Resources(**fields["resources"])
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the command line changes of a scale."""

    seeds: int | None = None
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Parameter -> the values it takes instead of the scale's, as written by the user."""
    methods: Sequence[str] = ()

    def digest(self) -> str:
        """A short name of what makes this another study; more seeds are the same study, continued."""
        if not (self.values or self.methods):
            return ""
        text = json.dumps([sorted((k, list(v)) for k, v in self.values.items()), sorted(self.methods)])
        return hashlib.sha256(text.encode()).hexdigest()[:6]


def data_names(task: Task, scale: str) -> list[str]:
    """Data sets that the scale reads, each once."""
    return list(dict.fromkeys(grid.data for grid in task.scale(scale).grids if grid.data))


def expand(task: Task, scale: str, overrides: Overrides, data: Mapping[str, DataRef]) -> list[TrialSpec]:
    """All trials of a task at a scale, seed-major so that whole seeds finish first; a trial that two grids share comes once.

    What a trial stands on comes before it, whether a grid names it or not.
    """
    chosen = task.scale(scale)
    seeds = overrides.seeds if overrides.seeds is not None else chosen.seeds
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}")
    for name in overrides.methods:
        task.method(name)
    parsed = {name: [params.parse(task, name, text) for text in texts] for name, texts in overrides.values.items()}
    cells = [
        (method, params.resolve(task, point), grid.data)
        for grid in chosen.grids
        for point in _points(grid, parsed)
        for method in _methods(task, grid, overrides.methods)
    ]
    build = _Builder(task, scale, chosen)
    trials: dict[str, TrialSpec] = {}
    for seed, (method, values, data_name) in itertools.product(range(seeds), cells):
        for trial in build(method, values, seed, data[data_name] if data_name else None):
            trials.setdefault(trial.id, trial)
    if not trials:
        raise UsageError(f"nothing to run: no grid of {task.id} at scale {scale} uses the chosen methods")
    return list(trials.values())


_MOST_LEVELS = 16
"""Trials that stand on each other beyond this are taken for a declaration without an end."""


@dataclass(frozen=True)
class _Builder:
    """Trials of a task at a scale."""

    task: Task
    name: str
    scale: Scale

    def __call__(
        self, method: str, values: Mapping[str, Any], seed: int, data: DataRef | None, behind: Sequence[tuple[str, Mapping[str, Any]]] = ()
    ) -> list[TrialSpec]:
        """The trial, preceded by what it stands on; `behind` are the methods and parameters of the trials that stand on it."""
        if (method, values) in behind or len(behind) > _MOST_LEVELS:
            raise TaskError(f"task {self.task.id}: {' stands on '.join([*(name for name, _ in behind), method])}")
        needed = self.task.requires(method, values) if self.task.requires else None
        before: list[TrialSpec] = []
        if needed:
            self.task.method(needed.method)
            before = self(needed.method, params.resolve(self.task, needed.params), seed, data, [*behind, (method, values)])
        trial = TrialSpec(
            task=self.task.id,
            version=self.task.version,
            scale=self.name,
            method=method,
            params=values,
            seed=seed,
            data=data,
            resources=self.scale.resources,
            time_limit_s=self.scale.time_limit_s,
            expected_s=self.task.seconds(self.name, method, values) if self.task.seconds else 0.0,
            requires=before[-1].id if before else "",
        )
        return [*before, trial]


def _methods(task: Task, grid: Grid, chosen: Sequence[str]) -> list[str]:
    names = list(grid.methods) or [method.name for method in task.methods]
    return [name for name in names if not chosen or name in chosen]


def _points(grid: Grid, overridden: Mapping[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    """Points x axes of a grid; an overridden parameter takes the user's values in place of the grid's."""
    axes = {name: values for name, values in grid.axes.items() if name not in overridden} | dict(overridden)
    for point in grid.points:
        kept = {name: value for name, value in point.items() if name not in overridden}
        for values in itertools.product(*axes.values()):
            yield kept | dict(zip(axes, values, strict=True))
