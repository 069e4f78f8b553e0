"""CIFAR from the user's files: read as published, opened only where that is safe, refused by name."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness import data, registry
from harness.data import UserData, open_data, resolve
from harness.errors import DataError
from harness.plan import DataRef
from tasks.datasets import cifar_files
from tasks.datasets.cifar_files import CIFAR10, CIFAR100, Form, adopt
from tasks.datasets.cifar_pickles import read_batches
from tasks.datasets.images import Images, Pixels, open_images
from tests.tasks.damage import damaged


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    """Every test here has an empty cache."""


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its strings, as in the published files."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        content = value.encode() if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def python2(batch: Any) -> bytes:
    """A pickle of protocol 2 whose arrays ask for `numpy.core`, as NumPy 1 wrote them."""
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(batch)
    return file.getvalue().replace(b"numpy._core", b"numpy.core")


def pictures(count: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)


def planes(pixels: Pixels) -> np.ndarray:
    """(count, 3072): the red plane of an image, then the green, then the blue."""
    return np.stack([np.concatenate([image[..., channel].ravel() for channel in range(3)]) for image in pixels])


def marks(pixels: Pixels, classes: int) -> list[int]:
    """The label of each picture is the value of its first red pixel."""
    return [int(image[0, 0, 0]) % classes for image in pixels]


def write_batches(folder: Path, form: Form, each: int = 40) -> Form:
    """Tiny pickles under the published names; the form comes back with their MD5 sums."""
    folder.mkdir(parents=True)
    sums: dict[str, str] = {}
    for seed, name in enumerate([*form.train, *form.test]):
        pixels = pictures(each, seed)
        write_batch(folder / name, {"data": planes(pixels), form.pickle_labels: marks(pixels, form.num_classes), "batch_label": name})
        sums[name] = md5(folder / name)
    return replace(form, train={name: sums[name] for name in form.train}, test={name: sums[name] for name in form.test})


def write_binaries(folder: Path, form: Form, each: int = 40) -> None:
    """Tiny files of the binary version, with the pictures that `write_batches` writes; a coarse label is 255 where there is one."""
    folder.mkdir(parents=True)
    for seed, name in enumerate([*form.binary_train, *form.binary_test]):
        pixels = pictures(each, seed)
        labels = np.full((each, form.label_bytes), 255, np.uint8)
        labels[:, -1] = marks(pixels, form.num_classes)
        (folder / name).write_bytes(np.concatenate([labels, planes(pixels)], axis=1).tobytes())


def write_batch(file: Path, batch: Any) -> None:
    file.write_bytes(python2(batch))


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def taken(form: Form, path: Path, target: Path) -> Images:
    target.mkdir(exist_ok=True)
    adopt(form, path, target)
    return open_images(target)


@pytest.mark.parametrize("form", [CIFAR10, CIFAR100], ids=["cifar10", "cifar100"])
@pytest.mark.parametrize("below", [False, True], ids=["the folder", "its root"])
def test_pickles_are_read_pixel_by_pixel(tmp_path: Path, form: Form, below: bool) -> None:
    folder = tmp_path / "set" / form.folder
    images = taken(write_batches(folder, form), folder.parent if below else folder, tmp_path / "out")
    test = pictures(40, len(form.train))
    assert (images.pixels["test"] == test).all()
    assert images.labels["test"].tolist() == marks(test, form.num_classes)
    assert images.num_classes == form.num_classes
    train = {image.tobytes() for seed in range(len(form.train)) for image in pictures(40, seed)}
    held = {image.tobytes() for image in images.pixels["val"]}
    assert held | {image.tobytes() for image in images.pixels["train"]} == train
    assert 0 < len(held) < 0.25 * len(train)
    for split in ("train", "val"):
        assert images.labels[split].tolist() == marks(images.pixels[split], form.num_classes)


def test_the_sums_are_the_published_ones_and_checked_by_default(tmp_path: Path) -> None:
    assert CIFAR10.train["data_batch_1"] == "c99cafc152244af753f735de768cd75f"
    assert len(CIFAR10.train) == 5
    assert len({*CIFAR10.train.values(), *CIFAR10.test.values(), *CIFAR100.train.values(), *CIFAR100.test.values()}) == 8
    for name, form, first in (("cifar10", CIFAR10, "data_batch_1"), ("cifar100", CIFAR100, "train")):
        write_batches(tmp_path / name, form)
        found = md5(tmp_path / name / first)
        with pytest.raises(DataError, match=rf"{first}: its MD5 is {found}, that of the published file {form.train[first]}"):
            resolve(registry.dataset(name), {name: UserData(tmp_path / name)})


@pytest.mark.parametrize(("name", "form"), [("cifar10", CIFAR10), ("cifar100", CIFAR100)])
@pytest.mark.parametrize("below", [False, True], ids=["the folder", "its root"])
def test_the_binary_version_holds_what_the_pickles_hold(tmp_path: Path, name: str, form: Form, below: bool) -> None:
    folder = tmp_path / "bin" / form.binary_folder
    write_binaries(folder, form)
    ref = resolve(registry.dataset(name), {name: UserData(folder.parent if below else folder)})
    assert ref.kind == "stand-in", "nothing proves what these bytes are"
    images = open_data(registry.dataset(name), ref)
    pickled = taken(write_batches(tmp_path / "py", form), tmp_path / "py", tmp_path / "out")
    for split in ("train", "val", "test"):
        assert (images.pixels[split] == pickled.pixels[split]).all()
        assert (images.labels[split] == pickled.labels[split]).all()


def test_a_binary_that_is_cut_or_of_another_set_is_named(tmp_path: Path) -> None:
    write_binaries(tmp_path / "set", CIFAR10, each=4)
    file = tmp_path / "set" / "data_batch_3.bin"
    whole = file.read_bytes()
    other = b"\x0a" + whole[1:]
    for content, said in ((whole[:-1], "12291 bytes are not records of 3073"), (b"", "0 bytes are not"), (other, "image 1: label 10")):
        file.write_bytes(content)
        with pytest.raises(DataError, match=rf"data_batch_3\.bin.*{said}"):
            taken(CIFAR10, tmp_path / "set", tmp_path / "out")
    file.unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin: there is no such file, although others"):
        taken(CIFAR10, tmp_path / "set", tmp_path / "out")


def test_pickles_with_the_published_sums_are_real_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar_files, "CIFAR10", write_batches(tmp_path / "set", CIFAR10))
    dataset = registry.dataset("cifar10")
    assert resolve(dataset, {"cifar10": UserData(tmp_path / "set")}, require_kind="real").kind == "real"
    assert resolve(dataset, {"cifar10": UserData(tmp_path / "set", "stand-in")}).kind == "stand-in", "what the user says goes first"


def hub_set(root: Path, commit: str = "c0ffee00", seed: int = 0) -> Path:
    """A data set in the form of a cache of the hub: links to blobs, and a reference to the commit."""
    snapshot = root / "snapshots" / commit / "plain_text"
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    for part, count in (("train", 60), ("test", 9)):
        blob = root / "blobs" / f"{commit}{part}"
        write_parquet(blob, pictures(count, seed), CIFAR10)
        (snapshot / f"{part}-00000-of-00001.parquet").symlink_to(blob)
    return root


def test_a_cache_of_the_hub_is_read_where_its_reference_points(tmp_path: Path) -> None:
    def found(path: Path) -> DataRef:
        return resolve(registry.dataset("cifar10"), {"cifar10": UserData(path)})

    home = tmp_path / "huggingface"
    root = hub_set(home / "hub" / "datasets--uoft-cs--cifar10")
    (home / "hub" / "models--much--else").mkdir()
    references = [found(path) for path in (home, home / "hub", root, root / "snapshots" / "c0ffee00")]
    assert len({ref.fingerprint for ref in references}) == 1
    assert [ref.source for ref in references[:3]] == ["uoft-cs/cifar10@c0ffee00"] * 3
    hub_set(root, "badcafe0", seed=5)
    assert found(home).fingerprint != references[0].fingerprint, "the newer one"
    (root / "refs" / "main").unlink()
    with pytest.raises(DataError, match="has 2 snapshots and no refs/main: name one of badcafe0, c0ffee00"):
        found(root)
    (root / "refs" / "main").write_text("0ddba110")
    with pytest.raises(DataError, match="snapshot 0ddba110, which refs/main names, is not there: fetch"):
        found(root)
    hub_set(home / "hub" / "datasets--b--other")
    with pytest.raises(DataError, match=r"2 data sets of the hub \(datasets--b--other, datasets--uoft.*: name the folder of one"):
        found(home)


class Planted:
    """Unpickling it creates a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.file,))


def test_no_code_of_a_pickle_runs(tmp_path: Path) -> None:
    form = write_batches(tmp_path / "set", CIFAR10)
    trap, file = tmp_path / "ran", tmp_path / "set" / "data_batch_3"
    file.write_bytes(pickle.dumps({"data": Planted(trap), "labels": []}))
    with pytest.raises(DataError, match=r"data_batch_3: its MD5 is .*; it was not opened"):
        taken(form, tmp_path / "set", tmp_path / "out")
    with pytest.raises(DataError, match=r"data_batch_3: cannot be unpickled \(it asks for .*, which is no part of an array\)"):
        taken(replace(form, train={**form.train, "data_batch_3": md5(file)}), tmp_path / "set", tmp_path / "out")
    assert not trap.exists()
    pickle.loads(file.read_bytes())
    assert trap.exists(), "an ordinary unpickler is caught by it"


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ([1, 2], "`data` is not an array of bytes"),
        ({"data": np.zeros((2, 3071), np.uint8), "labels": [0, 0]}, r"`data` is not an array of bytes \(count, 3072\)"),
        ({"data": np.zeros((2, 3072), np.int64), "labels": [0, 0]}, "`data` is not an array of bytes"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "`labels` is not a list of 2 labels"),
        ({"data": np.zeros((2, 3072), np.uint8), "fine_labels": [0, 0]}, "`labels` is not a list of 2 labels"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [9, 10]}, "image 2: label 10 is not in 0 to 9"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [-1, 0]}, "image 1: label -1 is not in 0 to 9"),
    ],
)
def test_a_pickle_of_another_form_is_named(tmp_path: Path, batch: Any, said: str) -> None:
    form = write_batches(tmp_path / "set", CIFAR10, each=4)
    file = tmp_path / "set" / "data_batch_2"
    write_batch(file, batch)
    with pytest.raises(DataError, match=rf"data_batch_2.*{said}"):
        taken(replace(form, train={**form.train, "data_batch_2": md5(file)}), tmp_path / "set", tmp_path / "out")


def test_a_missing_batch_and_a_cut_one_are_named(tmp_path: Path) -> None:
    form = write_batches(tmp_path / "set", CIFAR10, each=4)
    file = tmp_path / "set" / "data_batch_4"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="data_batch_4: cannot be unpickled"):
        taken(replace(form, train={**form.train, "data_batch_4": md5(file)}), tmp_path / "set", tmp_path / "out")
    file.unlink()
    with pytest.raises(DataError, match="data_batch_4: there is no such file, although others"):
        taken(form, tmp_path / "set", tmp_path / "out")


def png(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="png")
    return file.getvalue()


def write_parquet(
    file: Path, pixels: Pixels, form: Form, change: Callable[[list[Any], list[Any]], Any] = lambda images, labels: None
) -> None:
    images: list[Any] = [{"bytes": png(image), "path": None} for image in pixels]
    labels: list[Any] = list(marks(pixels, form.num_classes))
    change(images, labels)
    columns = {"img": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])), form.parquet_labels: labels}
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)


@pytest.mark.parametrize(("name", "form", "below"), [("cifar10", CIFAR10, "plain_text"), ("cifar100", CIFAR100, "")])
def test_parquet_files_are_read_pixel_by_pixel(tmp_path: Path, name: str, form: Form, below: str) -> None:
    folder = tmp_path / "hub" / below
    write_parquet(folder / "train-00000-of-00002.parquet", pictures(60, 0), form)
    write_parquet(folder / "train-00001-of-00002.parquet", pictures(60, 1), form)
    write_parquet(folder / "test-00000-of-00001.parquet", pictures(9, 2), form)
    dataset = registry.dataset(name)
    ref = resolve(dataset, {name: UserData(tmp_path / "hub", "real")})
    images = open_data(dataset, ref)
    assert ref.kind == "real"
    assert (images.pixels["test"] == pictures(9, 2)).all()
    assert images.labels["test"].tolist() == marks(pictures(9, 2), form.num_classes)
    assert images.count("train") + images.count("val") == 120
    assert images.labels["train"].tolist() == marks(images.pixels["train"], form.num_classes)


def put(column: int, row: int, value: Any) -> Callable[[list[Any], list[Any]], Any]:
    return lambda *columns: columns[column].__setitem__(row, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put(0, 2, {"bytes": b"no image", "path": None}), "row 3: not an image that can be read"),
        (put(0, 1, {"bytes": png(pictures(1, 0)[0])[:200], "path": None}), "row 2: not an image that can be read"),
        (put(0, 4, {"bytes": png(pictures(1, 0)[0][:31]), "path": None}), "row 5: an image of 32 x 31 pixels instead of 32 x 32"),
        (put(0, 3, {"bytes": png(np.full((32, 32, 4), 100, np.uint8)), "path": None}), "row 4: not an image .*transparent pixels"),
        (put(0, 0, {"bytes": None, "path": "a.png"}), "row 1: `img` holds no bytes"),
        (put(0, 0, None), "row 1: `img` holds no bytes"),
        (put(1, 3, 10), "row 4: `label` is 10, not in 0 to 9"),
        (put(1, 3, -1), "row 4: `label` is -1"),
        (put(1, 3, None), "row 4: `label` is None"),
    ],
)
def test_a_broken_row_of_parquet_is_named(tmp_path: Path, change: Callable[[list[Any], list[Any]], Any], said: str) -> None:
    write_parquet(tmp_path / "train.parquet", pictures(6, 0), CIFAR10, change)
    with pytest.raises(DataError, match=rf"train\.parquet, {said}"):
        taken(CIFAR10, tmp_path, tmp_path / "out")


def test_parquet_of_another_set_or_none_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", pictures(6, 0), CIFAR10)
    with pytest.raises(DataError, match=r"has no `img` and `fine_label` columns \(columns: img, label\)"):
        taken(CIFAR100, tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match=r"neither cifar-10-batches-py/data_batch_1 nor .* nor test\*\.parquet"):
        taken(CIFAR10, tmp_path, tmp_path / "out")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 it is not")
    with pytest.raises(DataError, match=r"train\.parquet: not a Parquet file"):
        taken(CIFAR10, tmp_path, tmp_path / "out")
    write_parquet(tmp_path / "train.parquet", pictures(0, 0), CIFAR10)
    with pytest.raises(DataError, match=r"train\.parquet: holds no rows"):
        taken(CIFAR10, tmp_path, tmp_path / "out")


def test_a_parquet_part_that_is_missing_or_there_twice_is_refused(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_parquet(hub / f"{name}.parquet", pictures(30, 0), CIFAR10)
    taken(CIFAR10, hub, tmp_path / "out")
    write_parquet(hub / "train-00000-of-00001.parquet", pictures(30, 0), CIFAR10)
    with pytest.raises(DataError, match=r"train\*\.parquet are parts of 1 and of 2 files"):
        taken(CIFAR10, hub, tmp_path / "out")
    (hub / "train-00000-of-00001.parquet").unlink()
    write_parquet(hub / "plain_text" / "train-00000-of-00002.parquet", pictures(30, 0), CIFAR10)
    with pytest.raises(DataError, match=r"lie in 2 folders \(.*hub, .*hub/plain_text\): name one of them"):
        taken(CIFAR10, hub, tmp_path / "out")
    (hub / "plain_text" / "train-00000-of-00002.parquet").unlink()
    (hub / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match=r"of 2 files train-\*\.parquet, number 00001 is missing"):
        taken(CIFAR10, hub, tmp_path / "out")


@pytest.mark.fuzz
@given(data=st.data())
def test_a_damaged_pickle_is_refused_or_holds_what_its_bytes_say(tmp_path_factory: Any, data: st.DataObject) -> None:
    """By its MD5 first. With the sum of the damaged file, so that it is opened: images and labels of the form, or a DataError."""
    file = tmp_path_factory.getbasetemp() / "fuzzed-batch"
    pixels = pictures(2, 0)
    whole = python2({"data": planes(pixels), "labels": marks(pixels, 10)})
    content = data.draw(damaged(whole))
    file.write_bytes(content)
    if content != whole:
        with pytest.raises(DataError, match="it was not opened"):
            read_batches(file.parent, {file.name: hashlib.md5(whole).hexdigest()}, "labels", 10)
    try:
        ((found, labels),) = read_batches(file.parent, {file.name: md5(file)}, "labels", 10)
    except DataError:
        return
    assert found.shape == (len(labels), 32, 32, 3)
    assert found.dtype == np.uint8
    assert all(0 <= label < 10 for label in labels)
    assert content != whole or (found == pixels).all()


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_empty_folder_and_an_archive_say_what_is_wanted(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "set.tar.gz").write_bytes(b"")
    for path, said in (("empty", "there is neither cifar-"), ("set.tar.gz", "unpack it with `tar -xf .*set.tar.gz -C ")):
        with pytest.raises(DataError, match=said):
            resolve(registry.dataset(name), {name: UserData(tmp_path / path)})
    with pytest.raises(DataError, match=f"--data {name}=PATH"):
        data.prepare(registry.dataset(name))
