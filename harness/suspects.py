"""Tells nodes that fail trials for reasons of their own (no data, a broken driver) from trials that fail anywhere.

A trial that fails soon, on a node where none of its kind has gone well yet, runs again on another node. Where it goes well there, the
first node is to blame; where it fails there too, or nowhere else is left, it is its own failure.
"""

from __future__ import annotations

from collections.abc import Hashable, Set

from harness.plan import TrialSpec

SOON_S = 30.0
"""A trial that failed later had what it needed from its node; one that still runs then has it."""
STRIKES = 3
"""Trials that failed on a node, and of which nothing better is known, until it gets no more."""
CONFIRMED = 2
"""Trials that went well on another node, until the first is left out for good."""


class Suspects:
    """Nodes by their ids."""

    def __init__(self) -> None:
        self._good: set[tuple[str, Hashable]] = set()
        self._tried: dict[str, list[str]] = {}
        """Nodes on which trials failed that run again, by the trial's id."""
        self._strikes: dict[str, dict[str, Hashable]] = {}
        """Trials that may have failed for each node's own reasons."""
        self._confirmed: dict[str, int] = {}
        self._innocent: set[Hashable] = set()
        """Kinds of trials that fail anywhere."""

    @property
    def paused(self) -> set[str]:
        """Nodes that get no work until more is known of them."""
        return {node for node, trials in self._strikes.items() if len(trials) >= STRIKES}

    def fine(self, node: str, trial: TrialSpec) -> set[str]:
        """A trial went well on a node; the nodes that are left out for that, because it and another failed there."""
        kind = _kind(trial)
        self._good.add((node, kind))
        blamed = set()
        for other in self._tried.pop(trial.id, ()):
            self._clear(other, trial.id)
            if (other, kind) not in self._good:
                self._confirmed[other] = self._confirmed.get(other, 0) + 1
                if self._confirmed[other] >= CONFIRMED:
                    blamed.add(other)
                    self._strikes.pop(other, None)
        self._forgive(node, kind)
        return blamed

    def failed(self, node: str, trial: TrialSpec, nodes: Set[str]) -> frozenset[str] | None:
        """A trial failed soon on one of the `nodes` that get work: those that it must not run on again, or None where it is to blame."""
        kind = _kind(trial)
        tried = [*self._tried.get(trial.id, ()), node]
        left = nodes - {*tried} - self.paused
        own = (node, kind) in self._good or kind in self._innocent
        if own or not left:
            self._tried.pop(trial.id, None)
            for other in tried:
                self._clear(other, trial.id)
            if not own:
                self._innocent.add(kind)
                for other in list(self._strikes):
                    self._forgive(other, kind)
            return None
        self._strikes.setdefault(node, {})[trial.id] = kind
        self._tried[trial.id] = tried
        good = {other for other in left if (other, kind) in self._good}
        return frozenset(nodes - good if good else tried)

    def give_up(self) -> None:
        """Blame no node for what has happened so far: nothing else is left to run."""
        for struck in self._strikes.values():
            self._innocent.update(struck.values())
        self._strikes.clear()

    def _forgive(self, node: str, kind: Hashable) -> None:
        for id in [id for id, of in self._strikes.get(node, {}).items() if of == kind]:
            self._clear(node, id)

    def _clear(self, node: str, id: str) -> None:
        struck = self._strikes.get(node, {})
        struck.pop(id, None)
        if not struck:
            self._strikes.pop(node, None)


def _kind(trial: TrialSpec) -> Hashable:
    """Trials of one kind need the same of a node."""
    return trial.task, trial.experiment, trial.data.name if trial.data else ""
