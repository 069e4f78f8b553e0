"""Byte-level BPE of the text splits: trained on the training split alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from tasks.datasets.text_splits import END_OF_DOCUMENT, SPLITS, Split, adopt_bytes, adopt_tokens, prepare_bytes, write_meta
from tasks.datasets.token_files import is_token_file

VOCAB_SIZE = 4096
END_TOKEN = "<|end|>"
_BATCH = 256


def prepare_bpe(archives: Sequence[Path], target: Path) -> None:
    """Write the splits of the pinned wheels as uint16 tokens, with `tokenizer.json`."""
    prepare_bytes(archives, target)
    _tokenize(target)


def adopt_bpe(path: Path, target: Path) -> None:
    """The same from the user's own text; a token file is kept as it is."""
    if is_token_file(path):
        adopt_tokens(path, target)
    else:
        adopt_bytes(path, target)
        _tokenize(target)


def _tokenize(target: Path) -> None:
    """Replace the byte files in `target` by token files."""
    from tasks.datasets.corpus import read_meta

    meta = read_meta(target)
    # one thread: the order in which threads count words would decide ties between merges
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = train_tokenizer(_documents(target / "train.bin"))
    tokenizer.save(str(target / "tokenizer.json"))
    tokens: dict[Split, int] = {}
    for split in SPLITS:
        source = target / f"{split}.bin"
        encoded = target / f"{split}.tokens"
        tokens[split] = _encode(tokenizer, source, encoded)
        encoded.replace(source)
    write_meta(
        target,
        vocab_size=VOCAB_SIZE,
        dtype="uint16",
        bytes_per_token=sum(meta["tokens"].values()) / sum(tokens.values()),
        documents=meta["documents"],
        tokens=tokens,
        licences=meta["licences"],
    )


def train_tokenizer(documents: Iterator[str]) -> Any:
    """A byte-level BPE tokenizer of VOCAB_SIZE entries (fewer when the text has fewer pairs); entry 0 ends a document."""
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ModuleNotFoundError:
        raise DataError("text-bpe needs the `tokenizers` package: pip install 'papertrial[data]'") from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[END_TOKEN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def _encode(tokenizer: Any, source: Path, target: Path) -> int:
    """Encode the documents of a byte file; returns the number of tokens."""
    count = 0
    end = tokenizer.token_to_id(END_TOKEN)
    with target.open("wb") as file:
        for batch in _batches(_documents(source)):
            for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):
                ids = np.array([*encoding.ids, end], dtype="<u2")
                ids.tofile(file)
                count += len(ids)
    return count


def _documents(source: Path) -> Iterator[str]:
    """The documents of a byte file, as text."""
    content = np.memmap(source, dtype=np.uint8, mode="r")
    start = 0
    for end in np.flatnonzero(content == END_OF_DOCUMENT):
        yield content[start:end].tobytes().decode()
        start = int(end) + 1


def _batches(documents: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for document in documents:
        batch.append(document)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
