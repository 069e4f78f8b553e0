"""Trained networks that users bring: published sizes and names, the same function, whatever was wrong with the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.complexity import Shape
from tasks.blocks.convnets import convnet
from tasks.blocks.convnets.checkpoints import load_checkpoint, names_of, read_checkpoint, renormalize
from tasks.blocks.training import generator
from tasks.datasets.images import Images
from tasks.datasets.placing import standardized
from tests.tasks.pruning_toys import lived_in

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)


def ghost(arch: str, shape: Shape, classes: int, *, norm: bool = True, width: float = 1.0) -> nn.Module:
    """A network without storage."""
    with torch.device("meta"):
        return convnet(arch, shape=shape, num_classes=classes, width=width, norm=norm)


def as_theirs(model: nn.Module, whose: str) -> dict[str, Tensor]:
    """The state of `model` by somebody's names, with the biases that their VGG has in front of BatchNorm."""
    names = next(names for names in names_of(model) if whose in names.whose)
    state = model.state_dict()
    found = {theirs: state[ours].clone() for theirs, (ours, _) in names.expected(model).items()}
    if whose == "torchvision's, FTWT's" and any("running_mean" in name for name in found):
        stream = generator(3)
        for ours, theirs in names.layers.items():
            if ours.endswith(".conv"):
                found[f"{theirs}.bias"] = torch.randn(len(found[f"{theirs}.weight"]), generator=stream, dtype=state[f"{ours}.weight"].dtype)
    return found


# What is published of the networks


@pytest.mark.parametrize(
    ("arch", "shape", "classes", "norm", "whose", "published", "tensors"),
    [
        ("vgg16", IMAGENET, 1000, True, "torchvision", 138_365_992, 13 * 6 + 6),
        ("vgg19", IMAGENET, 1000, True, "torchvision", 143_678_248, 16 * 6 + 6),
        ("vgg16", IMAGENET, 1000, False, "torchvision", 138_357_544, 13 * 2 + 6),
        ("vgg11", IMAGENET, 1000, True, "torchvision", 132_868_840, 8 * 6 + 6),
        ("resnet18", IMAGENET, 1000, True, "torchvision", 11_689_512, 20 * 5 + 2),
        ("resnet34", IMAGENET, 1000, True, "torchvision", 21_797_672, 36 * 5 + 2),
        ("resnet50", IMAGENET, 1000, True, "torchvision", 25_557_032, 53 * 5 + 2),
        ("mobilenet-v2", IMAGENET, 1000, True, "torchvision", 3_504_872, 52 * 5 + 2),
        # Fixed numbers of FTWT's code.
        ("vgg16", CIFAR, 10, True, "FTWT", 14_728_266, 13 * 6 + 2),
        ("mobilenet-v1", CIFAR, 10, True, "FTWT", 3_217_226, 27 * 5 + 2),
    ],
)
def test_a_published_network_has_as_many_numbers(
    arch: str, shape: Shape, classes: int, norm: bool, whose: str, published: int, tensors: int
) -> None:
    """Learned numbers: running statistics are none, and VGG's convolutions have a bias even in front of BatchNorm."""
    model = ghost(arch, shape, classes, norm=norm)
    names = next(names for names in names_of(model) if whose in names.whose)
    needed = names.expected(model)
    learned = sum(math.prod(shape) for name, (_, shape) in needed.items() if "running_" not in name)
    biases = [shape[0] for name, (_, shape) in needed.items() if len(shape) == 4] if arch.startswith("vgg") and norm else []
    assert learned + sum(biases) == published
    assert len(needed) + len(biases) == tensors


SHAPES = {
    # Name, shape: of the files that torchvision publishes.
    "vgg16": {
        "features.0.weight": (64, 3, 3, 3),
        "features.1.running_mean": (64,),
        "features.7.weight": (128, 64, 3, 3),
        "features.40.weight": (512, 512, 3, 3),
        "features.41.bias": (512,),
        "classifier.0.weight": (4096, 25088),
        "classifier.3.weight": (4096, 4096),
        "classifier.6.weight": (1000, 4096),
    },
    "resnet34": {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.2.conv2.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer3.5.bn2.weight": (256,),
        "layer4.2.conv2.weight": (512, 512, 3, 3),
        "fc.weight": (1000, 512),
    },
    "resnet50": {
        "layer1.0.conv1.weight": (64, 64, 1, 1),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer4.2.conv3.weight": (2048, 512, 1, 1),
        "layer4.2.bn3.bias": (2048,),
        "fc.weight": (1000, 2048),
    },
    "mobilenet-v2": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.running_mean": (16,),
        "features.2.conv.0.0.weight": (96, 16, 1, 1),
        "features.2.conv.1.0.weight": (96, 1, 3, 3),
        "features.2.conv.2.weight": (24, 96, 1, 1),
        "features.17.conv.3.bias": (320,),
        "features.18.1.weight": (1280,),
        "classifier.1.weight": (1000, 1280),
    },
}


@pytest.mark.parametrize("arch", SHAPES)
def test_torchvisions_names_have_their_shapes(arch: str) -> None:
    model = ghost(arch, IMAGENET, 1000)
    found = {theirs: shape for theirs, (_, shape) in names_of(model)[0].expected(model).items()}
    assert {name: found.get(name) for name in SHAPES[arch]} == SHAPES[arch]
    if arch.startswith("resnet"):
        assert "layer1.1.downsample.0.weight" not in found
        assert ("layer1.0.downsample.0.weight" in found) == (arch == "resnet50")


# The same function: re-derived here from the published definitions, layer by layer, on their names


def normed(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, var, gain, shift = (state[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / (var + 1e-5).sqrt() * gain + shift


def vgg16(x: Tensor, state: dict[str, Tensor], *, large: bool) -> Tensor:
    place = 0
    for entry in (1, 1, "M", 1, 1, "M", 1, 1, 1, "M", 1, 1, 1, "M", 1, 1, 1, "M"):
        if entry == "M":
            x, place = F.max_pool2d(x, 2), place + 1
            continue
        x = F.conv2d(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"], padding=1)
        x, place = normed(x, state, f"features.{place + 1}").relu(), place + 3
    if not large:
        return F.linear(x.flatten(1), state["classifier.weight"], state["classifier.bias"])
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    for number in (0, 3, 6):
        x = F.linear(x, state[f"classifier.{number}.weight"], state[f"classifier.{number}.bias"])
        x = x if number == 6 else x.relu()
    return x


def resnet(x: Tensor, state: dict[str, Tensor], blocks: tuple[int, ...], *, bottleneck: bool, large: bool, side: str, head: str) -> Tensor:
    x = normed(F.conv2d(x, state["conv1.weight"], stride=2 if large else 1, padding=3 if large else 1), state, "bn1").relu()
    x = F.max_pool2d(x, 3, 2, 1) if large else x
    for stage, count in enumerate(blocks):
        for index in range(count):
            name, stride = f"layer{stage + 1}.{index}", 2 if stage and not index else 1
            y = x
            convs = ((1, 0, 1), (3, 1, stride), (1, 0, 1)) if bottleneck else ((3, 1, stride), (3, 1, 1))
            for number, (_, padding, step) in enumerate(convs, start=1):
                y = normed(F.conv2d(y, state[f"{name}.conv{number}.weight"], stride=step, padding=padding), state, f"{name}.bn{number}")
                y = y if number == len(convs) else y.relu()
            if f"{name}.{side}.0.weight" in state:
                x = normed(F.conv2d(x, state[f"{name}.{side}.0.weight"], stride=stride), state, f"{name}.{side}.1")
            x = (x + y).relu()
    return F.linear(x.mean((2, 3)), state[f"{head}.weight"], state[f"{head}.bias"])


def mobilenet_v2(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    def conv_norm(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        weight = state[f"{conv}.weight"]
        groups = x.shape[1] // weight.shape[1]
        return normed(F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups), state, norm)

    x = F.relu6(conv_norm(x, "features.0.0", "features.0.1", 2))
    number = 0
    for expansion, count, first in ((1, 1, 1), (6, 2, 2), (6, 3, 2), (6, 4, 2), (6, 3, 1), (6, 3, 2), (6, 1, 1)):
        for index in range(count):
            number, stride, y = number + 1, first if not index else 1, x
            name = f"features.{number}.conv"
            if expansion > 1:
                y = F.relu6(conv_norm(y, f"{name}.0.0", f"{name}.0.1"))
            depth = 1 if expansion > 1 else 0
            y = F.relu6(conv_norm(y, f"{name}.{depth}.0", f"{name}.{depth}.1", stride))
            y = conv_norm(y, f"{name}.{depth + 1}", f"{name}.{depth + 2}")
            x = x + y if stride == 1 and x.shape[1] == y.shape[1] else y
    x = F.relu6(conv_norm(x, "features.18.0", "features.18.1")).mean((2, 3))
    return F.linear(x, state["classifier.1.weight"], state["classifier.1.bias"])


def mobilenet_v1(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    for block, stride in enumerate((1, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)):
        for place, padding, step in ((0, 1, stride),) if not block else ((0, 1, stride), (3, 0, 1)):
            weight = state[f"model.{block}.{place}.weight"]
            x = F.conv2d(x, weight, stride=step, padding=padding, groups=x.shape[1] // weight.shape[1])
            x = normed(x, state, f"model.{block}.{place + 1}").relu()
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


TORCHVISION: dict[str, Any] = {"large": True, "side": "downsample", "head": "fc"}
IFM: dict[str, Any] = {"large": False, "side": "shortcut", "head": "linear"}


@pytest.mark.parametrize(
    ("arch", "size", "whose", "definition"),
    [
        ("vgg16", 64, "torchvision's, FTWT's", lambda x, state: vgg16(x, state, large=True)),
        ("vgg16", 32, "torchvision's, FTWT's", lambda x, state: vgg16(x, state, large=False)),
        ("resnet34", 64, "torchvision's", lambda x, state: resnet(x, state, (3, 4, 6, 3), bottleneck=False, **TORCHVISION)),
        ("resnet50", 64, "torchvision's", lambda x, state: resnet(x, state, (3, 4, 6, 3), bottleneck=True, **TORCHVISION)),
        ("resnet18", 32, "IFM's", lambda x, state: resnet(x, state, (2, 2, 2, 2), bottleneck=False, **IFM)),
        ("mobilenet-v2", 64, "torchvision's", mobilenet_v2),
        ("mobilenet-v1", 32, "FTWT's", mobilenet_v1),
    ],
)
def test_a_checkpoint_computes_here_what_it_computes_there(arch: str, size: int, whose: str, definition: Any) -> None:
    shape = (3, size, size)
    state = as_theirs(lived_in(arch, shape, classes=6), whose)
    model = convnet(arch, shape=shape, num_classes=6, width=0.1, stream=generator(9)).double().eval()
    load_checkpoint(model, state, arch)
    images = torch.randn(2, *shape, dtype=torch.float64, generator=generator(5))
    torch.testing.assert_close(model(images), definition(images, state))


def test_biases_in_front_of_batchnorm_change_nothing_in_training_either() -> None:
    plain = as_theirs(lived_in("vgg16", CIFAR, classes=6), "torchvision's, FTWT's")
    convolutions = [name.removesuffix(".weight") for name, value in plain.items() if value.ndim == 4]
    bare = {name: value for name, value in plain.items() if name.removesuffix(".bias") not in convolutions}
    assert len(plain) - len(bare) == 13
    images = torch.randn(4, *CIFAR, dtype=torch.float64, generator=generator(5))
    answers = []
    for state, says in ((plain, "13 biases"), (bare, "tensors by")):
        model = convnet("vgg16", shape=CIFAR, num_classes=6, width=0.1, stream=generator(9)).double()
        assert says in load_checkpoint(model, state, "vgg16")
        answers.append(model.train()(images))
    torch.testing.assert_close(*answers)


@pytest.mark.parametrize("inputs", ["cifar", "unit"])
def test_images_are_turned_into_those_a_checkpoint_was_trained_on(inputs: str) -> None:
    mean, std = {"cifar": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)), "unit": ((0.0,) * 3, (1.0,) * 3)}[inputs]
    pixels = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=generator(2))
    images = Images({}, {}, 10, (0.4, 0.5, 0.6), (0.25, 0.2, 0.3))
    model = convnet("resnet8", shape=CIFAR, num_classes=4, width=0.25, stream=generator(1)).eval()
    wanted = model(standardized(pixels, mean, std))
    renormalize(model, images, inputs)
    torch.testing.assert_close(model(standardized(pixels, images.mean, images.std)), wanted, rtol=1e-4, atol=1e-5)


# Files


@pytest.mark.parametrize("form", ["plain", "training script", "parallel", "safetensors", "ours"])
def test_a_file_is_read_in_every_form(form: str, tmp_path: Path) -> None:
    trained = lived_in("resnet8", (3, 16, 16)).float()
    state: dict[str, Any] = as_theirs(trained, "our" if form == "ours" else "torchvision's")
    state["bn1.num_batches_tracked" if form != "ours" else "stem.0.norm.num_batches_tracked"] = torch.tensor(3)
    file = tmp_path / ("net.safetensors" if form == "safetensors" else "net.pth")
    if form == "safetensors":
        save_file(state, file)
    else:
        state = {f"module.{name}": value for name, value in state.items()} if form == "parallel" else state
        torch.save({"state_dict": state, "epoch": 3, "best_acc": 93.8} if form in ("training script", "parallel") else state, file)
    model = convnet("resnet8", shape=(3, 16, 16), num_classes=10, width=0.1).eval()
    load_checkpoint(model, read_checkpoint(file), "resnet8")
    images = torch.randn(2, 3, 16, 16, generator=generator(5))
    torch.testing.assert_close(model(images), trained(images))


class Runs:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("it ran",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"net": Runs()}, "only its own code could read"),
        (nn.Linear(2, 2), "only its own code could read"),
        ({"epoch": 3}, "holds no network"),
        ([1, 2], "holds no network"),
        (b"not a checkpoint", "can be read"),
        (b"", "can be read"),
    ],
)
def test_what_is_no_state_is_refused_and_never_run(content: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(UsageError, match=says) as caught:
        read_checkpoint(file)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
    bad = tmp_path / "net.safetensors"
    bad.write_bytes(b"\x00" * 4)
    with pytest.raises(UsageError, match="not a safetensors file"):
        read_checkpoint(bad)


def test_what_does_not_fit_is_one_sentence() -> None:
    def refused(state: dict[str, Tensor], arch: str, classes: int = 10, width: float = 0.1) -> str:
        with pytest.raises(UsageError) as caught:
            load_checkpoint(convnet(arch, shape=CIFAR, num_classes=classes, width=width), state, arch)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    state = as_theirs(ghost("resnet20", CIFAR, 10, width=0.1), "torchvision's")
    lacks = "the checkpoint is no resnet20: it lacks conv1.weight (by torchvision's names)"
    assert refused({name: value for name, value in state.items() if name != "conv1.weight"}, "resnet20") == lacks
    assert "tells 10 classes apart, and the data have 7" in refused(state, "resnet20", classes=7)
    assert "conv1.weight is 4 x 3 x 3 x 3, and this resnet20 needs 8 x 3 x 3 x 3" in refused(state, "resnet20", width=0.5)
    assert "is no resnet8, which has no place for layer1.1.conv1.weight, layer1.1.bn1.weight and 58 more" in refused(state, "resnet8")
    assert "is no vgg16: it lacks features.0.weight" in refused(state, "vgg16")
    padded = {name: value for name, value in state.items() if "downsample" not in name}
    assert "shortcuts without weights, which pad with zeros" in refused(padded, "resnet20")
