"""`papertrial publish`, and the last step of `run`: MLflow."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from rich.console import Console

from harness.console import console as make_console
from harness.console import warn
from harness.errors import PapertrialError
from harness.judgement import Judgement, judge
from harness.masking import again, mask
from harness.store import open_study
from harness.study import Study, load


def run(options: argparse.Namespace) -> int:
    """Publish a study; its files stay as they are."""
    from harness import report

    check(options)
    judgement = judge(load(open_study(options.study, options.store)))
    console = make_console()
    for damage in judgement.study.damages:
        warn(console, damage)
    uri = publish(judgement, options.tracking_uri, report.files(judgement), console)
    return 0 if uri or options.tracking_uri == "none" else 1


def check(options: argparse.Namespace) -> None:
    """TrackingError where the tracking URI that was given cannot work, before anything is run or written."""
    if options.tracking_uri not in (None, "none"):
        from harness import mlflow_client

        mlflow_client.check_uri(options.tracking_uri)


def publish(judgement: Judgement, tracking_uri: str | None, files: Mapping[str, str], console: Console) -> str | None:
    """Publish with the report's `files`, name -> text; returns the tracking URI that now has the study.

    None when the user wants none, or the server does not answer: the records are safe.
    """
    if tracking_uri == "none":
        return None
    uri = tracking_uri or default_uri(judgement.study)
    if uri is None:
        console.print("no MLflow: a remote store needs --tracking-uri", style="yellow")
        return None
    from harness import mlflow_study

    try:
        mlflow_study.publish(judgement, uri, dict(files))
    except PapertrialError as error:
        study = judgement.study.store
        given = ["--tracking-uri", tracking_uri] if tracking_uri else []
        retry = again(["publish", study.name, "--store", study.parent_uri, *given])
        warn(console, f"not published to MLflow: {error}; the records are safe, go on with: {retry}")
        return None
    shown = f"   (mlflow ui --backend-store-uri {uri})" if uri.startswith("sqlite:") and mask(uri) == uri else ""
    console.print(f"{'mlflow':<15} {uri}{shown}", soft_wrap=True)
    return uri


def default_uri(study: Study) -> str | None:
    """A sqlite file in the study's parent folder; None on a remote store."""
    folder = study.store.local("..")
    return f"sqlite:///{folder.resolve()}/mlflow.db" if folder else None
