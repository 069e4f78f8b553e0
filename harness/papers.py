"""What is on trial, a line a paper: its record, what its README says in short, its verdicts by scale. Reads no records."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from dataclasses import field as default
from pathlib import Path
from typing import TYPE_CHECKING

from harness import registry
from harness.asked import asks
from harness.errors import PapertrialError, TaskError
from harness.store import studies
from harness.tally import Line, lines, of_settings, of_version, outcome, sentences, was_tried

if TYPE_CHECKING:
    from harness.task import Claim, Paper, Task

IN_SHORT = re.compile(r"^## In short\n+(.*?)\n*(?=^## |\Z)", re.MULTILINE | re.DOTALL)
"""The section of a paper's README whose statements each cite the claims behind them, as `<sub>C1, C2-*</sub>`."""
IN_SHORT_SCALE = "laptop"
"""The scale whose committed study that section speaks of."""
_HTML_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
COUNTED = ("reproduced", "not reproduced", "inconclusive", "not tested")
GONE = "the task makes no such claim any more"


@dataclass(frozen=True)
class OnTrial:
    """One paper as a table of papers shows it."""

    task: str
    field: str
    paper: Paper
    folder: Path | None
    in_short: str = ""
    committed: bool = False
    """Whether a committed study is what that is about."""
    own: tuple[Line, ...] = ()
    """The paper's own claims as the task makes them today, none of them tested."""
    scales: Mapping[str, Collection[str]] = default(default_factory=dict)
    """Claim -> the scales that hold what it needs."""
    verdicts: Mapping[str, Sequence[Line]] = default(default_factory=dict)
    """Scale -> the verdicts of the study that speaks for it, see `of_today`."""

    def judged(self, scale: str) -> list[Line]:
        """The paper's own claims with their verdicts at that scale: what the study does not have is not tested."""
        found = {line.claim: line for line in self.verdicts.get(scale, ())}
        untested = {own.claim: replace(own, scale=scale, missed=scale in self.scales.get(own.claim, ())) for own in self.own}
        return [found.get(claim, own) for claim, own in untested.items()]

    def counts(self, scale: str) -> dict[str, int]:
        """How many of the paper's own sentences have each verdict at that scale."""
        found = sentences(self.judged(scale))
        return {name: found.count(name) for name in COUNTED}


@dataclass(frozen=True)
class Judged:
    """What one study says of one task at one scale."""

    study: str
    folder: str
    lines: Sequence[Line]
    others: Sequence[Judged] = ()
    """The studies of that task and scale that do not speak for it, see `speaking`."""


@dataclass(frozen=True)
class Unread:
    """A file or a task that a table of papers cannot show, and why."""

    name: str
    why: str


def on_trial(entry: registry.Entry, verdicts: Mapping[str, Mapping[str, Sequence[Line]]]) -> OnTrial:
    """The paper of a task. TaskError where the task cannot be loaded or its README cannot be read."""
    task = registry.task_at(entry)
    claims = [claim for claim in task.claims if claim.kind == "paper"]
    own = tuple(Line(task.id, "", claim.id, "not tested", claim.kind, claim.group) for claim in claims)
    scales = {claim.id: claim.scales for claim in claims}
    return OnTrial(
        task.id, entry.field, task.paper, entry.folder, _in_short(entry), entry.committed, own, scales, verdicts.get(task.id, {})
    )


def in_short(task: str) -> str:
    """What a task's README says in short; nothing where there is none."""
    entries = registry.tasks()
    return _in_short(entries[task]) if task in entries else ""


def committed(task: str) -> bool:
    """Whether what a task's README says in short is about a committed study."""
    entries = registry.tasks()
    return task in entries and entries[task].committed


def _in_short(entry: registry.Entry) -> str:
    readme = entry.folder / "README.md" if entry.folder else None
    if readme is None or not readme.exists():
        return ""
    try:
        found = IN_SHORT.search(_HTML_COMMENT.sub("", readme.read_text()))
    except (OSError, ValueError) as error:
        raise TaskError(f"{readme} cannot be read: {error}") from None
    return " ".join(found[1].split()) if found else ""


def loaded(names: Iterable[str]) -> dict[str, Task]:
    """The tasks of these names that are installed and can be loaded."""
    entries, found = registry.tasks(), {}
    for name in names:
        with suppress(PapertrialError):
            if name in entries:
                found[name] = registry.task_at(entries[name])
    return found


def of_today(judged: Sequence[Line], tasks: Mapping[str, Task]) -> list[Line]:
    """A study's verdicts as verdicts on what the tasks claim now; of a task that is not given as they are.

    A claim whose trials were of another version or with other values than the scale's, or that has changed since, is not tested by them,
    and its reason says what they found.
    One that the task does not make any more is `GONE`. Kind and group are always those that the task says.
    """
    return [_of_today(line, tasks[line.task]) if line.task in tasks else line for line in judged]


def _of_today(line: Line, task: Task) -> Line:
    claim = next((own for own in task.claims if own.id == line.claim), None)
    if claim is None:
        return replace(line, verdict="not tested", n=0, lost=0, outdated=GONE, before=line)
    why = _difference(line, task, claim)
    if not why:
        return replace(line, kind=claim.kind, group=claim.group)
    reason = f"What the study {found_by(line)} is {why}."
    published = "" if claim.published is None else str(claim.published)
    said = {"unit": claim.unit, "holds": str(claim.holds), "source": claim.source, "statement": claim.statement, "note": claim.note}
    said |= {"task": task.id, "scale": line.scale, "claim": claim.id, "kind": claim.kind, "primary": str(claim.primary)}
    said |= {"published": published, "n": "0", "data_kind": "", "reason": reason}
    said |= {"version": line.cells.get("version", ""), "settings": line.settings}
    named = (line.task, line.scale, line.claim, "not tested", claim.kind, claim.group)
    return Line(*named, missed=line.scale in claim.scales, reason=reason, cells=said, outdated=why, before=line)


def found_by(line: Line) -> str:
    """What a study says in its own table, such as `found (reproduced, 0.3 [0.2, 0.4])`."""
    numbers = f", {line.estimate}" if line.n else ""
    return f"found ({outcome(line.kind, line.verdict)}{numbers})"


def _difference(line: Line, task: Task, claim: Claim) -> str:
    """What a row of `verdicts.csv` is of, where that is not what the task claims now; tables of before hold less to tell it by."""
    kept = line.cells
    version = kept.get("version")
    if version and version != str(task.version):
        return of_version(version, task)
    said = [
        ("statement", claim.statement, "'{}'"),
        ("holds", str(claim.holds), "it held where the estimate is {}"),
        ("unit", claim.unit, "its unit was '{}'"),
        ("asks", asks(claim), "its estimate, or what it stands on, was another"),
    ]
    for name, now, words in said:
        before = kept.get(name)
        if before is not None and before != now:
            return f"of another claim: {words.format(before)}"
    return of_settings(line.settings, line.scale) if line.settings and was_tried(line) else ""


def speaking(judged: Sequence[Sequence[Line]]) -> int:
    """The place of the study whose verdicts on one task at one scale are shown, of several, the oldest first.

    It is the one that tests most claims, of these the one with most seeds behind them, of these the newest: neither a part of a run nor one
    of a single claim hides a whole one. Everything that shows verdicts of several studies asks here.
    """
    weight = [(sum(line.verdict != "not tested" for line in own), sum(line.n for line in own)) for own in judged]
    return max(range(len(judged)), key=lambda place: (*weight[place], place))


def verdicts_in(store: str, tasks: Mapping[str, Task]) -> tuple[dict[str, dict[str, Judged]], list[Unread]]:
    """Task -> scale -> the local study that speaks for it on what the tasks claim now, and the files that cannot be read."""
    found: dict[tuple[str, str], list[Judged]] = {}
    unread = []
    for folder in studies(store):
        file = folder / "verdicts.csv"
        groups: dict[tuple[str, str], list[Line]] = {}
        try:
            for line in of_today(lines(file.read_text()), tasks):
                groups.setdefault((line.task, line.scale), []).extend([line] if line.outdated != GONE else [])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, csv.Error) as error:
            unread.append(Unread(str(file), type(error).__name__))
            continue
        for key, own in groups.items():
            found.setdefault(key, []).append(Judged(folder.name, str(folder), own))
    chosen: dict[str, dict[str, Judged]] = {}
    for (task, scale), judged in found.items():
        place = speaking([own.lines for own in judged])
        chosen.setdefault(task, {})[scale] = replace(judged[place], others=[*judged[:place], *judged[place + 1 :]])
    return chosen, unread


def by_field(papers: Sequence[OnTrial], scale: str = "laptop") -> str:
    """A Markdown table: a row a field, with its papers and how many of their own sentences have which verdict."""
    rows = ["| field | papers | reproduced | not reproduced | inconclusive | not tested |", "|---|---|---|---|---|---|"]
    for name in sorted({paper.field for paper in papers}):
        of = [paper for paper in papers if paper.field == name]
        counted = [sum(paper.counts(scale)[verdict] for paper in of) for verdict in COUNTED]
        rows.append(f"| {name} | {len(of)} | {' | '.join(map(str, counted))} |")
    return "\n".join(rows)


def by_paper(papers: Sequence[OnTrial], root: Path, scale: str = "laptop") -> str:
    """All papers by field as Markdown tables, with links relative to `root`."""
    parts = []
    for name in sorted({paper.field for paper in papers}):
        rows = [f"## {name}", "", f"| paper | {' / '.join(COUNTED)} | in short |", "|---|---|---|"]
        rows += [_row(paper, root, scale) for paper in papers if paper.field == name]
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _row(paper: OnTrial, root: Path, scale: str) -> str:
    title = _cell(paper.paper.title)
    readme = paper.folder / "README.md" if paper.folder else None
    if readme and readme.exists():
        title = f"[{title}]({Path(os.path.relpath(readme, root)).as_posix()})"
    arxiv = f"[{paper.paper.arxiv}](https://arxiv.org/abs/{paper.paper.arxiv}), {paper.paper.year}"
    counted = " / ".join(map(str, paper.counts(scale).values())) if scale in paper.verdicts else "no study"
    return f"| {title} ({arxiv}), `{paper.task}` | {counted} | {_cell(paper.in_short)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
