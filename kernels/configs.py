"""Tile sizes and launch options of kernels: defaults in the code, measured ones in `configs/<device>.json`; none are sought at run time."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent / "configs"


@dataclass(frozen=True, kw_only=True)
class Config:
    """One way to launch a kernel: constexpr tile sizes by name, warps and pipeline stages."""

    tiles: Mapping[str, int] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 3

    def __str__(self) -> str:
        tiles = ",".join(f"{name}={size}" for name, size in self.tiles.items())
        return f"{tiles},warps={self.num_warps},stages={self.num_stages}"

    def launch(self) -> dict[str, Any]:
        """Keyword arguments of a launch. FP fusion is stated because Triton's default changes between versions."""
        return {**self.tiles, "num_warps": self.num_warps, "num_stages": self.num_stages, "enable_fp_fusion": True}


@dataclass(frozen=True)
class Tunable:
    """A kernel's candidates; the first one is the default wherever nothing was measured."""

    kernel: str
    candidates: Sequence[Config]

    @property
    def default(self) -> Config:
        """What runs on a device without a measured file."""
        return self.candidates[0]

    def pick(self, device: torch.device, size: int) -> Config:
        """The config for this device and problem size: forced, else measured at the nearest size (in ratio), else the default."""
        if self.kernel in _FORCED:
            return _FORCED[self.kernel]
        measured = load(device_slug(device)).get(self.kernel) if device.type == "cuda" else None
        if not measured:
            return self.default
        nearest = min(measured, key=lambda known: max(known, size) / max(1, min(known, size)))
        return measured[nearest]

    def measured_from(self, device: torch.device) -> float:
        """The smallest problem size that was measured on this device; infinity when none was, so that no size passes it."""
        return min(load(device_slug(device)).get(self.kernel, {}), default=math.inf) if device.type == "cuda" else math.inf


_FORCED: dict[str, Config] = {}


@contextmanager
def forced(kernel: str, config: Config) -> Iterator[None]:
    """Inside the block, `kernel` is launched with `config`: what `tune` measures with."""
    before = _FORCED.get(kernel)
    _FORCED[kernel] = config
    try:
        yield
    finally:
        if before is None:
            del _FORCED[kernel]
        else:
            _FORCED[kernel] = before


def device_slug(device: torch.device) -> str:
    """The file name of a device's configs: `nvidia-h200` for "NVIDIA H200"."""
    return _slug(torch.cuda.get_device_name(device))


@functools.cache
def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


@functools.cache
def load(slug: str) -> dict[str, dict[int, Config]]:
    """Measured configs by kernel and problem size; empty when the device was never tuned."""
    path = FOLDER / f"{slug}.json"
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    return {
        kernel: {
            int(size): Config(tiles=entry["tiles"], num_warps=entry["num_warps"], num_stages=entry["num_stages"])
            for size, entry in sizes.items()
        }
        for kernel, sizes in content["kernels"].items()
    }


def save(slug: str, provenance: Mapping[str, str], kernels: Mapping[str, Mapping[int, Config]]) -> Path:
    """Write the file of a device; what it held for other kernels stays."""
    path = FOLDER / f"{slug}.json"
    merged = {kernel: dict(sizes) for kernel, sizes in load(slug).items()}
    for kernel, sizes in kernels.items():
        merged.setdefault(kernel, {}).update(sizes)
    content = {
        "provenance": dict(provenance),
        "kernels": {
            kernel: {
                str(size): {"tiles": dict(config.tiles), "num_warps": config.num_warps, "num_stages": config.num_stages}
                for size, config in sorted(sizes.items())
            }
            for kernel, sizes in sorted(merged.items())
        },
    }
    FOLDER.mkdir(exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.rename(path)
    load.cache_clear()
    return path


def measured_devices() -> list[str]:
    """Slugs of the devices that have a file."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))
