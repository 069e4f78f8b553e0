"""A data set that needs no network."""

from collections.abc import Sequence
from pathlib import Path

from harness.data import Dataset
from harness.errors import DataError

DATASET = Dataset(
    name="letters",
    description="the alphabet",
    source="alphabet",
    kind="stand-in",
    version=1,
    prepare="throwaway.datasets.letters:prepare",
    adopt="throwaway.datasets.letters:adopt",
    open="throwaway.datasets.letters:read",
    size="26 bytes",
    form="characters",
)


def prepare(_archives: Sequence[Path], target: Path) -> None:
    (target / "letters.txt").write_text("abcdefghijklmnopqrstuvwxyz")


def adopt(path: Path, target: Path) -> None:
    if path.suffix != ".txt":
        raise DataError(f"{path}: only .txt is read")
    (target / "letters.txt").write_text(path.read_text())


def read(folder: Path) -> str:
    return (folder / "letters.txt").read_text()
