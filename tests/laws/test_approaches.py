"""IsoFLOP optima beside the parametric law."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import UsageError
from harness.laws import Options, approaches, fit
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import CHINCHILLA


def curves(sigma: float = 0.0, bias: float = 0.0) -> pd.DataFrame:
    """Chinchilla's law at nine sizes around the optimum of six budgets; with `bias` larger models are better than the law says."""
    c, rows = CHINCHILLA, []
    for budget in np.logspace(18, 21, 6):
        best = (c["alpha"] * c["A"] / c["beta"] / c["B"]) ** (1 / 0.62) * (budget / 6) ** (0.28 / 0.62)
        for factor in np.linspace(-0.35, 0.35, 9):
            n = best * np.exp(factor)
            rows.append({"n": n, "d": budget / 6 / n, "C": budget})
    frame = pd.DataFrame(rows)
    y = c["A"] * frame["n"] ** -c["alpha"] + c["B"] * frame["d"] ** -c["beta"] + c["E"]
    return frame.assign(y=y * np.exp(np.random.default_rng(0).normal(0, sigma, len(frame)) - bias * np.log(frame["n"] / 1e9)))


def test_both_roads_find_the_division_that_was_planted() -> None:
    frame = curves(2e-5)
    options = Options(resamples=100, budgets=[1e22])
    roads, notes = approaches.compare(fit("chinchilla", frame, options=options), frame, {}, options)
    assert not notes
    assert [road.name for road in roads] == ["a", "N*(1e+22)"]
    for road, truth in zip(roads, (0.28 / 0.62, (0.34 * 406.4 / (0.28 * 410.7)) ** (1 / 0.62) * (1e22 / 6) ** (0.28 / 0.62)), strict=True):
        assert road.parametric.value == pytest.approx(truth, rel=0.03)
        assert road.isoflop.value == pytest.approx(truth, rel=0.03)
        assert not road.apart


def test_intervals_that_do_not_meet_are_said() -> None:
    frame = curves(2e-5)
    options = Options(resamples=100, budgets=[1e22])
    law = fit("chinchilla", frame.assign(y=curves(2e-5, bias=0.01)["y"]), options=options)
    roads, _ = approaches.compare(law, frame, {}, options)
    assert any(road.apart for road in roads)
    assert "parametric and isoFLOP intervals do not meet: " in approaches.notes(roads)[0]


def test_laws_without_a_division_have_one_road() -> None:
    frame = curves()
    found = fit("power-law-floor", frame, {"x": "n"}, Options(resamples=0))
    with pytest.raises(UsageError, match="--isoflop is for laws that divide compute"):
        approaches.compare(found, frame, {}, Options())


def test_the_command_shows_both(papertrial: Command) -> None:  # noqa: F811
    frame = pd.concat([curves(1e-4).assign(kind=kind) for kind in ("one", "two")])
    frame.rename(columns={"n": "N", "y": "loss"}).to_csv("runs.csv", index=False)
    words = ["fit", "chinchilla", "runs.csv", "--n", "N", "--d", "C/(6*N)", "--y", "loss", "--resamples", "40", "--json", "fit.json"]
    for wish in ([], ["--flops", "C"], ["--group", "kind"]):
        said = papertrial(*words, "--isoflop", *wish, "--markdown", "fit.md")
        assert said.code == 0, said.err
    found = json.loads(Path("fit.json").read_text())["approaches"]
    assert [(one["name"], one["group"]) for one in found if one["name"] == "a"] == [("a", "one"), ("a", "two")]
    assert "| divided | group | parametric | interval | isoFLOP | interval |" in Path("fit.md").read_text()
    said = papertrial(*words, "--flops", "C")
    assert (said.code, "unknown column of law chinchilla: 'flops'" in said.err) == (2, True)
