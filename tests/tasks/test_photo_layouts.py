"""ImageNet in the layouts that people have: each image gets the class that the published lists give it, or a sentence says what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from harness import file_memory, registry
from harness.cli import main
from harness.data import UserData, open_data, resolve
from harness.errors import DataError
from harness.frames import read_trials
from harness.plan import DataRef
from tasks.datasets import image_folder_index
from tasks.datasets.cifar_files import CIFAR10
from tasks.datasets.image_folder import FolderImages
from tasks.datasets.photo_labels import GROUND_TRUTH
from tasks.datasets.unpack_parquet import unpack

SORTED = ("n01440764", "n02119789", "n03000000")
DEVKIT = ("n02119789", "n03000000", "n01440764")
"""The classes in the order of its numbers, which is not that of their names: in the published devkit n02119789 (kit fox) is 1, too."""
TRUE = ("n03000000", "n01440764", "n02119789", "n02119789", "n01440764", "n03000000")
"""Class of validation image 1, 2 ... 6."""


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    """Every test here has an empty cache."""


def name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08}"


def tree(root: Path, each: int = 60) -> Path:
    """train/<wnid>/ and a flat val/ whose image n has n as its red."""
    for level, wnid in enumerate(SORTED):
        folder = root / "train" / wnid
        folder.mkdir(parents=True)
        for index in range(each):
            Image.new("RGB", (9, 8), (100, level, index)).save(folder / f"{wnid}_{index}.JPEG", "PNG")
    (root / "val").mkdir()
    for number in range(1, len(TRUE) + 1):
        Image.new("RGB", (9, 8), (number, 0, 0)).save(root / "val" / f"{name(number)}.JPEG", "PNG")
    return root


def devkit(folder: Path, numbers: list[int] | None = None) -> Path:
    """The ground truth and, as in meta.mat, a table whose last entries are no leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = numbers or [DEVKIT.index(wnid) + 1 for wnid in TRUE]
    (folder / GROUND_TRUTH).write_text("".join(f"{number}\n" for number in numbers))
    rows = [(number, wnid, "words") for number, wnid in enumerate((*DEVKIT, "n09999999"), start=1)]
    table = np.array(rows, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]).reshape(-1, 1)
    savemat(folder / "meta.mat", {"synsets": table})
    return folder


def found(path: Path) -> tuple[DataRef, FolderImages]:
    dataset = registry.dataset("imagenet")
    ref = resolve(dataset, {"imagenet": UserData(path)})
    return ref, open_data(dataset, ref)


def classes(images: FolderImages) -> dict[int, str]:
    """Number of each validation image -> class."""
    return {int(Path(file).stem[-8:]): SORTED[label] for file, label in images.files["test"]}


ALL = dict(enumerate(TRUE, start=1))
KAGGLE = "ImageId,PredictionString\n" + "".join(
    f"{name(number)},{ALL[number]} 1 2 3 4 {ALL[number]} 5 6 7 8\n" for number in (4, 2, 1, 3, 6, 5)
)
NAMED = "".join(f"{name(number)}.JPEG {SORTED.index(wnid)}\n" for number, wnid in ALL.items())


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("layout", ["devkit", "devkit in val", "synset list", "csv", "caffe", "kaggle"])
def test_a_flat_validation_folder_gets_the_classes_of_its_list(tmp_path: Path, layout: str) -> None:
    root = tree(tmp_path / "in" / "ILSVRC/Data/CLS-LOC" if layout == "kaggle" else tmp_path / "in")
    if layout.startswith("devkit"):
        devkit(root / ("val" if layout == "devkit in val" else "ILSVRC2012_devkit_t12/data"))
    elif layout == "synset list":
        write(root / "imagenet_2012_validation_synset_labels.txt", "\n".join(TRUE))
    elif layout == "csv":
        write(root / "val_labels.csv", "file,class\n" + "".join(f"val/{name(n)}.JPEG,{wnid}\n" for n, wnid in ALL.items()))
    elif layout == "caffe":
        write(root / "caffe" / "val.txt", NAMED)
        write(root / "caffe" / "synset_words.txt", "".join(f"{wnid} some words, more\n" for wnid in SORTED))
    else:
        (root / "test").mkdir()
        Image.new("RGB", (9, 8)).save(root / "test" / "ILSVRC2012_test_00000001.JPEG", "PNG")
        write(tmp_path / "in" / "LOC_val_solution.csv", KAGGLE)
    ref, images = found(tmp_path / "in")
    assert classes(images) == ALL
    assert images.num_classes == 3
    assert ref.notes == ()
    x, labels = next(images.batches("test", 6, 6))
    red = ((x[:, 0].mean((1, 2)) * 0.229 + 0.485) * 255).round().int().tolist()
    assert [SORTED[label] for label in labels.tolist()] == [ALL[number] for number in red], "the pixels carry the label"


def test_the_devkits_numbers_without_its_table_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "in")
    (devkit(root) / "meta.mat").unlink()
    with pytest.raises(DataError, match=r"ground_truth\.txt: .* order of their own: put the meta\.mat of the devkit beside it"):
        found(root)
    (root / "meta.mat").write_bytes(b"MATLAB it is not")
    with pytest.raises(DataError, match=r"meta\.mat: not the devkit's table of classes"):
        found(root)
    (root / "meta.mat").unlink()
    write(root / "LOC_val_solution.csv", KAGGLE)
    assert classes(found(root)[1]) == ALL, "another list serves"


def test_lists_that_disagree_and_classes_that_are_unknown_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "in")
    devkit(root, [1, 1, 1, 1, 1, 1])
    write(root / "LOC_val_solution.csv", KAGGLE)
    with pytest.raises(DataError, match=r"LOC_val_solution\.csv says that .* is n.*, .*ground_truth\.txt that it is n02119789"):
        found(root)
    (root / "LOC_val_solution.csv").unlink()
    with pytest.raises(DataError, match="val: holds no image that can be used of class n01440764, which train/ has"):
        found(root)
    devkit(root, [4, 1, 2, 3, 1, 1])
    with pytest.raises(DataError, match=r"val_00000001\.JPEG is of class n09999999, which has no folder in train/"):
        found(root)
    devkit(root, [7, 1, 2, 3, 1, 1])
    with pytest.raises(DataError, match="label 7 is not among the 4 classes"):
        found(root)
    devkit(root, [1, 2])
    with pytest.raises(DataError, match="has 2 lines, none for ILSVRC2012_val_0000000"):
        found(root)


def test_numbers_are_never_guessed(tmp_path: Path) -> None:
    root = tree(tmp_path / "in")
    with pytest.raises(
        DataError, match=r"val: its images lie in no folders of classes, and there is no list .*meta\.mat, LOC_val_solution"
    ):
        found(root)
    write(root / "val.txt", NAMED)
    with pytest.raises(DataError, match=r"val\.txt: its classes are numbers, and nothing says whose: put synsets\.txt or"):
        found(root)
    write(root / "synsets.txt", "\n".join((*SORTED, "n04000000")))
    write(root / "val.txt", "".join(f"{name(number)}.JPEG {SORTED.index(wnid) + 1}\n" for number, wnid in ALL.items()))
    with pytest.raises(DataError, match="no label is 0, so whether classes count from 0 or from 1 is not known"):
        found(root)


def test_images_without_a_label_and_broken_ones_are_left_out_by_name(tmp_path: Path) -> None:
    root = tree(tmp_path / "in")
    write(root / "LOC_val_solution.csv", "\n".join(line for line in KAGGLE.splitlines() if name(6) not in line))
    whole = (root / "val" / f"{name(5)}.JPEG").read_bytes()
    (root / "train" / SORTED[0] / "cut.JPEG").write_bytes(whole[:45])
    (root / "val" / f"{name(4)}.JPEG").write_bytes(b"")
    ref, images = found(root)
    assert classes(images) == {number: wnid for number, wnid in ALL.items() if number not in (4, 6)}
    for said in (
        f"val/{name(6)}.JPEG: left out, no list has its label",
        f"val/{name(4)}.JPEG: left out, it is empty",
        "cut.JPEG: left out",
    ):
        assert len([note for note in ref.notes if said in note]) == 1, (said, ref.notes)


def test_archives_and_tables_are_refused_with_a_command_that_unpacks_them(tmp_path: Path) -> None:
    def command(path: Path) -> str:
        with pytest.raises(DataError) as caught:
            found(path)
        return str(caught.value).split("`")[1]

    whole = tree(tmp_path / "whole")
    devkit(whole)
    root = tmp_path / "packed set"
    (root / "train").mkdir(parents=True)
    for wnid in SORTED:
        subprocess.run(["tar", "-cf", root / "train" / f"{wnid}.tar", "-C", whole / "train" / wnid, "."], check=True)
    subprocess.run(["tar", "-cf", root / "ILSVRC2012_img_val.tar", "-C", whole / "val", "."], check=True)
    for _ in range(2):
        subprocess.run(["bash", "-c", command(root)], check=True)
    devkit(root)
    assert classes(found(root)[1]) == ALL, "what the commands leave is read"
    subprocess.run(["tar", "-cf", tmp_path / "all.tar", "-C", tmp_path, "whole"], check=True)
    assert command(tmp_path / "all.tar").startswith("tar -xf ")


def test_the_hubs_parquet_is_refused_with_the_command_that_makes_a_folder(tmp_path: Path) -> None:
    for part, count in (("train", 90), ("validation", 6)):
        images, labels = [], []
        for index in range(count):
            file = tmp_path / "one.png"
            Image.new("RGB", (9, 8), (index % 3, index, 0)).save(file)
            images.append({"bytes": file.read_bytes(), "path": None})
            labels.append(index % 3)
        (tmp_path / "hub" / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image": images, "label": labels}), tmp_path / "hub" / "data" / f"{part}-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"unpack them with `python -m tasks\.datasets\.unpack_parquet .*hub FOLDER`"):
        found(tmp_path / "hub")
    assert unpack(tmp_path / "hub", tmp_path / "out") == 96
    _, images = found(tmp_path / "out")
    x, y = next(images.batches("test", 6, 6))
    assert ((x[:, 0].mean((1, 2)) * 0.229 + 0.485) * 255).round().int().tolist() == y.tolist()
    with pytest.raises(DataError, match="out: is not empty"):
        unpack(tmp_path / "hub", tmp_path / "out")


def test_photographs_are_looked_at_once_until_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "in")
    write(root / "LOC_val_solution.csv", KAGGLE)
    monkeypatch.setattr(file_memory, "_SETTLED_NS", 0)
    looked: list[str] = []
    look = image_folder_index._look
    monkeypatch.setattr(image_folder_index, "_look", lambda file: looked.append(file.name) or look(file))
    first, _ = found(root)
    assert len(looked) == 186
    looked.clear()
    changed = root / "train" / SORTED[1] / f"{SORTED[1]}_7.JPEG"
    changed.write_bytes(b"")
    ref, _ = found(root)
    assert looked == [changed.name], "the others are remembered"
    assert ref.fingerprint != first.fingerprint
    assert [note for note in ref.notes if changed.name in note]


@pytest.mark.parametrize("name", ["imagenet", "cifar10"])
def test_such_files_run_end_to_end(tmp_path: Path, name: str) -> None:
    """Kaggle's tree with a broken photograph; CIFAR's binary version, in which one class is rare."""
    path = tmp_path / "own"
    if name == "imagenet":
        write(tree(path / "ILSVRC/Data/CLS-LOC").parents[2] / "LOC_val_solution.csv", KAGGLE)
        (path / "ILSVRC/Data/CLS-LOC/train" / SORTED[1] / "broken.JPEG").write_bytes(b"")
    else:
        path.mkdir()
        draw = np.random.default_rng(0)
        for file in (*CIFAR10.binary_train, *CIFAR10.binary_test):
            records = draw.integers(0, 256, (40, 3073)).astype(np.uint8)
            records[:, 0] = draw.integers(0, 9, 40)
            records[0, 0] = 9 if file == CIFAR10.binary_train[0] else 0
            (path / file).write_bytes(records.tobytes())
    words = ["--scale", "smoke", "--seeds", "1", "--method", "dense"]
    words += ["--set", "dense_epochs=0.05", "--set", "batch=8", "--local", "--tracking-uri", "none"]
    own = ["--data", f"digits=@{name}", "--data", f"{name}={path}"]
    assert main(["run", "dynamic-pruning-ftwt", *words, *own, "--store", str(tmp_path / "store")]) == 0
    (study,) = (tmp_path / "store").iterdir()
    frame = read_trials((study / "trials" / "dynamic-pruning-ftwt.parquet").read_bytes())
    assert set(frame["status"]) == {"ok"}
    assert set(frame["data_name"]) == {"own"}
    assert set(frame["data_kind"]) == {"stand-in"}
    assert ("broken.JPEG: left out, it is empty" in str(frame["data_notes"].tolist())) == (name == "imagenet")
