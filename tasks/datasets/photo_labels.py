"""The labels of ImageNet's validation images where they lie in one folder: every list that people keep, none of them guessed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from harness.errors import DataError
from harness.shown import reason_of

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_LISTS = (GROUND_TRUTH, "LOC_val_solution.csv", "imagenet_2012_validation_synset_labels.txt", "val.txt", "val.csv", "val_labels.*")
_ORDERS = ("synsets.txt", "synset_words.txt", "LOC_synset_mapping.txt")
"""Of numbered classes, the first being 0."""
_DEPTH = 3
_NUMBER = re.compile(r".*_(\d{8})")
_WANTED = f"{GROUND_TRUTH} with the devkit's meta.mat, LOC_val_solution.csv, or val.csv of file names and names of classes"


@dataclass(frozen=True)
class _Place:
    """The folders in which lists are looked for."""

    folders: Sequence[Path]

    def find(self, *patterns: str) -> list[Path]:
        return [file for folder in self.folders for pattern in patterns for file in sorted(folder.glob(pattern)) if file.is_file()]


def is_list(name: str) -> bool:
    """Whether a file of this name is read as a list of labels or of classes."""
    return any(fnmatch(name, pattern) for pattern in (*_LISTS, *_ORDERS, "meta.mat"))


def labels_of(images: Collection[str], path: Path, folder: Path, classes: Collection[str]) -> dict[str, str]:
    """Class of each image (file name) in `folder`, from the lists in it and up to three folders below `path`; those without are missing.

    DataError where there is no list, one cannot be read, two of them disagree, or a class has no folder in the training part.
    """
    place = _Place(list(dict.fromkeys([folder, *_folders(path, folder, _DEPTH)])))
    found: dict[str, str] = {}
    source: Path | None = None
    refused: DataError | None = None
    for file in place.find(*_LISTS):
        try:
            read = _read(file, images, classes, place)
        except DataError as error:
            refused = refused or error
            continue
        for image, label in read.items():
            if found.setdefault(image, label) != label:
                raise DataError(f"{file} says that {image} is {label}, {source} that it is {found[image]}: keep the one that is right")
        source = source or file
    if not found:
        raise refused or DataError(f"{folder}: its images lie in no folders of classes, and there is no list of their labels: {_WANTED}")
    unknown = next(((image, label) for image, label in found.items() if label not in classes), None)
    if unknown:
        raise DataError(f"{source}: {unknown[0]} is of class {unknown[1]}, which has no folder in train/")
    return found


def _folders(path: Path, images: Path, depth: int) -> list[Path]:
    """`path` and what lies below it, but not the photographs."""
    if path == images or path.name in ("train", "test"):
        return []
    below = sorted(child for child in path.iterdir() if child.is_dir()) if depth else []
    return [path, *(folder for child in below for folder in _folders(child, images, depth - 1))]


def _read(file: Path, images: Collection[str], classes: Collection[str], place: _Place) -> dict[str, str]:
    try:
        lines = [line.replace(",", " ").split() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({reason_of(error)})") from None
    lines = [line for line in lines if line]
    named = max(map(len, lines), default=0) > 1
    labels = _by_name(lines, images) if named else _by_number(file, [line[0] for line in lines], images)
    if labels and all(label.isdecimal() and label not in classes for label in labels.values()):
        names = _order(file, place) if named else _devkit_classes(file, place)
        missing = next((label for label in labels.values() if int(label) not in names), None)
        if missing is not None:
            raise DataError(f"{file}: label {missing} is not among the {len(names)} classes that are numbered beside it")
        if named and "0" not in labels.values():
            raise DataError(f"{file}: no label is 0, so whether classes count from 0 or from 1 is not known: write names of classes")
        return {image: names[int(label)] for image, label in labels.items()}
    return labels


def _by_name(lines: Sequence[Sequence[str]], images: Collection[str]) -> dict[str, str]:
    """Lines of an image's name, with or without its ending and folder, and its label; the first may be a heading."""
    stems = {Path(image).stem: image for image in images}
    pairs = [(stems.get(Path(line[0]).stem), line[1]) for line in lines if len(line) > 1]
    return {image: label for image, label in pairs if image}


def _by_number(file: Path, labels: Sequence[str], images: Collection[str]) -> dict[str, str]:
    """Line n is of the image whose name ends with n, counted from 1."""
    found = {}
    for image in images:
        match = _NUMBER.fullmatch(Path(image).stem)
        if not match:
            raise DataError(f"{file}: has a label a line, but {image} has no number as in ILSVRC2012_val_00000001.JPEG")
        number = int(match[1])
        if not 1 <= number <= len(labels):
            raise DataError(f"{file}: has {len(labels)} lines, none for {image}")
        found[image] = labels[number - 1]
    return found


def _order(file: Path, place: _Place) -> dict[int, str]:
    lists = place.find(*_ORDERS)
    if not lists:
        raise DataError(f"{file}: its classes are numbers, and nothing says whose: put {' or '.join(_ORDERS)} beside it")
    return {number: line.split()[0] for number, line in enumerate(lists[0].read_text().splitlines()) if line.strip()}


def _devkit_classes(file: Path, place: _Place) -> dict[int, str]:
    """The devkit numbers classes in an order of its own, from 1: sorted names would give each image a wrong class."""
    metas = place.find("meta.mat")
    if file.name != GROUND_TRUTH or not metas:
        raise DataError(f"{file}: its classes are numbers in an order of their own: put the meta.mat of the devkit beside it")
    return _meta_classes(metas[0])


def _meta_classes(file: Path) -> dict[int, str]:
    from scipy.io import loadmat

    try:
        synsets = loadmat(file, squeeze_me=True)["synsets"]
        numbers, names = synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist()
        return {int(number): str(name) for number, name in zip(numbers, names, strict=True)}
    except Exception as error:  # a broken file may raise nearly anything
        raise DataError(f"{file}: not the devkit's table of classes ({type(error).__name__}: {error})") from None
