"""The record: what a trial left. A trial that failed leaves one too."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "failed", "diverged", "timeout", "oom"]
STATUSES: tuple[Status, ...] = ("ok", "failed", "diverged", "timeout", "oom")
SCHEMA_VERSION = 3
"""2: data_notes. 3: experiment, a part of the trial's id."""

Curve = list[dict[str, float]]
"""Rows that `Trial.log` wrote: `step` and the logged metrics."""


@dataclass(frozen=True, kw_only=True)
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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: numbers that JSON cannot hold (NaN, infinities) become strings."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["params"] = dict(self.params)
        fields["metrics"] = {name: _encode(value) for name, value in self.metrics.items()}
        fields["versions"] = dict(self.versions)
        fields["peak_memory_mib"] = _encode(self.peak_memory_mib)
        return fields

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """The record behind `to_json`. Raises KeyError, TypeError or ValueError on anything else."""
        if not isinstance(data, dict):
            raise ValueError(f"a record is a JSON object, not {data!r}")
        known = {f.name for f in dataclasses.fields(cls)}
        fields = {name: value for name, value in data.items() if name in known}
        fields["metrics"] = {name: float(value) for name, value in data["metrics"].items()}
        fields["peak_memory_mib"] = float(data["peak_memory_mib"])
        if fields["status"] not in STATUSES:
            raise ValueError(f"unknown status {fields['status']!r}")
        return cls(**fields)


def _encode(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
