"""From the options of `plan` and `run` to a study's name and trials."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness import data, given_files, ledger, registry
from harness import looks as looking
from harness.errors import UsageError, unknown
from harness.looks import Look
from harness.options import study_name, values
from harness.plan import DataRef, Overrides, TrialSpec, data_names, expand, placeholder
from harness.plans import DamagedPlanError, Plan, read_plan
from harness.store import StudyStore
from harness.task import SCALES, DataKind, Task


@dataclass(frozen=True)
class Selection:
    """What the user asked for."""

    tasks: Sequence[Task]
    scale: str
    overrides: Overrides
    trials: Sequence[TrialSpec]
    """All of them: with looks, those up to the cap."""
    store: StudyStore
    whole: bool
    """Whether the trials are all that the scale plans of the tasks, for these seeds."""
    looks: Sequence[Look] = ()
    """When the claims are judged, where trials run until these are decided."""

    def up_to(self, seeds: Mapping[str, float]) -> list[TrialSpec]:
        """The trials of so many seeds of each task, from the first one on."""
        first = self.overrides.first_seed
        return [trial for trial in self.trials if trial.seed - first < seeds[trial.task]]


def select(options: argparse.Namespace, *, data_optional: bool = False) -> Selection:
    """Check everything that can be checked before a trial runs: names, values, data.

    With `data_optional`, a set that nobody prepared yet is planned without a fingerprint instead of refused.
    """
    tasks = [registry.task(name) for name in dict.fromkeys(options.tasks)]
    if options.scale not in SCALES:
        raise unknown("scale", options.scale, SCALES)
    _check_looks(options, tasks)
    overrides = Overrides(
        seeds=options.seeds,
        first_seed=options.first_seed,
        values=given_files.fingerprints(tasks, values(options.set)),
        methods=tuple(options.method),
        experiments=tuple(options.experiment),
        data=_only(options.only, tasks, options.scale),
    )
    name = options.study
    if name is None:
        narrowed = [*options.claim, *(f"trial-{id}" for id in options.trial)]
        name = study_name(tasks, options.scale, overrides, [*options.data, options.data_kind or ""], narrowed, options.until_decided)
    store = StudyStore(options.store, name)
    looks = _looks(store, options) if options.until_decided else ()
    overrides = replace(overrides, seeds=looks[-1].seeds) if looks else overrides
    chosen = data.parse_user_data(options.data)
    needed = list(dict.fromkeys(name for task in tasks for name in data_names(task, options.scale, overrides)))
    sets = _sets(needed, chosen, data.parse_replacements(options.data))
    one_seed = replace(overrides, seeds=1)
    for task in tasks:
        expand(task, options.scale, one_seed, {name: placeholder(name) for name in needed})
    references = {name: _reference(dataset, chosen, options.data_kind, optional=data_optional) for name, dataset in sets.items()}
    trials = [trial for task in tasks for trial in expand(task, options.scale, overrides, references)]
    if options.claim or options.trial:
        from harness.behind import chosen as behind

        trials = behind(tasks, options.scale, trials, options.claim, options.trial)
    if options.data_kind and any(trial.data is None for trial in trials) and options.data_kind != "synthetic":
        trials = [trial for trial in trials if trial.data is not None]
        if not trials:
            raise UsageError(f"--data-kind {options.data_kind} leaves nothing: every trial of this scale makes its own inputs (synthetic)")
    whole = not (overrides.digest() or options.data_kind or options.claim or options.trial)
    return Selection(tasks, options.scale, overrides, trials, store, whole, looks)


def _only(items: Sequence[str], tasks: Sequence[Task], scale: str) -> tuple[str, ...]:
    """The data sets that `--only data=NAME` names, each of which a task has to read at the scale."""
    known = list(dict.fromkeys(name for task in tasks for name in data_names(task, scale)))
    found: list[str] = []
    for item in items:
        key, separator, name = item.partition("=")
        if not (separator and key == "data" and name):
            raise UsageError(f"--only takes data=NAME, such as data={known[0] if known else 'digits'}, not {item!r}")
        if name not in known:
            raise unknown(f"data set of {', '.join(task.id for task in tasks)} at scale {scale}", name, known)
        found.append(name)
    return tuple(dict.fromkeys(found))


def deciding(task: Task, scale: str) -> list[str]:
    """Ids of the claims that a run until they are decided waits for: the paper's primary ones at this scale, all of its own without any."""
    own = [claim for claim in task.claims if claim.kind == "paper" and scale in claim.scales]
    return [claim.id for claim in own if claim.primary] or [claim.id for claim in own]


def _check_looks(options: argparse.Namespace, tasks: Sequence[Task]) -> None:
    if options.until_decided and (options.claim or options.trial):
        raise UsageError("--until-decided waits for the primary claims of the whole plan: leave --claim and --trial out")
    if not options.until_decided:
        for name in ("cap", "budget"):
            if getattr(options, name, None) is not None:
                raise UsageError(f"--{name} belongs to --until-decided")
        return
    if options.seeds is not None:
        raise UsageError("--until-decided runs the seeds of its looks: leave --seeds out, and say with --cap how many at most")
    for task in tasks:
        if not deciding(task, options.scale):
            raise UsageError(f"--until-decided has nothing to wait for: {task.id} has no claim of the paper at scale {options.scale}")


def _looks(store: StudyStore, options: argparse.Namespace) -> Sequence[Look]:
    """The looks that the study's plan has, or new ones where it has no seed yet. UsageError where a command asks for others."""
    try:
        plan = read_plan(store)
    except DamagedPlanError:
        plan = Plan()
    usual = plan.looks[-1].seeds if plan.looks else looking.CAP
    asked = looking.schedule(usual if options.cap is None else options.cap)
    if plan.looks:
        if asked[-1].seeds != plan.looks[-1].seeds:
            raise UsageError(
                f"study {store.name} looks at {', '.join(str(look.seeds) for look in plan.looks)} seeds: its cap was fixed before "
                "the first one. Leave --cap out, or name another study with --study"
            )
        first = plan.trials[0].seed if plan.trials else options.first_seed
        if first != options.first_seed:
            raise UsageError(f"study {store.name} looks at seeds from {first} on: its --first-seed is {first}, or name another study")
        return plan.looks
    own = {trial.id for trial in plan.trials}
    if own and own & set(ledger.read(store).records):
        raise UsageError(
            f"study {store.name} has records already, and looks are fixed before the first seed: name another study with --study"
        )
    return asked


def _sets(needed: Sequence[str], chosen: Mapping[str, data.UserData], replaced: Mapping[str, str]) -> dict[str, data.Dataset]:
    """The set that is read for each name that the grids have."""
    read = {name: replaced.get(name, name) for name in needed}
    for names, known in ((replaced, needed), (chosen, list(read.values()))):
        for name in names:
            if name not in known:
                raise UsageError(f"--data names {name!r}, which these tasks do not read (they read: {', '.join(known) or 'none'})")
    return {
        name: data.replacement(registry.dataset(name), registry.dataset(other)) if other != name else registry.dataset(name)
        for name, other in read.items()
    }


def _reference(dataset: data.Dataset, chosen: Mapping[str, data.UserData], kind: DataKind | None, *, optional: bool) -> DataRef:
    name = dataset.name
    if optional and name not in chosen and data.is_missing(dataset):
        return placeholder(name)
    return data.resolve(dataset, chosen, require_kind=kind)
