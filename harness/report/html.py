"""The report as one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.canvas import COLOURS
from harness.leaderboard import Board
from harness.report import sentences
from harness.report.drawings import Drawing
from harness.report.layout import Layout, leaderboard
from harness.report.provenance import failures, provenance
from harness.report.strip import Strip, describe, strip
from harness.report.themed import COLOURS_ON_DARK
from harness.task import Task
from harness.verdict import Verdict

if TYPE_CHECKING:
    from harness.study import Study

BADGES = {"reproduced": "✓", "not reproduced": "✗", "inconclusive": "≈", "not tested": "–"}


@dataclass(frozen=True)
class Card:
    """A verdict with its drawing."""

    verdict: Verdict
    strip: Strip | None
    described: str
    anchor: str


@dataclass(frozen=True)
class Section:
    """Everything about one task at one scale."""

    task: Task
    scale: str
    anchor: str
    cards: Sequence[Card]
    board: Board
    layout: Layout
    described: dict[str, str]
    """Descriptions of statistics by their headings."""
    colours: dict[str, int]
    drawings: Sequence[Drawing]


def render(study: Study, boards: Sequence[Board], verdicts: Sequence[Verdict], drawn: Sequence[Sequence[Drawing]]) -> str:
    """The HTML text. `drawn` holds the figures of each (task, scale), in the plan's order."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["svg"] = Markup
    template = environment.from_string((Path(__file__).parent / "template.html").read_text(encoding="utf-8"))
    failed, failed_count = failures(study)
    return template.render(
        study=study,
        sections=sections(study, boards, verdicts, drawn),
        verdicts=verdicts,
        tally=sentences.tally(verdicts),
        caution=sentences.caution(verdicts),
        provenance=provenance(study),
        failures=failed,
        failed_count=failed_count,
        how=sentences.HOW,
        split=_tested_and_not,
        badges=BADGES,
        say=sentences,
        palette=list(enumerate(zip(COLOURS, COLOURS_ON_DARK, strict=True))),
        papers=list({task.paper.arxiv: task.paper for task, _ in study.groups()}.values()),
    )


def sections(study: Study, boards: Sequence[Board], verdicts: Sequence[Verdict], drawn: Sequence[Sequence[Drawing]]) -> list[Section]:
    """One section a (task, scale), in the plan's order."""
    groups = zip(study.groups(), boards, drawn, strict=True)
    return [_section(task, scale, board, verdicts, figures) for (task, scale), board, figures in groups]


def _section(task: Task, scale: str, board: Board, verdicts: Sequence[Verdict], figures: Sequence[Drawing]) -> Section:
    own = [v for v in verdicts if (v.task, v.scale) == (task.id, scale)]
    cards = [_card(v, task) for v in own]
    colours = {method.name: i % len(COLOURS) for i, method in enumerate(task.methods)}
    described = {sentences.heading(s.name, s.unit, s.better): s.description for s in board.statistics if s.description}
    return Section(task, scale, f"{task.id}-{scale}", cards, board, leaderboard(board), described, colours, figures)


def _card(verdict: Verdict, task: Task) -> Card:
    region = task.claim(verdict.claim).holds
    return Card(
        verdict, strip(verdict, region), describe(verdict.interval, verdict.unit), f"{verdict.task}-{verdict.scale}-{verdict.claim}"
    )


def _tested_and_not(cards: Sequence[Card]) -> tuple[list[Card], list[Card]]:
    """What this scale decides, and what it cannot: a reader wants the first."""
    tested = [card for card in cards if card.verdict.verdict != "not tested"]
    return tested, [card for card in cards if card.verdict.verdict == "not tested"]
