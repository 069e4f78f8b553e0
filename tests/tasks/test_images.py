"""Image sets: what is read is what was written; what cannot be read is refused by name."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness import data, registry
from harness.data import DebianPackage, UserData, open_data, resolve
from harness.errors import DataError
from harness.plan import DataRef
from tasks.datasets.idx import read_idx
from tasks.datasets.image_folder import FolderImages, _centre, _random_part
from tasks.datasets.images import Images, buckets


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    """Every test here has an empty cache."""


def adopt(name: str, path: Path) -> tuple[DataRef, Images | FolderImages]:
    ref = resolve(registry.dataset(name), {name: UserData(path)})
    return ref, open_data(registry.dataset(name), ref)


def idx(pixels: np.ndarray) -> bytes:
    """An array of bytes in IDX form."""
    return bytes([0, 0, 8, pixels.ndim]) + np.array(pixels.shape, dtype=">i4").tobytes() + pixels.tobytes()


def write_idx(folder: Path, *, train: int = 200, test: int = 40) -> np.ndarray:
    """A set of MNIST's form whose label is the value of the first pixel, modulo ten."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        pixels = draw.integers(0, 256, (count, 4, 6)).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(pixels[:, 0, 0] % 10))
    return pixels


@pytest.mark.parametrize("below", ["", "raw", "FashionMNIST/raw"])
def test_idx_files_are_read_pixel_by_pixel(tmp_path: Path, below: str) -> None:
    test_pixels = write_idx(tmp_path / "set" / below)
    _, images = adopt("fashion-mnist", tmp_path / "set")
    assert isinstance(images, Images)
    assert images.shape == (1, 4, 6)
    assert images.num_classes == 10
    assert images.count("train") + images.count("val") == 200
    assert 5 <= images.count("val") <= 40
    x, y = images.all("test")
    assert x.shape == (40, 1, 4, 6)
    back = x[:, 0] * images.std[0] + images.mean[0]
    torch.testing.assert_close(back * 255, torch.from_numpy(test_pixels).float(), atol=1e-3, rtol=0)
    assert y.tolist() == (test_pixels[:, 0, 0] % 10).tolist()


def test_training_pixels_have_mean_zero_and_variance_one(tmp_path: Path) -> None:
    write_idx(tmp_path / "set")
    _, images = adopt("fashion-mnist", tmp_path / "set")
    x, _ = images.all("train")
    assert float(x.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(x.var(unbiased=False)) == pytest.approx(1.0, abs=1e-5)


def test_batches_are_repeatable_and_keep_image_and_label_together(tmp_path: Path) -> None:
    write_idx(tmp_path / "set")
    _, images = adopt("fashion-mnist", tmp_path / "set")
    x, y = images.batch("train", 32, torch.Generator().manual_seed(1))
    again, _ = images.batch("train", 32, torch.Generator().manual_seed(1))
    other, _ = images.batch("train", 32, torch.Generator().manual_seed(2))
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    first = ((x[:, 0, 0, 0] * images.std[0] + images.mean[0]) * 255).round().long()
    assert torch.equal(first % 10, y)


def test_held_out_images_come_in_pieces_and_evenly_spread(tmp_path: Path) -> None:
    write_idx(tmp_path / "set")
    _, images = adopt("fashion-mnist", tmp_path / "set")
    whole, labels = images.all("test")
    pieces = list(images.batches("test", 16, 1000))
    assert [len(x) for x, _ in pieces] == [16, 16, 8]
    assert torch.equal(torch.cat([x for x, _ in pieces]), whole)
    ((few, marks),) = images.batches("test", 16, 4)
    assert torch.equal(few, whole[[0, 13, 26, 39]])
    assert torch.equal(marks, labels[[0, 13, 26, 39]])


def test_identical_images_stay_in_one_split() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3, 3, 1)).astype(np.uint8)
    twice = buckets(np.concatenate([pixels, pixels]))
    assert (twice[:50] == twice[50:]).all()
    assert len(set(twice.tolist())) > 10


def test_broken_idx_files_are_named(tmp_path: Path) -> None:
    good = idx(np.zeros((3, 2, 2), np.uint8))
    for content, said in (
        (good[:-1], "not what its header says"),
        (b"\x00\x00\x0d" + good[3:], "unsigned bytes"),
        (good[:6], "ends within its header"),
    ):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
        with pytest.raises(DataError, match=rf"train-images-idx3-ubyte: .*{said}"):
            read_idx(tmp_path / "train-images-idx3-ubyte", axes=3)
    (tmp_path / "x.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"x\.gz: cannot be read"):
        read_idx(tmp_path / "x.gz", axes=3)


def test_an_idx_folder_that_lacks_a_file_or_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no train-images-idx3-ubyte"):
        adopt("fashion-mnist", tmp_path)
    write_idx(tmp_path / "set")
    (tmp_path / "set" / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(7, np.uint8)))
    with pytest.raises(DataError, match="7 labels for the 200 images of train-images"):
        adopt("fashion-mnist", tmp_path / "set")


def test_the_digits_of_scikit_learn() -> None:
    digits = registry.dataset("digits")
    ref = data.prepare(digits)
    images = open_data(digits, ref)
    assert ref.kind == "stand-in"
    assert sum(images.count(split) for split in ("train", "val", "test")) == 1797
    labels = torch.cat([images.all(split)[1] for split in ("train", "val", "test")])
    assert torch.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180], "the counts that the set is known for"
    x, y = images.all("train")
    test_x, test_y = images.all("test")
    nearest = torch.cdist(test_x.flatten(1), x.flatten(1)).argmin(1)
    assert (y[nearest] == test_y).float().mean() > 0.97, "one neighbour is known to read 98 % of them"


@pytest.mark.parametrize(
    ("line", "said"), [("1,2", "must hold 64 values"), (",".join(["17"] * 65), "0 to 16"), ("a" + ",1" * 64, "no number")]
)
def test_a_broken_line_of_digits_is_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "own.csv").write_text(",".join(["0"] * 65) + "\n" + line + "\n")
    with pytest.raises(DataError, match=rf"own\.csv, line 2: .*{said}"):
        adopt("digits", tmp_path / "own.csv")


def photographs(root: Path, *, classes: tuple[str, ...] = ("cat", "dog"), each: int = 60) -> Path:
    """An ImageFolder: the first class is dark, the second bright; PNG, so that pixels survive."""
    for level, name in enumerate(classes):
        for part, count in (("train", each), ("val", 4)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (40 + index, 30), (100 * level + index, 0, 0)).save(folder / f"{name}{index}.png")
    return root


def test_an_image_folder_is_indexed_and_decoded(tmp_path: Path) -> None:
    _, images = adopt("imagenet", photographs(tmp_path / "photos"))
    assert isinstance(images, FolderImages)
    assert images.num_classes == 2
    assert images.count("test") == 8
    assert images.count("train") + images.count("val") == 120
    assert not set(images.files["train"]) & set(images.files["val"])
    x, y = images.batch("train", 8, torch.Generator().manual_seed(0))
    assert x.shape == (8, 3, 224, 224)
    red = (x[:, 0].mean((1, 2)) * 0.229 + 0.485) * 255
    assert torch.equal(red.round().long() >= 100, y.bool()), "dark is class 0, bright class 1"
    assert torch.equal(images.batch("train", 8, torch.Generator().manual_seed(0))[0], x)
    assert [len(piece) for piece, _ in images.batches("test", 3, 100)] == [3, 3, 2]


def test_the_index_follows_the_photographs(tmp_path: Path) -> None:
    root = photographs(tmp_path / "photos")
    first, _ = adopt("imagenet", root)
    Image.effect_noise((50, 50), 80).convert("RGB").save(root / "train" / "cat" / "cat3.png")
    second, _ = adopt("imagenet", root)
    assert first.fingerprint != second.fingerprint


def test_random_parts_lie_inside_and_mirror() -> None:
    ramp = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1))).convert("RGB")
    for seed in range(20):
        draw = torch.rand(5, generator=torch.Generator().manual_seed(seed)).tolist()
        part = np.asarray(_random_part(ramp, 32, [*draw[:4], 0.9]))
        mirrored = np.asarray(_random_part(ramp, 32, [*draw[:4], 0.1]))
        assert part.shape == (32, 32, 3)
        assert (part[:, ::-1] == mirrored).all()
        rises = np.diff(part[16, :, 0].astype(int))
        assert (rises >= 0).all()
        assert rises.sum() > 0, "a part of the ramp still rises"
    whole = np.asarray(_random_part(ramp.resize((100, 100)), 50, [1.0, 0.5, 0.0, 0.0, 0.9]))
    assert whole[0, 0, 0] < 5
    assert whole[0, -1, 0] > 194
    centre = np.asarray(_centre(ramp, 70))
    assert abs(int(centre[35, 0, 0]) - 57) <= 2, "87.5 of 100 pixels around column 100, scaled to 70"


def test_what_is_wrong_with_an_image_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train: there is no such folder"):
        adopt("imagenet", tmp_path)
    root = photographs(tmp_path / "photos")
    broken = root / "val" / "dog" / "dog1.png"
    broken.write_bytes(b"no image")
    _, images = adopt("imagenet", root)
    with pytest.raises(DataError, match=r"dog1\.png: not an image that can be read"):
        list(images.batches("test", 8, 8))
    for file in (root / "val" / "dog").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"val/dog: holds no images"):
        adopt("imagenet", root)
    (root / "val" / "dog").rmdir()
    with pytest.raises(DataError, match=r"val/dog: there is no such folder, although train/ has class dog"):
        adopt("imagenet", root)


def test_a_set_that_nobody_may_pass_on_says_how_to_bring_it() -> None:
    imagenet = registry.dataset("imagenet")
    for ask in (lambda: data.prepare(imagenet), lambda: resolve(imagenet, {})):
        with pytest.raises(DataError, match="--data imagenet=PATH") as caught:
            ask()
        assert "data prepare" not in str(caught.value)
    assert "--data imagenet=PATH" in data.state(imagenet)


def test_the_files_of_a_package_are_fetched_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for apt-get and dpkg-deb: the package is a text file that is "unpacked" to usr/a.txt."""
    package = DebianPackage(name="thing", files={"usr/a.txt": hashlib.sha256(b"x").hexdigest()}, licence="MIT")

    def fetched(name: str, apt: str, dpkg: str = 'test "$1" = --extract && mkdir usr && cp "$2" usr/a.txt') -> bytes:
        tools, target = tmp_path / f"{name}-tools", tmp_path / name
        for folder in (tools, target):
            folder.mkdir()
        for tool, script in (("apt-get", apt), ("dpkg-deb", dpkg)):
            (tools / tool).write_text(f"#!/bin/sh\n{script}\n")
            (tools / tool).chmod(0o755)
        monkeypatch.setenv("PATH", str(tools), prepend=":")
        (folder,) = data.fetch([package], target)
        return (folder / "usr" / "a.txt").read_bytes()

    good = 'test "$1 $2" = "download thing" && printf x > thing_1_all.deb'
    assert fetched("good", good) == b"x"
    with pytest.raises(DataError, match=r"thing: usr/a\.txt is missing from the package, or its SHA-256 is not"):
        fetched("other", good.replace("printf x", "printf y"))
    with pytest.raises(DataError, match=r"thing: usr/a\.txt is missing"):
        fetched("empty", good, "true")
    with pytest.raises(DataError, match=r"could not fetch thing: E: Unable to locate package thing .*apt-get update"):
        fetched("unknown", "echo 'E: Unable to locate package thing' >&2; exit 100")
    with pytest.raises(DataError, match=r"could not unpack thing_1_all\.deb: dpkg-deb: error: not a debian archive"):
        fetched("broken", good, "echo 'dpkg-deb: error: not a debian archive' >&2; exit 2")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match=r"could not fetch thing: apt-get cannot run here .*--data NAME=PATH"):
        data.fetch([package], tmp_path / "bare")
