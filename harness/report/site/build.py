"""From what was gathered to a folder of pages."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import registry
from harness.papers import COUNTED, IN_SHORT_SCALE, OnTrial
from harness.report.logarithms import interval_undone
from harness.report.pages import SHADES, environment
from harness.report.site.gather import ClaimRow, Gathered, Run
from harness.report.tables import csv_text, heading
from harness.report.verdicts import CHANCE, HEADINGS, HOW, RULE, published_number, region
from harness.rerun import seed_words
from harness.store import write_file
from harness.tally import KINDS, by_sentence, counts, interval_of, number_or_none, outcome, plural, sentences, was_tried
from harness.task import SCALES

TEMPLATES = Path(__file__).parent
FLAT = (
    *("study", "started", "device", "commit", "dirty", "task", "field", "arxiv", "year", "claim", "kind", "group", "primary", "verdict"),
    *(
        "estimate",
        "low",
        "high",
        "n",
        "lost",
        "unit",
        "holds",
        "published",
        "scale",
        "data_kind",
        "decides",
        "source",
        "statement",
        "reason",
        "version",
        "outdated",
        "settings",
    ),
)
"""Columns of the flat table over everything."""


def build(found: Gathered, out: Path, reports: Mapping[str, str] | None = None) -> list[Path]:
    """Write the site into `out`; returns its files. `reports` are HTML reports of studies by name, to be put beside it."""
    pages = environment(TEMPLATES)
    pages.globals |= {"bar": _bar, "plural": plural}
    latest = found.latest
    written = [
        _write(out / "style.css", SHADES.read_text() + (TEMPLATES / "style.css").read_text()),
        _write(out / "site.js", (TEMPLATES / "site.js").read_text()),
    ]
    for name, text in (reports or {}).items():
        written.append(_write(out / "studies" / f"{name}.html", text))
    shared = {"reports": set(reports or {}), "rule": RULE, "chance": CHANCE, "how": HOW, "headings": HEADINGS}

    def page(name: str, template: str, root: str = "", **values: Any) -> None:
        written.append(_write(out / name, pages.get_template(template).render(root=root, **shared, **values)))

    totals = Counter[str]()
    for paper in found.papers:
        for scale in paper.verdicts:
            totals.update(paper.counts(scale))
    shown = [(name, totals[name]) for name in COUNTED]
    page("index.html", "index.html", fields=_fields(found), totals=shown, unread=found.unread, studies=len(found.runs), claims=len(latest))
    page("claims.html", "claims.html", rows=_index(found))
    page("methods.html", "methods.html", methods=_methods(found))
    for paper in found.papers:
        parts = _parts(found, paper, latest)
        page(f"papers/{paper.task}.html", "paper.html", "../", paper=paper, parts=parts, in_short_scale=IN_SHORT_SCALE)
    written.append(_write(out / "claims.csv", flat_csv(found)))
    written.append(_parquet(out / "claims.parquet", found))
    return written


def flat(found: Gathered) -> list[dict[str, Any]]:
    """A row a claim and study, over everything, as the study says it; numbers are numbers, what is not known is None.

    `outdated` says of which claim or version it is where that is not today's.
    """
    papers = {paper.task: paper for paper in found.papers}
    numbers = {"estimate", "low", "high", "n", "lost", "published"}
    rows = []
    for row in found.claims:
        paper = papers.get(row.line.task)
        known: dict[str, Any] = {
            **{name: row.kept.cells.get(name, "") for name in FLAT},
            "study": row.run.study,
            "started": row.run.started,
            "device": row.run.device,
            "commit": row.run.commit,
            "dirty": row.run.dirty,
            "field": paper.field if paper else "",
            "arxiv": paper.paper.arxiv if paper else "",
            "year": paper.paper.year if paper else None,
            "verdict": row.kept.verdict,
            "primary": row.kept.cells.get("primary") == "True",
            "outdated": row.line.outdated,
        }
        rows.append({name: number_or_none(value) if name in numbers else value for name, value in known.items()})
    return rows


def flat_csv(found: Gathered) -> str:
    """The flat table as CSV."""
    return csv_text(FLAT, ([("" if row[name] is None else row[name]) for name in FLAT] for row in flat(found)))


def _parquet(path: Path, found: Gathered) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(flat(found)), path)
    return path


def _write(path: Path, text: str) -> Path:
    return Path(write_file(path, text))


def _fields(found: Gathered) -> list[tuple[str, list[dict[str, Any]]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for paper in found.papers:
        scales = [(scale, paper.counts(scale), _controls(paper, scale)) for scale in SCALES if scale in paper.verdicts]
        rows.setdefault(paper.field, []).append({"paper": paper, "scales": scales})
    return sorted(rows.items())


def _controls(paper: OnTrial, scale: str) -> str:
    """What is ours, by verdict in words: sentences of controls, checks and extensions."""
    found = Counter[str]()
    for kind in KINDS[1:]:
        found.update(sentences([line for line in paper.verdicts[scale] if line.kind == kind]))
    return ", ".join(f"{found[name]} {plural(outcome('control', name), found[name])}" for name in COUNTED if found[name])


def _bar(found: Mapping[str, int]) -> list[tuple[str, int]]:
    """(verdict, count) of those that are there."""
    return [(name, found[name]) for name in COUNTED if found.get(name)]


def _index(found: Gathered) -> list[list[str]]:
    """A row a claim as the list of all claims shows and searches it, by paper and scale, in the order of the task."""
    rows = []
    for row in sorted(found.latest.values(), key=lambda row: (row.line.task, _place(row.line.scale))):
        line = row.line
        rows.append(
            [
                line.task,
                line.scale,
                line.claim,
                line.kind,
                outcome(line.kind, line.verdict),
                line.estimate,
                _holds(row),
                row.cells["statement"],
                _published(row),
                "primary" if _primary(row) else "",
            ]
        )
    return rows


def _place(scale: str) -> int:
    """Of a scale among all, the smallest first; of one that is not known any more behind them."""
    return SCALES.index(scale) if scale in SCALES else len(SCALES)


def _primary(row: ClaimRow) -> bool:
    return row.cells.get("primary") == "True"


def _holds(row: ClaimRow) -> str:
    return region(row.cells["holds"] or "", row.cells.get("unit") or "")


def _published(row: ClaimRow) -> str:
    return published_number(number_or_none(row.cells.get("published") or ""), row.cells.get("unit") or "")


def _parts(found: Gathered, paper: OnTrial, latest: Mapping[tuple[str, str, str], ClaimRow]) -> list[dict[str, Any]]:
    """A part a scale: its study, its claims by kind, and what each claim was in earlier studies."""
    parts = []
    for scale in (name for name in SCALES if name in paper.verdicts):
        rows = {line.claim: latest[paper.task, scale, line.claim] for line in paper.verdicts[scale]}
        kinds = []
        for kind in KINDS:
            own = [row.line for row in rows.values() if row.line.kind == kind]
            if own:
                shown = [
                    {"word": outcome(kind, verdict), "group": lines[0].group, "claims": [_claim(found, rows[line.claim]) for line in lines]}
                    for verdict, lines in by_sentence(own)
                ]
                kinds.append((kind, counts(kind, own), shown))
        runs: dict[int, Run] = {id(other.run): other.run for row in rows.values() for other in found.histories[row.key]}
        oldest_first = sorted(runs.values(), key=lambda run: run.started)
        task, speaker = registry.task(paper.task), found.speakers[paper.task, scale]
        again = ["papertrial", "run", paper.task, "--scale", scale, *seed_words(task, scale, speaker.seeds)]
        parts.append({"scale": scale, "kinds": kinds, "runs": oldest_first, "again": shlex.join(again)})
    return parts


def _claim(found: Gathered, row: ClaimRow) -> dict[str, Any]:
    others = [other for other in found.histories[row.key] if other is not row]
    past = [(other.run, outcome(other.kept.kind, other.kept.verdict), _past(other)) for other in others]
    interval = interval_of(row.cells)
    return {
        "cells": row.cells,
        "word": outcome(row.line.kind, row.line.verdict),
        "primary": _primary(row),
        "shown": row.line.estimate,
        "undone": interval_undone(interval, row.cells.get("unit") or "") if interval else "",
        "holds": _holds(row),
        "published": _published(row),
        "past": past,
        "tried": was_tried(row.line),
    }


def _past(row: ClaimRow) -> str:
    """The estimate of an earlier study, and of what it is where that is not today's claim."""
    return f"{row.kept.estimate}, {row.line.outdated}" if row.line.outdated else row.kept.estimate


def _methods(found: Gathered) -> list[tuple[str, list[dict[str, Any]]]]:
    """Methods that several papers have, each with its place in the number that ranks an experiment, of the study that speaks."""
    boards: dict[tuple[str, str, str], list[Mapping[str, str]]] = {}
    for row in found.methods:
        cells = row.cells
        speaks = row.run is found.speakers.get((cells["task"], cells["scale"]))
        if speaks and not cells.get("cell") and cells.get("rank_low"):
            boards.setdefault((cells["task"], cells["scale"], cells["experiment"]), []).append(cells)
    places: dict[str, list[dict[str, Any]]] = {}
    for key in sorted(boards, key=lambda key: (key[0], _place(key[1]))):
        ranking = _ranking(boards[key])
        ranked = [cells for cells in boards[key] if cells["statistic"] == ranking]
        for cells in ranked:
            places.setdefault(cells["method"], []).append(_standing(cells, len(ranked)))
    several = {name: rows for name, rows in places.items() if len({row["cells"]["task"] for row in rows}) > 1}
    return sorted(several.items())


def _ranking(rows: Sequence[Mapping[str, str]]) -> str:
    """The statistic that ranks a board: the one that says how far behind the best a method is, else the first that can be better."""
    behind = (cells["statistic"] for cells in rows if cells.get("difference"))
    return next(behind, next((cells["statistic"] for cells in rows if cells.get("better") != "none"), rows[0]["statistic"]))


def _standing(cells: Mapping[str, str], of: int) -> dict[str, Any]:
    """A method's place among so many, with the number that ranks it."""
    low, high = (int(float(cells[name])) for name in ("rank_low", "rank_high"))
    interval = interval_of(cells)
    return {
        "cells": cells,
        "rank": f"{low if low == high else f'{low}–{high}'} of {of}",
        "statistic": heading(cells["statistic"], cells.get("unit") or "", cells.get("better") or ""),
        "shown": "–" if interval is None else str(interval),
    }
