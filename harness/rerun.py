"""The command that runs trials of a study again: all of a task at a scale, those behind a claim, or one.

A study keeps its plan and the last command that ran it. Of the command count the options that choose cells and data; where they do not plan
what the study holds, as when several commands made it, the values of its parameters are read off the plan. Seeds are those of the plan.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness import given_files, registry
from harness.data import parse_replacements
from harness.errors import PapertrialError
from harness.looks import CAP, Look
from harness.masking import again
from harness.options import recorded, study_name, values
from harness.plan import Overrides, TrialSpec, data_names, expand, placeholder
from harness.settings import nearest, written
from harness.store import store_words
from harness.task import SCALES, Task

if TYPE_CHECKING:
    from harness.cells import Cells
    from harness.study import Study

_Cell = tuple[str, str, str, str]
"""Experiment, method, parameters as JSON, data set."""


@dataclass(frozen=True)
class _Choice:
    """The options of a command that choose cells of a task, and the data that they read."""

    settings: Sequence[str] = ()
    methods: Sequence[str] = ()
    experiments: Sequence[str] = ()
    only: Sequence[str] = ()
    data: Sequence[str] = ()
    data_kind: str = ""

    def words(self) -> Iterator[str]:
        """As a command takes them."""
        chosen = {"--experiment": self.experiments, "--method": self.methods, "--set": self.settings}
        for option, items in (chosen | {"--only": self.only, "--data": self.data}).items():
            for item in items:
                yield from (option, item)
        if self.data_kind:
            yield from ("--data-kind", self.data_kind)

    def overrides(self, task: Task) -> Overrides:
        """The same for a plan. UsageError for what `--set` does not take."""
        given = given_files.fingerprints([task], values(self.settings))
        data = tuple(dict.fromkeys(item.partition("=")[2] for item in self.only))
        return Overrides(values=given, methods=tuple(self.methods), experiments=tuple(self.experiments), data=data)

    def reading(self, task: Task, scale: str) -> _Choice:
        """Without the files for data sets that only other tasks of the command read."""
        replaced = parse_replacements(self.data)
        names = data_names(task, scale, self.overrides(task))
        read = {*names, *(replaced.get(name, name) for name in names)}
        return replace(self, data=[item for item in self.data if item.partition("=")[0].partition(":")[0] in read])

    def cells(self, task: Task, scale: str) -> set[_Cell]:
        """What a command with these options plans of each seed."""
        overrides, replaced = replace(self.overrides(task), seeds=1), parse_replacements(self.data)
        read = {name: placeholder(replaced.get(name, name)) for name in data_names(task, scale, overrides)}
        return {_cell(trial) for trial in expand(task, scale, overrides, read)}


@dataclass(frozen=True)
class Rerun:
    """How a study's trials of one task at one scale are planned again. Each command is whole, and quoted for a shell."""

    task: Task
    scale: str
    study: str
    store: str
    """The URI of the study's store."""
    seeds: Collection[int] = ()
    """Those of the trials; empty for the scale's own."""
    looks: Sequence[Look] = ()
    choice: _Choice = _Choice()

    def whole(self) -> str:
        """All of the trials."""
        return again(self._words(self._looks() if self.looks else self._seeds()))

    def claim(self, id: str) -> str:
        """Those behind a claim, in a study of their own; at another scale where this one does not test it, and empty where none does."""
        scales = self.task.tested_at(self.task.claim(id))
        if self.scale not in scales:
            return Rerun(self.task, usual(scales), self.study, self.store).claim(id) if scales else ""
        return again(self._words(self._seeds(), ["--claim", id]) + self._other(id))

    def trial(self, trial: TrialSpec, *, retry: bool = False) -> str:
        """One trial, in a study of its own and in this process where one is enough; with `retry` also where that study has it failed."""
        planned = range(self.task.scale(self.scale).seeds)
        seed = [] if trial.seed in planned else ["--first-seed", str(trial.seed), "--seeds", "1"]
        how = [*(["--local"] if trial.resources.world_size == 1 else []), *(["--retry"] if retry else [])]
        return again(self._words(seed, ["--trial", trial.id, *how]) + ([] if retry else self._other(f"trial-{trial.id}")))

    def any_trial(self) -> str:
        """The trial with the id that is put in for ID, in this process."""
        return again(self._words(self._seeds(), ["--trial", "ID", "--local"]))

    def _words(self, seeds: Sequence[str], narrowed: Sequence[str] = ()) -> list[str]:
        return ["run", self.task.id, "--scale", self.scale, *self.choice.words(), *seeds, *narrowed, *store_words(self.store)]

    def _seeds(self) -> list[str]:
        return seed_words(self.task, self.scale, self.seeds)

    def _looks(self) -> list[str]:
        cap = ["--cap", str(self.looks[-1].seeds)] if self.looks[-1].seeds != CAP else []
        return [*(["--first-seed", str(first)] if (first := min(self.seeds, default=0)) else []), "--until-decided", *cap]

    def _other(self, narrowed: str) -> list[str]:
        """Another study's name, where the command would go on with the very study whose trials it is to run again."""
        overrides = replace(self.choice.overrides(self.task), first_seed=min(self.seeds, default=0))
        data = [*self.choice.data, self.choice.data_kind]
        usual = study_name([self.task], self.scale, overrides, data, [narrowed])
        return ["--study", f"{self.study}-again"] if usual == self.study else []


def seed_words(task: Task, scale: str, seeds: Collection[int]) -> list[str]:
    """The options that ask for these seeds, from the first one to the last: a command has no other way to name several."""
    if not seeds:
        return []
    first, count = min(seeds), max(seeds) - min(seeds) + 1
    own = ["--seeds", str(count)] if count != task.scale(scale).seeds else []
    return [*(["--first-seed", str(first)] if first else []), *own]


def usual(scales: Collection[str]) -> str:
    """The scale at which to begin: laptop, which decides a direction, or else the smallest of those that there are."""
    return "laptop" if "laptop" in scales else min(scales, key=SCALES.index)


def of_study(study: Study, task: Task, scale: str) -> Rerun:
    """Of a study that was read."""
    return of_plan(study.name, study.store.parent_uri, study.cells, task, scale, study.env.get("command", ()), study.looks)


def of_plan(study: str, store: str, plan: Cells, task: Task, scale: str, command: Sequence[str], looks: Sequence[Look] = ()) -> Rerun:
    """Of a study's plan, and the command that is kept beside it."""
    own = {number: first for number, first in enumerate(plan.firsts) if (first.task, first.scale) == (task.id, scale)}
    seeds = {seed for seed, number in zip(plan.seeds.tolist(), plan.numbers.tolist(), strict=True) if number in own}
    return Rerun(task, scale, study, store, seeds, looks, _choice(task, scale, [*own.values()], command))


def of_trial(study: Study, trial: TrialSpec) -> Rerun:
    """Of one trial of a study, whatever the others are."""
    task, command = study.tasks[trial.task], study.env.get("command", ())
    choice = _choice(task, trial.scale, [trial], command)
    return Rerun(task, trial.scale, study.name, study.store.parent_uri, [trial.seed], choice=choice)


def _choice(task: Task, scale: str, firsts: Sequence[TrialSpec], command: Sequence[str]) -> _Choice:
    """What plans these cells: the options of the command, only its data, or the values of parameters that the cells have.

    The first of these where none does, as when the task has changed.
    """
    kept = _kept(task, scale, command)
    data = replace(_Choice(), data=kept.data)
    wanted = {_cell(trial) for trial in firsts}
    choices = [kept, data, replace(data, settings=_set(task, scale, firsts))]
    return next((choice for choice in choices if _plans(choice, task, scale, wanted)), kept)


def _kept(task: Task, scale: str, command: Sequence[str]) -> _Choice:
    """The options of the command, if it ran this task at this scale."""
    options = recorded(command)
    try:
        if options is None or options.scale != scale or task.id not in {registry.task(name).id for name in options.tasks}:
            return _Choice()
        found = _Choice(options.set, options.method, options.experiment, options.only, options.data, options.data_kind or "")
        return found.reading(task, scale)
    except PapertrialError:
        return _Choice()


def _plans(choice: _Choice, task: Task, scale: str, wanted: set[_Cell]) -> bool:
    try:
        return wanted <= choice.cells(task, scale)
    except PapertrialError:
        return False


def _set(task: Task, scale: str, firsts: Sequence[TrialSpec]) -> list[str]:
    """The parameters in which cells differ from the nearest one that the scale plans by itself, with all the values that cells have."""
    try:
        usual = expand(task, scale, Overrides(seeds=1), {name: placeholder(name) for name in data_names(task, scale)})
    except PapertrialError:
        return []
    return written([name for trial in firsts for name in nearest(trial, usual, {})], firsts)


def _cell(trial: TrialSpec) -> _Cell:
    return trial.experiment, trial.method, json.dumps(dict(trial.params), sort_keys=True), trial.data.name if trial.data else ""
