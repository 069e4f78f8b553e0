"""`papertrial publish`, and the last step of `run`: MLflow."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from rich.console import Console

from harness.console import console as make_console
from harness.errors import PapertrialError
from harness.judgement import Judgement, judge
from harness.store import open_study
from harness.study import Study, load


def run(options: argparse.Namespace) -> int:
    """Write a study's report files and publish them."""
    from harness import report

    judgement = judge(load(open_study(options.study, options.store)))
    console = make_console()
    uri = publish(judgement, options.tracking_uri, report.write(judgement), console)
    return 0 if uri or options.tracking_uri == "none" else 1


def publish(judgement: Judgement, tracking_uri: str | None, files: Mapping[str, str], console: Console) -> str | None:
    """The tracking URI that now has the study; None when the user wants none or the server does not answer (the records are safe)."""
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
        console.print(
            f"not published to MLflow: {error}; the records are safe, try `papertrial publish {judgement.study.name}`",
            style="yellow",
            highlight=False,
        )
        return None
    console.print(f"{'mlflow':<15} {uri}   (mlflow ui --backend-store-uri {uri})", soft_wrap=True)
    return uri


def default_uri(study: Study) -> str | None:
    """A sqlite file in the study's parent folder; None on a remote store."""
    folder = study.store.local("..")
    return f"sqlite:///{folder.resolve()}/mlflow.db" if folder else None
