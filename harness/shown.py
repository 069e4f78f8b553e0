"""Text as people are shown it: without control characters and credentials; errors of libraries as whole sentences."""

from __future__ import annotations

import re
import unicodedata

from harness.masking import mask

LONGEST = 700
"""Characters of a library's message that are repeated."""


def plain(text: str) -> str:
    """`text` as it may be shown: credentials masked, control characters and broken Unicode written out as escapes."""
    return visible(mask(text))


def visible(text: str) -> str:
    """`text` with control characters other than line ends and tabs, and what no encoding takes, written out: `\\x1b`, `\\udce9`."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") else c.encode("unicode_escape").decode() for c in text)


def sentence(error: BaseException | str) -> str:
    """What an error says, on one line and to its end; one that is very long ends with a sentence, or where a word does."""
    said = " ".join(plain(str(error)).split()) or type(error).__name__
    if len(said) <= LONGEST:
        return said
    whole = re.match(rf"(.{{1,{LONGEST}}}[.!?])\s", said)
    return whole[1] if whole and len(whole[1]) > LONGEST // 2 else said[:LONGEST].rsplit(" ", 1)[0] + " ..."
