"""A data set that anybody can dent: lists, an object, an array and a tensor."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.data import Dataset

DATASET = Dataset(
    name="clay",
    description="soft",
    source="a pit",
    kind="synthetic",
    version=1,
    prepare="throwaway.datasets.clay:prepare",
    adopt="throwaway.datasets.clay:prepare",
    open="throwaway.datasets.clay:read",
    size="1 byte",
    form="lumps",
)


@dataclass
class Clay:
    """All ones."""

    lumps: list[int] = field(default_factory=lambda: [1])
    by_name: dict[str, Any] = field(default_factory=lambda: {"inner": {"deep": 1}})
    array: Any = None
    tensor: Any = None
    weight: float = 1.0


def prepare(_archives: Sequence[Path], target: Path) -> None:
    (target / "clay.txt").write_text("1")


def read(_folder: Path) -> Clay:
    import numpy as np
    import torch

    return Clay(array=np.ones(3), tensor=torch.ones(3))
