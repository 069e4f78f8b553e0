"""What every publication to MLflow needs: a quiet client, experiments, runs, and names that MLflow takes."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import posixpath
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from harness.errors import PapertrialError
from harness.masking import learn, mask
from harness.shown import plain

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
Key = tuple[str, str]
"""A name that the task chose, and what is said of it: ("loss", ".low")."""
DERIVED = "\0"
"""Before a name that is ours: a task may have chosen the same."""


class TrackingError(PapertrialError):
    """MLflow did not take the study. Its records are safe, and `papertrial publish` tries again."""


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


def experiment_id(client: MlflowClient, uri: str, name: str, tags: Mapping[str, str] = MappingProxyType({})) -> str:
    """The id of the experiment `name`, made or brought back when it is not there, with these tags."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, _artifact_location(uri), dict(tags)))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for key, value in tags.items():
        if found.tags.get(key) != value:
            client.set_experiment_tag(found.experiment_id, key, value)
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


def create_run(client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str], started: int | None = None) -> str:
    """A new run's id; `started` in milliseconds of the epoch, now if None."""
    labels = names([(key, "") for key in tags])
    safe = {labels[key, ""]: plain(text)[:5000] for key, text in tags.items()}
    return str(client.create_run(experiment, start_time=started, run_name=plain(name)[:LONGEST], tags=safe).info.run_id)


def log(client: MlflowClient, run: str, metrics: Sequence[Metric], params: Sequence[Param]) -> None:
    """Write metrics and parameters to a run, as many at once as MLflow takes."""
    client.log_batch(run, [], params)
    for start in range(0, len(metrics), MOST_AT_ONCE):
        client.log_batch(run, metrics[start : start + MOST_AT_ONCE], [])


def log_table(client: MlflowClient, run: str, columns: Mapping[str, Sequence[Any]], name: str) -> None:
    """Write a table that `mlflow.load_table` and the UI read."""
    with warnings.catch_warnings():
        # MLflow asks pandas for object columns in a way that pandas 3 warns of.
        warnings.simplefilter("ignore")
        client.log_table(run, dict(columns), name)


def sha(*texts: str) -> str:
    """16 hexadecimal digits over `texts`."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def names(keys: Iterable[Key]) -> dict[Key, str]:
    """A name of its own for each key, `NAME` or `NAME.low`: as it is where MLflow takes it, else as `allowed` writes it.

    Where two would be one, the later gets a number: `share _ 0` and `share _ 0_2` of `share > 0` and `share < 0`.
    """
    ordered = list(dict.fromkeys(keys))
    words = _distinct({name: name.removeprefix(DERIVED) for name, _ in ordered})
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
