"""Two studies against each other: a planted change is found, chance is not called a change, and the gate stops for regressions only."""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from harness.cli import main
from harness.compare import LEVEL, Comparison, Tolerance, compare
from harness.compare.contrasts import detectable, p_above, p_apart
from harness.errors import UsageError
from harness.judgement import Judgement, judge
from harness.plan import TrialSpec
from harness.report.comparison import show
from harness.stats import adjusted
from harness.task import Below, Experiment, Grid, Metric, Scale, param
from tests.harness.conftest import Command, Said
from tests.harness.fabricated import Outcome, difference_claim, experiment_of, noise, study_of, task_of


@dataclass(frozen=True)
class Timed:
    rounds: int = param(3, "calls")


def study(folder: Path, outcome: Callable[[TrialSpec], Outcome], **changes: object) -> Judgement:
    return judge(study_of(folder, task_of(**changes), outcome))


def found(folder: Path, before: Callable[[TrialSpec], Outcome], after: Callable[[TrialSpec], Outcome], **changes: object) -> Comparison:
    return compare(study(folder / "a", before, **changes), study(folder / "b", after, **changes))


def flat(trial: TrialSpec) -> Outcome:
    return {"loss": 2.0 + trial.seed}


def directions(comparison: Comparison) -> dict[str, str]:
    return {change.method: change.direction for change in comparison.changes}


def test_a_shift_common_to_all_seeds_is_found_although_seeds_differ_more(tmp_path: Path) -> None:
    def shifted(trial: TrialSpec) -> Outcome:
        return {"loss": 2.0 + trial.seed + (0.01 + 0.001 * trial.seed) * (trial.method == "right")}

    comparison = found(tmp_path, flat, shifted)
    assert directions(comparison) == {"left": "equal", "right": "worse"}
    (change,) = comparison.regressions
    assert change.difference.estimate == pytest.approx(0.012)
    assert change.before.estimate == pytest.approx(4.0)
    raw = stats.ttest_1samp([0.01 + 0.001 * seed for seed in range(5)], 0.0, alternative="greater").pvalue
    assert change.p == pytest.approx(raw), "the equal number is no part of the family, and a gate asks for worse alone"
    assert change.primary
    assert change.test == "paired"


@pytest.mark.parametrize(("better", "says"), [("lower", "better"), ("higher", "worse"), ("zero", "better"), ("none", "changed")])
def test_which_way_is_good_decides(tmp_path: Path, better: str, says: str) -> None:
    metrics = [Metric("loss", "nats", better)]
    smaller = found(tmp_path, lambda t: {"loss": 3.0 + t.seed}, lambda t: {"loss": 2.0 + t.seed}, metrics=metrics)
    assert set(directions(smaller).values()) == {says}
    assert bool(smaller.regressions) is (says == "worse")


def test_nearer_to_zero_counts_whatever_the_sign(tmp_path: Path) -> None:
    metrics = [Metric("loss", "", "zero")]
    across = found(tmp_path, lambda t: {"loss": -1.0 - 0.1 * t.seed}, lambda t: {"loss": 3.0 + 0.1 * t.seed}, metrics=metrics)
    assert set(directions(across).values()) == {"worse"}


def test_a_number_that_ranks_nothing_is_described_and_stops_no_gate(tmp_path: Path) -> None:
    metrics = [Metric("loss", "nats", "lower"), Metric("other", "", "lower"), Metric("third", "", "none")]
    first = {"loss": 1.0, "other": 1.0, "third": 1.0}

    def worse(trial: TrialSpec) -> Outcome:
        return {**first, "other": 2.0 + 0.1 * noise(trial, "a"), "third": 1.0 + 0.2 * noise(trial, "b")}

    comparison = found(
        tmp_path, lambda t: {**first, "other": 1.0 + 0.1 * noise(t), "third": 1.0 + 0.2 * noise(t, "c")}, worse, metrics=metrics
    )
    described = [change for change in comparison.changes if not change.primary]
    assert {(c.statistic, c.direction) for c in described} == {("other", "worse"), ("third", "undecided")}
    raw = [p_apart(change.loss) for change in described]
    assert [change.p for change in described] == pytest.approx(stats.false_discovery_control(raw))
    assert comparison.regressions == []


def test_what_a_clock_says_stops_no_gate_unless_it_is_given_a_tolerance(tmp_path: Path) -> None:
    metrics = [Metric("seconds", "s", "lower", timed=True)]
    sides = [
        study(tmp_path / n, lambda t, n=n, more=more: {"seconds": more + 0.1 * noise(t, n)}, metrics=metrics)
        for n, more in (("a", 1.0), ("b", 3.0))
    ]
    comparison = compare(*sides)
    assert {change.direction for change in comparison.changes} == {"worse"}
    assert comparison.primary == comparison.regressions == []
    assert [str(obstacle) for obstacle in comparison.obstacles] == [
        "nothing to judge: no number that ranks methods and no decided claim in common"
    ]
    tolerant = compare(*sides, tolerance=Tolerance(named={"seconds": 0.5}))
    assert {change.direction for change in tolerant.regressions} == {"inferior"}
    assert tolerant.obstacles == []


@pytest.mark.parametrize(("margin", "says"), [(0.05, "inferior"), (1.0, "may be inferior"), (4.0, "not inferior")])
def test_a_tolerance_asks_for_a_loss_that_is_excluded(tmp_path: Path, margin: float, says: str) -> None:
    losses = [0.4, 0.9, 1.4, 0.6, 1.2]
    metrics = [Metric("score", "points", "higher")]
    sides = [
        study(
            tmp_path / name, lambda t, lost=lost: {"score": 50.0 + noise(t) - lost * losses[t.seed] * (t.method == "left")}, metrics=metrics
        )
        for name, lost in (("a", 0), ("b", 1))
    ]
    comparison = compare(*sides, tolerance=Tolerance(margin))
    (change,) = [change for change in comparison.changes if change.method == "left"]
    assert change.direction == says
    assert bool(comparison.regressions) is (says != "not inferior")
    assert change.p == pytest.approx(stats.ttest_1samp(losses, margin, alternative="less").pvalue)
    assert {change.direction for change in comparison.changes if change.method == "right"} == {"equal"}


def test_rounding_is_no_regression(tmp_path: Path) -> None:
    metrics = [Metric("score", "", "higher")]
    comparison = found(tmp_path, lambda _: {"score": 1.0}, lambda _: {"score": 1.0 - 2.2e-16}, metrics=metrics)
    assert set(directions(comparison).values()) == {"equal"}
    single = found(tmp_path / "s", lambda t: {"score": 0.3 + t.seed}, lambda t: {"score": float(np.float32(0.3 + t.seed))}, metrics=metrics)
    assert set(directions(single).values()) == {"equal"}


@pytest.mark.parametrize(("examples", "says"), [(1, "equal"), (8, "worse")])
def test_one_example_in_every_seed_is_no_regression(tmp_path: Path, examples: int, says: str) -> None:
    metrics = [Metric("accuracy", "percent", "higher", counted=True)]

    def right(trial: TrialSpec, fewer: int = 0) -> Outcome:
        return {"accuracy": 100 * (330 + round(3 * noise(trial)) - fewer) / 360}

    comparison = found(tmp_path, right, lambda t: right(t, examples), metrics=metrics)
    assert set(directions(comparison).values()) == {says}


def test_a_number_that_no_seed_moves_is_compared_without_chance(tmp_path: Path) -> None:
    metrics = [Metric("flops", "count", "lower")]
    comparison = found(tmp_path, lambda _: {"flops": 100.0}, lambda t: {"flops": 100.0 + (t.method == "left")}, metrics=metrics)
    assert directions(comparison) == {"left": "worse", "right": "equal"}
    assert {change.test for change in comparison.changes} == {"exact"}
    assert [change.method for change in comparison.regressions] == ["left"]
    sides = [study(tmp_path / side, lambda t, more=more: {"flops": 100.0 + more}, metrics=metrics) for side, more in (("c", 0), ("d", 1))]
    assert compare(*sides, tolerance=Tolerance(1.0)).regressions == []
    assert compare(*sides, tolerance=Tolerance(0.5)).regressions != []


def test_what_would_have_been_seen_is_said_for_every_number_of_the_family(tmp_path: Path) -> None:
    comparison = found(tmp_path, lambda t: {"loss": noise(t)}, lambda t: {"loss": noise(t, "again")})
    for change in comparison.primary:
        assert change.detectable == pytest.approx(detectable(change.loss, LEVEL / 2))
        assert change.detectable > 0


def test_a_method_that_loses_seeds_fell_short_whatever_its_survivors_say(tmp_path: Path) -> None:
    def dies(trial: TrialSpec) -> Outcome:
        return "diverged" if (trial.method, trial.seed) == ("left", 3) else flat(trial)

    assert directions(found(tmp_path / "x", flat, dies))["left"] == "lost seeds"
    assert found(tmp_path / "x", flat, dies).regressions
    assert directions(found(tmp_path / "y", dies, dies))["left"] == "equal", "it was lost before"
    assert not found(tmp_path / "z", dies, flat).regressions


def test_a_replicate_loses_seeds_when_more_of_them_fail(tmp_path: Path) -> None:
    def dies(*seeds: int) -> Callable[[TrialSpec], Outcome]:
        return lambda trial: "diverged" if trial.seed in seeds else {"loss": noise(trial)}

    sides = [
        judge(study_of(tmp_path / n, task_of(), dies(*bad), first_seed=k))
        for n, k, bad in (("a", 0, (1,)), ("b", 5, (6,)), ("c", 5, (6, 7)))
    ]
    assert "lost seeds" not in directions(compare(sides[0], sides[1])).values()
    assert set(directions(compare(sides[0], sides[2])).values()) == {"lost seeds"}


def test_a_number_nobody_has_is_left_out(tmp_path: Path) -> None:
    metrics = [Metric("loss", "nats", "lower"), Metric("other", "", "none", optional=True)]
    assert {change.statistic for change in found(tmp_path, flat, flat, metrics=metrics).changes} == {"loss"}


def test_studies_of_several_experiments_are_compared(tmp_path: Path) -> None:
    train, time = experiment_of(), experiment_of(name="time", params=Timed, metrics=[Metric("seconds", "s", "lower")])
    scales = {"laptop": Scale(description="", grids=[Grid(train), Grid(time)], seeds=3, time_limit_s=1.0)}
    task = task_of(experiments=[train, time], scales=scales)
    sides = [
        judge(
            study_of(
                tmp_path / side,
                task,
                lambda t, more=more: {"loss": 1.0} if t.experiment == "train" else {"seconds": 1.0 + more * (1 + 0.1 * t.seed)},
            )
        )
        for side, more in (("a", 0.0), ("b", 1.0))
    ]
    comparison = compare(*sides)
    assert {(c.experiment, c.method): c.direction for c in comparison.changes} == {
        ("train", "left"): "equal",
        ("train", "right"): "equal",
        ("time", "left"): "worse",
        ("time", "right"): "worse",
    }
    assert comparison.remarks == comparison.obstacles == []


def gap(size: float, spread: float = 0.01, key: str = "") -> Callable[[TrialSpec], Outcome]:
    """Losses of `left` are larger by `size`."""
    return lambda trial: {"loss": 2.0 + spread * noise(trial, key) + size * (trial.method == "left")}


def test_verdicts_that_turned_beyond_chance_are_named_and_stop_the_gate(tmp_path: Path) -> None:
    comparison = found(tmp_path, gap(1.0), gap(-1.0, key="again"), claims=[difference_claim()])
    (turn,) = comparison.turns
    assert (turn.before, turn.after) == ("reproduced", "not reproduced")
    assert comparison.fallen == [turn]
    assert turn.p < 1e-4
    better = found(tmp_path / "up", gap(-1.0), gap(1.0), claims=[difference_claim()])
    assert len(better.turns) == 1
    assert better.fallen == []
    assert found(tmp_path / "same", gap(1.0), gap(1.0), claims=[difference_claim()]).turns == []


def test_a_fall_to_inconclusive_stops_a_strict_gate_and_only_beyond_chance(tmp_path: Path) -> None:
    task = {"claims": [difference_claim()]}
    before = study(tmp_path / "a", gap(1.0), **task)
    faded, shaken = study(tmp_path / "b", gap(0.0, key="x"), **task), study(tmp_path / "c", gap(1.0, spread=2.0, key="x"), **task)
    assert {v.verdict for side in (faded, shaken) for v in side.verdicts} == {"inconclusive"}
    assert compare(before, faded).fallen == []
    assert len(compare(before, faded, strict=True).fallen) == 1
    assert compare(before, faded, strict=True).level == LEVEL / 2, "numbers and claims share the level"
    assert compare(before, shaken, strict=True).fallen == [], "the verdict turned, its estimate did not"
    assert len(compare(before, shaken, strict=True).turns) == 1


@pytest.mark.parametrize("strict", [False, True])
def test_what_changed_for_the_worse_is_counted_whether_or_not_a_gate_stops_for_it(tmp_path: Path, strict: bool) -> None:
    task = {"claims": [difference_claim()]}
    before = study(tmp_path / "a", gap(1.0), **task)
    faded, shaken = study(tmp_path / "b", gap(0.0, key="x"), **task), study(tmp_path / "c", gap(1.0, spread=2.0, key="x"), **task)
    said = {}
    for name, after in (("faded", faded), ("shaken", shaken)):
        screen = io.StringIO()
        show(compare(before, after, strict=strict), Console(file=screen, width=200))
        said[name] = screen.getvalue()
    assert "1 of 1 verdicts changed, 1 for the worse beyond chance" in said["faded"]
    assert ("of these 1 is not refuted: only --strict may stop a gate for that" in said["faded"]) is not strict
    assert "1 of 1 verdicts changed, 0 for the worse beyond chance" in said["shaken"]
    assert "--strict" not in said["shaken"]


def test_a_claim_that_lost_every_seed_is_a_loss_of_seeds_and_no_obstacle(tmp_path: Path) -> None:
    def dies(trial: TrialSpec) -> Outcome:
        return "failed" if trial.method == "left" else gap(1.0, 0.0)(trial)

    task = {"claims": [difference_claim(exact=True)]}
    before, after = study(tmp_path / "a", gap(1.0, 0.0), **task), study(tmp_path / "b", dies, **task)
    found = compare(before, after)
    assert found.obstacles == []
    assert found.regressions, "the method that lost its seeds"
    assert [(turn.before, turn.after) for turn in found.turns] == [("reproduced", "not tested")]
    assert found.fallen == []
    assert [turn.claim for turn in compare(before, after, strict=True).fallen] == ["gap"]


def test_claims_that_were_reproduced_share_a_level(tmp_path: Path) -> None:
    claims = [difference_claim(id="one"), difference_claim(id="two"), difference_claim(Below(0.0), id="three")]
    comparison = found(tmp_path, gap(1.0), gap(0.9, spread=0.1, key="x"), claims=claims)
    raw = {turn.claim: turn.p for turn in comparison.claims}
    assert raw["one"] == raw["two"] == pytest.approx(2 * raw["three"]), "the third was refuted before: it cannot fall"


def test_an_exact_claim_falls_without_a_test(tmp_path: Path) -> None:
    comparison = found(tmp_path, gap(1.0, 0.0), gap(-1.0, 0.0), claims=[difference_claim(exact=True)])
    assert comparison.fallen == comparison.turns != []


def test_a_claim_that_is_not_tested_any_more_keeps_the_gate_from_judging(tmp_path: Path) -> None:
    before, after = (
        study(tmp_path / "a", gap(1.0), claims=[difference_claim()]),
        study(tmp_path / "b", gap(1.0), claims=[difference_claim(scales=["gpu"])]),
    )
    assert words(compare(before, after)) == {"toy at scale laptop: not tested any more: gap": ""}


def test_studies_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no task at one scale in common"):
        compare(study(tmp_path / "a", flat), study(tmp_path / "b", flat, id="other"))


def words(comparison: Comparison) -> dict[str, str]:
    """Sentences of what keeps a gate from judging, and the word that allows each."""
    return {obstacle.sentence: obstacle.allowed_by for obstacle in comparison.obstacles}


WIDE = {"grids": lambda train: [Grid(train, axes={"width": [8, 16]})]}
NARROW = {"grids": lambda train: [Grid(train, axes={"width": [8]})]}


@pytest.mark.parametrize(
    ("before", "after", "allow", "says"),
    [
        ({}, {"methods": ["right"]}, "", "the plan has no trial of left (train) any more"),
        ({}, {"seeds": 1}, "seeds", "seeds 1 to 4 are not planned any more"),
        ({}, {"first_seed": 3}, "seeds", "seeds 0 to 2 are not planned any more"),
        ({}, {"first_seed": 5}, "seeds", "no seed in common (0 to 4 before, 5 to 9 after), an independent replicate"),
        ({"task": WIDE}, {"task": NARROW}, "parameters", "2 of 4 cells are not planned any more, of left (train), right (train)"),
        ({"task": NARROW}, {"task": WIDE}, "parameters", "loss of left, loss of right: read from other parameters than before"),
        ({}, {"change": {"data_fingerprint": "f1"}}, "data", "the studies differ in the data: none before, f1 after"),
        ({}, {"change": {"version": 2}}, "version", "the studies differ in the version of the task: 1 before, 2 after"),
        ({}, {"change": {"source_digest": "ffff"}}, "source", "the source of the task: a1b2c3d4e5f6 before, ffff after"),
        ({}, {"change": {"device": "H100"}}, "device", "the device: AMD EPYC (2 cores) before, H100 after"),
        (
            {},
            {"change": {"versions": {"python": "3.11.9", "torch": "2.14.0"}}},
            "libraries",
            "the library versions: numpy 2.4.6, torch 2.13.0 before, numpy none, torch 2.14.0 after",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_gate_does_not_pass_on_absence(tmp_path: Path, before: dict[str, Any], after: dict[str, Any], allow: str, says: str) -> None:
    def side(name: str, *, task: Mapping[str, Any] = {}, change: Mapping[str, Any] = {}, **options: Any) -> Judgement:
        return judge(study_of(tmp_path / name, task_of(**task), lambda t: {"loss": noise(t)}, change=lambda _: dict(change), **options))

    sides = side("a", **before), side("b", **after)
    blind = compare(*sides)
    assert [word for sentence, word in words(blind).items() if says in sentence] == [allow]
    if allow:
        allowed = compare(*sides, allow=[allow])
        assert any(says in remark for remark in allowed.remarks)
        left = words(allowed)
        assert left == {} or after == {"seeds": 1}
        if after == {"seeds": 1}:
            assert list(left) == ["toy at scale laptop: loss of left, loss of right: fewer than two seeds to compare"]
    assert words(compare(sides[0], sides[0])) == {}


def test_a_task_that_is_gone_keeps_the_gate_from_judging(tmp_path: Path) -> None:
    first, second = task_of(), task_of(id="other")
    both, one = judge(study_of(tmp_path / "a", [first, second], flat)), judge(study_of(tmp_path / "b", first, flat))
    assert list(words(compare(both, one))) == ["toy-laptop has no trial of other at scale laptop"]
    assert words(compare(one, both)) == {}


def test_a_study_without_any_record_cannot_be_judged(tmp_path: Path) -> None:
    sides = study(tmp_path / "a", flat, claims=[difference_claim()]), study(tmp_path / "b", lambda _: None, claims=[difference_claim()])
    assert next(iter(words(compare(*sides)))) == "10 trials of toy-laptop have no record yet: run it to its end"
    assert words(compare(sides[1], sides[0])) == {"nothing to judge: no number that ranks methods and no decided claim in common": ""}


def test_a_replicate_is_compared_by_welchs_test(tmp_path: Path) -> None:
    sides = [judge(study_of(tmp_path / n, task_of(), lambda t: {"loss": noise(t)}, first_seed=k)) for n, k in (("a", 0), ("b", 5))]
    comparison = compare(*sides, allow=["seeds"])
    assert comparison.replicate
    for change in comparison.changes:
        old, new = ([noise(t) for t in side.study.plan if t.method == change.method] for side in sides)
        assert change.test == "Welch"
        assert p_above(change.loss) == pytest.approx(stats.ttest_ind(new, old, equal_var=False, alternative="greater").pvalue)


def test_a_task_whose_methods_ran_in_different_cells_is_compared_by_its_claims_alone(tmp_path: Path) -> None:
    def grids(train: Experiment) -> list[Grid]:
        return [Grid(train, axes={"width": [8]}, methods=("left",)), Grid(train, axes={"width": [16]}, methods=("right",))]

    comparison = found(tmp_path, flat, flat, grids=grids, claims=[difference_claim()])
    assert comparison.changes == []
    assert len(comparison.claims) == 1
    assert "only claims are compared" in comparison.remarks[0]


def test_holm_keeps_the_order_and_never_lowers() -> None:
    assert adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted([0.5, math.nan, 0.9])[1:] == pytest.approx([math.nan, 1.0], nan_ok=True)
    draws = np.random.default_rng(0).uniform(size=20).tolist()
    assert all(corrected >= p for p, corrected in zip(draws, adjusted(draws), strict=True))


Told = Callable[..., Said]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies of a task: `one`, its copy `two`, `large` at another parameter, `others` and `alone` at other seeds, `torn` mostly lost."""
    found = tmp_path_factory.mktemp("studies")
    run = ["run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none", "--store", str(found), "--study"]
    for name, *more in (
        ("one",),
        ("large", "--set", "size=32"),
        ("others", "--first-seed", "3"),
        ("alone", "--first-seed", "9", "--seeds", "1"),
    ):
        assert main([*run, name, *more]) == 0
    for name in ("two", "torn"):
        shutil.copytree(found / "one", found / name)
    ledger = found / "torn" / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:5]))
    return found


@pytest.fixture
def told(papertrial: Command, store: Path) -> Told:
    """`papertrial compare` in the store of these studies."""
    return lambda *words: papertrial("compare", *words, "--store", str(store))


def test_a_gate_does_not_pass_over_trials_that_have_no_record(told: Told) -> None:
    said = told("one", "torn")
    assert said.code == 0
    assert "torn: 13 of 18 planned trials have no record yet" in said.out
    assert "a gate cannot judge this: 13 trials of torn have no record yet: run it to its end" in said.out
    gated = told("one", "torn", "--gate")
    assert gated.code == 4
    assert "gate: cannot judge: 13 trials of torn have no record yet: run it to its end" in gated.out


def test_the_gate_through_the_command_line(told: Told, tmp_path: Path) -> None:
    same = told("one", "two", "--gate", "--csv", str(tmp_path / "differences.csv"))
    assert same.code == 0, same.err
    assert "0 of 1 verdicts changed" in same.out
    assert "gate: passed" in same.out
    rows = list(csv.DictReader((tmp_path / "differences.csv").open()))
    assert [(row["method"], row["direction"], row["n"]) for row in rows] == [("plain", "equal", "3"), ("shifted", "equal", "3")]
    assert told("one", "large").code == 0
    blind = told("one", "large", "--gate")
    assert blind.code == 4
    assert "6 of 6 cells are not planned any more, of plain (behave), shifted (behave) (meant? --allow parameters)" in blind.out
    gated = told("one", "large", "--gate", "--allow", "parameters")
    assert gated.code == 3
    assert "gate: 2 of 2 numbers fell short" in gated.out
    tolerant = told("one", "large", "--gate", "--allow", "parameters", "--tolerance", "value=1000")
    assert tolerant.code == 0, tolerant.out
    missing = told("one", "tow")
    assert missing.code == 2
    assert "did you mean 'two'?" in missing.err


def test_a_replicate_is_judged_when_it_is_asked_for(told: Told) -> None:
    blind = told("one", "others", "--gate")
    assert blind.code == 4
    assert "no seed in common (0 to 2 before, 3 to 5 after), an independent replicate (meant? --allow seeds)" in blind.out
    judged = told("one", "others", "--gate", "--allow", "seeds")
    assert judged.code == 0, judged.out
    assert "independent seeds (Welch's test)" in judged.out
    assert "would have been seen in 80 % of studies like these" in judged.out
    assert told("one", "alone", "--gate", "--allow", "seeds").code == 4


def test_mistakes_get_one_sentence(told: Told) -> None:
    for mistake, says in (
        (["--allow", "date"], "unknown --allow: 'date'; did you mean 'data'?"),
        (["--allow", "data,,seeds"], "unknown --allow: ''"),
        (["--tolerance", "much"], "--tolerance takes NUMBER or STATISTIC=NUMBER, at least 0, not 'much'"),
        (["--tolerance", "-1"], "not '-1'"),
        (["--tolerance", "nan"], "not 'nan'"),
        (["--tolerance", "=1"], "not '=1'"),
        (["--tolerance", "1,2"], "says twice what every number may lose"),
        (["--tolerance", "valu=1"], "unknown statistic: 'valu'; did you mean 'value'?"),
    ):
        said = told("one", "two", *mistake)
        assert said.code == 2
        assert says in said.err
        assert len(said.err.strip().splitlines()) == 1
