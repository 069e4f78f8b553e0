"""A plan's file says once what trials share; whoever reads it gets the trials that each said everything."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import plan_file, registry
from harness.checksums import FIELD, signed
from harness.errors import StoreError
from harness.looks import schedule
from harness.plan import DataRef, Overrides, TrialSpec, expand
from harness.plans import DamagedPlanError, load_plan, read_outline, read_plan, save_plan
from harness.store import PLAN, PLAN_COPY, StudyStore
from harness.task import Resources

DATA = DataRef("digits", "scikit-learn", "real", "0123456789abcdef", notes=("one file is empty",))


def mixed() -> list[TrialSpec]:
    """Trials that need others, that share cells with other data, views, parameters in another order, and two tasks."""
    chain = expand(registry.task("chain"), "smoke", Overrides(seeds=3), {})
    plain = expand(registry.task("misbehaving"), "smoke", Overrides(seeds=2), {})
    turned = [replace(trial, seed=trial.seed + 100, params=dict(reversed(trial.params.items()))) for trial in plain]
    read = [replace(trial, data=DATA, expected_gib=0.5, resources=Resources(gpus=1, labels={"rack": "a"})) for trial in plain]
    return [*chain, *plain, *turned, *read]


def flat(trials: list[TrialSpec], version: int, **more: Any) -> str:
    """A plan as it was written when every trial said everything."""
    return json.dumps(signed({"schema_version": version, **more, "trials": [trial.to_json() for trial in trials]}))


def orders(trials: list[TrialSpec]) -> list[list[str]]:
    return [list(trial.params) for trial in trials]


def test_what_is_read_is_what_was_planned_down_to_the_order_of_parameters(tmp_path: Path) -> None:
    store, trials = StudyStore(str(tmp_path), "s"), mixed()
    save_plan(store, trials, looks=schedule(8))
    found = read_plan(store)
    assert (found.trials, found.looks) == (trials, schedule(8))
    assert orders(list(found.trials)) == orders(trials)
    assert [trial.id for trial in found.trials] == [trial.id for trial in trials]
    assert [trial.to_json() for trial in found.trials] == [trial.to_json() for trial in trials]
    outline, _ = read_outline(store, lambda _: None)
    assert [(own.id, own.method, own.seed) for own in outline] == [(own.id, own.method, own.seed) for own in trials]


def test_a_line_a_trial_says_its_id_its_cell_and_its_seed() -> None:
    trials = expand(registry.task("misbehaving"), "smoke", Overrides(seeds=2), {})
    lines = plan_file.to_text(trials).splitlines()
    assert lines[-2] == f'{{"id": "{trials[-1].id}", "cell": 5, "seed": 1}}'
    assert len([line for line in lines if '"id"' in line]) == len(trials)
    assert sum('"time_limit_s"' in line for line in lines) == 1, "said once"


@pytest.mark.parametrize("version", [5, 6])
def test_plans_in_which_every_trial_says_everything_are_still_read(tmp_path: Path, version: int) -> None:
    store, trials = StudyStore(str(tmp_path), "s"), mixed()
    for name in (PLAN, PLAN_COPY):
        store.write_text(name, flat(trials, version))
    said: list[str] = []
    assert load_plan(store, said.append) == trials
    assert len(read_outline(store, said.append)[0]) == len(trials)
    assert save_plan(store, trials, whole=True).trials == trials
    assert json.loads(store.read_bytes(PLAN))["schema_version"] == plan_file.SCHEMA
    assert load_plan(store, said.append) == trials
    assert said == []


@pytest.mark.parametrize("looks", [(), schedule(8)])
def test_the_same_trials_have_the_checksum_that_they_had_when_each_said_everything(looks: Any) -> None:
    trials = mixed()
    more = {"looks": [[look.seeds, look.level] for look in looks]} if looks else {}
    before, now = json.loads(flat(trials, 5, **more)), json.loads(plan_file.to_text(trials, looks))
    assert now[plan_file.OF_TRIALS] == before[FIELD]
    assert signed({name: value for name, value in now.items() if name != FIELD}) == now, "a reader of older plans sees a whole file"
    assert json.loads(plan_file.to_text(trials[1:], looks))[plan_file.OF_TRIALS] != before[FIELD]


def test_a_plan_that_is_true_is_not_written_and_an_edited_one_is(tmp_path: Path) -> None:
    store, trials = StudyStore(str(tmp_path), "s"), mixed()
    save_plan(store, trials)
    paths = [tmp_path / "s" / name for name in (PLAN, PLAN_COPY)]
    before = [path.stat().st_ino for path in paths]
    save_plan(store, trials)
    save_plan(store, trials[:5])
    assert [path.stat().st_ino for path in paths] == before
    whole = paths[0].read_bytes()
    paths[1].write_bytes(whole.replace(b'"expected_gib": 0.5', b'"expected_gib": 0.6'))
    save_plan(store, trials)
    assert [path.read_bytes() for path in paths] == [whole, whole]
    paths[0].unlink()
    save_plan(store, trials)
    assert paths[0].read_bytes() == whole


def _cell_twice(contents: dict[str, Any]) -> None:
    contents["experiments"][0]["cells"].append(contents["experiments"][0]["cells"][0])


def _unknown_cell(contents: dict[str, Any]) -> None:
    contents["trials"][0]["cell"] = 999


def _other_seed(contents: dict[str, Any]) -> None:
    contents["trials"][-1]["seed"] += 1


def _longer(contents: dict[str, Any]) -> None:
    contents["experiments"][0]["time_limit_s"] += 1


def _more_to_say(contents: dict[str, Any]) -> None:
    contents["trials"][0]["expected_s"] = 1.0


def _no_cells(contents: dict[str, Any]) -> None:
    del contents["experiments"][0]["cells"]


@pytest.mark.parametrize("edit", [_cell_twice, _unknown_cell, _other_seed, _longer, _more_to_say, _no_cells])
def test_an_edit_with_a_checksum_of_its_own_is_found(tmp_path: Path, edit: Any) -> None:
    store, trials = StudyStore(str(tmp_path), "s"), mixed()
    contents = json.loads(plan_file.to_text(trials))
    del contents[FIELD]
    edit(contents)
    for name in (PLAN, PLAN_COPY):
        store.write_text(name, json.dumps(signed(contents)))
    with pytest.raises(DamagedPlanError):
        read_plan(store)


def test_a_later_plan_is_refused_and_not_written_over(tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "s")
    later = json.dumps(signed({"schema_version": plan_file.SCHEMA + 1, "trials": []}))
    store.write_text(PLAN, later)
    with pytest.raises(StoreError, match="written by a newer one"):
        save_plan(store, mixed())
    assert store.read_bytes(PLAN).decode() == later
