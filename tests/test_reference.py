"""The committed studies: whoever reads them back gets the committed verdicts and numbers."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from harness import registry
from harness.judgement import judge
from harness.plan import Overrides, TrialSpec, expand
from harness.report.tables import leaderboard_csv
from harness.report.verdicts import verdicts_csv
from harness.store import open_study
from harness.study import Study, load
from tasks.blocks.memory import PROCESS_GIB

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
STUDIES = sorted(path.parent for path in REFERENCE.glob("*/plan.json"))


def _assert_same(found: str, committed: Path) -> None:
    ours = list(csv.DictReader(io.StringIO(found)))
    theirs = list(csv.DictReader(io.StringIO(committed.read_text())))
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        for name in ("verdict", "claim", "experiment", "method", "statistic", "cell", "n", "scale", "data_kind"):
            assert mine.get(name) == other.get(name)
        for name in ("kind", "group", "primary", "version", "asks"):
            assert name not in other or mine[name] == other[name], f"{name} of {other.get('claim')}"
        for name in ("estimate", "low", "high"):
            if other[name]:
                # A fitted exponent's interval ends where an optimiser stops, and the last digits of that differ among processors.
                assert math.isclose(float(mine[name]), float(other[name]), rel_tol=1e-7, abs_tol=1e-9) or math.isnan(float(other[name]))
            else:
                assert mine[name] == ""


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_committed_study_still_gives_its_verdicts(folder: Path) -> None:
    study = load(open_study(str(folder)))
    missing = len(study.plan) - len(study.frame)
    if missing or study.frame["git_dirty"].any():
        assert not folder.name.endswith("-laptop"), "a laptop study is a whole one, and its commit says all of its code"
        said = (folder / "README.md").read_text()
        assert "not clean" in said or not study.frame["git_dirty"].any()
        assert f"{len(study.plan)} trials that the scale plans today {missing} are missing" in said.replace("\n", " ")
    assert study.frame["source_digest"].nunique() == 1
    assert {(trial.task, trial.version) for trial in study.plan} == {(id, registry.task(id).version) for id in study.tasks}
    judgement = judge(study)
    _assert_same(verdicts_csv(judgement.verdicts), folder / "verdicts.csv")
    _assert_same(leaderboard_csv(judgement.boards), folder / "leaderboard.csv")


def test_reference_studies_have_five_seeds_on_a_laptop_and_three_on_a_card() -> None:
    assert STUDIES
    for folder in STUDIES:
        assert load(open_study(str(folder))).frame["seed"].nunique() >= (5 if folder.name.endswith("-laptop") else 3)


def test_peaks_that_a_card_measured_are_what_the_task_expects() -> None:
    study = load(open_study(str(REFERENCE / "mup-weight-decay-transfer-gpu")))
    task = study.tasks["mup-weight-decay-transfer"]
    for row in study.frame.to_dict("records"):
        experiment = task.experiment(row["experiment"])
        params = {name: row[f"param.{name}"] for name in experiment.parameters}
        assert experiment.memory
        measured, expected = row["peak_memory_mib"] / 1024, experiment.memory("gpu", row["method"], params)
        # A CUDA context and what the allocator cannot use come on top of what it counts, its 64 MiB of workspace for cuBLAS included.
        assert measured < expected < measured + PROCESS_GIB + 0.35 * measured


def test_seconds_that_a_card_measured_are_what_the_task_expects() -> None:
    study = load(open_study(str(REFERENCE / "mup-weight-decay-transfer-gpu")))
    expected = {trial.id: trial.expected_s for trial in expand_again(study)}
    total = sum(expected[id] for id in study.frame["trial_id"])
    assert total == pytest.approx(study.frame["seconds"].sum(), rel=0.15)


def expand_again(study: Study) -> list[TrialSpec]:
    """What the scale plans today, on the study's data."""
    (task, scale), *_ = study.groups()
    data = {trial.data.name: trial.data for trial in study.plan if trial.data}
    return expand(task, scale, Overrides(), data)
