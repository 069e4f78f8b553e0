"""Records and curves as Parquet and as pandas frames."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.kinds import cell
from harness.record import SCHEMA_VERSION, Curve, Record
from harness.store import StudyStore

if TYPE_CHECKING:
    import pandas as pd

_VERSION_KEY = b"papertrial.schema_version"
MAX_CURVE_PARTS = 256


def records_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row a record; `params` and `metrics` become `param.<name>` and `metric.<name>` columns, `versions` JSON text.

    A parameter that is a tuple is text there, such as `(8, 8)`; one that is None has an empty cell.
    """
    import pandas as pd

    rows = [_row(record) for record in records]
    if rows:
        return pd.DataFrame(rows)
    return pd.DataFrame(columns=[name for name in Record.__dataclass_fields__ if name not in ("params", "metrics")])


def _row(record: Record) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in Record.__dataclass_fields__}
    params, metrics = row.pop("params"), row.pop("metrics")
    row["versions"] = json.dumps(dict(record.versions), sort_keys=True)
    row |= {f"param.{name}": cell(value) for name, value in params.items()}
    return row | {f"metric.{name}": value for name, value in metrics.items()}


def write_trials(store: StudyStore, records: Iterable[Record]) -> list[str]:
    """`trials/<task>.parquet` for every task, with the schema version in the file's metadata."""
    by_task: dict[str, list[Record]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    return [store.write_bytes(f"trials/{task}.parquet", to_parquet(records_frame(group))) for task, group in sorted(by_task.items())]


def read_trials(data: bytes) -> pd.DataFrame:
    """The frame behind a trials file of this or an older schema version."""
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    version = int((table.schema.metadata or {}).get(_VERSION_KEY, b"0"))
    if not 1 <= version <= SCHEMA_VERSION:
        raise StoreError(f"the trials file has schema version {version}; this papertrial reads 1 to {SCHEMA_VERSION}")
    frame: pd.DataFrame = table.to_pandas()
    if version < 2 and "data_fingerprint" in frame:
        frame["data_notes"] = ""
    if version < 3 and "scale" in frame:
        frame.insert(list(frame).index("scale") + 1, "experiment", "")
    return frame


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Zstandard Parquet bytes of a frame."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _VERSION_KEY: str(SCHEMA_VERSION).encode()})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


class CurveWriter:
    """Curves go to `curves/part-*.parquet` before their records go to the ledger; `compact` packs them into one file."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store
        self._parts = len([name for name in store.names("curves") if "/part-" in name])

    def write(self, curves: Mapping[str, Curve]) -> None:
        """Curves of a group of trials. `written` orders repeated attempts of one trial."""
        import pandas as pd

        stamp = time.time_ns()
        rows = [{"trial_id": id, "written": stamp, **point} for id, curve in curves.items() for point in curve]
        if not rows:
            return
        self._store.write_bytes(f"curves/part-{stamp}.parquet", to_parquet(pd.DataFrame(rows)))
        self._parts += 1
        if self._parts >= MAX_CURVE_PARTS:
            self._pack([name for name in self._store.names("curves") if "/part-" in name], f"curves/pack-{stamp}.parquet")

    def compact(self) -> None:
        """All curves of the study into `curves/curves.parquet`."""
        names = self._store.names("curves")
        if names and names != ["curves/curves.parquet"]:
            self._pack(names, "curves/curves.parquet")

    def _pack(self, names: Sequence[str], target: str) -> None:
        self._store.write_bytes(target, to_parquet(_last_attempts(self._store, names)))
        for name in names:
            if name != target:
                self._store.remove(name)
        self._parts = 0


def read_curves(store: StudyStore) -> pd.DataFrame:
    """All curve points of a study, the last attempt of each trial only."""
    import pandas as pd

    names = store.names("curves")
    if not names:
        return pd.DataFrame({"trial_id": pd.Series(dtype=str), "step": pd.Series(dtype=float)})
    return _last_attempts(store, names).drop(columns="written")


def _last_attempts(store: StudyStore, names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.concat([read_trials(store.read_bytes(name)) for name in names], ignore_index=True)
    latest = frame.groupby("trial_id")["written"].transform("max")
    kept: pd.DataFrame = frame[frame["written"] == latest].groupby(["trial_id", "step"], sort=False).last().reset_index()
    return kept
