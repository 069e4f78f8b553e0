"""The photographs that patches are drawn from: read from installed packages or from the user's folder."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.errors import DataError
from tasks.datasets.images import Pixels, write_images
from tasks.datasets.photo_patch import DISTRIBUTIONS, PHOTOS, Photo
from tasks.datasets.photo_patch_draw import draw_patches
from tasks.datasets.photographs import SUFFIXES, read_photograph


def prepare_photos(_archives: Sequence[Path], target: Path) -> None:
    """Write the splits of the ten photographs; no code of the packages that ship them is imported."""
    licence = "; ".join(f"{photo.name}: {photo.licence}" for photo in PHOTOS)
    _write({photo.name: decode(*_shipped(photo)) for photo in PHOTOS}, target, licence=licence)


def adopt_photos(path: Path, target: Path) -> list[str]:
    """Write the splits of the user's own photographs, one class a file in the order of their names.

    Colour photographs and grey ones should not be mixed: a patch of a grey one is told by its three equal channels.
    """
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder; own photographs come as a folder of them")
    seen = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    files = [file for file in seen if file.is_file() and file.suffix.lower() in SUFFIXES]
    if len(files) < 2:
        raise DataError(
            f"{path}: holds {len(files)} photographs ({', '.join(SUFFIXES)}); a photograph is a class, so two or more are needed"
        )
    notes = _write({file.name: decode(file, file.read_bytes()) for file in files}, target, licence="")
    left_out = [f"{entry.name}: left out, not {', '.join(SUFFIXES)}" for entry in seen if entry.exists() and entry not in files]
    return [*left_out, *notes]


def decode(file: Path, content: bytes) -> Pixels:
    """The pixels of a photograph, uint8 (height, width, 3)."""
    try:
        return np.asarray(read_photograph(content).image)
    except ValueError as error:
        raise DataError(f"{file}: not a photograph that can be read ({error})") from None


def _shipped(photo: Photo) -> tuple[Path, bytes]:
    distribution = DISTRIBUTIONS[photo.package]
    found = importlib.util.find_spec(photo.package)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"the photograph {photo.name} comes with {distribution}, which is not installed: pip install 'papertrial[data]'")
    file = Path(found.submodule_search_locations[0]) / photo.file
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: the photograph {photo.name} of {distribution} cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != photo.sha256:
        raise DataError(f"{file}: its SHA-256 is not {photo.sha256}")
    return file, content


def _write(photos: Mapping[str, Pixels], target: Path, *, licence: str) -> list[str]:
    """Keep the hashes of the decoded pixels: decoders of JPEG may differ by a level, and these say which photograph differs."""
    digests = {name: hashlib.sha256(np.ascontiguousarray(photo).tobytes()).hexdigest() for name, photo in photos.items()}
    seen: dict[str, str] = {}
    for name, digest in digests.items():
        if digest in seen:
            raise DataError(f"{seen[digest]} and {name} are the same photograph: no patch can tell them apart")
        seen[digest] = name
    about = {"classes": list(photos), "decoded_sha256": digests}
    return write_images(target, draw_patches(photos), num_classes=len(photos), licence=licence, about=about)
