"""Thresholds along a parameter and what law they follow: closed forms, planted boundaries, and bounds that are never numbers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression

from harness.claims import follows
from harness.ends import ends_of
from harness.errors import TaskError
from harness.estimates import Mean, MeanOver, Of, PowerTrend, paired
from harness.evidence import Evidence
from harness.model_selection import AiccGain
from harness.plan import TrialSpec
from harness.table import Table
from harness.task import Grid, Metric, param
from harness.thresholds import Threshold, crossings, isotonic, threshold
from tests.harness.fabricated import experiment_of, study_of, task_of, verdicts_of

GRID = np.array([0.1, 0.2, 0.4, 0.5, 0.9])


def one(values: list[float], level: float = 0.5, *, rises: bool = True) -> tuple[float, int]:
    found = crossings(GRID[: len(values)], np.array(values), level, rises=rises)
    return float(found.at), int(found.side)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_monotone_fit_is_isotonic_regression(gaps: bool) -> None:
    draws = np.random.default_rng(3).normal(size=(50, 9)) + 0.3 * np.arange(9)
    if gaps:
        draws[np.random.default_rng(4).random(draws.shape) < 0.3] = math.nan
    found = isotonic(draws)
    for row, fitted in zip(draws, found, strict=True):
        known = np.isfinite(row)
        np.testing.assert_allclose(fitted[known], isotonic_regression(row[known]).x, atol=1e-12)
        assert np.isnan(fitted[~known]).all()


@pytest.mark.parametrize(
    ("values", "at"),
    [
        ([0.0, 0.0, 1.0, 1.0, 1.0], 0.3),
        ([0.0, 0.2, 0.8, 1.0, 1.0], 0.3),
        ([0.0, 0.1, 0.2, 0.8, 1.0], 0.45),
        ([0.0, 0.0, 0.25, 1.25, 1.0], 0.4 + 0.1 * (0.25 / 0.875)),
        ([0.0, 0.5, 0.5, 1.0, 1.0], 0.3),
        ([0.0, 0.6, 0.4, 1.0, 1.0], 0.3),
    ],
    ids=["a step", "a slope", "an uneven grid", "made monotone first", "on the level", "about the level"],
)
def test_a_crossing_lies_where_the_monotone_curve_passes_the_level(values: list[float], at: float) -> None:
    assert one(values) == (pytest.approx(at), 0)
    assert one([1 - value for value in values], rises=False) == (pytest.approx(at), 0)


@pytest.mark.parametrize(
    ("values", "rises", "bound"),
    [
        ([0.0, 0.1, 0.1, 0.2, 0.4], True, (0.9, 1)),
        ([0.6, 0.7, 0.9, 1.0, 1.0], True, (0.1, -1)),
        ([0.6, 0.7, 0.9, 1.0, 1.0], False, (0.9, 1)),
        ([0.0, 0.1, 0.1, 0.2, 0.4], False, (0.1, -1)),
        ([0.0, 0.1, 0.1, math.nan, math.nan], True, (0.4, 1)),
        ([math.nan, 0.7, 0.9, 1.0, 1.0], True, (0.2, -1)),
    ],
)
def test_what_never_crosses_is_a_bound_on_the_side_that_is_left(values: list[float], rises: bool, bound: tuple[float, int]) -> None:
    assert one(values, rises=rises) == bound


def test_a_gap_around_the_crossing_leaves_it_unknown() -> None:
    at, side = one([0.0, 0.1, math.nan, 0.9, 1.0])
    assert (math.isnan(at), side) == (True, 0)
    assert one([0.0, 0.1, 0.9, math.nan, 1.0]) == (pytest.approx(0.3), 0)
    assert math.isnan(one([math.nan] * 3)[0])


def test_the_level_counts() -> None:
    assert one([0.0, 0.2, 0.8, 1.0, 1.0], 0.7)[0] == pytest.approx(0.2 + 0.2 * 5 / 6)
    assert one([0.0, 0.2, 0.8, 1.0, 1.0], 0.9)[0] == pytest.approx(0.45)


def trials(accuracy: Any, sizes: tuple[int, ...] = (1,), seed: int = 0) -> list[dict[str, object]]:
    """A trial at each of eleven shares of each size's own grid."""
    shares = np.linspace(0.5, 1.5, 11)
    cells = [(size, float(share * math.log(size + 1) / size)) for size in sizes for share in shares]
    return [{"param.size": m, "param.share": p, "metric.accuracy": accuracy(m, p), "seed": seed, "status": "ok"} for m, p in cells]


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame([{"method": "m", "experiment": "train", **row} for row in rows])


def test_a_planted_threshold_comes_out_on_either_scale() -> None:
    rows = trials(lambda _, p: 1 / (1 + math.exp(-(p - 0.66) / 0.02)))
    for scale in ("linear", "log"):
        found = Threshold("share", Mean("accuracy"), scale=scale)(frame(rows))  # type: ignore[arg-type]
        assert found == pytest.approx(0.66, abs=0.01)
    ends = [{"param.share": x, "metric.accuracy": z} for x, z in ((0.01, 0.0), (0.1, 0.0), (1.0, 1.0))]
    assert Threshold("share", Mean("accuracy"), scale="log")(frame(ends)) == pytest.approx(math.sqrt(0.1), rel=1e-12)
    assert Threshold("share", Mean("accuracy"))(frame(ends)) == pytest.approx(0.55)


def test_a_threshold_that_the_grid_does_not_hold_is_no_number() -> None:
    low = frame(trials(lambda *_: 0.1))
    estimate = Threshold("share", Mean("accuracy"))
    assert math.isnan(estimate(low))
    found = estimate.crossings(Table.of(low))
    assert (found.side.tolist(), found.at.tolist()) == ([1], [pytest.approx(1.5 * math.log(2))])
    falling = Threshold("share", Mean("accuracy"), rises=False).crossings(Table.of(low))
    assert (falling.side.tolist(), falling.at.tolist()) == ([-1], [pytest.approx(0.5 * math.log(2))])


def test_a_lost_trial_loses_the_threshold() -> None:
    rows = trials(lambda _, p: float(p > 0.7))
    rows[-1] |= {"status": "diverged", "metric.accuracy": math.nan}
    found = Threshold("share", Mean("accuracy")).crossings(Table.of(frame(rows)))
    assert (math.isnan(found.at[0]), found.side.tolist()) == (True, [0])


def test_replicates_do_not_mix() -> None:
    frames = [frame(trials(lambda _, p, t=at: float(p > t))) for at in (0.45, 0.8, 9.0, 0.2)]
    found = Threshold("share", Mean("accuracy")).values(Table.stacked(frames))
    alone = [Threshold("share", Mean("accuracy"))(part) for part in frames]
    np.testing.assert_array_equal(found, alone)
    assert np.isfinite(found).tolist() == [True, True, False, False]


def test_wrong_scales_are_refused() -> None:
    with pytest.raises(TaskError, match="on a linear or a log scale, not 'cubic'"):
        Threshold("share", Mean("accuracy"), scale="cubic")  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="share takes 0, which has no logarithm"):
        Threshold("share", Mean("accuracy"), scale="log")(frame([{"param.share": 0.0, "metric.accuracy": 0.0}]))


SIZES = (7, 11, 17, 23, 31, 43)
LAWS = {"log(size)/size": lambda m: math.log(m) / m, "1/size": lambda m: 1 / m, "size**-0.5": lambda m: m**-0.5}


def means(law: Any, noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    errors = np.random.default_rng(seed).normal(size=len(SIZES)) * noise
    return frame([{"param.size": m, "metric.y": 2.5 * law(m) * math.exp(e)} for m, e in zip(SIZES, errors, strict=True)])


def test_the_gain_is_the_difference_of_two_least_squares_fits() -> None:
    data = means(LAWS["log(size)/size"], 0.1, seed=5)
    y = np.log(data["metric.y"].to_numpy())

    def aicc(law: Any) -> float:
        residual = y - np.log([law(m) for m in SIZES])
        rss = float(np.sum((residual - residual.mean()) ** 2))
        n, k = len(SIZES), 2
        return n * math.log(rss / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)

    found = AiccGain("size", Mean("y"), law="log(size)/size", rival="1/size")(data)
    assert found == pytest.approx(aicc(LAWS["1/size"]) - aicc(LAWS["log(size)/size"]), rel=1e-9)
    assert AiccGain("size", Mean("y"), law="1/size", rival="log(size)/size")(data) == pytest.approx(-found)


@pytest.mark.parametrize("truth", LAWS)
@pytest.mark.parametrize("rival", LAWS)
def test_the_planted_law_wins(truth: str, rival: str) -> None:
    if truth == rival:
        return
    estimate = AiccGain("size", Mean("y"), law=truth, rival=rival)
    found = estimate.values(Table.stacked([means(LAWS[truth], 0.03, seed) for seed in range(40)]))
    assert (found > 0).mean() >= 0.95
    reverse = AiccGain("size", Mean("y"), law=rival, rival=truth)
    assert (reverse.values(Table.stacked([means(LAWS[truth], 0.03, seed) for seed in range(40)])) < 0).mean() >= 0.95


@pytest.mark.parametrize("constant", [2.5, 250.0])
def test_the_factor_of_a_law_is_free(constant: float) -> None:
    data = means(LAWS["1/size"], 0.1, seed=2)
    base = AiccGain("size", Mean("y"), law="1/size", rival="size**-0.5")
    assert base(data.assign(**{"metric.y": constant * data["metric.y"]})) == pytest.approx(base(data), rel=1e-9)


def test_a_gain_needs_four_positive_numbers() -> None:
    estimate = AiccGain("size", Mean("y"), law="1/size", rival="size**-0.5")
    data = means(LAWS["1/size"], 0.1)
    assert math.isfinite(estimate(data.iloc[:4]))
    assert math.isnan(estimate(data.iloc[:3]))
    assert math.isnan(estimate(data.assign(**{"metric.y": [-1.0, *data["metric.y"][1:]]})))
    assert math.isnan(estimate(data.assign(status=["failed", *data["status"][1:]] if "status" in data else ["failed"] + ["ok"] * 5)))


def test_laws_are_formulas_over_their_parameter() -> None:
    with pytest.raises(TaskError, match=r"unknown name in the law 'log\(sise\)/size': 'sise'; did you mean 'size'"):
        AiccGain("size", Mean("y"), law="log(sise)/size", rival="1/size")
    with pytest.raises(TaskError, match="neither a column of a study nor a formula"):
        AiccGain("size", Mean("y"), law="1//size(", rival="1/size")
    with pytest.raises(TaskError, match="is not a positive number where size is 7"):
        AiccGain("size", Mean("y"), law="1/size - 1", rival="1/size")(means(LAWS["1/size"]))


def test_thresholds_of_sizes_with_grids_of_their_own_follow_the_planted_law() -> None:
    threshold = Threshold("share", Mean("accuracy"))
    data = frame(trials(lambda m, p: 1 / (1 + math.exp(-(p / (1.1 * math.log(m) / m) - 1) / 0.05)), SIZES))
    at = [Threshold("share", Mean("accuracy"), where={"size": m})(data) for m in SIZES]
    assert at == pytest.approx([1.1 * math.log(m) / m for m in SIZES], rel=0.02)
    assert AiccGain("size", threshold, law="log(size)/size", rival="1/size")(data) > 10
    assert AiccGain("size", threshold, law="log(size)/size", rival="size**-0.5")(data) > 10
    assert PowerTrend("size", threshold)(data) == pytest.approx(np.polyfit(np.log(SIZES), np.log(at), 1)[0])
    assert MeanOver("size", threshold, only="largest")(data) == at[-1]


def test_square_root_boundaries_are_against_the_law() -> None:
    data = frame(
        [
            {"param.size": m, "param.share": p, "metric.accuracy": float(p > 0.9 * m**-0.5)}
            for m in SIZES
            for p in np.linspace(0.02, 0.6, 30)
        ]
    )
    estimate = AiccGain("size", Threshold("share", Mean("accuracy")), law="log(size)/size", rival="size**-0.5")
    assert estimate(data) < -5


def test_a_claim_reads_the_threshold_of_each_method_seed_by_seed(tmp_path: Any) -> None:
    kind = dataclasses.make_dataclass("Shares", [("share", float, param(0.5, "share of the pairs"))], frozen=True)
    experiment = experiment_of(params=kind, metrics=[Metric("accuracy", "share", "higher")])
    task = task_of(experiment=experiment, grids=lambda train: [Grid(train, axes={"share": [0.1, 0.3, 0.5, 0.7]})], seeds=3)

    def outcome(trial: TrialSpec) -> dict[str, float]:
        return {"accuracy": float(trial.params["share"] > {"left": 0.2 + 0.2 * (trial.seed == 2), "right": 0.6}[trial.method])}

    evidence = Evidence(study_of(tmp_path, task, outcome), task, "laptop")
    estimate = threshold(experiment["accuracy"], over="share")
    assert evidence.per_seed(Of("left", estimate)).values == pytest.approx({0: 0.2, 1: 0.2, 2: 0.4})
    assert evidence.per_seed(paired("right", "left", estimate)).values == pytest.approx({0: 0.4, 1: 0.4, 2: 0.2})


def test_a_threshold_beyond_the_grid_is_a_range_for_verdicts() -> None:
    estimate = Threshold("share", Mean("accuracy"))
    frames = [frame(trials(lambda _, p, t=at: float(p > t))) for at in (0.45, 9.0, 0.2)]
    found = ends_of(Of("m", estimate), Table.stacked(frames))
    edges = [0.5 * math.log(2), 1.5 * math.log(2)]
    assert found.low.tolist() == pytest.approx([estimate(frames[0]), edges[1], -math.inf])
    assert found.high.tolist() == pytest.approx([estimate(frames[0]), math.inf, edges[0]])
    lost = frames[1].assign(status=["failed", *["ok"] * 10])
    assert np.isnan(ends_of(estimate, Table.of(lost)).low).all()


def test_a_threshold_of_a_bound_may_be_any_number() -> None:
    rows = [{"param.share": x, "metric.steps": 1 - x, "metric.steps_censored": float(x < 0.2)} for x in (0.1, 0.3, 0.6, 0.9)]
    found = ends_of(Threshold("share", Mean("steps"), rises=False), Table.of(frame(rows)))
    assert (found.low.tolist(), found.high.tolist()) == ([-math.inf], [math.inf])


def test_a_gain_is_open_where_a_threshold_is_a_bound() -> None:
    estimate = AiccGain("size", Threshold("share", Mean("accuracy")), law="log(size)/size", rival="1/size")

    def table(lost: int) -> Table:
        return Table.of(frame(trials(lambda m, p: float(m != lost and p > math.log(m) / m), SIZES)))

    held, opened = ends_of(estimate, table(0)), ends_of(estimate, table(11))
    assert held.low[0] == held.high[0] > 0
    assert (opened.low.tolist(), opened.high.tolist()) == ([-math.inf], [math.inf])


def test_a_law_is_claimed_against_each_rival(tmp_path: Any) -> None:
    fields = [("size", int, param(7, "group")), ("share", float, param(0.5, "share of the pairs"))]
    kind = dataclasses.make_dataclass("Sizes", fields, frozen=True)
    experiment = experiment_of(params=kind, metrics=[Metric("accuracy", "share", "higher")])
    points = [{"size": m, "share": float(s * math.log(m) / m)} for m in SIZES for s in np.linspace(0.5, 1.5, 9)]
    claims = follows(
        "law",
        "left",
        threshold(experiment["accuracy"].at("sweep"), over="share"),
        over="size",
        law="log(size)/size",
        rivals=("1/size", "size**-0.5"),
        source="Thm. 4",
    )
    grids = [Grid(experiment, view="sweep", points=points), Grid(experiment, view="else", points=[{"size": 5, "share": 0.9}])]
    task = task_of(experiment=experiment, grids=lambda _: grids, seeds=5, claims=claims)

    def outcome(trial: TrialSpec) -> dict[str, float]:
        m = trial.params["size"]
        noise = float(np.random.default_rng([trial.seed, m]).normal())
        at = {"left": math.log(m) / m, "right": 1.2 * m**-0.7}[trial.method] * math.exp(0.03 * noise)
        return {"accuracy": 1 / (1 + math.exp(-(trial.params["share"] / at - 1) / 0.05))}

    verdicts = verdicts_of(study_of(tmp_path, task, outcome))
    assert [(verdict.claim, verdict.verdict) for verdict in verdicts] == [("law-1", "reproduced"), ("law-2", "reproduced")]
    assert verdicts[0].statement == "left follows log(size)/size along size rather than 1/size"
    with pytest.raises(TaskError, match="against at least one other"):
        follows("law", "left", threshold(experiment["accuracy"], over="share"), over="size", law="1/size", rivals=(), source="Thm. 4")
