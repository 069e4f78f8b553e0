"""A plan by its cells, and evidence that is read cell by cell: it says what each seed's own frame says."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.cells import Cells
from harness.cost import cost
from harness.estimates import Estimate, Mean, Of, RankCorrelation, Reading, paired
from harness.evidence import Evidence, counted
from harness.plan import Overrides, TrialSpec, expand
from harness.rounding import resolution
from harness.study import Study
from harness.sweeps import Sweep
from harness.table import Table
from harness.task import Grid, Metric, Task
from tests.harness.fabricated import DATA, Outcome, experiment_of, noise, study_of, task_of

WIDTHS = (8, 16, 32, 64)
SWEPT = experiment_of(
    metrics=[Metric("loss", "nats", "lower"), Metric("hits", "share", "higher", counted=True)], tuned=Sweep("width", by="loss")
)


def two_settings(*, seeds: int = 12) -> Task:
    return task_of(
        experiment=SWEPT,
        grids=lambda train: [
            Grid(train, axes={"width": WIDTHS}, points=[{"setting": "ffn"}]),
            Grid(train, axes={"width": WIDTHS[:2]}, points=[{"setting": "lm"}], view="small", data="tiny-stories"),
        ],
        seeds=seeds,
    )


def some_bad(trial: TrialSpec) -> Outcome:
    """Seed 3 has no record of a width, seed 4 none at all; in seeds 5 and 6 trials ended badly."""
    width, left = trial.params["width"], trial.method == "left"
    if trial.seed == 4 or (trial.seed == 3 and width == 32):
        return None
    if trial.seed == 5 and left:
        return "oom" if width == 8 else "failed"
    if trial.seed == 6 and width == 16:
        return "diverged"
    return {"loss": abs(noise(trial)) + 0.1 * math.log(width) * left, "hits": round(20 * abs(noise(trial, "hits"))) / 60}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_of(tmp_path, two_settings(), some_bad)


def test_a_cell_is_what_its_trials_have_in_common_whoever_holds_it() -> None:
    trials = expand(two_settings(), "laptop", Overrides(), DATA)
    copies = [replace(trial, params=dict(reversed(trial.params.items()))) for trial in trials]
    for found in (Cells.of(trials), Cells.of(copies), Cells.of([*trials[:7], *copies[7:]])):
        assert len(found.firsts) == 2 * (len(WIDTHS) + 2)
        assert [first.seed for first in found.firsts] == [0] * len(found.firsts)
        assert found.seeds.tolist() == [trial.seed for trial in trials]
        for trial, number in zip(trials, found.numbers.tolist(), strict=True):
            assert replace(found.firsts[number], seed=trial.seed, requires=trial.requires) == replace(trial)
    assert Cells.of([]).firsts == []


@pytest.mark.parametrize(
    "estimate",
    [
        paired("left", "right", SWEPT["loss"]),
        paired("left", "right", SWEPT["loss"].at("small")),
        Of("left", Mean("hits", {"width": 16})),
        Of("right", RankCorrelation("loss", "hits")),
        Reading("train", "loss", where={"setting": "lm"}),
    ],
    ids=lambda estimate: type(estimate).__name__,
)
@pytest.mark.parametrize("backwards", [False, True])
def test_every_seed_says_what_its_own_frame_says(study: Study, estimate: Estimate, backwards: bool) -> None:
    if backwards:
        # The trials of one seed stand in another order, as after a grid was added, and their records with them.
        own = [trial for trial in study.plan if trial.seed == 8]
        frame = pd.concat([study.frame[study.frame["seed"] != 8], study.frame[study.frame["seed"] == 8].iloc[::-1]], ignore_index=True)
        study = replace(study, plan=[*(trial for trial in study.plan if trial.seed != 8), *own[::-1]], frame=frame)
    evidence = Evidence(study, study.tasks["toy"], "laptop")
    found = evidence.per_seed(estimate)
    planned, records = evidence.planned, evidence.records
    for seed in range(12):
        asked = evidence.rows_read(estimate, planned[planned["seed"] == seed])
        own = records[records["seed"] == seed]
        assert (seed in found.waiting) == (not asked["recorded"].all())
        if seed in found.waiting:
            assert seed not in {**found.values, **found.lost}
            continue
        value = estimate(own)
        if math.isfinite(value):
            assert found.values[seed] == pytest.approx(value, rel=1e-15)
        else:
            statuses = Counter(status for status in evidence.rows_read(estimate, own)["status"] if status != "ok")
            assert found.lost[seed] == dict(statuses)


def test_resolution_is_that_of_the_records_whether_seeds_are_alike_or_not(study: Study, tmp_path: Path) -> None:
    whole = study_of(tmp_path, two_settings(), lambda trial: some_bad(replace(trial, seed=7)))
    for each, kinds in ((study, 2), (whole, 1)):
        evidence = Evidence(each, each.tasks["toy"], "laptop")
        assert len(evidence._tables("", None)) == kinds
        for estimate in (Of("left", Mean("hits")), SWEPT["hits"].of("right"), Of("left", RankCorrelation("loss", "hits"))):
            step, rounding = resolution(estimate, Table.of(evidence.records), counted(evidence.task))
            assert evidence.resolution(estimate) == (step[0], rounding[0])


def test_edges_and_tuning_count_seed_by_seed(study: Study) -> None:
    evidence = Evidence(study, study.tasks["toy"], "laptop")
    found = {(method, edge): seeds for method in ("left", "right") for edge, seeds in _edges_by_hand(evidence, method).items()}
    said = evidence.edges(paired("left", "right", SWEPT["loss"]))
    assert sorted(said) == sorted(f"{method}: {edge} in {len(seeds)} of 11 seeds" for (method, edge), seeds in found.items())
    assert len(said) > 2
    assert cost(evidence, SWEPT, "left", [], None).tuning == pytest.approx((4 + 2) / 2)


def _edges_by_hand(evidence: Evidence, method: str) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    records = evidence.records[evidence.records["method"] == method]
    for (seed, _), own in records.groupby(["seed", "param.setting"]):
        good = own[own["status"] == "ok"]
        if good.empty or own["status"].isin(["failed", "oom"]).any():
            continue
        best = good.loc[good["metric.loss"].idxmin(), "param.width"]
        for name, end in (("smallest", own["param.width"].min()), ("largest", own["param.width"].max())):
            if best == end:
                found.setdefault(f"width at its {name} ({end:g})", set()).add(int(str(seed)))
    return found


def test_groups_of_rows_agree_kind_by_kind_and_row_by_row(study: Study) -> None:
    evidence = Evidence(study, study.tasks["toy"], "laptop")
    names = ["method", *sorted(name for name in evidence.records if name.startswith("param."))]
    few, each = evidence._whole, Table.of(evidence.records)
    assert few.source.kinds is not None
    for rows in (np.arange(len(each)), np.arange(len(each))[::-1]):
        groups = [[group.tolist() for group in table.take(rows).alike(names)] for table in (few, each)]
        assert groups[0] == groups[1]
    assert [*few.groups("param.width")] == [*each.groups("param.width")] == [*WIDTHS]
    for where in ({"width": 16}, {"setting": "lm", "width": 8}, {"width": None}):
        found = (own.select(where, experiment="train", view="small", method="left").rows for own in (few, each))
        assert np.array_equal(*found)
