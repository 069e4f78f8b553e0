"""MobileNet V1 (Howard et al. 2017) and V2 (Sandler et al. 2018), for large images and in the form used for CIFAR."""

from __future__ import annotations

from torch import Tensor, nn

from tasks.blocks.convnets.units import ConvUnit, Shape, check_size, scaled

V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of the depthwise-separable convolutions."""
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and first stride of the stages."""


class InvertedResidual(nn.Module):
    """1 x 1 expansion, 3 x 3 depthwise, linear 1 x 1 projection; the input is added where the shape stays.

    `project` also adds it, through a 1 x 1 convolution, where only the number of channels changes, and expands by 1 rather than not
    at all: the form in which CIFAR results are published.
    """

    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int, norm: bool, project: bool) -> None:
        super().__init__()
        inner = inputs * expansion
        layers = [ConvUnit(inputs, inner, 1, norm=norm, activation=nn.ReLU6())] if expansion > 1 or project else []
        layers.append(ConvUnit(inner, inner, 3, stride=stride, groups=inner, norm=norm, activation=nn.ReLU6()))
        layers.append(ConvUnit(inner, outputs, 1, norm=norm, activation=nn.Identity()))
        self.path = nn.Sequential(*layers)
        self.shortcut: nn.Module | None = None
        if stride == 1 and inputs == outputs:
            self.shortcut = nn.Identity()
        elif stride == 1 and project:
            self.shortcut = ConvUnit(inputs, outputs, 1, norm=norm, activation=nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        y: Tensor = self.path(x)
        return y if self.shortcut is None else y + self.shortcut(x)


class MobileNet(nn.Module):
    """Convolutions, global average, linear head. Images under 64 pixels keep their resolution in the stem (V2: and in its second stage)."""

    def __init__(self, arch: str, *, shape: Shape, num_classes: int, width: float, norm: bool) -> None:
        super().__init__()
        check_size(arch, shape, 16)
        small = min(shape[1:]) < 64
        channels = scaled(32, width)
        stem_activation = nn.ReLU() if arch == "mobilenet-v1" else nn.ReLU6()
        layers: list[nn.Module] = [ConvUnit(shape[0], channels, 3, stride=1 if small else 2, norm=norm, activation=stem_activation)]
        if arch == "mobilenet-v1":
            for outputs, stride in V1:
                layers.append(ConvUnit(channels, channels, 3, stride=stride, groups=channels, norm=norm))
                layers.append(ConvUnit(channels, scaled(outputs, width), 1, norm=norm))
                channels = scaled(outputs, width)
        else:
            for stage, (expansion, outputs, blocks, first) in enumerate(V2):
                for index in range(blocks):
                    stride = first if index == 0 and not (small and stage == 1) else 1
                    target = scaled(outputs, width)
                    layers.append(InvertedResidual(channels, target, expansion=expansion, stride=stride, norm=norm, project=small))
                    channels = target
            last = scaled(1280, max(1.0, width) if not small else width)
            layers.append(ConvUnit(channels, last, 1, norm=norm, activation=nn.ReLU6()))
            channels = last
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> logits (batch, num_classes)."""
        logits: Tensor = self.head(self.pool(self.features(images)).flatten(1))
        return logits
