"""A study in MLflow: written by the driver alone, after the records are safe, and the same however often it is published."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import PapertrialError
from harness.evidence import Evidence
from harness.frames import to_parquet
from harness.judgement import Judgement, Ruling
from harness.leaderboard import Board, Row, equal_cells
from harness.report import tables
from harness.stats import Interval, seed_interval

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY, DIGEST, PARENT = "papertrial.key", "papertrial.content", "mlflow.parentRunId"
_QUIET = {
    # MLflow reads these when it is imported or used; a user's own value stands.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


class TrackingError(PapertrialError):
    """MLflow did not take the study. Its records are safe, and `papertrial publish` tries again."""


def publish(judgement: Judgement, tracking_uri: str, files: Mapping[str, str]) -> str:
    """One parent run a (task, scale) with one child an (experiment, method); returns the parents' run ids, joined by spaces.

    What is already there with the same content stays untouched; an older version of the study is deleted once the new one is whole.
    `files` are the report's files, name -> path. Raises TrackingError, whatever went wrong inside MLflow.
    """
    try:
        client = connect(tracking_uri)
        return " ".join(_publish_task(client, tracking_uri, ruling, files) for ruling in judgement.rulings)
    except PapertrialError:
        raise
    except Exception as error:
        detail = re.sub(r"//[^/@\s]*@", "//", (str(error).strip() or type(error).__name__).splitlines()[0])
        where = re.sub(r"//[^/@\s]*@", "//", tracking_uri)
        raise TrackingError(f"MLflow at {where} did not take study {judgement.study.name}: {detail[:200]}") from error


def connect(tracking_uri: str) -> MlflowClient:
    """A client that says nothing and reports to nobody."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri, tracking_uri)


def _publish_task(client: MlflowClient, uri: str, ruling: Ruling, files: Mapping[str, str]) -> str:
    evidence = ruling.evidence
    study, task, scale = evidence.study, evidence.task, evidence.scale
    experiment = experiment_id(client, uri, f"papertrial/{task.id}")
    key = sha(study.name, study.store.uri, task.id, scale)
    content = digest(ruling)
    before = find_runs(client, experiment, KEY, key)
    for run in before:
        if run.data.tags.get(DIGEST) == content:
            return str(run.info.run_id)
    parent = create_run(client, experiment, study.name, {KEY: key, **parent_tags(ruling)})
    for board in ruling.boards:
        for row in board.rows:
            _child(client, experiment, parent, evidence, board, row)
    _artifacts(client, parent, evidence, files)
    client.set_terminated(parent)
    # The digest comes last: a run without one was cut short, and the next publication replaces it.
    client.set_tag(parent, DIGEST, content)
    for run in before:
        for child in find_runs(client, experiment, PARENT, run.info.run_id):
            client.delete_run(child.info.run_id)
        client.delete_run(run.info.run_id)
    return parent


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """The id of the experiment `name`, made or brought back when it is not there."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, _artifact_location(uri)))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _artifact_location(uri: str) -> str | None:
    """`mlartifacts` beside a SQLite file, so that the folder can be moved as one; elsewhere the server knows best."""
    if not uri.startswith("sqlite:///"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts").as_uri()


def find_runs(client: MlflowClient, experiment: str, tag: str, value: str) -> list[Any]:
    """All runs of an experiment whose `tag` is `value`."""
    found, token = [], None
    while True:
        page = client.search_runs([experiment], f"tags.`{tag}` = '{value}'", page_token=token)
        found += list(page)
        token = page.token
        if not token:
            return found


def create_run(client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    """A new run's id."""
    safe = {allowed(key): text[:5000] for key, text in tags.items()}
    return str(client.create_run(experiment, run_name=name, tags=safe).info.run_id)


def _child(client: MlflowClient, experiment: str, parent: str, evidence: Evidence, board: Board, row: Row) -> None:
    from mlflow.entities import Metric, Param

    tags = {PARENT: parent, "papertrial.role": row.role, "papertrial.scale": evidence.scale, "papertrial.experiment": board.experiment}
    name = row.method if len(evidence.experiments) == 1 else f"{board.experiment}: {row.method}"
    run = create_run(client, experiment, name, tags)
    seeds = evidence.planned_of(board.experiment)["seed"].nunique()
    params = {"experiment": board.experiment, "method": row.method, "role": row.role, "scale": evidence.scale, "seeds": seeds}
    values = {name: value for name, value in metrics(evidence, board, row).items() if abs(value) < float("inf")}
    client.log_batch(run, [Metric(allowed(k), v, 0, 0) for k, v in values.items()], [Param(k, str(v)) for k, v in params.items()])
    client.set_terminated(run)


def _artifacts(client: MlflowClient, parent: str, evidence: Evidence, files: Mapping[str, str]) -> None:
    store = evidence.study.store
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            if name.startswith("plots/") and not name.startswith(f"plots/{evidence.task.id}-{evidence.scale}-"):
                continue
            path = store.local(name)
            if path is None:
                path = Path(folder) / Path(name).name
                path.write_bytes(store.read_bytes(name))
            client.log_artifact(parent, str(path), str(Path(name).parent) if "/" in name else None)
        trials = Path(folder) / f"{evidence.task.id}.parquet"
        trials.write_bytes(to_parquet(evidence.study.records(evidence.task, evidence.scale)))
        client.log_artifact(parent, str(trials), "trials")


def digest(ruling: Ruling) -> str:
    """A name of everything that a publication says: the records, and what today's claims make of them."""
    evidence = ruling.evidence
    records = evidence.study.records(evidence.task, evidence.scale).sort_values("trial_id").to_csv(index=False)
    return sha(records, tables.leaderboard_csv(ruling.boards), tables.verdicts_csv(ruling.verdicts))


def sha(*texts: str) -> str:
    """16 hexadecimal digits over `texts`."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def parent_tags(ruling: Ruling) -> dict[str, str]:
    """Tags of the run of one task: what it is, where it came from, and a verdict a claim."""
    evidence, verdicts = ruling.evidence, ruling.verdicts
    study = evidence.study
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
        "mlflow.note.content": f"{tables.tally(verdicts)}. {tables.caution(verdicts)}",
        **{f"verdict.{v.claim}": v.verdict for v in verdicts},
    }
    return tags | ({"mlflow.source.git.commit": ", ".join(commits)} if commits else {})


def metrics(evidence: Evidence, board: Board, row: Row) -> dict[str, float]:
    """Statistics with their intervals; means of the metrics too where every method has the same cells, so that runs can be compared."""
    experiment = evidence.task.experiment(board.experiment)
    found: dict[str, float] = {"trials_ok": row.trials_ok, "trials_failed": row.trials_failed}
    for name, entry in row.entries.items():
        found |= _spread(name, entry.interval) | {f"{name}.lost_seeds": entry.lost}
    for metric in experiment.metrics if equal_cells(evidence, experiment) else ():
        values = evidence.per_seed(experiment[metric.name].untuned(), row.method, experiment.name).values
        found |= _spread(f"mean.{metric.name}", seed_interval(list(values.values())))
    return found


def _spread(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}.low": interval.low, f"{name}.high": interval.high}


def allowed(name: str) -> str:
    """`name` with `_` for every character that MLflow refuses in the name of a metric or tag (and for `/`, which nests)."""
    return re.sub(r"[^A-Za-z0-9_\-. :]", "_", name)[:240]
