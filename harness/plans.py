"""The plan of a study in its store: read, merged with what a command adds, written twice where it changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from harness import looks as looking
from harness import plan_file, registry
from harness.checksums import FIELD, is_signed, read_signed
from harness.errors import PapertrialError, Say, StoreError, quiet
from harness.looks import Look
from harness.plan import TrialSpec, read_trials, today
from harness.plan_file import FIRST_WITH_CELLS, Outline
from harness.record import FIRST_WITH_CHECKSUMS
from harness.shown import sentence
from harness.store import PLAN, PLAN_COPY, StudyStore

_FIRST_WITH_EXPERIMENTS = 3
Held = TypeVar("Held", TrialSpec, "Outline")
Read = tuple[Sequence[Held], Sequence[Look]]


class DamagedPlanError(StoreError):
    """Neither the plan nor its copy is what was written."""


@dataclass(frozen=True)
class Plan:
    """What a plan's file holds: the trials, and the looks of a study that runs until its claims are decided."""

    trials: Sequence[TrialSpec] = ()
    looks: Sequence[Look] = ()


def save_plan(
    store: StudyStore,
    trials: Sequence[TrialSpec],
    *,
    whole: bool = False,
    chosen: Collection[str] = (),
    looks: Sequence[Look] = (),
    say: Say = quiet,
) -> Plan:
    """Merge `trials` into the study's plan and return the whole of it. A plan that says so already is neither read nor written.

    Trials that mean something else than today's leave the plan, and `say` is told why; their records stay in the ledger. These are
    trials of another version or other data of the same task; where `trials` are all that a scale plans, those of cells that it no
    longer has; and otherwise those that differ in a parameter which the task does not vary and the user has not `chosen`: a default
    that was edited. A study never averages over two meanings of a task.
    A trial that is only planned because another needs it keeps the views that it had. Looks that the plan has stay whatever `looks` are.
    """
    there = {name: _bytes(store, name) for name in (PLAN, PLAN_COPY)}
    text = plan_file.to_text(trials, looks).encode()
    if all(own == text for own in there.values()):
        return Plan(trials, looks)
    try:
        found = read_plan(store, say)
    except DamagedPlanError as error:
        say(f"{error}: the plan is now what this command asks for")
        found = Plan()
    before = found.trials
    reasons = {trial.id: reason for trial, reason in zip(before, _reasons(before, trials, whole, chosen), strict=True) if reason}
    for (task, reason), count in Counter((trial.task, reasons[trial.id]) for trial in before if trial.id in reasons).items():
        say(f"{count} trials of {task} leave the plan: {reason}; their records stay in the ledger")
    old = {trial.id: trial for trial in before if trial.id not in reasons}
    views = {id: trial.views for id, trial in old.items()}
    merged = old | {trial.id: trial if trial.views else replace(trial, views=views.get(trial.id, ())) for trial in trials}
    whole_plan = Plan(list(merged.values()), found.looks or looks)
    text = plan_file.to_text(whole_plan.trials, whole_plan.looks).encode()
    for name, own in there.items():
        if own != text:
            store.write_bytes(name, text)
    return whole_plan


def _bytes(store: StudyStore, name: str) -> bytes | None:
    """What a file holds; None where it is not there or cannot be read."""
    with suppress(FileNotFoundError, StoreError):
        return store.read_bytes(name)
    return None


def _reasons(before: Sequence[TrialSpec], trials: Sequence[TrialSpec], whole: bool, chosen: Collection[str]) -> list[str]:
    """Why each trial of the plan before leaves it; empty for one that stays."""
    trials = _one_a_cell(trials)
    current = {_source(trial): _meaning(trial) for trial in trials}
    cells, groups = {_cell(trial) for trial in trials}, {(trial.task, trial.scale) for trial in trials}
    values = {} if whole or not before else _values(trials)

    found: dict[Hashable, str] = {}

    def reason(trial: TrialSpec) -> str:
        if current.get(_source(trial), _meaning(trial)) != _meaning(trial):
            return "they are of another version or other data of the task"
        if whole:
            gone = (trial.task, trial.scale) in groups and _cell(trial) not in cells
            return "the scale has no such cells any more (a default or a grid was edited)" if gone else ""
        return _disagreement(trial, values.get(_group(trial), {}), chosen)

    for trial in before:
        if (key := trial.cell_key()) not in found:
            found[key] = reason(trial)
    return [found[trial.cell_key()] for trial in before]


def _one_a_cell(trials: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Nothing that the others say beside their seed is missing from these."""
    return list({trial.cell_key(): trial for trial in trials}.values())


def _disagreement(trial: TrialSpec, values: Mapping[str, set[str]], chosen: Collection[str]) -> str:
    for name in values.keys() | trial.params.keys() if values else ():
        own, now = trial.params.get(name), values.get(name, set())
        if name not in chosen and len(now) <= 1 and json.dumps(own) not in now:
            today = f"today's is {', '.join(now)}" if now else "which is gone today"
            return f"their {name} is {json.dumps(own)}, {today} (was a default edited without a new version?)"
    return ""


def _values(trials: Sequence[TrialSpec]) -> dict[tuple[str, ...], dict[str, set[str]]]:
    """Group -> parameter -> the values that today's task and the command plan for it."""
    found: dict[tuple[str, ...], dict[str, set[str]]] = {}
    now = [trial for task, scale in dict.fromkeys((t.task, t.scale) for t in trials) for trial in _today(task, scale)]
    for trial in [*trials, *now]:
        for name, value in trial.params.items():
            found.setdefault(_group(trial), {}).setdefault(name, set()).add(json.dumps(value))
    return found


def _today(task_id: str, scale: str) -> list[TrialSpec]:
    with suppress(PapertrialError):
        return today(registry.task(task_id), scale)
    return []


def load_plan(store: StudyStore, say: Say = quiet) -> list[TrialSpec]:
    """The trials of `read_plan`."""
    return list(read_plan(store, say).trials)


def read_plan(store: StudyStore, say: Say = quiet) -> Plan:
    """The plan of a study, empty when there is none yet; its copy's, with a word, when it was damaged. DamagedPlanError when both were."""
    contents = _read(store, say, lambda contents: (_trials(contents, looks := _looks(contents)), looks))
    return Plan(*contents) if contents else Plan()


def read_outline(store: StudyStore, say: Say) -> tuple[Sequence[Outline], Sequence[Look]]:
    """Trials and looks of `read_plan` with what a status needs, in half its time; empty, and `say` is told, where that finds no plan."""
    try:
        return _read(store, say, lambda contents: (_outlined(contents), _looks(contents))) or ((), ())
    except DamagedPlanError as error:
        say(str(error))
        return (), ()


def _trials(contents: Mapping[str, Any], looks: Sequence[Look]) -> list[TrialSpec]:
    return plan_file.read(contents, looks) if contents["schema_version"] >= FIRST_WITH_CELLS else read_trials(contents["trials"])


def _outlined(contents: Mapping[str, Any]) -> list[Outline]:
    if contents["schema_version"] >= FIRST_WITH_CELLS:
        return plan_file.outline(contents)
    try:
        return msgspec.convert(contents["trials"], list[Outline])
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _looks(contents: Mapping[str, Any]) -> Sequence[Look]:
    return looking.parse(contents["looks"]) if "looks" in contents else ()


def _read(store: StudyStore, say: Say, made: Callable[[dict[str, Any]], Read[Held]]) -> Read[Held] | None:
    """What `made` makes of the plan's file, or of its copy; None where there is no plan yet."""
    problem, unread = "", None
    for name in (PLAN, PLAN_COPY):
        if not store.exists(name):
            problem = problem or ("" if name == PLAN_COPY else "it is gone")
            continue
        try:
            text = store.read_bytes(name)
        except StoreError as error:
            problem, unread = problem or str(error), error
            continue
        try:
            found = made(_checked(store, name, text))
            if len({trial.id for trial in found[0]}) < len(found[0]):
                raise ValueError("it has a trial twice")
        except ValueError as error:
            problem = problem or f"it is damaged: {sentence(error)}"
        except (KeyError, TypeError, AttributeError, RecursionError):
            problem = problem or "it is damaged: it is of another shape"
        else:
            if problem:
                say(f"{PLAN} cannot be read ({problem}): {name} is read in its place")
            return found
    if unread:
        raise unread
    if not problem or problem == "it is gone":
        return None
    raise DamagedPlanError(
        f"{store.uri}/{PLAN} cannot be read ({problem}), and no copy of it: run the study's command again, the records are kept"
    )


def plan_if_readable(store: StudyStore, say: Say) -> Plan:
    """`read_plan` for those who show what they can: a plan that is damaged with its copy is empty, and `say` is told."""
    try:
        return read_plan(store, say)
    except DamagedPlanError as error:
        say(str(error))
        return Plan()


def _checked(store: StudyStore, name: str, text: bytes) -> dict[str, Any]:
    intact = read_signed(text)
    contents: dict[str, Any] = json.loads(text) if intact is None else intact
    version = contents["schema_version"]
    if FIELD in contents and not is_signed(contents):
        raise ValueError("its checksum is not its own")
    if type(version) is not int or version < 1:
        raise ValueError(f"it has schema version {version!r}")
    if version < _FIRST_WITH_EXPERIMENTS:
        raise StoreError(
            f"{store.uri}/{name} is of schema {version}, from before tasks had experiments: its trials have other ids than those of today; "
            "its records can be read from trials/*.parquet, and a run under another --study makes new ones"
        )
    if version > plan_file.SCHEMA:
        raise StoreError(
            f"{store.uri}/{name} is of schema {version}; this papertrial reads {plan_file.SCHEMA}: it was written by a newer one"
        )
    if version >= FIRST_WITH_CHECKSUMS and intact is None and FIELD not in contents:
        raise ValueError("its checksum is gone")
    if intact is None:
        # Without a checksum of the whole, each trial has to say what its id says.
        read_trials(contents["trials"])
    return contents


def _source(trial: TrialSpec) -> tuple[str, str]:
    return trial.task, trial.data.name if trial.data else ""


def _meaning(trial: TrialSpec) -> tuple[int, str]:
    return trial.version, trial.data.fingerprint if trial.data else ""


def _group(trial: TrialSpec) -> tuple[str, ...]:
    return trial.task, trial.scale, trial.experiment, trial.method


def _cell(trial: TrialSpec) -> str:
    """All that tells a trial from others but its seed."""
    return json.dumps([trial.task, trial.scale, trial.experiment, trial.method, dict(trial.params)], sort_keys=True)
