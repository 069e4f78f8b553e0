"""Records that another source of the task measured: they stay, and nobody takes them for what today's code gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import provenance
from tests.harness.conftest import Command


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
    source("aaaa")
    assert json.loads(papertrial("status", "misbehaving-smoke", "--json").out)["other_sources"] == []
    source("")
    assert "another source" not in smoke("--local").out, "of a task without sources nobody knows"
