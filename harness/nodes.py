"""How trials fit on nodes: arithmetic of what they ask for and what machines have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from harness.errors import ResourceError
from harness.task import Resources
from harness.workers import Node

_SLACK = 1e-9


def fit(shape: Resources, node: Mapping[str, float], labels: Mapping[str, str] | None = None) -> int:
    """How many trials of this shape one node holds when it holds nothing else; how many parts of those that span nodes."""
    shape = shape.of_node
    if any((labels or {}).get(name) != value for name, value in shape.labels.items()):
        return 0
    counts = [math.floor(node.get(name, 0.0) / amount + _SLACK) for name, amount in shape.amounts().items()]
    if shape.gpus:
        gpus = node.get("GPU", 0.0)
        # Ray never splits one trial's fraction over two cards, so fractions are packed card by card.
        whole = math.floor(gpus) * math.floor(1 / shape.gpus + _SLACK) if shape.gpus <= 1 else math.floor(gpus / shape.gpus + _SLACK)
        counts.append(whole)
    return min(counts)


def room(shape: Resources, nodes: Iterable[Node], addable: Iterable[tuple[Node, int]]) -> tuple[int, int]:
    """How many trials of this shape run at once on nodes that are there, and on those that may be added.

    Trials without a GPU bring up no GPU nodes.
    """
    now = [(fit(shape, node.resources, node.labels), 1) for node in nodes]
    more = [(fit(shape, node.resources, node.labels), count) for node, count in addable if shape.gpus or not node.resources.get("GPU")]
    return _spread(now, shape.nodes), _spread(more, shape.nodes)


def _spread(parts: Sequence[tuple[int, int]], nodes: int) -> int:
    """How many trials with a part on each of `nodes` different nodes; `parts` are (parts that a node holds, such nodes)."""
    found = sum(each * count for each, count in parts) // nodes
    # So many trials take at most so many parts of one node.
    while nodes > 1 and (fewer := sum(min(each, found) * count for each, count in parts) // nodes) < found:
        found = fewer
    return found


def slots(shape: Resources, nodes: Sequence[Node], addable: Sequence[tuple[Node, int]]) -> int:
    """How many trials of this shape run at once at most; ResourceError, with what was asked and what there is, where it is none."""
    now, later = room(shape, nodes, addable)
    if not now and not later:
        offers = "; ".join(dict.fromkeys(offer(node, shape) for node in nodes))
        none = "no node of the cluster has" if shape.nodes == 1 else f"no {shape.nodes} nodes of the cluster have"
        raise ResourceError(f"a trial asks for {shape}, which {none} or can add (nodes: {offers})")
    return max(now, later)


def offer(node: Node, shape: Resources) -> str:
    """What a node has of what is asked, for people."""
    has, said = node.resources, []
    if shape.memory_gib:
        said.append(f"{has.get('memory', 0) / 2**30:.3g} GiB")
    kinds = [name.removeprefix("accelerator_type:") for name in has if name.startswith("accelerator_type:")]
    said += kinds if shape.accelerator else []
    said += [f"{has.get(name, 0):g} {name}" for name in shape.custom]
    said += [f"{name}={node.labels.get(name, '(none)')}" for name in shape.labels]
    return " + ".join([f"{has.get('CPU', 0):g} CPUs", f"{has.get('GPU', 0):g} GPUs", *said])


class Site:
    """A node and what of it is free."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.workers = 0
        self.running = 0
        """Workers that have work."""
        self.alone = False
        """One of them may have no neighbour."""
        self.failed_starts = 0
        """Workers in a row that did not start although it lives."""
        self._free = dict(node.resources)
        self._cards = [1.0] * math.floor(node.resources.get("GPU", 0.0))

    def fits(self, shape: Resources) -> bool:
        """Whether one more of this shape, or its part for one node, has room now."""
        shape = shape.of_node
        return all(self._free.get(name, 0.0) + _SLACK >= amount for name, amount in shape.amounts().items()) and (
            not shape.gpus or len(self._chosen(shape)) == max(1, int(shape.gpus))
        )

    def take(self, shape: Resources) -> Sequence[int]:
        """Make room less by one of this shape, or its part; the cards that it gets, for `give_back`."""
        shape = shape.of_node
        self.workers += 1
        for name, amount in shape.amounts().items():
            self._free[name] = self._free.get(name, 0.0) - amount
        cards = self._chosen(shape)
        for card in cards:
            self._cards[card] -= min(1.0, shape.gpus)
        return cards

    def give_back(self, shape: Resources, cards: Sequence[int]) -> None:
        """The reverse of `take`."""
        shape = shape.of_node
        self.workers -= 1
        for name, amount in shape.amounts().items():
            self._free[name] += amount
        for card in cards:
            self._cards[card] += min(1.0, shape.gpus)

    def without(self, gone: Iterable[tuple[Resources, Sequence[int]]]) -> Site:
        """The node as it would be once these are gone, by what they take and on which cards."""
        other = Site(self.node)
        other._free, other._cards = dict(self._free), list(self._cards)
        for shape, cards in gone:
            other.give_back(shape, cards)
        return other

    def _chosen(self, shape: Resources) -> list[int]:
        """As Ray does: whole cards that are free, or the fullest one that still has room for a fraction."""
        if not shape.gpus:
            return []
        share = min(1.0, shape.gpus)
        open_ = [index for index, free in enumerate(self._cards) if free + _SLACK >= share]
        if shape.gpus < 1:
            return sorted(open_, key=lambda index: self._cards[index])[:1]
        return open_[: int(shape.gpus)]
