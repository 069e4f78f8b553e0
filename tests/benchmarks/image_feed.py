"""Photographs to a network: images a second and core, against decoding alone and against the path without look-ahead that was here before.

    .venv/bin/python tests/benchmarks/image_feed.py [--rounds 7] [--photographs FOLDER]

JPEGs of ImageNet's usual size and of a camera's, cut out of scikit-image's photographs, or the first 64 of a folder of your own. Sides
take turns in one process. Figures a core are images a second of processor time, on one thread; those of look-ahead and of threads
are of the clock. A step that takes as long as its batch stands for a GPU: it sleeps. What the sides show is checked to be the same part.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from interleaved import show, take
from PIL import Image

from tasks.datasets.image_folder import MEAN, STD, FolderImages
from tasks.datasets.photo_views import draws, part
from tasks.datasets.photographs import read_photograph

COUNT, BATCH = 64, 32
SIZES = {"500 x 375": (500, 375), "1600 x 1200": (1600, 1200)}
BEFORE, FED, DECODED = "before", "papertrial, bytes for a GPU", "decoding alone"


def photographs(folder: Path, size: tuple[int, int]) -> FolderImages:
    """Random parts of real photographs as JPEGs of this size; some upright, as in ImageNet."""
    from skimage import data

    stream = np.random.default_rng(0)
    sources = [Image.fromarray(picture()) for picture in (data.astronaut, data.chelsea, data.coffee, data.rocket, data.retina)]
    for index in range(COUNT):
        source = sources[index % len(sources)]
        width, height = (round(side * stream.uniform(0.6, 1.0)) for side in source.size)
        left, top = stream.integers(0, source.size[0] - width + 1), stream.integers(0, source.size[1] - height + 1)
        shown = size if index % 4 else size[::-1]
        image = source.resize(shown, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
        image.save(folder / f"{index:02}.jpg", quality=95)
    return found(folder)


def found(folder: Path) -> FolderImages:
    """The first JPEGs of a folder, all of one class."""
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))[:COUNT]
    return FolderImages(folder, {"train": [(name, 0) for name in names]}, 1)


def before(images: FolderImages, numbers: np.ndarray) -> torch.Tensor:
    """As the data room had it: all of the file decoded, a bicubic part, and numbers made on the host, channels first."""
    parts = []
    for (name, _), draw in zip(images.files["train"], numbers.tolist(), strict=True):
        image = read_photograph(images.root / name).image
        view = image.resize((images.size, images.size), Image.Resampling.BICUBIC, box=part(image.size, draw))
        parts.append(np.asarray(view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draw[4] < 0.5 else view))
    shift, scale = (torch.tensor(values).view(1, -1, 1, 1) for values in (MEAN, STD))
    return ((torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2) / 255.0 - shift) / scale).contiguous()


def decoded(images: FolderImages) -> None:
    """What no reader of whole JPEGs can do without."""
    for name, _ in images.files["train"]:
        with Image.open(images.root / name) as image:
            image.load()


def rate(work: Callable[[], Any], count: int, clock: Callable[[], float] = time.process_time) -> float:
    """Images a second."""
    began = clock()
    work()
    return count / (clock() - began)


def per_core(title: str, images: FolderImages, rounds: int) -> None:
    """One thread, processor time."""
    torch.set_num_threads(1)
    count = images.count("train")
    index, numbers = np.arange(count), draws(0, 0, count)
    fed = images.placed(images.begin("train", index, numbers).finish(), "cpu")[0]
    apart = float((fed - before(images, numbers)).abs().mean()) * 255 * np.mean(STD)
    if apart > 6.0:
        raise SystemExit(f"the two paths show other pictures: {apart:.1f} levels apart")
    works: dict[str, Callable[[], Any]] = {
        BEFORE: lambda: before(images, numbers),
        FED: lambda: images.begin("train", index, numbers).finish(),
        "papertrial, numbers for a CPU": lambda: images.placed(images.begin("train", index, numbers).finish(), "cpu"),
        "papertrial, measured (resize 256, centre 224)": lambda: images.begin("train", index).finish(),
        DECODED: lambda: decoded(images),
    }
    sides = {name: lambda work=work: rate(work, count) for name, work in works.items()}
    kib = sum((images.root / name).stat().st_size for name, _ in images.files["train"]) / count / 1024
    notes = {
        BEFORE: "whole, bicubic, normalised on the host",
        FED: f"{apart:.1f} levels from it (draft, bilinear)",
        DECODED: f"{kib:.0f} KiB a file",
    }
    show(f"{title}: one core", "images/s", take(sides, rounds), over=BEFORE, notes=notes)


def ahead(title: str, images: FolderImages, rounds: int) -> None:
    """A device that is busy as long as a batch takes to decode: one after the other, and one batch ahead."""
    torch.set_num_threads(1)
    index, steps = np.arange(BATCH) % images.count("train"), 6
    numbers = draws(0, 0, BATCH)

    def begin() -> Any:
        return images.begin("train", index, numbers)

    began = time.perf_counter()
    begin().finish()
    busy = time.perf_counter() - began

    def in_turns() -> None:
        for _ in range(steps):
            begin().finish()
            time.sleep(busy)

    def overlapped() -> None:
        following = begin()
        for step in range(steps):
            current, following = following, begin() if step + 1 < steps else None
            current.finish()
            time.sleep(busy)

    works = {"in turns": in_turns, "one batch ahead": overlapped}
    sides = {name: lambda work=work: rate(work, steps * BATCH, time.perf_counter) for name, work in works.items()}
    show(f"{title}: a step as long as its batch", "images/s", take(sides, rounds), over="in turns", notes={})


def threads(title: str, images: FolderImages, rounds: int) -> None:
    """How far more threads help: Pillow lets go of the interpreter where it decodes and scales, not around it."""
    count = images.count("train")
    index, numbers = np.arange(count), draws(0, 0, count)

    def side(number: int) -> Callable[[], float]:
        def measured() -> float:
            torch.set_num_threads(number)
            return rate(lambda: images.begin("train", index, numbers).finish(), count, time.perf_counter)

        return measured

    numbers_of = [number for number in (1, 2, 4, 8, 16, 32) if number <= (os.cpu_count() or 1)]
    show(f"{title}: threads", "images/s", take({f"{n} threads": side(n) for n in numbers_of}, rounds), over="1 threads", notes={})


def main() -> None:
    """All three, for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--photographs", type=Path, help="a folder with JPEGs of your own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sets = {"own photographs": lambda: found(options.photographs)} if options.photographs else {}
        for name, size in {} if options.photographs else SIZES.items():
            folder = Path(scratch) / name
            folder.mkdir()
            sets[name] = lambda folder=folder, size=size: photographs(folder, size)
        for title, make in sets.items():
            images = make()
            for measure in (per_core, ahead, threads):
                measure(title, images, options.rounds)


if __name__ == "__main__":
    main()
