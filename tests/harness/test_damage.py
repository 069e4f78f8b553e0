"""What is damaged, edited, full or out of reach, through the real command line: named, never believed, never a traceback."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from harness import ledger, registry
from harness.artifacts import name
from harness.cli import main
from harness.errors import ResourceError
from harness.ledger import Ledger
from harness.plan import Overrides, TrialSpec, expand
from harness.plans import load_plan, save_plan
from harness.store import StudyStore
from tests.harness.conftest import Command
from tests.harness.damage import mutated_bytes, mutated_json, small_files

CHAIN = ("run", "chain", "--scale", "smoke", "--local", "--tracking-uri", "none")
SMOKE = ("run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none")


def text(said: str) -> str:
    """What was printed, without the breaks of its lines."""
    return " ".join(said.split())


# Damaged artifacts


@pytest.mark.parametrize("damage", ["flip", "zeros", "gone"])
def test_a_damaged_artifact_counts_as_gone_and_its_trial_runs_again(
    papertrial: Command, tmp_path: Path, executions: Callable[[], list[str]], damage: str
) -> None:
    assert papertrial(*CHAIN, "--seeds", "1", "--method", "middle", "--study", "s").code == 0
    store = StudyStore(str(tmp_path / "results"), "s")
    (base,) = [trial for trial in load_plan(store) if trial.method == "base"]
    before, found = executions(), store.read_bytes(name(base.id))
    for middle in load_plan(store):
        store.remove(name(middle.id)) if middle.method == "middle" else None
    half = len(found) // 2
    if damage == "gone":
        store.remove(name(base.id))
    else:
        piece = bytes([found[half] ^ 1]) if damage == "flip" else bytes(256)
        store.write_bytes(name(base.id), found[:half] + piece + found[half + len(piece) :])
    said = papertrial(*CHAIN, "--seeds", "1", "--method", "middle", "--method", "top", "--study", "s")
    assert said.code == 0, said.err
    assert f"what trial {base.id} (base, seed 0) kept is gone or damaged, and others need it: it runs again" in text(said.out)
    assert executions()[len(before)] == base.id
    assert store.read_bytes(name(base.id)) == found, "the same trial keeps the same"


def test_artifacts_that_were_swapped_count_as_gone_and_their_trials_run_again(papertrial: Command, tmp_path: Path) -> None:
    assert papertrial(*CHAIN, "--seeds", "2", "--method", "middle", "--study", "s").code == 0
    store = StudyStore(str(tmp_path / "results"), "s")
    names = [name(trial.id) for trial in load_plan(store) if trial.method == "middle" and trial.params["height"] == 1]
    before = [store.read_bytes(one) for one in names]
    for one, content in zip(names, reversed(before), strict=True):
        store.write_bytes(one, content)
    said = papertrial(*CHAIN, "--seeds", "2", "--method", "top", "--study", "s")
    assert said.code == 0, said.err
    assert text(said.out).count("kept is gone or damaged, and others need it: it runs again") == 2
    assert [store.read_bytes(one) for one in names] == before


def test_a_base_that_fails_when_it_runs_again_takes_no_ok_record_away(papertrial: Command, tmp_path: Path) -> None:
    assert papertrial(*CHAIN, "--seeds", "1", "--method", "middle", "--study", "s").code == 0
    store = StudyStore(str(tmp_path / "results"), "s")
    # Where the files were there are folders now: nothing can be kept any more.
    for file in (tmp_path / "results" / "s" / "artifacts").iterdir():
        file.unlink()
        file.mkdir()
    assert {record.status for record in ledger.read(store).records.values()} == {"ok"}
    said = papertrial(*CHAIN, "--seeds", "1", "--study", "s")
    assert said.code == 1
    assert "ended failed this time: its ok record stays" in text(said.out)
    assert "3 failed of 7 trials" in said.out
    records = ledger.read(store).records.values()
    assert sorted((record.method, record.status) for record in records if record.method != "top") == [
        ("base", "ok"),
        *[("middle", "ok")] * 3,
    ]
    assert {record.status for record in records if record.method == "top"} == {"failed"}


# Edited tasks


def trials(seeds: int, **values: str) -> list[TrialSpec]:
    return expand(registry.task("misbehaving"), "smoke", Overrides(seeds=seeds, values={k: [v] for k, v in values.items()}), {})


def aged(trial: TrialSpec, **params: object) -> TrialSpec:
    """The trial as it was planned while the defaults were others."""
    return replace(trial, params={**trial.params, **params})


def test_trials_of_another_default_leave_the_plan_with_a_sentence(tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "s")
    old = [aged(trial, rate=0.25) for trial in trials(2, pause="0.001")]
    save_plan(store, old)
    said: list[str] = []
    new = trials(3, pause="0.001")
    assert save_plan(store, new, chosen={"pause"}, say=said.append).trials == new
    assert said == [
        "12 trials of misbehaving leave the plan: their rate is 0.25, today's is 0.5 (was a default edited without a new version?); "
        "their records stay in the ledger"
    ]
    assert load_plan(store) == new


def test_what_the_user_varies_and_what_the_task_varies_stays(tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "s")
    said: list[str] = []
    first, second = trials(2, pause="0.001"), trials(2, pause="0.002")
    save_plan(store, first)
    assert save_plan(store, second, chosen={"pause"}, say=said.append).trials == [*first, *second]
    narrow = [trial for trial in second if trial.method == "plain" and trial.params["size"] == 1]
    assert save_plan(store, narrow, chosen={"pause"}, say=said.append).trials == [*first, *second], "the task still plans the other sizes"
    assert said == []


def test_a_parameter_that_came_or_went_parts_old_trials_from_new_ones(tmp_path: Path) -> None:
    new = trials(1, pause="0.001")
    for number, old in enumerate(
        ([aged(trial, extra=1) for trial in new], [replace(t, params={k: v for k, v in t.params.items() if k != "careful"}) for t in new])
    ):
        store = StudyStore(str(tmp_path), f"s{number}")
        save_plan(store, old)
        assert save_plan(store, new, chosen={"pause"}).trials == new


def test_a_cell_that_a_whole_scale_has_no_more_leaves_with_a_sentence(tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path), "s")
    save_plan(store, [aged(trial, rate=0.25) for trial in trials(1)])
    said: list[str] = []
    save_plan(store, trials(1), whole=True, say=said.append)
    assert "6 trials of misbehaving leave the plan: the scale has no such cells any more" in said[0]


def test_a_run_after_an_edited_default_averages_new_trials_only(papertrial: Command, tmp_path: Path) -> None:
    store = StudyStore(str(tmp_path / "results"), "s")
    words = (*SMOKE, "--seeds", "1", "--set", "pause=0.001", "--study", "s")
    assert papertrial(*words).code == 0
    save_plan(store, [aged(trial, rate=0.25) for trial in load_plan(store)], whole=True)
    said = papertrial(*words)
    assert said.code == 0
    assert "6 trials of misbehaving leave the plan: their rate is 0.25, today's is 0.5" in text(said.out)
    assert {trial.params["rate"] for trial in load_plan(store)} == {0.5}
    for rate in ("0.1", "0.9", "0.5"):
        assert papertrial(*words, "--set", f"rate={rate}").code == 0
    assert {trial.params["rate"] for trial in load_plan(store)} == {0.1, 0.5, 0.9}, "what the user varies is varied"


# Full disks


@pytest.mark.parametrize(
    ("size", "what"), [(0, "plan.json|.probe|.lock"), (1000, "plan.json"), (8000, "ledger.jsonl"), (16_000, "report.html|plots|trials")]
)
def test_a_full_disk_is_one_sentence_wherever_it_strikes(papertrial: Command, size: int, what: str) -> None:
    # Ends with what it can hold: a plan of 9 kB, a ledger of 17 kB, a report of 30 kB.
    with small_files(size):
        said = papertrial(*SMOKE, "--seeds", "2", "--study", "s")
    assert said.code == 2
    (sentence,) = said.err.splitlines()
    assert any(name in sentence for name in what.split("|")), sentence
    assert "File too large" in sentence
    again = papertrial(*SMOKE, "--seeds", "2", "--study", "s")
    assert again.code == 0, again.err
    assert papertrial("status", "s").out.splitlines()[-1] == "12 of 12 trials recorded, 0 left"


@pytest.mark.parametrize("size", [500, 10_000])
def test_a_report_on_a_full_disk_is_one_sentence(papertrial: Command, size: int) -> None:
    assert papertrial(*SMOKE, "--seeds", "1", "--study", "s").code == 0
    with small_files(size):
        said = papertrial("report", "s")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "cannot be written: File too large" in said.err


def test_a_file_of_the_users_that_cannot_be_written_is_one_sentence(papertrial: Command) -> None:
    assert papertrial(*SMOKE, "--seeds", "1", "--study", "s").code == 0
    Path("nowhere").touch()
    said = papertrial("compare", "s", "s", "--csv", "nowhere/differences.csv")
    assert said.code == 2
    assert said.err.startswith("papertrial: nowhere/differences.csv cannot be written: ")
    assert said.err.count("\n") == 1


# Stores and sockets out of reach


@pytest.mark.parametrize(
    "words", [("plan", "misbehaving", "--scale", "smoke"), ("status", "s"), ("report", "s"), SMOKE], ids=lambda w: w[0]
)
def test_a_store_that_does_not_answer_is_one_sentence_in_seconds(
    papertrial: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PAPERTRIAL_STORE_PATIENCE", "0.5")
    said = papertrial(*words, "--store", "s3://anonymous@bucket?scheme=http&endpoint_override=127.0.0.1:9&region=x")
    assert said.code == 2
    assert "no answer from http://127.0.0.1:9 (ConnectionRefused)" in said.err
    assert any(f"{name}?scheme=http" in said.err for name in ("plan.json", "ledger.jsonl", ".probe"))
    assert said.err.count("\n") == 1


def test_the_options_of_a_stores_address_stay_at_its_end() -> None:
    store = StudyStore("s3://bucket/x?scheme=http&endpoint_override=127.0.0.1:9&region=us-east-1", "s")
    assert store.uri == "s3://bucket/x/s?scheme=http&endpoint_override=127.0.0.1:9&region=us-east-1"


def test_a_temporary_folder_too_long_for_rays_sockets_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import cluster

    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp/" + "a" * 60)
    with pytest.raises(ResourceError, match="TMPDIR is too long for Ray"):
        cluster._check_temporary_folder()
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    cluster._check_temporary_folder()


# Edited records


def board(folder: Path) -> list[dict[str, str]]:
    """The leaderboard but for what it cost: two runs never take the same time."""
    rows = csv.DictReader((folder / "leaderboard.csv").open())
    return [{name: value for name, value in row.items() if name not in ("trial_seconds", "peak_memory_mib")} for row in rows]


def test_an_edited_record_is_named_wherever_the_study_is_shown(papertrial: Command, tmp_path: Path) -> None:
    for study in ("a", "b"):
        assert papertrial(*SMOKE, "--seeds", "2", "--study", study).code == 0
    folder = tmp_path / "results" / "a"
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    edited = json.loads(lines[2])
    edited["metrics"]["value"] += 1.0
    (folder / "ledger.jsonl").write_text("\n".join([*lines[:2], json.dumps(edited), *lines[3:]]) + "\n")
    sentence = "ledger.jsonl line 3 cannot be read (its checksum is not its own: it was damaged or edited)"
    table = folder / "trials" / "misbehaving.parquet"
    table.write_bytes(table.read_bytes().replace(b"shifted", b"shafted", 1))
    for words in (("status", "a"), ("report", "a"), ("compare", "b", "a"), ("publish", "a", "--tracking-uri", "none")):
        out = text(papertrial(*words).out)
        assert sentence in out, words
        assert words[0] == "status" or "trials/misbehaving.parquet cannot be read (its checksum is not its own" in out
    assert sentence in (folder / "report.html").read_text()
    assert "11 of 12 trials recorded, 1 left" in papertrial("status", "a").out
    said = papertrial(*SMOKE, "--seeds", "2", "--study", "a")
    assert sentence in text(said.out)
    assert "11 recorded before" in said.out
    assert board(folder) == board(tmp_path / "results" / "b")


# Everything at once


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a whole study `whole` in today's form, and one of schema 3, `old`, with its ledger."""
    root = tmp_path_factory.mktemp("studies")
    assert main([*SMOKE, "--seeds", "2", "--study", "whole", "--store", str(root)]) == 0
    shutil.copytree(Path(__file__).parent / "frozen" / "study-v3", root / "old")
    return root


FILES = ("ledger.jsonl", "plan.json", "env.json", "curves/curves.parquet", "trials/misbehaving.parquet")


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "leaderboard.csv").read_text())))


@pytest.mark.fuzz
@pytest.mark.parametrize("file", FILES)
@hypothesis.settings(max_examples=2 if os.environ.get("PAPERTRIAL_FUZZ", "ci") == "ci" else 40)
@hypothesis.given(data=st.data())
def test_no_damage_of_one_file_ends_in_a_traceback_or_changes_a_number_unseen(
    studies: Path, capsys: pytest.CaptureFixture[str], file: str, data: st.DataObject
) -> None:
    folder = studies / f"damaged-{random.Random(0).random()}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(studies / "whole", folder)
    truth = rows(folder)
    path, without_ledger = folder / file, file.startswith("trials/")
    if without_ledger:
        (folder / "ledger.jsonl").unlink()
    whole = path.read_bytes()
    as_json = file.endswith(".json") and data.draw(st.booleans(), label="as JSON")
    path.write_bytes(json.dumps(data.draw(mutated_json(json.loads(whole)))).encode() if as_json else data.draw(mutated_bytes(whole)))
    changed = json.loads(path.read_bytes()) != json.loads(whole) if as_json else path.read_bytes() != whole
    capsys.readouterr()
    for words in (["status", folder.name], ["report", folder.name], ["compare", "whole", folder.name]):
        code = main([*words, "--store", str(studies)])
        out = text(capsys.readouterr().out)
        assert code == 0
        if words[0] == "report" and rows(folder) != truth:
            assert file in out
            assert "cannot be read" in out
        assert not changed or words[0] == "status" or "cannot be read" in out or rows(folder) == truth
    if not without_ledger:
        code = main([*SMOKE, "--seeds", "2", "--study", folder.name, "--store", str(studies)])
        capsys.readouterr()
        assert code == 0
        assert [row["estimate"] for row in rows(folder)] == [row["estimate"] for row in truth], "what was lost ran again"


@pytest.mark.fuzz
@pytest.mark.parametrize("file", FILES[:3])
@hypothesis.settings(max_examples=2 if os.environ.get("PAPERTRIAL_FUZZ", "ci") == "ci" else 40)
@hypothesis.given(data=st.data())
def test_no_damage_of_an_old_study_ends_in_a_traceback(
    studies: Path, capsys: pytest.CaptureFixture[str], file: str, data: st.DataObject
) -> None:
    folder = studies / "old-damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(studies / "old", folder)
    path = folder / file
    whole = path.read_bytes()
    if file.endswith(".json") and data.draw(st.booleans(), label="as JSON"):
        path.write_text(json.dumps(data.draw(mutated_json(json.loads(whole)))))
    else:
        path.write_bytes(data.draw(mutated_bytes(whole)))
    capsys.readouterr()
    for words in (["status", "old-damaged"], ["report", "old-damaged"], ["compare", "old", "old-damaged"]):
        code = main([*words, "--store", str(studies)])
        said = capsys.readouterr()
        assert code == 0 or (code == 2 and said.err.count("\n") == 1 and file == "plan.json"), said.err


def test_a_ledger_goes_on_after_whatever_it_had(studies: Path) -> None:
    store = StudyStore(str(studies), "old")
    records = ledger.read(store).records
    book = Ledger(store)
    book.append([replace(record, status="failed", metrics={}) for record in records.values()])
    book.close()
    assert ledger.read(store).records == records
