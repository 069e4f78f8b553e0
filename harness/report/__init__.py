"""The report of a study: tables, verdicts and one HTML file in its store, and the tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from harness.judgement import Judgement
    from harness.store import StudyStore


def files(judgement: Judgement) -> dict[str, str]:
    """All files of the report, name -> text: tables (csv, md), plots, and the HTML page."""
    from harness.report import html, tables
    from harness.report.plots import plots_of
    from harness.report.verdicts import verdicts_csv, verdicts_markdown

    study, boards, verdicts = judgement.study, judgement.boards, judgement.verdicts
    plots = [plots_of(ruling.evidence) for ruling in judgement.rulings]
    return {
        "leaderboard.md": tables.leaderboard_markdown(study.name, judgement.rulings),
        "leaderboard.csv": tables.leaderboard_csv(boards),
        "verdicts.md": verdicts_markdown(study.name, verdicts),
        "verdicts.csv": verdicts_csv(verdicts),
        **{f"plots/{plot.id}.svg": plot.svg for by_experiment in plots for found in by_experiment.values() for plot in found if plot.svg},
        "report.html": html.render(judgement, plots),
    }


def write(store: StudyStore, texts: Mapping[str, str], *, tables: bool = True) -> dict[str, str]:
    """Write what `files` made into a study; returns name -> path or URI. Without `tables` those that are there stay as they are."""
    return {
        name: store.write_text(name, text)
        for name, text in texts.items()
        if tables or not name.endswith((".csv", ".md")) or not store.exists(name)
    }


def terminal(judgement: Judgement, console: Console | None = None, *, full: bool = False) -> None:
    """Print the verdicts, the paper's value beside ours, and the leaderboards, with all of their columns if `full`."""
    from harness.report import screen

    screen.show(judgement, console, full=full)
