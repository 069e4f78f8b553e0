"""A data set of the same form as `letters` that nobody can fetch."""

from harness.data import Dataset

DATASET = Dataset(
    name="runes",
    description="characters of one's own",
    source="stones",
    kind="real",
    version=1,
    prepare="",
    adopt="throwaway.datasets.letters:adopt",
    open="throwaway.datasets.letters:read",
    form="characters",
)
