"""Parameters that are files: known by their content, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import given_files, params
from harness.errors import DataError, TaskError, UsageError
from harness.plan import Overrides, expand
from harness.task import Experiment, Grid, Method, Paper, Scale, Task, param


@dataclass(frozen=True)
class Params:
    """A file beside a word."""

    start: str = param("", "where it starts from", file=True)
    word: str = param("a", "a word")


EXPERIMENT = Experiment("run", params=Params, metrics=[], run="a.b:c")
TASK = Task(
    id="given",
    version=1,
    paper=Paper(arxiv="0", title="Given", year=2026),
    methods=[Method("ours", "proposed")],
    experiments=[EXPERIMENT],
    scales={"smoke": Scale(description="toy", seeds=1, time_limit_s=60, grids=[Grid(EXPERIMENT)])},
    claims=[],
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(tmp_path / "cache"))


def planned(path: str) -> tuple[str, str]:
    """Id of the one trial, and the digest that names its study, when the file is given as `path`."""
    overrides = Overrides(values=given_files.fingerprints([TASK], {"start": [path]}))
    (trial,) = expand(TASK, "smoke", overrides, {})
    return trial.id, overrides.digest()


def test_the_content_decides_and_not_the_path(tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("one.pt", "with, a comma.pt", "other.pt"))
    one.write_bytes(b"weights")
    two.write_bytes(b"weights")
    other.write_bytes(b"more weights")
    assert planned(str(one)) == planned(f'"{two}"') != planned(str(other))
    (fingerprint,) = given_files.fingerprints([TASK], {"start": [str(one)]})["start"]
    assert fingerprint == hashlib.sha256(b"weights").hexdigest()[:16]
    assert given_files.located(fingerprint).read_bytes() == b"weights"
    assert planned(fingerprint) == planned(str(one)), "a record's own value repeats it"
    assert given_files.fingerprints([TASK], {"word": [str(one)], "start": ['""']}) == {"word": [str(one)], "start": ['""']}


def test_a_file_that_is_gone_or_changed_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    file.write_bytes(b"weights")
    (fingerprint,) = given_files.fingerprints([TASK], {"start": [str(file)]})["start"]
    file.write_bytes(b"others")
    with pytest.raises(DataError, match=rf"net\.pt: it was changed: its fingerprint is .*, and the trial was planned with {fingerprint}"):
        given_files.located(fingerprint)
    file.unlink()
    with pytest.raises(DataError, match=r"net\.pt: cannot be read"):
        given_files.located(fingerprint)
    with pytest.raises(DataError, match="no file with the fingerprint 0123456789abcdef was named on this machine"):
        given_files.located("0123456789abcdef")
    again = tmp_path / "again.pt"
    again.write_bytes(b"weights")
    given_files.fingerprints([TASK], {"start": [str(again)]})
    assert given_files.located(fingerprint) == again.resolve(), "the last path that was given counts"


@pytest.mark.parametrize("written", ["missing.pt", ".", "0123456789abcdef", "~nobody-of-this-name/x", "a\0b"])
def test_what_is_no_file_is_one_sentence(written: str) -> None:
    with pytest.raises(UsageError, match="--set start="):
        given_files.fingerprints([TASK], {"start": [written]})


def test_a_path_never_becomes_a_parameter() -> None:
    with pytest.raises(UsageError, match="parameter start of experiment run is a file: name it with --set start=PATH"):
        params.resolve(EXPERIMENT, {"start": "/somewhere/net.pt"})
    assert params.resolve(EXPERIMENT, {})["start"] == ""
    (field,) = (field for field in Params.__dataclass_fields__.values() if field.name == "start")
    assert params.allowed_values(field, params.kind(EXPERIMENT, "start")) == "a file (its path)"

    @dataclass(frozen=True)
    class Wrong:
        start: int = param(0, "no word", file=True)

    with pytest.raises(TaskError, match="parameter start is a file, and so a word, not a whole number"):
        Experiment("run", params=Wrong, metrics=[], run="a.b:c")
