"""What the pages show: every claim and every method of every study that can be read, from its tables alone. No records are judged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness import registry
from harness.errors import PapertrialError, StoreError
from harness.papers import GONE, OnTrial, Unread, loaded, of_today, on_trial, speaking
from harness.store import ENV, PLAN, StudyStore, open_study, studies
from harness.tally import Line, lines

_RECORD_COLUMNS = ["trial_id", "started", "git_commit", "git_dirty", "device", "seconds"]


@dataclass(frozen=True)
class Run:
    """One study: when, on what, of which code."""

    study: str
    folder: str
    started: str
    """Date of its first trial, ISO."""
    device: str
    commit: str
    dirty: bool
    seeds: frozenset[int]
    """Of all its trials."""
    trials: int
    recorded: int
    """Of these trials: records of others, such as of an older version, are not counted."""
    seconds: float
    command: str


@dataclass(frozen=True)
class ClaimRow:
    """One claim in one study."""

    run: Run
    line: Line
    """What the study says of what is claimed today, see `papers.of_today`."""

    @property
    def cells(self) -> Mapping[str, str]:
        """The row of `verdicts.csv`; of a verdict on something else, what is claimed today."""
        return self.line.cells

    @property
    def kept(self) -> Line:
        """The line as the study has it."""
        return self.line.before or self.line

    @property
    def key(self) -> tuple[str, str, str]:
        """What its history is over: task, scale, claim."""
        return self.line.task, self.line.scale, self.line.claim


@dataclass(frozen=True)
class MethodRow:
    """A method's ranking number in one experiment of one study."""

    run: Run
    cells: Mapping[str, str]
    """A row of `leaderboard.csv`."""


@dataclass(frozen=True)
class Gathered:
    """All studies, and the papers that they are of."""

    papers: Sequence[OnTrial]
    runs: Sequence[Run]
    """Oldest first."""
    claims: Sequence[ClaimRow]
    """All of all studies, oldest study first."""
    methods: Sequence[MethodRow]
    unread: Sequence[Unread] = field(default_factory=list)

    @cached_property
    def latest(self) -> dict[tuple[str, str, str], ClaimRow]:
        """The claims of the study that speaks for each task and scale, without those that no task makes any more."""
        return {row.key: row for row in self.claims if row.run is self.speakers[row.key[:2]] and row.line.outdated != GONE}

    @cached_property
    def speakers(self) -> Mapping[tuple[str, str], Run]:
        """(task, scale) -> the study that speaks for it."""
        groups: dict[tuple[str, str], dict[int, list[ClaimRow]]] = {}
        for row in self.claims:
            groups.setdefault(row.key[:2], {}).setdefault(id(row.run), []).append(row)
        judged = {key: list(own.values()) for key, own in groups.items()}
        return {key: own[speaking([[row.line for row in rows] for rows in own])][0].run for key, own in judged.items()}

    @cached_property
    def histories(self) -> Mapping[tuple[str, str, str], Sequence[ClaimRow]]:
        """Each claim over all studies, oldest first."""
        found: dict[tuple[str, str, str], list[ClaimRow]] = {}
        for row in self.claims:
            found.setdefault(row.key, []).append(row)
        return found


def gather(stores: Sequence[str]) -> Gathered:
    """Read the studies of folders that hold studies, and studies named themselves. UsageError where one of these is neither."""
    folders = list(dict.fromkeys(folder for store in stores for folder in _folders(store)))
    runs, methods, unread = [], [], []
    kept: list[tuple[Run, Line]] = []
    for store in folders:
        try:
            run, judged, rows = _read(store)
        except (PapertrialError, OSError, ValueError, KeyError, csv.Error) as error:
            unread.append(Unread(store.name, f"{type(error).__name__}: {error}"[:200]))
            continue
        runs.append(run)
        kept += [(run, line) for line in judged]
        methods += [MethodRow(run, cells) for cells in rows]
    today = of_today([line for _, line in kept], loaded({line.task for _, line in kept}))
    claims = [ClaimRow(run, line) for (run, _), line in zip(kept, today, strict=True)]
    place = {id(run): (run.started, run.study) for run in runs}
    claims.sort(key=lambda row: place[id(row.run)])
    found = Gathered([], sorted(runs, key=lambda run: (run.started, run.study)), claims, methods, unread)
    papers, lost = _papers(found)
    return Gathered(papers, found.runs, found.claims, found.methods, [*unread, *lost])


def _folders(store: str) -> Iterable[StudyStore]:
    inside = [] if "://" in store else studies(store)
    if inside:
        return [StudyStore(str(folder.parent), folder.name) for folder in inside]
    return [open_study(store)]


def _read(store: StudyStore) -> tuple[Run, list[Line], list[dict[str, str]]]:
    try:
        judged = lines(store.read_bytes("verdicts.csv").decode())
    except FileNotFoundError:
        raise StoreError("it has no verdicts yet: run it, or `papertrial report` it") from None
    rows = list(csv.DictReader(io.StringIO(store.read_bytes("leaderboard.csv").decode())))
    plan = json.loads(store.read_bytes(PLAN))
    env = json.loads(store.read_bytes(ENV)) if store.exists(ENV) else {}
    folder = store.local("")
    return (
        Run(
            study=store.name,
            folder=str(folder) if folder else store.uri,
            seeds=frozenset(trial["seed"] for trial in plan["trials"]),
            trials=len(plan["trials"]),
            command=" ".join(env.get("command", [])),
            **_facts(store, {trial["id"] for trial in plan["trials"]}),
        ),
        judged,
        rows,
    )


def _facts(store: StudyStore, planned: Set[str]) -> dict[str, Any]:
    """Dates, hardware and code, of the tables of records, and how many of the `planned` trials are there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pq.read_table(pa.BufferReader(store.read_bytes(name)), columns=_RECORD_COLUMNS) for name in store.names("trials")]
    rows = pa.concat_tables(tables, promote_options="default").to_pydict() if tables else {name: [] for name in _RECORD_COLUMNS}
    commits = [text for text in rows["git_commit"] if text]
    devices = list(dict.fromkeys(text for text in rows["device"] if text))
    return {
        "started": min((str(text) for text in rows["started"] if text), default="")[:10],
        "device": ", ".join(devices),
        "commit": max(set(commits), key=commits.count) if commits else "",
        "dirty": any(rows["git_dirty"]),
        "recorded": sum(id in planned for id in rows["trial_id"]),
        "seconds": float(sum(seconds for seconds in rows["seconds"] if seconds is not None and seconds == seconds)),
    }


def _papers(found: Gathered) -> tuple[list[OnTrial], list[Unread]]:
    """The papers of the studies that are still on trial, with the verdicts that speak for each scale."""
    verdicts: dict[str, dict[str, list[Line]]] = {}
    for row in found.latest.values():
        verdicts.setdefault(row.line.task, {}).setdefault(row.line.scale, []).append(row.line)
    papers, lost = [], []
    entries = registry.tasks()
    for task in sorted(verdicts, key=lambda name: (entries[name].field if name in entries else "", name)):
        if task not in entries:
            lost.append(Unread(task, "no task of that name is installed"))
            continue
        try:
            papers.append(on_trial(entries[task], verdicts))
        except PapertrialError as error:
            lost.append(Unread(task, str(error)))
    return papers, lost
