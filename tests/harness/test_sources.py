"""Records that another source of the task measured: they stay, and nobody takes them for what today's code gives."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import provenance
from tests.harness.conftest import Command

SHOW = ("show", "misbehaving", "--claim", "C1-shift")


def _words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`source("b")`: the digest of every task's source from now on."""
    return lambda digest: monkeypatch.setattr(provenance, "source_digest", lambda _: digest)


def test_records_of_another_source_are_counted_and_stay(papertrial: Command, smoke: Command, source: Callable[[str], None]) -> None:
    source("aaaa")
    assert "another source" not in smoke("--local").out
    before = Path("results/misbehaving-smoke/ledger.jsonl").read_bytes()
    source("bbbb")
    words = "18 of 18 records of misbehaving were measured by another source of the task than today's (aaaa, now bbbb) and stay as they are"
    for more in ((), ("--retry",)):
        said = smoke("--local", *more)
        assert (said.code, words in _words(said.out)) == (0, True)
        assert "raise the task's version, or name another study with --study" in _words(said.out)
    assert Path("results/misbehaving-smoke/ledger.jsonl").read_bytes() == before
    for command in (("plan", "misbehaving", "--scale", "smoke"), ("status", "misbehaving-smoke")):
        assert words in _words(papertrial(*command).out)
        (told,) = json.loads(papertrial(*command, "--json").out)["other_sources"]
        assert told.startswith(words)
    said = _words(papertrial("verdicts", "misbehaving-smoke").out)
    assert (words in said, f"mind: {words}" in said) == (True, False)
    assert papertrial("report", "misbehaving-smoke").code == 0
    page = Path("results/misbehaving-smoke/report.html").read_text()
    (cell,) = re.findall(r'measured by another source</th><td class="mono">([^<]*)', page)
    assert html.unescape(cell).startswith(words)
    assert "raise the task" in cell
    assert "Mind:</b> 18 of 18" not in page
    source("aaaa")
    assert "another source" not in papertrial("verdicts", "misbehaving-smoke").out
    assert json.loads(papertrial("status", "misbehaving-smoke", "--json").out)["other_sources"] == []
    source("")
    assert "another source" not in smoke("--local").out, "of a task without sources nobody knows"


def test_trials_of_two_sources_are_called_that_beside_every_verdict(
    papertrial: Command, smoke: Command, source: Callable[[str], None]
) -> None:
    source("aaaa")
    assert smoke("--local", "--seeds", "2").code == 0
    assert "different versions" not in papertrial("verdicts", "misbehaving-smoke").out
    source("bbbb")
    said = smoke("--local", "--seeds", "4")
    assert "12 of 12 records of misbehaving were measured by another source" in _words(said.out)
    why = "Its trials ran on 2 different versions of the task's source (aaaa, bbbb)."
    assert why in Path("results/misbehaving-smoke/verdicts.csv").read_text()
    for command in (SHOW, ("verdicts", "misbehaving-smoke"), ("verdicts", "misbehaving-smoke", "--claim", "C1-shift")):
        assert why in _words(papertrial(*command).out)
    assert "mind: The trials of misbehaving ran on 2 different versions" in _words(papertrial("verdicts", "misbehaving-smoke").out)
    (told,) = json.loads(papertrial("verdicts", "misbehaving-smoke", "--json").out)
    assert (told["source_digests"], told["version"], why in told["reason"]) == (["aaaa", "bbbb"], "1", True)
    assert why in json.loads(papertrial(*SHOW, "--json").out)["verdicts"][0]["reason"]
