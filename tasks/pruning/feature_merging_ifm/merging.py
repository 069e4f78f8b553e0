"""Iterative Feature Merging: the order in which the channels of a network's layers merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from tasks.pruning.feature_merging_ifm.distances import Recomputed

Groups = tuple[tuple[int, ...], ...]
"""The channels of an axis in disjoint sets, by their smallest members: what is left of it is one channel for each."""


@dataclass(frozen=True)
class Merge:
    """Channel j of an axis joined channel i; numbers are those of the network before any merging, and i the smallest of its set."""

    axis: str
    i: int
    j: int


@dataclass(frozen=True)
class Merged:
    """How a network was merged."""

    groups: Mapping[str, Groups]
    sequence: Sequence[Merge]


def to_counts(distances: Recomputed, order: Sequence[str], kept: Mapping[str, int]) -> Merged:
    """Merge until `kept` channels of each axis are left. UsageError when that is none or more than there are."""
    for axis in order:
        if not 1 <= kept[axis] <= len(distances.counts[axis]):
            raise UsageError(f"{axis} has {len(distances.counts[axis])} channels: merging can leave 1 to all of them, not {kept[axis]}")
    return _rounds(distances, order, kept, beta=None)


def to_threshold(distances: Recomputed, order: Sequence[str], beta: float) -> Merged:
    """Merge while an axis' smallest squared distance is at most `beta` times its largest, down to one channel.

    UsageError unless 0 < beta <= 1.
    """
    if not 0.0 < beta <= 1.0:
        raise UsageError(f"beta is a share of the largest squared distance, above 0 and at most 1, not {beta:g}")
    return _rounds(distances, order, dict.fromkeys(order, 1), beta=beta)


def _rounds(distances: Recomputed, order: Sequence[str], kept: Mapping[str, int], beta: float | None) -> Merged:
    """One pair of each axis a round, in the order of the network, as published: an axis sees what the one before it did in the same round.

    An axis that is too far apart is asked again when a neighbour has moved its distances, in as many rounds as it had channels.
    """
    members = {axis: [[channel] for channel in range(len(distances.counts[axis]))] for axis in order}
    sequence: list[Merge] = []
    stale, rounds = set(order), 0
    while True:
        before = len(sequence)
        for axis in order:
            left = distances.left(axis)
            if axis not in stale or left <= kept[axis] or rounds >= len(members[axis]):
                continue
            stale.discard(axis)
            pair = distances.closest(axis)
            if beta is not None and pair.distance > beta * distances.farthest(axis):
                continue
            distances.merge(axis, pair.i, pair.j)
            members[axis][pair.i] += members[axis][pair.j]
            members[axis][pair.j] = []
            sequence.append(Merge(axis, pair.i, pair.j))
            stale |= {axis} | (distances.neighbours(axis) & set(order))
        rounds += 1
        if len(sequence) == before:
            break
    groups = {axis: tuple(tuple(sorted(group)) for group in found if group) for axis, found in members.items()}
    return Merged(groups, sequence)
