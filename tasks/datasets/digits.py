"""Handwritten digits of 8 x 8 pixels, as scikit-learn ships them."""

from __future__ import annotations

from harness.data import Dataset

DATASET = Dataset(
    name="digits",
    description=(
        "1,797 handwritten digits, 8 x 8 grey, 10 classes, out of the installed scikit-learn (needs the `data` extra). "
        "Own data: a .csv or .csv.gz of the same form, 64 values of 0 to 16 and the digit in each line"
    ),
    source="scikit-learn-digits",
    kind="stand-in",
    version=1,
    prepare="tasks.datasets.digits_csv:prepare_digits",
    adopt="tasks.datasets.digits_csv:adopt_digits",
    open="tasks.datasets.images:open_images",
    size="0.1 MB prepared, nothing to fetch",
    form="labelled images",
)
