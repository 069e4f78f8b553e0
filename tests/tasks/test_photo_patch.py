"""Patches of photographs: splits share no pixel, classes are balanced, and colour does not give the photograph away."""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import data, registry
from harness.data import UserData, open_data, resolve
from harness.errors import DataError
from tasks.datasets import photo_patch, photo_patch_draw, photo_patch_files
from tasks.datasets.images import Images, Labels, Pixels
from tasks.datasets.photo_patch_draw import cut, disguise, draw_patches, patch_places
from tasks.datasets.text_splits import SPLITS, Split

FEW: Mapping[Split, int] = {"train": 60, "val": 20, "test": 30}


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    """Every test here has an empty cache."""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def map_of_itself(height: int = 250, width: int = 250) -> Pixels:
    """A photograph whose red is the row and whose green the column of a pixel, so that a patch says where it is from; blue is noise."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, rng().integers(0, 256, (height, width))], axis=-1).astype(np.uint8)


def noise(tint: tuple[float, ...] = (1, 1, 1), *, seed: int = 0, size: tuple[int, int] = (200, 200)) -> Pixels:
    return (rng(seed).integers(60, 256, (*size, 3)) * np.array(tint)).astype(np.uint8)


def save(folder: Path, **photos: Pixels) -> Path:
    folder.mkdir(exist_ok=True)
    for name, photo in photos.items():
        Image.fromarray(photo).save(folder / f"{name}.png")
    return folder


def adopt(folder: Path) -> Images:
    dataset = registry.dataset("photo-patch")
    images = open_data(dataset, resolve(dataset, {"photo-patch": UserData(folder)}))
    assert isinstance(images, Images)
    return images


def test_no_pixel_is_in_two_splits() -> None:
    photo = map_of_itself()
    places = patch_places(photo, FEW, rng())
    seen: dict[Split, set[tuple[int, int]]] = {}
    for split in SPLITS:
        patches = cut(photo, places[split])
        assert patches.shape == (FEW[split], 32, 32, 3)
        seen[split] = {(int(r), int(c)) for r, c in patches[..., :2].reshape(-1, 2)}
        blocks = {(r // 64, c // 64) for r, c in seen[split]}
        for row, column in places[split]:
            assert row // 64 == (row + 31) // 64, "a patch lies inside one block"
            assert column // 64 == (column + 31) // 64
        assert len(blocks) >= 2 or split != "train"
    for one, other in itertools.combinations(SPLITS, 2):
        assert not seen[one] & seen[other]
    assert len({tuple(place) for place in places["train"].tolist()}) > 50, "and they are not a few places again and again"


def test_blocks_are_dealt_60_20_20() -> None:
    photo = noise(size=(640, 640))
    many: Mapping[Split, int] = {"train": 2000, "val": 2000, "test": 2000}
    places = patch_places(photo, many, rng())
    blocks = {split: {(row // 64, column // 64) for row, column in places[split].tolist()} for split in SPLITS}
    assert {split: len(blocks[split]) for split in SPLITS} == {"train": 60, "val": 20, "test": 20}
    assert len(set.union(*blocks.values())) == 100


def test_flat_places_are_left_out() -> None:
    photo = np.full((256, 256, 3), 90, np.uint8)
    photo[:, 128:] = noise(size=(256, 128))
    photo[:64, 128:, 2] = 17
    places = patch_places(photo, FEW, rng())
    every = np.concatenate(list(places.values()))
    assert every[:, 1].min() >= 128, "the left half is flat"
    assert every[:, 0].min() >= 64, "and one channel of the upper right"
    for split in SPLITS:
        assert cut(photo, places[split]).std((1, 2)).min() >= 8
    slight = rng().choice(np.array([90, 104], np.uint8), size=(256, 256, 3))
    with pytest.raises(ValueError, match="too small or too flat"):
        patch_places(slight, FEW, rng())
    patch_places(rng().choice(np.array([90, 110], np.uint8), size=(256, 256, 3)), FEW, rng())


def test_a_disguised_patch_is_the_same_patch_up_to_order_mirror_and_contrast() -> None:
    photo = noise((1.0, 0.6, 0.3))
    patches = cut(photo, patch_places(photo, FEW, rng())["train"])
    shown = disguise(patches, rng(1))
    np.testing.assert_allclose(shown.mean((1, 2)), 128, atol=0.1)
    np.testing.assert_allclose(shown.std((1, 2)), 20, atol=0.1)
    orders, mirrors = [], []
    for before, after in zip(patches.astype(float), shown.astype(float), strict=True):
        fits = {}
        for order in itertools.permutations(range(3)):
            for mirrored in (False, True):
                candidate = before[:, ::-1, order] if mirrored else before[:, :, order]
                fits[order, mirrored] = min(np.corrcoef(candidate[..., c].ravel(), after[..., c].ravel())[0, 1] for c in range(3))
        best = max(fits, key=lambda key: fits[key])
        assert fits[best] > 0.999
        orders.append(best[0])
        mirrors.append(best[1])
    assert len(set(orders)) == 6
    assert 0.25 < np.mean(mirrors) < 0.75


def test_a_long_tail_keeps_the_common_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    patches = np.minimum(255, 2 * rng().lognormal(0, 1.5, (8, 32, 32, 3))).astype(np.uint8)
    np.testing.assert_allclose(disguise(patches, rng()).std((1, 2)), 20, atol=0.5)
    monkeypatch.setattr(photo_patch_draw, "_ROUNDS", 0)
    assert np.abs(disguise(patches, rng()).std((1, 2)) - 20).max() > 1, "only the range of a byte cuts it off"


def test_two_bright_pixels_are_the_least_that_varies_and_still_shown() -> None:
    patches = np.zeros((1, 32, 32, 3), np.uint8)
    patches[0, 4, 4:6] = 182
    assert patches.std((1, 2)).min() >= 8
    shown = disguise(patches, rng())
    assert (np.sort(shown, axis=None)[-6:] == 255).all()
    assert len(np.unique(shown)) == 2


def colour(pixels: Pixels) -> np.ndarray:
    """Mean and standard deviation of each channel: (count, 6)."""
    values = pixels.astype(float)
    return np.concatenate([values.mean((1, 2)), values.std((1, 2))], axis=1)


def nearest_centroid(drawn: Mapping[Split, tuple[Pixels, Labels]]) -> float:
    """Share of test patches whose colour is nearest to their class's mean colour, every statistic scaled by its spread."""
    (x, y), (test, marks) = ((colour(pixels), labels) for pixels, labels in (drawn["train"], drawn["test"]))
    scale = x.std(0) + 1e-9
    centroids = np.stack([(x[y == label] / scale).mean(0) for label in range(10)])
    nearest = np.linalg.norm(test[:, None] / scale - centroids, axis=-1).argmin(1)
    return float((nearest == marks).mean())


def test_colour_does_not_tell_the_shipped_photographs_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    per_class: Mapping[Split, int] = {"train": 100, "val": 10, "test": 100}
    shipped: dict[str, Pixels] = {}
    monkeypatch.setattr(photo_patch_files, "_write", lambda photos, target, licence: shipped.update(photos))
    photo_patch_files.prepare_photos([], Path())
    disguised = nearest_centroid(draw_patches(shipped, per_class))
    monkeypatch.setattr(photo_patch_draw, "disguise", lambda patches, generator: patches)
    assert nearest_centroid(draw_patches(shipped, per_class)) > 0.35
    assert disguised < 0.16, "chance is 0.10"


def test_the_shipped_set_is_balanced_and_says_what_it_is() -> None:
    dataset = registry.dataset("photo-patch")
    ref = data.prepare(dataset)
    images = open_data(dataset, ref)
    assert ref.kind == "stand-in"
    assert "not object recognition" in dataset.description
    assert images.shape == (3, 32, 32)
    assert images.num_classes == 10
    for split, each in (("train", 500), ("val", 100), ("test", 200)):
        assert np.bincount(images.labels[split]).tolist() == [each] * 10
        halves = np.bincount(images.labels[split][: each * 5], minlength=10)
        assert halves.min() > each * 0.3, "classes are mixed, not one after the other"
    meta = json.loads((Path(ref.path or "") / "meta.json").read_text())
    assert meta["classes"] == [photo.name for photo in photo_patch.PHOTOS]
    assert set(meta["decoded_sha256"]) == set(meta["classes"])
    assert "CC-BY-2.0" in meta["licence"]


def test_the_draw_is_fixed_and_each_photograph_has_its_own_stream() -> None:
    photos = {"a": noise(seed=1), "b": noise(seed=2)}
    first, again = draw_patches(photos, FEW), draw_patches(photos, FEW)
    more = draw_patches({**photos, "c": noise(seed=3)}, FEW)
    for split in SPLITS:
        assert (first[split][0] == again[split][0]).all()
        assert (first[split][1] == again[split][1]).all()
        for label in (0, 1):
            ours, theirs = ({image.tobytes() for image in drawn[split][0][drawn[split][1] == label]} for drawn in (first, more))
            assert ours == theirs


def test_own_photographs_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[:, None], 200, 1)
    folder = save(tmp_path / "own", noise=noise(), **{"a-ramp": np.stack([ramp] * 3, -1)})
    (folder / "notes.txt").write_text("not a photograph")
    (folder / "._noise.png").write_bytes(b"what a file manager leaves")
    images = adopt(folder)
    notes = resolve(registry.dataset("photo-patch"), {"photo-patch": UserData(folder)}).notes
    assert notes[0] == "notes.txt: left out, not .jpeg, .jpg, .png, .webp"
    assert [note for note in notes[1:] if "training images too" not in note] == [], "patches of a ramp are alike"
    assert images.num_classes == 2
    for split in SPLITS:
        rough = np.abs(np.diff(images.pixels[split].astype(int), axis=1)).mean((1, 2, 3))
        assert ((rough > 5) == (images.labels[split] == 1)).all(), "a ramp is smooth and comes first"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "b.png").unlink(), r"own: holds 1 photographs .* two or more are needed"),
        (lambda folder: (folder / "b.png").write_bytes(b"no"), r"b\.png: not a photograph that can be read"),
        (lambda folder: (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:4000]), r"b\.png: not a photograph"),
        (lambda folder: (folder / "b.png").write_bytes((folder / "a.png").read_bytes()), r"a\.png and b\.png are the same photograph"),
        (lambda folder: save(folder, b=np.full((200, 200, 4), 9, np.uint8)), r"b\.png: not a photograph .*transparent pixels"),
        (lambda folder: save(folder, b=noise()[..., 0].astype(np.uint16)), r"b\.png: not a photograph .*reach 255 of 65535"),
        (lambda folder: save(folder, b=noise(size=(127, 127))), r"b\.png: too small or too flat: of its 127 x 127 pixels, 1 blocks"),
        (lambda folder: save(folder, b=noise(size=(20, 400))), r"b\.png: too small or too flat: of its 400 x 20 pixels, 0 blocks"),
        (lambda folder: save(folder, b=np.zeros((300, 300, 3), np.uint8)), r"b\.png: too small or too flat"),
    ],
)
def test_what_is_wrong_with_own_photographs_is_named(tmp_path: Path, spoil: Callable[[Path], Any], said: str) -> None:
    folder = save(tmp_path / "own", a=noise(seed=1), b=noise(seed=2))
    spoil(folder)
    with pytest.raises(DataError, match=said):
        adopt(folder)


def test_a_file_instead_of_a_folder_is_named(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "one.png")
    with pytest.raises(DataError, match=r"one\.png: there is no such folder"):
        adopt(tmp_path / "one.png")


def test_three_blocks_are_enough_for_three_splits() -> None:
    photo = map_of_itself(64, 192)
    places = patch_places(photo, FEW, rng())
    assert sorted(len({column // 64 for column in places[split][:, 1].tolist()}) for split in SPLITS) == [1, 1, 1]


def test_a_package_that_is_missing_or_different_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = registry.dataset("photo-patch")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "skimage" else find(name, *rest))
    with pytest.raises(DataError, match=r"astronaut comes with scikit-image, which is not installed: pip install 'papertrial\[data\]'"):
        data.prepare(dataset)
    spec = importlib.util.spec_from_loader("skimage", None, is_package=True)
    assert spec is not None
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: spec)
    with pytest.raises(DataError, match=r"astronaut\.png: the photograph astronaut of scikit-image cannot be read"):
        data.prepare(dataset)
    (tmp_path / "data").mkdir()
    Image.fromarray(noise()).save(tmp_path / "data" / "astronaut.png")
    with pytest.raises(DataError, match=r"astronaut\.png: its SHA-256 is not 88431cd9"):
        data.prepare(dataset)
