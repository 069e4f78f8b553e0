"""Residual networks (He et al. 2016): the thin ones of their CIFAR section and the wide ones of their ImageNet section."""

from __future__ import annotations

from torch import Tensor, nn

from tasks.blocks.convnets.units import ConvUnit, Shape, check_size, scaled

THIN = {"resnet8": 1, "resnet20": 3, "resnet56": 9}
"""Blocks of each of the three stages."""
WIDE = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
"""Blocks of each of the four stages. resnet50 has bottlenecks, with the stride in the 3 x 3 convolution as torchvision has it."""


class Residual(nn.Module):
    """ReLU(path(x) + shortcut(x)): two 3 x 3 convolutions, or a bottleneck of 1 x 1, 3 x 3, 1 x 1 with four times the channels at its end.

    The shortcut is the identity, or a 1 x 1 convolution where the shape changes (option B; the authors' CIFAR nets pad with zeros
    instead, option A, which would tie the channels of two stages together).
    """

    def __init__(self, inputs: int, inner: int, *, stride: int, bottleneck: bool, norm: bool) -> None:
        super().__init__()
        outputs = 4 * inner if bottleneck else inner
        linear = nn.Identity()
        if bottleneck:
            self.path = nn.Sequential(
                ConvUnit(inputs, inner, 1, norm=norm),
                ConvUnit(inner, inner, 3, stride=stride, norm=norm),
                ConvUnit(inner, outputs, 1, norm=norm, activation=linear),
            )
        else:
            self.path = nn.Sequential(
                ConvUnit(inputs, inner, 3, stride=stride, norm=norm), ConvUnit(inner, outputs, 3, norm=norm, activation=linear)
            )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else ConvUnit(inputs, outputs, 1, stride=stride, norm=norm, activation=nn.Identity())
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        y: Tensor = self.activation(self.path(x) + self.shortcut(x))
        return y


class ResNet(nn.Module):
    """Stem, stages of residual blocks, global average, linear head.

    The stem is 3 x 3 at full resolution for the thin nets and for images under 64 pixels (as everyone runs ResNet-18 on CIFAR), else
    7 x 7 with stride 2 and a 3 x 3 max-pooling.
    """

    def __init__(self, arch: str, *, shape: Shape, num_classes: int, width: float, norm: bool) -> None:
        super().__init__()
        check_size(arch, shape, 8)
        blocks = (THIN[arch],) * 3 if arch in THIN else WIDE[arch]
        first, bottleneck = 16 if arch in THIN else 64, arch == "resnet50"
        channels = scaled(first, width)
        if arch in THIN or min(shape[1:]) < 64:
            self.stem = nn.Sequential(ConvUnit(shape[0], channels, 3, norm=norm))
        else:
            self.stem = nn.Sequential(ConvUnit(shape[0], channels, 7, stride=2, norm=norm), nn.MaxPool2d(3, 2, padding=1))
        layers: list[nn.Module] = []
        for stage, count in enumerate(blocks):
            inner = scaled(first * 2**stage, width)
            for index in range(count):
                stride = 2 if stage and not index else 1
                layers.append(Residual(channels, inner, stride=stride, bottleneck=bottleneck, norm=norm))
                channels = 4 * inner if bottleneck else inner
        self.blocks = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> logits (batch, num_classes)."""
        logits: Tensor = self.head(self.pool(self.blocks(self.stem(images))).flatten(1))
        return logits
