"""Image sets: what is read is what was written; what cannot be read is refused by name."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness import data, registry
from harness.data import DebianPackage, UserData, open_data, resolve
from harness.errors import DataError
from harness.plan import DataRef
from tasks.datasets.idx import read_idx
from tasks.datasets.image_folder import FolderImages
from tasks.datasets.images import Images, buckets
from tasks.datasets.photographs import read_photograph
from tests.tasks.damage import damaged


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


def test_a_class_without_an_image_is_said(tmp_path: Path) -> None:
    write_idx(tmp_path / "set")
    for name, count in (("train", 200), ("t10k", 40)):
        (tmp_path / "set" / f"{name}-labels-idx1-ubyte").write_bytes(idx(1 + np.arange(count, dtype=np.uint8) % 10))
    reference, images = adopt("fashion-mnist", tmp_path / "set")
    assert images.num_classes == 11
    assert "no training image has label 0, which counts as a class all the same" in reference.notes


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
                Image.new("RGB", (40 + index, 30), (100 * level + index, int(part == "val"), 0)).save(folder / f"{name}{index}.png")
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


def test_what_is_wrong_with_an_image_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train: there is no such folder"):
        adopt("imagenet", tmp_path)
    root = photographs(tmp_path / "photos")
    _, images = adopt("imagenet", root)
    (root / "val" / "dog" / "dog1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"dog1\.png: not an image that can be read"):
        list(images.batches("test", 8, 8))
    for file in (root / "val" / "dog").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"val/dog: holds no images"):
        adopt("imagenet", root)
    (root / "val" / "dog").rmdir()
    with pytest.raises(DataError, match=r"val/dog: there is no such folder, although train/ has class dog"):
        adopt("imagenet", root)


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_class_of_one_part_alone_is_refused(tmp_path: Path, part: str) -> None:
    root = photographs(tmp_path / "photos")
    (root / part / "owl").mkdir()
    Image.new("RGB", (9, 9)).save(root / part / "owl" / "1.png")
    other = {"train": "val", "val": "train"}[part]
    with pytest.raises(DataError, match=rf"{other}/owl: there is no such folder, although {part}/ has class owl"):
        adopt("imagenet", root)


def test_bad_photographs_are_left_out_by_name_at_adoption(tmp_path: Path) -> None:
    """Every one of them, with its reason; the others are read, and the fingerprint is that of a folder without the bad ones."""
    root = photographs(tmp_path / "clean" / "photos")
    clean, _ = adopt("imagenet", root)
    good = (root / "train" / "cat" / "cat5.png").read_bytes()
    spoilt = {
        "train/cat/empty.png": (b"", "it is empty"),
        "train/cat/cut.png": (good[:60], "truncated"),
        "val/dog/text.jpg": (b"no image", "in no format of images"),
        "train/dog/._dog1.png": (b"\0\5\x16\7", "what macOS keeps beside a file"),
        "val/cat/scan.tif": (b"II*\0", r"not \.jpeg, \.jpg, \.png, \.webp"),
        "train/loose.png": (good, "lies in no folder of a class"),
    }
    for name, (content, _) in spoilt.items():
        (root / name).write_bytes(content)
    (root / "train" / "dog" / "more").mkdir()
    (root / "train" / "__MACOSX" / "cat").mkdir(parents=True)
    (root / "train" / "dog" / "link.png").symlink_to("nowhere.png")
    for junk in ("train/.DS_Store", "train/cat/.DS_Store", "val/dog/Thumbs.db"):
        (root / junk).write_bytes(b"\0")
    ref, images = adopt("imagenet", root)
    for name, (_, said) in spoilt.items():
        assert len([note for note in ref.notes if re.search(rf"^{re.escape(name)}: left out, .*{said}", note)]) == 1, (name, ref.notes)
    for name in ("train/dog/more: left", "train/__MACOSX: left", "photos/train/dog/link.png: left out, a link to a file that is not there"):
        assert len([note for note in ref.notes if note.startswith(name)]) == 1, (name, ref.notes)
    assert len(ref.notes) == len(spoilt) + 3, "what file managers leave is no news"
    assert ref.fingerprint == clean.fingerprint
    assert sum(len(x) for x, _ in images.batches("train", 50, 1000)) == images.count("train")


def test_a_class_without_a_usable_photograph_is_refused(tmp_path: Path) -> None:
    root = photographs(tmp_path / "photos")
    for file in (root / "val" / "cat").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"val/cat: holds no image that can be used \(val/cat/cat0\.png: left out, it is empty, .* all 4\)"):
        adopt("imagenet", root)


def test_sixteen_bits_of_grey_are_scaled_not_clipped(tmp_path: Path) -> None:
    root = photographs(tmp_path / "photos", each=120)
    before, _ = adopt("imagenet", root)
    file = root / "val" / "cat" / "cat0.png"
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (64, 1))).save(file)
    ref, images = adopt("imagenet", root)
    assert isinstance(images, FolderImages)
    assert np.asarray(read_photograph(file).image)[0, :, 1].tolist() == (ramp >> 8).tolist()
    x, _ = next(images.batches("test", 8, 8))
    assert 0.1 < float((x[0, 1] * 0.224 + 0.456).mean()) < 0.9, "neither white nor black"
    index = json.loads((Path(ref.path or "") / "index.json").read_text())
    assert index["grey16"] == ["val/cat/cat0.png"], "records of the white picture had a fingerprint of their own"
    assert "grey16" not in json.loads((Path(before.path or "") / "index.json").read_text())


def test_a_turned_photograph_and_one_in_two_splits_are_mentioned(tmp_path: Path) -> None:
    root = photographs(tmp_path / "photos")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(root / "train" / "cat" / "turned.jpg", exif=exif)
    (root / "val" / "cat" / "again.png").write_bytes((root / "train" / "cat" / "cat7.png").read_bytes())
    ref, _ = adopt("imagenet", root)
    turned, shared = ref.notes
    assert turned.startswith("train/cat/turned.jpg: read as stored")
    assert shared.startswith("train/cat/cat7.png (train) = val/cat/again.png (test): the same picture in two splits")


NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def with_alpha(least: int) -> Image.Image:
    image = Image.fromarray(NOISE).convert("RGBA")
    image.putpixel((3, 3), (1, 2, 3, least))
    return image


def grey(kind: type, most: float) -> Image.Image:
    return Image.fromarray((NOISE[..., 0] / 255 * most).astype(kind))


def test_what_eight_bits_can_hold_is_read_without_loss() -> None:
    rgb = Image.fromarray(NOISE)
    assert (np.asarray(read_photograph(encoded(rgb)).image) == NOISE).all()
    opaque = np.asarray(read_photograph(encoded(with_alpha(255))).image)
    assert (opaque == np.asarray(with_alpha(255))[..., :3]).all()
    for image, form in ((rgb.convert("L"), "PNG"), (rgb.convert("1"), "PNG"), (rgb.convert("P"), "GIF"), (rgb.convert("CMYK"), "JPEG")):
        content = encoded(image, form)
        found = read_photograph(content)
        assert (np.asarray(found.image) == np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))).all(), form
        assert not found.grey16


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encoded(with_alpha(254)), "transparent pixels"),
        (encoded(with_alpha(0).convert("LA")), "transparent pixels"),
        (encoded(Image.new("L", (9, 9), 7), transparency=7), "transparent pixels"),
        (encoded(Image.new("P", (9, 9), 0), transparency=0), "transparent pixels"),
        (encoded(grey(np.uint16, 4095)), "reach 4095 of 65535"),
        (encoded(grey(np.float32, 1), "TIFF"), "TIFF of mode F"),
        (encoded(grey(np.uint16, 65535), "TIFF"), "TIFF of mode I;16"),
        (encoded(grey(np.int32, 1e6), "TIFF"), "TIFF of mode I"),
        (encoded(Image.fromarray(NOISE), "WEBP", save_all=True, append_images=[Image.fromarray(NOISE[::-1])]), "animation of 2 frames"),
        (encoded(Image.fromarray(NOISE), save_all=True, append_images=[Image.fromarray(NOISE[::-1])]), "animation of 2 frames"),
        (encoded(Image.fromarray(NOISE), "JPEG")[:-300], "truncated"),
        (encoded(Image.fromarray(NOISE))[:-300], "truncated"),
        (b"", "it is empty"),
        (b"<svg/>", "in no format of images"),
    ],
)
def test_what_eight_bits_cannot_hold_is_refused_with_the_reason(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_photograph(content)


@pytest.mark.fuzz
@given(cut=st.integers(0, 2000), at=st.integers(0, 2000), value=st.integers(0, 255), form=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]))
def test_a_damaged_photograph_is_read_or_refused(cut: int, at: int, value: int, form: str) -> None:
    content = bytearray(encoded(Image.fromarray(NOISE), form))
    content[at % len(content)] = value
    with contextlib.suppress(ValueError):
        assert read_photograph(bytes(content[: max(0, len(content) - cut)])).image.mode == "RGB"


def test_all_four_files_of_an_idx_set_come_from_one_folder(tmp_path: Path) -> None:
    for name in ("MNIST", "KMNIST"):
        write_idx(tmp_path / name / "raw")
    with pytest.raises(DataError, match=r"there are 2 sets \(.*/KMNIST/raw, .*/MNIST/raw\): name the folder of one"):
        adopt("fashion-mnist", tmp_path)
    assert adopt("fashion-mnist", tmp_path / "MNIST")[1].count("test") == 40
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").rename(tmp_path / "MNIST" / "train-labels-idx1-ubyte")
    with pytest.raises(DataError, match=r"MNIST/raw: there is no train-labels-idx1-ubyte"):
        adopt("fashion-mnist", tmp_path / "MNIST")


def test_packed_idx_is_known_by_its_bytes_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 4, 4)).astype(np.uint8)
    packed = gzip.compress(idx(pixels))
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(packed)
    assert (read_idx(file, axes=3) == pixels).all()
    for content in (packed[:-20], packed[:50] + bytes([packed[50] ^ 255]) + packed[51:], packed + b"more", packed[:10] + b"\xff" * 40):
        file.write_bytes(content)
        with pytest.raises(DataError, match="ubyte: cannot be read"):
            read_idx(file, axes=3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "unsigned bytes with 3 axes: it is empty"),
        (b"\0\0\x0d\3" + bytes(12), "its values are 32-bit floats, its axes 3"),
        (b"\0\0\x08\1" + bytes(12), "its values are unsigned bytes, its axes 1"),
        (b"\3\x08\0\0" + bytes(12), "not an IDX file of unsigned bytes with 3 axes"),
        (idx(np.zeros((0, 4, 4), np.uint8)), r"not what its header says \(0 x 4 x 4\)"),
        (b"\0\0\x08\3" + np.array([2, 2, 2], "<u4").tobytes() + bytes(8), "not what its header says"),
    ],
)
def test_an_idx_file_of_another_kind_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_idx(tmp_path / "images", axes=3)


@pytest.mark.fuzz
@given(data=st.data(), shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)), packed=st.booleans())
def test_a_damaged_idx_file_is_refused_or_says_what_it_holds(tmp_path_factory: Any, data: st.DataObject, shape: Any, packed: bool) -> None:
    """Read are exactly the bytes behind a sound header; a packed file has a checksum, so it is read only when it is whole."""
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    whole = gzip.compress(idx(pixels)) if packed else idx(pixels)
    content = data.draw(damaged(whole))
    file = tmp_path_factory.getbasetemp() / "fuzzed-idx"
    file.write_bytes(content)
    if content != whole:
        try:
            read_idx(file, axes=3)
        except DataError:
            return
    found = read_idx(file, axes=3)
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    assert idx(found) == plain
    assert not packed or (found == pixels).all()


def test_test_images_that_are_training_images_are_counted(tmp_path: Path) -> None:
    write_idx(tmp_path / "set")
    file = tmp_path / "set" / "train-images-idx3-ubyte.gz"
    pixels = read_idx(file, axes=3).copy()
    twins = read_idx(tmp_path / "set" / "t10k-images-idx3-ubyte.gz", axes=3)[[4, 9]]
    held = buckets(twins[..., None]) < 10
    pixels[:2] = twins
    file.write_bytes(gzip.compress(idx(pixels)))
    ref, _ = adopt("fashion-mnist", tmp_path / "set")
    count = int((~held).sum())
    assert count, "at least one of the two is trained on"
    assert ref.notes == (f"{count} of 40 test images are training images too (the first is number {5 if not held[0] else 10})",)


def test_digits_that_are_no_whole_numbers_are_refused(tmp_path: Path) -> None:
    for value in ("3.5", "1_0", "nan", "17"):
        (tmp_path / "own.csv").write_text(value + ",1" * 64 + "\n")
        with pytest.raises(DataError, match=r"own\.csv, line 1: (must hold 64 values of 0 to 16|holds something that is no number)"):
            adopt("digits", tmp_path / "own.csv")
    packed = gzip.compress((",".join(["1"] * 65) + "\n").encode() * 100)
    (tmp_path / "own.csv.gz").write_bytes(packed[:20] + bytes([packed[20] ^ 255]) + packed[21:])
    with pytest.raises(DataError, match=r"own\.csv\.gz: cannot be read"):
        adopt("digits", tmp_path / "own.csv.gz")


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
