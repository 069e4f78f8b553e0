"""The user's ImageFolder, looked at once: every photograph is decoded, and what cannot be used is left out by name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from tasks.datasets.photographs import SUFFIXES, read_photograph
from tasks.datasets.text_splits import SPLITS, Split

_VAL_PERCENT = 2
_ORIENTATION = 0x0112
"""The EXIF tag; 1 is upright."""
_NAMED = 5
"""So many names stand in a sentence about many files."""
_DESKTOP = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class _Photo:
    name: str
    """`train/<class>/<file>`, from the root."""
    label: int
    split: Split
    size: int
    digest: bytes
    grey16: bool
    turned: bool


def adopt_folder(path: Path, target: Path) -> list[str]:
    """Index the user's ImageFolder: `val/` becomes test, 2 % of `train/` (by the hash of the file's name) val.

    The index holds every file's name, class and size, so that its fingerprint stands for the photographs without reading them.
    """
    classes, notes = _classes(path)
    photos: list[_Photo] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for label, name in enumerate(classes):
            for part in ("train", "val"):
                found, said = _class_photos(path, f"{part}/{name}", label, pool)
                photos += found
                notes += said
    files: dict[Split, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    for photo in photos:
        files[photo.split].append((photo.name, photo.label, photo.size))
    if not files["val"]:
        raise DataError(f"{path}: {len(files['train'])} training images are too few to hold 2 % of them out")
    index: dict[str, Any] = {"root": str(path), "classes": classes, "files": files}
    grey16 = [photo.name for photo in photos if photo.grey16]
    if grey16:
        index["grey16"] = grey16
    (target / "index.json").write_text(json.dumps(index))
    return [*notes, *_remarks(photos)]


def _classes(root: Path) -> tuple[list[str], list[str]]:
    """The names of the classes, the same in both parts, and what else lies there."""
    notes: list[str] = []
    parts: dict[str, list[str]] = {}
    for part in ("train", "val"):
        folder = root / part
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder; an ImageFolder has train/<class>/ and val/<class>/")
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        parts[part] = [entry.name for entry in entries if entry.is_dir() and entry.name != "__MACOSX"]
        for entry in entries:
            if entry.name == "__MACOSX":
                notes.append(f"{part}/{entry.name}: left out, what macOS packs beside the files")
            elif entry.is_file() and entry.name.lower() not in _DESKTOP:
                notes.append(f"{part}/{entry.name}: left out, it lies in no folder of a class")
    train, val = parts["train"], parts["val"]
    if not train:
        raise DataError(f"{root / 'train'}: holds no folder of a class")
    for one, other, there, here in (("val", "train", train, val), ("train", "val", val, train)):
        missing = next((name for name in there if name not in here), None)
        if missing is not None:
            raise DataError(f"{root / one / missing}: there is no such folder, although {other}/ has class {missing}")
    return train, notes


def _class_photos(root: Path, place: str, label: int, pool: ThreadPoolExecutor) -> tuple[list[_Photo], list[str]]:
    """The photographs of one class in one part, and what of its folder is left out."""
    folder = root / place
    candidates: list[Path] = []
    notes: list[str] = []
    for entry in sorted(folder.iterdir()):
        name = f"{place}/{entry.name}"
        image = entry.suffix.lower() in SUFFIXES
        if entry.is_dir():
            notes.append(f"{name}: left out, a folder inside the folder of a class")
        elif not entry.is_file():
            continue  # `user_files.files_below` says so of every set
        elif image and entry.name.startswith("._"):
            notes.append(f"{name}: left out, what macOS keeps beside a file")
        elif image:
            candidates.append(entry)
        elif not entry.name.startswith(".") and entry.name.lower() not in _DESKTOP:
            notes.append(f"{name}: left out, not {', '.join(SUFFIXES)}")
    if not candidates:
        raise DataError(f"{folder}: holds no images ({', '.join(SUFFIXES)})")
    photos: list[_Photo] = []
    broken: list[str] = []
    for file, found in zip(candidates, pool.map(lambda file: _look(file, place, label), candidates), strict=True):
        if isinstance(found, _Photo):
            photos.append(found)
        else:
            broken.append(f"{place}/{file.name}: left out, {found}")
    if not photos:
        more = f", and so on for all {len(broken)}" if len(broken) > 1 else ""
        raise DataError(f"{folder}: holds no image that can be used ({broken[0]}{more})")
    return photos, [*notes, *broken]


def _look(file: Path, place: str, label: int) -> _Photo | str:
    """A photograph, or the reason why it is none."""
    try:
        content = file.read_bytes()
        photo = read_photograph(content)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except ValueError as error:
        return str(error)
    bucket = int.from_bytes(hashlib.sha256(f"{file.parent.name}/{file.name}".encode(errors="surrogateescape")).digest()[:8], "big") % 100
    split: Split = "test" if place.startswith("val/") else "val" if bucket < _VAL_PERCENT else "train"
    turned = _orientation(photo.image) != 1
    return _Photo(f"{place}/{file.name}", label, split, len(content), hashlib.sha256(content).digest(), photo.grey16, turned)


def _orientation(image: Any) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata of a sound picture
        return 1


def _remarks(photos: Sequence[_Photo]) -> Iterator[str]:
    """What whoever reads a result should know of photographs that are used."""
    turned = [photo.name for photo in photos if photo.turned]
    if turned:
        yield f"{_named(turned)}: read as stored, not turned as the EXIF orientation says; so do the published recipes"
    first: dict[bytes, _Photo] = {}
    shared = []
    for photo in sorted(photos, key=lambda photo: SPLITS.index(photo.split)):
        other = first.setdefault(photo.digest, photo)
        if other.split != photo.split:
            shared.append(f"{other.name} ({other.split}) = {photo.name} ({photo.split})")
    if shared:
        yield f"{_named(shared)}: the same picture in two splits, so what is tested was trained on"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
