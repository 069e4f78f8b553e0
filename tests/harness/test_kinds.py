"""Kinds of parameters: what may be declared, how a value is written, and that it stays the value through plan, record and table."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any, Literal, Optional

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import params, registry
from harness.errors import TaskError, UsageError
from harness.frames import read_trials, records_frame, to_parquet
from harness.kinds import Kind, cell, kind_of, split, text
from harness.ledger import read
from harness.plan import Overrides, TrialSpec, expand
from harness.store import StudyStore
from harness.study import load
from harness.task import Experiment, Metric, Params, param
from tests.harness.conftest import Command

WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8) | st.sampled_from(
    ["none", "None", "a, b", '"', "(a", "1", "true", ""]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: WHOLE,
    float: NUMBERS,
    str: WORDS,
    Literal["a", "none", "b, c"]: st.sampled_from(["a", "none", "b, c"]),
    Optional[str]: st.none() | WORDS,  # noqa: UP045 - the older form is a kind too
    float | None: st.none() | NUMBERS,
    tuple[int, ...]: st.lists(WHOLE, max_size=4).map(tuple),
    tuple[str, float]: st.tuples(WORDS, NUMBERS),
    tuple[str, ...] | None: st.none() | st.lists(WORDS, max_size=4).map(tuple),
    tuple[Literal["x", "y"], bool]: st.tuples(st.sampled_from(["x", "y"]), st.booleans()),
}


@pytest.mark.fuzz
@pytest.mark.parametrize("hint", VALUES, ids=str)
@given(data=st.data())
def test_a_value_is_read_back_from_its_text_alone_and_in_a_list(hint: Any, data: st.DataObject) -> None:
    kind, values = kind_of(hint), data.draw(st.lists(VALUES[hint], min_size=1, max_size=3))
    written = [text(value) for value in values]
    assert [kind.parse(one) for one in split(",".join(written))] == values
    for value in values:
        found = kind.parse(text(value))
        assert (found, type(found)) == (value, type(value))
        kept = json.loads(json.dumps(kind.value(value)))
        assert kind.value(kept) == value, "a record gives the value back"


@pytest.mark.fuzz
@given(written=st.text(st.sampled_from('ab1.,"()[] -ninfaNone'), max_size=12), hint=st.sampled_from(list(VALUES)))
def test_any_text_is_a_value_or_a_sentence(written: str, hint: Any) -> None:
    try:
        values = [kind_of(hint).parse(one) for one in split(written)]
    except ValueError:
        return
    assert all(kind_of(hint).value(value) == value for value in values)


@pytest.mark.parametrize(
    "hint", [list[int], dict[str, int], int | str, tuple, tuple[()], tuple[tuple[int, ...], ...], bytes, Literal["a", 1], Any]
)
def test_any_other_type_is_refused_when_the_experiment_is_declared(hint: Any) -> None:
    declared = make_dataclass("Declared", [("size", hint, param((), "what"))], frozen=True)
    with pytest.raises(
        TaskError, match=r"^experiment train: parameter size is of type .*int, float, bool, str do, a Literal or tuple of these"
    ):
        Experiment("train", params=declared, metrics=[Metric("loss", "", "lower")], run="a:b")


@pytest.mark.parametrize(
    ("hint", "default", "more", "says"),
    [
        (int, 1.5, {}, "is a whole number, not 1.5"),
        (float, math.nan, {}, "is a finite number, not nan"),
        (float, math.inf, {}, "is a finite number, not inf"),
        (int, 2**63, {}, "at most 64 bits"),
        (float | None, "none", {}, "is a number or none, not 'none'"),
        (tuple[int, ...], (1, "a"), {}, "is a whole number, not 'a'"),
        (tuple[int, int], (1,), {}, "2 values, not 1"),
        (Literal["a", "b"], "c", {}, "unknown value of parameter size: 'c'"),
        (int, 9, {"high": 8}, "must lie at or below 8, not 9"),
        (tuple[int, ...], (1, 9), {"high": 8}, "must lie at or below 8, not 9"),
        (str, "a", {"choices": ("b",)}, "unknown value of parameter size: 'a'"),
        (int, 1, {"choices": (1, "b")}, "a choice of parameter size is a whole number, not 'b'"),
        (str, "a", {"low": 1}, "has a range, and is a word"),
        (str, "a\x00", {}, "without control characters"),
    ],
    ids=str,
)
def test_a_default_that_does_not_fit_is_refused_when_it_is_declared(hint: Any, default: Any, more: dict[str, Any], says: str) -> None:
    declared = make_dataclass("Declared", [("size", hint, param(default, "what", **more))], frozen=True)
    with pytest.raises(TaskError, match=re.escape(says)):
        Experiment("train", params=declared, metrics=[Metric("loss", "", "lower")], run="a:b")


def test_a_parameter_without_a_default_is_refused() -> None:
    @dataclass(frozen=True)
    class Bare:
        size: int

    with pytest.raises(TaskError, match="parameter size has no default"):
        Experiment("train", params=Bare, metrics=[Metric("loss", "", "lower")], run="a:b")


def test_one_value_is_one_trial_however_it_is_written() -> None:
    task = registry.task("choosy")

    def ids(**written: list[str]) -> list[str]:
        return [trial.id for trial in expand(task, "smoke", Overrides(values=written, seeds=1), {})]

    base = ids(clip=["1"], hidden=["(8, 8)"])
    assert ids(clip=["1.0"], hidden=["[8,8,]"]) == ids(clip=["1e0"], hidden=[" ( 8,8 )"]) == base
    assert ids(clip=["0"], hidden=["(8)"]) == ids(clip=["-0.0"], hidden=["(8,)"])
    assert ids(clip=["none"], hidden=["(8)"]) == ids(clip=["None"], hidden=["(8)"]) != base
    assert len(set(ids(tags=["none", '("none")', '("a, b", c)'], clip=["1"], hidden=["(8)"]))) == 2 * 3


def test_ids_of_plain_kinds_stay() -> None:
    trial = TrialSpec(
        task="t", version=1, scale="smoke", experiment="e", method="m", params={"a": 1, "b": 0.5, "c": "x", "d": True}, seed=0
    )
    assert trial.id == "a88a1f0a7b7124c5"


def test_a_plan_gives_tuples_back(tmp_path: Path) -> None:
    for trial in expand(registry.task("choosy"), "smoke", Overrides(), {}):
        back = TrialSpec.from_json(json.loads(json.dumps(trial.to_json())))
        assert (back, back.params) == (trial, trial.params)


@pytest.mark.parametrize("axis", [{"clip": (None, "a")}, {"hidden": ((8, 8), 8)}, {"width": (0,)}, {"rate": (math.inf,)}])
def test_an_axis_that_does_not_fit_is_refused_when_the_task_is_declared(axis: dict[str, Any]) -> None:
    from dataclasses import replace

    task = registry.task("choosy")
    grid = replace(task.scales["smoke"].grids[0], axes=axis)
    (name,) = axis
    with pytest.raises(TaskError, match=rf"^task choosy, scale smoke: .*{name}"):
        replace(task, scales={"smoke": replace(task.scales["smoke"], grids=[grid])})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "hidden=8,8"], "parameter hidden of experiment choose is a tuple of whole numbers, such as (8, 8), not '8'"),
        (["--set", "hidden=(8"], "--set hidden: a bracket is not closed"),
        (["--set", 'name="a'], "--set name: a quote is not closed"),
        (["--set", 'name="a"b'], "--set name: 'b' stands behind the end of a value"),
        (["--set", "width=1,,2"], "--set width has an empty value"),
        (["--set", "width=1", "--set", "width=2"], "--set names width twice"),
        (["--set", "clip=inf"], "parameter clip of experiment choose is a finite number, not inf"),
        (["--set", "rate=nan"], "parameter rate of experiment choose is a finite number, not nan"),
        (["--set", "width=99999999999999999999"], "parameter width of experiment choose is a whole number of at most 64 bits"),
        (["--set", "order=3"], "unknown value of parameter order: '3' (choices: 1, 2, none)"),
        (["--set", "betas=(1,2,3)"], "parameter betas of experiment choose is a tuple (a number, a number): 2 values, not 3"),
        (["--set", "hidden=(8,0)"], "parameter hidden of experiment choose must lie in 1 to 1024, not 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_value_that_cannot_be_meant_is_one_sentence_at_plan_time(papertrial: Command, words: list[str], says: str) -> None:
    said = papertrial("plan", "choosy", "--scale", "smoke", *words)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert says in said.err


def test_every_kind_goes_through_a_study(papertrial: Command) -> None:
    words = ["--set", 'name="a, b",c', "--set", "order=none", "--set", "tags=(x,none),none"]
    said = papertrial("run", "choosy", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study", "kinds", *words)
    assert said.code == 0, said.err
    records = read(StudyStore("results", "kinds")).records.values()
    assert {record.params["name"] for record in records} == {"a, b", "c"}
    frame = records_frame(records)
    kept = read_trials(Path("results/kinds/trials/choosy.parquet").read_bytes())
    for table in (frame, kept, read_trials(to_parquet(frame))):
        assert set(table["param.hidden"]) == {"(8, 8)", "(16)"}
        assert set(table["param.clip"].dropna()) == {0.1, 1.0}
        assert table["param.clip"].isna().sum() == len(table) / 3
    board = pd.read_csv("results/kinds/leaderboard.csv").set_index(["method", "statistic"])["estimate"]
    assert board["plain", "loss without clip"] == (16 + 16) / 2 + 100, "a selection by None reads the trials without it, not all"
    assert board["plain", "loss of (8, 8)"] == pytest.approx(16 + (100 + 0.1 + 1) / 3)
    report = Path("results/kinds/report.html").read_text()
    assert all(f">{label}<" in report for label in ("none", "0.1", "(8, 8)", "(16)")), "figures keep the points of None and of tuples"
    assert report.index(">0.1<") < report.index(">none<")


def test_a_fit_selects_tuples_and_none(papertrial: Command) -> None:
    words = ["--set", "width=1,2,4,8", "--set", "clip=none,0.5", "--study", "fitted"]
    papertrial("run", "choosy", "--scale", "smoke", "--local", "--tracking-uri", "none", *words)
    for where in ("param.hidden=(8,8)", "param.clip=none", "param.clip=0.50", "param.careful=false"):
        said = papertrial(
            "fit", "power-law", "fitted", "--x", "param.width", "--y", "metric.val_loss", "--where", where, "--resamples", "0"
        )
        assert said.code in (0, 1), where
        assert not said.err, where


def test_show_says_what_each_parameter_may_be(papertrial: Command) -> None:
    said = papertrial("show", "choosy").out
    for part in (
        "a tuple of whole numbers, in 1 to 1024",
        "a number or none, at or above 0",
        "one of 1, 2 or none",
        "(0.9, 0.99)",
        "ours [v2]",
    ):
        assert part in said


def test_a_claim_may_not_run_over_what_has_no_order() -> None:
    from dataclasses import replace

    from harness import coverage
    from harness.estimates import Slope

    task = registry.task("choosy")
    for name in ("clip", "hidden"):
        claim = replace(task.claims[0], estimate=Slope("val_loss", name))
        with pytest.raises(TaskError, match=f"it runs over {name}, which is .* and has no order"):
            coverage.check(replace(task, claims=[claim]), "smoke")


def test_a_cell_of_a_table_is_a_tuples_text() -> None:
    assert [cell(value) for value in ((8, 8), [1.0], (), None, 0.5, "x")] == ["(8, 8)", "(1)", "()", None, 0.5, "x"]
    assert [text(value) for value in (math.nan, None, True, 1e-05, 8.0)] == ["none", "none", "true", "1e-05", "8"]


def test_a_parameter_of_a_trial_is_checked_once_more_by_its_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'hidden'"):
        params.parse(registry.task("choosy").experiments[0], "hiden", "(8)")
    assert isinstance(params.kind(registry.task("choosy").experiments[0], "hidden"), Kind)


def test_a_study_with_tuples_and_nones_is_read_from_its_tables_as_from_its_ledger(papertrial: Command, tmp_path: Path) -> None:
    assert papertrial("run", "choosy", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study", "s").code == 0
    store = StudyStore(str(tmp_path / "results"), "s")
    whole = load(store)
    (tmp_path / "results" / "s" / "ledger.jsonl").unlink()
    published = load(store)
    assert published.damages == whole.damages == []
    assert published.frame["trial_id"].tolist() == whole.frame["trial_id"].tolist()
    assert published.frame["param.hidden"].tolist() == whole.frame["param.hidden"].tolist()


def test_parameters_are_frozen_without_saying_so_and_go_on_from_others() -> None:
    class Wide(Params):
        width: int = param(8, "width")
        kind = "wide"

    class Deep(Wide):
        depth: int = param(2, "depth")

    assert dataclasses.asdict(Deep(width=3)) == {"width": 3, "depth": 2}
    assert dataclasses.asdict(Wide()) == {"width": 8}
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Deep(), "depth", 3)  # noqa: B010 - mypy refuses the plain assignment
    assert Experiment("deep", params=Deep, metrics=[], run="a:b").parameters == ["width", "depth"]
