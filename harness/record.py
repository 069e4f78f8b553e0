"""The record: what a trial left. A trial that failed leaves one too."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from harness.plan import Identity

Status = Literal["ok", "failed", "diverged", "timeout", "oom"]
STATUSES: tuple[Status, ...] = ("ok", "failed", "diverged", "timeout", "oom")
SCHEMA_VERSION = 6
"""2: data_notes. 3: experiment, a part of the trial's id. 4: notes; a checksum in whatever a study keeps. 5: packed and packing.

6: energy_j.
"""
FIRST_WITH_CHECKSUMS = 4

Curve = list[dict[str, float]]
"""Rows that `Trial.log` wrote: `step` and the logged metrics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One trial's outcome with its provenance. Field order is the column order of the store."""

    trial_id: str
    task: str
    version: int
    scale: str
    experiment: str = ""
    """Empty in records of schema 1 and 2, from before tasks had experiments."""
    method: str
    seed: int
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    status: Status
    error: str = ""
    """One sentence, then the traceback; empty when the trial went well."""
    attempts: int = 1
    started: str = ""
    """UTC, ISO 8601."""
    seconds: float = 0.0
    host: str = ""
    device: str = ""
    peak_memory_mib: float = math.nan
    """Peak resident memory of the worker on a CPU, peak allocated memory of the trial on a GPU."""
    energy_j: float = math.nan
    """What its cards took while it ran, in joules: of all its ranks, and of a program of several trials its share. See `harness.energy`."""
    data_name: str = ""
    data_kind: str = "synthetic"
    data_fingerprint: str = ""
    data_notes: str = ""
    """What of the data's files was left out and why, a line each."""
    git_commit: str = ""
    git_dirty: bool = False
    source_digest: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    kernel_backend: str = ""
    notes: str = ""
    """What else has to be known of how the trial ran, a sentence a line."""
    packed: int = 1
    """Trials that its program trained as one. Of more than one, `seconds` is the trial's share of the program's."""
    packing: str = ""
    """Why it shared its program with others or with none; empty where its experiment has no program for many."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: numbers that JSON cannot hold (NaN, infinities) become strings."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        fields["params"] = dict(self.params)
        fields["metrics"] = {name: _encode(value) for name, value in self.metrics.items()}
        fields["versions"] = dict(self.versions)
        fields |= {name: _encode(fields[name]) for name in _MAY_BE_NAN}
        return fields

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """The record behind `to_json`, of this or an older schema. ValueError, which says why, on anything else."""
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")
        fields = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        for f in dataclasses.fields(cls):
            if f.name not in fields and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
                raise ValueError(f"it has no {f.name}")
            if f.name in fields and not _FITS[str(f.type)](fields[f.name]):
                raise ValueError(f"its {f.name} cannot be {str(fields[f.name])[:40]!r}")
        fields["metrics"] = {name: float(value) for name, value in fields["metrics"].items()}
        fields |= {name: float(fields[name]) for name in (*_MAY_BE_NAN, "seconds") if name in fields}
        record = cls(**fields)
        if record.status == "ok" and not all(math.isfinite(value) for value in record.metrics.values()):
            raise ValueError("it is ok with a metric that is not finite")
        if record.started and not _is_time(record.started):
            raise ValueError(f"its started cannot be {record.started[:40]!r}")
        return record


_MAY_BE_NAN = ("peak_memory_mib", "energy_j")
_FIELDS = tuple(f.name for f in dataclasses.fields(Record))
_WHAT = ("task", "version", "scale", "experiment", "method", "params", "data_fingerprint")
_OWN = ("trial_id", "seed", "metrics", "status", "error", "attempts", "started", "seconds", *_MAY_BE_NAN, "notes")
_WHERE = tuple(name for name in _FIELDS if name not in (*_WHAT, *_OWN))
_what, _where, _own = (itemgetter(*names) for names in (_WHAT, _WHERE, _OWN))
_MOST_SHARED = 10_000


class Reader:
    """Records of one ledger. What many of them say alike is checked once and shared: of a hundred thousand that is nearly all."""

    def __init__(self) -> None:
        self._cells: dict[bytes, tuple[dict[str, Any], Identity]] = {}
        self._places: dict[bytes, dict[str, Any]] = {}

    def read(self, fields: dict[str, Any]) -> Record | None:
        """The record of a line that is what was written; None where `Record.from_json` has to tell, or its id is not its own."""
        try:
            cell, place, own = _encode_json(_what(fields)), _encode_json(_where(fields)), _own(fields)
        except KeyError:
            return None
        if cell not in self._cells or place not in self._places:
            self._learn(fields, cell, place)
        what, identity = self._cells[cell]
        id, seed, metrics, status, error, attempts, started, seconds, memory, energy, notes = own
        if not (
            type(seed) is type(attempts) is int
            and type(error) is type(notes) is str
            and -_MOST < seed < _MOST
            and -_MOST < attempts < _MOST
            and status in STATUSES
            and type(metrics) is dict
            and identity.id(seed) == id
            and all(type(value) is float for value in metrics.values())
            and type(seconds) is float
            and (type(memory) is float or memory == "nan")
            and (type(energy) is float or energy == "nan")
            and type(started) is str
            and (not started or _is_time(started))
        ):
            return None
        return Record(
            **what,
            **self._places[place],
            trial_id=id,
            seed=seed,
            metrics=metrics,
            status=_STATUS[status],
            error=error,
            attempts=attempts,
            started=started,
            seconds=seconds,
            peak_memory_mib=math.nan if memory == "nan" else memory,
            energy_j=math.nan if energy == "nan" else energy,
            notes=notes,
        )

    def _learn(self, fields: dict[str, Any], cell: bytes, place: bytes) -> None:
        """The parts of a line that others may share, from the record that is read in full. ValueError where it is none."""
        record = Record.from_json(fields)
        if len(self._cells) >= _MOST_SHARED or len(self._places) >= _MOST_SHARED:
            self._cells.clear()
            self._places.clear()
        what = {name: getattr(record, name) for name in _WHAT}
        self._cells[cell] = what, Identity.of(*(what[name] for name in _WHAT))
        self._places[place] = {name: getattr(record, name) for name in _WHERE}


class _Ended(Protocol):
    @property
    def status(self) -> Status: ...


Ended = TypeVar("Ended", bound=_Ended)


def counted(before: Ended | None, after: Ended) -> Ended:
    """Which of two records of one trial counts: the later one, unless it is not `ok` and the earlier one is."""
    if before is not None and before.status == "ok" and after.status != "ok":
        return before
    return after


def _encode(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


_encode_json = msgspec.json.Encoder().encode
_STATUS: Mapping[str, Status] = {status: status for status in STATUSES}
_MOST = 2**63


def _is_number(value: Any) -> bool:
    """A finite number, or the word that `_encode` writes for one that is not."""
    if isinstance(value, str):
        return value in ("nan", "inf", "-inf")
    # Compared and not converted: a whole number of a thousand digits is no float.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


_LARGEST = float.fromhex("0x1.fffffffffffffp+1023")


def _is_param(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float) or (isinstance(value, list) and all(map(_is_param, value)))


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63,
    "float": _is_number,
    "Status": lambda value: isinstance(value, str) and value in STATUSES,
    "Mapping[str, Any]": lambda value: isinstance(value, dict) and all(map(_is_param, value.values())),
    "Mapping[str, float]": lambda value: isinstance(value, dict) and all(map(_is_number, value.values())),
    "Mapping[str, str]": lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values()),
}
"""What a field of each annotated type may hold."""
