"""Columns by formula: the arithmetic, what it refuses, and that nothing is run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import DataError, UsageError
from harness.laws import Options, fit, formula
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import chinchilla_runs

TABLE = pd.DataFrame(
    {
        "C": [6.0, 24.0],
        "N": [1.0, 2.0],
        "train loss": [3.0, 2.0],
        "log": [7.0, 8.0],
        "C/N": [1.0, 1.0],
        "word": ["a", "b"],
        "param.size": [4, 8],
    }
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("C/(6*N)", [1.0, 2.0]),
        ("C / 6 / N", [1.0, 2.0]),
        ("-N + 2 * C ** 0.5 - 1e0", [-1 + 2 * 6**0.5 - 1, -2 + 2 * 24**0.5 - 1]),
        ("N**-1", [1.0, 0.5]),
        ("2 ** N ** 2", [2.0, 16.0]),
        ("log10(N*10) + sqrt(N + 2)", [1 + 3**0.5, np.log10(20) + 2.0]),
        ("`train loss` * 2", [6.0, 4.0]),
        ("exp(log)", [np.exp(7), np.exp(8)]),
        ("C/N", [1.0, 1.0]),
        ("0 * N + 2", [2.0, 2.0]),
        ("param.size / 2", [2.0, 4.0]),
    ],
)
def test_arithmetic_over_columns(text: str, values: list[float]) -> None:
    np.testing.assert_allclose(formula.columns(TABLE, [text], "t.csv")[text], values, rtol=1e-14)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("C/(6*NN)", "unknown column of t.csv: 'NN'; did you mean 'N'?"),
        ("N^2", "a power is written **, not ^"),
        ("__import__('os').system('true')*N", "is no arithmetic"),
        ("N.real + 1", "unknown column of t.csv: 'N.real'"),
        ("N.__class__ + 1", "unknown column of t.csv: 'N.__class__'"),
        ("(N + 1).real", "'(N + 1).real' in '(N + 1).real' is no arithmetic"),
        ("[N][0] + 1", "is no arithmetic"),
        ("(N if N else C)", "is no arithmetic"),
        ("(N and C)", "is no arithmetic"),
        ("N + 'a'", "is no arithmetic"),
        ("N + True", "is no arithmetic"),
        ("N + 1j", "is no arithmetic"),
        ("(lambda: N)", "is no arithmetic"),
        ("sin(N)", "unknown function in 'sin(N)': 'sin'"),
        ("eval(N)", "unknown function in 'eval(N)': 'eval'"),
        ("log(N, 2)", "is no arithmetic"),
        ("C/(6*N", "is neither a column of t.csv nor a formula"),
        ("(" * 400 + "N" + ")" * 99, "is neither a column of t.csv nor a formula"),
        ("N" + "*N" * 300, "a formula has at most 500 characters"),
        ("word*2", "t.csv, row 0: column word holds 'a', not a number"),
    ],
)
def test_what_is_no_arithmetic_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises((UsageError, DataError)) as caught:
        formula.columns(TABLE, [text], "t.csv")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_powers_of_powers_end_at_infinity() -> None:
    frame = formula.columns(TABLE, ["9**9**9**N"], "t.csv")
    assert np.isinf(frame["9**9**9**N"]).all()


def test_a_formula_is_the_column_that_it_computes() -> None:
    frame = chinchilla_runs()
    apart = pd.DataFrame({"N": frame["n"], "C": 6 * frame["n"] * frame["d"], "ppl": np.exp(frame["y"])})
    found = fit("chinchilla", apart, {"n": "N", "d": "C/(6*N)", "y": "log(ppl)"}, Options(resamples=0))
    same = fit("chinchilla", frame, options=Options(resamples=0))
    for name in ("A", "alpha", "B", "beta", "E"):
        assert found.estimate(name).value == pytest.approx(same.estimate(name).value, rel=1e-6)
    apart.loc[3, "C"] = np.nan
    with pytest.raises(DataError, match="row 4: column C/\\(6\\*N\\) is empty or NaN"):
        fit("chinchilla", apart, {"n": "N", "d": "C/(6*N)", "y": "log(ppl)"})
    assert fit("chinchilla", apart, {"n": "N", "d": "C/(6*N)", "y": "log(ppl)"}, Options(resamples=0, skip_empty=True)).rows_skipped == 1


def test_the_command_takes_formulas(papertrial: Command) -> None:  # noqa: F811
    frame = chinchilla_runs()
    pd.DataFrame({"N": frame["n"], "C": 6 * frame["n"] * frame["d"], "y": frame["y"]}).to_csv("runs.csv", index=False)
    said = papertrial("fit", "chinchilla", "runs.csv", "--n", "N", "--d", "C/(6*N)", "--resamples", "50", "--json", "fit.json")
    assert said.code == 0, said.err
    assert '"d": "C/(6*N)"' in Path("fit.json").read_text()
    said = papertrial("fit", "chinchilla", "runs.csv", "--n", "N", "--d", "C/(6*M)")
    assert (said.code, said.err.count("\n"), "unknown column of runs.csv: 'M'; did you mean 'N'" in said.err) == (2, 1, False), said.err
    assert "unknown column of runs.csv: 'M'" in said.err
