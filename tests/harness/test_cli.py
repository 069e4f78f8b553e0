"""The command line as people meet it: names, values, files and hardware that do not fit get one clear sentence and exit 2."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.checksums import signed
from harness.cli import parser
from harness.frames import read_trials
from harness.plan_file import to_text
from harness.plans import load_plan
from harness.store import StudyStore, open_study
from tests.harness.conftest import Command

HEAVY = {"ray", "torch", "mlflow", "pandas", "pyarrow", "numpy", "scipy", "matplotlib"}


@pytest.mark.parametrize("words", [["--help"], ["list"], ["show", "misbehaving"], ["data", "list"]], ids=" ".join)
def test_looking_around_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    look = f"import sys; from harness.cli import main\ntry: main({words!r})\nexcept SystemExit: pass\n"
    code = f"{look}print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_called_tasks_beside_ones_own_root_hides_nothing(tmp_path: Path) -> None:
    for package in ("tasks", "mine"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    listed = "from harness import registry\nfor _ in range(2): names = list(registry.datasets())\n"
    look = f"{listed}print('text' in names, registry.dataset('text').name)"
    env = {**os.environ, "PAPERTRIAL_TASKS": str(tmp_path / "mine")}
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=tmp_path / "mine", env=env)
    assert done.stdout.split() == ["True", "text"]


def test_the_options_are_frozen() -> None:
    # People's scripts rely on these. Add with care; never rename.
    verbs = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    grammar = {
        name: " ".join(sorted(o for a in verb._actions for o in a.option_strings or [a.dest] if o not in ("-h", "--help")))
        for name, verb in verbs.choices.items()
    }
    selection = (
        "--cap --claim --data --data-kind --experiment --first-seed --method --only --scale --seeds --set --store --study --trial "
        "--until-decided"
    )
    assert grammar == {
        "list": "--field --json --markdown --store",
        "ls": "--json --store folder",
        "show": "--claim --json --store task",
        "plan": " ".join(sorted([*selection.split(), "--json", "tasks"])),
        "run": (
            "--address --budget --cap --claim --data --data-kind --experiment --first-seed --local --method --mixed-hardware --no-packing "
            "--only --retry --scale --seeds --set --store --study --tracking-uri --trial --until-decided tasks"
        ),
        "status": "--json --store study",
        "report": "--full --open --store --tables study",
        "verdicts": "--claim --json --store study",
        "trials": "--claim --failed --json --store study",
        "site": "--out --reports stores",
        "compare": "--allow --csv --gate --store --strict --tolerance after before",
        "fit": (
            "--active --allow-gap --better --budget --censored --cluster --compare --d --errors --experts --fix --flops --group --holdout "
            "--huber --isoflop --json --loss --m --markdown --n --plots --predict --prior --reference --resamples --s1 --s2 --seed "
            "--separate --share --skip-empty --starts --store --through --tie --tracking-uri --u --un --weights --where --x --x1 "
            "--x2 --y law source"
        ),
        "publish": "--store --tracking-uri study",
        "data": "--data --force --store action names",
        "new": "--kind name",
        "test": "--data task",
        "doctor": "--job",
    }


RUN = ["run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "misbehaving-", "--scale", "smoke"], "unknown task: 'misbehaving-'; did you mean 'misbehaving'?"),
        (["run", "misbehaving", "--scale", "smok"], "unknown scale: 'smok'; did you mean 'smoke'?"),
        ([*RUN, "--method", "plan"], "unknown method of misbehaving: 'plan'; did you mean 'plain'?"),
        ([*RUN, "--experiment", "behav"], "unknown experiment of misbehaving: 'behav'; did you mean 'behave'?"),
        ([*RUN, "--set", "sise=2"], "unknown parameter of behave: 'sise'; did you mean 'size'?"),
        ([*RUN, "--set", "size=two"], "parameter size of experiment behave is a whole number, not 'two'"),
        ([*RUN, "--set", "size=65"], "parameter size of experiment behave must lie in 1 to 64, not 65"),
        ([*RUN, "--set", "behaviour=god"], "unknown value of parameter behaviour: 'god'; did you mean 'good'?"),
        ([*RUN, "--set", "size"], "--set takes NAME=VALUE"),
        ([*RUN, "--seeds", "0"], "--seeds must be at least 1, not 0"),
        ([*RUN, "--seeds", "99999999999"], "--seeds must be at most 100,000, not 99,999,999,999"),
        ([*RUN, "--first-seed", "-1"], "--first-seed must lie in 0 to 1,000,000, not -1"),
        ([*RUN, "--seeds", "many"], "argument --seeds: invalid int value: 'many'"),
        ([*RUN, "--data", "letters=/x"], "--data names 'letters', which these tasks do not read"),
        ([*RUN, "--data-kind", "rael"], "unknown data-kind: 'rael'; did you mean 'real'?"),
        ([*RUN, "--until-decided", "--seeds", "4"], "--until-decided runs the seeds of its looks: leave --seeds out"),
        ([*RUN, "--until-decided", "--cap", "0"], "--cap must lie in 3 to 800 seeds, not 0"),
        ([*RUN, "--until-decided", "--budget", "2"], "--budget takes a time such as 90s, 30m or 2h, not '2'"),
        ([*RUN, "--until-decided", "--budget", "0s"], "--budget takes a time such as 90s, 30m or 2h, not '0s'"),
        ([*RUN, "--until-decided", "--claim", "C1-shift"], "leave --claim and --trial out"),
        ([*RUN, "--claim", "C1-shif"], "unknown claim of misbehaving: 'C1-shif'; did you mean 'C1-shift'?"),
        ([*RUN, "--trial", "zz"], "--trial zz: no trial of this plan starts so"),
        ([*RUN, "--cap", "8"], "--cap belongs to --until-decided"),
        ([*RUN, "--budget", "2h"], "--budget belongs to --until-decided"),
        (["run", "drawing", "--scale", "laptop", "--until-decided"], "drawing has no claim of the paper at scale laptop"),
        (["show", "misbehaving", "--claim", "C1-shif"], "unknown claim of misbehaving: 'C1-shif'; did you mean 'C1-shift'?"),
        (["show", "zzz"], "unknown task: 'zzz' (`papertrial list` lists all "),
        (["show", "misbehavinn"], "unknown task: 'misbehavinn'; did you mean 'misbehaving'? (`papertrial list` lists all "),
        (["run", "broken", "--scale", "smoke"], "cannot be loaded: ValueError: this task cannot be imported"),
        (["list", "--field", "dmo"], "unknown field: 'dmo'; did you mean 'demo'?"),
        (["status", "nothing"], "unknown study in"),
        (["report", "nothing"], "unknown study in"),
        (["data", "prepare", "leters"], "unknown data set: 'leters'; did you mean 'letters'?"),
        (["fit", "powerlaw", "runs.csv"], "unknown law: 'powerlaw'; did you mean 'power-law'?"),
        (["fit", "power-law", "runs.csv"], "there is no file runs.csv"),
        (["fit", "power-law", "nothing"], "unknown study in"),
        (["new", "My Paper"], "new takes FIELD/PAPER"),
        (["new", "demo/misbehaving"], "there is a task 'misbehaving' already"),
        (["runn", "misbehaving"], "unknown command: 'runn'; did you mean 'run'?"),
        (["run", "misbehaving"], "the following arguments are required: --scale"),
        ([], "the following arguments are required: COMMAND"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_sentence_and_exit_2(papertrial: Command, words: list[str], says: str) -> None:
    said = papertrial(*words)
    assert said.code == 2
    assert says in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert "Traceback" not in said.err
    assert not Path("results").exists(), "a mistake leaves nothing behind"


def test_hardware_that_is_not_there_is_exit_2_before_any_trial(papertrial: Command, ray_here: None) -> None:
    for words in (["--scale", "gpu", "--local"], ["--scale", "gpu"], ["--scale", "paper"], ["--scale", "paper", "--local"]):
        said = papertrial("run", "misbehaving", *words, "--tracking-uri", "none")
        assert said.code == 2
        assert "a trial asks for" in said.err


def test_a_store_that_cannot_be_written_is_exit_2(papertrial: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = papertrial(*RUN, "--store", str(tmp_path / "file"))
    assert said.code == 2
    assert "cannot be written" in said.err


def test_a_replicate_is_a_study_of_its_own(papertrial: Command, tmp_path: Path) -> None:
    assert papertrial(*RUN, "--seeds", "2", "--first-seed", "5").code == 0
    frame = read_trials((tmp_path / "results/misbehaving-smoke-from-seed-5/trials/misbehaving.parquet").read_bytes())
    assert set(frame["seed"]) == {5, 6}


def resigned(content: dict[str, Any]) -> dict[str, Any]:
    """A plan under the checksum of what it says now: written so, not damaged."""
    return signed({name: value for name, value in content.items() if name != "checksum"})


def test_a_run_writes_what_the_design_promises(papertrial: Command, tmp_path: Path) -> None:
    said = papertrial(*RUN)
    assert said.code == 0, said.err
    study = tmp_path / "results" / "misbehaving-smoke"
    names = {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()}
    assert names >= {
        "plan.json",
        "env.json",
        "ledger.jsonl",
        "trials/misbehaving.parquet",
        "curves/curves.parquet",
        "leaderboard.md",
        "leaderboard.csv",
        "verdicts.md",
        "verdicts.csv",
        "report.html",
    }
    (verdict,) = csv.DictReader((study / "verdicts.csv").open())
    assert (verdict["claim"], verdict["verdict"], verdict["scale"], verdict["data_kind"]) == (
        "C1-shift",
        "reproduced",
        "smoke",
        "synthetic",
    )
    assert float(verdict["estimate"]) == pytest.approx(-1.0, abs=0.02)
    assert float(verdict["published"]) == -1.0
    assert int(verdict["n"]) == 3
    frame = read_trials((study / "trials" / "misbehaving.parquet").read_bytes())
    assert len(frame) == 18
    assert set(frame["seed"]) == {0, 1, 2}
    assert "reproduced" in said.out
    assert str(study / "report.html") in said.out


def test_the_verdict_turns_when_the_effect_does(papertrial: Command, tmp_path: Path) -> None:
    assert papertrial(*RUN, "--method", "plain").code == 0
    (study,) = (tmp_path / "results").iterdir()
    (verdict,) = csv.DictReader((study / "verdicts.csv").open())
    assert verdict["verdict"] == "not tested", "one of the two methods was not run"


@pytest.mark.parametrize(("behaviour", "status"), [("raise", "failed"), ("word", "failed"), ("nan", "diverged"), ("undeclared", "failed")])
def test_a_trial_that_goes_wrong_is_exit_1_and_a_row(papertrial: Command, tmp_path: Path, behaviour: str, status: str) -> None:
    said = papertrial(*RUN, "--set", f"behaviour=good,{behaviour}", "--study", "s")
    assert said.code == 1
    assert f"18 {status}" in said.out
    frame = read_trials((tmp_path / "results" / "s" / "trials" / "misbehaving.parquet").read_bytes())
    assert frame["status"].value_counts().to_dict() == {"ok": 18, status: 18}
    assert papertrial(*RUN, "--set", f"behaviour=good,{behaviour}", "--study", "s").code == 1, (
        "a second run must not forget the first's failures"
    )


def test_a_claim_that_lost_every_seed_is_not_tested_wherever_it_is_shown(papertrial: Command, tmp_path: Path) -> None:
    ran = papertrial(*RUN, "--set", "behaviour=nan", "--study", "s")
    (verdict,) = csv.DictReader((tmp_path / "results" / "s" / "verdicts.csv").open())
    assert verdict["verdict"] == "not tested"
    apart = "with behaviour=nan (--set), which scale smoke does not have"
    why = f"Every seed with records was lost, 3 of them (trials that did not end ok: 18 diverged). Its trials are {apart}."
    assert verdict["reason"] == why
    (told,) = json.loads(papertrial("verdicts", "s", "--json").out)
    assert (told["verdict"], told["reason"], told["lost"], told["n"]) == ("not tested", why, 3, 0)
    assert f"{verdict['claim']} of misbehaving is not tested: {why}" in papertrial("status", "s").out
    (untested,) = json.loads(papertrial("status", "s", "--json").out)["lost_every_seed"]
    assert (untested["claim"], untested["reason"]) == (verdict["claim"], why)
    counted = f"0 of 1 tested; every seed was lost of {verdict['claim']}"
    assert json.loads(papertrial("ls", "--json").out)[0]["verdicts"] == f"0 of 1 tested ({verdict['claim']}: {apart})"
    listed = {row["task"]: row for row in json.loads(papertrial("list", "--json", "--field", "demo").out)}
    assert listed["misbehaving"]["verdicts"]["smoke"] == {"reproduced": 0, "not reproduced": 0, "inconclusive": 0, "not tested": 1}
    assert f"0 of 1 tested ({verdict['claim']}: {apart})" in " ".join(papertrial("list", "--field", "demo").out.split())
    for said in (ran, papertrial("report", "s")):
        assert counted in " ".join(said.out.split())
        assert why in " ".join(said.out.split())
    page = (tmp_path / "results" / "s" / "report.html").read_text()
    assert counted in page
    assert why in page
    papertrial("site", "results", "--out", "out")
    assert f"What the study found (not tested) is {apart}." in (tmp_path / "out" / "papers" / "misbehaving.html").read_text()
    assert '"not tested","–"' in (tmp_path / "out" / "claims.html").read_text()


def test_a_torn_ledger_costs_one_trial(papertrial: Command, tmp_path: Path) -> None:
    papertrial(*RUN)
    path = tmp_path / "results" / "misbehaving-smoke" / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + b"\n" + lines[-1][:40])
    assert "ledger.jsonl line 19 cannot be read" in papertrial("status", "misbehaving-smoke").out
    said = papertrial(*RUN)
    assert said.code == 0
    assert "17 recorded before" in said.out
    assert "cannot be read" in said.out


def test_a_finished_study_is_read_once_and_only_what_is_untrue_is_written(
    papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    papertrial(*RUN)
    study = tmp_path / "results" / "misbehaving-smoke"
    tables, plan, table = study / "verdicts.csv", study / "plan.json", study / "trials" / "misbehaving.parquet"
    truth, place, rows = tables.read_bytes(), plan.stat().st_ino, read_trials(table.read_bytes())
    table.write_bytes(b"edited")
    tables.write_text("edited")
    asked: list[str] = []
    real = StudyStore.read_bytes

    def read_bytes(store: StudyStore, name: str) -> bytes:
        asked.append(name)
        return real(store, name)

    monkeypatch.setattr(StudyStore, "read_bytes", read_bytes)
    monkeypatch.setattr("harness.cluster.ray_session", lambda _: pytest.fail("Ray starts"))
    said = papertrial(*(word for word in RUN if word != "--local"))
    assert said.code == 0
    assert "18 recorded before" in said.out
    assert [asked.count(name) for name in ("ledger.jsonl", "plan.json", "plan.copy.json")] == [1, 1, 1]
    assert plan.stat().st_ino == place
    assert tables.read_bytes() == truth
    assert read_trials(table.read_bytes()).equals(rows)


def test_a_damaged_plan_is_said_and_the_records_are_kept(papertrial: Command, tmp_path: Path) -> None:
    papertrial(*RUN)
    plan = tmp_path / "results" / "misbehaving-smoke" / "plan.json"
    copy = plan.with_name("plan.copy.json")
    whole = plan.read_bytes()
    for damage in (whole[:200], whole.replace(b'"low"', b'"row"'), b"[]", b'{"schema_version": 4, "trials": []}', b"[" * 100_000):
        plan.write_bytes(damage)
        for command in ("status", "report"):
            said = papertrial(command, "misbehaving-smoke")
            assert said.code == 0
            assert "plan.copy.json is read in its place" in " ".join(said.out.split())
    copy.write_bytes(whole[:100])
    said = papertrial("report", "misbehaving-smoke")
    assert said.code == 2
    assert "run the study's command again, the records are kept" in said.err
    said = papertrial("status", "misbehaving-smoke")
    assert said.code == 0
    assert "18 trials recorded, without a plan that can be read" in said.out
    planned = papertrial("plan", "misbehaving", "--scale", "smoke")
    assert planned.code == 0
    for shown in (said, planned):
        assert "run the study's command again, the records are kept" in shown.out
    said = papertrial(*RUN)
    assert said.code == 0
    assert "the plan is now what this command asks for" in said.out
    assert "18 recorded before" in said.out
    assert plan.read_bytes() == copy.read_bytes() == whole
    plan.unlink()
    assert "it is gone" in papertrial("report", "misbehaving-smoke").out
    copy.unlink()
    assert "without a plan" in papertrial("status", "misbehaving-smoke").out
    assert papertrial("report", "misbehaving-smoke").code == 2
    assert "18 recorded before" in papertrial(*RUN).out


def test_plan_and_status_tell_what_is_done(papertrial: Command) -> None:
    assert "18 trials over 3 seeds, 18 left" in papertrial("plan", "misbehaving", "--scale", "smoke").out
    papertrial(*RUN)
    assert "24 trials over 4 seeds, 6 left" in papertrial("plan", "misbehaving", "--scale", "smoke", "--seeds", "4").out
    said = papertrial("status", "misbehaving-smoke")
    assert said.code == 0
    assert "18 of 18 trials recorded, 0 left" in said.out


def test_two_drivers_cannot_run_one_study(papertrial: Command, tmp_path: Path) -> None:
    from harness import lock
    from harness.store import StudyStore

    assert papertrial(*RUN, "--seeds", "1").code == 0
    with lock.held(StudyStore(str(tmp_path / "results"), "misbehaving-smoke")):
        said = papertrial(*RUN)
        assert said.code == 2
        assert "is being run by process" in said.err
        assert "misbehaving-smoke: running" in papertrial("status", "misbehaving-smoke").out
    assert "misbehaving-smoke: not running" in papertrial("status", "misbehaving-smoke").out
    assert papertrial(*RUN).code == 0


def test_a_broken_task_keeps_its_row_in_the_list(papertrial: Command) -> None:
    said = papertrial("list", "--field", "demo")
    assert said.code == 0
    assert "broken" in said.out
    assert "misbehaving" in said.out


def test_a_plan_of_another_version_leaves_the_study(papertrial: Command, tmp_path: Path) -> None:
    papertrial(*RUN)
    plan = tmp_path / "results" / "misbehaving-smoke" / "plan.json"
    store = open_study(str(plan.parent))
    plan.write_text(to_text([replace(trial, version=0) for trial in load_plan(store)]))
    said = papertrial(*RUN, "--seeds", "1")
    assert "18 trials of misbehaving leave the plan: they are of another version or other data of the task" in said.out
    assert {trial.version for trial in load_plan(store)} == {1}


@pytest.mark.parametrize(("version", "says"), [(2, "from before tasks had experiments"), (99, "written by a newer one")])
def test_a_plan_of_another_schema_is_one_sentence(papertrial: Command, tmp_path: Path, version: int, says: str) -> None:
    assert papertrial(*RUN).code == 0
    plan = tmp_path / "results" / "misbehaving-smoke" / "plan.json"
    plan.write_text(json.dumps(resigned(json.loads(plan.read_text()) | {"schema_version": version})))
    for words in (["report", "misbehaving-smoke"], ["status", "misbehaving-smoke"], RUN):
        said = papertrial(*words)
        assert said.code == 2
        assert says in said.err
        assert said.err.count("\n") == 1


def test_a_plan_that_mixes_ids_is_one_sentence_and_the_records_are_kept(papertrial: Command, tmp_path: Path) -> None:
    assert papertrial(*RUN).code == 0
    study = tmp_path / "results" / "misbehaving-smoke"
    content = json.loads((study / "plan.json").read_text())
    content["trials"][3]["id"] = "0123456789abcdef"
    (study / "plan.json").write_text(json.dumps(resigned(content)))
    (study / "plan.copy.json").unlink()
    said = papertrial("report", "misbehaving-smoke")
    assert said.code == 2
    assert "trial 0123456789abcdef does not say what its id says" in said.err
    (study / "plan.json").unlink()
    again = papertrial(*RUN)
    assert again.code == 0
    assert "18 recorded before" in again.out


def test_one_experiment_of_a_task(papertrial: Command) -> None:
    said = papertrial("plan", "misbehaving", "--scale", "smoke", "--experiment", "behave")
    assert said.code == 0
    assert "behave" in said.out
