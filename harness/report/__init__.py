"""The report of a study: tables, verdicts and one HTML file in its store, and the tables on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from harness.study import Study


def write(study: Study) -> dict[str, str]:
    """Write leaderboard, verdicts, plots and `report.html` into the study's store; returns name -> path or URI."""
    from harness.leaderboard import boards
    from harness.report import drawings, html, tables
    from harness.verdict import decide

    ranked, verdicts, drawn = boards(study), decide(study), drawings.drawings(study)
    texts = {
        "leaderboard.md": tables.leaderboard_markdown(study.name, ranked),
        "leaderboard.csv": tables.leaderboard_csv(ranked),
        "verdicts.md": tables.verdicts_markdown(study.name, verdicts),
        "verdicts.csv": tables.verdicts_csv(verdicts),
        **{f"plots/{drawing.id}.svg": drawing.svg for figures in drawn for drawing in figures if drawing.svg},
        "report.html": html.render(study, ranked, verdicts, drawn),
    }
    return {name: study.store.write_text(name, text) for name, text in texts.items()}


def terminal(study: Study, console: Console | None = None) -> None:
    """Print the leaderboard and the verdicts, the paper's value beside ours."""
    from harness.report import screen

    screen.show(study, console)
