"""Arithmetic in words, such as `C/(6*N)`: read by Python's own parser and never run as code."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from harness.errors import UsageError, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

LONGEST = 500
"""Characters of a formula: what is longer is no column."""
FUNCTIONS = ("exp", "log", "log2", "log10", "sqrt")
"""Called as numpy calls them, as are the operators."""
_TWO: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}
_ONE: dict[type[ast.unaryop], str] = {ast.USub: "negative", ast.UAdd: "positive"}
_ARITHMETIC = re.compile(r"[-+*/^(`]")
_QUOTED = re.compile(r"`([^`]+)`")
_ALLOWED = f"+ - * / ** ( ) numbers, columns and {' '.join(FUNCTIONS)}"


def evaluate(text: str, named: Callable[[str], Array], source: str) -> Array | None:
    """The value of a formula over what `named` gives for each of its names; None for what holds no arithmetic.

    A name that is no Python name stands in backquotes: `` `train loss` / 2 ``. UsageError, in one sentence, for what is no arithmetic;
    `source` says what the names are of.
    """
    import numpy as np

    if (tree := _parsed(text, source)) is None:
        return None
    with np.errstate(all="ignore"):
        return _value(tree, named)


def names(text: str, source: str) -> list[str]:
    """The names in a formula; the text itself where it holds no arithmetic. UsageError as `evaluate`."""
    tree = _parsed(text, source)
    return [text] if tree is None else list(dict.fromkeys(_names(tree, text)))


def is_formula(text: str) -> bool:
    """Whether it holds arithmetic, where it is no column's name."""
    return bool(_ARITHMETIC.search(text))


def _parsed(text: str, source: str) -> ast.expr | None:
    """The formula; None for what holds no arithmetic, which is a column that is missing."""
    if not is_formula(text):
        return None
    quoted: list[str] = []

    def stand_in(match: re.Match[str]) -> str:
        quoted.append(match[1])
        return f"_quoted_{len(quoted) - 1}_"

    written = _QUOTED.sub(stand_in, text)
    if len(text) > LONGEST:
        raise UsageError(f"a formula has at most {LONGEST} characters, this one {len(text)}")
    try:
        tree = ast.parse(written.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(f"{text!r} is neither a column of {source} nor a formula: it may hold {_ALLOWED}") from None
    restored: ast.expr = _Restored(quoted).visit(tree)
    list(_names(restored, text))
    return restored


class _Restored(ast.NodeTransformer):
    """Puts the names that stood in backquotes back."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = {f"_quoted_{i}_": name for i, name in enumerate(names)}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """The name that the table has."""
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


def _dotted(node: ast.expr) -> str:
    """`param.size` as a study names its columns; empty for what is no such name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name) if before := _dotted(owner):
            return f"{before}.{name}"
    return ""


def _names(node: ast.expr, text: str) -> Iterator[str]:
    """The names of a formula; UsageError where it is no arithmetic."""
    match node:
        case ast.Constant(value=bool() | complex()):
            pass
        case ast.Constant(value=int() | float()):
            return
        case ast.Name() | ast.Attribute() if name := _dotted(node):
            yield name
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _TWO:
            yield from _names(left, text)
            yield from _names(right, text)
            return
        case ast.BinOp(op=ast.BitXor()):
            raise UsageError(f"{text!r}: a power is written **, not ^")
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _ONE:
            yield from _names(operand, text)
            return
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
            if name not in FUNCTIONS:
                raise unknown(f"function in {text!r}", name, FUNCTIONS)
            yield from _names(argument, text)
            return
    raise UsageError(f"{ast.unparse(node)!r} in {text!r} is no arithmetic: a formula may hold {_ALLOWED}")


def _value(node: ast.expr, named: Callable[[str], Array]) -> Array:
    """(n,), or one number, of a formula that is arithmetic."""
    import numpy as np

    match node:
        case ast.Constant(value=int() | float() as number):
            return np.float64(min(number, 10**308))  # type: ignore[return-value]
        case ast.BinOp(left=left, op=op, right=right):
            return getattr(np, _TWO[type(op)])(_value(left, named), _value(right, named))  # type: ignore[no-any-return]
        case ast.UnaryOp(op=sign, operand=operand):
            return getattr(np, _ONE[type(sign)])(_value(operand, named))  # type: ignore[no-any-return]
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return getattr(np, name)(_value(argument, named))  # type: ignore[no-any-return]
    return named(_dotted(node))
