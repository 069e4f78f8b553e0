"""A study as the downstream rooms see it: the plan and what its trials left, read back from the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness import ledger, registry
from harness.cells import Cells, Index
from harness.checksums import FIELD, is_signed, signed
from harness.errors import Say, StoreError, quiet
from harness.frames import read_curves, read_trials, records_frame, stacked
from harness.kinds import cell
from harness.looks import Look
from harness.plan import TrialSpec, versions
from harness.plans import Plan, read_plan
from harness.record import FIRST_WITH_CHECKSUMS, SCHEMA_VERSION
from harness.store import ENV, PLAN, StudyStore
from harness.task import Task

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Study:
    """One plan with its records."""

    name: str
    store: StudyStore
    tasks: Mapping[str, Task]
    plan: Sequence[TrialSpec]
    frame: pd.DataFrame
    """One row a record, in the plan's order: the fields of `Record`, with `param.<name>` and `metric.<name>` columns for the mappings."""
    curves: pd.DataFrame
    """`trial_id`, `step` and one column a logged metric."""
    env: Mapping[str, Any]
    """Hardware, versions and command line of the last run."""
    damages: Sequence[str] = ()
    """What of the study's files could not be read, a sentence each."""
    looks: Sequence[Look] = ()
    """When its claims are judged, where that was fixed before its first seed."""

    def groups(self) -> list[tuple[Task, str]]:
        """(task, scale) pairs of the plan, in its order."""
        seen = dict.fromkeys((first.task, first.scale) for first in self.cells.firsts)
        return [(self.tasks[task], scale) for task, scale in seen]

    def records(self, task: Task, scale: str) -> pd.DataFrame:
        """The records of one task at one scale."""
        return self.frame[(self.frame["task"] == task.id) & (self.frame["scale"] == scale)]

    @cached_property
    def cells(self) -> Cells:
        """The plan by its cells."""
        return Cells.of(self.plan)

    def versions(self, task: str) -> str:
        """The versions of a task that its planned trials are of: `2`, or `1, 2`."""
        return versions(first for first in self.cells.firsts if first.task == task)

    @cached_property
    def places(self) -> Index:
        """Of each row of the frame the place of its trial in the plan; -1 of a trial that is not planned."""
        ids, planned = self.frame["trial_id"].to_numpy(dtype=object), np.array([trial.id for trial in self.plan], dtype=object)
        if len(ids) == len(planned) and bool((ids == planned).all()):
            return np.arange(len(ids))
        of = {id: place for place, id in enumerate(planned.tolist())}
        return np.fromiter((of.get(id, -1) for id in ids.tolist()), dtype=np.intp, count=len(ids))


def load(store: StudyStore, contents: ledger.LedgerContents | None = None, plan: Plan | None = None) -> Study:
    """A study from its store: records from the ledger, or from Parquet where none was kept.

    Of a caller that has them, `contents` are those of the ledger whose tables it has just written, and `plan` is the plan.
    A damaged file hides no other: it is named in `damages`. StoreError when there is no plan that can be read.
    """
    damages: list[str] = []
    found = plan or read_plan(store, damages.append)
    trials = found.trials
    wanted = {trial.id: place for place, trial in enumerate(trials)}
    unchecked = contents is None
    if contents is None:
        read_ledger = ledger.read(store)
        contents = read_ledger if read_ledger.kept else None
    if not trials and contents is not None and contents.records:
        raise StoreError(f"{store.uri}/{PLAN} is gone, and its copy: run the study's command again, the records are kept")
    if contents is not None:
        damages += contents.damages
        if unchecked:
            _check_tables(store, damages.append)
        frame = records_frame(record for id, record in contents.records.items() if id in wanted)
    else:
        frame = from_tables(store, trials, damages.append)
    # Trials end in any order; what is made of them must not depend on it.
    frame = frame.iloc[frame["trial_id"].map(wanted).astype(int).argsort(kind="stable")].reset_index(drop=True)
    curves = read_curves(store, contents.lines if contents is not None else None, damages.append)
    unplanned = [id for id in curves["trial_id"].unique() if id not in wanted]
    tasks = {id: registry.task(id) for id in dict.fromkeys(trial.task for trial in trials)}
    for trial in trials:
        if trial.scale not in tasks[trial.task].scales:
            raise StoreError(f"{store.uri}/{PLAN} is at scale {trial.scale}, which task {trial.task} does not have any more")
    return Study(
        name=store.name,
        store=store,
        tasks=tasks,
        plan=trials,
        frame=frame,
        curves=curves[~curves["trial_id"].isin(unplanned)],
        env=load_env(store, damages.append),
        damages=damages,
        looks=found.looks,
    )


def _check_tables(store: StudyStore, say: Say) -> None:
    """Name the tables that are not what was written: nobody reads them beside a ledger, except their owner."""
    for name in store.names("trials"):
        try:
            read_trials(store.read_bytes(name))
        except StoreError as error:
            say(f"{name} cannot be read ({error}): the ledger's records are shown, and the next run writes it again")


def from_tables(store: StudyStore, plan: Sequence[TrialSpec], say: Say) -> pd.DataFrame:
    """The records that the plan asks for, of the files that can be read. What a row says and its id must agree."""
    places, cells = {trial.id: place for place, trial in enumerate(plan)}, Cells.of(plan)
    parts = []
    for name in store.names("trials"):
        try:
            rows = read_trials(store.read_bytes(name))
        except StoreError as error:
            say(f"{name} cannot be read ({error}): its records are left out")
            continue
        found = np.fromiter((places.get(id, -1) for id in rows["trial_id"].tolist()), dtype=np.intp, count=len(rows))
        rows, found = rows[found >= 0], found[found >= 0]
        honest = _is_of(rows, cells, found)
        for id in rows["trial_id"][~honest]:
            say(f"{name}: trial {id} does not say what its id says (it was damaged or edited): it is left out")
        parts.append(rows[honest])
    frame = stacked(parts)
    several = frame["trial_id"].duplicated(keep=False)
    for id in frame["trial_id"][several].unique():
        say(f"trials: there are several records of trial {id}: it is left out")
    return frame[~several]


def _is_of(rows: pd.DataFrame, cells: Cells, places: Index) -> npt.NDArray[np.bool_]:
    """Whether each row of a table holds the parts of its trial's id, as far as a table can: it makes floats of whole numbers.

    `places` are those of the rows' trials in the plan.
    """
    numbers = cells.numbers[places]
    found = np.asarray(rows["seed"] == cells.seeds[places], dtype=bool)
    columns = [*_OF_A_CELL, *dict.fromkeys(f"param.{name}" for first in cells.firsts for name in first.params)]
    for name in dict.fromkeys([*columns, *(str(own) for own in rows if str(own).startswith("param."))]):
        wanted = [_said(first, name) for first in cells.firsts]
        if name in rows:
            found = found & _agree(rows[name], wanted, numbers)
        else:
            missing = np.array([value is not _NOTHING for value in wanted], dtype=bool)
            found = found & ~missing[numbers]
    return found


_OF_A_CELL = ("task", "version", "scale", "experiment", "method", "data_fingerprint")
_NOTHING = object()


def _said(trial: TrialSpec, name: str) -> Any:
    """What a table's column holds of a trial; `_NOTHING` of a parameter that it does not have."""
    if name == "data_fingerprint":
        return trial.data.fingerprint if trial.data else ""
    if name.startswith("param."):
        return cell(trial.params.get(name.removeprefix("param."), _NOTHING))
    return getattr(trial, name)


def _agree(column: pd.Series[Any], wanted: Sequence[Any], numbers: Index) -> npt.NDArray[np.bool_]:
    """Which cells of a column hold what is wanted of the row's number: every pair of the two is compared once."""
    import pandas as pd

    codes, values = pd.factorize(column, use_na_sentinel=False)
    pairs = codes.astype(np.int64) * len(wanted) + numbers
    each, of = np.unique(pairs, return_inverse=True)
    asked = ((values[pair // len(wanted)], wanted[pair % len(wanted)]) for pair in each.tolist())
    same = np.array([_same(found, None if value is _NOTHING else value) for found, value in asked], dtype=bool)
    return same[of] if len(each) else np.ones(len(column), dtype=bool)


def _same(found: Any, value: Any) -> bool:
    if value is None:
        return found is None or bool(found != found)
    return isinstance(found, str) == isinstance(value, str) and bool(found == value)


def save_env(store: StudyStore, env: Mapping[str, Any]) -> None:
    """Write what the driver's machine and command are."""
    store.write_text(ENV, json.dumps(signed({"schema_version": SCHEMA_VERSION, **env}), indent=2) + "\n")


def load_env(store: StudyStore, say: Say = quiet) -> Mapping[str, Any]:
    """What `save_env` wrote; nothing, with a word, when it was damaged."""
    if not store.exists(ENV):
        return {}
    try:
        env = json.loads(store.read_bytes(ENV))
        if not isinstance(env, dict):
            raise ValueError("it is no JSON object")
        if (FIELD in env or "schema_version" in env) and not is_signed(env):
            raise ValueError("its checksum is not its own: it was damaged or edited")
        if env.get("schema_version", SCHEMA_VERSION) not in range(FIRST_WITH_CHECKSUMS, SCHEMA_VERSION + 1):
            raise ValueError(f"it has schema version {env['schema_version']!r}")
        command = env.get("command", [])
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise ValueError("it is of another shape")
    except (ValueError, RecursionError, StoreError) as error:
        say(f"{ENV} cannot be read ({str(error)[:200]}): the driver's machine and command are not shown")
        return {}
    return {name: value for name, value in env.items() if name not in (FIELD, "schema_version")}
