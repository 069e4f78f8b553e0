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


def adopt(path: Path, target: Path) -> list[str]:
    """A text file, or the good lines of one: those with a digit are left out."""
    if path.suffix != ".txt":
        raise DataError(f"{path}: only .txt is read")
    lines = path.read_text().splitlines(keepends=True)
    bad = [number for number, line in enumerate(lines, start=1) if any(letter.isdigit() for letter in line)]
    (target / "letters.txt").write_text("".join(line for number, line in enumerate(lines, start=1) if number not in bad))
    return [f"{path.name}, line {number}: left out, it holds a digit" for number in bad]


def read(folder: Path) -> str:
    return (folder / "letters.txt").read_text()
