"""Trained networks that others keep: their files, what they call the layers of our architectures, and the images they take.

Names are those of torchvision (VGG with BatchNorm or without, ResNet, MobileNetV2), of the CIFAR networks of FTWT (`selkerdawy/FTWT`: VGG,
MobileNetV1) and of IFM (`Ytchen981/Iterative-Feature-Merging`: VGG, ResNet), and ours.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from harness.shown import sentence
from tasks.blocks.convnets.mobilenet import InvertedResidual, MobileNet
from tasks.blocks.convnets.resnet import Residual, ResNet
from tasks.blocks.convnets.units import ConvUnit, units
from tasks.blocks.convnets.vgg import VGG
from tasks.datasets.image_folder import MEAN, STD, FolderImages
from tasks.datasets.images import Images

_WRAPPERS = ("state_dict", "model", "net", "model_state_dict")
"""Keys under which training scripts keep a network's state beside that of its optimizer."""
_COUNTER = "num_batches_tracked"
"""BatchNorm's count of batches, which nothing here reads."""
_INPUTS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "cifar": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "unit": ((0.0,), (1.0,)),
}
"""Means and deviations that pixels of 0 to 1 were normalised by: FTWT's code, and none."""


def read_checkpoint(file: Path) -> dict[str, Tensor]:
    """A network's tensors by name, on the CPU, out of a `.safetensors` file or what `torch.save` wrote. No code of the file is run.

    They may lie under the key of a training script, and each name behind `module.` (DataParallel). UsageError for anything else.
    """
    state = _opened(file)
    for key in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"{file.name} holds no network: a checkpoint is a state_dict, tensors by the names of their layers")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _opened(file: Path) -> object:
    if file.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError:
            raise UsageError("a .safetensors checkpoint needs the package safetensors: pip install 'papertrial[pruning]'") from None
        try:
            return load_file(file)
        except Exception as error:  # what a damaged file makes it raise is not one kind of error
            raise UsageError(f"{file.name}: not a safetensors file that can be read ({sentence(error)})") from None
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(file):  # what torch has saved since 2020 is an archive
            raise UsageError(f"{file.name}: not a checkpoint that can be read ({sentence(error)})") from None
        raise UsageError(
            f"{file.name} holds more than tensors, numbers and text, which only its own code could read: save its state_dict alone"
        ) from None
    except Exception as error:
        raise UsageError(f"{file.name}: not a checkpoint that can be read ({sentence(error)})") from None


@dataclass(frozen=True)
class Names:
    """What somebody calls the layers: our module's dotted name (`features.0.conv`) -> theirs (`features.0`)."""

    whose: str
    layers: Mapping[str, str]

    def expected(self, model: nn.Module) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Their name of every tensor that `model` needs -> our name and the shape."""
        found = {}
        for ours, value in model.state_dict().items():
            module, _, part = ours.rpartition(".")
            if part != _COUNTER:
                found[f"{self.layers[module]}.{part}"] = ours, tuple(value.shape)
        return found


def names_of(model: nn.Module) -> list[Names]:
    """Every naming known for the architecture of `model`, ours last."""
    layers = (name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d))
    ours = Names("our", {name: name for name in layers})
    theirs: list[Names] = []
    if isinstance(model, VGG):
        theirs = [Names("torchvision's, FTWT's and IFM's", dict(_vgg(model)))]
    elif isinstance(model, ResNet):
        both = (("torchvision's", "downsample", "fc"), ("IFM's", "shortcut", "linear"))
        theirs = [Names(whose, dict(_resnet(model, shortcut, head))) for whose, shortcut, head in both]
    elif isinstance(model, MobileNet) and any(isinstance(block, InvertedResidual) for block in model.features):
        theirs = [Names("torchvision's", dict(_mobilenet_v2(model)))]
    elif isinstance(model, MobileNet):
        theirs = [Names("FTWT's", dict(_mobilenet_v1(model)))]
    return [*theirs, ours]


def _unit(ours: str, conv: str, norm: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv", conv
    yield f"{ours}.norm", norm


def _vgg(model: VGG) -> Iterator[tuple[str, str]]:
    """A Sequential of convolution, norm (or none), ReLU and pooling, each with a number."""
    place = 0
    for name, block in model.features.named_children():
        if isinstance(block, ConvUnit):
            yield from _unit(f"features.{name}", f"features.{place}", f"features.{place + 1}")
            place += 3 if isinstance(block.norm, nn.BatchNorm2d) else 2
        else:
            place += 1
    if isinstance(model.hidden, nn.Sequential):  # a Sequential with dropout behind each ReLU
        yield from (("hidden.0", "classifier.0"), ("hidden.2", "classifier.3"), ("head", "classifier.6"))
    else:
        yield "head", "classifier"


def _resnet(model: ResNet, shortcut: str, head: str) -> Iterator[tuple[str, str]]:
    """conv1, bn1, then layer<stage>.<block>: a stage begins with the network, and where a block has a stride."""
    yield from _unit("stem.0", "conv1", "bn1")
    stage, index = 0, 0
    for number, block in enumerate(model.blocks):
        assert isinstance(block, Residual)
        begins = not number or any(unit.conv.stride != (1, 1) for unit in units(block.path).values())
        stage, index = (stage + 1, 0) if begins else (stage, index + 1)
        theirs = f"layer{stage}.{index}"
        for place in range(len(block.path)):
            yield from _unit(f"blocks.{number}.path.{place}", f"{theirs}.conv{place + 1}", f"{theirs}.bn{place + 1}")
        if isinstance(block.shortcut, ConvUnit):
            yield from _unit(f"blocks.{number}.shortcut", f"{theirs}.{shortcut}.0", f"{theirs}.{shortcut}.1")
    yield "head", head


def _mobilenet_v1(model: MobileNet) -> Iterator[tuple[str, str]]:
    """model.<block>: depthwise convolution, norm, ReLU, 1 x 1 convolution, norm, ReLU, the first block without the second half."""
    for number in range(len(model.features)):
        block, place = (number + 1) // 2, 0 if number % 2 or not number else 3
        yield from _unit(f"features.{number}", f"model.{block}.{place}", f"model.{block}.{place + 1}")
    yield "head", "fc"


def _mobilenet_v2(model: MobileNet) -> Iterator[tuple[str, str]]:
    """features.<block>.conv: a Sequential of (convolution, norm, ReLU6) triples, and the last convolution and norm without one."""
    for name, block in model.features.named_children():
        if isinstance(block, ConvUnit):
            yield from _unit(f"features.{name}", f"features.{name}.0", f"features.{name}.1")
            continue
        assert isinstance(block, InvertedResidual)
        last = len(block.path) - 1
        for place in range(last):
            theirs = f"features.{name}.conv.{place}"
            yield from _unit(f"features.{name}.path.{place}", f"{theirs}.0", f"{theirs}.1")
        yield from _unit(f"features.{name}.path.{last}", f"features.{name}.conv.{last}", f"features.{name}.conv.{last + 1}")
        if isinstance(block.shortcut, ConvUnit):  # the CIFAR form, which torchvision does not have
            yield from _unit(f"features.{name}.shortcut", f"features.{name}.shortcut.0", f"features.{name}.shortcut.1")
    yield "head", "classifier.1"


@torch.no_grad()
def load_checkpoint(model: nn.Module, state: Mapping[str, Tensor], arch: str) -> str:
    """Put `state` into `model`, an `arch`; a few words on whose names they were. UsageError, one sentence, where it does not fit.

    A convolution's bias in front of a BatchNorm, which ours do not have, goes into the running mean: the same function in evaluation, and
    in training a bias there changes nothing.
    """
    given = {name: value for name, value in state.items() if not name.endswith(_COUNTER)}
    names = max(names_of(model), key=lambda names: len(names.expected(model).keys() & given.keys()))
    expected = names.expected(model)
    missing = [name for name in expected if name not in given]
    if missing:
        raise UsageError(f"the checkpoint is no {arch}: it lacks {_listed(missing)} (by {names.whose} names){_why(missing)}")
    biases = _biases(model, names, given)
    left = [name for name in given if name not in expected and name not in biases]
    if left:
        raise UsageError(f"the checkpoint is no {arch}, which has no place for {_listed(left)}")
    for name, (_, shape) in expected.items():
        _check_shape(name, tuple(given[name].shape), shape, arch, last=names.layers["head"])
    values = {ours: given[name] for name, (ours, _) in expected.items()}
    for name, mean in biases.items():
        values[mean] = values[mean] - given[name]
    model.load_state_dict(values, strict=False)
    return f"{len(expected)} tensors by {names.whose} names" + (f", {len(biases)} biases taken into running means" if biases else "")


def _biases(model: nn.Module, names: Names, given: Mapping[str, Tensor]) -> dict[str, str]:
    """Biases in front of a BatchNorm that are given: their name -> our name of the running mean."""
    found = {}
    for ours, unit in units(model).items():
        theirs = f"{names.layers[f'{ours}.conv']}.bias"
        if unit.conv.bias is None and theirs in given and given[theirs].shape == unit.conv.weight.shape[:1]:
            found[theirs] = f"{ours}.norm.running_mean"
    return found


def _check_shape(name: str, found: tuple[int, ...], wanted: tuple[int, ...], arch: str, *, last: str) -> None:
    if found == wanted:
        return
    if name.rpartition(".")[0] == last and len(found) == len(wanted) and found[1:] == wanted[1:]:
        raise UsageError(f"the checkpoint tells {found[0]} classes apart, and the data have {wanted[0]}")
    shapes = [" x ".join(map(str, shape)) or "one number" for shape in (found, wanted)]
    raise UsageError(f"the checkpoint's {name} is {shapes[0]}, and this {arch} needs {shapes[1]}: check arch, width and the images' size")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _why(missing: list[str]) -> str:
    """What is known of checkpoints that lack just these."""
    if all("downsample" in name or "shortcut" in name for name in missing):
        return "; shortcuts without weights, which pad with zeros, are another network than ours, whose are 1 x 1 convolutions"
    return ""


def renormalize(model: nn.Module, images: Images | FolderImages, inputs: str) -> None:
    """Let `model` take `images` as they are handed out, though it was trained on `cifar` or `unit` ones: they are turned into those first.

    In front of the network, and not in the first convolution, because that would pad with another zero.
    """
    own_mean, own_std = (images.mean, images.std) if isinstance(images, Images) else (MEAN, STD)
    mean, std = (torch.tensor(values) for values in _INPUTS[inputs])
    scale = torch.tensor(own_std) / std
    shift = (torch.tensor(own_mean) - mean) / std

    def turned(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (first,) = given
        factor, offset = (values.to(first).view(1, -1, 1, 1) for values in (scale, shift))
        return (first * factor + offset,)

    model.register_forward_pre_hook(turned)
