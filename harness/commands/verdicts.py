"""`papertrial verdicts`: what the records decide, claim by claim, with the seeds and the trials behind a number."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from harness.behind import check_names
from harness.causes import endings, traced
from harness.console import console as make_console
from harness.console import emit, styled, warn
from harness.judgement import Judgement, judge
from harness.masking import again
from harness.rerun import Rerun, of_study
from harness.store import open_study
from harness.study import load
from harness.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

_WAITING = "waiting"


def run(options: argparse.Namespace) -> int:
    """Print the verdicts of a study; with `--claim` one of them whole."""
    judgement = judge(load(open_study(options.study, options.store)))
    verdicts = judgement.verdicts
    if options.claim:
        check_names(judgement.study, options.claim)
        verdicts = [verdict for verdict in verdicts if verdict.claim in options.claim]
    if not (options.json or options.claim):
        from harness.report import screen

        screen.show_verdicts(judgement, make_console())
        return 0
    reruns = {(task.id, scale): of_study(judgement.study, task, scale) for task, scale in judgement.study.groups()}
    behind = [_Behind.of(judgement, verdict, reruns) for verdict in verdicts]
    if options.json:
        emit([own.fields() for own in behind])
        return 0
    console = make_console()
    for own in behind:
        own.show(console)
    return 0


@dataclass(frozen=True)
class _Behind:
    """A verdict with the trials behind it."""

    judgement: Judgement
    verdict: Verdict
    trials: Sequence[str]
    """Ids of the planned trials that it reads."""
    sources: Sequence[str]
    """Digests of the sources that measured these."""
    again: str
    """The command that runs them again."""

    @classmethod
    def of(cls, judgement: Judgement, verdict: Verdict, reruns: Mapping[tuple[str, str], Rerun]) -> _Behind:
        evidence = next(own.evidence for own in judgement.rulings if own.decides(verdict))
        estimate = evidence.task.claim(verdict.claim).estimate
        again = reruns[verdict.task, verdict.scale].claim(verdict.claim)
        return cls(judgement, verdict, evidence.ids_read(estimate), evidence.sources(estimate), again)

    def show(self, console: Console) -> None:
        from harness.report import screen

        verdict, study = self.verdict, self.judgement.study
        console.print(Text.assemble(styled(verdict.claim, "bold"), styled(f": {verdict.statement}")))
        screen.show_verdict(verdict, console)
        console.print(Text.assemble(styled("source ", "dim"), styled(verdict.source)))
        if seeds := self._by_seed():
            console.print(Text.assemble(styled("by seed ", "dim"), styled(seeds)))
        named = [*study.store.words, "--claim", verdict.claim]
        ended = self._ended()
        if bad := [(str(status), str(error or "")) for status, error in zip(ended["status"], ended["error"], strict=True)]:
            warn(console, traced(bad, len(self.trials), named))
        console.print(f"{len(self.trials):,} trials behind it: {again(['trials', *named])}", soft_wrap=True)
        if self.again:
            console.print(f"again: {self.again}", soft_wrap=True)

    def _ended(self) -> pd.DataFrame:
        """Records behind it of trials that did not end ok."""
        frame = self.judgement.study.frame
        return frame[(frame["status"] != "ok") & frame["trial_id"].isin(list(self.trials))]

    def _by_seed(self) -> str:
        """The estimate of each seed, and of one that has none what became of it."""
        frame, wanted = self.judgement.study.frame, set(self.trials)
        waiting = wanted - set(frame["trial_id"])
        lost = {seed: endings(statuses) for seed, statuses in self._ended().groupby("seed")["status"]}
        said = {seed: f"{value:.5g}" for seed, value in self.verdict.seeds.items()}
        for trial in self.judgement.study.plan:
            if trial.id in wanted and trial.seed not in self.verdict.seeds and said.get(trial.seed) != _WAITING:
                said[trial.seed] = _WAITING if trial.id in waiting else f"lost ({lost.get(trial.seed, 'no number')})"
        return ", ".join(f"{seed}: {said[seed]}" for seed in sorted(said))

    def fields(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "task": verdict.task,
            "scale": verdict.scale,
            "claim": verdict.claim,
            "statement": verdict.statement,
            "kind": verdict.kind,
            "group": verdict.group,
            "primary": verdict.primary,
            "verdict": verdict.verdict,
            "estimate": verdict.interval.estimate,
            "low": verdict.interval.low,
            "high": verdict.interval.high,
            "unit": verdict.unit,
            "holds_where": verdict.holds,
            "published": verdict.published,
            "n": verdict.n,
            "lost": verdict.lost,
            "seeds": dict(verdict.seeds),
            "data_kind": verdict.data_kind,
            "decides": verdict.decides,
            "source": verdict.source,
            "reason": verdict.reason,
            "note": verdict.note,
            "version": verdict.version,
            "source_digests": self.sources,
            "trials": self.trials,
            "again": self.again,
        }
