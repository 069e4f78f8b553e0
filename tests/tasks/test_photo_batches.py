"""Photographs on their way to a network: views, `draft` against the whole, one batch ahead, the same numbers whatever the threads do."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness import registry
from harness.data import UserData, open_data, resolve
from harness.errors import DataError
from tasks.blocks import training
from tasks.blocks.batches import Batches, laid_out
from tasks.blocks.convnets import convnet
from tasks.blocks.optim import Schedule
from tasks.blocks.supervised import Recipe, answers, cross_entropy, fit
from tasks.blocks.training import generator
from tasks.datasets import image_folder, placing
from tasks.datasets.image_folder import FolderImages
from tasks.datasets.photo_views import centre_view, draft_scale, draws, part, random_view
from tasks.datasets.photographs import read_photograph
from tasks.kan.kat_group_rational.problems import problem_of
from tests.tasks.pruning_toys import MakeTrial, maker, planted
from tests.tasks.trials import Trials

COUNTS = {"train": 50, "val": 9, "test": 9}
SIZE = 16


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth, with an edge: what a camera might see. Red rises to the right and green downwards."""
    rows, columns = np.mgrid[0:height, 0:width]
    blue = 127 + 100 * np.sin(columns / 37 + seed) * np.cos(rows / 23) * np.where(rows > height // 3, 1, 0.3)
    return Image.fromarray(np.stack([columns * 255 / width, rows * 255 / height, blue], axis=2).astype(np.uint8))


def tree(root: Path, *, size: int = SIZE) -> FolderImages:
    """JPEGs of many sizes in two classes: dark ones and bright ones."""
    files: dict[Any, list[tuple[str, int]]] = {}
    for split, count in COUNTS.items():
        files[split] = [(f"{split}/{index % 2}/{index}.jpg", index % 2) for index in range(count)]
        for index, (name, label) in enumerate(files[split]):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            image = picture(60 + index, 90 - index, index).point(lambda value, label=label: value // 3 + 150 * label)
            image.save(root / name, quality=90)
    return FolderImages(root, files, 2, size)


@pytest.fixture
def images(tmp_path: Path) -> FolderImages:
    return tree(tmp_path / "photos")


@pytest.fixture
def make_trial(tmp_path: Path, images: FolderImages) -> MakeTrial:
    return maker(tmp_path, images)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


CPU = torch.device("cpu")


def batches_of(trial: Any, steps: int = 6) -> Batches:
    return Batches(trial, lambda images, batch: Schedule(steps, 0, "constant"), CPU)


# Views


def test_random_parts_lie_inside_and_mirror(tmp_path: Path) -> None:
    file = tmp_path / "ramp.png"
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1))).convert("RGB").save(file)
    for draw in draws(1, 0, 20).tolist():
        view = np.asarray(random_view(file, 32, [*draw[:4], 0.9], "bilinear"))
        assert view.shape == (32, 32, 3)
        assert (view[:, ::-1] == np.asarray(random_view(file, 32, [*draw[:4], 0.1], "bilinear"))).all()
        rises = np.diff(view[16, :, 0].astype(int))
        assert (rises >= 0).all()
        assert rises.sum() > 0, "a part of the ramp still rises"
    assert part((100, 100), [1.0, 0.5, 0.0, 0.0, 0.9]) == (0.0, 0.0, 100.0, 100.0)
    assert part((200, 100), [0.5, 0.0, 1.0, 1.0, 0.9]) == (110.0, 0.0, 200.0, 100.0), "90 x 120 would be 3 : 4 of 54 %"
    assert part((200, 200), [0.5, 0.0, 0.0, 0.0, 0.9]) == (0.0, 0.0, 127.0, 170.0)


@pytest.mark.parametrize(
    ("stored", "scaled", "corner"),
    [((500, 375), (341, 256), (58, 16)), ((375, 500), (256, 341), (16, 58)), ((300, 301), (256, 256), (16, 16))],
)
def test_what_is_measured_is_torchvision_s_resize_256_and_centre_crop_224(
    tmp_path: Path, stored: tuple[int, int], scaled: tuple[int, int], corner: tuple[int, int]
) -> None:
    """Linear colours stay linear under bilinear scaling: a pixel tells the place that it was taken from. 58.5 is rounded to even."""
    file = tmp_path / "picture.png"
    picture(*stored).save(file)
    view = np.asarray(centre_view(file, 224, "bilinear")).astype(float)
    assert view.shape == (224, 224, 3)
    for axis in (0, 1):
        place = (np.arange(224) + corner[axis] + 0.5) * stored[axis] / scaled[axis] - 0.5
        found = view[..., axis].mean(axis)
        assert abs((found - (place * 255 / stored[axis] - 0.5)).mean()) < 0.1, "a pixel beside is 0.75 away"
    assert (view != np.asarray(centre_view(file, 224, "bicubic"))).any()


def test_a_part_is_never_decoded_smaller_than_it_is_shown() -> None:
    """Divisors are those of libjpeg: 375 rows of a 500 x 375 photograph are too few to halve for 224."""
    sides = {447: 1, 448: 2, 895: 2, 896: 4, 1791: 4, 1792: 8, 9999: 8}
    assert {side: draft_scale((10.0, 20.0, 10.0 + side, 9999.0), 224) for side in sides} == sides
    assert draft_scale((0.0, 0.0, 9999.0, 300.0), 224) == 1


def test_draft_decodes_the_same_part_and_nearly_the_same_pixels(tmp_path: Path) -> None:
    """A box not divided, or divided by another number, is tens of levels away. `draft` averages in the transform's domain instead."""
    scikit = pytest.importorskip("skimage.data")
    for photo in (scikit.astronaut(), scikit.coffee()):
        file, whole = tmp_path / "photo.jpg", tmp_path / "whole.bmp"
        Image.fromarray(photo).save(file, quality=92)
        with Image.open(file) as opened:
            opened.save(whole)
        apart: dict[int, list[float]] = {2: [], 4: [], 8: []}
        for draw, (scale, size) in itertools.product(draws(3, 0, 6).tolist(), ((2, 160), (4, 80), (8, 40))):
            draw[0] = 0.8 + 0.2 * draw[0]
            box = part((photo.shape[1], photo.shape[0]), draw)
            fits = int(min(box[2] - box[0], box[3] - box[1]) / scale)
            read = read_photograph(file, lambda stored, scale=scale: scale)
            assert (read.scale, read.stored) == (scale, (photo.shape[1], photo.shape[0]))
            views = [np.asarray(random_view(one, min(size, fits), draw, "bilinear")).astype(float) for one in (file, whole)]
            apart[scale].append(float(np.abs(views[0] - views[1]).mean()))
        for scale, most in ((2, 1.2), (4, 1.8), (8, 2.5)):
            assert min(apart[scale]) > 0.3
            assert max(apart[scale]) < most, "levels of 255"


def test_what_needs_no_draft_and_what_is_measured_is_decoded_whole(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    picture(400, 300).save(file, quality=90)
    with Image.open(file) as opened:
        opened.save(tmp_path / "whole.png")
    draw = [0.9, 0.5, 0.3, 0.7, 0.9]
    for view in (lambda one: random_view(one, 200, draw, "bilinear"), lambda one: centre_view(one, 32, "bilinear")):
        assert (np.asarray(view(file)) == np.asarray(view(tmp_path / "whole.png"))).all()
    wide = BytesIO()
    picture(400, 300).save(wide, "PNG")
    assert read_photograph(wide.getvalue(), lambda stored: 2).scale == 1, "only JPEG can"


def test_what_an_image_draws_follows_from_the_seed_and_its_number() -> None:
    whole = draws(5, 0, 1000)
    assert whole.shape == (1000, 5)
    for first, count in ((0, 7), (7, 64), (999, 1)):
        assert (draws(5, first, count) == whole[first : first + count]).all()
    assert len(np.unique(whole)) == 5000
    assert (draws(6, 0, 1000) != whole).all()
    assert np.abs(whole.mean(0) - 0.5).max() < 0.04
    assert np.abs(np.corrcoef(whole.T) - np.eye(5)).max() < 0.12
    assert (whole.min() >= 0.0) & (whole.max() < 1.0)


# Batches


def test_threads_and_their_order_change_nothing(make_trial: MakeTrial, images: FolderImages, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread in order; five of which each waits until another has overtaken it, or at most a moment."""
    torch.set_num_threads(1)
    alone = batches_of(make_trial("l1"))
    expected = [alone(step) for step in range(6)]
    measured = [tensor for batch in images.batches("test", 4, 9) for tensor in batch]
    overtaken, count, plain = threading.Condition(), itertools.count(), image_folder.random_view
    names: set[str] = set()

    def slow(*arguments: Any) -> Any:
        with overtaken:
            if next(count) % 2:
                overtaken.notify()
            else:
                overtaken.wait(0.02)
        names.add(threading.current_thread().name)
        return plain(*arguments)

    monkeypatch.setattr(image_folder, "random_view", slow)
    torch.set_num_threads(5)
    together = batches_of(make_trial("ours"))
    for step, (inputs, labels) in enumerate(expected):
        found = together(step)
        assert torch.equal(found[0], inputs)
        assert torch.equal(found[1], labels)
    assert len(names) == 5, "as many threads as the trial has CPUs"
    again = [tensor for batch in images.batches("test", 4, 9) for tensor in batch]
    assert all(torch.equal(left, right) for left, right in zip(measured, again, strict=True))
    other = batches_of(make_trial("l1", seed=1))
    assert not torch.equal(other(0)[0], expected[0][0])


def test_an_image_and_its_label_stay_together_and_every_epoch_sees_all(make_trial: MakeTrial) -> None:
    batches = batches_of(make_trial("l1", {"train_images": 48}), steps=6)
    found = [batches(step) for step in range(6)]
    for inputs, labels in found:
        blue = inputs[:, 2].mean((1, 2)) * 0.225 + 0.406
        assert torch.equal(blue > 0.45, labels.bool())
    index = torch.from_numpy(batches.index) % 2
    labels = torch.cat([labels for _, labels in found])
    assert [int(labels[start : start + 48].sum()) for start in (0, 48)] == [int(index.sum())] * 2
    assert not torch.equal(found[0][0], found[3][0]), "the second epoch shows other parts"


def test_what_the_nth_image_of_a_training_draws_follows_from_the_trial_s_seed_and_n(make_trial: MakeTrial, images: FolderImages) -> None:
    """Wherever a run begins: here at the third step, whose 16 images are numbers 32 to 47."""
    trial = make_trial("l1", {"train_images": 48})
    order = torch.randperm(48, generator=generator(trial.seed_for("batches of epoch 0")))
    places = np.linspace(0, 49, 48).astype(np.int64)[order[32:48].numpy()]
    numbers = draws(trial.seed_for("augmentation"), 32, 16)
    expected = images.placed(images.begin("train", places, numbers).finish(), "cpu")
    resumed, whole = batches_of(trial), batches_of(trial)
    for found in (resumed(2), [whole(step) for step in range(3)][2]):
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])


def test_one_batch_is_decoded_ahead_and_none_behind_the_last(make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    plain = image_folder.random_view

    def noted(file: Path, *arguments: Any) -> Any:
        shown.append(file)
        return plain(file, *arguments)

    monkeypatch.setattr(image_folder, "random_view", noted)
    batches = batches_of(make_trial("l1"), steps=3)
    for step, decoded in enumerate((32, 48, 48)):
        batches(step)
        for ahead in batches._begun.values():
            wait(ahead._tasks)
        assert len(shown) == decoded, "while the model takes its step"
    assert not batches._begun


def test_a_broken_file_ends_a_training_with_its_name_and_what_was_begun_with_it(make_trial: MakeTrial, images: FolderImages) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 2))
    taken: list[int] = []

    def loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        taken.append(len(inputs))
        if len(taken) == 3:
            (images.root / images.files["train"][7][0]).write_bytes(b"\xff\xd8\xff no photograph")
        return cross_entropy(model, inputs, targets)

    with pytest.raises(DataError, match=r"train/1/7\.jpg: not an image that can be read"):
        fit(make_trial("l1"), model, Recipe(10.0, 0.1), loss=loss)
    assert 3 <= len(taken) <= 3 + 2 * 50 // 16 + 1
    (images.root / images.files["test"][5][0]).unlink()
    with pytest.raises(DataError, match=r"test/1/5\.jpg: not an image that can be read"):
        list(answers(make_trial("l1"), model, "test"))


def test_a_training_that_ends_leaves_nothing_to_decode(make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(Batches, "stop", lambda batches: stopped.append(True))
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 2))
    with pytest.raises(ZeroDivisionError):
        fit(make_trial("l1"), model, Recipe(1.0, 0.1), loss=lambda model, x, y: 1 / 0)  # type: ignore[arg-type, return-value]
    assert stopped == [True]
    monkeypatch.undo()
    batches = batches_of(make_trial("l1"))
    batches(0)
    (ahead,) = batches._begun.values()
    batches.stop()
    assert ahead._stopped.is_set()
    assert not batches._begun


def test_an_interrupted_training_on_photographs_goes_on_to_the_bit(
    make_trial: MakeTrial, tmp_path: Path, images: FolderImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(0, 100)
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(ticks)))

    def trained(make: MakeTrial, loss: Any = cross_entropy) -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 2))
        nn.init.zeros_(model[1].weight)
        nn.init.zeros_(model[1].bias)
        fit(make("l1"), model, Recipe(4.0, 1e-5), loss=loss)  # so slow that no step leaves nothing to learn for the next
        return model

    calls = itertools.count(1)

    def fails(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        if next(calls) == 8:
            raise InterruptedError
        return cross_entropy(model, inputs, targets)

    expected = trained(make_trial)
    again = maker(tmp_path / "again", images)  # type: ignore[arg-type]
    with pytest.raises(InterruptedError):
        trained(again, fails)
    resumed = trained(again, fails)
    assert next(calls) < 8 + 12, "it went on from a checkpoint"
    assert all(torch.equal(left, right) for left, right in zip(expected.parameters(), resumed.parameters(), strict=True))


# Where the numbers are made, and how they lie


class Copies(TorchDispatchMode):
    """What goes to another device, and in which type."""

    def __init__(self) -> None:
        super().__init__()
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.device.type == "meta" and _is_here(args[0]):
            self.types.add(args[0].dtype)
        return result


def _is_here(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.device.type == "cpu"


def test_bytes_travel_and_become_numbers_where_they_arrive(make_trial: MakeTrial, images: FolderImages) -> None:
    batches = Batches(make_trial("l1"), lambda images, batch: Schedule(2, 0, "constant"), torch.device("meta"))
    in_memory = planted()
    for inputs in (
        lambda: next(images.batches("val", 4, 4, "meta"))[0],
        lambda: next(in_memory.batches("val", 4, 4, "meta"))[0],
        lambda: batches(0)[0],
    ):
        inputs()  # the means of the channels have gone there
        with Copies() as copies:
            found = inputs()
        assert found.dtype == torch.float32
        assert found.device.type == "meta"
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert copies.types == {torch.uint8, torch.int64}
    batches.stop()


def test_cuda_is_fed_from_pinned_memory_and_not_waited_for(images: FolderImages, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnHost:
        is_cuda, log = False, ""

        def pin_memory(self) -> OnHost:
            self.log += "pinned "
            return self

        def to(self, device: str, non_blocking: bool = False) -> str:
            return f"{self.log}{device} {non_blocking}"

    assert placing.sent(OnHost(), "cuda") == "pinned cuda True"  # type: ignore[arg-type, comparison-overlap]
    pinned: list[bool] = []
    monkeypatch.setattr(image_folder, "Decoding", lambda *_, pinned: pinned_log.append(pinned))
    pinned_log = pinned
    images.begin("val", np.arange(2), device="cuda:0")
    images.begin("val", np.arange(2))
    assert pinned == [True, False]


def test_numbers_are_those_of_the_formula_on_every_road(images: FolderImages) -> None:
    pixels = torch.randint(0, 256, (3, 5, 4, 3), dtype=torch.uint8, generator=generator(0))
    found = placing.standardized(pixels, image_folder.MEAN, image_folder.STD)
    expected = (pixels.double() / 255 - torch.tensor(image_folder.MEAN)) / torch.tensor(image_folder.STD)
    torch.testing.assert_close(found, expected.permute(0, 3, 1, 2).float())
    assert found.is_contiguous()


def strided(channels: int, stride: int = 2, kernel: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 32, kernel, stride, groups=groups))


@pytest.mark.parametrize(
    ("model", "side", "last"),
    [
        (strided(8), 64, False),
        (strided(15), 56, False),
        (strided(32, groups=4), 64, False),
        (strided(8), 55, True),
        (strided(16), 64, True),
        (strided(8, stride=1), 64, True),
        (strided(8, kernel=3), 64, True),
    ],
)
def test_channels_lie_last_but_where_torch_would_overrun_its_memory(model: nn.Module, side: int, last: bool) -> None:
    images = laid_out(model, torch.zeros(2, 3, side, side))
    assert images.is_contiguous(memory_format=torch.channels_last) is last
    assert images.is_contiguous() is not last
    there = laid_out(model, torch.zeros(2, 3, side, side, device="meta"))
    assert there.is_contiguous(memory_format=torch.channels_last), "an accelerator has no such fault"


def test_at_64_pixels_a_cpu_learns_what_it_learns_from_contiguous_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thin residual network of 8 channels, whose first strided shortcut sees 64 x 64 pixels."""
    make = maker(tmp_path, tree(tmp_path / "photos", size=64))  # type: ignore[arg-type]
    after = {}
    for name in ("laid out", "contiguous"):
        if name == "contiguous":
            monkeypatch.setattr("tasks.blocks.supervised.laid_out", lambda model, images: images.contiguous())
        model = convnet("resnet8", shape=(3, 64, 64), num_classes=2, width=0.5, stream=generator(0))
        fit(make("l1"), model, Recipe(0.64, 0.05))
        logits = torch.cat([found for found, _ in answers(make("l1"), model, "test")])
        after[name] = [*model.parameters(), logits]
    assert all(torch.equal(left, right) for left, right in zip(*after.values(), strict=True))


# Whole trials


def imagenet(root: Path) -> FolderImages:
    """A tiny tree of ImageNet's form, adopted as users bring it, and seen at 64 pixels."""
    for part_of, count in (("train", 60), ("val", 5)):
        for label, name in enumerate(("n01440764", "n01443537")):
            (root / part_of / name).mkdir(parents=True)
            for index in range(count):
                image = picture(90 + index, 120 - index, index).point(lambda value, label=label: value // 3 + 150 * label)
                image.save(root / part_of / name / f"{name}_{index}.JPEG", quality=90)
    definition = registry.dataset("imagenet")
    images = open_data(definition, resolve(definition, {"imagenet": UserData(root)}))
    assert isinstance(images, FolderImages)
    return replace(images, size=64)


def test_pruning_papers_run_on_photographs_end_to_end(cache: Path, tmp_path: Path) -> None:
    """FTWT, a static rival and IFM; bright and dark are learned, and a second run gives the same metrics."""
    images = imagenet(tmp_path / "tree")
    small = {"batch": 16, "dense_epochs": 3.0, "train_images": 48, "eval_images": 8}
    base = small | {"arch": "resnet8", "width": 0.25, "epochs": 1.0, "rounds": 1, "level_images": 16, "reduction": 0.4}
    ftwt = Trials("dynamic-pruning-ftwt", tmp_path / "ftwt", base=base, data=images)
    for method in ("ftwt-paper", "l1"):
        metrics = ftwt.run(method)
        assert all(np.isfinite(value) for value in metrics.values()), metrics
        assert metrics["flops_reduction"] > 10.0
        assert metrics["dense_accuracy"] > 75.0
    again = Trials("dynamic-pruning-ftwt", tmp_path / "again", base=base, data=replace(images))
    timed, repeated = ("latency_ms", "latency_ratio"), again.run("l1")
    assert {k: v for k, v in repeated.items() if k not in timed} == {k: v for k, v in metrics.items() if k not in timed}
    ifm = Trials("feature-merging-ifm", tmp_path / "ifm", base=small | {"arch": "resnet18", "width": 0.1}, data=images)
    metrics = ifm.run("ifm", {"kept": 0.75})
    assert metrics["output_error"] > 0.0
    assert 40.0 < metrics["parameters_kept"] < 90.0


def test_each_recipe_has_its_scaling(tmp_path: Path, images: FolderImages) -> None:
    """DeiT's, which KAT takes over, is bicubic; torchvision's is not."""
    values = {"batch": 8, "patch": 4, "eval_examples": 4}
    kat = Trials("kat-group-rational", tmp_path / "kat", experiment="vit", base=values, data=images)
    found = problem_of(kat("kat-released")).batch(generator(0))[0]
    assert images.resampling == "bilinear"
    assert torch.equal(found, replace(images, resampling="bicubic").batch("train", 8, generator(0))[0])
    assert not torch.equal(found, images.batch("train", 8, generator(0))[0])
