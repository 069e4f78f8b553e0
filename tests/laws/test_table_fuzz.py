"""Random tables and random bytes: a number is read as it was written, and nothing that a file holds ends in a traceback."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import PapertrialError
from harness.laws import Options, fit, isoflop, pareto, render, table

pytestmark = pytest.mark.fuzz

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
LABEL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
DELIMITERS = {",": ".csv", ";": ".csv", "\t": ".tsv", "|": ".txt"}


def written(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


@given(
    rows=st.lists(st.tuples(NUMBER, NUMBER, LABEL), min_size=1, max_size=6),
    delimiter=st.sampled_from(list(DELIMITERS)),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    announced=st.booleans(),
    zipped=st.booleans(),
)
def test_delimited_numbers_are_read_as_they_were_written(
    rows: list[tuple[float, float, str]],
    delimiter: str,
    encoding: str,
    ending: str,
    announced: bool,
    zipped: bool,
) -> None:
    out = io.StringIO(newline="")
    out.write(f"sep={delimiter}{ending}" if announced else "")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending)
    writer.writerows([("x", "y", "label"), *((repr(x), repr(y), label) for x, y, label in rows)])
    with tempfile.TemporaryDirectory() as folder:
        source = written(Path(folder), f"t{DELIMITERS[delimiter]}{'.gz' if zipped else ''}", out.getvalue().encode(encoding))
        frame, notes = table.read(source)
    assert not notes
    for i, name in enumerate(("x", "y")):
        assert frame[name].astype(float).tolist() == [row[i] for row in rows]


T = TypeVar("T")


def sentence(attempted: Callable[[], T]) -> tuple[str, T | None]:
    """What a person would read, and what came out instead; anything else that is raised fails the test."""
    try:
        return "", attempted()
    except PapertrialError as error:
        said = str(error)
    assert said.encode()
    return said, None


def decimals(values: list[float]) -> list[str]:
    return [f"{value:.17g}".replace(".", ",") for value in values]


@given(values=st.lists(st.floats(1e-300, 1e300), min_size=2, max_size=6))
def test_decimal_commas_are_the_same_numbers_or_refused(values: list[float]) -> None:
    whole = [float(i + 1) for i in range(len(values))]
    body = "".join(f"{int(x)};{y}\n" for x, y in zip(whole, decimals(values), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        frame, _ = table.read(written(Path(folder), "t.csv", f"x;y\n{body}".encode()))
    said, found = sentence(lambda: table.positive(frame, "y", "t", allow_gap=True))
    assert found is not None or "a thousand or a decimal comma" in said or "in all" in said
    assert found is None or found.tolist() == values


HALVES = st.text(st.characters(codec=None), max_size=3)
CELL = st.one_of(
    HALVES,
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    LABEL,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(HALVES, st.one_of(st.integers(), st.floats(), LABEL), max_size=2),
)


@given(rows=st.lists(st.dictionaries(st.sampled_from(["x", "y", "g", "x.a"]), CELL), min_size=1, max_size=8))
def test_json_lines_keep_their_numbers_or_are_refused(rows: list[dict[str, Any]]) -> None:
    body = "".join(json.dumps(row) + "\n" for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        source = written(Path(folder), "t.jsonl", body.encode())
        attempt(source)
        _, found = sentence(lambda: table.read(source))
    for i, row in enumerate(rows if found else []):
        for name, value in row.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                cell = found[0][name].iloc[i]
                assert cell == value or (math.isnan(value) and pd.isna(cell)), (name, value, cell)


def attempt(source: str) -> None:
    """Read, choose, fit and write in several ways; only sentences for people may come out."""
    for law, options in (
        ("power-law", Options(resamples=5)),
        ("power-law", Options(resamples=5, group=["g"], separate=True, skip_empty=True, allow_gap=True)),
        ("power-law-floor", Options(resamples=5, cluster="g", allow_gap=True)),
    ):
        _, got = sentence(lambda: table.read(source))
        if got is None:
            return
        sentence(partial(table.where, got[0], ['g="a, b",1e0,'], source))
        _, found = sentence(partial(fit, law, got[0], options=options, source=source))
        sentence(partial(pareto.fit, got[0], {"flops": "x", "y": "y"}, options, better="higher", source=source))
        sentence(partial(isoflop.optima, got[0], {"flops": "x", "n": "x.a" if "x.a" in got[0] else "x", "y": "y"}, options.group, source))
        if found is not None:
            render.to_json(found, [], render.More())
            render.to_markdown(found, [], render.More()).encode()


def seeds() -> list[tuple[str, bytes]]:
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0, 8.0], "y": [5.5, 4.25, 3.5, 2.75], "g": ["a", "a", "b, c", "b, c"]})
    parquet = io.BytesIO()
    frame.set_index(["g", "x"]).to_parquet(parquet)
    csv_bytes = frame.to_csv(index=False).encode()
    jsonl = frame.to_json(orient="records", lines=True).encode()
    return [
        ("t.csv", csv_bytes),
        ("t.csv", frame.to_csv(index=False, sep=";", decimal=",").encode("utf-16")),
        ("t.tsv", b"sep=\t\r\n" + frame.to_csv(index=False, sep="\t", lineterminator="\r\n").encode()),
        ("t.csv.gz", gzip.compress(csv_bytes)),
        ("t.jsonl", jsonl),
        ("t.parquet", parquet.getvalue()),
    ]


INSERTED = [b",", b";", b'"', b"\n", b"\0", b"-", b"e9", b"\xff", b"#", b"{", b"1.000", b"inf", b"NA", b"\\ud800", b"9" * 5000]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    name, data = draw(st.sampled_from(seeds()))
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(changed) - 1, 0)))
        how = draw(st.sampled_from(["byte", "insert", "cut", "drop", "double"]))
        if how == "byte":
            changed[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif how == "insert":
            changed[at:at] = draw(st.sampled_from(INSERTED))
        elif how == "cut":
            del changed[at:]
        elif how == "drop":
            del changed[at : at + draw(st.integers(1, 9))]
        else:
            changed += changed[at:]
    return name, bytes(changed)


@given(case=mutated())
def test_damaged_tables_end_in_a_sentence(case: tuple[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / case[0]
        path.write_bytes(case[1])
        attempt(str(path))


COLUMN = st.sampled_from(
    [
        np.array([1.0, 2.0, 4.0, 8.0]),
        np.array([1, 2, 2**63, 2**64 - 1], dtype=np.uint64),
        np.array([1.0, 1.0, 1.0, 2.0], dtype=np.float32),
        np.array([True, False, True, True]),
        np.array([1, 2, 3, 4], dtype="timedelta64[s]"),
        np.array([1, 2, 3, 4], dtype="datetime64[s]"),
        np.array([1 + 2j, 2, 3, 4]),
        np.array([5e-324, 1e-300, 1e300, 1.7e308]),
        pd.Categorical([1, 2, 2, 3]),
        pd.Categorical(["a", "b", None, "b"]),
        pd.array([1, None, 2**62, 3], dtype="Int64"),
        pd.array([True, None, True, False], dtype="boolean"),
        pd.array(["1", "2", "3", "4,5"], dtype=object),
        pd.array([b"1", b"2", b"\xff", None], dtype=object),
        pd.array([[1, 2], [1, 2], None, []], dtype=object),
        pd.array([{"a": 1}, {"a": 2}, {"a": 3}, None], dtype=object),
    ]
)


@given(x=COLUMN, y=COLUMN, g=COLUMN, index=st.sampled_from([None, ["x"], ["g", "x"], ["g"]]))
def test_columns_of_any_kind_are_numbers_or_refused(x: Any, y: Any, g: Any, index: list[str] | None) -> None:
    frame = pd.DataFrame({"x": x, "y": y, "g": g})
    for options in (Options(resamples=5, allow_gap=True), Options(resamples=5, group=["g"], separate=True)):
        sentence(partial(fit, "power-law", frame, options=options))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        try:
            (frame if index is None else frame.set_index(index)).to_parquet(path)
        except Exception:  # pandas cannot store complex numbers
            return
        attempt(str(path))
