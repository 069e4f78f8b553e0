"""`papertrial report`: leaderboard, verdicts and HTML from what is in the store."""

from __future__ import annotations

import argparse
import csv
import webbrowser
from collections.abc import Mapping

from harness.console import console as make_console
from harness.console import warn
from harness.errors import StoreError
from harness.judgement import judge
from harness.store import StudyStore, open_study
from harness.study import load
from harness.tally import lines, listed


def run(options: argparse.Namespace) -> int:
    """Write the report and show the tables. Tables that are there are somebody's results: they are written again only when told."""
    from harness import report

    judgement = judge(load(open_study(options.study, options.store)))
    console = make_console()
    texts = report.files(judgement)
    files = report.write(judgement.study.store, texts, tables=options.tables)
    report.terminal(judgement, console, full=options.full)
    if not options.tables and (changed := _otherwise(judgement.study.store, texts["verdicts.csv"])):
        warn(console, f"verdicts.csv says otherwise of {len(changed)} claims ({listed(changed)}): --tables writes the tables again")
    console.print(f"{'report':<15} {files['report.html']}", soft_wrap=True)
    if options.open:
        path = judgement.study.store.local("report.html")
        if not webbrowser.open(path.as_uri() if path else files["report.html"]):
            warn(console, "--open found no browser here: open the report where there is one")
    return 0


def _otherwise(store: StudyStore, table: str) -> list[str]:
    """The claims on which the study's own table says something else than today's, or nothing; all where it cannot be read."""
    now = {(line.task, line.scale, line.claim): line for line in lines(table)}
    try:
        kept = {(line.task, line.scale, line.claim): line for line in lines(store.read_bytes("verdicts.csv").decode())}
    except (FileNotFoundError, StoreError, ValueError, KeyError, csv.Error):
        kept = {}
    return [key[-1] for key, line in now.items() if key not in kept or _differ(kept[key].cells, line.cells)]


def _differ(kept: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether two rows on a claim say different things of it, as far as an older one goes."""
    says = ("verdict", "statement", "holds", "unit", "version", "asks", "settings")
    return any(name in kept and kept[name] != now[name] for name in says)
