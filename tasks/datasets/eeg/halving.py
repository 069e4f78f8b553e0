"""The windows of a class in two halves that share no signal, though windows overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def halved(windows: Iterable[tuple[int, int]], coin: int = 0) -> tuple[list[int], list[int]]:
    """The places of either half, of windows (place, event) in any order; windows of one event overlap, in the order of their places.

    Events go the long ones first, in the order given, to the half with fewer windows, the first one to the half that `coin` (0 or 1)
    names. An event of more than half of the windows is cut in its middle first, where the window in between is of neither half. An only
    event of two windows is cut between them, though they overlap: else there would be nothing to compare.
    """
    events: dict[int, list[int]] = {}
    for place, event in windows:
        events.setdefault(event, []).append(place)
    runs = sorted(events.values(), key=len, reverse=True)
    if runs and len(runs[0]) > sum(map(len, runs[1:])) and (len(runs[0]) > 2 or len(runs) == 1):
        runs = sorted([*_cut(sorted(runs[0])), *runs[1:]], key=len, reverse=True)
    halves: tuple[list[int], list[int]] = ([], [])
    for run in runs:
        more = len(halves[0]) - len(halves[1])
        halves[coin if not more else int(more > 0)].extend(run)
    return halves


def _cut(run: Sequence[int]) -> list[list[int]]:
    middle = len(run) // 2
    return [list(run[:middle]), list(run[middle + (len(run) > 2) :])]
