"""A verdict at other values than the scale's own is not the scale's: nobody takes it for that, and every table says the values."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.estimates import Mean, Of
from harness.papers import of_today
from harness.tally import Line, lines
from harness.task import Above, Claim, Grid, Task
from tests.harness.conftest import Command
from tests.harness.fabricated import study_of, task_of, verdicts_of

SHOW = ("show", "misbehaving", "--claim", "C1-shift")
WHY = "with size=3 (--set), which scale smoke does not have"


def _words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def _reproduced(papertrial: Command) -> int:
    (row,) = [row for row in json.loads(papertrial("list", "--json").out) if row["task"] == "misbehaving"]
    count: int = row["verdicts"]["smoke"]["reproduced"]
    return count


def _table(study: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(f"results/{study}/verdicts.csv").read_text().splitlines()))


def test_a_study_at_other_values_speaks_for_no_scale(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local", "--study", "other", "--set", "size=3", "--seeds", "5").code == 0
    (row,) = _table("other")
    assert (list(row)[-1], row["settings"], row["verdict"]) == ("settings", "size=3", "reproduced")
    assert row["reason"].endswith(f"Its trials are {WHY}.")
    assert _reproduced(papertrial) == 0
    assert f"0 of 1 tested (C1-shift: {WHY})" in _words(papertrial("ls", "--json").out)
    alone = _words(papertrial(*SHOW).out)
    assert "not tested (scale smoke; study other). What the study found (reproduced, -" in alone
    assert f") is {WHY}. again: papertrial run misbehaving --scale smoke --claim C1-shift" in alone
    assert "papertrial report" not in alone, "its table is judged by what is claimed now"
    assert alone.endswith("--claim C1-shift"), "the command is the scale's own"
    assert papertrial("site", "results", "--out", "out").code == 0
    page = Path("out/papers/misbehaving.html").read_text()
    assert f"is {WHY}." in page
    assert '<span class="badge not-tested">' in page
    assert '<span class="badge reproduced">' not in page
    (flat,) = csv.DictReader(Path("out/claims.csv").read_text().splitlines())
    assert (flat["verdict"], flat["outdated"], flat["settings"]) == ("reproduced", WHY, "size=3"), "as the study says it"


def test_the_plain_study_speaks_and_the_other_stands_beside_it(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local").code == 0
    assert smoke("--local", "--study", "other", "--set", "size=3", "--seeds", "5").code == 0
    assert _table("misbehaving-smoke")[0]["settings"] == ""
    assert _reproduced(papertrial) == 1
    shown = _words(papertrial(*SHOW).out)
    assert "3 seeds; scale smoke; synthetic data; study misbehaving-smoke)" in shown
    assert "What study other found (reproduced, -" in shown
    assert f") is {WHY}. again:" in shown
    told = json.loads(papertrial(*SHOW, "--json").out)
    assert [(own["study"], own["settings"], own["n"]) for own in told["verdicts"]] == [("misbehaving-smoke", "", 3)]
    assert [(own["study"], own["settings"], own["before"]["n"]) for own in told["beside"]] == [("other", "size=3", 5)]
    assert papertrial("site", "results", "--out", "out").code == 0
    assert f", {WHY})" in Path("out/papers/misbehaving.html").read_text(), "in the history"


def test_values_that_the_scale_has_are_its_own(smoke: Command) -> None:
    assert smoke("--local", "--set", "size=1,2,4", "--study", "same").code == 0
    assert smoke("--local", "--set", "size=2", "--study", "part").code == 0
    assert smoke("--local", "--set", "size=2,3", "--set", "rate=0.25", "--study", "several").code == 0
    assert [_table(name)[0]["settings"] for name in ("same", "part", "several")] == ["", "", "rate=0.25; size=2,3"]


def task_with(*, estimate: Of, widths: tuple[int, ...]) -> Task:
    claim = Claim(id="C1", statement="C1", source="", estimate=estimate, holds=Above(0.5))
    return task_of(claims=[claim], grids=lambda train: [Grid(train, axes={"width": widths})])


@pytest.mark.parametrize(
    ("measured", "today", "said"),
    [
        ({"widths": (1, 2)}, {"widths": (1, 2)}, ""),
        ({"widths": (8,)}, {"widths": (1, 2)}, "width=8"),
        ({"widths": (1, 8)}, {"widths": (1, 2)}, "width=1,8"),
    ],
)
def test_the_values_are_those_of_the_cells_that_a_claim_reads(
    tmp_path: Path, measured: dict[str, tuple[int, ...]], today: dict[str, tuple[int, ...]], said: str
) -> None:
    left = Of("left", Mean("loss"))
    study = study_of(tmp_path, task_with(estimate=left, **measured), lambda _: {"loss": 1.0})
    (found,) = verdicts_of(replace(study, tasks={"toy": task_with(estimate=left, **today)}))
    assert found.settings == said


def test_a_claim_that_reads_the_scales_own_cells_beside_others_is_the_scales(tmp_path: Path) -> None:
    first = Of("left", Mean("loss", {"width": 1}))
    study = study_of(tmp_path, task_with(estimate=first, widths=(1, 8)), lambda _: {"loss": 1.0})
    (found,) = verdicts_of(replace(study, tasks={"toy": task_with(estimate=first, widths=(1, 2))}))
    assert (found.settings, "--set" in found.reason) == ("", False)


def test_a_plan_that_lacks_a_parameter_has_its_default(tmp_path: Path) -> None:
    task = task_with(estimate=Of("left", Mean("loss")), widths=(1,))
    study = study_of(tmp_path, task, lambda _: {"loss": 1.0})
    bare = [replace(trial, params={k: v for k, v in trial.params.items() if k != "width"}) for trial in study.plan]
    for width, said in ((64, ""), (2, "width")):
        (found,) = verdicts_of(replace(study, plan=bare, tasks={"toy": task_with(estimate=Of("left", Mean("loss")), widths=(width,))}))
        assert found.settings.partition("=")[0] == said


def test_what_was_not_tested_keeps_its_reason() -> None:
    table = "task,scale,claim,verdict,n,lost,reason,settings\ntoy,laptop,C1,not tested,0,0,none,width=8\n"
    task = task_with(estimate=Of("left", Mean("loss")), widths=(1,))
    assert of_today(lines(table), {"toy": task})[0].reason == "none"
    assert Line("toy", "laptop", "C1", "reproduced").settings == "", "of a table of before"
