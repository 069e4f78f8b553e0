"""EDF and BDF whose header or annotations mislead: read right, or left out by name with the true reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from tasks.datasets.eeg.annotations import Annotation, LeftOut, within
from tasks.datasets.eeg.edf_annotations import read_content
from tasks.datasets.eeg.edf_header import Header, mended, read_header
from tasks.datasets.eeg.levels import absurd_level
from tasks.datasets.eeg.montage import PLACES
from tasks.datasets.eeg.reading import channels_of, read_inside, read_signals
from tests.tasks.edf_bytes import NAMES, edf_bytes, write
from tests.tasks.test_eeg_data_recordings import adopt, expected, noise, of_group, write_fif

SPANS = [(1.0, 4.0, b"blink"), (8.0, 3.0, b"chew")]
STARTS = [1, 2, 3, 8, 9]
QUANTUM = 400 / 32767


def three(root: Path, **how: Any) -> dict[str, np.ndarray]:
    """Three subjects, all written the same way; what they hold."""
    recordings = {f"sub-{seed}": noise(seed) for seed in range(3)}
    for name, x in recordings.items():
        write(root / f"{name}_eeg.{'bdf' if how.get('width') == 3 else 'edf'}", edf_bytes(x, **{"spans": SPANS, **how}))
    return recordings


def read(file: Path, content: bytes) -> np.ndarray:
    """The microvolts of the eight channels, at 250 Hz."""
    (part,) = read_signals(write(file, content), "it", tuple(PLACES), 250.0).parts
    return part.x


def reason(file: Path, content: bytes) -> str:
    """Why a file is left out."""
    write(file, content)
    with pytest.raises(LeftOut) as caught:
        read_inside(file, "it"), read_signals(file, "it", tuple(PLACES), 250.0)
    return str(caught.value)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *(
            (unit, 1.0)
            for unit in (b"uV", b"UV", b"uv", b"\xb5V", b"\xc2\xb5V", b"\xce\xbcV", b"\x83\xcaV", b"uVolt", b"microV", b" uV", b"uV\0")
        ),
        (b"mV", 1e3),
        (b"mv", 1e3),
        (b"nV", 1e-3),
        (b"V", 1e6),
        (b"Volt", 1e6),
    ],
)
@pytest.mark.parametrize("width", [2, 3])
def test_units_of_voltage(tmp_path: Path, unit: bytes, factor: float, width: int) -> None:
    low, high = (f"{value / factor:.8f}"[:8].encode() for value in (-400, 400))
    file = tmp_path / ("a.edf" if width == 2 else "a.bdf")
    found = read(file, edf_bytes(noise(1), units=unit, physical=(low, high), width=width))
    np.testing.assert_allclose(found, noise(1), atol=QUANTUM + 0.06)


@pytest.mark.parametrize("unit", [b"", b".V", b"dotV", b"MV", b"degC", b"%", b"bpm", b"uV/Hz", b"uA", b"?V", b"Boolean", b"\xe6V"])
def test_a_unit_that_is_no_known_voltage_is_refused(tmp_path: Path, unit: bytes) -> None:
    said = reason(tmp_path / "a.edf", edf_bytes(noise(1), units=unit))
    assert said == (
        f"it: channel Fp1 has the unit {unit.decode('latin-1')!r}, which is no voltage that is known (V, mV, uV, nV); "
        "the recording is left out"
    )


def test_channels_of_other_units_do_not_count_where_channels_are_no_places(tmp_path: Path) -> None:
    file = write(tmp_path / "a.edf", edf_bytes(noise(1)[:3], names=[b"one", b"two", b"warmth"], units=[b"uV", b"mV", b"degC"]))
    assert channels_of(file, "it") == {"one": "one", "two": "two"}
    write(file, edf_bytes(noise(1)[:2], names=[b"one", b"two"], units=[b"%", b"degC"]))
    with pytest.raises(LeftOut, match=r"none of its channels has a unit of voltage \(V, mV, uV, nV\), but '%', 'degC'"):
        channels_of(file, "it")


@pytest.mark.parametrize(
    ("physical", "unit", "says"),
    [
        ((b"-400", b"400"), b"V", "varies by 5.76e+07 uV"),
        ((b"-400", b"400"), b"mV", "varies by 5.76e+04 uV"),
        ((b"-0.1", b"0.1"), b"uV", "varies by 0.0144 uV"),
        ((b"-0.4", b"0.4"), b"nV", "varies by 5.76e-05 uV"),
        ((b"5", b"5"), b"uV", "has the physical range 5 to 5"),
    ],
)
def test_a_level_that_no_electrode_gives_is_refused_with_the_level(tmp_path: Path, physical: Any, unit: bytes, says: str) -> None:
    said = reason(tmp_path / "a.edf", edf_bytes(noise(1), physical=physical, units=unit))
    assert said.startswith(f"it: channel Fp1 {says}"), said
    assert said.endswith("the recording is left out")


def test_levels_by_hand() -> None:
    quiet = np.random.default_rng(0).standard_normal(5000)
    for level in (0.06, 1.0, 100.0, 9000.0):
        assert absurd_level(level * quiet + 3e5, 250.0) is None, "an offset of an electrode is no level"
    for level in (0.04, 11_000.0):
        assert absurd_level(level * quiet, 250.0)
    spiky = quiet.copy()
    spiky[100] = 1e6
    assert absurd_level(spiky, 250.0) is None
    assert absurd_level(np.zeros(1000), 250.0) is None
    assert absurd_level(np.full(1000, np.nan), 250.0) is None


@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize("pad", [b" ", b"\0"])
def test_headers_padded_with_spaces_or_nul(tmp_path: Path, pad: bytes, width: int) -> None:
    recordings = three(tmp_path / "in", pad=pad, width=width)
    windows, notes = adopt(tmp_path / "in", tmp_path / "out", tuar=False)
    assert (notes, windows.channels, windows.classes) == ([], tuple(PLACES), ("blink", "chew"))
    for subject, x in recordings.items():
        np.testing.assert_allclose(of_group(windows, subject)[0], expected(x, STARTS), atol=1.02 * QUANTUM)


def test_a_gap_moves_what_comes_after_it_and_no_window_crosses_it(tmp_path: Path) -> None:
    """Ten seconds, a gap of 7.5 s, ten more; the annotations count the gap."""
    onsets = [*range(10), *(17.5 + second for second in range(10))]
    spans = [(1.0, 4.0, b"blink"), (7.0, 14.0, b"chew"), (11.0, 3.0, b"lost")]
    recordings = three(tmp_path / "in", onsets=onsets, kind=b"EDF+D", spans=spans)
    windows, notes = adopt(tmp_path / "in", tmp_path / "out", tuar=False)
    assert [note for note in notes if note.startswith("sub-0")] == [
        "sub-0_eeg.edf: was interrupted from 10.0 to 17.5 s; no window crosses a gap",
        "sub-0_eeg.edf: chew, 7.0-21.0 s reaches into a gap of the recording; cut there",
        "sub-0_eeg.edf: lost, 11.0-14.0 s lies in a gap of the recording; left out",
    ]
    for subject, x in recordings.items():
        found, classes = of_group(windows, subject)
        assert classes == ["blink"] * 3 + ["chew"] * 4
        np.testing.assert_allclose(found, expected(x, [1, 2, 3, 7, 8, 10, 11]), atol=1.02 * QUANTUM)


def test_each_part_between_gaps_is_resampled_alone(tmp_path: Path) -> None:
    x = noise(3, rate=500)
    onsets = [*range(10), *range(100, 110)]
    whole = read_signals(write(tmp_path / "a.edf", edf_bytes(x, rate=500, onsets=onsets, kind=b"EDF+D")), "it", tuple(PLACES), 250.0)
    assert whole.spans == [(0.0, 10.0), (100.0, 110.0)]
    for part, half in zip(whole.parts, (x[:, :5000], x[:, 5000:]), strict=True):
        np.testing.assert_array_equal(part.x, read(tmp_path / "b.edf", edf_bytes(half, rate=500)))


def test_gaps_are_told_by_the_records_not_by_the_header(tmp_path: Path) -> None:
    late = [*range(5), *(second + 3 for second in range(5, 20))]
    for kind, onsets, gaps in ((b"EDF+D", None, 1), (b"EDF+D", late, 2), (b"EDF+C", late, 2), (b"EDF+C", None, 1)):
        file = write(tmp_path / "a.edf", edf_bytes(noise(0), kind=kind, onsets=onsets))
        assert len(read_signals(file, "it", tuple(PLACES), 250.0).parts) == gaps, (kind, onsets)
    lazy = write(tmp_path / "a.edf", edf_bytes(noise(0), onsets=[0.0] * 20))
    assert read_signals(lazy, "it", tuple(PLACES), 250.0).spans == [(0.0, 20.0)]
    jittered = [second + 0.001 * (second % 2) for second in range(20)]
    file = write(tmp_path / "a.edf", edf_bytes(noise(0), kind=b"EDF+D", onsets=jittered))
    assert len(read_signals(file, "it", tuple(PLACES), 250.0).parts) == 1
    back = [*range(10), *range(5, 15)]
    assert "its record 11 begins at 5 s, before the one before it ends" in reason(file, edf_bytes(noise(0), kind=b"EDF+D", onsets=back))
    short = [second * 0.9985 for second in range(10)] + [9.9 + second for second in range(10)]
    assert "begins at" in reason(file, edf_bytes(noise(0), kind=b"EDF+D", onsets=short))
    mute = edf_bytes(noise(0), kind=b"EDF+D").replace(b"+7\x14\x14\0", b"\0\0\0\0\0")
    assert "not each of its records says when it begins" in reason(file, mute)


def test_a_first_record_that_begins_late_is_the_zero_of_the_signals(tmp_path: Path) -> None:
    spans = [(onset + 5.25, length, text) for onset, length, text in SPANS]
    recordings = three(tmp_path / "in", onsets=[5.25 + second for second in range(20)], spans=spans)
    windows, notes = adopt(tmp_path / "in", tmp_path / "out", tuar=False)
    assert notes == []
    for subject, x in recordings.items():
        np.testing.assert_allclose(of_group(windows, subject)[0], expected(x, STARTS), atol=1.02 * QUANTUM)


def test_a_table_beside_a_recording_with_gaps_cannot_be_brought_to_it(tmp_path: Path) -> None:
    three(tmp_path / "in", onsets=[*range(10), *range(20, 30)], kind=b"EDF+D", spans=())
    for subject in range(3):
        (tmp_path / "in" / f"sub-{subject}_eeg.csv").write_text("onset,duration,description\n1,3,blink\n")
    with pytest.raises(DataError, match=r"sub-0_eeg\.edf: has gaps, and whether the times of sub-0_eeg\.csv count them cannot be told"):
        adopt(tmp_path / "in", tmp_path / "out", tuar=False)


@pytest.mark.parametrize(("text", "label"), [("Yeux fermés", "Yeux fermés"), ("μ-Rhythmus", "μ-Rhythmus")])
def test_texts_in_utf_8_and_latin_1(tmp_path: Path, text: str, label: str) -> None:
    latin = text.isascii() or text.encode("latin-1", "ignore").decode("latin-1") == text
    three(tmp_path / "in", spans=[(1.0, 4.0, text.encode("latin-1" if latin else "utf-8")), (8.0, 3.0, b"chew")])
    windows, notes = adopt(tmp_path / "in", tmp_path / "out", tuar=False)
    assert windows.classes == tuple(sorted(["chew", label]))
    assert notes == ([f"sub-{i}_eeg.edf: its annotations are not in UTF-8; read as Latin-1" for i in range(3)] if latin else [])


def test_texts_in_no_encoding_are_left_out(tmp_path: Path) -> None:
    content = edf_bytes(noise(0), spans=[(1.0, 4.0, b"\x81\x8d"), (8.0, 3.0, "œil".encode("cp1252"))])
    inside = read_inside(write(tmp_path / "a.edf", content), "it")
    assert inside.annotations == [Annotation(8.0, 11.0, "œil")]
    assert inside.notes[1:] == ["it: 1 entries among its annotations cannot be read; left out"]


def test_entries_among_the_annotations_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    content = edf_bytes(noise(0), spans=[(1.0, 4.0, b"blink@@O1"), (2.0, 3.0, b"me@@home")]).replace(b"+3\x14\x14\0", b"+3\x14x\0")
    inside = read_inside(write(tmp_path / "a.edf", content), "it")
    assert inside.notes == ["it: 1 entries among its annotations cannot be read; left out"]
    assert inside.annotations == [Annotation(1.0, 5.0, "blink", "O1"), Annotation(2.0, 5.0, "me@@home")]


def test_marks_of_mne_are_no_classes_and_spoil_the_windows_they_touch(tmp_path: Path) -> None:
    three(tmp_path / "in", spans=[(0.0, 12.0, b"blink"), (6.0, 0.0, b"BAD boundary"), (10.0, 0.5, b"bad")])
    windows, notes = adopt(tmp_path / "in", tmp_path / "out", tuar=False)
    assert windows.classes == ("blink",)
    assert notes[:2] == [
        "sub-0_eeg.edf: marked BAD boundary from 5.9 to 6.1 s: 3 windows left out",
        "sub-0_eeg.edf: marked bad from 9.9 to 10.6 s: 3 windows left out",
    ]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: b"", "it has 0 bytes"),
        (lambda c: c[:200], "it has 200 bytes"),
        (lambda c: c[:700], "it ends inside its header of 2560 bytes"),
        (lambda c: b"\xffBIOSEMI" + c[8:], "its first bytes are not those of an EDF file"),
        (lambda c: b"RIFF" + c[4:], "its first bytes are not those of an EDF file"),
        (lambda c: c[:236] + b"many    " + c[244:], "'many' in its header is no number of records"),
        (lambda c: c[:244] + b"0       " + c[252:], "its header says that a record lasts 0 s"),
        (lambda c: c[:244] + b"-1      " + c[252:], "its header says that a record lasts -1 s"),
        (lambda c: c[:244] + b"nan     " + c[252:], "'nan' in its header is no duration of a record"),
        (lambda c: c[:244] + b"1e9     " + c[252:], "its record 2 begins at 1 s, before the one before it ends at 1e+09 s"),
        (lambda c: c[:236] + b"1       30      " + c[252:], "takes 8.33333 samples a second"),
        (lambda c: c[:244] + b"1e-9    " + c[252:], "takes 2.5e+11 samples a second"),
        (lambda c: c[:252] + b"0   " + c[256:], "its header announces 0 channels and a header of 2560 bytes, which do not fit"),
        (lambda c: c[:252] + b"7   " + c[256:], "its header announces 7 channels and a header of 2560 bytes, which do not fit"),
        (lambda c: c[:184] + b"512     " + c[192:], "its header announces 9 channels and a header of 512 bytes"),
        (lambda c: c.replace(b"250     ", b"0       ", 1), "channel Fp1 has no samples in its records"),
        (lambda c: c.replace(b"250     ", b"-250    ", 1), "its header announces -250 samples in a record of channel Fp1"),
        (lambda c: c.replace(b"250     ", b"0       ").replace(b"60      ", b"0       "), "its header announces records without samples"),
        (lambda c: c.replace(b"250     ", b"9999999 ", 1), "truncated: no sample of any channel is there"),
        (lambda c: c.replace(b"-400    ", b"lots    ", 1), "'lots' in its header is no physical minimum of channel Fp1"),
        (lambda c: c.replace(b"-32767  ", b"32767   ", 1), "channel Fp1 has the digital range 32767 to 32767"),
        (lambda c: c[:2560], "truncated: no sample of any channel is there"),
        (lambda c: c.replace(b"Fp2 ", b"Fp1 ", 1), "has more than one channel Fp1"),
    ],
)
def test_a_header_that_misleads_is_refused_with_the_true_reason(tmp_path: Path, spoil: Any, says: str) -> None:
    assert says in reason(tmp_path / "a.edf", spoil(edf_bytes(noise(0), spans=SPANS)))


def test_other_files_under_the_suffix(tmp_path: Path) -> None:
    bdf = edf_bytes(noise(0), width=3)
    assert "its first bytes are not those of an EDF file" in reason(tmp_path / "a.edf", bdf)
    assert "its first bytes are not those of a BDF file" in reason(tmp_path / "a.bdf", edf_bytes(noise(0)))
    fif = write_fif(tmp_path / "b_raw.fif", noise(0)).read_bytes()
    assert "its first bytes are not those of an EDF file" in reason(tmp_path / "a.edf", fif)
    assert reason(tmp_path / "a.fif", edf_bytes(noise(0))).startswith("it: truncated or damaged, it cannot be opened")
    (tmp_path / "in" / "folder.edf").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no recording"):
        adopt(tmp_path / "in", tmp_path / "out", tuar=False)


def test_channels_named_like_a_kind_of_channel_are_taken_by_name(tmp_path: Path) -> None:
    x = noise(0)[:3]
    file = write(tmp_path / "a.edf", edf_bytes(x, names=[b"meg", b"all", b"eeg"]))
    (part,) = read_signals(file, "it", ("eeg", "all"), 250.0).parts
    np.testing.assert_allclose(part.x, x[[2, 1]], atol=QUANTUM)


@pytest.mark.parametrize(
    ("records", "more", "note"),
    [
        (b"20", b"", []),
        (b"-1", b"", []),
        (b"20", b"junk" * 3000, ["it: 12000 bytes follow the 20.0 s that its header announces; left out"]),
        (b"12", b"", ["it: 32960 bytes follow the 12.0 s that its header announces; left out"]),
        (b"25", b"", ["it: truncated: its header announces 25.0 s, all channels end at 20.0 s; what lies after is left out"]),
    ],
)
def test_a_header_that_lies_about_the_length(tmp_path: Path, records: bytes, more: bytes, note: list[str]) -> None:
    x = noise(0)
    signals = read_signals(write(tmp_path / "a.edf", edf_bytes(x, records=records) + more), "it", tuple(PLACES), 250.0)
    seconds = 12 if records == b"12" else 20
    assert (signals.spans, signals.notes) == ([(0.0, float(seconds))], note)
    np.testing.assert_allclose(signals.parts[0].x, x[:, : seconds * 250], atol=QUANTUM)


def test_a_sound_header_is_left_as_it_is(tmp_path: Path) -> None:
    """What was read right goes the way it went, byte by byte."""
    header = read_header(write(tmp_path / "a.edf", edf_bytes(noise(0), spans=SPANS, units=b"\xb5V")))
    assert mended(header) == header.content
    padded = read_header(write(tmp_path / "b.edf", edf_bytes(noise(0), units=b"UV", pad=b"\0", records=b"-1")))
    assert read_header(write(tmp_path / "c.edf", mended(padded) + bytes(padded.size))).records == padded.records == 20


def test_what_lies_where_by_hand() -> None:
    spans = [(0.0, 4.0), (6.0, 9.0)]
    kept, notes = within([Annotation(-1, 7, "a"), Annotation(4.5, 5, "b"), Annotation(8, 8.5, "c"), Annotation(9, 12, "d")], spans, "it")
    assert kept == [Annotation(0, 4, "a"), Annotation(6, 7, "a"), Annotation(8, 8.5, "c")]
    assert notes == [
        "it: a, -1.0-7.0 s reaches outside the recording, which ends at 9.0 s; cut there",
        "it: b, 4.5-5.0 s lies in a gap of the recording; left out",
        "it: d, 9.0-12.0 s lies outside the recording, which ends at 9.0 s; left out",
    ]


SMALL = edf_bytes(noise(0, seconds=3)[:2], names=NAMES[:2], spans=[(0.5, 2.0, b"blink")])


@pytest.mark.fuzz
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, len(SMALL) - 1)), min_size=1, max_size=12), st.integers(0, len(SMALL)))
def test_fuzz_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int) -> None:
    """Never a traceback, whatever stands where, mostly in the header."""
    content = bytearray(SMALL)
    for byte, place in changes:
        content[place % 1024 if place % 3 else place] = byte
    check_bytes(tmp_path_factory, bytes(content) if cut % 4 else bytes(content)[:cut])


@pytest.mark.fuzz
@given(st.sampled_from([(184, 8), (192, 44), (236, 8), (244, 8), (252, 4), *((256 + 3 * 96 + 24 * i, 8) for i in range(9))]), st.data())
def test_fuzz_any_number_in_a_header_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, field: Any, data: Any) -> None:
    place, width = field
    value = data.draw(st.one_of(st.from_regex(rb"[-+]?[0-9.,eE]{0,7}\Z"), st.binary(max_size=width)))
    check_bytes(tmp_path_factory, SMALL[:place] + value[:width].ljust(width, b" ") + SMALL[place + width :])


def check_bytes(factory: pytest.TempPathFactory, content: bytes) -> None:
    file = write(factory.getbasetemp() / "fuzz.edf", content)
    try:
        channels = channels_of(file, "it")
        read_inside(file, "it")
        signals = read_signals(file, "it", tuple(channels), 250.0)
    except LeftOut:
        return
    header = read_header(file)
    assert all(np.isfinite(part.x).all() for part in signals.parts)
    by_hand(file, header, tuple(channels.values()), signals.parts[0].x, signals)


def by_hand(file: Path, header: Header, labels: tuple[str, ...], x: np.ndarray, signals: Any) -> None:
    """The first samples, from the bytes: value = physical minimum + (digital - digital minimum) * range / range."""
    if signals.rate != 250.0 or not signals.spans:
        return
    content, count = header.content, len(header.channels)
    data = np.frombuffer(file.read_bytes()[len(content) :], "<i2", header.size // 2).reshape(header.records, -1)
    ends = np.cumsum([channel.samples for channel in header.channels])
    for row, label in zip(x, labels, strict=True):
        index = next(i for i, channel in enumerate(header.channels) if channel.label == label)
        first = 256 + (16 + 80 + 8) * count + 8 * index
        low, high, bottom, top = (
            float(content[first + 8 * count * i :][:8].split(b"\0")[0].decode("latin-1").replace(",", ".")) for i in range(4)
        )
        channel = header.channels[index]
        if channel.samples != max(one.samples for one in header.signals):
            return
        raw = data[0, ends[index] - channel.samples : ends[index]]
        values = (low + (raw - bottom) * (high - low) / (top - bottom)) * (channel.microvolts or 0)
        known = np.isfinite(row[: len(values)])
        np.testing.assert_allclose(row[: len(values)][known], values[known], rtol=1e-6, atol=1e-6 * np.abs(values).max())


def test_annotations_of_the_small_file(tmp_path: Path) -> None:
    """What the fuzzing starts from is sound."""
    file = write(tmp_path / "a.edf", SMALL)
    assert read_content(file, read_header(file)).annotations == [Annotation(0.5, 2.5, "blink")]
    assert read_signals(file, "it", ("Fp1", "Fp2"), 250.0).spans == [(0.0, 3.0)]
