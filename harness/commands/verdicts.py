"""`papertrial verdicts`: what the records decide, claim by claim, with the seeds and the trials behind a number."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.behind import check_names
from harness.console import console as make_console
from harness.console import emit, styled
from harness.judgement import Judgement, judge
from harness.store import open_study
from harness.study import load
from harness.verdict import Verdict


def run(options: argparse.Namespace) -> int:
    """Print the verdicts of a study; with `--claim` one of them whole."""
    judgement = judge(load(open_study(options.study, options.store)))
    verdicts = judgement.verdicts
    if options.claim:
        check_names(judgement.study, options.claim)
        verdicts = [verdict for verdict in verdicts if verdict.claim in options.claim]
    if options.json:
        emit([_fields(judgement, verdict) for verdict in verdicts])
        return 0
    from harness.report import screen

    console = make_console()
    if not options.claim:
        screen.show_verdicts(judgement, console)
        return 0
    for verdict in verdicts:
        _show(judgement, verdict, console)
    return 0


def _show(judgement: Judgement, verdict: Verdict, console: Console) -> None:
    from harness.report import screen

    fields = _fields(judgement, verdict)
    console.print(Text.assemble(styled(verdict.claim, "bold"), styled(f": {verdict.statement}")))
    screen.show_verdict(verdict, console)
    console.print(Text.assemble(styled("source ", "dim"), styled(verdict.source)))
    if fields["seeds"]:
        seeds = ", ".join(f"{seed}: {value:.5g}" for seed, value in fields["seeds"].items())
        console.print(Text.assemble(styled("by seed ", "dim"), styled(seeds)))
    console.print(
        f"{len(fields['trials']):,} trials behind it: papertrial trials {judgement.study.name} --claim {verdict.claim}", soft_wrap=True
    )
    console.print(f"again: {fields['again']}", soft_wrap=True)


def _fields(judgement: Judgement, verdict: Verdict) -> dict[str, Any]:
    evidence = next(own.evidence for own in judgement.rulings if own.decides(verdict))
    read = evidence.ids_read(evidence.task.claim(verdict.claim).estimate)
    return {
        "task": verdict.task,
        "scale": verdict.scale,
        "claim": verdict.claim,
        "statement": verdict.statement,
        "kind": verdict.kind,
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
        "trials": read,
        "again": f"papertrial run {verdict.task} --scale {verdict.scale} --claim {verdict.claim}",
    }
