"""Figures of laws of several columns: every line is the law at the value that it names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.laws import Options, fit, plots
from tests.laws.conftest import CHINCHILLA, chinchilla_runs

QUIET = Options(resamples=30)


def grid_of_runs(sigma: float = 0.0) -> pd.DataFrame:
    """Six sizes at three token counts each; the larger models saw more."""
    rows = [{"n": n, "d": d} for n in np.logspace(7, 9, 6) for d in (1e9, 4e9, 1.6e10)]
    frame, c = pd.DataFrame(rows), CHINCHILLA
    y = c["A"] * frame["n"] ** -c["alpha"] + c["B"] * frame["d"] ** -c["beta"] + c["E"]
    return frame.assign(y=y * np.exp(np.random.default_rng(0).normal(0, sigma, len(frame))))


def lines_of(svg: str) -> list[str]:
    return [text for text in re.findall(r">([^<>]*)</text>", svg) if " = " in text]


def test_a_line_for_each_value_of_d_named(tmp_path: Path) -> None:
    found = fit("chinchilla", grid_of_runs(0.003).rename(columns={"d": "tokens"}), {"d": "tokens"}, QUIET)
    path, _ = plots.write(found, str(tmp_path))
    assert lines_of(Path(path).read_text()) == ["tokens = 1e+09", "tokens = 4e+09", "tokens = 1.6e+10"]


def test_lines_pass_through_the_rows_of_their_colour(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[tuple[dict[str, np.ndarray], np.ndarray]] = []
    real = plots._band

    def spy(part: object, path: dict[str, np.ndarray], *more: object) -> object:
        found = real(part, path, *more)
        drawn.append((path, found[0]))
        return found

    monkeypatch.setattr(plots, "_band", spy)
    frame = grid_of_runs()
    plots.write(fit("chinchilla", frame, options=Options(resamples=0)), str(tmp_path))
    assert len(drawn) == 3
    for path, y in drawn:
        (d,) = set(np.round(path["d"], 3))
        own = frame[np.isclose(frame["d"], d)]
        assert len(own) == 6
        np.testing.assert_allclose(np.interp(np.log(own["n"]), np.log(path["n"]), y), own["y"], rtol=1e-3)


def test_many_values_become_a_few_lines_and_every_row_keeps_a_colour() -> None:
    frame = chinchilla_runs()
    x = {name: frame[name].to_numpy() for name in ("n", "d")}
    index = np.arange(5, 60)
    found = plots.slices(x, "n", index)
    assert len(found) == 6
    values = [at["d"] for at, _ in found]
    assert values == sorted(values)
    assert sorted(np.concatenate([own for _, own in found]).tolist()) == index.tolist()
    for at, own in found:
        others = [other["d"] for other, _ in found if other is not at]
        for d in x["d"][own]:
            assert abs(np.log(d / at["d"])) <= min(abs(np.log(d / other)) for other in others)


def test_groups_have_panels_of_their_own(tmp_path: Path) -> None:
    frame = pd.concat([grid_of_runs(0.003).assign(kind=kind) for kind in ("one", "two")])
    path, _ = plots.write(fit("chinchilla", frame, options=Options(resamples=30, group=["kind"])), str(tmp_path))
    text = Path(path).read_text()
    assert len(lines_of(text)) == 6
    assert all(f">{kind}</text>" in text for kind in ("one", "two"))
