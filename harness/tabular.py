"""Tables on a terminal of any width: no name and no number is cut or broken over lines; what does not fit goes below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from harness.console import filled, styled

_GAP, _EDGE = 2, 1
"""Columns of the terminal between two cells, and at the right end of a line."""
_NARROWEST, _WIDEST = 16, 160
"""Columns below which a column of prose is not squeezed, and columns of the widest table that prose alone makes."""
INDENT = "    "


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    heading: str
    words: bool = False
    """Its cells are prose, which may be wrapped between words. Every other cell stays whole."""
    justify: JustifyMethod = "left"


Cell = str | Text
Row = Sequence[Cell]
"""A cell a column. A row of one cell is a heading of the rows below it."""


def words(heading: str) -> Column:
    """A column of prose."""
    return Column(heading, words=True)


def print_table(console: Console, columns: Sequence[str | Column], rows: Sequence[Row], title: str = "", *, keys: int = 1) -> None:
    """A table as wide as its cells are; where it is too wide, what all rows share is said once, and then each row is a card.

    The first `keys` columns name a row.
    """
    own = [Column(column) if isinstance(column, str) else column for column in columns]
    print_title(console, title)
    laid = whole(own, rows, console.width)
    if laid is None and len(rows) > 1:
        shared = [len({str(row[i]) for row in rows}) == 1 for i in range(len(own))]
        told = [f"{column.heading}: {rows[0][i]}" for i, column in enumerate(own) if shared[i] and str(rows[0][i])]
        if told:
            console.print(filled([styled("every row:"), *enumerated([*map(styled, told)])], console.width), soft_wrap=True)
        keys -= sum(shared[:keys])
        own = [column for column, same in zip(own, shared, strict=True) if not same]
        rows = [[cell for cell, same in zip(row, shared, strict=True) if not same] for row in rows]
        laid = whole(own, rows, console.width)
    if laid is not None:
        console.print(laid)
    else:
        print_cards(console, own, rows, keys=keys)


def print_title(console: Console, title: str) -> None:
    """A line above a table, which may be longer than the table is wide."""
    if title:
        console.print(styled(f"\n{title}", "bold"))


def print_cards(console: Console, columns: Sequence[Column], rows: Sequence[Row], *, keys: int = 1) -> None:
    """Every row as a card of a few lines."""
    for row in rows:
        console.print(_card(columns, row, console.width, max(1, keys)), soft_wrap=True)


def whole(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Table | None:
    """The table, or None where `width` does not hold its names and numbers."""
    by_column = [*_by_column(columns, rows)]
    least = [_least(column, lines) for column, lines in by_column]
    natural = [max(map(cell_len, [column.heading, *lines])) for column, lines in by_column]
    gaps = _GAP * (len(columns) - 1) + _EDGE
    if sum(least) + gaps > width:
        return None
    # On a screen that is wider than a line is readable only names and numbers take more.
    room = min(width, max(_WIDEST, sum(least) + gaps)) - gaps
    level = max(natural, default=0)
    while sum(found := [min(max(level, low), most) for low, most in zip(least, natural, strict=True)]) > room:
        level -= 1
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column, own in zip(columns, found, strict=True):
        table.add_column(styled(column.heading), justify=column.justify, width=own)
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def below_each_other(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Table] | None:
    """The columns in their order in as few tables as hold them, the first column in each; None where one is too wide beside the first."""
    least = [_least(column, lines) for column, lines in _by_column(columns, rows)]
    blocks: list[list[int]] = [[0]]
    for place, own in list(enumerate(least))[1:]:
        if len(blocks[-1]) > 1 and sum(_GAP + least[i] for i in blocks[-1][1:]) + _GAP + own + least[0] + _EDGE > width:
            blocks.append([0])
        blocks[-1].append(place)
    tables = []
    for block in blocks:
        cells = [row if len(row) == 1 else [row[place] for place in block] for row in rows]
        told = [row for row in cells if len(row) == 1 or any(row[1:])]
        told = [row for row, below in pairwise([*told, [""]]) if len(row) > 1 or len(below) > 1]
        laid = whole([columns[place] for place in block], told, width)
        if laid is None:
            return None
        tables.append(laid)
    return tables


def _by_column(columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[tuple[Column, list[str]]]:
    """Each column with the lines of its cells; headings among the rows are wrapped into the first."""
    texts = [[_text(cell).plain for cell in row] for row in rows]
    headings = [word for row in texts if len(row) < len(columns) for word in row[0].split()]
    for place, column in enumerate(columns):
        own = [line for row in texts if len(row) == len(columns) for line in row[place].split("\n")]
        yield column, own + (headings if place == 0 else [])


def _least(column: Column, lines: Sequence[str]) -> int:
    """The fewest columns of the terminal that hold it. A heading may be wrapped between words."""
    longest = max(map(cell_len, lines), default=0)
    unbroken = [word for line in lines for word in line.split()] if column.words else []
    return max([min(longest, _NARROWEST) if column.words else longest, *map(cell_len, [*column.heading.split(), *unbroken])])


def _card(columns: Sequence[Column], row: Row, width: int, keys: int) -> Text:
    """A row over some lines: what names it, then each cell behind its heading, the prose last."""
    head = filled(enumerated([_text(cell) for cell in row[:keys] if str(cell)], ","), width)
    head.stylize("bold")
    told = [(column, cell) for column, cell in list(zip(columns, row, strict=False))[keys:] if str(cell)]
    said = [(column, Text.assemble(f"{column.heading}: ", Text("; ").join(_text(cell).split("\n")))) for column, cell in told]
    facts = enumerated([part for column, part in said if not column.words])
    below = [facts, *(list(part.split(" ")) for column, part in said if column.words)]
    return Text("\n").join([head, *(filled(pieces, width, INDENT) for pieces in below if pieces)])


def enumerated(parts: Sequence[Text], mark: str = ";") -> list[Text]:
    """The parts of an enumeration, with a mark behind each but the last."""
    return [*(Text.assemble(part, mark) for part in parts[:-1]), *parts[-1:]]


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else styled(cell)
