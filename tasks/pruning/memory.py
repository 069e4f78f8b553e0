"""Peak memory of a trial that trains or measures a convolutional network, from its sizes. Imports no torch: a plan must not wait for it.

What backward keeps of an image was counted on the real networks with `tasks.blocks.counting` and grows with the width and the area; a test
counts it again, and compares the whole with the allocator's peak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.blocks.memory import gib


class _Network(NamedTuple):
    """At width 1: what backward keeps of a 32 x 32 image beyond itself in float32 and under bfloat16 (bytes), and the weights."""

    single: float
    half: float
    weights: float
    large: float = 1.0
    """Share that is left of it, area for area, from 64 pixels on, where the stem halves the image."""


_NETWORKS = {
    "vgg7": _Network(2.14e6, 1.17e6, 1.149e6),
    "vgg11": _Network(1.60e6, 0.93e6, 9.228e6),
    "vgg13": _Network(2.39e6, 1.32e6, 9.413e6),
    "vgg16": _Network(2.60e6, 1.43e6, 14.724e6),
    "vgg19": _Network(2.81e6, 1.53e6, 20.035e6),
    "resnet8": _Network(0.64e6, 0.32e6, 0.078e6),
    "resnet20": _Network(1.56e6, 0.78e6, 0.272e6),
    "resnet56": _Network(4.33e6, 2.17e6, 0.856e6),
    "resnet18": _Network(4.70e6, 2.35e6, 11.174e6, 0.094),
    "resnet34": _Network(7.98e6, 3.99e6, 21.282e6, 0.081),
    "resnet50": _Network(25.6e6, 12.8e6, 23.521e6, 0.068),
    "mobilenet-v1": _Network(3.31e6, 1.66e6, 3.217e6, 0.249),
    "mobilenet-v2": _Network(19.7e6, 9.84e6, 2.297e6, 0.082),
}
_UNITS = 256
"""Of each hidden layer of an mlp at width 1."""
EVALUATED, _ALIVE = 256, 0.4
"""Images of a forward pass without gradients, and the most of what backward would keep of one that is there at once."""
_PHOTOGRAPH, _PHOTOGRAPHS_A_BATCH = 224, 256
GATES, GATE_WEIGHTS = 1.6, 3.0
"""What gates and their predictors make of what is kept, and of the weights: at most, of the architectures that the scales gate."""


def kept(arch: str, width: float, side: int, precision: str = "float32") -> float:
    """Bytes that the backward pass keeps of one image of `side` x `side` pixels."""
    pixels = (6.0 if precision == "bfloat16" else 12.0) * side**2
    if arch == "mlp":
        return pixels + 8.0 * _UNITS * width
    own = _NETWORKS[arch]
    image = own.half if precision == "bfloat16" else own.single
    return pixels + image * width * (side / 32.0) ** 2 * (own.large if side >= 64 else 1.0)


def weights(arch: str, width: float, side: int) -> float:
    """Numbers that a network is made of."""
    if arch == "mlp":
        return _UNITS * width * (3.0 * side**2 + _UNITS * width + 10.0)
    return _NETWORKS[arch].weights * width**2


def side(scale: str, params: Mapping[str, Any]) -> int:
    """Pixels across the largest image that trials with these parameters read; at `paper` the batch tells ImageNet from CIFAR-10."""
    if scale == "paper":
        return _PHOTOGRAPH if params["batch"] == _PHOTOGRAPHS_A_BATCH else 32
    return 8 if scale == "smoke" else 32


def peak_gib(
    params: Mapping[str, Any],
    side: int,
    *,
    networks: float = 5.0,
    learned: int | None = None,
    measured: int = EVALUATED,
    gated: bool = False,
) -> float:
    """Peak GiB: `networks` times the weights in float32 (training takes three: weights, gradients, momentum), and the images.

    Of these `learned` keep what backward needs (a batch unless given), or `measured` go through a forward pass at once.
    """
    arch, width = params["arch"], float(params["width"])
    state = 4.0 * networks * weights(arch, width, side) * (GATE_WEIGHTS if gated else 1.0)
    state += 2.0 * weights(arch, width, side) if params["precision"] == "bfloat16" else 0.0
    backward = (params["batch"] if learned is None else learned) * kept(arch, width, side, params["precision"])
    forward = measured * _ALIVE * kept(arch, width, side)
    return gib(state + max(backward, forward) * (GATES if gated else 1.0))
