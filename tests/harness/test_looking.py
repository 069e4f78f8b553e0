"""Looking at what is there: `ls`, `--json`, names cut short, committed studies, and readers that change nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.stats import Interval
from tests.harness.conftest import Command


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def committed(smoke: Command) -> Path:
    """A study as it is committed: moved into `reference`, without what a report draws again or a run keeps."""
    assert smoke("--local").code == 0
    study = Path("results/reference/misbehaving-smoke")
    study.parent.mkdir(parents=True)
    shutil.move("results/misbehaving-smoke", study)
    for name in ("report.html", "ledger.jsonl", ".lock"):
        (study / name).unlink()
    shutil.rmtree(study / "plots", ignore_errors=True)
    return study


def test_a_committed_study_is_found_by_its_name_and_no_reader_changes_it(papertrial: Command, committed: Path) -> None:
    before = _files(committed)
    for words in (["report"], ["publish", "--tracking-uri", "none"], ["status"]):
        said = papertrial(*words[:1], "misbehaving-smoke", *words[1:])
        assert said.code == 0, said.err
    after = _files(committed)
    assert {name: text for name, text in after.items() if name in before} == before
    assert {name.partition("/")[0] for name in after.keys() - before.keys()} <= {"report.html", "plots"}


def test_tables_that_say_otherwise_are_named_and_written_again_when_told(papertrial: Command, committed: Path) -> None:
    table = committed / "verdicts.csv"
    whole = table.read_text()
    table.write_text(
        whole.replace("not reproduced", "inconclusive", 1) if "not reproduced" in whole else whole.replace("reproduced", "inconclusive", 1)
    )
    edited = table.read_text()
    assert edited != whole
    assert "verdicts.csv says otherwise of 1 claims" in papertrial("report", "misbehaving-smoke").out
    assert table.read_text() == edited
    said = papertrial("report", "misbehaving-smoke", "--tables")
    assert "says otherwise" not in said.out
    assert table.read_text() == whole


def test_ls_tells_studies_that_run_from_those_that_are_committed(papertrial: Command, smoke: Command, committed: Path) -> None:
    assert smoke("--local", "--seeds", "2", "--study", "mine").code == 0
    Path("results/lost").mkdir()
    Path("results/lost/ledger.jsonl").write_bytes(Path("results/mine/ledger.jsonl").read_bytes())
    found = {study["study"]: study for study in json.loads(papertrial("ls", "--json").out)}
    assert found.keys() == {"misbehaving-smoke", "mine", "lost"}
    assert found["misbehaving-smoke"]["recorded"] is None
    assert found["mine"]["recorded"] == found["mine"]["trials"] == found["lost"]["recorded"] > 0
    assert found["lost"]["trials"] == 0
    assert (found["mine"]["seeds"], found["mine"]["scales"], found["mine"]["tasks"]) == (2, ["smoke"], ["misbehaving"])
    said = papertrial("ls").out
    assert "committed" in said
    assert "no plan" in said
    assert "ls looks into folders" in papertrial("ls", "--store", "s3://bucket/x").err


def test_what_is_printed_as_json_is_what_the_tables_say(papertrial: Command, committed: Path) -> None:
    listed = {row["task"]: row for row in json.loads(papertrial("list", "--json").out)}
    assert "cannot be loaded" in listed["broken"]["error"]
    counts = listed["misbehaving"]["verdicts"]["smoke"]
    assert sum(counts.values()) == listed["misbehaving"]["claims"]
    shown = json.loads(papertrial("show", "misbehaving", "--json").out)
    planned = json.loads(papertrial("plan", "misbehaving", "--scale", "smoke", "--study", "new", "--json").out)
    assert shown["scales"]["smoke"]["trials"] == planned["trials"] == planned["left"] == sum(row["left"] for row in planned["rows"])
    assert {claim["id"] for claim in shown["claims"]} >= {"C1-shift"}
    claim = json.loads(papertrial("show", "misbehaving", "--claim", "C1-shift", "--json").out)
    assert {name: value for name, value in claim.items() if name not in ("verdicts", "beside", "again")} in shown["claims"]
    assert {p["name"] for experiment in shown["experiments"] for p in experiment["parameters"]} >= {"size", "behaviour"}


def test_a_claim_is_shown_with_its_verdict_and_the_command_that_runs_it_again(papertrial: Command, smoke: Command) -> None:
    show = ["show", "misbehaving", "--claim", "C1-shift"]
    unjudged = papertrial(*show)
    assert unjudged.code == 0
    assert "no study in results has a verdict on it" in unjudged.out
    assert "run it: papertrial run misbehaving --scale laptop --claim C1-shift" in unjudged.out
    assert smoke("--local").code == 0
    (judged,) = json.loads(papertrial("verdicts", "misbehaving-smoke", "--claim", "C1-shift", "--json").out)
    shown = " ".join(papertrial(*show).out.split())
    estimate = str(Interval(judged["estimate"], judged["low"], judged["high"], judged["n"]))
    assert f"{judged['verdict']}: {estimate}" in shown
    assert f"holds {judged['holds_where']}; {judged['n']} seeds; scale smoke; synthetic data; study misbehaving-smoke" in shown
    assert f"again: {judged['again']}" in shown
    told = json.loads(papertrial(*show, "--json").out)
    (verdict,) = told["verdicts"]
    for name in ("verdict", "estimate", "low", "high", "n", "lost", "scale", "data_kind", "reason"):
        assert verdict[name] == judged[name], name
    assert verdict["study"] == "misbehaving-smoke"
    assert told["again"] == [judged["again"]]
    words = told["again"][0].split()[1:]
    assert papertrial(*words, "--local", "--tracking-uri", "none").code == 0, "the command runs"
    assert json.loads(papertrial(*show, "--store", "elsewhere", "--json").out)["verdicts"] == []


def test_a_claim_that_a_scale_does_not_test_is_run_at_one_that_does(papertrial: Command) -> None:
    show = ["show", "grokking-stablemax", "--claim", "C2-stablemax", "--store", str(Path(__file__).parents[2] / "results" / "reference")]
    shown = papertrial(*show).out
    assert "not tested (scale laptop; study grokking-stablemax-laptop). Scale laptop does not hold" in " ".join(shown.split())
    assert "again: papertrial run grokking-stablemax --scale gpu --claim C2-stablemax" in shown
    assert json.loads(papertrial(*show, "--json").out)["verdicts"][0]["estimate"] is None


def test_a_folder_of_studies_is_a_store(papertrial: Command, committed: Path) -> None:
    assert papertrial("ls", "results", "--json").out == papertrial("ls", "--store", "results", "--json").out
    inside = json.loads(papertrial("ls", str(committed.parent), "--json").out)
    assert [study["study"] for study in inside] == [committed.name]
    (alone,) = json.loads(papertrial("ls", str(committed), "--json").out)
    assert alone | {"folder": inside[0]["folder"]} == inside[0], "a study by its folder"
    said = papertrial("ls", "nowhere")
    assert (said.code, said.err) == (
        2,
        "papertrial: ls looks into folders, and nowhere is none; a study by its name: `papertrial status nowhere`\n",
    )


def test_the_home_of_nobody_is_no_store(papertrial: Command) -> None:
    for words in (["ls", "~nobody-here/x"], ["ls", "--store", "~nobody-here/x"], ["list", "--store", "~nobody-here/x"]):
        said = papertrial(*words)
        assert (said.code, said.err.startswith("papertrial: ~nobody-here/x is no folder")) == (2, True), said.err


def test_a_name_cut_short_is_enough_where_it_is_the_only_one(papertrial: Command) -> None:
    assert json.loads(papertrial("show", "misb", "--json").out)["task"] == "misbehaving"
    said = papertrial("show", "m", "--json")
    assert said.code == 2
    assert "misbehaving" in said.err


def test_the_version_is_said_without_a_command(papertrial: Command) -> None:
    assert papertrial("--version").out.startswith("papertrial ")


def test_a_part_of_a_study_does_not_speak_for_its_scale(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local").code == 0
    whole = json.loads(papertrial("list", "--json").out)
    assert smoke("--local", "--claim", "C1-shift", "--study", "z-last").code == 0
    listed = json.loads(papertrial("list", "--json").out)
    assert [row.get("verdicts") for row in listed] == [row.get("verdicts") for row in whole]


def test_a_status_as_json_counts_what_the_plan_asks_for(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local").code == 0
    ledger = Path("results/misbehaving-smoke/ledger.jsonl")
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:2]))
    found = json.loads(papertrial("status", "misbehaving-smoke", "--json").out)
    assert found["recorded"] == sum(row["ok"] + row["not_ok"] for row in found["rows"]) == 2
    assert found["left"] == found["trials"] - 2 == sum(row["left"] for row in found["rows"])
    assert (found["running"], found["seconds_left"]) == (False, None)


def test_a_scale_for_gpus_is_refused_before_anything_starts(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("harness.memory._gpus", list)
    monkeypatch.setattr("harness.engine.session", lambda *_: pytest.fail("Ray was started"))
    said = papertrial("run", "grokking-stablemax", "--scale", "gpu", "--tracking-uri", "none")
    assert said.code == 2
    assert "a trial asks for 1 CPU + 1 GPU" in said.err
    assert "+ 0 GPUs" in said.err


def test_the_doctor_says_what_can_run_here_and_what_the_rest_lacks(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.memory._gpus", list)
    _, said = papertrial("doctor").out.split("what can run here")
    lines = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert "lacks a GPU" in lines["grokking-stablemax"]
    assert lines["depth-width-criticality"].count("runs") >= 2
    assert "cannot be loaded" in lines["broken"]


def test_a_status_says_how_trials_ended_that_are_not_ok(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local", "--set", "behaviour=good,raise,memory", "--method", "plain", "--study", "s").code == 1
    (row,) = json.loads(papertrial("status", "s", "--json").out)["rows"]
    assert row["not_ok"] == 18
    assert row["statuses"] == {"ok": 9, "failed": 9, "oom": 9}
    assert "18 (9 failed, 9 oom)" in papertrial("status", "s").out


def test_a_terminal_says_why_claims_are_not_tested(papertrial: Command) -> None:
    store = str(Path(__file__).parents[2] / "results" / "reference")
    said = " ".join(papertrial("verdicts", "grokking-stablemax-laptop", "--store", store).out.split())
    assert (
        "not tested: C2-stablemax, C3-float64, C3-float32. Scale laptop does not hold the trials that this claim needs; scale gpu" in said
    )


def test_a_report_says_that_nothing_opens_it(papertrial: Command, smoke: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert smoke("--local").code == 0
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda uri: bool(opened.append(uri)))
    assert "--open found no browser here" in papertrial("report", "misbehaving-smoke", "--open").out
    assert opened == [Path("results/misbehaving-smoke/report.html").resolve().as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda _uri: True)
    assert "no browser" not in papertrial("report", "misbehaving-smoke", "--open").out
