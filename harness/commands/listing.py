"""`papertrial list`: what is on trial, on the terminal, as Markdown or as JSON. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from harness import registry
from harness.console import console as make_console
from harness.console import emit, styled, warn
from harness.errors import PapertrialError, UsageError, unknown
from harness.papers import OnTrial, Unread, by_field, by_paper, loaded, on_trial, verdicts_in
from harness.shown import sentence
from harness.store import write_file
from harness.tabular import Row, print_table, words
from harness.tally import counts, outdated, sentences
from harness.task import SCALES

MARKDOWN_HEAD = """# Papers on trial

Written by `make papers`; a test keeps it true.

Verdicts are those of the committed studies at laptop scale: 5 or 10 seeds, minutes to half an hour on two CPU cores, real data that
stand in for the paper's, synthetic inputs where a row says so. They decide a direction, never a paper's number. The counts are of the
paper's own sentences: one that is tested by method or data counts once, as the part that serves it least; our controls, checks and
extensions are not counted. Small print names the claims behind a statement (`papertrial show TASK --claim C1`), and a test holds its
words to their verdicts. A paper's page has every claim with its interval and the published value, the controls, where paper and
released code disagree, what we believe, and a dated log of what failed.
"""


def run(options: argparse.Namespace) -> int:
    """The table of tasks, or the same as Markdown in a file. A task that cannot be loaded keeps its row, with the reason."""
    entries = registry.tasks()
    fields = sorted({entry.field for entry in entries.values()})
    if options.field and options.field not in fields:
        raise unknown("field", options.field, fields)
    console = make_console()
    chosen = [entry for entry in entries.values() if options.field in (None, entry.field)]
    verdicts, unread = verdicts_in(options.store, loaded(entry.name for entry in chosen))
    for file in unread:
        warn(Console(stderr=True) if options.json else console, f"{file.name} cannot be read ({file.why}): its verdicts are not shown")
    found: list[OnTrial | Unread] = []
    for entry in chosen:
        try:
            own = {scale: judged.lines for scale, judged in verdicts.get(entry.name, {}).items()}
            found.append(on_trial(entry, {entry.name: own}))
        except PapertrialError as error:
            found.append(Unread(entry.name, sentence(error)))
    if options.markdown:
        _write(Path(options.markdown), found, console)
    elif options.json:
        emit([_fields(row, entries) for row in found])
    else:
        _show(found, entries, console)
    return 0


def _show(found: Sequence[OnTrial | Unread], entries: Mapping[str, registry.Entry], console: Console) -> None:
    rows: list[Row] = []
    for row in found:
        if isinstance(row, Unread):
            rows.append([row.name, entries[row.name].field, styled(row.why, "red"), "", ""])
            continue
        paper = f"{row.paper.title} ({row.paper.year}, arXiv {row.paper.arxiv})"
        rows.append([row.task, row.field, paper, str(len(sentences(row.own))), _found(row)])
    print_table(console, ("task", "field", words("paper"), "claims", words("verdicts on them, by scale")), rows)


def _fields(row: OnTrial | Unread, entries: Mapping[str, registry.Entry]) -> dict[str, object]:
    if isinstance(row, Unread):
        return {"task": row.name, "field": entries[row.name].field, "error": row.why}
    scales = [scale for scale in SCALES if scale in row.verdicts]
    return {
        "task": row.task,
        "field": row.field,
        "paper": row.paper,
        "claims": len(sentences(row.own)),
        "verdicts": {scale: row.counts(scale) for scale in scales},
        "outdated": {scale: {line.claim: line.outdated for line in row.judged(scale) if line.outdated} for scale in scales},
        "in_short": row.in_short,
    }


def _write(file: Path, found: Sequence[OnTrial | Unread], console: Console) -> None:
    """All papers to a Markdown file, whose links are relative to it. UsageError where a task cannot be loaded: no row is left out."""
    if unread := [row for row in found if isinstance(row, Unread)]:
        raise UsageError(f"no table is written: task {unread[0].name} cannot be loaded: {unread[0].why}")
    papers = [row for row in found if isinstance(row, OnTrial)]
    write_file(file, f"{MARKDOWN_HEAD}\n{by_field(papers)}\n\n{by_paper(papers, file.resolve().parent)}")
    console.print(f"{len(papers)} papers in {file}", soft_wrap=True)


def _found(row: OnTrial) -> str:
    """Counts of the verdicts on the paper's claims that the task makes today, a line a scale."""
    judged = {scale: row.judged(scale) for scale in SCALES if scale in row.verdicts}
    return "\n".join(f"{scale}: {counts('paper', own)}{outdated(own)}" for scale, own in judged.items()) or "none yet"
