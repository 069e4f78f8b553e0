"""A study judged once: what every reader downstream (terminal, report, MLflow, comparison) shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.aggregates import Aggregate, aggregate
from harness.evidence import Evidence
from harness.leaderboard import Board, boards
from harness.study import Study
from harness.verdict import Verdict, decide


@dataclass(frozen=True)
class Ruling:
    """What the records of one task at one scale say."""

    evidence: Evidence
    boards: Sequence[Board]
    verdicts: Sequence[Verdict]

    def decides(self, verdict: Verdict) -> bool:
        """Whether the verdict is one of this task at this scale."""
        return (verdict.task, verdict.scale) == (self.evidence.task.id, self.evidence.scale)

    @cached_property
    def aggregates(self) -> Mapping[str, Aggregate]:
        """By experiment: its contenders over all cells, where they share several."""
        found = {board.experiment: aggregate(self.evidence, board) for board in self.boards}
        return {name: own for name, own in found.items() if own is not None}


@dataclass(frozen=True)
class Judgement:
    """A study and a ruling for each of its (task, scale) pairs, in the plan's order."""

    study: Study
    rulings: Sequence[Ruling]

    @property
    def boards(self) -> list[Board]:
        """All leaderboards."""
        return [board for ruling in self.rulings for board in ruling.boards]

    @property
    def verdicts(self) -> list[Verdict]:
        """All verdicts."""
        return [verdict for ruling in self.rulings for verdict in ruling.verdicts]


def judge(study: Study) -> Judgement:
    """Leaderboards and verdicts of a study."""
    found = [Evidence(study, task, scale) for task, scale in study.groups()]
    return Judgement(study, [Ruling(evidence, boards(evidence), decide(evidence)) for evidence in found])
