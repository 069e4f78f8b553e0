"""What trials take: measured where trials of their cell have ended, and else as their task declares it, as far as that can be trusted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.plan import TrialSpec
from harness.record import Record

DECLARED = (0.5, 3.0)
"""What trials take, as shares of what their task declares: of 25 committed studies 19 lie between, the others between 0.28 and 4.5."""
ELSEWHERE = (0.5, 2.0)
"""The same of what trials of the cell took in another study, maybe on another machine."""


class OfCell(Protocol):
    """What a trial or a record says of its cell."""

    @property
    def task(self) -> str: ...  # noqa: D102 - the fields of a record
    @property
    def scale(self) -> str: ...  # noqa: D102
    @property
    def experiment(self) -> str: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102


@dataclass(eq=False)
class Cell:
    """Trials that differ in the seed alone."""

    declared_s: float
    """Of one trial; 0 where nothing is known."""
    trust: tuple[float, float] = DECLARED
    ended: int = 0
    took_s: float = 0.0
    """All that ended, together."""


@dataclass(frozen=True)
class Cost:
    """Seconds that trials take together, one after another."""

    low_s: float = 0.0
    expected_s: float = 0.0
    high_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Of both."""
        return Cost(self.low_s + other.low_s, self.expected_s + other.expected_s, self.high_s + other.high_s)

    def __mul__(self, times: float) -> Cost:
        """Of as many."""
        return Cost(self.low_s * times, self.expected_s * times, self.high_s * times)


class Timings:
    """Expected seconds of some trials, better with every record of their cells."""

    def __init__(self, trials: Iterable[TrialSpec]) -> None:
        cells: dict[Any, Cell] = {}
        self._of: dict[str, Cell] = {}
        self._named: dict[str, Cell] = {}
        for trial in trials:
            cell = cells.get(key := trial.cell_key())
            if cell is None:
                cell = cells[key] = self._named.setdefault(_name(trial), Cell(trial.expected_s))
            self._of[trial.id] = cell
        self._ended, self._took_s = 0, 0.0
        self._declared_s, self._of_declared_s = 0.0, 0.0
        """Of trials that ended and whose seconds were declared: as declared, and as they were."""

    def cell(self, id: str) -> Cell:
        """The cell of one of the trials."""
        return self._of[id]

    def learn(self, record: Record) -> None:
        """Of a record of this study. Only `ok` trials say how long others take."""
        cell = self._of.get(record.trial_id)
        if cell is None or record.status != "ok":
            return
        cell.ended += 1
        cell.took_s += record.seconds
        self._ended += 1
        self._took_s += record.seconds
        if cell.declared_s:
            self._declared_s += cell.declared_s
            self._of_declared_s += record.seconds

    def learn_elsewhere(self, ended: Iterable[tuple[OfCell, float]]) -> None:
        """Of trials of another study that ended ok, and their seconds: what their cells took replaces what was declared of them."""
        known: dict[tuple[Any, ...], tuple[OfCell, list[float]]] = {}
        for trial, seconds in ended:
            key = trial.task, trial.scale, trial.experiment, trial.method, id(trial.params)
            known.setdefault(key, (trial, []))[1].append(seconds)
        found: dict[str, list[float]] = {}
        for trial, own in known.values():
            found.setdefault(_name(trial), []).extend(own)
        for name, all_of_them in found.items():
            if cell := self._named.get(name):
                cell.declared_s, cell.trust = sum(all_of_them) / len(all_of_them), ELSEWHERE

    def cost(self, cell: Cell) -> Cost:
        """Of one trial of a cell; all zeros where nobody knows."""
        if cell.ended:
            return Cost(1.0, 1.0, 1.0) * (cell.took_s / cell.ended)
        if not cell.declared_s:
            return Cost(1.0, 1.0, 1.0) * (self._took_s / self._ended if self._ended else 0.0)
        if not self._declared_s:
            return Cost(cell.trust[0], 1.0, cell.trust[1]) * cell.declared_s
        off = self._of_declared_s / self._declared_s
        return Cost(min(off, 1.0), off, max(off, 1.0)) * cell.declared_s

    def total(self, trials: Iterable[TrialSpec]) -> Cost:
        """Of several trials."""
        found = Cost()
        for trial in trials:
            found += self.cost(self._of[trial.id])
        return found


def _name(trial: OfCell) -> str:
    own = trial.task, trial.scale, trial.experiment, trial.method
    return json.dumps([*own, {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(trial.params.items())}])
