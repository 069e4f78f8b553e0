"""The commands that are shown run what they say: each is followed word by word, in the folder where it was printed."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest

from harness import ledger
from harness.causes import SENTENCES, cause, endings, told
from harness.plan import TrialSpec
from harness.plans import load_plan
from harness.store import StudyStore, open_study, store_words
from tests.harness.conftest import Command, Said

RUN = ("run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none")
TRACE = "Traceback (most recent call last):\n  here"
OPTIONS = {
    "seeds": ("--seeds", "5"),
    "replicate": ("--first-seed", "40", "--seeds", "2"),
    "method": ("--set", "size=3", "--method", "shifted", "--method", "plain"),
    "store and name": ("--store", "my stores", "--study", "mine; echo", "--exp", "behave", "--set=size=7,9", "--set", "rate=0.25"),
}


def report_of(study: Path) -> str:
    """The page as a reader has it: an option and its value, which stay on one line, are no other text for it."""
    return html.unescape(re.sub("</?span>", "", (study / "report.html").read_text()))


def follow(papertrial: Command, command: str, *more: str) -> Said:
    """Run a command that was shown."""
    words = shlex.split(command)
    assert words[0] == "papertrial"
    return papertrial(*words[1:], *more)


def line(said: Said, start: str) -> str:
    (found,) = [line.strip().partition(start)[2] for line in said.out.splitlines() if line.strip().startswith(start)]
    return found


def executed(said: Said) -> tuple[int, int]:
    """(trials, those of them that were recorded before)."""
    found = re.search(r": (\d+) trials, (\d+) recorded before", said.out)
    assert found, said
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_what_is_shown_of_a_study_runs_its_trials_again(papertrial: Command, options: tuple[str, ...]) -> None:
    ran = papertrial(*RUN, *options)
    assert ran.code == 0, ran.err
    (folder,) = [path.parent for path in Path().rglob("plan.json")]
    claim = ("--claim", "C1-shift")
    (judged,) = json.loads(papertrial("verdicts", str(folder), *claim, "--json").out)
    shown = papertrial("verdicts", str(folder), *claim)
    assert line(shown, "again: ") == judged["again"]
    listed = json.loads(follow(papertrial, line(shown, f"{len(judged['trials'])} trials behind it: "), "--json").out)
    assert [row["trial"] for row in listed] == judged["trials"]
    of_task = papertrial("show", "misbehaving", *claim, "--store", str(folder.parent))
    of_scale = re.sub(r" --(?:set|method|experiment) \S+", "", judged["again"])
    expected = of_scale if "--set" in judged["again"] else judged["again"]
    assert line(of_task, "again: ") == expected, "what is on other values than the scale's does not speak for it"
    page = report_of(folder)
    assert judged["again"] in page
    again = follow(papertrial, judged["again"], "--local", "--tracking-uri", "none")
    assert (again.code, executed(again)) == (0, (len(judged["trials"]), 0)), again
    (study,) = [path.parent for path in Path().rglob("plan.json") if path.parent != folder]
    assert study.parent == folder.parent
    assert {trial.id for trial in open_plan(study)} == set(judged["trials"])
    (command,) = re.findall(r'<code class="again">(.*?)</code>', page)
    again = follow(papertrial, command, "--local", "--tracking-uri", "none", "--study", "another")
    assert (again.code, executed(again)) == (0, (len(open_plan(folder)), 0))
    assert {trial.id for trial in open_plan(folder.parent / "another")} == {trial.id for trial in open_plan(folder)}
    (one,) = re.findall(r"One again, in your terminal: <code>(.*?)</code>", page)
    assert executed(follow(papertrial, one.replace(" ID ", f" {open_plan(folder)[0].id} "), "--tracking-uri", "none")) == (1, 0)


def open_plan(folder: Path) -> list[TrialSpec]:

    return load_plan(StudyStore(str(folder.parent), folder.name))


@pytest.mark.parametrize(
    "options", [("--first-seed", "40", "--seeds", "2"), ("--study", "mine"), ("--seeds", "9", "--set", "size=3", "--store", "a b")]
)
def test_a_trial_that_failed_runs_again_as_often_as_the_command_is_followed(
    papertrial: Command, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert papertrial(*RUN, "--set", "behaviour=raise", *options).code == 1
    (folder,) = [path.parent for path in Path().rglob("plan.json")]
    shown = papertrial("trials", folder.name, "--store", str(folder.parent), "--failed")
    command = line(shown, "one again: ")
    log = tmp_path / "log"
    monkeypatch.setenv("THROWAWAY_LOG", str(log))
    for _ in range(2):
        assert follow(papertrial, command, "--tracking-uri", "none").code == 1
    (id,) = {*log.read_text().split()}
    assert log.read_text().split() == [id, id]
    assert id in {trial.id for trial in open_plan(folder)}


def test_a_study_of_several_commands_is_read_off_its_plan(papertrial: Command) -> None:
    for size in ("3", "9"):
        assert papertrial(*RUN, "--study", "s", "--set", f"size={size}", "--seeds", "2").code == 0
    (judged,) = json.loads(papertrial("verdicts", "s", "--json").out)
    assert shlex.split(judged["again"])[5:] == ["--set", "size=3,9", "--seeds", "2", "--claim", "C1-shift"]
    again = follow(papertrial, judged["again"], "--local", "--tracking-uri", "none")
    assert (again.code, executed(again)) == (0, (len(judged["trials"]), 0))


def test_a_claim_of_its_own_study_runs_again_in_another(papertrial: Command) -> None:
    assert papertrial(*RUN, "--claim", "C1-shift").code == 0
    (judged,) = json.loads(papertrial("verdicts", "misbehaving-smoke-C1-shift", "--json").out)
    again = follow(papertrial, judged["again"], "--local", "--tracking-uri", "none")
    assert executed(again) == (len(judged["trials"]), 0)
    assert Path("results/misbehaving-smoke-C1-shift-again").is_dir()


def test_a_claim_that_the_scale_does_not_test_is_run_at_one_that_does(papertrial: Command) -> None:
    store = Path(__file__).parents[2] / "results" / "reference"
    shown = papertrial("verdicts", "grokking-stablemax-laptop", "--claim", "C2-stablemax", "--store", str(store))
    words = ["papertrial", "run", "grokking-stablemax", "--scale", "gpu", "--claim", "C2-stablemax", "--store", str(store.parent)]
    assert shlex.split(line(shown, "again: ")) == words


def test_files_of_a_user_are_named_again(papertrial: Command, cache: Path, tmp_path: Path) -> None:
    stones = tmp_path / "my stones.txt"
    stones.write_text("fuþark")
    run = ("run", "reading", "--scale", "smoke", "--only", "data=runes", "--data", f"runes={stones}", "--local", "--tracking-uri", "none")
    assert papertrial(*run).code == 0
    (folder,) = Path("results").glob("reading*")
    (judged,) = [own for own in json.loads(papertrial("verdicts", folder.name, "--json").out) if own["claim"] == "C1-runes"]
    again = follow(papertrial, judged["again"], "--local", "--tracking-uri", "none")
    assert (again.code, executed(again)) == (0, (len(judged["trials"]), 0)), again.err
    shown = line(papertrial("trials", folder.name), "one again: ")
    assert executed(follow(papertrial, shown, "--tracking-uri", "none")) == (1, 0)


def test_a_study_that_ran_until_decided_does_so_again(papertrial: Command) -> None:
    run = ("run", "drawing", "--scale", "smoke", "--until-decided", "--cap", "5", "--local", "--tracking-uri", "none")
    assert papertrial(*run).code == 0
    (folder,) = Path("results").glob("drawing*")
    (command,) = re.findall(r'<code class="again">(.*?)</code>', report_of(folder))
    assert command == "papertrial run drawing --scale smoke --until-decided --cap 5"


def test_the_usual_store_needs_no_name_and_neither_does_what_is_committed_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_words("results") == store_words("results/reference") == store_words(f"{tmp_path}/results") == []
    assert store_words("elsewhere/reference") == store_words("elsewhere") == ["--store", f"{tmp_path}/elsewhere"]
    assert store_words("s3://bucket/x") == ["--store", "s3://bucket/x"]


def test_a_run_says_why_trials_failed_before_its_tables_and_that_only_a_retry_repeats_them(
    papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*RUN, "--set", "behaviour=undeclared", "--study", "s")
    said = papertrial(*run)
    assert said.code == 1
    why = next(line for line in said.out.splitlines() if "18 failed of 18 trials" in line or "failed of" in line)
    assert "run returned metric 'valeu', which experiment behave does not declare" in why
    assert "SaidError" not in said.out
    assert said.out.index(why) < said.out.index("The paper's claims")
    traced = follow(papertrial, why.rpartition("(with the traceback: ")[2].rstrip(")"))
    assert "Traceback (most recent call last)" in traced.out
    of_claim = papertrial("verdicts", "s", "--claim", "C1-shift")
    assert "run returned metric 'valeu'" in of_claim.out
    assert line(of_claim, "by seed ") == ", ".join(f"{seed}: lost ({failed} failed)" for seed, failed in enumerate([6, 6, 6]))
    log = tmp_path / "log"
    monkeypatch.setenv("THROWAWAY_LOG", str(log))
    again = papertrial(*run)
    assert not log.exists()
    (told_,) = [line for line in again.out.splitlines() if line.startswith("nothing is left to run: ")]
    retry = told_.partition("only --retry runs these again: ")[2]
    assert shlex.split(retry)[1:] == [*run, "--retry"]
    follow(papertrial, retry)
    assert len(log.read_text().split()) == len(ledger.read(open_study("s")).records)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (f"SaidError: run returned no loss\n{TRACE}\nharness.gate.SaidError: run returned no loss", "run returned no loss"),
        (f"ValueError: a\nb\n{TRACE}\nValueError: a\nb", "ValueError: a b"),
        (f"ran longer than its limit of 2 s\nTrialTimeout: \n{TRACE}", "ran longer than its limit of 2 s"),
        ("the worker process died\nit was killed", "the worker process died: it was killed"),
        (f"ExceptionGroup: two (2 in it)\n  + Exception Group {TRACE}", "ExceptionGroup: two (2 in it)"),
        ("", ""),
    ],
)
def test_a_cause_is_what_the_error_says_without_its_traceback(error: str, says: str) -> None:
    assert cause(error) == says


def test_causes_are_counted() -> None:
    assert endings(["ok", "oom", "failed", "failed"]) == "2 failed, 1 oom"
    assert endings(["ok"]) == ""
    bad = [("failed", "ValueError: a"), ("failed", "ValueError: a"), ("oom", "MemoryError: b")]
    assert told(bad, 12) == "2 failed, 1 oom of 12 trials; 2 of them: ValueError: a"
    assert told(bad[:2], 2) == "2 failed of 2 trials: ValueError: a"
    assert told([("failed", "")], 1) == "1 failed of 1 trial"


def test_the_errors_that_are_sentences_are_ours() -> None:
    from harness import checkpoints, errors, gate

    own = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.PapertrialError)}
    assert {*SENTENCES} == {*own, gate.SaidError.__name__, checkpoints.CheckpointError.__name__}
