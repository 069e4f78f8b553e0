"""Records and curves as Parquet and as pandas frames."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from harness.checksums import PLACEHOLDER, is_intact, seal
from harness.errors import Say, StoreError, quiet
from harness.kinds import cell
from harness.record import FIRST_WITH_CHECKSUMS, SCHEMA_VERSION, STATUSES, Curve, Record
from harness.shown import sentence
from harness.store import StudyStore

if TYPE_CHECKING:
    import pandas as pd

_VERSION_KEY, _CHECKSUM_KEY = b"papertrial.schema_version", b"papertrial.checksum"
_OWN = ("trial_id", "error", "started", "notes")
"""Text that a trial has to itself; all other text of a record is said by many, and kept once, as a category."""
_FIELDS = tuple(Record.__dataclass_fields__)
_NUMBERS = ("int", "float", "bool")
_SHARED = [f.name for f in dataclasses.fields(Record) if f.type not in _NUMBERS and f.name not in (*_OWN, "params", "metrics")]
_LINE, _WRITTEN = "ledger.line", "written"
"""Columns that order the attempts of a trial in its curves; `written`, the clock's, is of schema 3 and before."""
MAX_CURVE_PARTS = 256


def records_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row a record; `params` and `metrics` become `param.<name>` and `metric.<name>` columns, `versions` JSON text.

    A parameter that is a tuple is text there, such as `(8, 8)`; one that is None has an empty cell.
    """
    import pandas as pd

    rows = list(records)
    if not rows:
        return pd.DataFrame(columns=[name for name in _FIELDS if name not in ("params", "metrics")])
    columns: dict[str, Any] = {}
    for name in _FIELDS:
        values: Iterable[Any] = map(attrgetter(name), rows)
        if name in ("params", "metrics"):
            continue
        if name == "versions":
            said: dict[int, str] = {}
            values = (said.get(id(own)) or said.setdefault(id(own), json.dumps(dict(own), sort_keys=True)) for own in values)
        columns[name] = _category(values, len(rows)) if name in _SHARED else list(values)
    shapes = dict.fromkeys((tuple(row.params), tuple(row.metrics)) for row in rows)
    names = dict.fromkeys(pair for params, metrics in shapes for pair in [*_pairs("param", params), *_pairs("metric", metrics)])
    # A cell's trials share their parameters: what a table holds of these is made once.
    given, of = {id(row.params): row.params for row in rows}, [id(row.params) for row in rows]
    for kind, name in names:
        if kind == "param":
            values_of = {key: cell(params.get(name, math.nan)) for key, params in given.items()}
            columns[f"param.{name}"] = [values_of[key] for key in of]
        else:
            columns[f"metric.{name}"] = [row.metrics.get(name, math.nan) for row in rows]
    return pd.DataFrame(columns)


def _pairs(kind: str, names: Iterable[str]) -> list[tuple[str, str]]:
    return [(kind, name) for name in names]


def _category(values: Iterable[str], count: int) -> pd.Categorical[Any]:
    """Text that many rows share, its categories in alphabetical order."""
    import numpy as np
    import pandas as pd

    known: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    codes = np.fromiter(map(known.__getitem__, values), dtype=np.int32, count=count)
    return _sorted(pd.Categorical.from_codes(codes, pd.Index([*known])))


def _sorted(found: pd.Categorical[Any]) -> pd.Categorical[Any]:
    return found.reorder_categories(sorted(found.categories))


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames of records one below the other, as `records_frame` makes one of all of them."""
    import pandas as pd

    if len(parts) < 2:
        return parts[0].reset_index(drop=True) if parts else records_frame([])
    frame = pd.concat([texts(part) for part in parts], ignore_index=True)
    return frame.assign(**{name: _category(frame[name].tolist(), len(frame)) for name in _SHARED if name in frame})


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its categories as text, each cell by itself."""
    return frame.astype({name: str for name, kind in frame.dtypes.items() if str(kind) == "category"})


def write_trials(store: StudyStore, records: Iterable[Record]) -> list[str]:
    """`trials/<task>.parquet` for every task, with the schema version in the file's metadata."""
    by_task: dict[str, list[Record]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    return [store.write_bytes(f"trials/{task}.parquet", to_parquet(records_frame(group))) for task, group in sorted(by_task.items())]


def read_trials(data: bytes) -> pd.DataFrame:
    """The frame behind a trials file of this or an older schema version. StoreError, which says why, on anything else."""
    frame, version = _read(data, _SHARED)
    if version < 2 and "data_fingerprint" in frame:
        frame["data_notes"] = ""
    if version < 3 and "scale" in frame:
        frame.insert(list(frame).index("scale") + 1, "experiment", "")
    if version < 4:
        frame["notes"] = ""
    if version < 5:
        frame["packed"], frame["packing"] = 1, ""
    if version < 6:
        frame["energy_j"] = math.nan
    _check_records(frame)
    return frame.assign(**{name: _sorted(frame[name].array) for name in _SHARED if str(frame[name].dtype) == "category"})


def _read(data: bytes, categories: Sequence[str] = ()) -> tuple[pd.DataFrame, int]:
    """A frame and its schema version, once it is sure that it is what was written. Text of some columns is kept as `categories`."""
    import pyarrow.parquet as pq

    intact = is_intact(data)
    if intact is False:
        raise StoreError("its checksum is not its own: it was damaged or edited")
    try:
        table = pq.read_table(io.BytesIO(data), read_dictionary=list(categories))
        frame: pd.DataFrame = table.to_pandas()
        version = int((table.schema.metadata or {}).get(_VERSION_KEY, b"0"))
    except Exception as error:  # damage makes Arrow raise errors of many kinds
        raise StoreError(f"it is no Parquet file that can be read: {sentence(error)}") from None
    if not 1 <= version <= SCHEMA_VERSION:
        raise StoreError(f"it has schema version {version}; this papertrial reads 1 to {SCHEMA_VERSION}")
    if version >= FIRST_WITH_CHECKSUMS and intact is None:
        raise StoreError("its checksum is gone: it was damaged or edited")
    return frame, version


def _check_records(frame: pd.DataFrame) -> None:
    """StoreError where a frame is not one of records."""
    for f in dataclasses.fields(Record):
        if f.name in ("params", "metrics"):
            continue
        if f.name not in frame:
            raise StoreError(f"it holds no records: there is no column {f.name}")
        text = f.type not in _NUMBERS
        if not (_is_text(frame[f.name]) if text else _is_numeric(frame[f.name])):
            raise StoreError(f"its column {f.name} holds something else than {'text' if text else 'numbers'}")
    wrong = [str(name) for name in frame if str(name).startswith("metric.") and not _is_numeric(frame[name])]
    if wrong:
        raise StoreError(f"its column {wrong[0]} holds something else than numbers")
    if strange := sorted(set(frame["status"]) - set(STATUSES)):
        raise StoreError(f"its column status holds {strange[0][:40]!r}")
    if not all(_is_versions(text) for text in frame["versions"].unique()):
        raise StoreError("its column versions holds something else than versions")


def _is_text(column: pd.Series[Any]) -> bool:
    if str(column.dtype) == "category":
        return bool(column.notna().all()) and all(type(value) is str for value in column.cat.categories)
    if str(column.dtype) in ("str", "string"):
        return bool(column.notna().all())
    return all(type(value) is str for value in column)


def _is_numeric(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "biuf"


def _is_versions(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Zstandard Parquet bytes of a frame, with the schema version and a checksum in the metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(texts(frame), preserve_index=False)
    ours = {_VERSION_KEY: str(SCHEMA_VERSION).encode(), _CHECKSUM_KEY: PLACEHOLDER}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **ours}), sink, compression="zstd")
    return seal(sink.getvalue())


class CurveWriter:
    """Curves go to `curves/part-*.parquet` before their records go to the ledger; `compact` packs them into one file.

    A curve bears the line that its record gets in the ledger. A clock cannot order attempts: it may be set back.
    """

    def __init__(self, store: StudyStore) -> None:
        self._store = store
        self._before = frozenset(self._part_names())
        self._parts = len(self._before)

    def write(self, curves: Mapping[str, Curve], first_line: int, lines: Mapping[str, int]) -> None:
        """Curves of a group of trials, whose records will be in the ledger from `first_line` on; `lines` as in `read_curves`."""
        if self._parts >= MAX_CURVE_PARTS:
            self._pack(self._part_names(), f"curves/pack-{first_line:012d}.parquet", lines)
        rows = [{**point, "trial_id": id, _LINE: line} for line, (id, curve) in enumerate(curves.items(), first_line) for point in curve]
        # Under this name it replaces what a run left that was stopped before its records were safe.
        name = f"curves/part-{first_line:012d}.parquet"
        if rows:
            import pandas as pd

            self._store.write_bytes(name, to_parquet(pd.DataFrame(rows)))
            self._parts += 1
        elif name in self._before:
            self._store.remove(name)

    def compact(self, lines: Mapping[str, int]) -> None:
        """All curves of the study into `curves/curves.parquet`; `lines` as in `read_curves`."""
        names = self._store.names("curves")
        if names and names != ["curves/curves.parquet"]:
            self._pack(names, "curves/curves.parquet", lines)

    def _part_names(self) -> list[str]:
        return [name for name in self._store.names("curves") if "/part-" in name]

    def _pack(self, names: Sequence[str], target: str, lines: Mapping[str, int]) -> None:
        """What cannot be read stays where it is, for its owner to see."""
        frames = _readable(self._store, names, quiet)
        if target in names and target not in frames:
            return
        if frames:
            self._store.write_bytes(target, to_parquet(_attempts(list(frames.values()), lines)))
        for name in frames:
            if name != target:
                self._store.remove(name)
        self._parts = 0


def read_curves(store: StudyStore, lines: Mapping[str, int] | None = None, say: Say = quiet) -> pd.DataFrame:
    """All curve points of a study, of each trial those of the attempt that counts only.

    `lines` says in which line of the ledger that is (`LedgerContents.lines`); without it the last one counts. `say` is told, a
    sentence each, which files cannot be read.
    """
    import pandas as pd

    frames = _readable(store, store.names("curves"), say)
    if not frames:
        return pd.DataFrame({"trial_id": pd.Series(dtype=str), "step": pd.Series(dtype=float)})
    return _attempts(list(frames.values()), lines).drop(columns=[_LINE, _WRITTEN])


def _readable(store: StudyStore, names: Sequence[str], say: Say) -> dict[str, pd.DataFrame]:
    found = {}
    for name in names:
        try:
            frame, _ = _read(store.read_bytes(name))
            _check_curves(frame)
        except (StoreError, FileNotFoundError) as error:
            say(f"{name} cannot be read ({error}): its curves are not shown")
        else:
            found[name] = frame
    return found


def _check_curves(frame: pd.DataFrame) -> None:
    if not {"trial_id", "step"} <= set(frame) or not {_LINE, _WRITTEN} & set(frame) or not _is_text(frame["trial_id"]):
        raise StoreError("it holds no curves")
    wrong = [str(name) for name in frame if name != "trial_id" and not _is_numeric(frame[name])]
    if wrong:
        raise StoreError(f"its column {wrong[0]} holds something else than numbers")


def _attempts(frames: Sequence[pd.DataFrame], lines: Mapping[str, int] | None) -> pd.DataFrame:
    """Of each trial the points of the attempt that counts: of the last one, where `lines` is None."""
    import pandas as pd

    frame = pd.concat([frame.reindex(columns=[*dict.fromkeys([*frame, _LINE, _WRITTEN])]) for frame in frames], ignore_index=True)
    last = frame.groupby("trial_id")[_LINE].transform("max").fillna(0)
    wanted = last if lines is None else frame["trial_id"].map(lines)
    newest = frame.groupby("trial_id")[_WRITTEN].transform("max")
    counts = (frame[_LINE] == wanted) | ((wanted == 0) & frame[_LINE].isna() & (frame[_WRITTEN] == newest))
    kept: pd.DataFrame = frame[counts].groupby(["trial_id", "step"], sort=False).last().reset_index()
    return kept
