"""Plans: ids say exactly what decides a result, shared trials run once, overrides are checked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from harness import params, registry
from harness.errors import UsageError
from harness.plan import DataRef, Overrides, TrialSpec, expand, placeholders, read_trials
from harness.plans import load_plan, read_outline, save_plan
from harness.store import StudyStore
from harness.task import Grid, Resources
from tests.harness.fabricated import task_of

TASK = registry.task


def spec(**changes: Any) -> TrialSpec:
    base = TrialSpec(
        task="t",
        version=1,
        scale="smoke",
        experiment="e",
        method="m",
        params={"a": 1, "b": 0.5},
        seed=0,
        data=DataRef("d", "s", "real", "f00"),
    )
    return dataclasses.replace(base, **changes)


def test_the_id_of_a_trial_is_frozen() -> None:
    # A change here orphans every result that anybody has stored.
    assert spec().id == "b2da9cba0d797bc3"


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "u"},
        {"version": 2},
        {"scale": "laptop"},
        {"experiment": "f"},
        {"method": "n"},
        {"params": {"a": 2, "b": 0.5}},
        {"seed": 1},
        {"data": DataRef("d", "s", "real", "f01")},
        {"data": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_decides_a_result_is_in_the_id(changes: dict[str, Any]) -> None:
    assert spec(**changes).id != spec().id


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"b": 0.5, "a": 1}},
        {"resources": Resources(cpus=2)},
        {"time_limit_s": 1.0},
        {"views": ("sweep",)},
        {"expected_s": 9.0},
        {"expected_gib": 9.0},
        {"data": DataRef("d", "elsewhere", "stand-in", "f00", "/other/path")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_nothing_else_is(changes: dict[str, Any]) -> None:
    assert spec(**changes).id == spec().id


def test_a_trial_survives_json() -> None:
    trial = spec(resources=Resources(cpus=2, gpus=0.5), views=("a", "b"))
    again = TrialSpec.from_json(json.loads(json.dumps(trial.to_json())))
    assert again == trial
    assert again.id == spec().id


def test_a_plan_on_disk_names_no_path_of_this_machine() -> None:
    here = spec(data=DataRef("d", "s", "real", "f00", "/home/somebody/cache"))
    assert "somebody" not in json.dumps(here.to_json())
    assert TrialSpec.from_json(here.to_json()).id == here.id


def test_a_trial_that_two_grids_share_is_planned_once() -> None:
    trials = expand(TASK("misbehaving"), "smoke", Overrides(), {})
    cells = [(trial.method, trial.params["size"], trial.seed) for trial in trials]
    assert sorted(cells) == sorted((m, size, seed) for m in ("plain", "shifted") for size in (1, 2, 4) for seed in range(3))
    assert len({trial.id for trial in trials}) == len(trials) == 18


def test_a_shared_trial_belongs_to_the_views_of_both_grids() -> None:
    views = {trial.params["size"]: trial.views for trial in expand(TASK("misbehaving"), "smoke", Overrides(), {})}
    assert views == {1: ("low",), 2: ("low", "high"), 4: ("high",)}


def test_a_trial_whose_id_is_not_that_of_its_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="does not say what its id says"):
        TrialSpec.from_json(spec().to_json() | {"seed": 1})


def test_an_experiment_may_say_what_each_trial_occupies() -> None:
    def resources(scale: str, method: str, values: Mapping[str, Any]) -> Resources:
        return Resources(cpus=2.0 if (scale, method) == ("laptop", "right") else 1.0, gpus=0.5 if values["width"] > 64 else 0.0)

    task = task_of(resources=resources, grids=lambda train: [Grid(train, axes={"width": (64, 128)})])
    shapes = {(t.method, t.params["width"]): (t.resources.cpus, t.resources.gpus) for t in expand(task, "laptop", Overrides(seeds=1), {})}
    assert shapes == {("left", 64): (1.0, 0.0), ("left", 128): (1.0, 0.5), ("right", 64): (2.0, 0.0), ("right", 128): (2.0, 0.5)}


def test_every_seed_is_used_once_per_cell() -> None:
    trials = expand(TASK("misbehaving"), "smoke", Overrides(seeds=7), {})
    for method in ("plain", "shifted"):
        assert sorted(t.seed for t in trials if (t.method, t.params["size"]) == (method, 4)) == list(range(7))


def test_a_replicate_is_the_same_trials_at_other_seeds() -> None:
    ids = {t.id: t.seed for t in expand(TASK("misbehaving"), "smoke", Overrides(seeds=8), {})}
    replicate = expand(TASK("misbehaving"), "smoke", Overrides(seeds=3, first_seed=5), {})
    assert {t.id: t.seed for t in replicate} == {id: seed for id, seed in ids.items() if seed in (5, 6, 7)}


def test_set_replaces_an_axis_a_point_and_a_default() -> None:
    values = {"size": ["8", "16"], "behaviour": ["raise"], "rate": ["0.25"]}
    trials = expand(TASK("misbehaving"), "smoke", Overrides(seeds=1, values=values, methods=("plain",)), {})
    assert [(t.params["size"], t.params["behaviour"], t.params["rate"]) for t in trials] == [(8, "raise", 0.25), (16, "raise", 0.25)]


def test_more_seeds_are_the_same_study_and_other_values_are_not() -> None:
    assert Overrides(seeds=3).digest() == Overrides(seeds=9).digest() == ""
    assert Overrides(values={"size": ["8"]}).digest() not in ("", Overrides(values={"size": ["9"]}).digest())


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("size", "two", "a whole number"),
        ("size", "2.5", "a whole number"),
        ("size", "0", "in 1 to 64"),
        ("rate", "1.5", "in 0 to 1"),
        ("rate", "nan", "in 0 to 1"),
        ("careful", "perhaps", "true or false"),
        ("behaviour", "god", "did you mean 'good'"),
        ("sise", "1", "did you mean 'size'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        params.parse(TASK("misbehaving").experiments[0], name, text)


def test_values_have_their_declared_types() -> None:
    resolved = params.resolve(TASK("misbehaving").experiments[0], {"rate": 1, "size": 3})
    assert resolved == {"behaviour": "good", "size": 3, "rate": 1.0, "careful": False, "pause": 0.0}
    assert isinstance(resolved["rate"], float)
    with pytest.raises(UsageError, match="a whole number"):
        params.resolve(TASK("misbehaving").experiments[0], {"size": True})


def test_what_a_task_declares_is_asked_once_a_cell_and_not_once_a_seed() -> None:
    asked: list[str] = []

    def seconds(_scale: str, method: str, _params: Mapping[str, Any]) -> float:
        asked.append(method)
        return 2.0

    task = task_of(seconds=seconds)
    few, many = expand(task, "laptop", Overrides(seeds=1), {}), expand(task, "laptop", Overrides(seeds=50), {})
    assert len(many) == 50 * len(few)
    assert len(asked) == 2 * len(few)
    assert len({id(trial.params) for trial in many}) == len(few)


def test_each_seed_plans_what_it_would_alone() -> None:
    chain, seeds = TASK("chain"), 4
    together = expand(chain, "smoke", Overrides(seeds=seeds), {})
    alone = [trial for seed in range(seeds) for trial in expand(chain, "smoke", Overrides(seeds=1, first_seed=seed), {})]
    assert together == alone
    assert [trial.id for trial in together] == [dataclasses.replace(trial).id for trial in alone]
    seed_of = {trial.id: trial.seed for trial in together}
    assert [seed_of[trial.requires] for trial in together if trial.requires] == [trial.seed for trial in together if trial.requires]
    assert any(trial.requires for trial in together)


def test_rows_that_differ_in_the_seed_are_checked_in_full_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = expand(TASK("chain"), "smoke", Overrides(seeds=30), {})
    rows = json.loads(json.dumps([trial.to_json() for trial in trials]))
    full = Mock(wraps=TrialSpec.from_json)
    monkeypatch.setattr(TrialSpec, "from_json", full)
    assert read_trials(rows) == trials
    assert full.call_count == len(trials) // 30


@pytest.mark.parametrize("changes", [{"seed": 9}, {"id": "0" * 16}, {"method": "other"}, {"requires": 3}, {"seed": True}, {"seed": 1.0}])
def test_a_row_like_others_is_refused_when_it_is_not_what_its_id_says(changes: dict[str, Any]) -> None:
    rows = [trial.to_json() for trial in expand(TASK("chain"), "smoke", Overrides(seeds=2), {})]
    assert read_trials(rows)
    with pytest.raises(ValueError, match=r"says|shape"):
        read_trials([*rows, rows[-1] | changes])


def test_an_outline_holds_the_trials_of_the_plan(tmp_path: Path) -> None:
    store, trials = StudyStore(str(tmp_path), "study"), expand(TASK("chain"), "smoke", Overrides(seeds=2), {})
    save_plan(store, trials)
    said: list[str] = []
    outline, looks = read_outline(store, said.append)
    of = ("id", "task", "scale", "experiment", "method", "seed")
    assert [[getattr(trial, name) for name in of] for trial in outline] == [
        [getattr(trial, name) for name in of] for trial in load_plan(store)
    ]
    assert (len(outline), looks, said) == (len(trials), (), [])


def test_what_stands_for_two_sets_tells_their_trials_apart() -> None:
    task = task_of(grids=lambda train: [Grid(train, data=name) for name in ("letters", "runes")])
    assert len(expand(task, "laptop", Overrides(seeds=1), placeholders(task, "laptop"))) == 4, "two methods on each"
