"""What stands in `examples/` and in the page on one's own paper works as it stands."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import contract, data, registry
from harness.cli import main
from harness.frames import read_trials
from tests.test_readme import FENCED, ROOT

EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "paper.md").read_text()
VERDICTS = {"floor": "reproduced", "few": "reproduced", "many": "reproduced"}


def test_the_page_shows_the_files_of_the_example() -> None:
    shown = {text.partition("\n")[0].removeprefix("# "): text.partition("\n")[2] for kind, text in FENCED.findall(PAGE) if kind == "python"}
    assert len(shown) == 3
    for name, text in shown.items():
        assert (ROOT / name).read_text() == text, name


def test_the_names_that_the_page_imports_are_there() -> None:
    rows = re.findall(r"^\| `(harness\.\w+)` \| (`.*`) \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 10
    for module, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_task_with_own_data_keeps_the_contract_and_decides_its_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holed = tmp_path / "yields.csv"
    header, first, *rest = (EXAMPLES / "yields.csv").read_text().splitlines()
    holed.write_text("\n".join([header, first, ",1,1,1,1,1,1,1,1", *rest]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(registry.TASK_PATHS, str(EXAMPLES / "own_tasks"))
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(tmp_path / "cache"))
    task, own = registry.task("shrinkage"), data.parse_user_data([f"yields={holed}"])
    assert contract.declared(task) + contract.ran(task, contract.references(task, own)) == []
    words = ["--scale", "smoke", "--data", f"yields={holed}", "--study", "own", "--local", "--tracking-uri", "none"]
    assert main(["run", "shrinkage", *words]) == 0
    with (tmp_path / "results" / "own" / "verdicts.csv").open() as file:
        assert {line["claim"]: line["verdict"] for line in csv.DictReader(file)} == VERDICTS
    assert "line 3: left out, it has an empty cell" in (tmp_path / "results" / "own" / "report.html").read_text()


def test_the_made_up_tables_are_what_their_formula_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    made_up = importlib.import_module("made_up")
    for name, rows in (("yields", made_up.yields()), ("runs", made_up.runs())):
        with (EXAMPLES / f"{name}.csv").open() as file:
            assert list(csv.reader(file)) == rows


def test_the_notebook_reads_and_plots_a_committed_study(tmp_path: Path) -> None:
    cells = json.loads((EXAMPLES / "read_a_study.ipynb").read_text())["cells"]
    assert all(not cell.get("outputs") for cell in cells), "outputs are not committed"
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    look = "\nimport sys\nfigure.savefig(sys.argv[1])\nprint(len(axes.lines), rates.loc[0.1, 'relu'])"
    environment = os.environ | {"MPLBACKEND": "agg"}
    command = [sys.executable, "-c", code + look, str(tmp_path / "sweep.svg")]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("480 trials, 480 ok")
    with (ROOT / "results" / "reference" / "crrelu-laptop" / "verdicts.csv").open() as file:
        verdicts = [
            f"{line['claim']}: {line['verdict']}, " for line in csv.DictReader(file) if line["kind"] == "paper" and line["n"] != "0"
        ]
    assert [line.partition(", ")[0] + ", " for line in said[1:-1]] == verdicts
    lines, accuracy = said[-1].split()
    assert int(lines) == 6
    assert 50 < float(accuracy) <= 100
    assert (tmp_path / "sweep.svg").stat().st_size > 5_000


def test_the_fit_of_somebodys_runs_holds_what_they_were_made_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (EXAMPLES / "README.md").read_text()
    words = shlex.split(next(line for line in page.splitlines() if line.startswith("papertrial fit")))[1:]
    words[words.index("plots")] = str(tmp_path / "plots")
    assert main([*words, "--json", str(tmp_path / "fit.json")]) == 0
    found = {row["name"]: row for row in json.loads((tmp_path / "fit.json").read_text())["fits"][0]["parameters"]}
    for name, made in (("alpha", 0.34), ("beta", 0.28), ("E", 1.7)):
        assert found[name]["low"] < made < found[name]["high"]
    drawn = (tmp_path / "plots" / "chinchilla-fit.svg").read_text()
    assert [f"tokens = {value}" in drawn for value in ("1e+09", "3.11e+09", "9.65e+09", "3e+10")] == [True] * 4


STUDIES = EXAMPLES / "studies"


@pytest.fixture
def own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv(registry.TASK_PATHS, str(EXAMPLES / "own_tasks"))


def gates() -> list[list[str]]:
    shell = "".join(text for kind, text in FENCED.findall((EXAMPLES / "README.md").read_text()) if kind == "sh")
    return [shlex.split(line)[1:] for line in shell.splitlines() if line.startswith("papertrial compare")]


def test_the_gate_of_the_page_fails_for_the_slip_with_the_words_of_the_page(own_tasks: None, capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = (text for kind, text in FENCED.findall((EXAMPLES / "README.md").read_text()) if kind == "text")
    assert main(gates()[0]) == 3
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == shown.splitlines()


def test_the_gate_of_the_page_passes_for_the_way_back_and_judges_no_edit_that_is_not_meant(own_tasks: None) -> None:
    assert [main(words) for words in gates()] == [3, 0]
    assert [main([word for word in words if word not in ("--allow", "source")]) for words in gates()] == [4, 4]


@pytest.mark.parametrize("name", ["shrinkage", "shrinkage-slip"])
def test_the_studies_for_the_gate_are_what_their_code_measures(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "own_tasks", tmp_path / "own_tasks")
    if name.endswith("-slip"):
        removed, added = (re.findall(rf"^\{sign}(?!\{sign})(.+)$", (STUDIES / "slip.diff").read_text(), re.MULTILINE) for sign in "-+")
        code = tmp_path / "own_tasks" / "demo" / "shrinkage" / "experiment.py"
        assert code.read_text().count(removed[0]) == len(removed) == len(added) == 1
        code.write_text(code.read_text().replace(removed[0], added[0]))
    command = ["run", "shrinkage", "--scale", "smoke", "--seeds", "5", "--data", f"yields={EXAMPLES / 'yields.csv'}", "--study", name]
    environment = os.environ | {registry.TASK_PATHS: "own_tasks", "PAPERTRIAL_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", "harness", *command, "--local", "--tracking-uri", "none"], cwd=tmp_path, check=True, env=environment
    )
    found, kept = (
        read_trials((folder / name / "trials" / "shrinkage.parquet").read_bytes()).sort_values("trial_id").reset_index(drop=True)
        for folder in (tmp_path / "results", STUDIES)
    )
    assert found["trial_id"].tolist() == kept["trial_id"].tolist()
    assert found["source_digest"].tolist() == kept["source_digest"].tolist()
    for metric in ("metric.val_error", "metric.test_error"):
        np.testing.assert_allclose(found[metric], kept[metric], rtol=1e-6)
