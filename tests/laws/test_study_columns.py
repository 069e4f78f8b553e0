"""A study's columns by their short names, statistics of leaderboards among them, and the page's fit of a committed study."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from harness.cli import main
from harness.commands.fit import study_rows
from harness.errors import DataError, UsageError
from harness.estimates import column
from harness.store import open_study
from harness.study import load

ROOT = Path(__file__).parents[2]
NTK = str(ROOT / "results" / "reference" / "ntk-convergence-laptop")


def test_a_statistic_has_a_row_for_each_method_seed_and_width_with_the_mean_of_its_trials() -> None:
    found, notes = study_rows(NTK, "results", ["width", "deviation_width"])
    study = load(open_study(NTK))
    views = {trial.id for trial in study.plan if "width" in trial.views and trial.experiment == "start"}
    records = study.frame[study.frame["trial_id"].isin(views)]
    means = column(records, "deviation").groupby([records["method"], records["seed"], records["param.width"]]).mean()
    assert notes == []
    assert len(found) == len(means) == 210
    for row in found.to_dict("records"):
        assert row["width"] == row["param.width"]
        assert row["deviation_width"] == pytest.approx(means[row["method"], row["seed"], row["width"]], rel=1e-12)


def test_a_short_name_is_the_column_of_every_trial() -> None:
    found, _ = study_rows(NTK, "results", ["width", "metric.drift", "drift"])
    assert found["width"].equals(found["param.width"].rename("width"))
    assert found["drift"].equals(found["metric.drift"].rename("drift"))


def test_a_statistic_over_the_axis_itself_is_one_sentence() -> None:
    study = str(ROOT / "results" / "reference" / "mup-weight-decay-transfer-laptop")
    with pytest.raises(DataError, match="gain_slope of mup-weight-decay-transfer-laptop has no number at one value"):
        study_rows(study, "results", ["width", "gain_slope"])


def test_a_misspelt_name_beside_a_statistic_is_answered_with_the_short_names() -> None:
    with pytest.raises(
        UsageError, match=r"unknown column of ntk-convergence-laptop: 'wdth'; did you mean 'width'\? \(choices: .*\bwidth\b"
    ):
        study_rows(NTK, "results", ["wdth", "deviation_width"])
    found, _ = study_rows(NTK, "results", ["width", "deviation_width", "2*width"])
    assert len(found) == 210, "a formula is no name"


def test_the_page_shows_what_its_fit_of_a_study_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    shown = (ROOT / "docs" / "fit.md").read_text().split("## On a study")[1].split("```")[1].strip().splitlines()
    words = shlex.split(shown[0])[2:]
    (first_page,) = re.findall(r"^papertrial (fit .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    by_name = shlex.split(first_page)
    assert [*by_name[:2], f"results/reference/{by_name[2]}", *by_name[3:]] == words[: len(by_name)], "the first page shows the same fit"
    assert len(study_rows(by_name[2], "results", ["width", "deviation_width"])[0]) > 0
    assert main(words) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(shown) > 6
    for line in shown[1:]:
        assert line.split() in printed, line
