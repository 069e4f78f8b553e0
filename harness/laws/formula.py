"""Columns that are computed from others: `C/(6*N)`. Arithmetic over names, read by Python's own parser and never run as code."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError, unknown
from harness.laws import table
from harness.laws.solver import Array

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 500
"""Characters of a formula: what is longer is no column."""
FUNCTIONS: dict[str, Callable[[Array], Array]] = {"exp": np.exp, "log": np.log, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt}
_TWO: dict[type[ast.operator], Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_ONE: dict[type[ast.unaryop], Callable[[Array], Array]] = {ast.USub: np.negative, ast.UAdd: np.positive}
_ARITHMETIC = re.compile(r"[-+*/^(`]")
_QUOTED = re.compile(r"`([^`]+)`")
_ALLOWED = f"+ - * / ** ( ) numbers, columns and {' '.join(FUNCTIONS)}"


def columns(frame: pd.DataFrame, wanted: Iterable[str], source: str) -> pd.DataFrame:
    """The frame with a column more for each of `wanted` that is none of its columns but a formula over them.

    A name that is no Python name stands in backquotes: `` `train loss` / 2 ``. UsageError, in one sentence: what is no arithmetic,
    and a name that is no column, with the nearest that is.
    """
    for text in dict.fromkeys(wanted):
        if text not in frame and (tree := _parsed(text, source)) is not None:
            with np.errstate(all="ignore"):
                values = _value(tree, frame, text, source)
            frame = frame.assign(**{text: np.broadcast_to(values, len(frame)).copy()})
    return frame


def is_formula(text: str) -> bool:
    """Whether it holds arithmetic, where it is no column's name."""
    return bool(_ARITHMETIC.search(text))


def _parsed(text: str, source: str) -> ast.expr | None:
    """The formula; None for what holds no arithmetic, which is a column that is missing."""
    if not is_formula(text):
        return None
    names: list[str] = []

    def stand_in(match: re.Match[str]) -> str:
        names.append(match[1])
        return f"_quoted_{len(names) - 1}_"

    written = _QUOTED.sub(stand_in, text)
    if len(text) > LONGEST:
        raise UsageError(f"a formula has at most {LONGEST} characters, this one {len(text)}")
    try:
        tree = ast.parse(written.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(f"{text!r} is neither a column of {source} nor a formula: it may hold {_ALLOWED}") from None
    return _Restored(names).visit(tree)  # type: ignore[no-any-return]


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


def _value(node: ast.expr, frame: pd.DataFrame, text: str, source: str) -> Array:
    """(n,), or one number."""
    match node:
        case ast.Constant(value=bool() | complex()):
            pass
        case ast.Constant(value=int() | float() as number):
            return np.float64(min(number, 10**308))  # type: ignore[return-value]
        case ast.Name() | ast.Attribute() if name := _dotted(node):
            return table.numbers(frame, name, source, holes=True)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _TWO:
            return _TWO[type(op)](_value(left, frame, text, source), _value(right, frame, text, source))
        case ast.BinOp(op=ast.BitXor()):
            raise UsageError(f"{text!r}: a power is written **, not ^")
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _ONE:
            return _ONE[type(sign)](_value(operand, frame, text, source))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
            if name not in FUNCTIONS:
                raise unknown(f"function in {text!r}", name, list(FUNCTIONS))
            return FUNCTIONS[name](_value(argument, frame, text, source))
    raise UsageError(f"{ast.unparse(node)!r} in {text!r} is no arithmetic: a formula may hold {_ALLOWED}")
