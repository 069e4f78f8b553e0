"""`papertrial site`: one folder of static pages over any number of studies."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.console import console as make_console
from harness.console import warn
from harness.errors import PapertrialError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.site import Gathered


def run(options: argparse.Namespace) -> int:
    """Write the pages. What cannot be read is named, on the screen and on the first page, and hides nothing else."""
    from harness.report import site

    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out takes a folder, and {out} is a file")
    console = make_console()
    found = site.gather(options.stores)
    site.build(found, out, _reports(found, console) if options.reports else {})
    for file in found.unread:
        warn(console, f"{file.name} is not shown: {file.why}")
    console.print(f"{len(found.papers)} papers, {len(found.latest):,} claims, {len(found.runs)} studies: {out}/index.html", soft_wrap=True)
    return 0


def _reports(found: Gathered, console: Console) -> dict[str, str]:
    from harness import report
    from harness.judgement import judge
    from harness.store import open_study
    from harness.study import load

    reports = {}
    for run in found.runs:
        try:
            reports[run.study] = report.files(judge(load(open_study(run.folder))))["report.html"]
        except PapertrialError as error:
            warn(console, f"{run.study} has no report: {error}")
    return reports
