"""The user's ImageFolder, looked at once: every photograph is decoded, and what cannot be used is left out by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data import READING, file_memory
from harness.errors import DataError
from harness.file_memory import remembered
from tasks.datasets.photo_labels import is_list, labels_of
from tasks.datasets.photo_root import photo_root
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
    digest: str
    grey16: bool
    turned: bool


def adopt_folder(path: Path, target: Path) -> list[str]:
    """Index the user's ImageFolder: `val/` becomes test, 2 % of `train/` (by the hash of the file's name) val.

    The index holds every file's name, class and size, so that its fingerprint stands for the photographs without reading them.
    """
    root = photo_root(path)
    classes, notes = _classes(root)
    photos: list[_Photo] = []
    flat = not _class_folders(root / "val")
    for label, name in enumerate(classes):
        for part in ("train",) if flat else ("train", "val"):
            candidates, said = _candidates(root, f"{part}/{name}")
            found, broken = _looked(candidates, f"{part}/{name}", [label] * len(candidates))
            photos += found
            notes += said + broken
    if flat:
        found, said = _flat_photos(path, root, classes)
        photos += found
        notes += said
    files: dict[Split, list[tuple[str, int, int]]] = {split: [] for split in SPLITS}
    for photo in photos:
        files[photo.split].append((photo.name, photo.label, photo.size))
    if not files["val"]:
        raise DataError(f"{path}: {len(files['train'])} training images are too few to hold 2 % of them out")
    index: dict[str, Any] = {"root": str(root), "classes": classes, "files": files}
    grey16 = [photo.name for photo in photos if photo.grey16]
    if grey16:
        index["grey16"] = grey16
    (target / "index.json").write_text(json.dumps(index))
    return [*notes, *_remarks(photos)]


def _class_folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name != "__MACOSX" and entry.name[0] != ".")


def _classes(root: Path) -> tuple[list[str], list[str]]:
    """The names of the classes, the same in both parts unless val/ is flat, and what else lies there."""
    notes: list[str] = []
    parts = {part: _class_folders(root / part) for part in ("train", "val")}
    train, val = parts["train"], parts["val"]
    for part in ("train", "val") if val else ("train",):
        for entry in sorted(entry for entry in (root / part).iterdir() if not entry.name.startswith(".")):
            if entry.name == "__MACOSX":
                notes.append(f"{part}/{entry.name}: left out, what macOS packs beside the files")
            elif entry.is_file() and entry.name.lower() not in _DESKTOP:
                notes.append(f"{part}/{entry.name}: left out, it lies in no folder of a class")
    if not train:
        raise DataError(f"{root / 'train'}: holds no folder of a class")
    for one, other, there, here in (("val", "train", train, val), ("train", "val", val, train)):
        missing = next((name for name in there if name not in here), None)
        if missing is not None and val:
            raise DataError(f"{root / one / missing}: there is no such folder, although {other}/ has class {missing}")
    return train, notes


def _flat_photos(path: Path, root: Path, classes: Sequence[str]) -> tuple[list[_Photo], list[str]]:
    """The photographs of a val/ without folders, labelled by the lists that lie with them."""
    candidates, notes = _candidates(root, "val")
    labels = labels_of([file.name for file in candidates], path, root / "val", frozenset(classes))
    notes += [f"val/{file.name}: left out, no list has its label" for file in candidates if file.name not in labels]
    candidates = [file for file in candidates if file.name in labels]
    places = {name: place for place, name in enumerate(classes)}
    photos, broken = _looked(candidates, "val", [places[labels[file.name]] for file in candidates])
    shown = {photo.label for photo in photos}
    missing = next((name for name in classes if places[name] not in shown), None)
    if missing is not None:
        raise DataError(f"{root / 'val'}: holds no image that can be used of class {missing}, which train/ has")
    return photos, [*notes, *broken]


def _candidates(root: Path, place: str) -> tuple[list[Path], list[str]]:
    """The files of a folder that may be photographs, and what else of it is left out."""
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
        elif not entry.name.startswith(".") and entry.name.lower() not in _DESKTOP and not is_list(entry.name):
            notes.append(f"{name}: left out, not {', '.join(SUFFIXES)}")
    if not candidates:
        raise DataError(f"{folder}: holds no images ({', '.join(SUFFIXES)})")
    return candidates, notes


def _looked(candidates: Sequence[Path], place: str, labels: Sequence[int]) -> tuple[list[_Photo], list[str]]:
    """The photographs among them, and the others by name."""
    photos: list[_Photo] = []
    broken: list[str] = []
    found = remembered(file_memory(), f"photograph-{READING}", candidates, _look)
    for file, label, seen in zip(candidates, labels, map(json.loads, found), strict=True):
        if isinstance(seen, str):
            broken.append(f"{place}/{file.name}: left out, {seen}")
        else:
            photos.append(_Photo(f"{place}/{file.name}", label, _split(file, place), **seen))
    if candidates and not photos:
        more = f", and so on for all {len(broken)}" if len(broken) > 1 else ""
        raise DataError(f"{candidates[0].parent}: holds no image that can be used ({broken[0]}{more})")
    return photos, broken


def _look(file: Path) -> str:
    """What `_Photo` says of a photograph, or the reason why it is none; as JSON."""
    try:
        content = file.read_bytes()
        photo = read_photograph(content)
    except OSError as error:
        return json.dumps(f"it cannot be read ({error.strerror})")
    except ValueError as error:
        return json.dumps(str(error))
    digest = hashlib.sha256(content).hexdigest()
    return json.dumps({"size": len(content), "digest": digest, "grey16": photo.grey16, "turned": _orientation(photo.image) != 1})


def _split(file: Path, place: str) -> Split:
    if place.split("/")[0] == "val":
        return "test"
    bucket = int.from_bytes(hashlib.sha256(f"{file.parent.name}/{file.name}".encode(errors="surrogateescape")).digest()[:8], "big") % 100
    return "val" if bucket < _VAL_PERCENT else "train"


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
    first: dict[str, _Photo] = {}
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
