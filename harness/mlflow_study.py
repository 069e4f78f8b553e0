"""A study in MLflow: written by the driver alone, after the records are safe, and the same however often it is published."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import posixpath
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from harness.errors import PapertrialError
from harness.evidence import Evidence
from harness.frames import to_parquet
from harness.judgement import Judgement, Ruling
from harness.leaderboard import Board, Row, equal_cells
from harness.masking import learn, mask
from harness.partial import Partial
from harness.report import tables
from harness.report.verdicts import caution, verdicts_csv
from harness.shown import plain, sentence
from harness.stats import Interval, seed_interval
from harness.tally import tally

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

LONGEST = 250
"""Characters of a name in MLflow."""
MOST_AT_ONCE = 1000
"""Metrics that MLflow takes in one request."""
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
    `files` are the report's files, name -> text. Raises TrackingError, whatever went wrong inside MLflow.
    """
    try:
        client = connect(tracking_uri)
        return " ".join(_publish_task(client, tracking_uri, ruling, files) for ruling in judgement.rulings)
    except PapertrialError:
        raise
    except Exception as error:
        raise TrackingError(f"MLflow at {mask(tracking_uri)} did not take study {judgement.study.name}: {sentence(error)}") from error


def connect(tracking_uri: str) -> MlflowClient:
    """A client that says nothing and reports to nobody. TrackingError where its database can be nowhere."""
    check_uri(tracking_uri)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri, tracking_uri)


def check_uri(tracking_uri: str) -> None:
    """TrackingError where the database of a SQLite URI can be nowhere, before MLflow makes the folders that a slip of the pen names."""
    learn(tracking_uri)
    if not tracking_uri.strip():
        raise TrackingError("--tracking-uri takes a URI, such as sqlite:///mlflow.db or http://HOST:5000, or `none`")
    kind, _, rest = tracking_uri.partition("://")
    if kind.partition("+")[0] != "sqlite":
        return
    name = unquote(rest.partition("?")[0].removeprefix("/"))
    if name.startswith("file:"):
        return
    said = f"MLflow at {mask(tracking_uri)} did not take study or fit:"
    if name in ("", ":memory:"):
        raise TrackingError(f"{said} a database in memory is gone when the command ends; name a file, as in sqlite:///mlflow.db")
    path = Path(name)
    if not path.parent.is_dir():
        raise TrackingError(f"{said} there is no folder {path.parent} for its database; make it, or name another one")
    if path.is_dir():
        raise TrackingError(f"{said} {path} is a folder, not a database")


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
        found = {row.method: metrics(evidence, board, row) for row in board.rows}
        labels = names(key for values in found.values() for key in values)
        for row in board.rows:
            _child(client, experiment, parent, evidence, board, row, {labels[key]: value for key, value in found[row.method].items()})
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
    labels = names([(key, "") for key in tags])
    safe = {labels[key, ""]: plain(text)[:5000] for key, text in tags.items()}
    return str(client.create_run(experiment, run_name=plain(name)[:LONGEST], tags=safe).info.run_id)


def _child(
    client: MlflowClient, experiment: str, parent: str, evidence: Evidence, board: Board, row: Row, numbers: Mapping[str, float]
) -> None:
    from mlflow.entities import Metric, Param

    tags = {PARENT: parent, "papertrial.role": row.role, "papertrial.scale": evidence.scale, "papertrial.experiment": board.experiment}
    name = row.method if len(evidence.experiments) == 1 else f"{board.experiment}: {row.method}"
    run = create_run(client, experiment, name, tags)
    seeds = evidence.planned_of(board.experiment)["seed"].nunique()
    params = {"experiment": board.experiment, "method": row.method, "role": row.role, "scale": evidence.scale, "seeds": seeds}
    finite = [Metric(name, value, 0, 0) for name, value in numbers.items() if abs(value) < float("inf")]
    log(client, run, finite, [Param(name, plain(str(value))) for name, value in params.items()])
    client.set_terminated(run)


def log(client: MlflowClient, run: str, metrics: Sequence[Metric], params: Sequence[Param]) -> None:
    """Write metrics and parameters to a run, as many at once as MLflow takes."""
    client.log_batch(run, [], params)
    for start in range(0, len(metrics), MOST_AT_ONCE):
        client.log_batch(run, metrics[start : start + MOST_AT_ONCE], [])


def _artifacts(client: MlflowClient, parent: str, evidence: Evidence, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        if not name.startswith("plots/") or name.startswith(f"plots/{evidence.task.id}-{evidence.scale}-"):
            client.log_text(parent, text, name)
    with tempfile.TemporaryDirectory() as folder:
        trials = Path(folder) / f"{evidence.task.id}.parquet"
        trials.write_bytes(to_parquet(evidence.study.records(evidence.task, evidence.scale)))
        client.log_artifact(parent, str(trials), "trials")


def digest(ruling: Ruling) -> str:
    """A name of everything that a publication says: the records, and what today's claims make of them."""
    evidence = ruling.evidence
    records = evidence.study.records(evidence.task, evidence.scale).sort_values("trial_id").to_csv(index=False)
    return sha(records, tables.leaderboard_csv(ruling.boards), verdicts_csv(ruling.verdicts))


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
        "mlflow.note.content": f"{tally(verdicts)}. {caution(verdicts)}",
        **{f"verdict.{v.claim}": v.verdict for v in verdicts},
    }
    return tags | ({"mlflow.source.git.commit": ", ".join(commits)} if commits else {})


Key = tuple[str, str]
"""A name that the task chose, and what is said of it: ("loss", ".low")."""
_DERIVED = "\0"
"""Before a name that is ours: a task may have chosen the same."""


def metrics(evidence: Evidence, board: Board, row: Row) -> dict[Key, float]:
    """Rank, cost, statistics with their intervals; means of the metrics too where every method has the same cells: runs can be compared."""
    experiment = evidence.task.experiment(board.experiment)
    found: dict[Key, float] = {("", "trials_ok"): row.trials_ok, ("", "trials_failed"): row.trials_failed}
    if row.standing is not None:
        found |= {("", "rank"): row.standing.low, ("", "rank_high"): row.standing.high, ("", "p_best"): row.standing.p_best}
    costs = {"trial_seconds": row.cost.seconds, "peak_memory_mib": row.cost.memory, "tuning_trials": row.cost.tuning}
    found |= {("", name): value for name, value in costs.items()}
    for name, entry in row.entries.items():
        found |= _spread(name, entry.interval) | {(name, ".lost_seeds"): entry.lost}
        found |= {(name, ".censored_seeds"): entry.censored} if entry.censored else {}
    for metric in experiment.metrics if equal_cells(evidence, experiment) else ():
        own, name = evidence.per_seed(experiment[metric.name].untuned(), row.method, experiment.name), f"{_DERIVED}mean.{metric.name}"
        if own.ranges:
            found |= _spread(name, Partial(own.ends, bounds=metric.bounds).interval()) | {(name, ".censored_seeds"): len(own.ranges)}
        else:
            found |= _spread(name, seed_interval(list(own.values.values()), bounds=metric.bounds))
    return found


_KNOWN = {"exact": "", "at least": ".at_least", "at most": ".at_most"}


def _spread(name: str, interval: Interval) -> dict[Key, float]:
    """A mean that is only a bound is called one: under the bare name it would be sorted among numbers."""
    ends = {(name, ".low"): interval.low, (name, ".high"): interval.high}
    return ends | ({(name, _KNOWN[interval.side]): interval.estimate} if interval.side in _KNOWN else {})


def names(keys: Iterable[Key]) -> dict[Key, str]:
    """A name of its own for each key, `NAME` or `NAME.low`: as it is where MLflow takes it, else as `allowed` writes it.

    Where two would be one, the later gets a number: `share _ 0` and `share _ 0_2` of `share > 0` and `share < 0`.
    """
    ordered = list(dict.fromkeys(keys))
    words = _distinct({name: name.removeprefix(_DERIVED) for name, _ in ordered})
    # What a task chose comes before what is derived from it, so that it stays as it is.
    ordered.sort(key=lambda key: bool(key[1]))
    return _distinct({key: words[key[0]][: LONGEST - len(key[1])] + key[1] for key in ordered})


_Wanted = TypeVar("_Wanted")


def _distinct(wanted: Mapping[_Wanted, str]) -> dict[_Wanted, str]:
    """Different names for different keys; those that MLflow takes as they are come first."""
    found: dict[_Wanted, str] = {}
    used: set[str] = set()
    for key in sorted(wanted, key=lambda key: not _taken(wanted[key])):
        name = safe = wanted[key] if _taken(wanted[key]) else allowed(wanted[key])
        for number in itertools.count(2):
            if name not in used:
                break
            name = f"{safe[: LONGEST - len(str(number)) - 1]}_{number}"
        found[key] = name
        used.add(name)
    return found


def _taken(name: str) -> bool:
    """Whether MLflow takes a name: letters and digits of any script, `_-. :/`, and as a path only itself."""
    path = posixpath.normpath(name)
    fits = re.fullmatch(r"[\w.\- :/]*", name) and len(name) <= LONGEST
    return bool(fits) and (not name or (path == name and not path.startswith(("..", "/")) and path != "."))


def allowed(name: str) -> str:
    """`name` with `_` for every character that MLflow may refuse in the name of a metric or tag."""
    safe = re.sub(r"[^A-Za-z0-9_\-. :]", "_", name)[:240]
    return safe if _taken(safe) else f"_{safe}"
