"""Where in the user's folder the photographs lie, or how to bring them into a form that is read."""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.errors import DataError
from tasks.datasets.archives import is_archive, packed_in, unpack_with

_KAGGLE = "Data/CLS-LOC"
_WANTED = "an ImageFolder has train/<class>/ and val/<class>/"


def photo_root(path: Path) -> Path:
    """The folder that holds train/ and val/: `path`, or the one of Kaggle's CLS-LOC tree in it. DataError says what to do."""
    if is_archive(path):
        raise DataError(f"{path}: an archive: unpack it with `{unpack_with(path)}` and name the folder that comes of it ({_WANTED})")
    if not path.is_dir():
        raise DataError(f"{path}: not a folder; {_WANTED}")
    roots = (path, path / _KAGGLE, path / "ILSVRC" / _KAGGLE)
    root = next((root for root in roots if (root / "train").is_dir()), None)
    if root is None:
        raise DataError(_nothing(path))
    if not (root / "val").is_dir():
        raise DataError(_packed(root) or f"{root / 'val'}: there is no such folder; {_WANTED}")
    packed = packed_in(root / "train")
    if packed and not any(entry.is_dir() for entry in (root / "train").iterdir()):
        loop = 'for f in *.tar; do mkdir -p "${f%.tar}" && tar -xf "$f" -C "${f%.tar}"; done'
        raise DataError(f"{packed}: an archive of one class: unpack all of them with `cd {shlex.quote(str(root / 'train'))} && {loop}`")
    inside = packed_in(root / "val")
    if inside and len(list((root / "val").iterdir())) == 1:
        raise DataError(f"{inside}: an archive: unpack it with `{unpack_with(inside)}`")
    return root


def _nothing(path: Path) -> str:
    if any(path.glob("*.parquet")) or any(path.glob("data/*.parquet")):
        command = f"python -m tasks.datasets.unpack_parquet {shlex.quote(str(path))} FOLDER"
        return f"{path}: Parquet files, from which photographs are not read at random: unpack them with `{command}` and name that folder"
    return _packed(path) or f"{path / 'train'}: there is no such folder; {_WANTED}"


def _packed(folder: Path) -> str | None:
    """ImageNet's own archives hold no folder: each is unpacked into the one that is looked for."""
    archive = packed_in(folder)
    if archive is None:
        return None
    part = next((part for part in ("train", "val") if part in archive.name), "")
    if not part or archive.suffix != ".tar":
        return f"{archive}: an archive: unpack it with `{unpack_with(archive)}`"
    into = shlex.quote(str(folder / part))
    return f"{archive}: an archive: unpack it with `mkdir -p {into} && tar -xf {shlex.quote(str(archive))} -C {into}`"
