"""Annotations beside a recording and inside FIF files: brought to the first sample, or left out by name with the true reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import mne
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from tasks.datasets.eeg.annotations import Annotation, LeftOut, sound
from tasks.datasets.eeg.fif import annotations_of, open_fif
from tasks.datasets.eeg.montage import PLACES
from tasks.datasets.eeg.reading import channels_of, read_signals
from tasks.datasets.eeg.tables import Clock, read_table, tables_of
from tests.tasks.edf_bytes import edf_bytes, write
from tests.tasks.test_eeg_data_recordings import adopt, expected, noise, of_group, write_edf, write_fif

DATE = datetime(2002, 12, 3, 19, 1, 10, 720100, tzinfo=UTC)
SPANS = [(1.0, 4.0, "blink"), (8.0, 3.0, "chew")]
STARTS = [1, 2, 3, 8, 9]


def cropped(date: datetime | None, crop: float, seed: int = 0) -> tuple[mne.io.BaseRaw, np.ndarray]:
    """A recording cut out of a longer one as mne does it, annotated before, and its microvolts."""
    x = noise(seed, 20 + crop)
    raw = mne.io.RawArray(x * 1e-6, mne.create_info([*PLACES], 250.0, "eeg"), verbose="ERROR")
    raw.set_meas_date(date)
    onsets, durations, texts = ([span[i] for span in SPANS] for i in range(3))
    raw.set_annotations(mne.Annotations(np.add(onsets, crop), durations, texts), verbose="ERROR")
    raw.crop(crop)
    return raw, x[:, round(crop * 250) :]


@pytest.mark.parametrize("beside", ["", "csv", "txt", "fif"])
@pytest.mark.parametrize("crop", [0.0, 4.0])
@pytest.mark.parametrize("dated", [True, False])
def test_what_mne_writes_counts_from_the_first_sample(tmp_path: Path, dated: bool, crop: float, beside: str) -> None:
    """Inside a FIF file or in mne's own tables, of whole recordings and of pieces, with a date and without."""
    root = tmp_path / "in"
    root.mkdir()
    recordings = {}
    for seed in range(3):
        raw, recordings[f"sub-{seed}"] = cropped(DATE if dated else None, crop, seed)
        if beside:
            raw.annotations.save(root / f"sub-{seed}_raw-annot.{beside}", verbose="ERROR")
            raw.set_annotations(None)
        raw.save(root / f"sub-{seed}_raw.fif", fmt="double", verbose="ERROR")
    if beside and crop and not dated:
        with pytest.raises(DataError, match=r"cannot be told|does not say when its first sample was taken"):
            adopt(root, tmp_path / "out", tuar=False)
        return
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert (notes, windows.classes) == ([], ("blink", "chew"))
    for subject, x in recordings.items():
        np.testing.assert_allclose(of_group(windows, subject)[0], expected(x, STARTS), atol=1e-4)


def test_annotations_of_a_fif_that_reach_outside_of_it(tmp_path: Path) -> None:
    raw, _ = cropped(DATE, 0.0)
    raw.annotations.append([18.0, 19.0], [2.0, 1.0], ["blink", "chew"])
    raw.save(tmp_path / "a_raw.fif", verbose="ERROR")
    read = annotations_of(tmp_path / "a_raw.fif", open_fif(tmp_path / "a_raw.fif", "it"), "it")
    assert len(read) == 4
    piece = raw.copy().crop(0, 10, verbose="ERROR")
    piece._annotations = raw.annotations  # as older versions of mne and other writers leave them
    piece.save(tmp_path / "b_raw.fif", verbose="ERROR")
    read = annotations_of(tmp_path / "b_raw.fif", open_fif(tmp_path / "b_raw.fif", "it"), "it")
    assert [str(annotation) for annotation in read if annotation.stop > 10.05] == [
        "chew, 8.0-11.0 s",
        "blink, 18.0-20.0 s",
        "chew, 19.0-20.0 s",
    ]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a_raw.csv", "first"),
        ("a_raw-annotations.csv", "first"),
        ("a_raw_annotations.csv", "after"),
        ("a_raw-annot.txt", "after"),
        ("a-annot.fif", "after"),
        ("a_annotations.tsv", "after"),
        ("a_events.tsv", "after"),
        ("a_raw.txt", ""),
        ("b_events.tsv", ""),
    ],
)
def test_where_tables_lie(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / name).touch()
    first, after = tables_of(tmp_path / "a_raw.fif")
    assert [[table.name for table in tables] for tables in (first, after)] == [[name] * (found == kind) for kind in ("first", "after")]


def test_events_of_bids(tmp_path: Path) -> None:
    """In the table of a recording of two parts that are no chain, only the first part's times are the signal's."""
    root = tmp_path / "in"
    rows = ["onset\tduration\ttrial_type\tsample", "1.0\t4.0\tblink\t250", "8\t3\tchew\t2000", "12\tn/a\tblink\t3000", "13\t2\tn/a\t3250"]
    for seed in range(3):
        write_edf(root / f"sub-{seed}_task-x_eeg.edf", noise(seed))
        write(root / f"sub-{seed}_task-x_events.tsv", "\n".join([*rows, "14\t-2\tchew\t3500"]).encode())
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert windows.classes == ("blink", "chew")
    assert [note for note in notes if "sub-0" in note] == [
        "sub-0_task-x_events.tsv, line 4: '12\\tn/a\\tblink\\t3000' does not hold the times and label of an annotation; left out",
        "sub-0_task-x_events.tsv, line 5: n/a, 13.0-15.0 s has no label or no duration; left out",
        "sub-0_task-x_events.tsv, line 6: chew, 14.0-12.0 s has no label or no duration; left out",
    ]
    assert of_group(windows, "sub-1")[1] == ["blink"] * 3 + ["chew"] * 2


def test_annotations_inside_count_before_the_events_of_bids_and_that_is_said(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for seed in range(3):
        write_edf(root / f"sub-{seed}_eeg.edf", noise(seed), spans=[(0.0, 20.0, "blink")] if seed else [(3.0, 0.0, "trigger")])
        write(root / f"sub-{seed}_events.tsv", b"onset\tduration\ttrial_type\n1\t4\tblink\n")
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert [len(of_group(windows, f"sub-{seed}")[1]) for seed in range(3)] == [3, 19, 19]
    assert [note for note in notes if "beside" in note] == [
        f"sub-{i}_eeg.edf: sub-{i}_events.tsv lies beside it too; its own annotations are read" for i in (1, 2)
    ]


TABLES = {
    "semicolons": b"onset;duration;description\n1;4;blink\n8,0;3,0;chew, loud\n",
    "tabs": b"onset\tduration\tdescription\n1\t4\tblink\n8.0\t3\tchew, loud\n",
    "mark": 'onset,duration,description\n1,4,blink\n8,3,"chew, loud"\n'.encode("utf-8-sig"),
    "utf-16": 'onset,duration,description\n1,4,blink\n8,3,"chew, loud"\n'.encode("utf-16"),
    "utf-16-be": b"\xfe\xff" + 'onset,duration,description\r\n1,4,blink\r\n8,3,"chew, loud"\r\n'.encode("utf-16-be"),
    "bids": b"onset\tduration\ttrial_type\tvalue\n1\t4\tblink\tn/a\n8.0\t3\tchew, loud\t7\n",
    "times": b'onset,duration,description\n2002-12-03 19:01:11.720100,4,blink\n2002-12-03T19:01:18.720100+00:00,3,"chew, loud"\n',
    "zone": b'onset,duration,description\n2002-12-03 21:01:11.720100+02:00,4,blink\n2002-12-03 19:01:18.720100Z,3,"chew, loud"\n',
    "undated": b'onset,duration,description\n1970-01-01 00:00:01,4,blink\n1970-01-01 00:00:08.000000,3,"chew, loud"\n',
    "text": b'# MNE-Annotations\n# orig_time : 2002-12-03 19:01:00.720100\n# onset, duration, description\n11,4,blink\n18,3,"chew, loud"\n',
}


@pytest.mark.parametrize("how", TABLES)
def test_tables_of_every_make_say_the_same(tmp_path: Path, how: str) -> None:
    table = write(tmp_path / "t.csv", TABLES[how])
    assert read_table(table, "t", Clock(DATE)) == ([Annotation(1.0, 5.0, "blink"), Annotation(8.0, 11.0, "chew, loud")], [])


@pytest.mark.parametrize(
    ("content", "clock", "says"),
    [
        (b"onset,duration,description\n2002-12-03 19:01:11,4,blink\n", Clock(None), "does not say when its first sample was taken"),
        (b"onset,duration,description\n1970-01-01 00:00:11,4,blink\n", Clock(None, 4.0), "does not say when its first sample was taken"),
        (
            b"# MNE-Annotations\n# onset, duration, description\n1,4,blink\n",
            Clock(None, 4.0),
            "whether its times count from the first sample",
        ),
        (
            b"# MNE-Annotations\n# orig_time : noon\n# onset, duration, description\n1,4,blink\n",
            Clock(DATE),
            "its orig_time 'noon' is no date",
        ),
        (b"time,label\n1,blink\n", Clock(None), "its columns must be TUAR's"),
        (b"", Clock(None), "its columns must be TUAR's"),
        (b"onset,onset,duration,description\n1,2,3,blink\n", Clock(None), "has two columns onset"),
        ("onset,duration,description\n1,2,a".encode("utf-16-le"), Clock(None), "holds NUL bytes"),
        (b"\xff\xfea", Clock(None), "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read_right_is_refused(tmp_path: Path, content: bytes, clock: Clock, says: str) -> None:
    with pytest.raises(LeftOut) as caught:
        read_table(write(tmp_path / "t.csv", content), "t", clock)
    assert says in str(caught.value)
    assert str(caught.value).startswith("t: ")
    assert str(caught.value).endswith("its recording is left out")


@pytest.mark.parametrize(
    "line",
    [
        "2,5,3,blink",
        "1_0,4,blink",
        "١,4,blink",
        "1e999,4,blink",
        "nan,4,blink",
        "2002-13-45 10:00:00,4,blink",
        "00:00:01,4,blink",
        '1,4,"blink',
        "1;4;blink",
    ],
)
def test_a_line_that_is_no_annotation_is_left_out_by_name(tmp_path: Path, line: str) -> None:
    table = write(tmp_path / "t.csv", f"onset,duration,description\n{line}\n1,4,sound\n".encode())
    found, notes = read_table(table, "t", Clock(DATE))
    assert found == [Annotation(1.0, 5.0, "sound")]
    assert len(notes) == 1
    assert notes[0].startswith("t, line 2: ")
    assert notes[0].endswith("left out")


def test_commas_are_decimal_only_where_no_point_is(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", b"onset;duration;description\n1,500;4;blink\n2.500;4;chew\n")
    found, notes = read_table(table, "t", Clock(None))
    assert found == [Annotation(2.5, 6.5, "chew")]
    assert notes == ["t, line 2: '1,500;4;blink' does not hold the times and label of an annotation; left out"]


def test_many_lines_of_no_use_are_counted(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", b"onset,duration,description\n" + b"3,0,trigger\n" * 30 + b"1,4,blink\n")
    found, notes = read_table(table, "t", Clock(None))
    assert (len(found), len(notes)) == (1, 9)
    assert notes[-1] == "t: 22 more lines hold no times, no label or no duration; left out"


def test_a_table_in_latin_1_is_read_and_said(tmp_path: Path) -> None:
    found, notes = read_table(write(tmp_path / "t.csv", "onset,duration,description\n1,4,Mâchoire\n".encode("latin-1")), "t", Clock(None))
    assert (found, notes) == ([Annotation(1.0, 5.0, "Mâchoire")], ["t: is not in UTF-8; read as Latin-1"])


def test_channels_of_mne(tmp_path: Path) -> None:
    found, _ = read_table(
        write(tmp_path / "t.csv", b"onset,duration,description,ch_names\n1,4,blink,Fp1:Fp2\n2,4,chew,\n"), "t", Clock(None)
    )
    assert [annotation.channel for annotation in found] == ["Fp1-Fp2", ""]


def test_a_table_without_an_annotation_says_why(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "a.edf", edf_bytes(noise(0)))
    write(root / "a.csv", b"onset,duration,description\nsoon,4,blink\n")
    with pytest.raises(
        DataError, match=r"line 2: 'soon,4,blink' does not hold the times .*a\.csv: holds no annotation; a\.edf is left out"
    ):
        adopt(root, tmp_path / "out", tuar=False)


def test_annotations_without_a_label_or_a_time_are_left_out_by_name() -> None:
    nan = float("nan")
    kept, notes = sound(
        [Annotation(1, 2, "a"), Annotation(1, 2, " "), Annotation(nan, 2, "b"), Annotation(3, 2, "c"), Annotation(3, 3, "d")], "it"
    )
    assert [annotation.label for annotation in kept] == ["a", "d"]
    assert [note.endswith("has no label or no duration; left out") for note in notes] == [True] * 3


@pytest.mark.parametrize(("before", "value", "says"), [(72, 99, "damaged (Unknown channel type"), (8, 112, "channel T3 has the unit 112")])
def test_a_fif_channel_of_no_kind_or_of_another_unit(tmp_path: Path, before: int, value: int, says: str) -> None:
    """`before` the name in the description of a channel lie its kind and its unit."""
    file = write_fif(tmp_path / "a_raw.fif", noise(0), spans=SPANS)
    content = bytearray(file.read_bytes())
    place = content.index(b"T3" + bytes(14)) - before
    content[place : place + 4] = value.to_bytes(4, "big")
    file.write_bytes(content)
    with pytest.raises(LeftOut) as caught:
        read_signals(file, "it", tuple(channels_of(file, "it")), 250.0)
    assert says in str(caught.value)


def test_a_fif_that_is_cut_off_and_holds_no_annotations_says_so(tmp_path: Path) -> None:
    file = write_fif(tmp_path / "a_raw.fif", noise(0))
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(LeftOut, match="it: truncated, and without annotations; the recording is left out"):
        annotations_of(file, open_fif(file, "it"), "it")


def test_a_file_of_another_kind_is_no_recording(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for seed in range(3):
        write_fif(root / f"sub-{seed}_raw.fif", noise(seed), spans=SPANS)
    info = mne.create_info(["a"], 250.0, "eeg", verbose="ERROR")
    mne.EpochsArray(np.zeros((2, 1, 50)), info, verbose="ERROR").save(root / "sub-0_epo.fif", verbose="ERROR")
    _, notes = adopt(root, tmp_path / "out", tuar=False)
    assert notes == ["sub-0_epo.fif: holds no continuous recording; it is left out"]


CELLS = st.one_of(
    st.floats(-50, 50).map(lambda value: f"{value:.3f}"),
    st.sampled_from(["1", "4", "blink", "", "n/a", "nan", "1,5", "2002-12-03 19:01:11", "1970-01-01 00:00:04", '"a,b"', '"']),
    st.text(max_size=6),
)


@pytest.mark.fuzz
@given(
    st.sampled_from(
        ["onset,duration,description", "onset;duration;description", "onset\tduration\ttrial_type", "start_time,stop_time,label", "x"]
    ),
    st.lists(st.lists(CELLS, max_size=5), max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    st.sampled_from([Clock(None), Clock(DATE), Clock(None, 4.0), Clock(DATE, 4.0)]),
)
def test_fuzz_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, head: str, rows: list[list[str]], encoding: str, clock: Clock
) -> None:
    """Every line becomes an annotation whose numbers are its cells, or a note."""
    delimiter = next((mark for mark in ",;\t" if mark in head), ",")
    lines = [delimiter.join(row) for row in rows]
    table = write(tmp_path_factory.getbasetemp() / "fuzz.csv", "\n".join([head, *lines]).encode(encoding, "replace"))
    try:
        found, notes = read_table(table, "t", clock)
    except LeftOut as reason:
        said = str(reason)
    else:
        said = ""
        assert all(np.isfinite([a.start, a.stop]).all() and a.start < a.stop and a.label for a in found)
        plain = [
            row
            for row in rows
            if len(row) == 3 and all(cell.replace(".", "").isascii() and cell.replace(".", "").isdigit() for cell in row)
        ]
        for row in plain:
            stop = float(row[1]) + (float(row[0]) if "duration" in head else 0.0)
            assert not float(row[0]) < stop or Annotation(float(row[0]), stop, row[2]) in found
        assert found or notes or not any(line.strip() and not line.startswith("#") for line in lines)
    assert not said or said.startswith("t: ")


@pytest.mark.fuzz
@given(st.binary(max_size=200))
def test_fuzz_any_bytes_of_a_table_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for head in (b"", b"onset,duration,description\n", b"# MNE-Annotations\n# onset, duration, description\n"):
        table = write(tmp_path_factory.getbasetemp() / "bytes.csv", head + content)
        try:
            found, _ = read_table(table, "t", Clock(DATE))
        except LeftOut:
            continue
        assert all(np.isfinite([a.start, a.stop]).all() for a in found)
