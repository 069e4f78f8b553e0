"""Studies redrawn without any effect: their rates are those that statistics promises, and each is judged as a real study would be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.bounds import POSITIVE, SHARE
from harness.censoring import reached
from harness.claims import All, best_of, better, equivalent, fitted, slope
from harness.estimates import Difference, Mean, Of, paired, ratio
from harness.evidence import Evidence
from harness.frames import records_frame
from harness.noise import NOT_DRAWN, Redrawn, Scatter, judged, rates, redraw
from harness.plan import Overrides, TrialSpec, expand
from harness.rule import OUTCOMES
from harness.sweeps import Sweep
from harness.task import Above, Below, Claim, Grid, Method, Metric, Task, Within, param
from harness.verdict import decide
from tests.harness.fabricated import experiment_of, noise, record_of, study_of, task_of


@dataclass(frozen=True)
class Params:
    width: int = param(64, "width")
    lr: float = param(0.1, "rate")


METRICS = [
    Metric("loss", "nats", "lower"),
    Metric("val_loss", "nats", "lower"),
    Metric("right", "percent", "higher", counted=True),
    Metric("share", "share", "higher", bounds=SHARE),
    Metric("size", "parameters", "none"),
    Metric("rare", "", "none", methods=("d",)),
]
TRAIN = experiment_of(metrics=METRICS, params=Params, tuned=Sweep("lr", by="val_loss"))
LETTERS = "abcdefghijklm"
LOSS = TRAIN["loss"]


def toy(claims: Sequence[Claim], *, methods: str = "abcd", rates_: Sequence[float] = (0.1, 0.2), seeds: int = 5) -> Task:
    grids = lambda train: [Grid(train, axes={"width": (8, 16, 32), "lr": rates_})]  # noqa: E731
    named = [Method(letter, "rival") for letter in methods]
    return task_of(experiment=TRAIN, methods=named, grids=grids, claims=list(claims), seeds=seeds)


def claim(id: str, estimate: Any, holds: Any, **about: Any) -> Claim:
    return Claim(id=id, statement=id, source="abstract", estimate=estimate, holds=holds, **about)


def drawn(task: Task, studies: int, records: Any = None, seed: int = 0) -> Redrawn:
    return redraw(task, "laptop", studies=studies, random=np.random.default_rng(seed), records=records)


def recorded(task: Task) -> Any:
    """A study in which the methods differ a lot: noise of standard deviation 0.1, log-normal sizes fixed by width, shares of 40 images."""

    def left(trial: TrialSpec) -> dict[str, float]:
        level = 5.0 * LETTERS.index(trial.method)
        numbers = {
            "loss": level + 0.1 * noise(trial) - 20.0,
            "val_loss": noise(trial, "val") - 3.0,
            "right": 2.5 * round(20 + 0.4 * noise(trial, "right")),
            "share": 1 / (1 + math.exp(-noise(trial, "share"))),
            "size": 10.0 * trial.params["width"],
        }
        return numbers | ({"rare": 1.0} if trial.method == "d" else {})

    return records_frame([record_of(trial, left(trial)) for trial in expand(task, "laptop", Overrides(), {})])


def test_a_redrawn_study_is_judged_as_a_real_one(tmp_path: Path) -> None:
    """Claims of every kind whose outcomes vary: the same numbers as records of a study get the same verdicts."""
    near = {name: paired(name, "a", LOSS) for name in "bcd"}
    claims = [
        claim("control", near["b"], Above(0.12)),
        *(claim(f"primary-{name}", near[name], Above(-0.1), primary=True) for name in "bcd"),
        claim("all", All(tuple(near.values())), Above(-0.12)),
        claim("all-primary", All(tuple(near.values())), Below(-0.1), primary=True),
        claim("stands", near["c"], Above(-0.06), stands_on=["control"]),
        claim("counted", paired("a", "b", TRAIN["right"].untuned()), Within(-2.4, 2.4)),
        claim("share", TRAIN["share"].of("a"), Above(0.45), bounds=SHARE),
        claim("count", Of("a", Mean("size")), Above(1.0)),
        claim("exact", LOSS.of("b"), Below(-12.5), exact=True),
        claim("frame", lambda frame: float(frame.loc[frame["method"] == "a", "metric.loss"].mean()) + 12.5, Above(-0.03)),
        *slope("slope", "a", TRAIN["share"].untuned(), over="width", holds=Below(0.1), source="t"),
    ]
    task = toy(claims)
    redrawn = drawn(task, 9, recorded(task))
    alone, whole = judged(redrawn, slow=9)
    seen: set[tuple[str, int]] = set()
    for study in range(redrawn.studies):
        frames = [redrawn.table.frame(study * redrawn.seeds + seed) for seed in range(redrawn.seeds)]

        def left(trial: TrialSpec, frames: Any = frames) -> dict[str, float]:
            frame = frames[trial.seed]
            (row,) = np.flatnonzero(
                (frame["method"] == trial.method)
                & (frame["param.width"] == trial.params["width"])
                & (frame["param.lr"] == trial.params["lr"])
            )
            return {m.name: float(frame[f"metric.{m.name}"].iloc[row]) for m in METRICS if m.returned_by(trial.method)}

        verdicts = decide(Evidence(study_of(tmp_path / str(study), task, left), task, "laptop"))
        assert [v.verdict for v in verdicts] == [OUTCOMES[place] for place in whole[:, study]], study
        seen |= {(v.claim, place) for v, place in zip(verdicts, whole[:, study], strict=True)}
    assert len(seen) > 20, "most claims end in more than one way"
    assert ("stands", OUTCOMES.index("not tested")) in seen
    assert (alone != whole).any(), "primary claims are held together"


def test_a_contrast_of_two_methods_errs_at_its_level() -> None:
    found = rates(drawn(toy(better("gap", "a", "b", LOSS, source="t")), 8000), slow=0).rates[0]
    assert found.reproduced == pytest.approx(0.025, abs=0.006)
    assert found.refuted == pytest.approx(0.025, abs=0.006)
    assert found.inconclusive == pytest.approx(0.95, abs=0.01)


def test_claims_that_noise_satisfies_are_seen() -> None:
    share = TRAIN["share"].untuned()
    task = toy(
        [
            *slope("linear", "a", share, over="width", holds=Below(1.1), source="t"),
            *slope("null", "a", share, over="width", holds=Below(1.1), source="t", null=1.1),
            *slope("is-linear", "a", share, over="width", holds=Within(0.9, 1.1), source="t"),
            *equivalent("margin", "a", "b", LOSS, margin=5.0, source="t"),
            claim("chosen", Difference(TRAIN["val_loss"].of("a"), TRAIN["val_loss"].untuned().of("b")), Below(0.0), null=0.0),
            *best_of("best", "a", "bcd", LOSS, source="t"),
        ]
    )
    found = {rate.claim.id: rate for rate in rates(drawn(task, 2000), slow=0).rates}
    assert found["linear"].reproduced > 0.98
    assert found["null"].reproduced > 0.98, "a trend has its null where parameters are exchangeable, whatever is declared"
    assert found["is-linear"].reproduced == 0.0
    assert found["margin"].reproduced > 0.99
    assert found["chosen"].reproduced > 0.15, "the better of two is below their mean: a null at 0 does not hide it"
    assert found["best"].reproduced < 0.01


def test_a_level_is_at_home_where_the_claim_says_that_no_effect_is() -> None:
    most, apart = TRAIN["share"].of("a"), Difference(TRAIN["share"].of("a"), Of("a", Mean("size")))
    task = toy(
        [
            claim("bare", most, Above(0.2)),
            claim("null", most, Above(0.2), null=0.2, bounds=SHARE),
            claim("apart", apart, Below(0.0), null=0.0),
        ]
    )
    found = {rate.claim.id: rate.reproduced for rate in rates(drawn(task, 4000, recorded(task)), slow=0).rates}
    assert found["bare"] > 0.9
    assert found["null"] == pytest.approx(0.025, abs=0.01)
    assert found["apart"] == pytest.approx(0.025, abs=0.01)


def test_families_are_counted_and_primary_claims_held() -> None:
    """Twelve pairs of methods that nothing joins: one-sided errors of .025 each add up to .26, and to .025 when held together."""
    pairs = list(zip("abcdef", "ghijkl", strict=True))
    single = [one for a, b in pairs for one in better(f"{a}{b}", a, b, TRAIN["loss"].untuned(), source="t")]
    other = [one for a, b in pairs for one in better(f"{a}{b}-share", a, b, TRAIN["val_loss"].untuned(), source="t")]
    task = toy([*single, *other], methods=LETTERS)
    found = rates(drawn(task, 4000), slow=0)
    assert (found.family.claims, found.primary.claims, found.primary.rate) == (12, 0, 0.0)
    assert found.family.rate == pytest.approx(1 - 0.975**12, abs=0.025)
    primary = [one for a, b in pairs for one in better(f"{a}{b}", a, b, TRAIN["loss"].untuned(), source="t", primary=True)]
    held = rates(drawn(toy(primary, methods=LETTERS), 4000), slow=0)
    assert held.primary.claims == 6
    assert held.primary.rate == pytest.approx(0.025, abs=0.01)
    equal = [one for a, b in pairs for one in equivalent(f"{a}{b}", a, b, TRAIN["loss"].untuned(), margin=9.0, source="t", primary=True)]
    right = rates(drawn(toy(equal, methods=LETTERS), 20), slow=0)
    assert (right.primary.claims, right.rates[0].reproduced) == (0, 1.0), "no effect is what an equivalence says"
    kept = claim("kept", paired("a", "b", LOSS), Above(0.0), aim="not worse", margin_source="ours", null=0.0, primary=True)
    assert rates(drawn(toy([kept]), 20), slow=0).primary.claims == 1, "a share of a gain is kept by no effect at the edge alone"


def test_methods_are_exchanged_and_what_never_varies_stays() -> None:
    task = toy(better("gap", "b", "a", LOSS, source="t"))
    redrawn = drawn(task, 400, recorded(task))
    frame = redrawn.table.frame(0)
    assert (frame["metric.size"] == 10.0 * frame["param.width"]).all()
    assert set(frame.loc[frame["metric.rare"].notna(), "method"]) == {"d"}
    loss = redrawn.table.metric("loss")
    assert loss.mean() == pytest.approx(-12.5, abs=0.05), "the mean of the experiment, whatever the method"
    assert loss.mean(axis=0) == pytest.approx(np.full(loss.shape[1], loss.mean()), abs=0.01)
    assert loss.std(axis=0) == pytest.approx(np.full(loss.shape[1], 0.1), rel=0.2), "the spread inside cells, not between methods"
    right = redrawn.table.metric("right")
    assert np.abs(right / 2.5 - np.round(right / 2.5)).max() < 1e-9, "whole examples"
    share = redrawn.table.metric("share")
    assert (share > 0).all()
    assert (share < 1).all()


def test_a_claim_whose_numbers_are_alike_in_every_seed_leaves_nothing_to_chance() -> None:
    size = Claim(id="size", statement="large", source="t", estimate=Of("a", Mean("size")), holds=Above(1.0))
    task = toy([*better("gap", "b", "a", LOSS, source="t"), size])
    found = {rate.claim.id: rate.varies for rate in rates(drawn(task, 40, recorded(task)), slow=0).rates}
    assert found == {"gap": True, "size": False}


def test_scatter_is_pooled_inside_cells() -> None:
    cells = [np.array([1.0, 3.0]), np.array([-11.0, -13.0, -12.0])]
    found = Scatter.of(Metric("x", "", "none"), cells)
    assert found.centre == pytest.approx(-32.0 / 5)
    assert found.spread == pytest.approx(math.sqrt((2.0 + 2.0) / 3))
    positive = Scatter.of(Metric("x", "", "none"), [np.exp([1.0, 3.0])])
    assert (positive.bounds, positive.centre, positive.spread) == (POSITIVE, pytest.approx(2.0), pytest.approx(math.sqrt(2.0)))
    full = Scatter.of(Metric("x", "", "none", bounds=SHARE), [np.array([0.5, 1.0, 1.0])])
    assert full.cut
    numbers = full.draw(np.random.default_rng(0), (100, 3))
    assert numbers.max() == 1.0
    assert numbers.min() >= 0.0


def test_slow_claims_are_asked_of_a_few_studies() -> None:
    by_frame = claim("frame", lambda frame: float(frame["metric.loss"].mean()), Above(0.0))
    law = fitted("law", "a", LOSS.untuned(), law="power-law", quantity="a", along={"width": "x"}, holds=Above(0.0), source="t")
    redrawn = drawn(toy([by_frame, *better("gap", "a", "b", LOSS, source="t"), *law]), 40)
    alone, _ = judged(redrawn, slow=3)
    assert (alone[[0, 2], 3:] == NOT_DRAWN).all()
    assert (alone[[0, 2], :3] != NOT_DRAWN).all()
    assert (alone[1] != NOT_DRAWN).all()
    assert [rate.studies for rate in rates(redrawn, slow=3).rates] == [3, 40, 3]


def test_a_redrawn_study_is_cut_off_where_the_recorded_one_was_and_judged_through_its_bounds(tmp_path: Path) -> None:
    """Times that are log-normal in every width, given up at 12: the same numbers as records of a study get the same verdicts."""
    train = experiment_of(metrics=[Metric("steps", "steps", "lower", bounds=POSITIVE, censored=True)], params=Params)
    steps = train["steps"]
    claims = [
        claim("gap", paired("a", "b", steps), Below(0.0), null=0.0),
        claim("late", steps.of("a"), Above(9.0), bounds=POSITIVE),
        claim("exact", steps.of("b"), Below(11.0), exact=True),
        claim("ratio", ratio("a", "b", steps), Within(0.5, 1.2), bounds=POSITIVE, null=1.0),
        *slope("slope", "a", steps, over="width", holds=Below(0.6), source="t"),
    ]
    named = [Method(letter, "rival") for letter in "ab"]
    grids = lambda own: [Grid(own, axes={"width": (8, 16, 32, 64)})]  # noqa: E731
    task = task_of(experiment=train, methods=named, grids=grids, claims=claims, seeds=5)

    def met(trial: TrialSpec) -> dict[str, float]:
        own = 10 * math.exp(0.5 * noise(trial))
        return reached("steps", min(own, 12.0), own > 12.0)

    records = records_frame([record_of(trial, met(trial)) for trial in expand(task, "laptop", Overrides(), {})])
    redrawn = drawn(task, 30, records)
    marks, values = redrawn.table.metric("steps_censored"), redrawn.table.metric("steps")
    assert 0.1 < marks.mean() < 0.6
    assert ((values == 12.0) == (marks == 1.0)).all()
    assert (values <= 12.0).all()
    _, whole = judged(redrawn, slow=0)
    for study in range(redrawn.studies):

        def left(trial: TrialSpec, study: int = study) -> dict[str, float]:
            frame = redrawn.table.frame(study * redrawn.seeds + trial.seed)
            row = frame[(frame["method"] == trial.method) & (frame["param.width"] == trial.params["width"])].iloc[0]
            return reached("steps", float(row["metric.steps"]), bool(row["metric.steps_censored"]))

        verdicts = decide(Evidence(study_of(tmp_path / str(study), task, left), task, "laptop"))
        assert [v.verdict for v in verdicts] == [OUTCOMES[place] for place in whole[:, study]], study
    assert len({tuple(whole[:, study]) for study in range(redrawn.studies)}) > 3, "claims end in more than one way"
    plain = drawn(task, 3)
    assert not plain.table.has("metric.steps_censored"), "without records nobody knows where trials give up"
