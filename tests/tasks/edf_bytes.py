"""EDF and BDF files byte by byte, so that every field can lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tasks.datasets.eeg.montage import PLACES

NAMES = tuple(name.encode() for name in PLACES)
Text = tuple[float, float, bytes]
"""Onset, duration, text."""
TAL = 120
"""Bytes of annotations in a record: a whole number of samples of two and of three bytes."""


def edf_bytes(
    x: np.ndarray,
    *,
    spans: Sequence[Text] = (),
    rate: int = 250,
    names: Sequence[bytes] = NAMES,
    units: Sequence[bytes] | bytes = b"uV",
    physical: tuple[bytes, bytes] = (b"-400", b"400"),
    onsets: Sequence[float] | None = None,
    kind: bytes = b"EDF+C",
    pad: bytes = b" ",
    width: int = 2,
    **fields: bytes,
) -> bytes:
    """(channels, seconds * rate) microvolts in records of a second; `onsets` of the records, `fields` of the main header replaced.

    The values that are written go from -400 to 400 whatever the header says of units and range. Texts lie in the first record.
    """
    count, records = len(names) + 1, x.shape[1] // rate
    each = [units] * (count - 1) if isinstance(units, bytes) else list(units)
    top = 2 ** (8 * width - 1) - 1
    digital = np.rint(x[:, : records * rate] / 400 * top).astype("<i4").reshape(len(names), records, rate)
    main: Mapping[str, tuple[int, bytes]] = {
        "version": (8, b"\xffBIOSEMI" if width == 3 else b"0"),
        "patient": (80, b"X X X X"),
        "recording": (80, b"Startdate 01-JAN-2020 X X X"),
        "date": (8, b"01.01.20"),
        "time": (8, b"00.00.00"),
        "size": (8, str(256 * (count + 1)).encode()),
        "reserved": (44, kind),
        "records": (8, str(records).encode()),
        "duration": (8, b"1"),
        "channels": (4, str(count).encode()),
    }
    table = [
        (16, [*names, b"EDF Annotations" if width == 2 else b"BDF Annotations"]),
        (80, [b""] * count),
        (8, [*each, b""]),
        (8, [*[physical[0]] * (count - 1), b"-1"]),
        (8, [*[physical[1]] * (count - 1), b"1"]),
        (8, [str(-top).encode()] * count),
        (8, [str(top).encode()] * count),
        (80, [b""] * count),
        (8, [*[str(rate).encode()] * (count - 1), str(TAL // width).encode()]),
        (32, [b""] * count),
    ]
    cells = [(size, fields.get(name, value)) for name, (size, value) in main.items()]
    cells += [(size, value) for size, values in table for value in values]
    out = [value.ljust(size, pad)[:size] for size, value in cells]
    for record in range(records):
        out.append(np.ascontiguousarray(digital[:, record]).view(np.uint8).reshape(-1, 4)[:, :width].tobytes())
        tals = b"+%s\x14\x14\0" % _number(onsets[record] if onsets else record)
        if record == 0:
            tals += b"".join(b"%s\x15%s\x14%s\x14\0" % (_signed(onset), _number(length), text) for onset, length, text in spans)
        assert len(tals) <= TAL, "too many texts for a record"
        out.append(tals.ljust(TAL, b"\0"))
    return b"".join(out)


def write(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def _number(value: float) -> bytes:
    return f"{value:g}".encode()


def _signed(value: float) -> bytes:
    return f"{value:+g}".encode()
