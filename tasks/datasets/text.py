"""Byte-level text: the Python sources of five widely used pure-Python packages, or the user's own corpus."""

from __future__ import annotations

from harness.data import Dataset, Wheel

WHEELS = (
    Wheel(
        requirement="django==5.2.19",
        filename="django-5.2.19-py3-none-any.whl",
        sha256="5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
        licence="BSD-3-Clause",
    ),
    Wheel(
        requirement="mpmath==1.3.0",
        filename="mpmath-1.3.0-py3-none-any.whl",
        sha256="a0b2b9fe80bbcd81a6647ff13108738cfb482d481d826cc0e02f5b35e5c88d2c",
        licence="BSD-3-Clause",
    ),
    Wheel(
        requirement="networkx==3.5",
        filename="networkx-3.5-py3-none-any.whl",
        sha256="0030d386a9a06dee3565298b4a734b68589749a544acbb6c412dc9e2489ec6ec",
        licence="BSD-3-Clause",
    ),
    Wheel(
        requirement="sqlalchemy==2.1.9",
        filename="sqlalchemy-2.1.9-py3-none-any.whl",
        sha256="449fed5c2caa3b278cc57499d09db001fb3f28dc7f18affc48142aee4dcc0cdf",
        licence="MIT",
    ),
    Wheel(
        requirement="sympy==1.14.0",
        filename="sympy-1.14.0-py3-none-any.whl",
        sha256="e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5",
        licence="BSD-3-Clause",
    ),
)

DATASET = Dataset(
    name="text",
    description=(
        "Byte-level text (256 byte values, 0xFF ends a document): Python sources of Django, mpmath, NetworkX, SQLAlchemy and SymPy. "
        "Own data: a folder of text files, .parquet or .jsonl(.gz) with a `text` column, or token ids: a .bin of uint16 or with the header "
        "of llm.c, or a .npy of integers"
    ),
    source="python-wheels",
    kind="stand-in",
    version=1,
    prepare="tasks.datasets.text_splits:prepare_bytes",
    adopt="tasks.datasets.text_splits:adopt_bytes",
    open="tasks.datasets.corpus:open_corpus",
    archives=WHEELS,
    size="19 MB to fetch, 48 MB prepared",
    form="tokens",
)
