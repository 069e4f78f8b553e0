"""`papertrial new` and `papertrial doctor`, as a newcomer uses them."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.conftest import Command


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """$PAPERTRIAL_TASKS names no folder."""
    monkeypatch.delenv("PAPERTRIAL_TASKS")


@pytest.mark.usefixtures("unnamed")
@pytest.mark.parametrize(
    ("kind", "checkout"),
    [("custom", False), ("custom", True), ("supervised", True), ("theorem", True), ("small-models", True)],
)
def test_the_skeletons_own_test_passes(papertrial: Command, tmp_path: Path, kind: str, checkout: bool) -> None:
    if checkout:
        # What makes a folder a checkout; its `tasks` comes before the installed one on the path.
        for package in ("harness", "tasks"):
            (tmp_path / package).mkdir()
            (tmp_path / package / "__init__.py").touch()
        (tmp_path / "tasks" / "__init__.py").write_text('__path__ = __import__("pkgutil").extend_path(__path__, __name__)\n')
    said = papertrial("new", "demo/my-paper", "--kind", kind)
    assert said.code == 0, said.err
    (test,) = tmp_path.glob("tests/tasks/demo/test_*.py")
    path = os.pathsep.join([*([str(tmp_path)] if checkout else []), str(Path(__file__).parents[2])])
    if checkout:
        shutil.copy(Path(__file__).parents[2] / "pyproject.toml", tmp_path)
        for ruff in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
            linted = subprocess.run([sys.executable, "-m", "ruff", *ruff, "."], cwd=tmp_path, capture_output=True, text=True)
            assert linted.returncode == 0, linted.stdout
        (tmp_path / "pyproject.toml").unlink()
        shutil.rmtree(tmp_path / "harness")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert papertrial("new", "demo/my-paper").code == 2, "an existing task is not overwritten"


def test_a_skeleton_goes_where_tasks_are_looked_for(papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("harness", "tasks"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    mine = tmp_path / "elsewhere" / "my_tasks"
    mine.mkdir(parents=True)
    monkeypatch.setenv("PAPERTRIAL_TASKS", os.pathsep.join([str(mine), str(tmp_path / "tasks")]))
    said = papertrial("new", "demo/first-paper")
    assert said.code == 0, said.err
    folder, test = mine / "demo" / "first_paper", mine.parent / "tests" / "tasks" / "demo" / "test_first_paper.py"
    assert f"task in {folder} (the folder that $PAPERTRIAL_TASKS names)" in said.out
    assert f"test in {test}" in said.out
    assert "export" not in said.out, "it is found already"
    assert (folder / "task.py").exists()
    assert test.exists()
    assert papertrial("show", "first-paper").code == 0
    assert [path.name for path in (tmp_path / "tasks").iterdir()] == ["__init__.py"]
    monkeypatch.delenv("PAPERTRIAL_TASKS")
    said = papertrial("new", "demo/second-paper")
    assert f"task in {tmp_path / 'tasks' / 'demo' / 'second_paper'} (the checkout's own tasks)" in said.out
    monkeypatch.setenv("PAPERTRIAL_TASKS", str(tmp_path / "nowhere"))
    said = papertrial("new", "demo/third-paper")
    assert (said.code, "which is not a folder" in said.err) == (2, True)


def test_a_folder_that_another_package_hides_is_named(papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("before", "mine"):
        (tmp_path / place / "hidden_tasks").mkdir(parents=True)
    (tmp_path / "before" / "hidden_tasks" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "before")
    monkeypatch.setenv("PAPERTRIAL_TASKS", str(tmp_path / "mine" / "hidden_tasks"))
    assert papertrial("new", "demo/hidden-paper").code == 0
    said = papertrial("show", "hidden-paper")
    assert said.code == 2
    assert f"another package called hidden_tasks, in {tmp_path / 'before' / 'hidden_tasks'}, hides its folder" in said.err


@pytest.mark.usefixtures("unnamed")
def test_a_skeletons_test_can_fail(papertrial: Command, tmp_path: Path) -> None:
    papertrial("new", "demo/my-paper")
    experiment = tmp_path / "papertrial_tasks" / "demo" / "my_paper" / "experiment.py"
    experiment.write_text(experiment.read_text().replace('trial.seed_for("problem")', "0"))
    (test,) = tmp_path.glob("tests/tasks/demo/test_*.py")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", str(test)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    assert "draw from trial.seed_for" in done.stdout


@pytest.mark.usefixtures("unnamed")
def test_what_the_skeletons_measure_is_what_they_say(papertrial: Command, tmp_path: Path) -> None:
    kinds = ("custom", "theorem", "small-models")
    for kind in kinds:
        assert papertrial("new", f"demo/{kind}-paper", "--kind", kind).code == 0
    words = ["run", *(f"{kind}-paper" for kind in kinds), "--scale", "smoke", "--local", "--study", "all", "--tracking-uri", "none"]
    environment = os.environ | {"PAPERTRIAL_TASKS": str(tmp_path / "papertrial_tasks")}
    done = subprocess.run([sys.executable, "-m", "harness", *words], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "results" / "all" / "verdicts.csv").open() as file:
        verdicts = {(row["task"], row["claim"]): row["verdict"] for row in csv.DictReader(file)}
    assert verdicts["theorem-paper", "C1-identity"] == verdicts["theorem-paper", "C1-control"] == "reproduced"
    with (tmp_path / "results" / "all" / "leaderboard.csv").open() as file:
        rows = {(row["task"], row["statistic"], row["method"]): float(row["estimate"]) for row in csv.DictReader(file)}
    loss = {method: rows["custom-paper", "loss", method] for method in ("momentum", "gradient-descent", "do-nothing")}
    assert max(loss["momentum"], loss["gradient-descent"]) < loss["do-nothing"]
    accuracy = {method: rows["small-models-paper", "test_accuracy", method] for method in ("mlp", "linear", "shuffled-labels")}
    assert accuracy["mlp"] > 0.9
    assert 0.3 < accuracy["linear"] < 0.6
    assert 0.3 < accuracy["shuffled-labels"] < 0.7
    readme = tmp_path / "papertrial_tasks" / "demo" / "theorem_paper" / "README.md"
    readme.write_text(readme.read_text().replace("<!--", "Both sides agree <sub>C1-identity</sub>. <!--"))
    for words in (["site", "results", "--out", "out"], ["report", "all"]):
        done = subprocess.run([sys.executable, "-m", "harness", *words], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
    pages = {name: (tmp_path / "out" / "papers" / f"{name}-paper.html").read_text() for name in ("custom", "theorem")}
    report = (tmp_path / "results" / "all" / "report.html").read_text()
    for text in (report, *pages.values()):
        assert "committed" not in text
        assert "undecided<sub>C1" not in text
    assert "in short" not in pages["custom"]
    assert pages["theorem"].index("What its README says in short") < pages["theorem"].index("Both sides agree")
    assert "What the README of theorem-paper says in short" in report
    assert "What the README of custom-paper" not in report


def test_an_unknown_kind_is_one_sentence(papertrial: Command) -> None:
    said = papertrial("new", "demo/my-paper", "--kind", "theorm")
    assert (said.code, said.err) == (
        2,
        "papertrial: unknown kind: 'theorm'; did you mean 'theorem'? (choices: custom, supervised, theorem, small-models)\n",
    )


def test_doctor_says_what_is_here(papertrial: Command, cache: Path) -> None:
    said = papertrial("doctor")
    assert said.code == 0
    for word in ("python", "torch", "GPU", "Ray", "Triton", "data letters", "papertrial data prepare letters"):
        assert word in said.out
