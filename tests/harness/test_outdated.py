"""Verdicts of another version, of a claim that was edited, and of trials that another source measured: nobody takes them for today's."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.asked import asks
from harness.estimates import Difference, Mean, Of, Transformed
from harness.papers import GONE, OnTrial, of_today
from harness.report.tables import csv_text
from harness.tally import Line, outdated
from harness.task import Above, Below, Claim
from tests.harness.conftest import Command
from tests.harness.fabricated import PAPER, difference_claim, task_of

SHOW = ("show", "misbehaving", "--claim", "C1-shift")
Edit = Callable[..., None]


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Edit:
    """`edit(version=2)` or `edit(claim={...})`: the throw-away task as it is after an edit."""
    task, task_at = registry.task, registry.task_at

    def change(*, claim: dict[str, Any] | None = None, **changes: Any) -> None:
        whole = task("misbehaving")
        claims = [replace(own, **(claim or {})) for own in whole.claims]
        edited = replace(whole, **({"claims": claims} | changes))
        monkeypatch.setattr(registry, "task", lambda name: edited if name == "misbehaving" else task(name))
        monkeypatch.setattr(registry, "task_at", lambda entry: edited if entry.name == "misbehaving" else task_at(entry))

    return change


def _words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def _counts(papertrial: Command) -> dict[str, int]:
    listed = {row["task"]: row for row in json.loads(papertrial("list", "--json", "--field", "demo").out)}
    counts: dict[str, int] = listed["misbehaving"]["verdicts"]["smoke"]
    return counts


def _table(study: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(f"results/{study}/verdicts.csv").read_text().splitlines()))


def _rewrite(study: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    rows = [change(row) for row in _table(study)]
    Path(f"results/{study}/verdicts.csv").write_text(csv_text(list(rows[0]), [list(row.values()) for row in rows]))


DECIDED = {"reproduced": 1, "not reproduced": 0, "inconclusive": 0, "not tested": 0}
UNTESTED = {"reproduced": 0, "not reproduced": 0, "inconclusive": 0, "not tested": 1}


def test_a_verdict_of_an_older_version_is_not_todays_wherever_it_is_shown(papertrial: Command, smoke: Command, edit: Edit) -> None:
    assert smoke("--local").code == 0
    assert _table("misbehaving-smoke")[0]["version"] == "1"
    assert _counts(papertrial) == DECIDED
    edit(version=2)
    why = "of version 1; the task is at version 2"
    shown = _words(papertrial(*SHOW).out)
    assert "not tested (scale smoke; study misbehaving-smoke). What the study found (reproduced, -" in shown
    assert f") is {why}. again: papertrial run misbehaving --scale smoke --claim C1-shift" in shown
    (told,) = json.loads(papertrial(*SHOW, "--json").out)["verdicts"]
    assert (told["verdict"], told["estimate"], told["n"], told["version"], told["outdated"]) == ("not tested", None, 0, "1", why)
    assert (told["before"]["verdict"], told["before"]["n"], told["before"]["estimate"] < 0) == ("reproduced", 3, True)
    assert _counts(papertrial) == UNTESTED
    counted = f"0 of 1 tested (C1-shift: {why})"
    assert counted in _words(papertrial("list", "--field", "demo").out)
    assert json.loads(papertrial("ls", "--json").out)[0]["verdicts"] == counted
    assert papertrial("site", "results", "--out", "out").code == 0
    page = Path("out/papers/misbehaving.html").read_text()
    assert f"is {why}." in page
    assert '<span class="badge not-tested">' in page
    assert 'aria-label="1 not tested"' in Path("out/index.html").read_text()
    (flat,) = csv.DictReader(Path("out/claims.csv").read_text().splitlines())
    assert (flat["verdict"], flat["version"], flat["outdated"]) == ("reproduced", "1", why), "as the study says it"
    for said in (papertrial("report", "misbehaving-smoke"), papertrial("verdicts", "misbehaving-smoke", "--claim", "C1-shift")):
        assert f"Its trials are {why}." in _words(said.out)
    assert f"mind: The trials of misbehaving are {why}." in _words(papertrial("verdicts", "misbehaving-smoke").out)
    status = _words(papertrial("status", "misbehaving-smoke").out)
    assert "18 of 18 records of misbehaving are of version 1; the task is at version 2: `papertrial run` measures again" in status
    assert "raise the task's version" not in status
    assert "Task version 1 (the task is at version 2), scale smoke" in Path("results/misbehaving-smoke/report.html").read_text()


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"statement": "the shifted method lies far below"}, "of another claim: 'the shifted method lies below the plain one'"),
    ({"holds": Below(-5.0)}, "of another claim: it held where the estimate is < 0"),
    ({"holds": Below(-1e-9)}, "of another claim: it held where the estimate is < 0"),
    ({"unit": "m"}, "of another claim: its unit was ''"),
    ({"exact": True}, "of another claim: its estimate, or what it stands on, was another"),
    ({"estimate": Of("plain", Mean("value"))}, "of another claim: its estimate, or what it stands on, was another"),
]


@pytest.mark.parametrize(("change", "why"), CHANGES, ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_a_verdict_on_a_claim_that_was_edited_is_not_its_own(
    papertrial: Command, smoke: Command, edit: Edit, change: dict[str, Any], why: str
) -> None:
    assert smoke("--local").code == 0
    edit(claim=change)
    shown = _words(papertrial(*SHOW).out)
    assert f"is {why}." in shown
    assert "judge its trials by what is claimed now: papertrial report results/misbehaving-smoke --tables" in shown
    assert _counts(papertrial) == UNTESTED
    assert "(C1-shift: of another claim)" in papertrial("ls", "--json").out
    assert "says otherwise of 1 claims (C1-shift)" in papertrial("report", "misbehaving-smoke").out
    assert papertrial("report", "results/misbehaving-smoke", "--tables").code == 0
    (told,) = json.loads(papertrial(*SHOW, "--json").out)["verdicts"]
    assert (told["outdated"], told["before"]) == ("", None)
    assert "says otherwise" not in papertrial("report", "misbehaving-smoke").out


def test_a_verdict_whose_ground_is_another_is_not_its_own(papertrial: Command, smoke: Command, edit: Edit) -> None:
    control = replace(registry.task("misbehaving").claims[0], id="control", kind="control", primary=False, group="", holds=Above(0.0))
    edit(claims=[*registry.task("misbehaving").claims, control])
    assert smoke("--local").code == 0
    assert _counts(papertrial) == DECIDED
    edit(claims=[replace(own, stands_on=() if own.id == "control" else ("control",)) for own in registry.task("misbehaving").claims])
    assert _counts(papertrial) == UNTESTED
    assert "is of another claim: its estimate, or what it stands on, was another." in _words(papertrial(*SHOW).out)
    assert papertrial("report", "results/misbehaving-smoke", "--tables").code == 0
    assert "It stands on control, which does not hold" in _words(papertrial(*SHOW).out)


def test_a_table_of_before_is_told_by_what_it_holds(papertrial: Command, smoke: Command, edit: Edit) -> None:
    assert smoke("--local").code == 0
    _rewrite("misbehaving-smoke", lambda row: {name: row[name] for name in row if name not in ("version", "asks")})
    edit(version=2, claim={"estimate": Of("plain", Mean("value"))})
    assert _counts(papertrial) == DECIDED, "it says neither version nor estimate"
    edit(claim={"statement": "another"})
    assert _counts(papertrial) == UNTESTED
    assert "is of another claim: 'the shifted method lies below the plain one'." in _words(papertrial(*SHOW).out)
    _rewrite("misbehaving-smoke", lambda row: {name: row[name] for name in ("task", "scale", "claim", "verdict")})
    assert _counts(papertrial) == DECIDED


def test_a_study_of_todays_version_speaks_before_a_fuller_one_of_an_older(papertrial: Command, smoke: Command, edit: Edit) -> None:
    assert smoke("--local", "--study", "old", "--seeds", "5").code == 0
    edit(version=2)
    assert smoke("--local", "--study", "a-new", "--seeds", "2").code == 0
    (told,) = json.loads(papertrial(*SHOW, "--json").out)["verdicts"]
    assert (told["study"], told["outdated"], told["version"]) == ("a-new", "", "2")
    assert papertrial("site", "results", "--out", "out").code == 0
    rows = {row["study"]: row for row in csv.DictReader(Path("out/claims.csv").read_text().splitlines())}
    assert (rows["old"]["outdated"], rows["a-new"]["outdated"]) == ("of version 1; the task is at version 2", "")
    assert ", of version 1; the task is at version 2)" in Path("out/papers/misbehaving.html").read_text(), "in the history"


def test_a_claim_that_is_gone_counts_nowhere_and_stays_in_the_flat_table(papertrial: Command, smoke: Command, edit: Edit) -> None:
    assert smoke("--local").code == 0
    edit(claim={"id": "C2", "statement": "another"})
    assert _counts(papertrial) == UNTESTED, "the new one"
    assert papertrial("site", "results", "--out", "out").code == 0
    (flat,) = csv.DictReader(Path("out/claims.csv").read_text().splitlines())
    assert (flat["claim"], flat["verdict"], flat["outdated"]) == ("C1-shift", "reproduced", GONE)
    assert "C1-shift" not in Path("out/claims.html").read_text()


def test_a_claim_that_is_new_leaves_its_sentence_open_where_the_scale_tests_it() -> None:
    own = tuple(Line("toy", "", id, "not tested", group="C") for id in ("a", "b"))
    judged = {"laptop": [Line("toy", "laptop", "a", "reproduced", group="C")]}
    paper = OnTrial("toy", "demo", PAPER, None, own=own, verdicts=judged)
    assert [line.verdict for line in paper.judged("laptop")] == ["reproduced", "not tested"]
    assert paper.counts("laptop") == DECIDED, "laptop does not test it"
    found = replace(paper, scales={"a": ["laptop"], "b": ["laptop", "paper"]}).counts("laptop")
    assert (found["inconclusive"], sum(found.values())) == (1, 1)


def test_a_line_is_of_the_versions_that_it_says() -> None:
    task = task_of(claims=[difference_claim(id=id, group="C") for id in ("a", "b")])
    line = Line("toy", "laptop", "a", "reproduced", cells={"statement": "left is worse", "version": "1, 2"})
    (found,) = of_today([line], {"toy": task})
    assert (found.verdict, found.group, found.outdated) == ("not tested", "C", "of versions 1, 2; the task is at version 1")
    assert of_today([line], {}) == [line], "of a task that is not there nobody knows"
    assert outdated([found, line]) == " (a: of versions 1, 2; the task is at version 1)"


def test_what_a_claim_asks_is_its_estimate_its_region_and_its_unit() -> None:
    first = difference_claim()
    assert asks(first) == asks(replace(first, statement="other words", note="n", source="s", group="g", published=3.0, id="i"))
    assert asks(first) == asks(difference_claim(Above(0)))
    assert asks(replace(first, stands_on=("floor", "control"))) == asks(replace(first, stands_on=["control", "floor"]))
    others: list[Claim] = [
        replace(first, holds=Above(1e-12)),
        replace(first, holds=Below(0.0)),
        replace(first, unit="nats"),
        replace(first, exact=True),
        replace(first, stands_on=("control",)),
        replace(first, stands_on=("control", "floor")),
        replace(first, estimate=Difference(Of("right", Mean("loss")), Of("left", Mean("loss")))),
        replace(first, estimate=Difference(Of("left", Mean("loss", {"width": 64})), Of("right", Mean("loss")))),
        replace(first, estimate=Transformed(abs, first.estimate)),
        replace(first, estimate=Transformed(math.fabs, first.estimate)),
    ]
    assert len({asks(claim) for claim in [first, *others]}) == len(others) + 1


def test_an_estimate_that_learns_an_option_asks_the_same() -> None:
    before = dataclasses.make_dataclass("Share", [("metric", str)])
    after = dataclasses.make_dataclass("Share", [("metric", str), ("least", float, dataclasses.field(default=0.5))])
    asked = [asks(difference_claim(estimate=estimate)) for estimate in (before("loss"), after("loss"), after("loss", 0.6), after("gain"))]
    assert asked[0] == asked[1]
    assert len({*asked}) == 3


def test_every_claim_asks_the_same_in_every_process() -> None:
    """Those of the installed tasks: no address of a function, no order of a set is in it."""

    code = (
        "from harness import registry; from harness.asked import asks;"
        "print(*[asks(c) for t in ('crrelu', 'mup-weight-decay-transfer', 'group-sparsity-wgsef') for c in registry.task(t).claims])"
    )
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert done[0] == done[1]
    assert len(done[0].split()) > 30
