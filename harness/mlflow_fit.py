"""A fitted law in MLflow: one run, its estimates as metrics, its files as artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import PapertrialError
from harness.masking import mask
from harness.mlflow_client import DIGEST, TrackingError, connect, create_run, experiment_id, find_runs, log, names, sha
from harness.shown import plain, sentence

LONGEST_VALUE = 6000
"""Characters of a parameter's value in MLflow."""


def publish(law: str, found: Mapping[str, Any], files: Sequence[str], tracking_uri: str) -> str:
    """Write the fit `found` (its JSON) to experiment `papertrial/fit`; the same fit twice is one run. Returns the run id.

    Raises TrackingError, whatever went wrong inside MLflow.
    """
    from mlflow.entities import Metric, Param

    try:
        client = connect(tracking_uri)
        experiment, content = experiment_id(client, tracking_uri, "papertrial/fit"), sha(json.dumps(found, sort_keys=True))
        for run in find_runs(client, experiment, DIGEST, content):
            return str(run.info.run_id)
        run_id = create_run(client, experiment, f"{law} {found['source']}", {"papertrial.law": law})
        said = ("law", "source", "columns", "group", "shared", "cluster")
        params = [Param(name, plain(str(found[name]))[:LONGEST_VALUE]) for name in said if name in found]
        values = metrics(found)
        labels = names((name, "") for name in values)
        log(client, run_id, [Metric(labels[name, ""], value, 0, 0) for name, value in values.items()], params)
        for path in files:
            client.log_artifact(run_id, path)
        client.set_terminated(run_id)
        client.set_tag(run_id, DIGEST, content)
    except PapertrialError:
        raise
    except Exception as error:
        raise TrackingError(f"MLflow at {mask(tracking_uri)} did not take the fit: {sentence(error)}") from error
    return run_id


def metrics(found: Mapping[str, Any]) -> dict[str, float]:
    """`alpha`, `alpha.low`, `rho.4`, `objective.<group>`, ...: every finite number of the fit."""
    values: dict[str, float | None] = {}
    for part in found["fits"]:
        for name in ("objective", "condition", "converged", "resamples_not_converged"):
            if name in part:
                values[_name(name, part["group"])] = part[name]
        for entry in (*part.get("parameters", ()), *part.get("derived", ())):
            label = _name(entry["name"], entry["group"] or part["group"])
            values |= {label: entry["value"], f"{label}.low": entry["low"], f"{label}.high": entry["high"]}
        if "area" in part:
            label = _name("area", part["group"])
            values |= {label: part["area"]["estimate"], f"{label}.low": part["area"]["low"], f"{label}.high": part["area"]["high"]}
    return {name: float(value) for name, value in values.items() if value is not None}


def _name(name: str, group: str) -> str:
    return f"{name}.{group}" if group else name
