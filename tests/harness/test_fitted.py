"""Parameters of laws as claims: planted laws, the same number as the command's, and one end of a sweep alone."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.claims import factor, fitted, level, slope
from harness.errors import TaskError
from harness.fitted import Fitted
from harness.laws import fit
from harness.plan import TrialSpec
from harness.task import Above, Below, Claim, Grid, Method, Metric, Within, param
from tests.harness.conftest import Command
from tests.harness.fabricated import experiment_of, noise, study_of, task_of, verdicts_of


@dataclass(frozen=True)
class Sizes:
    width: int = param(8, "width")
    examples: int = param(8, "examples")


WIDTHS, EXAMPLES = (4, 8, 16, 32, 64), (10, 20, 40, 80)
FLOOR, EXPONENT = 0.5, 0.8
TRAIN = experiment_of(params=Sizes, metrics=[Metric("loss", "nats", "lower"), Metric("error", "", "lower")])
METHODS = [Method("a", "proposed"), Method("b", "rival")]
OURS: dict[str, Any] = {"source": "ours"}


def planted(trial: TrialSpec) -> dict[str, float]:
    """A law with a floor for the loss, one of two powers for the error; b is twice a."""
    width, examples = trial.params["width"], trial.params["examples"]
    wobble = math.exp(0.002 * noise(trial)) * (2.0 if trial.method == "b" else 1.0)
    return {"loss": wobble * (FLOOR + 3.0 * width**-EXPONENT), "error": wobble * (5.0 / width + 2.0 / examples)}


def study(folder: Path, claims: list[Claim]) -> Any:
    grids = [Grid(TRAIN, view="width", axes={"width": WIDTHS}), Grid(TRAIN, view="both", axes={"width": WIDTHS, "examples": EXAMPLES})]
    return study_of(folder, task_of(experiment=TRAIN, methods=METHODS, claims=claims, grids=lambda _: grids), planted)


def rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"experiment": "train", "method": "a", "seed": 0, "status": "ok", **columns})


def test_planted_parameters_come_out_and_wrong_regions_do_not_hold(tmp_path: Path) -> None:
    loss, error = TRAIN["loss"].at("width"), TRAIN["error"].at("both")
    floor, both = {"law": "power-law-floor", "along": {"width": "x"}}, {"law": "two-powers", "along": {"width": "n", "examples": "d"}}
    claims = [
        *fitted("floor", "a", loss, quantity="E", holds=Within(FLOOR - 0.02, FLOOR + 0.02), **floor, **OURS),
        *fitted("no-floor", "a", loss, quantity="E", holds=Below(0.4), **floor, **OURS),
        *fitted("exponent", "a", loss, quantity="alpha", holds=Within(EXPONENT - 0.05, EXPONENT + 0.05), **floor, **OURS),
        *fitted("level", "a", error, quantity="B", holds=Within(1.9, 2.1), fixed={"alpha": 1.0, "beta": 1.0}, **both, **OURS),
        *fitted("power", "a", error, quantity="alpha", holds=Within(0.95, 1.05), **both, **OURS),
        *fitted("wrong-power", "a", error, quantity="beta", holds=Above(1.2), **both, **OURS),
    ]
    found = {verdict.claim: verdict.verdict for verdict in verdicts_of(study(tmp_path, claims))}
    wrong = {"no-floor", "wrong-power"}
    assert found == {claim.id: "not reproduced" if claim.id in wrong else "reproduced" for claim in claims}


def test_parameters_of_one_law_are_of_one_fit_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[Any] = []
    monkeypatch.setattr("harness.laws.fit", lambda *law, **how: fits.append(how) or fit(*law, **how))
    widths = np.array(WIDTHS, dtype=float)
    records = [rows(**{"seed": seed, "param.width": widths, "metric.loss": FLOOR + (3.0 + seed) * widths**-EXPONENT}) for seed in (0, 1)]
    read: Any = {"metric": "loss", "along": {"width": "x"}}
    for quantity, value in (("E", (FLOOR, FLOOR)), ("A", (3.0, 4.0)), ("alpha", (EXPONENT, EXPONENT))):
        assert [Fitted("power-law-floor", quantity, **read)(frame) for frame in records] == pytest.approx(value, rel=1e-3)
    assert len(fits) == 2
    assert Fitted("power-law-floor", "A", **read, fixed={"E": 0.4})(records[0]) != pytest.approx(3.0, rel=1e-3)
    assert math.isnan(Fitted("power-law-floor", "E", "loss", {"width": "x"})(rows(**{"param.width": widths, "metric.loss": -widths})))
    assert len(fits) == 4


def test_levels_factors_and_ends_of_sweeps(tmp_path: Path) -> None:
    loss = TRAIN["loss"].at("width")
    at = {name: FLOOR + 3.0 * width**-EXPONENT for name, width in (("first", WIDTHS[0]), ("last", WIDTHS[-1]))}
    claims = [
        *level("first", "a", loss.first("width"), holds=Within(at["first"] - 0.02, at["first"] + 0.02), **OURS),
        *level("last", "a", loss.last("width"), holds=Within(at["last"] - 0.02, at["last"] + 0.02), **OURS),
        *level("last-of-first", "a", loss.last("width"), holds=Above(at["first"] - 0.02), **OURS),
        *factor("twice", "a", "b", loss.last("width"), by=1.9, **OURS),
        *factor("thrice", "a", "b", loss.last("width"), by=2.1, **OURS),
        *slope("one-width", "a", TRAIN["error"].at("both").last("width"), over="examples", holds=Within(-0.75, -0.25), **OURS),
    ]
    found = {verdict.claim: verdict.verdict for verdict in verdicts_of(study(tmp_path, claims))}
    wrong = {"last-of-first", "thrice"}
    assert found == {claim.id: "not reproduced" if claim.id in wrong else "reproduced" for claim in claims}
    assert claims[1].statement == "loss (width, largest width) of a is 0.58769 to 0.62769"
    assert claims[3].statement == "loss (width, largest width) of a is lower than that of b by a factor of more than 1.9"


def test_a_seed_has_the_number_of_the_command(papertrial: Command, tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    y = [FLOOR + 3.0 * width**-EXPONENT * math.exp(0.05 * draws.normal()) for width in WIDTHS]
    frame = rows(**{"param.width": WIDTHS, "metric.loss": y})
    frame.to_csv(tmp_path / "runs.csv", index=False)
    columns = ("--x", "param.width", "--y", "metric.loss", "--json", str(tmp_path / "fit.json"))
    assert papertrial("fit", "power-law-floor", str(tmp_path / "runs.csv"), *columns).code == 0
    (part,) = json.loads((tmp_path / "fit.json").read_text())["fits"]
    told = {own["name"]: own["value"] for own in part["parameters"]}
    for name in ("A", "alpha", "E"):
        assert Fitted("power-law-floor", name, "loss", {"width": "x"})(frame) == pytest.approx(told[name], rel=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"metric.loss": [2.0, 1.5, math.nan, 1.0, 0.9]},
        {"metric.loss": [2.0, 1.5, -1.0, 1.0, 0.9]},
        {"status": ["ok", "ok", "diverged", "ok", "ok"]},
        {"param.width": [4, 4, 8, 8, 8]},
    ],
)
def test_what_cannot_be_fitted_is_no_number(changes: dict[str, Any]) -> None:
    columns = {"param.width": WIDTHS, "metric.loss": [2.0, 1.5, 1.2, 1.0, 0.9]}
    number = Fitted("power-law-floor", "E", "loss", {"width": "x"})
    assert math.isfinite(number(rows(**columns)))
    assert math.isnan(number(rows(**columns | changes)))


def test_a_parameter_that_is_kept_moves_the_others() -> None:
    frame = rows(**{"param.width": WIDTHS, "metric.loss": [FLOOR + 3.0 * width**-EXPONENT for width in WIDTHS]})
    along = {"width": "x"}
    free, kept = (Fitted("power-law-floor", "E", "loss", along, fixed=fixed)(frame) for fixed in ({}, {"alpha": 2.0}))
    assert free == pytest.approx(FLOOR, rel=1e-4)
    assert kept > FLOOR + 0.05


def _fit(**changes: Any) -> list[Claim]:
    about: dict[str, Any] = {"law": "power-law-floor", "quantity": "E", "along": {"width": "x"}, "holds": Below(1.0), **OURS}
    return fitted("C1", "a", changes.pop("reading", TRAIN["loss"]), **about | changes)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: _fit(law="power-floor"), "power-law-floor"),
        (lambda: _fit(quantity="floor"), "parameter of law power-law-floor"),
        (lambda: _fit(along={"width": "n"}), "column of law power-law-floor"),
        (lambda: _fit(law="two-powers", quantity="A", along={"width": "n"}), "law two-powers is along d too"),
        (lambda: _fit(along={"depth": "x"}), "depth"),
        (lambda: _fit(reading=TRAIN["loss"].log10()), "neither selected nor logged"),
        (lambda: _fit(reading=TRAIN["loss"].first("examples")), "nor at one end"),
        (lambda: factor("C1", "a", "b", TRAIN["loss"], by=0.5, **OURS), "a factor is 1 or more, not 0.5"),
        (lambda: level("C1", "a", TRAIN["loss"].last("depth"), holds=Below(1.0), **OURS), "depth"),
    ],
)
def test_a_law_that_does_not_fit_the_trials_is_one_sentence(make: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=says):
        verdicts_of(study(tmp_path, make()))
