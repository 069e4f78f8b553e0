"""Verdicts of seeds of which some are only bounds: what they decide, what they leave open, how often they err."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness import report
from harness import verdict as verdicts
from harness.bounds import POSITIVE
from harness.censoring import reached
from harness.compare.changes import Change, changes
from harness.compare.family import judged as judged_changes
from harness.compare.pairs import Pair
from harness.ends import Ends
from harness.estimates import Reading, paired, ratio
from harness.evidence import Evidence
from harness.judgement import Ruling, judge
from harness.leaderboard import Board
from harness.partial import FACTOR, Partial
from harness.plan import TrialSpec
from harness.report.tables import HOW_CENSORED, leaderboard_csv, leaderboard_markdown
from harness.report.verdicts import verdicts_csv, verdicts_markdown
from harness.rule import OUTCOMES
from harness.stats import Sample
from harness.task import Above, Below, Claim, Metric, Region, Within
from harness.verdict import Verdict
from tests.harness.fabricated import noise, study_of, task_of

STEPS = Metric("steps", "steps", "lower", censored=True, bounds=POSITIVE)
CAP = 1000.0


def claim_of(holds: Region, **changes: Any) -> Claim:
    """On the paired difference of steps, left minus right."""
    fields: dict[str, Any] = {"id": "gap", "statement": "left is slower", "source": "abstract", "unit": "steps"}
    return Claim(holds=holds, **(fields | {"estimate": paired("left", "right", Reading("train", "steps"))} | changes))


def judged(folder: Path, claim: Claim, left: Any, right: Any, **changes: Any) -> Verdict:
    """The verdict where trials took these steps, one a seed: those beyond the cap are bounds."""

    def outcome(trial: TrialSpec) -> Mapping[str, float] | str:
        steps = (left if trial.method == "left" else right)[trial.seed]
        return "oom" if math.isnan(steps) else reached("steps", min(steps, CAP), steps > CAP)

    task = task_of(metrics=[STEPS], claims=[claim], seeds=len(left), **changes)
    (found,) = verdicts.decide(Evidence(study_of(folder, task, outcome), task, "laptop"))
    return found


NEVER = [2000.0] * 5
EARLY = [300.0, 310.0, 290.0, 305.0, 295.0]


def test_a_bound_decides_on_its_own_side(tmp_path: Path) -> None:
    found = judged(tmp_path, claim_of(Above(0.0)), NEVER, EARLY)
    assert found.verdict == "reproduced"
    assert found.censored == 5
    assert "5 of 5 seeds are lower bounds: not reached within the budget" in found.reason
    assert str(found.interval) == "≥ 700 [688, ∞]"
    sample = Sample.of([CAP - steps for steps in EARLY])
    assert found.interval.low == pytest.approx(sample.interval(1 - 0.05 / FACTOR).low)
    assert math.isnan(found.effect)
    assert math.isnan(found.ratio)
    turned = judged(tmp_path / "turned", claim_of(Above(0.0)), EARLY, NEVER)
    assert turned.verdict == "not reproduced"
    assert str(turned.interval).startswith("≤ -700 [-∞, ")


@pytest.mark.parametrize("holds", [Below(5000.0), Within(100.0, 5000.0), Below(800.0)])
def test_a_bound_decides_nothing_on_the_other_side(tmp_path: Path, holds: Region) -> None:
    found = judged(tmp_path, claim_of(holds), NEVER, EARLY)
    assert found.verdict == "inconclusive", "as values the bounds would lie inside"
    assert "The numbers behind the bounds could overturn" in found.reason
    assert "5 of 5 seeds are lower bounds" in found.reason


def test_a_claim_below_is_refuted_by_bounds_beyond_it(tmp_path: Path) -> None:
    assert judged(tmp_path, claim_of(Below(500.0)), NEVER, EARLY).verdict == "not reproduced"
    assert judged(tmp_path / "within", claim_of(Within(0.0, 500.0)), NEVER, EARLY).verdict == "not reproduced"


def test_where_neither_method_arrives_nothing_is_known(tmp_path: Path) -> None:
    steps = Reading("train", "steps")
    for place, estimate in enumerate((paired("left", "right", steps), ratio("left", "right", steps))):
        found = judged(tmp_path / str(place), claim_of(Above(0.5), estimate=estimate), NEVER, NEVER)
        assert found.verdict == "inconclusive"
        assert "5 of 5 seeds" in found.reason
        assert found.censored == 5
    assert str(judged(tmp_path, claim_of(Above(0.0)), NEVER, NEVER).interval) == "unknown"


def test_one_seed_that_is_open_on_the_wrong_side_leaves_the_claim_open(tmp_path: Path) -> None:
    right = [*EARLY[:4], 2000.0]
    found = judged(tmp_path, claim_of(Above(0.0)), [*[900.0, 910.0, 905.0, 890.0], 800.0], right)
    assert found.verdict == "inconclusive", "the fifth difference is at most -200"
    assert "1 of 5 seeds are upper bounds" in found.reason
    assert found.interval.low == -math.inf


def test_a_lost_seed_is_still_lost(tmp_path: Path) -> None:
    found = judged(tmp_path, claim_of(Above(0.0)), [*NEVER[:4], math.nan], EARLY)
    assert found.verdict == "inconclusive"
    assert found.lost == 1
    assert "1 of 5 seeds were lost" in found.reason
    assert "4 of 4 seeds are lower bounds" in found.reason


def test_equal_bounds_count_by_their_signs_from_five_seeds_on(tmp_path: Path) -> None:
    never = claim_of(Above(500.0), estimate=Reading("train", "steps").of("left"), bounds=POSITIVE)
    five = judged(tmp_path, never, NEVER, EARLY)
    assert five.verdict == "reproduced"
    assert five.p == 0.5**5
    assert str(five.interval) == "≥ 1,000 [1,000, ∞]"
    four = judged(tmp_path / "four", never, NEVER[:4], EARLY[:4])
    assert four.verdict == "inconclusive"
    assert "under 5 seeds bounds decide nothing" in four.reason
    primary = replace(never, primary=True)
    both = task_of(metrics=[STEPS], claims=[primary, replace(primary, id="again")], seeds=5)
    study = study_of(tmp_path / "both", both, lambda trial: reached("steps", CAP, trial.method == "left"))
    assert [v.verdict for v in verdicts.decide(Evidence(study, both, "laptop"))] == ["inconclusive"] * 2, "Holm: twice 2^-5 is over 5 %"


@pytest.mark.parametrize(
    ("holds", "verdict"), [(Above(500.0), "reproduced"), (Below(900.0), "not reproduced"), (Below(5000.0), "inconclusive")]
)
def test_an_exact_claim_on_bounds(tmp_path: Path, holds: Region, verdict: str) -> None:
    claim = claim_of(holds, exact=True, estimate=Reading("train", "steps").of("left"))
    assert judged(tmp_path, claim, NEVER, EARLY).verdict == verdict


def test_without_bounds_a_censored_metric_is_judged_as_any_other(tmp_path: Path) -> None:
    left, right = [600.0 + 3 * s for s in range(5)], EARLY
    found = judged(tmp_path, claim_of(Above(0.0)), left, right)
    plain = Sample.of([a - b for a, b in zip(left, right, strict=True)]).interval()
    assert (found.interval, found.censored, found.verdict) == (plain, 0, "reproduced")


def test_a_companion_that_a_record_lacks_makes_a_bound(tmp_path: Path) -> None:
    """As in a study from before the metric was declared censored: a number that may be the last step passes for no value."""
    task = task_of(metrics=[STEPS], claims=[claim_of(Above(0.0))])
    study = study_of(tmp_path, task, lambda trial: {"steps": CAP if trial.method == "left" else 300 + noise(trial)})
    (found,) = verdicts.decide(Evidence(study, task, "laptop"))
    assert found.verdict == "inconclusive"
    assert found.censored == 5


def decided(low: np.ndarray, high: np.ndarray, edge: float = 0.0) -> np.ndarray:
    """(studies,): places in OUTCOMES of claims to lie above an edge, by the code that judges; 40 µs a study."""
    found = []
    for lows, highs in zip(low, high, strict=True):
        if (lows == highs).all():
            sample = Sample.of(lows.tolist())
            p, mean = sample.p(Above(edge)), sample.estimate
            found.append(2 if not p < 0.05 else 0 if mean > edge else 1)
            continue
        within, outside = Partial(Ends(lows, highs)).p(Above(edge))
        found.append(2 if not min(within, outside) < 0.05 else 0 if within <= outside else 1)
    return np.array(found)


@pytest.mark.parametrize(("n", "most", "one_sided"), [(5, 0.062, 0.040), (10, 0.053, 0.033)])
@pytest.mark.parametrize("cap", [0.05, 0.5, 1.0])
def test_a_mean_on_the_edge_is_called_wrong_as_seldom_as_promised(n: int, most: float, one_sided: float, cap: float) -> None:
    """Normal seeds with mean 0, right-censored at caps just above and far above it: 31 to 48 % of all seeds are bounds, or 16 %.

    Caps differ a little, so that equal values do not keep them from deciding. 200,000 studies err in .033 and .024 on the
    bounds' side and .058 and .048 at all; the limits are above those, and three sd of 3,000 studies.
    """
    random = np.random.default_rng(n)
    true = random.normal(size=(3000, n))
    caps = cap + 1e-4 * random.normal(size=true.shape)
    low, high = np.minimum(true, caps), np.where(true > caps, np.inf, true)
    outcomes = decided(low, high)
    assert (outcomes == OUTCOMES.index("reproduced")).mean() < one_sided + 3 * math.sqrt(one_sided / 3000)
    assert (outcomes != OUTCOMES.index("inconclusive")).mean() < most + 3 * math.sqrt(most / 3000)


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_two_equal_methods_that_are_cut_off_are_called_different_in_under_5_percent(n: int, share: float) -> None:
    random = np.random.default_rng(1)
    left, right = random.normal(size=(2, 3000, n))
    cap = stats.norm.ppf(1 - share)
    a, b = (np.minimum(times, cap) for times in (left, right))
    low, high = np.where(right > cap, -np.inf, a - b), np.where(left > cap, np.inf, a - b)
    assert (decided(low, high) != OUTCOMES.index("inconclusive")).mean() < 0.05


def test_the_limit_of_a_bounded_mean_covers_it() -> None:
    """The truth lies above the limit in 97.5 % of studies or more; the interval of bounds as values covers it in 92 to 93."""
    random = np.random.default_rng(2)
    true = random.normal(size=(3000, 10))
    low, high = np.minimum(true, 0.5), np.where(true > 0.5, np.inf, true)
    limits = np.array([Partial(Ends(a, b)).interval().low for a, b in zip(low, high, strict=True)])
    assert (limits < 0).mean() > 0.97
    naive = [Sample.of(values.tolist()).interval() for values in low]
    assert np.mean([own.low < 0 < own.high for own in naive]) < 0.94, "bounds as values put the mean too low"


def test_planted_effects_are_found_through_bounds() -> None:
    random = np.random.default_rng(4)
    true = random.normal(2.0, 1.0, size=(400, 10))
    low, high = np.minimum(true, 2.0), np.where(true > 2.0, np.inf, true)
    assert (decided(low, high) == OUTCOMES.index("reproduced")).mean() > 0.95


def board_of(folder: Path, left: list[float], right: list[float], **changes: Any) -> Board:
    """The leaderboard of the steps that trials took, those beyond the cap bounds."""
    task = task_of(metrics=[STEPS], seeds=len(left), **changes)

    def outcome(trial: TrialSpec) -> Mapping[str, float]:
        steps = (left if trial.method == "left" else right)[trial.seed]
        return reached("steps", min(steps, CAP), steps > CAP)

    (found,) = judge(study_of(folder, task, outcome)).boards
    return found


def test_a_board_shows_bounds_and_ranks_by_what_is_known(tmp_path: Path) -> None:
    board = board_of(tmp_path, [*NEVER[:3], 900.0, 920.0], EARLY)
    assert [row.method for row in board.rows] == ["right", "left"]
    assert [str(row.standing) for row in board.rows] == ["1", "2"], "a mean of at least 964 lies above 300 whatever the bounds hide"
    best, cut = board.rows
    assert best.entries["steps"].text == "299.9 [290.3, 309.9]"
    assert cut.entries["steps"].text.startswith("≥ 963 [")
    assert cut.entries["steps"].text.endswith(", ∞] (3/5 not reached)")
    assert cut.standing is not None
    assert str(cut.standing.behind).startswith("≥ ")
    assert math.isnan(cut.standing.p_best)
    assert [column.name for column in board.statistics] == ["steps"], "a companion is no column"
    lines = list(csv.DictReader(io.StringIO(leaderboard_csv([board]))))
    said = [(line["method"], line["bound"], line["censored"]) for line in lines]
    assert said == [("right", "", "0"), ("left", ">=", "3")]
    assert lines[1]["high"] == "inf"


def test_bounds_below_the_other_methods_numbers_rank_nobody(tmp_path: Path) -> None:
    """The bounds are lower, which as values is better; the numbers behind them may be larger."""
    task = task_of(metrics=[STEPS], seeds=5)
    study = study_of(tmp_path, task, lambda t: reached("steps", (200.0 if t.method == "left" else 400.0) + noise(t), t.method == "left"))
    (board,) = judge(study).boards
    assert {str(row.standing) for row in board.rows} == {"1–2"}


def test_methods_of_which_none_arrives_have_no_place(tmp_path: Path) -> None:
    board = board_of(tmp_path, NEVER, NEVER)
    assert {str(row.standing) for row in board.rows} == {"1–2"}
    assert all(row.entries["steps"].text == "≥ 1,000 [1,000, ∞] (5/5 not reached)" for row in board.rows)


def test_reports_say_which_numbers_are_bounds(tmp_path: Path) -> None:
    task = task_of(metrics=[STEPS], claims=[claim_of(Above(0.0)), claim_of(Below(5000.0), id="below")], seeds=5)
    study = study_of(tmp_path, task, lambda t: reached("steps", CAP if t.method == "left" else EARLY[t.seed], t.method == "left"))
    judgement = judge(study)
    verdict_lines = list(csv.DictReader(io.StringIO(verdicts_csv(judgement.verdicts))))
    assert [(line["verdict"], line["bound"], line["censored"]) for line in verdict_lines] == [
        ("reproduced", ">=", "5"),
        ("inconclusive", ">=", "5"),
    ]
    assert "≥ 700 [688, ∞] steps" in verdicts_markdown("toy", judgement.verdicts)
    assert "5 (5 not reached)" in verdicts_markdown("toy", judgement.verdicts)
    written = report.write(judgement.study.store, report.files(judgement))
    page = Path(written["report.html"]).read_text()
    assert "≥ 700 [688, ∞]" in page
    assert "(5/5 not reached)" in page
    assert HOW_CENSORED in leaderboard_markdown("toy", judgement.rulings)
    assert "nan%" not in page
    assert "inf%" not in page


def test_two_studies_of_bounds_are_equal_or_say_nothing(tmp_path: Path) -> None:
    task = task_of(metrics=[STEPS], claims=[claim_of(Above(0.0))], seeds=5)

    def study(name: str, cap: float) -> Ruling:
        of = study_of(tmp_path / name, task, lambda t: reached("steps", cap if t.method == "left" else EARLY[t.seed], t.method == "left"))
        return judge(of).rulings[0]

    one, other = study("one", 1000.0), study("other", 2000.0)
    same, longer = ({c.method: c for c in judged_changes(list(changes(Pair(one, after))))} for after in (study("again", 1000.0), other))
    assert {c.direction for c in same.values()} == {"equal"}
    assert longer["left"].direction == "undecided", "a larger budget is no slower method"
    assert longer["right"].direction == "equal"


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_method_that_no_longer_arrives_is_worse_and_a_budget_makes_none_better(tmp_path: Path, better: str) -> None:
    """Of times; of a number that is best large the same bounds are a gain."""
    metric = replace(STEPS, better=better)  # type: ignore[arg-type]
    task = task_of(metrics=[metric], seeds=7)

    def study(name: str, left: float, cap: float) -> Ruling:
        def outcome(trial: TrialSpec) -> Mapping[str, float]:
            steps = left + 10 * noise(trial) if trial.method == "left" else 300.0 + trial.seed
            return reached("steps", min(steps, cap), steps > cap)

        return judge(study_of(tmp_path / name, task, outcome)).rulings[0]

    early, never, brief = study("early", 300.0, 1000.0), study("never", 3000.0, 1000.0), study("brief", 3000.0, 50.0)

    def left(before: Ruling, after: Ruling) -> Change:
        (found,) = (c for c in judged_changes(list(changes(Pair(before, after)))) if c.method == "left")
        return found

    lost, won = left(early, never), left(never, early)
    assert (lost.direction, won.direction) == (("worse", "better") if better == "lower" else ("better", "worse"))
    assert lost.p == won.p == 0.5**7
    assert (lost.after.mean, won.before.mean) == ("≥ 1,000", "≥ 1,000")
    assert (str(lost.difference)[:4], str(won.difference)[:5]) == ("≥ 70", "≤ -70")
    assert (lost.difference.high, won.difference.low) == (math.inf, -math.inf)
    assert left(early, brief).direction == "undecided", "at least 50 is not less than 300"
    assert left(brief, early).direction == "undecided"
    assert left(never, brief).direction == "undecided"


def test_a_number_that_does_not_say_what_it_is_passes_for_a_bound(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> Mapping[str, float]:
        steps = 10.0 + trial.seed
        return {"steps": steps} if (trial.seed, trial.method) == (2, "left") else reached("steps", steps, False)

    task = task_of(metrics=[STEPS], seeds=4)
    found = Evidence(study_of(tmp_path, task, outcome), task, "laptop").per_seed(Reading("train", "steps"), "left")
    assert found.ranges == {2: (12.0, math.inf)}
    assert found.values == {0: 10.0, 1: 11.0, 2: 12.0, 3: 13.0}
