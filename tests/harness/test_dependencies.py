"""Trials that need others first: planned with them, run after them, once, and failing with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import ledger, registry
from harness.artifacts import Artifacts, name
from harness.dependencies import Dependencies
from harness.engine import run_trials
from harness.errors import StoreError, TaskError, UsageError
from harness.plan import Overrides, TrialSpec, expand
from harness.store import StudyStore
from harness.task import Resources
from harness.trial import Trial
from tests.harness.conftest import Command


def plan(ground: str = "good", *, seeds: int = 2, methods: tuple[str, ...] = ()) -> list[TrialSpec]:
    return expand(registry.task("chain"), "smoke", Overrides(seeds=seeds, values={"ground": [ground]}, methods=methods), {})


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(str(tmp_path), "study")


def test_what_a_trial_needs_is_planned_before_it_and_once_a_seed() -> None:
    trials = plan()
    # Heights matter to middle and top alone: three each, one more middle of height 1 is the one that tops need.
    assert Counter(trial.method for trial in trials) == {"base": 2, "middle": 6, "top": 6}
    place = {trial.id: index for index, trial in enumerate(trials)}
    by_id = {trial.id: trial for trial in trials}
    for trial in trials:
        below = {"top": "middle", "middle": "base"}.get(trial.method)
        assert (by_id[trial.requires].method if trial.requires else None) == below
        if below:
            assert place[trial.requires] < place[trial.id]
            assert (by_id[trial.requires].seed, by_id[trial.requires].data) == (trial.seed, trial.data)


def test_the_ids_are_those_of_a_plan_without_requirements() -> None:
    (base, *_) = plan()
    alone = TrialSpec.from_json({key: value for key, value in base.to_json().items() if key != "requires"})
    assert alone.id == base.id
    assert TrialSpec.from_json(plan()[-1].to_json()) == plan()[-1]


def test_a_chosen_method_brings_what_it_needs() -> None:
    assert {trial.method for trial in plan(methods=("top",))} == {"base", "middle", "top"}


def test_a_task_that_needs_itself_is_refused() -> None:
    with pytest.raises(TaskError, match="circle needs circle"):
        expand(registry.task("chain"), "laptop", Overrides(), {})


def test_a_method_may_stand_on_itself_with_other_parameters(store: StudyStore) -> None:
    rungs = expand(registry.task("chain"), "gpu", Overrides(), {})
    assert [trial.params["height"] for trial in rungs] == [1, 2, 3]
    assert [trial.requires for trial in rungs] == ["", rungs[0].id, rungs[1].id]
    records = run_trials(store, rungs, local=True).records
    assert [records[trial.id].metrics["value"] for trial in rungs] == [1.0, 3.0, 6.0]


def test_in_process_and_on_ray_everything_is_handed_on(
    store: StudyStore, tmp_path: Path, ray_here: None, executions: Callable[[], list[str]]
) -> None:
    trials = plan(seeds=3)
    here = run_trials(store, list(reversed(trials)), local=True).records
    assert Counter(executions()) == dict.fromkeys((trial.id for trial in trials), 1)
    there = run_trials(StudyStore(str(tmp_path), "ray"), list(reversed(trials))).records
    assert {record.status for record in here.values()} == {"ok"}
    assert {id: record.metrics for id, record in there.items()} == {id: record.metrics for id, record in here.items()}
    by_id = {trial.id: trial for trial in trials}
    for id, record in here.items():
        below = by_id[id].requires
        if below:
            assert record.metrics["value"] == pytest.approx(here[below].metrics["value"] + record.params["height"])


@pytest.mark.parametrize("local", [True, False], ids=["in-process", "ray"])
@pytest.mark.parametrize(("ground", "how"), [("raise", "failed"), ("nan", "diverged")])
def test_what_needs_a_failure_fails_without_running(
    store: StudyStore, ray_here: None, local: bool, ground: str, how: str, executions: Callable[[], list[str]]
) -> None:
    trials = plan(ground, seeds=1)
    records = run_trials(store, trials, local=local).records
    assert set(ledger.read(store).records) == {trial.id for trial in trials}, "a trial that never ran leaves a record too"
    (base,) = [trial.id for trial in trials if trial.method == "base"]
    assert records[base].status == how
    for trial in trials:
        if trial.method == "middle":
            assert records[trial.id].error == f"not run: the trial {base} that it needs ended {how}"
        if trial.method == "top":
            assert records[trial.id].error == f"not run: the trial {trial.requires} that it needs ended failed"
    assert set(executions()) <= {base}
    again = run_trials(store, trials, local=local)
    assert again.executed == 0


def test_a_base_that_kills_its_worker_takes_nothing_else_along(store: StudyStore, ray_here: None) -> None:
    bad, good = plan("die", seeds=1), plan("good", seeds=1)
    records = run_trials(store, [*bad, *good]).records
    assert {records[trial.id].status for trial in bad} == {"failed"}
    assert {records[trial.id].status for trial in good} == {"ok"}


def test_retry_runs_the_failure_and_what_needs_it(store: StudyStore, executions: Callable[[], list[str]]) -> None:
    trials = plan("raise", seeds=1)
    run_trials(store, trials, local=True)
    result = run_trials(store, trials, local=True, retry=True)
    assert result.executed == len(trials)
    assert len(executions()) == 2, "the base twice, the rest never"


def test_a_larger_plan_uses_what_is_kept_and_makes_it_again_when_it_is_gone(store: StudyStore, executions: Callable[[], list[str]]) -> None:
    trials = plan(seeds=1)
    first = [trial for trial in trials if trial.method != "top"]
    run_trials(store, first, local=True)
    tops = [trial for trial in trials if trial.method == "top"]
    before = len(executions())
    run_trials(store, [*first, tops[0]], local=True)
    assert executions()[before:] == [tops[0].id]
    for trial in first:
        store.remove(name(trial.id))
    before = len(executions())
    result = run_trials(store, trials, local=True)
    middle = tops[1].requires
    (base,) = [trial.id for trial in trials if trial.method == "base"]
    assert executions()[before:] == [base, middle, tops[1].id, tops[2].id], "only what is needed, in order"
    assert {record.status for record in result.records.values()} == {"ok"}


def test_what_a_trial_needs_may_have_another_size(tmp_path: Path, ray_here: None) -> None:
    trials = [replace(trial, resources=Resources(cpus=2 if trial.method == "middle" else 1)) for trial in plan(seeds=1)]
    for local in (True, False):
        records = run_trials(StudyStore(str(tmp_path), f"local {local}"), list(reversed(trials)), local=local).records
        assert {record.status for record in records.values()} == {"ok"}


def test_a_trial_whose_base_is_not_in_the_study_says_so(store: StudyStore) -> None:
    (middle, *_) = [trial for trial in plan(seeds=1) if trial.method == "middle"]
    records = run_trials(store, [middle], local=True).records
    assert records[middle.id].error == f"not run: the trial {middle.requires} that it needs is not in this study"


def test_a_base_that_keeps_nothing_or_a_damaged_file_fails_in_one_sentence(store: StudyStore) -> None:
    mute = plan("mute", seeds=1)
    records = run_trials(store, mute, local=True).records
    (middle, *_) = [trial for trial in mute if trial.method == "middle"]
    assert "kept nothing" in records[middle.id].error.splitlines()[0]
    store.write_bytes(name("feed"), b"not a tensor")
    with pytest.raises(StoreError, match="is damaged"):
        Artifacts(store).load("feed")


def test_a_trial_that_stands_alone_has_nothing_to_load(store: StudyStore) -> None:
    (base, *_) = plan(seeds=1)
    with pytest.raises(UsageError, match="need no other"):
        Trial(registry.task("chain").experiments[0], base, artifacts=Artifacts(store)).required()


def test_every_trial_is_settled_once_however_deep_it_stands() -> None:
    trials = plan(seeds=2)
    dependencies = Dependencies(trials, {})
    assert [trial.method for trial in dependencies.start.released] == ["base", "base"]
    seen, frontier = [], list(dependencies.start.released)
    while frontier:
        trial = frontier.pop()
        seen.append(trial.id)
        frontier += dependencies.resolve(trial.id, "ok").released
    assert sorted(seen) == sorted(trial.id for trial in trials)
    assert dependencies.resolve(trials[0].id, "ok").released == [], "a second end releases nothing"


def test_the_command_line_plans_runs_and_resumes(papertrial: Command) -> None:
    said = papertrial("run", "chain", "--scale", "smoke", "--local", "--tracking-uri", "none", "--method", "top")
    assert said.code == 0, said.out
    assert "10 trials" in said.out
    again = papertrial("run", "chain", "--scale", "smoke", "--local", "--tracking-uri", "none", "--method", "top")
    assert "10 recorded before" in again.out
    assert papertrial("plan", "chain", "--scale", "laptop").code == 2


def test_show_says_what_a_method_needs(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    # Scale `laptop` of the throw-away task needs itself: no such task is shown.
    refused = papertrial("show", "chain")
    assert (refused.code, refused.out, "circle needs circle" in refused.err) == (2, "", True)
    sound = replace(registry.task("chain"), scales={"smoke": registry.task("chain").scales["smoke"]})
    monkeypatch.setattr(registry, "task", lambda name, found=registry.task: sound if name == "chain" else found(name))
    lines = papertrial("show", "chain").out.splitlines()
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines]
    shown = {row[0]: row[2:] for row in cells if len(row) > 1}
    assert shown["top"] == ["middle"]
    assert shown["base"] == []
    assert not any("needs" in line for line in papertrial("show", "misbehaving").out.splitlines())
