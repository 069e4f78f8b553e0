"""`papertrial report`: leaderboard, verdicts and HTML from what is in the store."""

from __future__ import annotations

import argparse
import webbrowser

from harness.console import console as make_console
from harness.judgement import judge
from harness.store import open_study
from harness.study import load


def run(options: argparse.Namespace) -> int:
    """Write the report files again and show the tables."""
    from harness import report

    judgement = judge(load(open_study(options.study, options.store)))
    console = make_console()
    files = report.write(judgement)
    report.terminal(judgement, console)
    console.print(f"{'report':<15} {files['report.html']}", soft_wrap=True)
    if options.open:
        path = judgement.study.store.local("report.html")
        webbrowser.open(path.as_uri() if path else files["report.html"])
    return 0
