"""The kinds that a parameter may be of: a closed list, each with a text form for `--set`, tables and reports.

They are bool, int, float and str, a Literal of one of these, a tuple of these (of one kind and any length, or of a fixed length), and each
of them or None. In text a tuple stands in brackets, None is `none`, and a word that would be read as something else stands in quotes.
"""

from __future__ import annotations

import math
import numbers
import types
import typing
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

NONE = "none"
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
_PLURALS = {int: "whole numbers", float: "numbers", bool: "true or false", str: "words"}
_BRACKETS = {"(": ")", "[": "]"}
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Kind:
    """What a parameter may be. `items` are the kinds of a tuple's parts: one that counts for all where `any_length`."""

    of: type
    """bool, int, float, str or tuple."""
    choices: tuple[Any, ...] = ()
    items: tuple[Kind, ...] = ()
    any_length: bool = False
    optional: bool = False

    @property
    def ordered(self) -> bool:
        """Whether its values are numbers, so that there is a smallest and a largest one."""
        return self.of in (int, float) and not self.optional

    @property
    def column(self) -> str:
        """What a table's column of it holds: numbers, text, true or false, tuples as text."""
        return {int: "number", float: "number"}.get(self.of, self.of.__name__)

    def __str__(self) -> str:
        return f"{self._bare()} or {NONE}" if self.optional else self._bare()

    def _bare(self) -> str:
        if self.choices:
            return f"one of {', '.join(text(choice) for choice in self.choices)}"
        if self.of is not tuple:
            return _NAMES[self.of]
        if not self.any_length:
            return f"a tuple ({', '.join(map(str, self.items))})"
        (item,) = self.items
        return f"a tuple of {_PLURALS[item.of] if not item.choices else str(item)}"

    def value(self, given: Any) -> Any:
        """`given` in its one form: 1 and 1.0 are one float, a list is a tuple. ValueError says what does not fit."""
        if given is None and self.optional:
            return None
        if self.of is tuple:
            return self._tuple(given)
        plain = _plain(self.of, given)
        if plain is None:
            raise ValueError(f"is {self}, not {given!r}")
        if self.choices and plain not in self.choices:
            raise ValueError(f"is {self}, not {given!r}")
        return plain

    def _tuple(self, given: Any) -> tuple[Any, ...]:
        if not isinstance(given, tuple | list):
            raise ValueError(f"is {self}, such as {text(self.example())}, not {given!r}")
        items = self.items * len(given) if self.any_length else self.items
        if len(items) != len(given):
            raise ValueError(f"is {self}: {len(items)} values, not {len(given)}")
        return tuple(item.value(part) for item, part in zip(items, given, strict=True))

    def parse(self, written: str) -> Any:
        """The value behind a text form. ValueError says what does not fit."""
        bare = written.strip()
        if self.optional and bare.lower() == NONE:
            return None
        if self.of is tuple:
            if not (bare[:1] in _BRACKETS and bare[-1:] == _BRACKETS[bare[0]]):
                raise ValueError(f"is {self}, such as {text(self.example())}, not {written!r}")
            inner = bare[1:-1].strip().removesuffix(",")
            parts = split(inner) if inner.strip() else []
            items = self.items * len(parts) if self.any_length else self.items
            if len(items) != len(parts):
                raise ValueError(f"is {self}: {len(items)} values, not {len(parts)}")
            return tuple(item.parse(part) for item, part in zip(items, parts, strict=True))
        bare = unquoted(bare)
        if self.of is bool:
            if bare.lower() not in _WORDS:
                raise ValueError(f"is {self}, not {bare!r}")
            return self.value(_WORDS[bare.lower()])
        try:
            read = self.of(bare)
        except ValueError:
            raise ValueError(f"is {self}, not {bare!r}") from None
        return self.value(read)

    def example(self) -> Any:
        """Some value of this kind."""
        if self.choices:
            return self.choices[0]
        if self.of is not tuple:
            return {int: 8, float: 0.5, bool: True, str: "word"}[self.of]
        return tuple(item.example() for item in self.items * (2 if self.any_length else 1))


def _plain(kind: type, given: Any) -> Any:
    """`given` as a plain bool, int, float or str; None where it is none. ValueError for numbers and text that cannot be kept."""
    if isinstance(given, bool) or kind is bool:
        return given if kind is bool and isinstance(given, bool) else None
    if kind is str:
        if not isinstance(given, str):
            return None
        if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in given):
            raise ValueError(f"is a word without control characters, not {given!r}")
        return str(given)
    if kind is int and isinstance(given, numbers.Integral):
        if not -_LARGEST - 1 <= int(given) <= _LARGEST:
            raise ValueError("is a whole number of at most 64 bits, and this one is larger")
        return int(given)
    if kind is float and isinstance(given, numbers.Real):
        try:
            value = float(given)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise ValueError(f"is a finite number, not {value}")
        return value + 0.0  # -0.0 is the same trial as 0.0
    return None


@cache
def kinds_of(declared: type) -> dict[str, Kind]:
    """The kind of each field of a parameters dataclass. ValueError names the first that is of no kind on the list."""
    try:
        hints = typing.get_type_hints(declared)
    except Exception as error:
        raise ValueError(f"the types of {declared.__name__} cannot be read: {error}") from None
    return {name: _named(name, hint) for name, hint in hints.items() if name in declared.__dataclass_fields__}  # type: ignore[attr-defined]


def _named(name: str, hint: Any) -> Kind:
    try:
        return kind_of(hint)
    except ValueError as error:
        raise ValueError(
            f"parameter {name} is of type {hint if typing.get_origin(hint) else getattr(hint, '__name__', hint)}, {error}; "
            "int, float, bool, str do, a Literal or tuple of these, and each of them or None"
        ) from None


def kind_of(hint: Any) -> Kind:
    """The kind behind a type annotation; ValueError where it is not on the list."""
    if hint in (bool, int, float, str):
        return Kind(hint)
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        others = [part for part in parts if part is not type(None)]
        if len(others) == 1 and len(parts) == 2:
            return replace(kind_of(others[0]), optional=True)
        raise ValueError("which may be several things")
    if origin is typing.Literal:
        return _literal(parts)
    if origin is tuple and parts:
        any_length = len(parts) == 2 and parts[1] is Ellipsis
        items = tuple(kind_of(part) for part in (parts[:1] if any_length else parts) if part != ())
        if not items or any(item.of is tuple or item.optional for item in items):
            raise ValueError("and a tuple holds int, float, bool, str or Literal")
        return Kind(tuple, items=items, any_length=any_length)
    raise ValueError("which has no text form")


def _literal(parts: Sequence[Any]) -> Kind:
    choices = tuple(part for part in parts if part is not None)
    found = {type(choice) for choice in choices}
    if len(found) != 1 or not found <= {bool, int, float, str}:
        raise ValueError("and a Literal holds bool, int, float or str, all of one kind")
    (kind,) = found
    return Kind(kind, tuple(_plain(kind, choice) for choice in choices), optional=len(choices) < len(parts))


def text(value: Any) -> str:
    """The text form of a value, which `Kind.parse` reads back: `true`, `0.1`, `none`, `(8, 8)`, `"a, b"`.

    A missing cell of a table is `none` too: no parameter is NaN.
    """
    value = value.item() if hasattr(value, "item") else value
    if value is None or value != value:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"({', '.join(text(part) for part in value)})"
    if isinstance(value, float):
        return repr(float(value)).removesuffix(".0")
    word = str(value)
    plain = word and word.lower() != NONE and word == word.strip() and not set(word) & set(',()[]"\n')
    return word if plain or not isinstance(value, str) else '"' + word.replace('"', '""') + '"'


def cell(value: Any) -> Any:
    """A value as a table holds it: a tuple as its text, everything else as it is."""
    return text(value) if isinstance(value, tuple | list) else value


def split(written: str) -> list[str]:
    """The values of a list: at commas outside quotes and brackets, which count where a value starts with them.

    ValueError where one stays open.
    """
    found, at = [], 0
    while True:
        end = _end(written, at)
        found.append(written[at:end])
        if end == len(written):
            return found
        at = end + 1


def _end(written: str, at: int) -> int:
    """Where the value that starts at `at` ends: at a comma, or behind the last character."""
    start = at + len(written[at:]) - len(written[at:].lstrip())
    first = written[start : start + 1]
    if first == '"':
        start = _behind_quote(written, start)
    elif first in _BRACKETS and first:
        start = _behind_bracket(written, start)
    end = written.find(",", start)
    end = len(written) if end < 0 else end
    if first and first in '"([' and written[start:end].strip():
        raise ValueError(f"{written[start:end].strip()!r} stands behind the end of a value in {written!r}")
    return end


def _behind_quote(written: str, start: int) -> int:
    at = start + 1
    while True:
        at = written.find('"', at)
        if at < 0:
            raise ValueError(f"a quote is not closed in {written!r}")
        if written[at + 1 : at + 2] != '"':
            return at + 1
        at += 2


def _behind_bracket(written: str, start: int) -> int:
    at, closing, fresh = start + 1, _BRACKETS[written[start]], True
    while at < len(written):
        character = written[at]
        if character == closing:
            return at + 1
        if character == '"' and fresh:
            at = _behind_quote(written, at)
            continue
        fresh = character == "," or (fresh and character.isspace())
        at += 1
    raise ValueError(f"a bracket is not closed in {written!r}")


def unquoted(written: str) -> str:
    """A value without the quotes around it."""
    bare = written.strip()
    return bare[1:-1].replace('""', '"') if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare
