"""How numbers get to the device that computes with them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def sent(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """The tensor on the device. To CUDA from pinned memory, without waiting for what the device still has to do."""
    import torch

    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor if tensor.is_cuda else tensor.pin_memory().to(device, non_blocking=True)


def standardized(pixels: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (count, height, width, channels) -> float32 (count, channels, height, width) on the device: (x / 255 - mean) / std.

    The bytes travel, a quarter of the numbers' size, and are turned into numbers where they arrive. On a CPU these are contiguous;
    elsewhere the channels stay last in memory, as they are in a photograph and as convolutions on CUDA like them best.
    """
    images = sent(pixels, device).permute(0, 3, 1, 2)
    if images.device.type == "cpu":
        images = images.contiguous()  # a channel at a time: three numbers are too few for a CPU to take at once
    return (images / 255.0).sub_(_channels(mean, images.device)).div_(_channels(std, images.device))


@lru_cache
def _channels(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Kept, because sending them makes CUDA's owner wait."""
    import torch

    return torch.tensor(values, device=device).view(1, -1, 1, 1)
