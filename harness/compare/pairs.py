"""One task at one scale in two studies."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from harness.evidence import Evidence
from harness.judgement import Ruling

Cells = Mapping[tuple[str, str, str], set[int]]
"""(experiment, method, parameters) -> planned seeds."""


@dataclass(frozen=True, eq=False)
class Pair:
    """What both studies say of a task at a scale."""

    before: Ruling
    after: Ruling

    @property
    def old(self) -> Evidence:
        """Plan and records of the study before."""
        return self.before.evidence

    @property
    def new(self) -> Evidence:
        """Plan and records of the study after."""
        return self.after.evidence

    @property
    def where(self) -> str:
        """As sentences name it."""
        return f"{self.new.task.id} at scale {self.new.scale}"

    @cached_property
    def cells(self) -> tuple[Cells, Cells]:
        """What either study plans."""
        return _cells(self.old), _cells(self.new)

    @cached_property
    def seeds(self) -> tuple[set[int], set[int]]:
        """Of either study, over all cells."""
        before, after = ({seed for found in cells.values() for seed in found} for cells in self.cells)
        return before, after

    @property
    def is_replicate(self) -> bool:
        """Whether the two share no seed."""
        return not self.seeds[0] & self.seeds[1]


def _cells(evidence: Evidence) -> Cells:
    found: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for trial in evidence.study.plan:
        if (trial.task, trial.scale) == (evidence.task.id, evidence.scale):
            found[trial.experiment, trial.method, json.dumps(dict(trial.params), sort_keys=True)].add(trial.seed)
    return found
