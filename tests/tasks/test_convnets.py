"""Convolutional nets: published multiply-adds and parameters, how they start, what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.complexity import Shape, multiply_adds, multiply_adds_by_layer, parameters
from tasks.blocks.convnets import ARCHITECTURES, convnet, units
from tasks.blocks.convnets.resnet import Residual
from tasks.blocks.training import generator

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)


def ghost(arch: str, shape: Shape, *, classes: int = 10, width: float = 1.0, norm: bool = True) -> nn.Module:
    """A network without storage."""
    with torch.device("meta"):
        return convnet(arch, shape=shape, num_classes=classes, width=width, norm=norm)


@pytest.mark.parametrize(
    ("arch", "published", "also_counted"),
    [
        # Fixed numbers of the FTWT repository. It counts the bias of VGG's convolutions (it keeps one before BatchNorm): one a output.
        ("vgg16", 313_478_144, 1024 * 2 * 64 + 256 * 2 * 128 + 64 * 3 * 256 + 16 * 3 * 512 + 4 * 3 * 512),
        # It counts one operation an output of the average pooling; the shortcuts pad with zeros where ours are 1 x 1 convolutions.
        ("resnet56", 125_485_760, 64 - (16 * 32 * 256 + 32 * 64 * 64)),
        ("mobilenet-v1", 46_355_456, 1024),
        ("mobilenet-v2", 91_154_944, 0),
    ],
)
def test_cifar_multiply_adds_are_the_published_ones(arch: str, published: int, also_counted: int) -> None:
    assert multiply_adds(ghost(arch, CIFAR), CIFAR) == published - also_counted


@pytest.mark.parametrize(
    ("arch", "adds", "numbers"),
    [
        ("resnet18", 1_814_073_344, 11_689_512),
        ("resnet34", 3_663_761_408, 21_797_672),
        ("resnet50", 4_089_184_256, 25_557_032),
        ("mobilenet-v2", 300_774_272, 3_504_872),
        ("mobilenet-v1", 568_740_352, 4_231_976),
    ],
)
def test_imagenet_forms_have_the_known_sizes(arch: str, adds: int, numbers: int) -> None:
    model = ghost(arch, IMAGENET, classes=1000)
    assert multiply_adds(model, IMAGENET) == adds
    assert parameters(model) == numbers


def test_the_layers_add_up_and_follow_a_hand_sum() -> None:
    model = ghost("resnet8", (1, 8, 8), width=0.5)
    layers = multiply_adds_by_layer(model, (1, 8, 8))
    assert sum(layers.values()) == multiply_adds(model, (1, 8, 8))
    assert layers["stem.0.conv"] == 1 * 8 * 9 * 64
    assert layers["blocks.1.path.0.conv"] == 8 * 16 * 9 * 16
    assert layers["blocks.1.shortcut.conv"] == 8 * 16 * 16
    assert layers["head"] == 32 * 10
    depthwise = multiply_adds_by_layer(ghost("mobilenet-v1", CIFAR), CIFAR)["features.1.conv"]
    assert depthwise == 32 * 9 * 1024


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_maps_images_to_logits(arch: str) -> None:
    model = convnet(arch, shape=(1, 28, 28), num_classes=7, width=0.1, stream=generator(0))
    images = torch.randn(3, 1, 28, 28, generator=generator(1))
    logits = model(images)
    assert logits.shape == (3, 7)
    assert bool(torch.isfinite(logits).all())
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert [unit.conv for unit in units(model).values()] == convolutions
    assert isinstance(model.head, nn.Linear)


@pytest.mark.parametrize("arch", ["vgg7", "resnet8", "mobilenet-v2"])
def test_units_come_in_the_order_of_evaluation(arch: str) -> None:
    model = convnet(arch, shape=(3, 16, 16), num_classes=10, width=0.1)
    called: list[str] = []
    for name, unit in units(model).items():
        unit.register_forward_hook(lambda *_, name=name: called.append(name))
    model(torch.randn(1, 3, 16, 16))
    assert called == list(units(model))


def test_a_unit_is_activation_of_norm_of_conv() -> None:
    unit = units(convnet("vgg7", shape=CIFAR, num_classes=10, width=0.1))["features.0"].double().eval()
    assert isinstance(unit.norm, nn.BatchNorm2d)
    nn.init.uniform_(unit.norm.running_mean, -1, 1, generator=generator(0))  # type: ignore[arg-type]
    nn.init.uniform_(unit.norm.running_var, 0.5, 2, generator=generator(0))  # type: ignore[arg-type]
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=generator(1))
    y = nn.functional.conv2d(x, unit.conv.weight, padding=1)
    mean, var = (buffer.view(1, -1, 1, 1) for buffer in (unit.norm.running_mean, unit.norm.running_var))  # type: ignore[union-attr]
    torch.testing.assert_close(unit(x), ((y - mean) / (var + 1e-5).sqrt()).clamp_min(0))


@pytest.mark.parametrize("arch", ["vgg7", "resnet8", "mobilenet-v1"])
def test_without_norm_every_convolution_has_a_bias(arch: str) -> None:
    for norm in (True, False):
        found = units(convnet(arch, shape=(3, 16, 16), num_classes=10, width=0.1, norm=norm)).values()
        assert all(isinstance(unit.norm, nn.BatchNorm2d) == norm for unit in found)
        assert all((unit.conv.bias is None) == norm for unit in found)


def test_a_residual_block_adds_its_shortcut() -> None:
    x = torch.randn(2, 4, 6, 6, generator=generator(0))
    for block in (
        Residual(4, 4, stride=1, bottleneck=False, norm=True),
        Residual(4, 8, stride=2, bottleneck=False, norm=True),
        Residual(4, 1, stride=1, bottleneck=True, norm=True),
    ):
        last = list(units(block).values())[-1 if isinstance(block.shortcut, nn.Identity) else -2]
        assert isinstance(last.norm, nn.BatchNorm2d)
        assert isinstance(last.activation, nn.Identity)
        nn.init.zeros_(last.norm.weight)
        torch.testing.assert_close(block.eval()(x), block.shortcut(x).clamp_min(0))


def test_a_border_of_zeros_makes_28_pixels_32() -> None:
    small = convnet("vgg11", shape=(1, 28, 28), num_classes=10, width=0.1).eval()
    large = convnet("vgg11", shape=(1, 32, 32), num_classes=10, width=0.1).eval()
    large.load_state_dict(small.state_dict())
    x = torch.randn(2, 1, 28, 28, generator=generator(0))
    padded = torch.zeros(2, 1, 32, 32)
    padded[:, :, 2:30, 2:30] = x
    assert torch.equal(small(x), large(padded))


def _std(weight: Tensor) -> float:
    return float(weight.detach().square().mean().sqrt())


def test_initial_scales() -> None:
    model = convnet("mobilenet-v1", shape=CIFAR, num_classes=500, stream=generator(0))
    found = units(model)
    assert _std(found["features.2"].conv.weight) == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    assert _std(found["features.25"].conv.weight) == pytest.approx(math.sqrt(2 / 9), rel=0.05)  # depthwise: each output has nine weights
    assert _std(model.head.weight) == pytest.approx(math.sqrt(1 / (3 * 1024)), rel=0.02)  # type: ignore[union-attr,arg-type]
    mlp = convnet("mlp", shape=CIFAR, num_classes=10, stream=generator(0))
    assert _std(mlp.second.weight) == pytest.approx(math.sqrt(2 / 256), rel=0.02)  # type: ignore[union-attr,arg-type]


def test_the_start_follows_from_the_stream_alone() -> None:
    def start(stream: int, seed: int) -> Tensor:
        torch.manual_seed(seed)
        model = convnet("resnet8", shape=(1, 8, 8), num_classes=10, stream=generator(stream))
        return torch.cat([value.flatten() for value in model.state_dict().values() if value.is_floating_point()])

    assert torch.equal(start(1, 0), start(1, 9))
    assert not torch.equal(start(1, 0), start(2, 0))


def test_the_width_rounds_and_leaves_four() -> None:
    widths = [unit.conv.out_channels for unit in units(convnet("vgg7", shape=CIFAR, num_classes=10, width=0.03)).values()]
    assert widths == [4, 4, 4, 4, 8, 8]


@pytest.mark.parametrize(
    ("arch", "shape", "width", "message"),
    [
        ("vgg16", (1, 8, 8), 1.0, "vgg16 takes images of at least 28 x 28 pixels, these have 8 x 8"),
        ("mobilenet-v1", (3, 32, 8), 1.0, "mobilenet-v1 .* 16 x 16 pixels, these have 32 x 8"),
        ("resnet65", CIFAR, 1.0, "did you mean 'resnet56'"),
        ("vgg7", CIFAR, 0.0, "width multiplier of vgg7 must be above 0"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(arch: str, shape: Shape, width: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convnet(arch, shape=shape, num_classes=10, width=width)


def test_counting_leaves_the_model_alone() -> None:
    model = convnet("vgg7", shape=(1, 8, 8), num_classes=10, width=0.1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    multiply_adds(model, (1, 8, 8))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
