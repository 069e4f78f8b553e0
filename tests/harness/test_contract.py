"""`papertrial test`: a sound task passes, and each way of breaking the contract is named in a sentence."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import contract, registry
from tests.harness.conftest import Command

TASK = """
from harness.bounds import POSITIVE
from harness.claims import better
from harness.task import Experiment, Grid, Method, Metric, Paper, Scale, Task

locate = Experiment("locate", metrics=[Metric("error", unit="", better="lower", bounds=POSITIVE)], run="@ROOT@.demo.@NAME@.experiment:run")
TASK = Task(
    id="@NAME@",
    version=1,
    paper=Paper(arxiv="0000.00000", title="Medians", year=2026),
    methods=[Method("median", "proposed"), Method("mean", "baseline")],
    experiments=[locate],
    scales={"smoke": Scale(description="a second", seeds=2, time_limit_s=60, grids=[Grid(locate)])},
    claims=better("C1", "median", "mean", locate["error"], source="table 1"),
)
"""
EXPERIMENT = """
import random

CALLS = []


def run(trial):
    seed = trial.seed_for("data")
    done, total = trial.restore() or (0, 0.0)
    for step in range(done, 4):
        draws = [random.Random(f"{seed}/{step}/{i}").gauss(0, 1) for i in range(11)]
        total += abs(sorted(draws)[5] if trial.method == "median" else sum(draws) / 11)
        trial.checkpoint(step + 1, total)
    CALLS.append(seed)
    return {"error": total}
"""

Broken = Callable[[str, str, str], str]


def write(root: Path, name: str, where: str, old: str, new: str) -> None:
    """The task above below `root`, with `old` replaced in its task or experiment."""
    folder = root / "demo" / name
    folder.mkdir(parents=True)
    for file, text in (("task", TASK), ("experiment", EXPERIMENT)):
        assert file != where or old in text
        changed = text.replace(old, new) if file == where else text
        (folder / f"{file}.py").write_text(changed.replace("@ROOT@", root.name).replace("@NAME@", name))


@pytest.fixture
def broken(papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    """`broken(where, old, new)` is what is found wrong with the task above when `old` is replaced in its task or experiment.

    Nothing replaced: what the command prints of it.
    """
    name = re.sub(r"[^a-z0-9]", "", tmp_path.name)  # a task is loaded once in a process: each test has its own
    root = f"roots{name}"

    def said(where: str, old: str, new: str) -> str:
        write(tmp_path / root, name, where, old, new)
        monkeypatch.setenv(registry.TASK_PATHS, str(tmp_path / root))
        if old and "import" not in new:  # in this process: what a declaration imports takes a fresh one
            task = registry.task(name)
            return "\n".join(contract.declared(task) or contract.ran(task, {}))
        found = papertrial("test", name)
        assert found.code == (1 if old else 0), found.out + found.err
        return found.out

    yield said
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]


def test_a_sound_task_keeps_the_contract(broken: Broken) -> None:
    assert "keeps the contract: 2 methods in 1 experiment" in broken("task", "", "")


@pytest.mark.parametrize(
    ("where", "old", "new", "sentence"),
    [
        ("task", "from harness.claims", "import numpy\nfrom harness.claims", "task.py imports numpy: import it in experiment.py"),
        ("task", '"proposed"', '"rival"', "no method is proposed"),
        ("task", '"baseline"', '"proposed"', "nothing is compared with what is proposed"),
        ("task", '"table 1"', '" "', "claim C1 has an empty source"),
        ("task", '"table 1"', '"table 1", scales=("gpu",)', "claim C1 is tested at none of the task's scales"),
        (
            "task",
            'experiment:run")',
            'experiment:run", seconds=lambda *_: 99.0)',
            "locate/mean is estimated at 99 s, above the limit of 60 s",
        ),
        ("task", "seeds=2", "seeds=1", "scale smoke: one seed decides nothing"),
        ("experiment", '{"error": ', '{"eror": ', "median: failed, run returned metric 'eror'"),
        ("experiment", '"error": total', '"error": -total', "median: failed, metric error is -"),
        ("experiment", "return {", "total = float('nan')\n    return {", "median: diverged"),
        (
            "experiment",
            "return {",
            "total = total if trial.seed == 0 or trial.method == 'median' else float('nan')\n    return {",
            "mean: at seed 1 diverged, ",
        ),
        (
            "experiment",
            '"error": total',
            '"error": total + random.SystemRandom().random()',
            "the same trial gives other numbers when it runs again",
        ),
        (
            "experiment",
            '"error": total',
            '"error": total + len(CALLS)',
            "mean: the same trial gives other numbers when it runs again (error ",
        ),
        ("experiment", "step + 1, total", "step, total", "median: a trial that goes on from its checkpoint gives other numbers (error "),
        ("experiment", "step + 1, total", "step + 1, 0.0", "mean: a trial that goes on from its checkpoint gives other numbers (error "),
        ("experiment", 'trial.seed_for("data")', "0", "seed 1 gives the numbers of seed 0, so an interval over seeds says nothing"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", value)[:24],
)
def test_what_is_wrong_is_named(broken: Broken, where: str, old: str, new: str, sentence: str) -> None:
    assert sentence in broken(where, old, new)


def test_an_unknown_task_is_one_sentence(papertrial: Command) -> None:
    said = papertrial("test", "crrelo")
    assert said.code == 2
    assert "did you mean 'crrelu'?" in said.err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"C1", "median"', '"C1", "medain"', "claim C1: unknown method of misnamed: 'medain'; did you mean 'median'? (choices: "),
        ('locate["error"]', 'locate["error"].at(seedz=1)', "claim C1: unknown parameter of experiment locate: 'seedz'"),
    ],
    ids=["method", "parameter"],
)
def test_a_name_misspelt_in_a_claim_is_said_by_whatever_loads_the_task(
    papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, says: str
) -> None:
    root = tmp_path / re.sub(r"\W", "", f"roots{tmp_path.name}")
    write(root, "misnamed", "task", old, new)
    monkeypatch.setenv(registry.TASK_PATHS, str(root))
    registry.task_at.cache_clear()
    for words in (["show"], ["show", "--json"], ["plan", "--scale", "smoke"], ["test"], ["run", "--scale", "smoke", "--local"]):
        said = papertrial(words[0], "misnamed", *words[1:])
        assert (said.code, said.out) == (2, ""), words
        assert says in said.err
    (row,) = [row for row in json.loads(papertrial("list", "--json").out) if row["task"] == "misnamed"]
    assert says in row["error"]
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]


def test_what_no_scale_can_plan_is_said_before_anything_is_shown(
    papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / re.sub(r"\W", "", f"roots{tmp_path.name}")
    write(root, "costly", "task", 'experiment:run")', 'experiment:run", seconds=lambda *_: 1 / 0)')
    monkeypatch.setenv(registry.TASK_PATHS, str(root))
    said = papertrial("show", "costly")
    assert (said.code, said.out) == (2, "")
    assert "`seconds` of experiment locate raised ZeroDivisionError" in said.err
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]
