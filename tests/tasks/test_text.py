"""Text corpora: deduplicated, split by file, repeatable; what cannot be read is refused by name."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.data import UserData, open_data, resolve
from harness.errors import DataError
from harness.plan import DataRef
from tasks.datasets.corpus import Corpus
from tasks.datasets.documents import PIECE_BYTES, pieces, user_documents, wheel_sources
from tasks.datasets.text_splits import END_OF_DOCUMENT, SPLITS, split_of, write_bytes
from tasks.datasets.token_files import is_token_file, read_tokens
from tests.tasks.conftest import words
from tests.tasks.damage import damaged


def adopt(path: Path, name: str = "text") -> tuple[DataRef, Corpus]:
    ref = resolve(registry.dataset(name), {name: UserData(path)})
    return ref, open_data(registry.dataset(name), ref)


def documents(corpus: Corpus) -> dict[str, set[bytes]]:
    return {split: set(getattr(corpus, split).tobytes().split(bytes([END_OF_DOCUMENT]))[:-1]) for split in SPLITS}


def test_a_folder_of_text_is_split_by_file(cache: Path, tiny_text: Path) -> None:
    _, corpus = adopt(tiny_text)
    found = documents(corpus)
    assert sum(map(len, found.values())) == 300
    assert not found["train"] & (found["val"] | found["test"])
    assert not found["val"] & found["test"]
    for split, texts in found.items():
        assert all(split_of(text) == split for text in texts)
    assert 0.8 < len(found["train"]) / 300 < 0.97


def test_copies_are_kept_once(cache: Path, tiny_text: Path) -> None:
    before, _ = adopt(tiny_text)
    (tiny_text / "deeper").mkdir()
    (tiny_text / "deeper" / "copy.txt").write_text((tiny_text / "000.txt").read_text())
    after, _ = adopt(tiny_text)
    assert after.fingerprint == before.fingerprint
    assert after.path != before.path


def test_wheels_give_their_small_utf8_sources_once_each(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("a/z.py", "z = 1\n")
        wheel.writestr("a/b.py", "b = 1\n")
        wheel.writestr("a/latin.py", "x = 'é'\n".encode("latin-1"))
        wheel.writestr("a/big.py", "#" * 1_000_001)
        wheel.writestr("a/empty.py", " \n")
        wheel.writestr("a/notes.txt", "no code")
    assert list(wheel_sources([tmp_path / "a-1-py3-none-any.whl"])) == [b"b = 1\n", b"z = 1\n"]


def test_the_order_of_archives_does_not_matter(tmp_path: Path) -> None:
    for name in "ab":
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as wheel:
            for index in range(150):
                wheel.writestr(f"{name}/{index}.py", f"{name} = {index}\n")
    digests = []
    for order in (["a.whl", "b.whl"], ["b.whl", "a.whl"]):
        target = tmp_path / f"out-{order[0]}"
        target.mkdir()
        write_bytes(wheel_sources([tmp_path / name for name in order]), target, licences={})
        digests.append([hashlib.sha256((target / f"{split}.bin").read_bytes()).hexdigest() for split in SPLITS])
    assert digests[0] == digests[1]


def test_long_documents_are_cut_at_line_ends() -> None:
    text = words(5000).encode()
    cut = list(pieces(text))
    assert b"".join(cut) == text
    assert len(cut) > 3
    assert all(piece.endswith(b"\n") and len(piece) < 2 * PIECE_BYTES for piece in cut)


def test_one_long_line_stays_whole() -> None:
    assert list(pieces(b"x" * 100_000)) == [b"x" * 100_000]


def _jsonl(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "id": index}) + "\n" for index, text in enumerate(texts)))
    return path


def _gzipped(path: Path, texts: list[str]) -> Path:
    path = path.with_name("texts.jsonl.gz")
    path.write_bytes(gzip.compress("".join(json.dumps({"text": text}) + "\n" for text in texts).encode()))
    return path


def _parquet(path: Path, texts: list[str]) -> Path:
    path = path.with_name("texts.parquet")
    pq.write_table(pa.table({"text": texts, "n": list(range(len(texts)))}), path)
    return path


@pytest.mark.parametrize("write", [_jsonl, _gzipped, _parquet])
def test_rows_of_a_table_are_documents(cache: Path, tmp_path: Path, write: Callable[[Path, list[str]], Path]) -> None:
    texts = [words(3, offset=index) + f"ü{index}" for index in range(200)]
    _, corpus = adopt(write(tmp_path / "texts.jsonl", texts))
    assert set.union(*documents(corpus).values()) == {text.encode() for text in texts}


def test_token_files_are_kept_and_cut_in_blocks(cache: Path, tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 5000, 4000).astype("<u2")
    tokens[17] = 6000
    tokens.tofile(tmp_path / "ids.bin")
    _, corpus = adopt(tmp_path / "ids.bin")
    assert corpus.vocab_size == 6001
    assert corpus.bytes_per_token is None
    assert np.array_equal(np.concatenate([corpus.train, corpus.val, corpus.test]), tokens)
    assert (len(corpus.train), len(corpus.val), len(corpus.test)) == (3600, 200, 200)


IDS = np.random.default_rng(0).choice(50257, 4000, p=(1 / np.arange(1, 50258)) / (1 / np.arange(1, 50258)).sum())
"""As frequent as the words of a language are."""
BARE = {
    "uint32": (IDS.astype("<u4"), r"as in uint32, little-endian.*'<u4'"),
    "a vocabulary above 65536": (np.random.default_rng(1).integers(0, 128_256, 4000).astype("<u4"), "as in uint32, little-endian"),
    "a small vocabulary": ((IDS % 9).astype("<u4"), "as in uint32, little-endian"),
    "mostly zero": (np.where(np.arange(4000) % 37 == 0, 1 + IDS % 200, 0).astype("<u4"), "as in uint32, little-endian"),
    "mostly zero, big-endian": (np.where(np.arange(4000) % 37 == 0, 1 + IDS % 200, 0).astype(">u4"), "as in uint32, big-endian"),
    "few": (IDS[:200].astype("<u4"), "as in uint32, little-endian"),
    "big-endian uint32": (IDS.astype(">u4"), r"as in uint32, big-endian.*'>u4'"),
    "int32 with a mark": (np.where(IDS < 3, -100, IDS).astype("<i4"), "as in int32, little-endian"),
    "an unknown header": (np.concatenate([np.full(30, 0x7F123456), IDS]).astype("<u4"), "as in uint32, little-endian"),
    "int64": (IDS.astype("<i8"), "as in uint64, little-endian"),
    "big-endian int64": (IDS.astype(">i8"), "as in uint64, big-endian"),
    "float32": (IDS.astype("<f4"), r"as in float32, little-endian.*'<f4'\)\.astype\('u4'\)"),
    "float64": (IDS.astype("<f8"), "as in float64, little-endian"),
    "big-endian uint16": (IDS.astype(">u2"), r"as in uint16, big-endian.*'>u2'"),
    "bytes": ((IDS % 60).astype("u1"), r"as in uint8\."),
    "zeros": (np.zeros(4000, "<u2"), "all 4000 token ids are 0"),
}


@pytest.mark.parametrize("name", BARE)
def test_a_bin_of_another_width_is_refused_and_read_once_the_width_is_said(cache: Path, tmp_path: Path, name: str) -> None:
    ids, said = BARE[name]
    ids.tofile(tmp_path / "ids.bin")
    with pytest.raises(DataError, match=f"ids.bin: .*{said}"):
        adopt(tmp_path / "ids.bin")
    if name in ("uint32", "big-endian int64", "big-endian uint16", "bytes", "a vocabulary above 65536"):
        np.save(tmp_path / "ids.npy", ids)
        _, corpus = adopt(tmp_path / "ids.npy")
        assert np.array_equal(np.concatenate([corpus.train, corpus.val, corpus.test]), ids)
        assert corpus.vocab_size == ids.max() + 1


GENUINE = {
    "a language": IDS,
    "characters": IDS % 80,
    "four letters": IDS % 4,
    "two letters": IDS % 2,
    "everything": np.random.default_rng(0).integers(0, 2**16, 4000),
    "few of everything": np.random.default_rng(0).integers(0, 2**16, 200),
    "equations": np.stack([IDS % 97, IDS * 0 + 97, IDS // 7 % 97, IDS * 0 + 98], axis=1).ravel(),
    "mostly zero": np.where(np.arange(4000) % 37 == 0, IDS % 200, 0),
}


@pytest.mark.parametrize("name", GENUINE)
def test_uint16_of_any_vocabulary_is_read(cache: Path, tmp_path: Path, name: str) -> None:
    GENUINE[name].astype("<u2").tofile(tmp_path / "ids.bin")
    _, corpus = adopt(tmp_path / "ids.bin")
    assert np.array_equal(np.concatenate([corpus.train, corpus.val, corpus.test]), GENUINE[name])


def headed(magic: int, version: int, count: int, ids: np.ndarray) -> bytes:
    """A file as llm.c writes it."""
    return np.array([magic, version, count, *[0] * 253], "<i4").tobytes() + ids.tobytes()


def test_the_header_of_llm_c_is_read_as_a_header(cache: Path, tmp_path: Path) -> None:
    for magic, version, form in ((20240520, 1, "<u2"), (20240801, 7, "<u4")):
        file = tmp_path / f"{version}.bin"
        file.write_bytes(headed(magic, version, 4000, IDS.astype(form)))
        ref, corpus = adopt(file)
        assert np.array_equal(np.concatenate([corpus.train, corpus.val, corpus.test]), IDS)
    IDS.astype("<u2").tofile(tmp_path / "bare.bin")
    assert adopt(tmp_path / "bare.bin")[0].fingerprint == ref.fingerprint, "the same ids are the same data"
    for content, said in (
        (headed(20240520, 2, 4000, IDS.astype("<u2")), "unknown version 2"),
        (headed(20240520, 1, 4001, IDS.astype("<u2")), "its header says 4001 tokens of 2 bytes, 8000 bytes follow"),
        (headed(20240801, 7, 4000, IDS.astype("<u2")), "its header says 4000 tokens of 4 bytes, 8000 bytes follow"),
        (headed(20240801, 7, 4000, IDS.astype("<u4"))[:1000], "ends within the header"),
    ):
        (tmp_path / "bad.bin").write_bytes(content)
        with pytest.raises(DataError, match=said):
            adopt(tmp_path / "bad.bin")


ARRAYS = {
    "negative": (np.where(np.arange(4000) == 17, -1, IDS), "token 17 is -1"),
    "beyond every vocabulary": (np.where(np.arange(4000) == 17, 2**20, IDS), "token 17 is 1048576"),
    "float": (IDS.astype(float), "an array of float64"),
    "bool": (IDS > 3, "an array of bool"),
    "rows": (IDS.reshape(40, 100), r"an array of shape \(40, 100\)"),
    "columns": (np.asfortranarray(IDS.reshape(40, 100)), r"an array of shape \(40, 100\)"),
    "one": (np.array(7), r"an array of shape \(\)"),
    "few": (IDS[:100], "100 token ids are too few"),
    "objects": (np.array([1, "a"], dtype=object), r"ids\.npy: not a \.npy file that can be read"),
    "fields": (np.zeros(400, [("a", "<u2"), ("b", "<u2")]), "token ids are integers"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_no_token_ids_is_named(cache: Path, tmp_path: Path, name: str) -> None:
    array, said = ARRAYS[name]
    np.save(tmp_path / "ids.npy", array)
    with pytest.raises(DataError, match=said):
        adopt(tmp_path / "ids.npy")


@pytest.mark.fuzz
@given(data=st.data(), form=st.sampled_from(["<u2", ">i4", "<i8", "u1"]))
def test_a_damaged_array_is_refused_or_says_what_it_holds(tmp_path_factory: Any, data: st.DataObject, form: str) -> None:
    ids = (IDS[:200] % 250).astype(form)
    buffer = io.BytesIO()
    np.save(buffer, ids)
    content = data.draw(damaged(buffer.getvalue()))
    file = tmp_path_factory.getbasetemp() / "fuzzed.npy"
    file.write_bytes(content)
    try:
        found = read_tokens(file)
    except DataError:
        assert content != buffer.getvalue()
        return
    assert content.endswith(found.tobytes())
    if content[: -ids.nbytes] == buffer.getvalue()[: -ids.nbytes]:
        assert np.array_equal(found, np.frombuffer(content[-ids.nbytes :], form)), "nothing but the values was damaged"


@pytest.mark.fuzz
@given(content=st.binary(max_size=3000), name=st.sampled_from(["a.bin", "a.npy", "a.txt", "a.jsonl", "a.jsonl.gz", "a.parquet"]))
def test_any_bytes_under_any_name_are_read_or_refused(tmp_path_factory: Any, content: bytes, name: str) -> None:
    file = tmp_path_factory.getbasetemp() / name
    file.write_bytes(content)
    with contextlib.suppress(DataError):
        if is_token_file(file):
            read_tokens(file)
        else:
            list(user_documents(file))


BAD = {
    "utf16.txt": ("text\n".encode("utf-16"), "it starts with the mark of UTF-16"),
    "utf16-le.txt": ("text\n".encode("utf-16-le"), "byte 2 is zero"),
    "packed.txt": (gzip.compress(b"text"), "it is compressed with gzip"),
    "pointer.txt": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 9\n\n\n" * 999, "it is a pointer of Git LFS"),
    "packed.jsonl.zst": (b"\x28\xb5\x2f\xfd0000", "it is compressed with Zstandard"),
    "latin.txt": ("caf\u00e9".encode("latin-1"), r"not UTF-8 text \(byte 4 is 0xe9\)"),
    "deep.jsonl": (b"[" * 100_000, "line 1: not JSON"),
    "cut.jsonl.gz": (gzip.compress(b'{"text": "a"}\n' * 999)[:-9], "cut.jsonl.gz: cannot be read"),
    "rotten.jsonl.gz": (gzip.compress(b"")[:10] + b"\xff" * 40, "rotten.jsonl.gz: cannot be read"),
    "text.bin": (b"The quick brown fox.\n" * 98, "is text, not token ids"),
    "utf16.bin": (("text\n" * 300).encode("utf-16"), "is text, not token ids"),
    "packed.bin": (gzip.compress(bytes(range(256)) * 9), "is compressed with gzip, not token ids"),
    "array.bin": (b"\x93NUMPY" + bytes(999), "is a NumPy array"),
    "empty.bin": (b"", "is empty"),
    "empty.npy": (b"", "is empty"),
    "cut.npy": (b"\x93NUMPY\1\0\x76\0{'descr'", "not a .npy file that can be read"),
    "not-utf8.txt": (b"\xff\xfe bad", "not UTF-8"),
    "twice.jsonl": (b'{"text": "a", "text": "b"}\n', "line 1: not JSON .its text stands twice"),
    "bad.jsonl": (b'{"text": "a"}\n{"text": \n', "line 2: not JSON"),
    "no-text.jsonl": (b'{"text": "a"}\n{"body": "b"}\n', "line 2: has no `text`"),
    "list.jsonl": (b'["text"]\n', "line 1: has no `text`"),
    "latin.jsonl": (b'{"text": "\xe9"}\n', "line 1: not UTF-8"),
    "surrogate.jsonl": (b'{"text": "\\ud800"}\n', "line 1: not UTF-8"),
    "broken.jsonl.gz": (b"not gzip at all", "broken.jsonl.gz: cannot be read"),
    "broken.parquet": (b"PAR1 no", "broken.parquet: not a Parquet file"),
    "odd.bin": (b"\x01" * 1001, "odd.bin: 1001 bytes"),
    "short.bin": (b"\x01" * 100, "too few"),
    "empty.txt": (b"", "too little text"),
    "small.txt": (b"only one short document\n", "too little text"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(cache: Path, tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        adopt(tmp_path / name)
    assert not list((cache / "data" / "text").glob("user-*"))


def test_a_table_without_text_names_its_columns(cache: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2], "body": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"columns: text, body"):
        adopt(tmp_path / "t.parquet")


def test_a_row_that_is_no_text_is_named(cache: Path, tmp_path: Path) -> None:
    latin = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 4], "<i4")), pa.py_buffer("caf\u00e9".encode("latin-1")))
    pq.write_table(pa.table({"text": pa.concat_arrays([pa.array(["good"]), latin])}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet, row 2: not UTF-8 text"):
        adopt(tmp_path / "t.parquet")


def test_an_empty_folder_and_token_files_in_a_folder_are_refused(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(DataError, match="no file in this folder"):
        adopt(folder)
    (folder / "ids.bin").write_bytes(b"\x01\x00" * 500)
    with pytest.raises(DataError, match="one file at a time"):
        adopt(folder)


def test_batches_are_windows_with_their_successors(tiny_ref: DataRef) -> None:
    corpus: Corpus = open_data(registry.dataset("text"), tiny_ref)
    inputs, targets = corpus.batch("train", 5, 20, torch.Generator().manual_seed(0))
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.shape == targets.shape == (5, 20)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    text = corpus.train.tobytes()
    assert all(bytes([*row.tolist(), int(last)]) in text for row, last in zip(inputs, targets[:, -1], strict=True))
    again, _ = corpus.batch("train", 5, 20, torch.Generator().manual_seed(0))
    other, _ = corpus.batch("train", 5, 20, torch.Generator().manual_seed(1))
    assert torch.equal(inputs, again)
    assert not torch.equal(inputs, other)


def test_evaluation_windows_are_fixed_and_reach_the_end(tiny_ref: DataRef) -> None:
    corpus: Corpus = open_data(registry.dataset("text"), tiny_ref)
    inputs, targets = corpus.windows("val", 6, 20)
    assert torch.equal(inputs, corpus.windows("val", 6, 20)[0])
    assert inputs[0].tolist() == corpus.val[:20].tolist()
    assert targets[-1].tolist() == corpus.val[-20:].tolist()
    with pytest.raises(DataError, match="too few for windows"):
        corpus.windows("val", 1, 10**9)


def test_bpe_gives_the_same_text_in_fewer_tokens_and_repeats_itself(cache: Path, tiny_text: Path) -> None:
    from tokenizers import Tokenizer

    _, plain = adopt(tiny_text)
    ref, corpus = adopt(tiny_text, "text-bpe")
    tokenizer = Tokenizer.from_file(f"{ref.path}/tokenizer.json")
    end = tokenizer.token_to_id("<|end|>")
    texts, current = set(), []
    for token in corpus.val.tolist():
        if token == end:
            texts.add(tokenizer.decode(current).encode())
            current = []
        else:
            current.append(token)
    assert texts == documents(plain)["val"]
    assert corpus.bytes_per_token is not None
    assert corpus.bytes_per_token > 2
    copy = cache.parent / "copied"
    tiny_text.rename(copy)
    assert adopt(copy, "text-bpe")[0].fingerprint == ref.fingerprint
