"""`python -m tasks.datasets.unpack_parquet FOLDER TARGET`: the hub's Parquet files of photographs as an ImageFolder.

Bytes are written as they are. A folder is named after the class's number and, where the file's schema names the classes, its name:
the order of the folders is that of the labels.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.hub_cache import hub_snapshot

_PARTS = {"train": "train", "val": "val", "validation": "val"}
_ENDINGS = ((b"\xff\xd8", "jpg"), (b"\x89PNG", "png"), (b"RIFF", "webp"))


def unpack(folder: Path, target: Path) -> int:
    """Write every photograph below `target`, new or empty; how many. DataError names what holds none, or no label."""
    if target.exists() and any(target.iterdir()):
        raise DataError(f"{target}: is not empty")
    root = hub_snapshot(folder)[0]
    files = [file for file in sorted(root.rglob("*.parquet")) if file.name.split("-")[0].split(".")[0] in _PARTS]
    if not files:
        raise DataError(f"{root}: holds no train*.parquet and validation*.parquet")
    return sum(_unpack(file, target / _PARTS[file.name.split("-")[0].split(".")[0]]) for file in files)


def _unpack(file: Path, target: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    done = 0
    try:
        table = pq.ParquetFile(file)
        schema = table.schema_arrow
        if not {"image", "label"} <= set(schema.names):
            raise DataError(f"{file}: has no `image` and `label` columns (columns: {', '.join(schema.names)})")
        names = _class_names(schema.metadata or {})
        for batch in table.iter_batches(batch_size=256, columns=["image", "label"]):
            for image, label in zip(batch.column("image").to_pylist(), batch.column("label").to_pylist(), strict=True):
                done += 1
                content = image.get("bytes") if isinstance(image, dict) else None
                if not isinstance(content, bytes) or not isinstance(label, int) or label < 0:
                    raise DataError(f"{file}, row {done}: no bytes of an image, or no label from 0 up (label {label!r})")
                place = target / _folder(label, names)
                place.mkdir(parents=True, exist_ok=True)
                ending = next((ending for mark, ending in _ENDINGS if content.startswith(mark)), "jpg")
                (place / f"{file.stem}-{done:07}.{ending}").write_bytes(content)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: cannot be read or unpacked ({error})") from None
    return done


def _class_names(metadata: dict[bytes, bytes]) -> list[str]:
    try:
        described: Any = json.loads(metadata.get(b"huggingface", b"{}"))
        return list(described["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError):
        return []


def _folder(label: int, names: Sequence[str]) -> str:
    said = re.sub(r"[^A-Za-z0-9]+", "_", names[label])[:60].strip("_") if label < len(names) else ""
    return f"{label:05}_{said}" if said else f"{label:05}"


def main(arguments: Sequence[str]) -> int:
    """Exit code."""
    if len(arguments) != 2:
        print("usage: python -m tasks.datasets.unpack_parquet FOLDER TARGET", file=sys.stderr)
        return 2
    try:
        print(f"{unpack(Path(arguments[0]), Path(arguments[1]))} photographs: --data imagenet={arguments[1]}")
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
