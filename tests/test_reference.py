"""The committed studies: whoever reads them back gets the committed verdicts and numbers."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from harness import registry
from harness.judgement import judge
from harness.report.tables import leaderboard_csv
from harness.report.verdicts import verdicts_csv
from harness.store import open_study
from harness.study import load

STUDIES = sorted(path.parent for path in (Path(__file__).parents[1] / "results" / "reference").glob("*/plan.json"))


def _assert_same(found: str, committed: Path) -> None:
    ours = list(csv.DictReader(io.StringIO(found)))
    theirs = list(csv.DictReader(io.StringIO(committed.read_text())))
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        for name in ("verdict", "claim", "experiment", "method", "statistic", "cell", "n", "scale", "data_kind"):
            assert mine.get(name) == other.get(name)
        for name in ("estimate", "low", "high"):
            if other[name]:
                assert math.isclose(float(mine[name]), float(other[name]), rel_tol=1e-9, abs_tol=1e-9) or math.isnan(float(other[name]))
            else:
                assert mine[name] == ""


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_committed_study_still_gives_its_verdicts(folder: Path) -> None:
    study = load(open_study(str(folder)))
    assert len(study.frame) == len(study.plan), "a reference study is a whole one"
    assert not study.frame["git_dirty"].any(), "and its commit says all of its code"
    assert study.frame["source_digest"].nunique() == 1
    assert {(trial.task, trial.version) for trial in study.plan} == {(id, registry.task(id).version) for id in study.tasks}
    judgement = judge(study)
    _assert_same(verdicts_csv(judgement.verdicts), folder / "verdicts.csv")
    _assert_same(leaderboard_csv(judgement.boards), folder / "leaderboard.csv")


def test_reference_studies_have_five_seeds() -> None:
    assert STUDIES
    for folder in STUDIES:
        assert load(open_study(str(folder))).frame["seed"].nunique() >= 5
