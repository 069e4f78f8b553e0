"""From what was gathered to a folder of pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.papers import COUNTED, OnTrial
from harness.report.pages import SHADES, environment
from harness.report.site.gather import ClaimRow, Gathered, Run
from harness.report.tables import csv_text
from harness.report.verdicts import HOW, RULE
from harness.store import write_file
from harness.tally import KINDS, number_or_none, outcome, plural, sentences
from harness.task import SCALES

if TYPE_CHECKING:
    pass

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
    ),
)
"""Columns of the flat table over everything."""


def build(found: Gathered, out: Path, reports: Mapping[str, str] | None = None) -> list[Path]:
    """Write the site into `out`; returns its files. `reports` are HTML reports of studies by name, to be put beside it."""
    pages = environment(TEMPLATES)
    pages.globals |= {"word": outcome, "bar": _bar, "plural": plural}
    latest = found.latest
    written = [
        _write(out / "style.css", SHADES.read_text() + (TEMPLATES / "style.css").read_text()),
        _write(out / "site.js", (TEMPLATES / "site.js").read_text()),
    ]
    for name, text in (reports or {}).items():
        written.append(_write(out / "studies" / f"{name}.html", text))
    shared = {"reports": set(reports or {}), "scales": SCALES, "counted": COUNTED, "rule": RULE, "how": HOW}

    def page(name: str, template: str, root: str = "", **values: Any) -> None:
        written.append(_write(out / name, pages.get_template(template).render(root=root, **shared, **values)))

    page("index.html", "index.html", fields=_fields(found), unread=found.unread, studies=len(found.runs), claims=len(latest))
    page("claims.html", "claims.html", rows=_index(found))
    methods = _methods(found)
    page("methods.html", "methods.html", methods=methods)
    for paper in found.papers:
        page(f"papers/{paper.task}.html", "paper.html", "../", paper=paper, parts=_parts(found, paper, latest))
    written.append(_write(out / "claims.csv", flat_csv(found)))
    written.append(_parquet(out / "claims.parquet", found))
    return written


def flat(found: Gathered) -> list[dict[str, Any]]:
    """A row a claim and study, over everything; numbers are numbers, what is not known is None."""
    papers = {paper.task: paper for paper in found.papers}
    numbers = {"estimate", "low", "high", "n", "lost", "published"}
    rows = []
    for row in found.claims:
        paper = papers.get(row.line.task)
        known: dict[str, Any] = {
            **{name: row.cells.get(name, "") for name in FLAT},
            "study": row.run.study,
            "started": row.run.started,
            "device": row.run.device,
            "commit": row.run.commit,
            "dirty": row.run.dirty,
            "field": paper.field if paper else "",
            "arxiv": paper.paper.arxiv if paper else "",
            "year": paper.paper.year if paper else None,
            "verdict": row.line.verdict,
            "primary": row.cells.get("primary") == "True",
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
    """What is ours, by verdict in words: controls, checks and extensions."""
    found = Counter(line.verdict for line in paper.verdicts[scale] if line.kind != "paper")
    return ", ".join(f"{found[name]} {plural(outcome('control', name), found[name])}" for name in COUNTED if found[name])


def _bar(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """(verdict, count, share in per cent) of those that are there."""
    total = sum(counts.values())
    return [(name, counts[name], 100 * counts[name] / total) for name in COUNTED if counts.get(name)]


def _index(found: Gathered) -> list[list[str]]:
    """A row a claim as the list of all claims shows and searches it."""
    rows = []
    for row in found.latest.values():
        line = row.line
        rows.append(
            [
                line.task,
                line.scale,
                line.claim,
                line.kind,
                outcome(line.kind, line.verdict),
                row.line.estimate,
                row.cells["holds"],
                row.cells["statement"],
            ]
        )
    return rows


def _parts(found: Gathered, paper: OnTrial, latest: Mapping[tuple[str, str, str], ClaimRow]) -> list[dict[str, Any]]:
    """A part a scale: its study, its claims by kind, and what each claim was in earlier studies."""
    parts = []
    for scale in (name for name in SCALES if name in paper.verdicts):
        rows = [latest[paper.task, scale, line.claim] for line in paper.verdicts[scale]]
        kinds = []
        for kind in KINDS:
            own = [row for row in rows if row.line.kind == kind]
            if own:
                kinds.append((kind, Counter(sentences([row.line for row in own])), [_claim(found, row) for row in own]))
        runs: dict[int, Run] = {id(other.run): other.run for row in rows for other in found.histories[row.key]}
        oldest_first = sorted(runs.values(), key=lambda run: run.started)
        parts.append({"scale": scale, "kinds": kinds, "runs": oldest_first})
    return parts


def _claim(found: Gathered, row: ClaimRow) -> dict[str, Any]:
    others = [other for other in found.histories[row.key] if other is not row]
    past = [(other.run, outcome(other.line.kind, other.line.verdict), other.line.estimate) for other in others]
    return {"row": row, "cells": row.cells, "shown": row.line.estimate, "word": outcome(row.line.kind, row.line.verdict), "past": past}


def _methods(found: Gathered) -> list[tuple[str, list[dict[str, Any]]]]:
    """Methods that several papers have, each with its place in the ranking number of every experiment, of the study that speaks."""
    places: dict[str, dict[tuple[str, str, str], dict[str, Any]]] = {}
    fields: Sequence[str] = ("task", "scale", "experiment")
    for row in found.methods:
        cells = row.cells
        speaks = row.run is found.speakers.get((cells["task"], cells["scale"]))
        if not speaks or cells.get("cell") or not cells.get("rank_low"):
            continue
        key = tuple(cells[name] for name in fields)
        own = places.setdefault(cells["method"], {})
        own.setdefault(key, {"cells": cells, "run": row.run, "rank": _rank(cells)})  # type: ignore[arg-type]
    several = {name: list(own.values()) for name, own in places.items() if len({key[0] for key in own}) > 1}
    return sorted(several.items())


def _rank(cells: Mapping[str, str]) -> str:
    low, high = (int(float(cells[name])) for name in ("rank_low", "rank_high"))
    return str(low) if low == high else f"{low}–{high}"
