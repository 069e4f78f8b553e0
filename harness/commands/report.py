"""`papertrial report`: leaderboard, verdicts and HTML from what is in the store."""

from __future__ import annotations

import argparse
import csv
import io
import webbrowser

from harness.console import console as make_console
from harness.console import warn
from harness.errors import StoreError
from harness.judgement import Judgement, judge
from harness.store import open_study
from harness.study import load
from harness.tally import MOST_NAMED


def run(options: argparse.Namespace) -> int:
    """Write the report and show the tables. Tables that are there are somebody's results: they are written again only when told."""
    from harness import report

    judgement = judge(load(open_study(options.study, options.store)))
    console = make_console()
    files = report.write(judgement.study.store, report.files(judgement), tables=options.tables)
    report.terminal(judgement, console, full=options.full)
    if not options.tables and (changed := _otherwise(judgement)):
        named = f"{', '.join(changed[:MOST_NAMED])}{' ...' if changed[MOST_NAMED:] else ''}"
        warn(console, f"verdicts.csv says otherwise of {len(changed)} claims ({named}): --tables writes the tables again")
    console.print(f"{'report':<15} {files['report.html']}", soft_wrap=True)
    if options.open:
        path = judgement.study.store.local("report.html")
        if not webbrowser.open(path.as_uri() if path else files["report.html"]):
            warn(console, "--open found no browser here: open the report where there is one")
    return 0


def _otherwise(judgement: Judgement) -> list[str]:
    """The claims on which the study's own table has another verdict than today's code, or none; all where it cannot be read."""
    now = {(v.task, v.scale, v.claim): v.verdict for v in judgement.verdicts}
    try:
        rows = csv.DictReader(io.StringIO(judgement.study.store.read_bytes("verdicts.csv").decode()))
        kept = {(row["task"], row["scale"], row["claim"]): row["verdict"] for row in rows}
    except (FileNotFoundError, StoreError, ValueError, KeyError, csv.Error):
        kept = {}
    return [claim for (task, scale, claim), verdict in now.items() if kept.get((task, scale, claim)) != verdict]
