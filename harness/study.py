"""A study as the downstream rooms see it: the plan and what its trials left, read back from the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness import ledger, registry
from harness.errors import StoreError
from harness.frames import read_curves, read_trials, records_frame
from harness.plan import TrialSpec
from harness.record import SCHEMA_VERSION
from harness.store import ENV, LEDGER, PLAN, StudyStore
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

    def groups(self) -> list[tuple[Task, str]]:
        """(task, scale) pairs of the plan, in its order."""
        seen = dict.fromkeys((trial.task, trial.scale) for trial in self.plan)
        return [(self.tasks[task], scale) for task, scale in seen]

    def records(self, task: Task, scale: str) -> pd.DataFrame:
        """The records of one task at one scale."""
        return self.frame[(self.frame["task"] == task.id) & (self.frame["scale"] == scale)]


def save_plan(store: StudyStore, trials: Sequence[TrialSpec], *, whole: bool = False) -> list[TrialSpec]:
    """Merge `trials` into the study's plan and return the whole of it.

    Trials of another version or other data of the same task leave the plan (their records stay in the ledger): a study
    never averages over two meanings of a task. So do, where `trials` are all that a scale plans, those of cells that it no longer has.
    A trial that is only planned because another needs it keeps the views that it had.
    """
    current = {_source(trial): _meaning(trial) for trial in trials}
    old = {trial.id: trial for trial in load_plan(store) if current.get(_source(trial), _meaning(trial)) == _meaning(trial)}
    if whole:
        cells, groups = {_cell(trial) for trial in trials}, {(trial.task, trial.scale) for trial in trials}
        old = {id: trial for id, trial in old.items() if (trial.task, trial.scale) not in groups or _cell(trial) in cells}
    views = {id: trial.views for id, trial in old.items()}
    merged = old | {trial.id: trial if trial.views else replace(trial, views=views.get(trial.id, ())) for trial in trials}
    lines = ",\n".join(json.dumps(trial.to_json()) for trial in merged.values())
    store.write_text(PLAN, f'{{"schema_version": {SCHEMA_VERSION}, "trials": [\n{lines}\n]}}\n')
    return list(merged.values())


def load_plan(store: StudyStore) -> list[TrialSpec]:
    """The plan of a study, empty when there is none yet."""
    if not store.exists(PLAN):
        return []
    try:
        contents = json.loads(store.read_bytes(PLAN))
        version = int(contents["schema_version"])
        if version == SCHEMA_VERSION:
            return [TrialSpec.from_json(trial) for trial in contents["trials"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{store.uri}/{PLAN} is damaged ({error}): delete it and run the same command again, the records are kept"
        ) from None
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"{store.uri}/{PLAN} is of schema {version}, from before tasks had experiments: its trials have other ids than those of today; "
            "its records can be read from trials/*.parquet, and a run under another --study makes new ones"
        )
    raise StoreError(f"{store.uri}/{PLAN} is of schema {version}; this papertrial reads {SCHEMA_VERSION}: it was written by a newer one")


def load(store: StudyStore, contents: ledger.LedgerContents | None = None) -> Study:
    """A study from its store: records from the ledger (`contents`, where it was read before), or from Parquet where none was kept."""
    import pandas as pd

    plan = load_plan(store)
    wanted = {trial.id: place for place, trial in enumerate(plan)}
    if contents or store.exists(LEDGER):
        records = (contents or ledger.read(store)).records
        frame = records_frame(record for id, record in records.items() if id in wanted)
    else:
        parts = [read_trials(store.read_bytes(name)) for name in store.names("trials")]
        frame = pd.concat(parts, ignore_index=True) if parts else records_frame([])
        frame = frame[frame["trial_id"].isin(list(wanted))]
    # Trials end in any order; what is made of them must not depend on it.
    frame = frame.iloc[frame["trial_id"].map(wanted).astype(int).argsort(kind="stable")].reset_index(drop=True)
    curves = read_curves(store)
    tasks = {id: registry.task(id) for id in dict.fromkeys(trial.task for trial in plan)}
    for trial in plan:
        if trial.scale not in tasks[trial.task].scales:
            raise StoreError(f"{store.uri}/{PLAN} is at scale {trial.scale}, which task {trial.task} does not have any more")
    return Study(
        name=store.name,
        store=store,
        tasks=tasks,
        plan=plan,
        frame=frame,
        curves=curves[curves["trial_id"].isin(list(wanted))],
        env=json.loads(store.read_bytes(ENV)) if store.exists(ENV) else {},
    )


def _source(trial: TrialSpec) -> tuple[str, str]:
    return trial.task, trial.data.name if trial.data else ""


def _meaning(trial: TrialSpec) -> tuple[int, str]:
    return trial.version, trial.data.fingerprint if trial.data else ""


def _cell(trial: TrialSpec) -> str:
    """All that tells a trial from others but its seed."""
    return json.dumps([trial.task, trial.scale, trial.experiment, trial.method, dict(trial.params)], sort_keys=True)
