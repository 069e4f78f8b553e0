"""VGG (Simonyan & Zisserman 2015): as everybody has it for small images, and as torchvision has it for large ones."""

from __future__ import annotations

from torch import Tensor, nn

from tasks.blocks.convnets.units import ConvUnit, Shape, check_size, scaled

STAGES: dict[str, tuple[tuple[int, ...], ...]] = {
    "vgg7": ((64, 64), (128, 128), (256, 256)),
    "vgg11": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "vgg13": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "vgg16": ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}
"""Channels of the 3 x 3 convolutions between two poolings. vgg7 is ours, small enough for two cores; the others are the authors'."""


class VGG(nn.Module):
    """3 x 3 convolutions in stages with a 2 x 2 max-pooling between them, global average, linear head.

    vgg11 to vgg19 also pool behind the last stage, which leaves one position of a 32 x 32 image; 28 x 28 images get a border of zeros.
    For images of 64 pixels and more they average to 7 x 7 and have two hidden layers of 4,096, as published, without dropout.
    """

    def __init__(self, arch: str, *, shape: Shape, num_classes: int, width: float, norm: bool) -> None:
        super().__init__()
        small = arch == "vgg7"
        check_size(arch, shape, 4 if small else 28)
        border = 0 if small else max(0, 32 - min(shape[1:]) + 1) // 2
        stages, channels = STAGES[arch], shape[0]
        layers: list[nn.Module] = []
        for index, stage in enumerate(stages):
            for outputs in stage:
                layers.append(ConvUnit(channels, scaled(outputs, width), 3, norm=norm))
                channels = scaled(outputs, width)
            if index + 1 < len(stages) or not small:
                layers.append(nn.MaxPool2d(2))
        self.border = nn.ZeroPad2d(border) if border else nn.Identity()
        self.features = nn.Sequential(*layers)
        large = not small and min(shape[1:]) >= 64
        self.pool = nn.AdaptiveAvgPool2d(7 if large else 1)
        hidden = scaled(4096, width)
        behind = [nn.Linear(49 * channels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
        self.hidden = nn.Sequential(*behind) if large else nn.Identity()
        self.head = nn.Linear(hidden if large else channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> logits (batch, num_classes)."""
        logits: Tensor = self.head(self.hidden(self.pool(self.features(self.border(images))).flatten(1)))
        return logits
