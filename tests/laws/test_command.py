"""`papertrial fit` as people meet it: files, studies, mistakes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.estimates import Mean
from harness.model_selection import AiccGain
from tests.harness.conftest import Command, papertrial, smoke  # noqa: F401 - fixtures
from tests.laws.conftest import chinchilla_runs, precision_runs

FAST = ["--resamples", "100"]


def test_a_csv_becomes_json_markdown_plots_and_a_run_in_mlflow(papertrial: Command, tmp_path: Path) -> None:  # noqa: F811
    precision_runs().to_csv("runs.csv", index=False)
    words = ["fit", "precision-collapsed", "runs.csv", "--group", "bits", "--reference", "16", "--compare", *FAST]
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    said = papertrial(*words, "--json", "out/fit.json", "--markdown", "out/fit.md", "--plots", "out", "--tracking-uri", uri)
    assert said.code == 0, said.err
    found = json.loads(Path("out/fit.json").read_text())
    (part,) = found["fits"]
    rho = next(p for p in part["parameters"] if (p["name"], p["group"]) == ("rho", "4"))
    assert rho["low"] < 0.794 < rho["high"]
    assert part["converged"]
    assert part["resamples_not_converged"] <= 5, "of 100: a resample of few sizes may have no floor"
    assert found["comparison"][0]["candidate"] == "precision-collapsed"
    assert found["comparison"][0]["aicc"] < found["comparison"][1]["aicc"], "the floor is there"
    assert "| rho | 4 |" in Path("out/fit.md").read_text()
    for name in ("fit", "residuals"):
        assert Path(f"out/precision-collapsed-{name}.svg").read_text().count("<use ") > 18
    from harness.mlflow_client import connect

    papertrial(*words, "--json", "out/fit.json", "--tracking-uri", uri)
    client = connect(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("papertrial/fit").experiment_id])
    assert run.data.metrics["rho.4"] == pytest.approx(rho["value"])
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {"fit.json", "fit.md"}


def test_a_parquet_and_a_filter(papertrial: Command) -> None:  # noqa: F811
    frame = pd.concat([chinchilla_runs().assign(kind="kept"), chinchilla_runs(seed=1).assign(kind="other", y=-1.0)])
    frame.to_parquet("runs.parquet")
    assert papertrial("fit", "chinchilla", "runs.parquet", "--where", "kind=kept", *FAST, "--json", "fit.json").code == 0
    assert json.loads(Path("fit.json").read_text())["fits"][0]["rows"] == 60
    frame.assign(rate=[0.5] * 60 + [1.0] * 60).to_parquet("rates.parquet")
    for written in ("0.5", "5e-1", ".50"):
        assert papertrial("fit", "chinchilla", "rates.parquet", "--where", f"rate={written}", *FAST).code == 0
    said = papertrial("fit", "chinchilla", "rates.parquet", "--where", "rate=0.25", *FAST)
    assert (said.code, "choices: 0.5, 1)" in said.err) == (2, True)
    said = papertrial("fit", "chinchilla", "runs.parquet", *FAST)
    assert said.code == 2
    assert "runs.parquet, row 61: column y is -1, which is not positive" in said.err


def test_a_study_is_fitted_by_its_columns(smoke: Command, papertrial: Command) -> None:  # noqa: F811
    assert smoke("--set", "size=1,4", "--set", "behaviour=good,nan", "--seeds", "2", "--study", "s").code == 1
    said = papertrial("fit", "power-law", "s", "--x", "param.size", "--y", "seconds", "--group", "method", "--json", "fit.json", *FAST)
    assert said.code == 0, said.err
    assert "8 records that did not end ok are left out" in said.out
    assert [(part["group"], part["rows"]) for part in json.loads(Path("fit.json").read_text())["fits"]] == [("plain", 4), ("shifted", 4)]
    said = papertrial("fit", "power-law", "s", "--x", "param.sise", "--y", "seconds", *FAST)
    assert said.code == 2
    assert "did you mean 'param.size'" in said.err


def test_duplicated_and_missing_columns_are_exit_2(papertrial: Command) -> None:  # noqa: F811
    Path("twice.csv").write_text("x,y,y\n1,2,3\n2,3,4\n")
    said = papertrial("fit", "power-law", "twice.csv")
    assert (said.code, "has column 'y' more than once" in said.err) == (2, True)
    Path("few.csv").write_text("x,loss\n1,2\n2,3\n")
    said = papertrial("fit", "power-law", "few.csv")
    assert (said.code, "unknown column of few.csv: 'y'" in said.err) == (2, True)
    Path("empty.csv").write_text("x,y\n")
    assert papertrial("fit", "power-law", "empty.csv").code == 2
    Path("holes.csv").write_text("x,y\n1,2\n2,\n3,5\n4,6\n")
    said = papertrial("fit", "power-law", "holes.csv")
    assert (said.code, "holes.csv, row 2: column y is empty or NaN" in said.err) == (2, True)
    said = papertrial("fit", "power-law", "holes.csv", "--skip-empty", *FAST)
    assert (said.code, "1 rows with an empty cell left out" in said.out) == (0, True)


def isoflop_runs() -> pd.DataFrame:
    """Parabolas in log n whose vertex is n* = 0.1 flops^0.5; the last budget was run on one side of it only."""
    rows = []
    for budget in (1e17, 1e18, 1e19, 1e20, 1e21):
        best = 0.1 * budget**0.5
        factors = np.array([0.25, 0.5, 1.0, 2.0, 4.0]) if budget < 1e21 else np.array([2.0, 3.0, 4.0, 5.0])
        rows += [{"flops": budget, "n": best * f, "loss": 3 - 0.1 * np.log10(budget) + 0.05 * np.log(f) ** 2} for f in factors]
    return pd.DataFrame(rows)


def test_isoflop_finds_the_optima_and_names_the_budget_it_leaves_out(papertrial: Command) -> None:  # noqa: F811
    isoflop_runs().to_csv("runs.csv", index=False)
    said = papertrial("fit", "isoflop", "runs.csv", "--y", "loss", "--json", "fit.json", *FAST)
    assert said.code == 0, said.err
    assert "1e+21: left out, its optimum lies outside the sizes that were run" in said.out
    (part,) = json.loads(Path("fit.json").read_text())["fits"]
    values = {p["name"]: p["value"] for p in part["parameters"]}
    assert values == pytest.approx({"c": 0.1, "a": 0.5}, rel=1e-6)
    assert part["rows"] == 4


def test_pareto_by_hand(papertrial: Command) -> None:  # noqa: F811
    # Between 1 and 100 FLOPs: group a has 0.5 for the first decade and 0.7 for the second; b is 0.1 better throughout.
    points, kinds = ((1, 0.5), (10, 0.7), (20, 0.6), (100, 0.7)), (("a", 0.0), ("b", 0.1))
    rows = [{"flops": f, "y": y + up, "kind": kind, "seed": seed} for seed in (0, 1) for kind, up in kinds for f, y in points]
    pd.DataFrame(rows).to_csv("runs.csv", index=False)
    said = papertrial("fit", "pareto", "runs.csv", "--group", "kind", "--cluster", "seed", "--json", "fit.json")
    assert said.code == 0, said.err
    first, second = json.loads(Path("fit.json").read_text())["fits"]
    assert first["area"]["estimate"] == pytest.approx(0.6)
    assert first["front"] == [[1.0, 0.5], [10.0, 0.7]]
    assert second["difference_to_first"] == pytest.approx({"estimate": 0.1, "low": 0.1, "high": 0.1, "n": 2})
    lower = papertrial("fit", "pareto", "runs.csv", "--group", "kind", "--better", "lower", "--json", "fit.json")
    assert "no interval for the areas" in lower.out
    assert json.loads(Path("fit.json").read_text())["fits"][0]["front"] == [[1.0, 0.5]]


def test_a_group_without_spread_or_a_single_cluster_is_named(papertrial: Command) -> None:  # noqa: F811
    Path("t.csv").write_text("x,y,g,s\n1,2,a,0\n1,3,a,0\n1,4,a,0\n1,2,b,0\n2,3,b,1\n4,4,b,1\n")
    said = papertrial("fit", "power-law", "t.csv", "--group", "g", "--separate")
    assert (said.code, "t.csv, a: column x is 1 in all 3 rows" in said.err) == (2, True)
    said = papertrial("fit", "power-law", "t.csv", "--group", "g", "--share", "c", "--resamples", "50")
    assert (said.code, "no interval for a[a]" in said.out) == (0, True)
    Path("t.csv").write_text("x,y,g,s\n1,2,a,0\n2,3,a,0\n4,4,a,0\n1,2,b,0\n2,3,b,1\n4,4.5,b,1\n")
    said = papertrial("fit", "power-law", "t.csv", "--group", "g", "--cluster", "s")
    assert (said.code, "t.csv, a: column s is 0 in all rows, so there is nothing to resample over" in said.err) == (2, True)


def test_odd_names_and_wishes_are_no_traceback(papertrial: Command) -> None:  # noqa: F811
    rows = [f"{x},{y},{g}\n" for g in ("$\\foo$", "[/x]") for x, y in ((1, 2.5), (2, 1.8), (4, 1.2), (8, 0.9))]
    Path("t.csv").write_text("x$,y,g\n" + "".join(rows))
    said = papertrial("fit", "power-law", "t" * 300)
    assert (said.code, "cannot be read: File name too long" in said.err) == (2, True)
    words = ["fit", "power-law", "t.csv", "--x", "x$", "--group", "g", "--resamples", "20"]
    said = papertrial(*words, "--plots", "figures", "--json", "o[/x]/f.json")
    assert (said.code, "o[/x]/f.json" in said.out) == (0, True), said.err
    for drawn in (file.read_text() for file in Path("figures").glob("*.svg")):
        assert ">x$</text>" in drawn, "a dollar begins no formula and is not escaped"
        assert ">$\\foo$</text>" in drawn
        assert "mathdefault" not in drawn, "nor are the ticks of a logarithmic axis one"
    said = papertrial(*words, "--plots", "t.csv")
    assert (said.code, "t.csv cannot be written: File exists" in said.err) == (2, True)
    said = papertrial(*words, "--seed", "-1")
    assert (said.code, "--seed must be at least 0" in said.err) == (2, True)


def test_a_pipe_is_written_to_and_not_replaced(papertrial: Command) -> None:  # noqa: F811
    Path("t.csv").write_text("x,y\n1,2.5\n2,1.8\n4,1.2\n8,0.9\n")
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    said = papertrial("fit", "power-law", "t.csv", "--resamples", "20", "--json", "pipe")
    assert said.code == 0, said.err
    assert json.loads(os.read(reader, 65536))["law"] == "power-law"
    os.close(reader)
    assert Path("pipe").is_fifo()


def test_a_result_never_replaces_the_table_or_another_result(papertrial: Command) -> None:  # noqa: F811
    table = "x,y\n1,2.5\n2,1.8\n4,1.2\n8,0.9\n"
    Path("t.csv").write_text(table)
    words = ["fit", "power-law", "t.csv", "--resamples", "20"]
    for options, says in (
        (["--markdown", "./t.csv"], "--markdown ./t.csv would replace the table that is fitted"),
        (["--json", "a/out", "--markdown", "a/../a/out"], "--markdown a/../a/out would replace what --json writes"),
    ):
        said = papertrial(*words, *options)
        assert (said.code, says in said.err) == (2, True), said.err
    assert Path("t.csv").read_text() == table


def test_the_laws_are_listed(papertrial: Command) -> None:  # noqa: F811
    said = papertrial("fit", "help")
    assert said.code == 0
    assert all(word in said.out for word in ("chinchilla", "y = A / n^alpha + B / d^beta + E", "isoflop", "pareto", "--x1 --x2 --y"))


@pytest.mark.parametrize("value", ["1e20", "1e300"])
def test_a_parameter_fixed_beyond_all_rows_is_told_and_no_traceback(papertrial: Command, value: str) -> None:  # noqa: F811
    chinchilla_runs().to_csv("runs.csv", index=False)
    said = papertrial("fit", "chinchilla", "runs.csv", "--fix", f"E={value}", "--predict", "n=1e9,d=1e9", "--resamples", "20")
    assert said.code == 0, said.err
    assert "no interval for A, alpha: the term of A vanishes" in said.out


def test_shapes_of_a_law_are_compared_by_aicc(papertrial: Command) -> None:  # noqa: F811
    sizes = np.array([7, 11, 17, 23, 31, 43])
    noise = np.exp(0.05 * np.random.default_rng(2).normal(size=6))
    frame = pd.DataFrame({"M": sizes, "p": 2.0 * np.log(sizes) / sizes * noise})
    frame.to_csv("thresholds.csv", index=False)
    aicc = {}
    for shape in ("log(M)/M", "1/M", "M**-0.5"):
        words = ["--x", shape, "--y", "p", "--fix", "a=1", "--compare", "--json", "fit.json", *FAST]
        said = papertrial("fit", "power-law", "thresholds.csv", *words)
        assert said.code == 0, said.err
        aicc[shape] = json.loads(Path("fit.json").read_text())["comparison"][0]["aicc"]
    rows = frame.rename(columns={"M": "param.M", "p": "metric.p"})
    for rival in ("1/M", "M**-0.5"):
        gain = AiccGain("M", Mean("p"), law="log(M)/M", rival=rival)(rows)
        assert aicc[rival] - aicc["log(M)/M"] == pytest.approx(gain, rel=1e-6)
        assert gain > 0
