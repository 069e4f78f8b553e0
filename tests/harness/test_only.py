"""One data set suffices: trials of the others are not planned, and need not be there."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness import registry
from harness.errors import UsageError
from harness.plan import DataRef, Overrides, data_names, expand
from harness.task import Grid, Resources
from tests.harness.conftest import Command
from tests.harness.fabricated import task_of

READ = ("reading", "--scale", "smoke")
RUN = ("run", *READ, "--local", "--tracking-uri", "none")
REFS = {name: DataRef(name, "s", "stand-in", name) for name in ("letters", "runes", "text", "images")}


def verdicts(folder: Path) -> dict[str, str]:
    with (folder / "verdicts.csv").open() as file:
        return {row["claim"]: row["verdict"] for row in csv.DictReader(file)}


def test_a_study_of_one_data_set_runs_resumes_and_is_reported(papertrial: Command, cache: Path, tmp_path: Path) -> None:
    assert papertrial("data", "prepare", "letters").code == 0
    whole = papertrial(*RUN)
    assert (whole.code, "runes" in whole.err) == (2, True), "nobody can fetch the runes"
    planned = papertrial("plan", *READ, "--only", "data=letters")
    assert (planned.code, "12 trials over 3 seeds, 12 left" in planned.out, "runes" in planned.out) == (0, True, False)
    done = papertrial(*RUN, "--only", "data=letters")
    assert done.code == 0, done.err
    (study,) = [folder for folder in (tmp_path / "results").iterdir() if (folder / "verdicts.csv").exists()]
    assert study.name.startswith("reading-smoke-")
    assert verdicts(study) == {"C1-letters": "reproduced", "C1-runes": "not tested"}
    assert "12 recorded before" in papertrial(*RUN, "--only", "data=letters").out
    assert papertrial("status", study.name).code == 0
    assert papertrial("report", study.name).code == 0
    assert verdicts(study)["C1-runes"] == "not tested"


def test_the_sets_that_are_named_add_up(papertrial: Command, cache: Path, tmp_path: Path) -> None:
    stones = tmp_path / "stones.txt"
    stones.write_text("fuþark")
    assert papertrial("data", "prepare", "letters").code == 0
    words = ("--only", "data=letters", "--only", "data=runes", "--data", f"runes={stones}")
    assert "18 trials over 3 seeds" in papertrial("plan", *READ, *words).out
    said = papertrial("plan", *READ, "--only", "data=letters", "--data", f"runes={stones}")
    assert (said.code, "--data names 'runes', which these tasks do not read" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("--only", "data=leters"),
            "unknown data set of reading at scale smoke: 'leters'; did you mean 'letters'? (choices: letters, runes)",
        ),
        (("--only", "letters"), "--only takes data=NAME, such as data=letters, not 'letters'"),
        (("--only", "method=aloud"), "--only takes data=NAME, such as data=letters, not 'method=aloud'"),
        (("--only", "data="), "--only takes data=NAME, such as data=letters, not 'data='"),
    ],
)
def test_what_is_not_a_data_set_of_the_task_is_refused(papertrial: Command, words: tuple[str, ...], says: str) -> None:
    said = papertrial("plan", *READ, *words)
    assert (said.code, says in said.err) == (2, True), said.err


def test_a_task_that_reads_none_of_the_sets_is_refused(papertrial: Command) -> None:
    said = papertrial("plan", "misbehaving", *READ, "--only", "data=letters")
    assert said.code == 2
    assert "nothing to run: no such trial of misbehaving at scale smoke reads letters" in said.err


def test_the_selection_is_part_of_the_studys_name() -> None:
    assert Overrides(data=("letters",)).digest() not in (
        "",
        Overrides(data=("runes",)).digest(),
        Overrides(experiments=("letters",)).digest(),
    )
    assert Overrides(data=("a", "b")).digest() == Overrides(data=("b", "a")).digest()
    # That of studies which people have: `--experiment behave` and `--method plain`.
    assert (Overrides(experiments=("behave",)).digest(), Overrides(methods=("plain",)).digest()) == ("a3653c", "878c79")
    assert data_names(registry.task("reading"), "smoke", Overrides(data=("runes",))) == ["runes"]


def test_a_grid_may_say_what_its_trials_occupy() -> None:
    trials = expand(registry.task("reading"), "smoke", Overrides(seeds=1), REFS)
    assert {(trial.views, trial.resources.cpus) for trial in trials} == {(("letters",), 0.5), (("runes",), 2.0), (("heart",), 2.0)}


@pytest.mark.parametrize("turned", [False, True])
def test_a_trial_of_two_grids_occupies_the_most_of_either(turned: bool) -> None:
    sizes = [Resources(cpus=4, gpus=0.25), Resources(cpus=2, gpus=1)]
    task = task_of(grids=lambda train: [Grid(train, resources=size) for size in (sizes[::-1] if turned else sizes)])
    assert {trial.resources for trial in expand(task, "laptop", Overrides(seeds=1), REFS)} == {Resources(cpus=4, gpus=1)}


def test_what_a_trial_requires_occupies_what_its_grid_says() -> None:
    chain = registry.task("chain")
    climb = chain.experiments[0]
    grids = [Grid(climb, methods=("middle",), resources=Resources(cpus=3))]
    task = task_of(experiment=climb, methods=chain.methods, grids=lambda _: grids, claims=[])
    assert {trial.method: trial.resources.cpus for trial in expand(task, "laptop", Overrides(seeds=1), REFS)} == {
        "base": 3.0,
        "middle": 3.0,
    }


def test_expanding_by_a_set_that_no_grid_reads_finds_nothing() -> None:
    with pytest.raises(UsageError, match="nothing to run"):
        expand(registry.task("reading"), "smoke", Overrides(data=("text",)), REFS)
