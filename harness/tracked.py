"""What MLflow is told of a study: names, tags, metrics, and a digest of it all."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from harness.estimates import Mean
from harness.evidence import Evidence
from harness.leaderboard import Board, Row, equal_cells
from harness.report import sentences, tables
from harness.stats import Interval, seed_interval
from harness.verdict import Verdict

if TYPE_CHECKING:
    from harness.study import Study


def digest(evidence: Evidence, ranked: Board, verdicts: list[Verdict]) -> str:
    """A name of everything that a publication says: the records, and what today's claims make of them."""
    records = evidence.study.records(evidence.task, evidence.scale).sort_values("trial_id").to_csv(index=False)
    return sha(records, tables.leaderboard_csv([ranked]), tables.verdicts_csv(verdicts))


def sha(*texts: str) -> str:
    """16 hexadecimal digits over `texts`."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def parent_tags(study: Study, evidence: Evidence, verdicts: list[Verdict]) -> dict[str, str]:
    """Tags of the run of one task: what it is, where it came from, and a verdict a claim."""
    frame = study.records(evidence.task, evidence.scale)
    commits = sorted(set(frame["git_commit"].dropna()) - {""})
    tags = {
        "papertrial.study": study.name,
        "papertrial.store": study.store.uri,
        "papertrial.task_version": str(evidence.task.version),
        "papertrial.scale": evidence.scale,
        "papertrial.data_kind": evidence.data_kind(),
        "papertrial.git_dirty": str(bool((frame["git_dirty"] == True).any())).lower(),  # noqa: E712 - an object column after a mixed read
        "mlflow.source.name": "papertrial",
        "mlflow.note.content": f"{sentences.tally(verdicts)}. {sentences.caution(verdicts)}",
        **{f"verdict.{v.claim}": v.verdict for v in verdicts},
    }
    return tags | ({"mlflow.source.git.commit": ", ".join(commits)} if commits else {})


def metrics(evidence: Evidence, row: Row) -> dict[str, float]:
    """Statistics with their intervals; means of the metrics too where every method has the same cells, so that runs can be compared."""
    found: dict[str, float] = {"trials_ok": row.trials_ok, "trials_failed": row.trials_failed}
    for name, entry in row.entries.items():
        found |= _spread(name, entry.interval) | {f"{name}.lost_seeds": entry.lost}
    for metric in evidence.task.metrics if equal_cells(evidence) else ():
        found |= _spread(f"mean.{metric.name}", seed_interval(list(evidence.per_seed(Mean(metric.name), row.method).values.values())))
    return found


def _spread(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}.low": interval.low, f"{name}.high": interval.high}


def allowed(name: str) -> str:
    """`name` with `_` for every character that MLflow refuses in the name of a metric or tag (and for `/`, which nests)."""
    return re.sub(r"[^A-Za-z0-9_\-. :]", "_", name)[:240]
