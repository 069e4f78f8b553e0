"""What a study's plan does not ask for is not lost: plans of one claim, of one trial, of some seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.claims import All
from harness.estimates import Estimate, Mean, Of, Slope
from harness.plan import DataRef, TrialSpec
from harness.study import Study
from harness.task import Above, Claim, Grid, Statistic, Task
from harness.verdict import Verdict
from tests.harness.conftest import Command
from tests.harness.fabricated import Outcome, board_of, study_of, task_of, verdicts_of

SLOPE = Of("left", Slope("loss", "width"))
FIRST = Of("left", Mean("loss", {"width": 1}))
Keep = Callable[[TrialSpec], bool]


def claim_of(id: str, estimate: Estimate) -> Claim:
    return Claim(id=id, statement=id, source="", estimate=estimate, holds=Above(0.5))


def task_with(*claims: Claim, widths: Sequence[int] = (1, 2, 4), data: Sequence[str | None] = (None,)) -> Task:
    slope = Statistic(name="slope", estimate=Slope("loss", "width"), better="lower")
    return task_of(
        claims=claims, statistics=[slope], grids=lambda train: [Grid(train, axes={"width": tuple(widths)}, data=name) for name in data]
    )


def grows(trial: TrialSpec) -> Outcome:
    """About as its width."""
    return {"loss": float(trial.params["width"]) * (1 + 0.01 * trial.seed * trial.params["width"])}


def narrowed(study: Study, keep: Keep) -> Study:
    """The study of a command that asks for some of its trials."""
    plan = [trial for trial in study.plan if keep(trial)]
    frame = study.frame[study.frame["trial_id"].isin([trial.id for trial in plan])].reset_index(drop=True)
    return replace(study, plan=plan, frame=frame)


def judged(study: Study, keep: Keep = lambda _: True) -> Verdict:
    (found,) = verdicts_of(narrowed(study, keep))
    return found


@pytest.mark.parametrize("outcome", [grows, lambda _: "diverged"], ids=["well", "diverged"])
def test_a_claim_of_which_the_plan_asks_for_a_part_lost_nothing(tmp_path: Path, outcome: Callable[[TrialSpec], Outcome]) -> None:
    study = study_of(tmp_path, task_with(claim_of("C1", SLOPE)), outcome)
    found = judged(study, lambda trial: trial.params["width"] == 1)
    assert (found.verdict, found.n, found.lost) == ("not tested", 0, 0)
    assert found.reason == (
        "This study's plan does not ask for it (`papertrial run toy --scale laptop --claim C1` does): it holds 1 of the 3 trials a seed "
        "that it reads."
    )
    board = board_of(narrowed(study, lambda trial: trial.params["width"] == 1))
    assert {row.entries["slope"].lost for row in board.rows} == {0}


def test_what_was_asked_for_whole_and_failed_is_lost(tmp_path: Path) -> None:
    found = judged(study_of(tmp_path, task_with(claim_of("C1", SLOPE)), lambda _: "diverged"))
    assert (found.verdict, found.lost) == ("not tested", 5)
    assert found.reason.startswith("Every seed with records was lost, 5 of them")


def test_of_values_that_a_command_chose_the_plan_is_the_whole(tmp_path: Path) -> None:
    chosen = study_of(tmp_path, task_with(claim_of("C1", SLOPE), widths=(8,)), grows)
    found = judged(replace(chosen, tasks={"toy": task_with(claim_of("C1", SLOPE))}))
    assert (found.verdict, found.lost) == ("not tested", 5)


def test_a_claim_that_is_judged_on_a_part_says_so(tmp_path: Path) -> None:
    study = study_of(tmp_path, task_with(claim_of("C1", SLOPE)), grows)
    part, whole = judged(study, lambda trial: trial.params["width"] < 4), judged(study)
    assert part.verdict == whole.verdict == "reproduced"
    assert part.reason == f"{whole.reason} This study's plan holds 2 of the 3 trials a seed that it reads at scale laptop."


def test_seeds_of_which_a_part_was_asked_for_are_left_out(tmp_path: Path) -> None:
    study = study_of(tmp_path, task_with(claim_of("C1", SLOPE)), grows)
    found = judged(study, lambda trial: trial.seed < 3 or trial.params["width"] == 1)
    assert (found.verdict, found.n, found.lost) == ("reproduced", 3, 0)


def test_a_claim_of_several_parts_is_not_decided_by_those_that_were_asked_for(tmp_path: Path) -> None:
    study = study_of(tmp_path, task_with(claim_of("C1", All((FIRST, SLOPE)))), grows)
    assert judged(study).verdict == "reproduced"
    found = judged(study, lambda trial: trial.params["width"] == 1)
    assert (found.verdict, found.lost) == ("not tested", 0)
    assert "it holds 1 of the 3 trials" in found.reason


def test_what_is_absent_is_named_with_the_command_that_asks_for_it(tmp_path: Path) -> None:
    study = study_of(tmp_path, task_with(claim_of("C1", Of("left", Mean("loss")))), grows)
    found = judged(study, lambda trial: trial.method == "right")
    assert found.reason == (
        "This study's plan does not ask for it (`papertrial run toy --scale laptop --claim C1` does): it holds no trial of method left."
    )
    gone = judged(replace(study, tasks={"toy": task_with(claim_of("C1", Of("left", Mean("loss", {"width": 9}))))}))
    assert gone.reason == "The plan holds no trial of method left with width = 9.", "the scale does not either"


def test_what_other_values_left_no_trial_of_is_not_asked_for(tmp_path: Path) -> None:
    chosen = study_of(tmp_path, task_with(claim_of("C1", SLOPE), widths=(8,)), grows)
    found = judged(replace(chosen, tasks={"toy": task_with(claim_of("C1", FIRST))}))
    assert found.reason.endswith("--claim C1` does): it holds no trial of method left with width = 1.")


def test_the_command_that_asks_for_it_keeps_the_values_that_were_set(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local", "--study", "wide", "--set", "size=3", "--method", "plain").code == 0
    (row,) = json.loads(papertrial("verdicts", "wide", "--json").out)
    assert "`papertrial run misbehaving --scale smoke --set size=3 --claim C1-shift` does" in row["reason"]


def test_a_set_that_stands_in_for_another_is_asked_for_whole(tmp_path: Path) -> None:
    """`--data letters=runes`: the grids name the one, the trials read the other; of two sets one is a part."""
    sets = {name: DataRef("runes", "runes.txt", "stand-in", name) for name in ("letters", "numbers")}
    task = task_with(claim_of("C1", SLOPE), data=("letters", "numbers"))
    study = study_of(tmp_path, task, grows, data=sets)
    assert "plan" not in judged(study).reason
    one = judged(study, lambda trial: trial.data == sets["letters"])
    assert "This study's plan holds 3 of the 6 trials a seed" in one.reason


def test_a_run_of_one_trial_loses_no_claim_that_it_did_not_ask_for(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local", "--study", "whole").code == 0
    one = json.loads(papertrial("trials", "whole", "--json").out)[0]["trial"]
    said = " ".join(smoke("--local", "--study", "one", "--trial", one).out.split())
    command = "papertrial run misbehaving --scale smoke --claim C1-shift"
    why = f"This study's plan does not ask for it (`{command}` does): it holds no trial of method"
    assert why in said
    assert "lost" not in said
    assert why in json.loads(papertrial("verdicts", "one", "--json").out)[0]["reason"]
