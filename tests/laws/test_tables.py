"""Tables as people's tools write them: every number is the file's, and what cannot be read right is refused by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import DataError, UsageError
from harness.laws import fit, table
from harness.laws.facts import number
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture

X = [1000, 3162, 10000, 31623, 100000]
Y = [1.25, 0.9871, 0.8, 0.63125, 0.501]


def lines(delimiter: str = ",", header: str = "x,y", comma: bool = False, tail: str = "") -> str:
    rows = [f"{x}{delimiter}{str(y).replace('.', ',') if comma else y}{tail}\n" for x, y in zip(X, Y, strict=True)]
    return header.replace(",", delimiter) + "\n" + "".join(rows)


def read(folder: Path, name: str, content: str | bytes) -> pd.DataFrame:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return table.read(str(path))[0]


def numbers(frame: pd.DataFrame, *names: str) -> list[list[float]]:
    return [table.positive(frame, name, "table").tolist() for name in names or ("x", "y")]


READABLE = {
    "semicolons and decimal commas": ("t.csv", lines(";", comma=True)),
    "a line that names the delimiter": ("t.csv", "sep=;\r\n" + lines(";", comma=True).replace("\n", "\r\n")),
    "an odd delimiter that is named": ("t.csv", "sep=~\n" + lines("~")),
    "tabs": ("t.tsv", lines("\t")),
    "tabs in a .csv": ("t.csv", lines("\t")),
    "bars in a .txt": ("t.txt", lines("|")),
    "blanks": ("t.txt", lines("   ")),
    "blanks around names and cells": ("t.csv", lines(" , ", header=" x , y ")),
    "decimal commas in quotes": ("t.csv", "x,y\n" + "".join(f'{x},"{str(y).replace(".", ",")}"\n' for x, y in zip(X, Y, strict=True))),
    "a delimiter at the end of every line": ("t.csv", lines(header="x,y,", tail=",")),
    "an index without a name": ("t.csv", ",x,y\n" + "".join(f"{i},{x},{y}\n" for i, (x, y) in enumerate(zip(X, Y, strict=True)))),
    "a mark of UTF-8": ("t.csv", b"\xef\xbb\xbf" + lines().encode()),
    "UTF-16": ("t.csv", lines(";", comma=True).encode("utf-16")),
    "lines of an old Mac": ("t.csv", lines().replace("\n", "\r")),
    "remarks": ("t.csv", "# today, by hand, twice\n" + lines() + "# end\n"),
    "gzip": ("t.csv.gz", gzip.compress(lines().encode())),
    "gzip that does not say so": ("t.tsv", gzip.compress(lines("\t").encode())),
    "a .csv.gz that is plain": ("t.csv.gz", lines()),
    "lines of JSON": ("t.jsonl", "\n\n".join(json.dumps({"x": x, "y": y}) for x, y in zip(X, Y, strict=True))),
    "gzipped lines of JSON": (
        "t.jsonl.gz",
        gzip.compress("\n".join(json.dumps({"x": str(x), "y": y}) for x, y in zip(X, Y, strict=True)).encode()),
    ),
}


@pytest.mark.parametrize("case", READABLE)
def test_dialects_that_are_plain_are_read(tmp_path: Path, case: str) -> None:
    assert numbers(read(tmp_path, *READABLE[case])) == [X, Y]


REFUSED = {
    "a delimiter too many": (lines(tail=","), "line 2 has 3 fields, the header has 2: a delimiter too many at its end"),
    "a row cut short": (lines(header="x,y,z", tail=",1") + "5,6\n", "line 7 has 2 fields, the header has 3"),
    "decimal commas beside commas": (lines(comma=True), "line 2 has 3 fields, the header has 2: name every column, and quote a value"),
    "an open quote": ('x,y,n\n1,2,a\n2,3,"b\n4,5,c\n', "line 3: a quote that opens here is never closed"),
    "text behind a quote": ('x,y\n1,"2"3\n', "line 2: "),
    "a line after a cell of two lines": ('n,x,y\n"a\nb",1,2\nc,2,3,4\n', "line 4 has 4 fields"),
    "two tables": (lines() + lines(), "line 7 repeats the header: two tables in one file"),
    "two delimiters": ("a,b;c\n1,5;2\n2,5;3\n", "can be read with comma or semicolon between columns: say which"),
    "equal names": ("x, y,y \n1,2,3\n", "has column 'y' more than once"),
    "a NUL byte": ("x,y\n1,2\n3,\x004\n", "line 3 holds a NUL byte"),
    "Latin-1": ("x,y,é\n".encode("latin-1"), "line 1 is no UTF-8 text: save the file as UTF-8"),
    "no names": ("1000,1.5\n2000,1.2\n", "its first line holds numbers, not the names of columns"),
    "a remark for a header": ("# x y\n1 2\n3 4\n", "its first line holds numbers"),
    "nothing": ("", "has no header line"),
    "a spreadsheet": (b"PK\x03\x04", "is a ZIP archive"),
    "half a gzip": (gzip.compress(lines().encode())[:-9], "cannot be read: Compressed file ended"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_would_be_read_wrongly_are_refused_by_line(tmp_path: Path, case: str) -> None:
    content, says = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read(tmp_path, "t.csv", content)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.jsonl", '{"x": 1}\n[2]\n', "line 2 is no JSON object"),
        ("t.jsonl", '{"x": 1}\n{"x": \n', "line 2 is no JSON: "),
        ("t.jsonl", '{"x": 1, "x": 2}\n', "line 1 has 'x' more than once"),
        ("t.jsonl", '{"x.a": 1, "x": {"a": 2}}\n', "line 1 has 'x.a' more than once"),
        ("t.jsonl", '{"x": "\\ud800"}\n', "line 1 holds half a character"),
        ("t.jsonl", '{"x": ' + "[" * 99999 + "\n", "line 1 is nested too deeply"),
        ("t.parquet", lines(), "is no Parquet file"),
        ("t.parquet", b"PAR1" + b"x" * 40 + b"PAR1", "cannot be read as Parquet"),
        ("t.json", '{"x": 1}', "the name of a table ends in .csv, .tsv"),
    ],
)
def test_other_files_are_refused_with_their_reason(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, name, content)
    assert says in str(caught.value)


def test_text_of_a_parquet_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"x": X, "y": Y, "g": ["abcd"] * 5}).to_parquet(path, compression=None, use_dictionary=False, write_statistics=False)
    with pytest.raises(DataError, match=r"cannot be read as Parquet: .*UTF8"):
        read(tmp_path, "t.parquet", path.read_bytes().replace(b"abcd", b"a\xffcd"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("x;y\n1,000;0,5\n2,500;0,4\n", "column x holds '1,000', a thousand or a decimal comma"),
        (
            "x;y\n1.000;0,5\n2.500;0,4\n",
            "t, row 1: column x has points that may group thousands, for column y has decimal commas (line 2",
        ),
        ("x;y;z\n1.000;5;0,5\n2.500;4;0,4\n", "column x has points that may group thousands, for column z has decimal commas"),
        ("x;y\n500;9\n1.000;8\n2.000;7\n", "t, row 2: column x holds '1.000' beside '500', a thousand or one: write numbers without"),
        ("x;y\n1.5;0,5\n2.500;0,4\n", "column y has decimal commas and column x has points"),
        ('x,y\n"1,000",0.5\n"2,500",0.4\n', "column x holds '1,000', a thousand or a decimal comma"),
        ('x,y\n"1,000,000",0.5\n2,0.4\n', "column x holds '1,000,000': write numbers without thousands separators"),
        ("x;y\n1.000.000;0,5\n2;0,4\n", "column x holds '1.000.000': write numbers without thousands separators"),
        ("x;y\n1;0,5\n2;0.4\n", "column y holds '0,5', and '0.4' elsewhere: one decimal mark a column"),
        ("x;y\n1;0,5\n2;4,000.5\n", "row 2: column y holds '4,000.5': write numbers without thousands separators (line 3 of the file)"),
        ("x;y\n1_000;5\n2;4\n", "column x holds '1_000': write numbers without thousands separators"),
        ("x,y\n1,2\n\n3,12M\n", "row 2: column y holds '12M', not a number beside numbers: one unit a column, without suffixes (line 4 of"),
        ('n,x,y\n"a\nb",1,2\nc,3,NA\n', "row 2: column y is empty or NaN (line 4 of the file)"),
        ("x,y\n1,2\n3,-inf\n", "row 2: column y is -inf, which is not finite"),
        ("x,y\n1,2\n3,0\n", "row 2: column y is 0, which is not positive"),
        ("x,y\n1,True\n3,False\n", "column y holds true and false, not numbers"),
    ],
)
def test_numbers_that_may_mean_two_things_are_refused(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        fit("power-law", read(tmp_path, "t.csv", content), source="t")
    assert says in str(caught.value)


@pytest.mark.parametrize("x", ["1.000 2.500 4.750", "1 1.025 2.345", "500 1.5 2.000", "1e3 1.500 2.000"])
def test_points_that_group_nothing_are_decimal(tmp_path: Path, x: str) -> None:
    content = "x;y\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(x.split(), start=1))
    assert numbers(read(tmp_path, "t.csv", content), "x") == [[float(cell) for cell in x.split()]]


def test_what_a_column_means_does_not_depend_on_the_rows_that_are_kept(tmp_path: Path) -> None:
    frame = read(tmp_path, "t.csv", "k;x;y\na;1;0,531\na;2;4,531\nb;1;5,3311\nb;3;6,125\n")
    assert numbers(table.where(frame, ["k=a"], "t"), "y") == [[0.531, 4.531]]
    frame = read(tmp_path, "t.csv", "k;x;y\na;1;0,5\na;2;4,5\nb;1;1.5\n")
    with pytest.raises(DataError) as caught:
        numbers(table.where(frame, ["k=a"], "t"), "y")
    assert "row 1: column y holds '0,5', and '1.5' elsewhere" in str(caught.value)


def test_every_column_of_a_parquet_is_a_column(tmp_path: Path) -> None:
    frame, path = pd.DataFrame({"g": ["a"] * 5, "x": X, "y": Y}), tmp_path / "t.parquet"
    ranged = frame[["y"]].set_axis(pd.RangeIndex(10, 60, 10, name="x"))
    for stored, x in ((frame.set_index("x"), X), (frame.set_index(["g", "x"]), X), (ranged, [10, 20, 30, 40, 50])):
        stored.to_parquet(path)
        assert numbers(table.read(str(path))[0]) == [x, Y]
    frame.to_parquet(tmp_path / "t.csv")
    assert numbers(table.read(str(tmp_path / "t.csv"))[0]) == [X, Y]


def test_parquet_keeps_digits_and_labels(tmp_path: Path) -> None:
    wide = 2**62 + 1
    frame = pd.DataFrame(
        {
            "id": pd.array([wide, None, wide + 1], dtype="Int64"),
            "x": ["1", "2", "4"],
            "lr": np.array([0.1, 0.2, 0.1], dtype=np.float32),
            "o": pd.Categorical(["a, b", "c", "a, b"]),
            "s": [{"a": 1.5}, {"a": 2.5}, {"a": 3.5}],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    found, _ = table.read(str(tmp_path / "t.parquet"))
    assert table.where(found, [f"id={wide}"], "t").index.tolist() == [1]
    assert table.where(found, ["lr=1e-1", 'o="a, b"'], "t").index.tolist() == [1, 3]
    assert table.where(found, ["id="], "t").index.tolist() == [2]
    assert numbers(found, "x", "s.a") == [[1, 2, 4], [1.5, 2.5, 3.5]]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.array([1, 2, 4], dtype="timedelta64[s]"), "not a number"),
        (np.array([1, 2, 4], dtype="datetime64[s]"), "not a number"),
        (np.array([1 + 1j, 2, 4]), "not a number"),
        (pd.array([True, False, True], dtype="boolean"), "not a number"),
        (pd.Categorical(["a", "b", "c"]), "not a number"),
        ([1.5, True, 3.0], "row 2: column x holds 'True', not a number"),
        ([1, 10**400, 2], "row 2: column x is inf"),
    ],
)
def test_kinds_that_are_no_numbers_are_refused(values: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit("power-law", pd.DataFrame({"x": values, "y": [1.0, 2.0, 4.0]}))


def test_integers_beyond_64_bits_are_numbers_and_their_labels_stay_apart(tmp_path: Path) -> None:
    big, near = 2**70, 2**53
    frame = read(tmp_path, "t.csv", f"x,y,id,g\n{big},1,{near},{big}\n{2 * big},2,{near + 1},{big + 1}\n{4 * big},3,,\n")
    assert numbers(frame, "x") == [[float(big), 2.0 * big, 4.0 * big]]
    assert table.labels(frame[:2], ["id"], "t") == [str(near), str(near + 1)]
    assert table.labels(frame[:2], ["g"], "t") == [str(big), str(big + 1)]


def test_a_value_of_where_may_hold_commas_and_equal_signs(tmp_path: Path) -> None:
    frame = read(tmp_path, "t.csv", 'm,n,lr=0\n"adamw(0.9,0.95)",1e18,a=b\nsgd,1000000,c\n"news, web",2,c\n')
    for condition, rows in {
        'm="adamw(0.9,0.95)"': [1],
        'm=sgd,"news, web"': [2, 3],
        "n=1e6": [2],
        "n=1000000000000000000,2.0": [1, 3],
        "lr=0=a=b": [1],
        "lr=0=c": [2, 3],
    }.items():
        assert table.where(frame, [condition], "t").index.tolist() == rows, condition
    with pytest.raises(UsageError, match="in quotes: --where 'm=\"adamw"):
        table.where(frame, ["m=adamw(0.9,0.95)"], "t")
    with pytest.raises(UsageError, match="a quote is not closed"):
        table.where(frame, ['m="adamw'], "t")
    with pytest.raises(UsageError, match="unknown value of column m: 'sgd'"):
        table.where(frame, ["n=2", "m=sgd"], "t")


def test_groups_that_would_share_a_name_are_refused() -> None:
    frame = pd.DataFrame({"a": ["x/y", "x"], "b": ["z", "y/z"]})
    with pytest.raises(DataError, match="two groups of a, b would both be called x/y/z"):
        table.labels(frame, ["a", "b"], "t")


def test_a_study_of_several_experiments_suggests_one(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    records = {"trial_id": list("abcdefghij"), "task": "t", "experiment": ["train"] * 5 + ["time"] * 5, "x": X * 2, "y": [*Y, *Y[::-1]]}
    frame = pd.DataFrame(records)
    monkeypatch.setattr("harness.commands.fit.study_rows", lambda *_: (number(frame), []))
    hint = "rows of 2 experiments are mixed (train, time): --where experiment=train takes one of them"
    said = papertrial("fit", "power-law", "study", "--resamples", "20")
    assert (said.code, f"mind: {hint}" in said.out) == (0, True)
    assert hint not in papertrial("fit", "power-law", "study", "--resamples", "20", "--where", "experiment=time").out
    assert hint not in papertrial("fit", "power-law", "study", "--resamples", "20", "--group", "experiment").out
    frame.loc[frame["experiment"] == "time", "y"] = np.nan
    said = papertrial("fit", "power-law", "study")
    assert (said.code, "row 6: column y is empty or NaN" in said.err, hint in said.err) == (2, True, True)
