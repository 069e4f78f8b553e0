"""Publishing to MLflow: what arrives, that twice is once, and that a broken server costs nothing but a sentence."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import mlflow_client, mlflow_leaderboard, mlflow_study, report
from harness.errors import PapertrialError
from harness.judgement import Judgement, judge
from harness.mlflow_client import _taken, allowed, names
from harness.mlflow_leaderboard import gain
from harness.ranking import Contender
from harness.tally import sentences
from harness.task import Above, Metric
from tests.harness.fabricated import difference_claim, noise, realistic_study, study_of, task_of

KEPT = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    """Few retries, and an environment that is left as it was found."""
    before = {name: os.environ.get(name) for name in KEPT}
    os.environ.update(dict.fromkeys(KEPT, "1"))
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's schema: seconds to make, no time to copy."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow_client.connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(migrated: Path, tmp_path: Path) -> str:
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def study(tmp_path: Path) -> Judgement:
    return judge(realistic_study(tmp_path / "results"))


def runs(uri: str, task: str = "mup-weight-decay-transfer") -> tuple[list[Any], list[Any]]:
    """Living parents and children of a task's experiment."""
    client = mlflow_client.connect(uri)
    experiment = client.get_experiment_by_name(f"papertrial/{task}")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return parents, [run for run in found if "mlflow.parentRunId" in run.data.tags]


def test_a_parent_a_study_and_a_child_a_method(study: Judgement, uri: str) -> None:
    published = mlflow_study.publish(study, uri, report.files(study))
    (parent,), children = runs(uri)
    assert parent.info.run_id == published
    assert (parent.info.run_name, parent.info.status) == (study.study.name, "FINISHED")
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {published}
    assert {(child.info.run_name, child.data.params["role"]) for child in children} == {
        ("constant", "baseline"),
        ("sqrt-width", "proposed"),
        ("linear-width", "rival"),
    }


def test_metrics_are_the_leaderboards(study: Judgement, uri: str) -> None:
    mlflow_study.publish(study, uri, {})
    (board,) = study.boards
    children = {child.info.run_name: child.data.metrics for child in runs(uri)[1]}
    for row in board.rows:
        interval = row.entries["gain exponent"].interval
        metrics = children[row.method]
        assert [metrics[f"gain exponent{end}"] for end in ("", ".low", ".high")] == [interval.estimate, interval.low, interval.high]
        assert (metrics["trials_ok"], metrics["trials_failed"]) == (row.trials_ok, row.trials_failed)
        assert row.standing is not None
        assert (metrics["rank"], metrics["rank_high"], metrics["p_best"]) == (row.standing.low, row.standing.high, row.standing.p_best)
        assert metrics["trial_seconds"] == row.cost.seconds == 2.5
    rows = study.study.frame[study.study.frame["method"] == "sqrt-width"]
    assert children["sqrt-width"]["mean.val_loss"] == pytest.approx(rows["metric.val_loss"].mean())


def test_tags_carry_verdicts_and_provenance(study: Judgement, uri: str) -> None:
    mlflow_study.publish(study, uri, {})
    tags = runs(uri)[0][0].data.tags
    assert {verdict.claim: tags[f"verdict.{verdict.claim}"] for verdict in study.verdicts} == {v.claim: v.verdict for v in study.verdicts}
    assert (tags["papertrial.study"], tags["papertrial.scale"], tags["papertrial.git_dirty"]) == (study.study.name, "laptop", "false")
    assert tags["papertrial.data_kind"] == "stand-in + synthetic"
    assert tags["mlflow.source.git.commit"].startswith("7c0d9e1f4b2a")
    assert "never the paper's number" in tags["mlflow.note.content"]


def test_artifacts_lie_beside_the_database(study: Judgement, uri: str, tmp_path: Path) -> None:
    parent = mlflow_study.publish(study, uri, report.files(study))
    client = mlflow_client.connect(uri)
    names = {item.path for folder in (None, "plots", "trials") for item in client.list_artifacts(parent, folder)}
    assert {"report.html", "verdicts.csv", "leaderboard.md", "plots/mup-weight-decay-transfer-laptop-gain.svg"} <= names
    (path,) = (tmp_path / "mlartifacts").rglob("mup-weight-decay-transfer.parquet")
    assert len(pd.read_parquet(path)) == 120


@contextmanager
def tracking(uri: str) -> Iterator[None]:
    """MLflow's own functions read this database."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)


def gathered(uri: str) -> list[Any]:
    """Living runs of the experiment that gathers all papers."""
    client = mlflow_client.connect(uri)
    experiment = client.get_experiment_by_name(mlflow_leaderboard.GATHERED)
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def test_one_table_holds_the_leaderboards_of_all_studies(study: Judgement, uri: str, tmp_path: Path) -> None:
    import mlflow

    other = judge(study_of(tmp_path / "other", task_of(), lambda t: {"loss": 1.0 + (t.method == "proposed") + 0.1 * t.seed}))
    for judged in (study, other, study):
        mlflow_study.publish(judged, uri, {})
    with tracking(uri):
        mlflow.set_experiment(mlflow_leaderboard.GATHERED)
        frame = mlflow.load_table(mlflow_leaderboard.TABLE)
    boards = [*study.boards, *other.boards]
    assert sorted(zip(frame["task"], frame["experiment"], frame["method"], strict=True)) == sorted(
        (board.task, board.experiment, row.method) for board in boards for row in board.rows
    )
    rows = frame.set_index(["task", "method"])
    for board in boards:
        for row in board.rows:
            assert row.standing is not None
            assert rows.loc[(board.task, row.method), "rank"] == row.standing.low
            assert rows.loc[(board.task, row.method), "primary"] == pytest.approx(row.entries[board.ranked_by].interval.estimate)
    papers = {ruling.evidence.task.id: ruling.evidence.task.paper.arxiv for judged in (study, other) for ruling in judged.rulings}
    assert [f"arXiv:{papers[task]}" for task in frame["task"]] == list(frame["paper"]), "as text: an id has zeros at its end"
    runs_of = {run.info.run_name: run.data for run in gathered(uri)}
    assert len(runs_of) == len(frame), "published again, nothing is there twice"
    assert {data.params["statistic"] for data in runs_of.values()} == {board.ranked_by for board in boards}


def test_a_gain_is_signed_so_that_more_is_better() -> None:
    base = Contender("base", {0: 2.0, 1: 4.0, 2: 3.0})
    ours = Contender("ours", {0: 1.0, 1: 2.0, 2: 3.0})
    found = gain(ours, base, "lower")
    assert (found.percent, found.over) == (pytest.approx(100 / 3), "base")
    assert found.standard_errors == pytest.approx(1.0 / (1.0 / 3**0.5))
    assert gain(ours, base, "higher").percent == pytest.approx(-100 / 3)
    assert gain(Contender("ours", {0: -1.0, 1: -2.0, 2: 3.0}), base, "zero").percent == pytest.approx(100 / 3)
    alone = gain(Contender("ours", {7: 1.0}), base, "lower")
    assert math.isnan(alone.percent), "no seed in common"
    bounded = replace(ours, ranges={1: (2.0, math.inf)})
    assert gain(bounded, base, "lower").percent == pytest.approx(100 * 0.5 / 2.5), "a bound is no number"


def test_a_parent_says_what_was_decided_on_what_data_and_when(study: Judgement, uri: str) -> None:
    parent = mlflow_study.publish(study, uri, {})
    run = mlflow_client.connect(uri).get_run(parent)
    own = sentences([v for v in study.verdicts if v.kind == "paper"])
    assert run.data.metrics["claims.reproduced"] == own.count("reproduced")
    assert sum(value for name, value in run.data.metrics.items() if name.startswith("claims.")) == len(own)
    assert (run.data.params["scale"], run.data.params["trials"]) == ("laptop", str(len(study.study.plan)))
    for verdict in study.verdicts:
        if verdict.primary:
            assert run.data.metrics[f"claim.{verdict.claim}"] == verdict.interval.estimate
    frame = study.study.frame
    started = min(datetime.fromisoformat(text) for text in frame["started"])
    assert run.info.start_time == round(1000 * started.timestamp())
    assert run.info.end_time - run.info.start_time >= 1000 * frame["seconds"].max() - 1
    assert {(item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs} == {
        (name, digest) for name, digest in zip(frame["data_name"], frame["data_fingerprint"], strict=True) if digest
    }
    tags = mlflow_client.connect(uri).get_experiment(run.info.experiment_id).tags
    assert tags["papertrial.arxiv"] == study.rulings[0].evidence.task.paper.arxiv
    assert study.rulings[0].evidence.task.paper.title in tags["mlflow.note.content"]


def test_the_tables_of_a_study_are_read_back_as_they_are(study: Judgement, uri: str) -> None:
    parent = mlflow_study.publish(study, uri, {})
    client = mlflow_client.connect(uri)
    experiment = client.get_run(parent).info.experiment_id
    with tracking(uri):
        verdicts = client.load_table(experiment, "verdicts.json", [parent]).set_index("claim")
        board = client.load_table(experiment, "leaderboard.json", [parent])
    assert dict(verdicts["verdict"]) == {v.claim: v.verdict for v in study.verdicts}
    assert dict(verdicts["reason"]) == {v.claim: v.reason for v in study.verdicts}
    assert {*verdicts["version"].astype(str)} == {str(study.rulings[0].evidence.task.version)}
    (ours,) = study.boards
    assert list(board["method"]) == [row.method for row in ours.rows]
    assert list(board["rank"]) == [str(row.standing) for row in ours.rows]


def test_the_table_of_verdicts_says_of_a_control_whether_it_holds(tmp_path: Path) -> None:
    claims = [difference_claim(id=kind, kind=kind, holds=Above(-9.0)) for kind in ("paper", "control")]
    (ruling,) = judge(study_of(tmp_path, task_of(claims=claims), lambda trial: {"loss": noise(trial)})).rulings
    table = mlflow_study.verdict_table(ruling)
    assert dict(zip(table["claim"], table["verdict"], strict=True)) == {"paper": "reproduced", "control": "holds"}


def test_the_table_of_verdicts_says_a_region_of_a_logarithm_as_a_ratio(tmp_path: Path) -> None:
    claim = difference_claim(unit="log10 of a ratio", holds=Above(1.0))
    (ruling,) = judge(study_of(tmp_path, task_of(claims=[claim]), lambda _: {"loss": 1.0})).rulings
    assert mlflow_study.verdict_table(ruling)["holds"] == ["> 1 (ratio above 10)"]


def test_publishing_twice_changes_nothing(study: Judgement, uri: str) -> None:
    first = mlflow_study.publish(study, uri, report.files(study))
    before = [(run.info.run_id, run.info.end_time, run.data.tags) for group in runs(uri) for run in group]
    assert mlflow_study.publish(study, uri, report.files(study)) == first
    assert [(run.info.run_id, run.info.end_time, run.data.tags) for group in runs(uri) for run in group] == before


def test_new_records_replace_the_old_runs(study: Judgement, uri: str, tmp_path: Path) -> None:
    part = judge(realistic_study(tmp_path / "results", missing=True))
    first = mlflow_study.publish(part, uri, {})
    second = mlflow_study.publish(study, uri, {})
    assert first != second
    (parent,), children = runs(uri)
    assert parent.info.run_id == second
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {second}
    assert mlflow_client.connect(uri).get_run(first).info.lifecycle_stage == "deleted"


def test_a_claim_that_changed_is_new_content(study: Judgement, uri: str) -> None:
    ((task, _),) = study.study.groups()
    stricter = replace(task, claims=[replace(task.claims[0], published=9.0), *task.claims[1:]])
    first = mlflow_study.publish(study, uri, {})
    assert mlflow_study.publish(judge(replace(study.study, tasks={task.id: stricter})), uri, {}) != first


def test_a_publication_that_was_cut_short_is_replaced(study: Judgement, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_study, "_artifacts", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(mlflow_client.TrackingError, match="disk full"):
            mlflow_study.publish(study, uri, {})
    second = mlflow_study.publish(study, uri, {})
    (parent,), children = runs(uri)
    assert parent.info.run_id == second
    assert len(children) == 3


def test_another_study_of_the_same_name_elsewhere_is_left_alone(study: Judgement, uri: str, tmp_path: Path) -> None:
    mlflow_study.publish(study, uri, {})
    mlflow_study.publish(judge(realistic_study(tmp_path / "elsewhere")), uri, {})
    assert len(runs(uri)[0]) == 2


def test_a_deleted_experiment_comes_back(study: Judgement, uri: str) -> None:
    mlflow_study.publish(study, uri, {})
    client = mlflow_client.connect(uri)
    client.delete_experiment(client.get_experiment_by_name("papertrial/mup-weight-decay-transfer").experiment_id)
    mlflow_study.publish(study, uri, {})
    assert len(runs(uri)[0]) == 1


def test_every_task_has_its_experiment_and_its_own_plots(tmp_path: Path, uri: str) -> None:
    study = judge(study_of(tmp_path / "results", [task_of(), task_of(id="other")], lambda t: {"loss": float(t.seed)}))
    assert len(mlflow_study.publish(study, uri, {}).split()) == 2
    assert len(runs(uri, "toy")[0]) == len(runs(uri, "other")[0]) == 1


def test_a_study_without_records_can_be_published(tmp_path: Path, uri: str) -> None:
    mlflow_study.publish(judge(study_of(tmp_path / "results", task_of(), lambda _: None)), uri, {})
    assert [child.data.metrics["trials_ok"] for child in runs(uri, "toy")[1]] == [0.0, 0.0]


def test_a_dead_server_is_one_sentence_without_the_password(study: Judgement) -> None:
    with pytest.raises(mlflow_client.TrackingError) as caught:
        mlflow_study.publish(study, "http://someone:secret@127.0.0.1:9", {})
    assert isinstance(caught.value, PapertrialError)
    assert "MLflow at http://127.0.0.1:9 did not take study toy-laptop" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["sqlite:///{}/mlflow.db", "nonsense://{}"])
def test_a_uri_that_cannot_be_opened_is_a_sentence_too(study: Judgement, tmp_path: Path, form: str) -> None:
    (tmp_path / "a-file").write_text("")
    with pytest.raises(mlflow_client.TrackingError, match="did not take study"):
        mlflow_study.publish(study, form.format(tmp_path / "a-file"), {})


@pytest.mark.parametrize(
    ("name", "safe"), [("loss (nats/byte)", "loss _nats_byte_"), ("top-1 %", "top-1 _"), ("ok_name.low", "ok_name.low"), ("α", "_")]
)
def test_names_are_made_of_allowed_characters(name: str, safe: str) -> None:
    assert allowed(name) == safe


NAMES = st.text(st.sampled_from("ab_01./: <>%α") | st.characters(exclude_categories=("Cs",)), max_size=6) | st.sampled_from(
    [
        "loss",
        "loss.low",
        "loss.low_2",
        ".",
        "..",
        "..a",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        "acc>0",
        "acc<0",
        "x" * 249,
        "x" * 250,
        "x" * 260,
        "trials_ok",
    ]
)


@pytest.mark.fuzz
@given(st.lists(st.tuples(NAMES.filter(bool), st.sampled_from(["", ".low", ".high", ".lost_seeds"])), max_size=12))
def test_every_name_stays_one_of_its_own_and_mlflow_takes_it(keys: list[tuple[str, str]]) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_tag

    found = names([*keys, ("", "trials_ok")])
    assert len(set(found.values())) == len(set(keys)) + 1
    for name in found.values():
        _validate_metric_name(name)
        _validate_tag(name, "x")
        assert len(name) <= 250
    for base, suffix in keys:
        if not suffix and _taken(base):
            assert found[base, ""] == base, "a name that MLflow takes stays"


def test_names_that_differ_in_refused_characters_are_numbered() -> None:
    wanted = [("share > 0", ""), ("share > 0", ".low"), ("share < 0", ""), ("share < 0", ".low"), ("share _ 0", ""), ("α", ""), ("β", "")]
    found = names(wanted)
    assert [found[key] for key in wanted] == ["share _ 0_2", "share _ 0_2.low", "share _ 0_3", "share _ 0_3.low", "share _ 0", "α", "β"]


def test_two_statistics_are_two_metrics_and_many_are_all_there(tmp_path: Path, uri: str) -> None:
    odd = ["acc>0", "acc<0", "acc_0", "acc>0.low", "x" * 300, "x" * 299 + "y", *(f"m{i}" for i in range(145))]
    task = task_of(metrics=[Metric(name, "", "lower") for name in odd])
    mlflow_study.publish(judge(study_of(tmp_path / "results", task, lambda _: dict.fromkeys(odd, 1.0), seeds=2)), uri, {})
    children = runs(uri, "toy")[1]
    assert children
    for child in children:
        assert len(child.data.metrics) == 7 + (4 + 3) * len(odd) > mlflow_client.MOST_AT_ONCE, "one metric a number"
        assert {"acc_0", "acc_0_2", "acc_0_3", "trials_ok"} <= set(child.data.metrics)


def test_a_statistic_that_is_called_as_a_mean_keeps_its_name_and_value(tmp_path: Path, uri: str) -> None:
    task = task_of(metrics=[Metric(name, "", "lower") for name in ("loss", "mean.loss")])
    mlflow_study.publish(judge(study_of(tmp_path / "results", task, lambda _: {"loss": 1.0, "mean.loss": 2.0}, seeds=2)), uri, {})
    for child in runs(uri, "toy")[1]:
        assert child.data.metrics["mean.loss"] == 2.0, "the statistic's"
        assert child.data.metrics["mean.loss_2"] == 1.0
        assert len(child.data.metrics) == 7 + (4 + 3) * 2


def test_mlflow_is_silent(study: Judgement, uri: str, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    capfd.readouterr()
    mlflow_study.publish(study, uri, report.files(study))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
