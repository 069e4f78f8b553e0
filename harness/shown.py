"""Text as people are shown it: without control characters and credentials; errors of libraries as whole sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from harness.masking import mask

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of what follows, so that text reads as something else."""
LONGEST = 700
"""Characters of a library's message that are repeated."""


def plain(text: str) -> str:
    """`text` as it may be shown: credentials masked, control characters and broken Unicode written out as escapes."""
    return visible(mask(text))


def visible(text: str) -> str:
    """`text` with what no terminal or encoding should meet written out: `\\x1b`, `\\udce9`.

    That is control characters other than line ends and tabs, those that turn the direction of text, and broken Unicode.
    """
    return text if text.isprintable() else "".join(c if _is_harmless(c) else c.encode("unicode_escape").decode() for c in text)


def _is_harmless(letter: str) -> bool:
    return letter in "\n\t" or (letter not in _TURNING and unicodedata.category(letter) not in ("Cc", "Cs"))


def markdown(text: str) -> str:
    """`text` as a part of a Markdown line: no tag, no line end."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(plain(text).split("\n")))


def markdown_cell(text: str) -> str:
    """`text` as a cell of a Markdown table, where a bar would end it and backticks would join it to the next."""
    return re.sub(r"([\\`|])", r"\\\1", markdown(text))


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown, ending with its last row; what Markdown would read in cells is escaped."""
    cells = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(markdown_cell, row)) + " |" for row in cells)


def sentence(error: BaseException | str) -> str:
    """What an error says, on one line and to its end; one that is very long ends with a sentence, or where a word does."""
    said = " ".join(plain(str(error)).split()) or type(error).__name__
    if len(said) <= LONGEST:
        return said
    whole = re.match(rf"(.{{1,{LONGEST}}}[.!?])\s", said)
    return whole[1] if whole and len(whole[1]) > LONGEST // 2 else said[:LONGEST].rsplit(" ", 1)[0] + " ..."


def reason_of(error: Exception) -> str:
    """What the operating system, a store or a library says went wrong, without the file that it names."""
    return sentence(getattr(error, "strerror", None) or error)


def failure(error: OSError) -> str:
    """The file that an error of the operating system names, where it names one, and what went wrong."""
    return f"{plain(str(error.filename))}: {reason_of(error)}" if error.filename else reason_of(error)
