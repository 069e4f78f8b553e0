"""Where a study's numbers come from: data, code, machines, the trials that did not end well, and what makes numbers hard to compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.causes import cause
from harness.durations import duration
from harness.kinds import text
from harness.provenance import other_sources
from harness.tally import of_version

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Study

MOST_FAILURES = 200
LONGEST_TRACEBACK = 3000
"""Characters of an error that a report holds: its end says what happened."""


@dataclass(frozen=True)
class Data:
    """A data set that trials read."""

    name: str
    kind: str
    fingerprint: str
    trials: int
    notes: Sequence[str] = ()
    """What of its files was left out and why."""


@dataclass(frozen=True)
class Provenance:
    """What a reader needs in order to trace or repeat a study."""

    facts: Sequence[tuple[str, str]]
    """(what, value), in the order in which they are shown."""
    warnings: Sequence[str]
    data: Sequence[Data]
    dates: str


@dataclass(frozen=True)
class Failure:
    """A trial that did not end `ok`."""

    trial_id: str
    experiment: str
    method: str
    seed: int
    params: str
    status: str
    error: str
    """What it says, in a sentence."""
    traceback: str
    """All of it, bounded."""


def provenance(study: Study) -> Provenance:
    """The distinct origins of the study's records."""
    frame = study.frame
    statuses = ", ".join(f"{count:,} {status}" for status, count in frame["status"].astype(object).value_counts().items())
    facts = [
        ("records", f"{len(frame):,} of {len(study.plan):,} planned trials ({statuses})" if statuses else f"none of {len(study.plan):,}"),
        ("total trial time", duration(float(frame["seconds"].sum()))),
        ("commit", ", ".join(_commits(frame))),
        ("source digest", "; ".join(f"{task}: {', '.join(found)}" for task, found in _digests(frame).items())),
        ("measured by another source", " ".join(f"{sentence}." for sentence in of_other_sources(study))),
        ("versions", "; ".join(_versions(frame))),
        ("device", ", ".join(_distinct(frame, "device"))),
        ("host", ", ".join(_distinct(frame, "host"))),
        ("kernel backend", ", ".join(_distinct(frame, "kernel_backend"))),
        ("driver", ", ".join(str(study.env[key]) for key in ("cpu", "platform") if key in study.env)),
        ("command", " ".join(study.env.get("command", ()))),
    ]
    days = sorted({text[:10] for text in _distinct(frame, "started")})
    dates = "no records yet" if not days else days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return Provenance([(what, value) for what, value in facts if value], warnings(study), _data(frame), dates)


def failures(study: Study) -> tuple[list[Failure], int]:
    """The first trials that did not end well, and how many there are in all."""
    bad = study.frame[study.frame["status"] != "ok"].sort_values(["task", "experiment", "status", "method", "seed"], kind="stable")
    given = {trial.id: trial.params for trial in study.plan}
    return [_failure(row, given[row["trial_id"]]) for row in bad.head(MOST_FAILURES).to_dict("records")], len(bad)


def _failure(row: Mapping[Any, Any], given: Mapping[str, Any]) -> Failure:
    params = ", ".join(f"{name} = {text(value)}" for name, value in given.items())
    whole = str(row["error"] or "").strip()
    traceback = whole if len(whole) <= LONGEST_TRACEBACK else f"...\n{whole[-LONGEST_TRACEBACK:]}"
    place = f"{row['task']}, {row['experiment']}"
    return Failure(row["trial_id"], place, row["method"], int(row["seed"]), params, row["status"], cause(whole), traceback)


def _distinct(frame: pd.DataFrame, column: str) -> list[str]:
    return sorted(str(value) for value in frame[column].dropna().unique() if value != "")


def _commits(frame: pd.DataFrame) -> list[str]:
    pairs = frame[["git_commit", "git_dirty"]].drop_duplicates().itertuples(index=False)
    return sorted(f"{commit[:12]}{' with uncommitted changes' if dirty else ''}" for commit, dirty in pairs if commit)


def _digests(frame: pd.DataFrame) -> dict[str, list[str]]:
    found = frame[frame["source_digest"] != ""].groupby("task", observed=True)["source_digest"].unique()
    return {str(task): sorted(digests) for task, digests in found.items()}


def of_other_sources(study: Study) -> list[str]:
    """A sentence for each task of whose records at today's version some were measured by another source than today's."""
    counted = study.frame.groupby(["task", "version", "source_digest"], observed=True).size().reset_index(name="count")
    rows = counted.itertuples(index=False, name=None)
    return other_sources({(task, version, digest): n for task, version, digest, n in rows if version == study.tasks[task].version})


def _versions(frame: pd.DataFrame) -> list[str]:
    sets = [json.loads(text) for text in _distinct(frame, "versions")]
    return [", ".join(f"{name} {version}" for name, version in found.items()) for found in sets]


def _data(frame: pd.DataFrame) -> list[Data]:
    counts = frame.groupby(["data_name", "data_kind", "data_fingerprint", "data_notes"], observed=True).size()
    return [_data_set(key, int(count)) for key, count in counts.items()]


def _data_set(key: Any, trials: int) -> Data:
    name, kind, fingerprint, notes = key
    return Data(name or "made by the experiment", kind, fingerprint, trials, notes.splitlines())


def warnings(study: Study) -> list[str]:
    """What of a study was damaged, and what it mixes that makes its numbers hard to compare or to repeat."""
    found, frame = list(study.damages), study.frame
    for note, count in frame.loc[frame["notes"] != "", "notes"].value_counts().items():
        found.append(f"{count} of the trials {str(note).replace(chr(10), '; ')}.")
    for id, own in study.tasks.items():
        if (version := study.versions(id)) != str(own.version):
            found.append(f"The trials of {id} are {of_version(version, own)}.")
    for task, digests in _digests(frame).items():
        if len(digests) > 1:
            found.append(f"The trials of {task} ran on {len(digests)} different versions of its source ({', '.join(digests)}).")
    if len(_versions(frame)) > 1:
        found.append("The trials ran with different library versions.")
    if len(_distinct(frame, "git_commit")) > 1:
        found.append("The trials ran at different commits.")
    if bool((frame["git_dirty"] == True).any()):  # noqa: E712 - an object column after a mixed read
        found.append("Some trials ran with uncommitted changes: their commit does not say all of the code.")
    if len(_distinct(frame, "device")) > 1:
        found.append("The trials ran on different devices: seconds are not comparable, and numbers may differ in the last digits.")
    if len(_distinct(frame, "kernel_backend")) > 1:
        found.append("The trials used different kernel backends.")
    return found
