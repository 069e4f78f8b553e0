"""The road to a cluster, driven once for real: a head with a token, `ray job submit`, `--address`."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.head import CPUS, Head, run, started

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with started(gpus=2) as running:
        yield running


def _run(store: Path, *options: str) -> list[str]:
    return ["run", "misbehaving", "--scale", "smoke", "--store", str(store), "--tracking-uri", "none", *options]


def _states(store: Path) -> list[str]:
    (ledger,) = store.glob("*/ledger.jsonl")
    return [json.loads(line)["status"] for line in ledger.read_text().splitlines()]


def _assert_exit(done: subprocess.CompletedProcess[str], code: int) -> None:
    assert done.returncode == code, done.stdout[-4000:]


def test_a_job_runs_on_its_cluster_and_its_results_land_in_the_store(head: Head, tmp_path: Path) -> None:
    done = head.submit("python", "-m", "harness", *_run(tmp_path))
    _assert_exit(done, 0)
    assert f"running 18 trials, {CPUS} at a time" in done.stdout
    assert _states(tmp_path) == ["ok"] * 18
    study = tmp_path / "misbehaving-smoke"
    assert {"leaderboard.csv", "verdicts.csv", "report.html"} <= {path.name for path in study.iterdir()}


def test_a_job_that_is_stopped_says_that_its_records_are_safe_and_how_to_go_on(head: Head, tmp_path: Path) -> None:
    words = _run(tmp_path, "--seeds", "40", "--set", "pause=0.2")
    submitted = head.submit("python", "-m", "harness", *words, options=["--no-wait", "--submission-id", "to-be-stopped"])
    _assert_exit(submitted, 0)
    deadline = time.monotonic() + 150
    while not (list(tmp_path.glob("*/ledger.jsonl")) and len(_states(tmp_path)) >= 3):
        assert time.monotonic() < deadline, head.job("logs", "to-be-stopped").stdout
        time.sleep(0.1)
    _assert_exit(head.job("stop", "to-be-stopped"), 0)
    said = head.job("logs", "to-be-stopped").stdout
    (study,) = tmp_path.iterdir()
    goes_on = "and this goes on from it: the same `ray job submit`, of papertrial run misbehaving"
    assert f"stopping; what was recorded is safe in {study}, {goes_on}" in said
    assert 3 <= len(_states(tmp_path)) < 240


def test_a_failing_trial_fails_the_job(head: Head, tmp_path: Path) -> None:
    done = head.submit("python", "-m", "harness", *_run(tmp_path, "--set", "behaviour=good,raise"))
    _assert_exit(done, 1)
    assert "entrypoint command failed with exit code 1" in done.stdout
    assert sorted(_states(tmp_path)) == ["failed"] * 18 + ["ok"] * 18


@pytest.mark.parametrize(
    "credentials", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "0" * 64}], ids=["without a token", "with a wrong token"]
)
def test_a_submit_without_the_token_is_refused(head: Head, tmp_path: Path, credentials: dict[str, str]) -> None:
    done = head.submit("python", "-m", "harness", *_run(tmp_path), **credentials)
    assert done.returncode != 0
    assert "AuthenticationError" in done.stdout
    assert not list(tmp_path.iterdir())


def test_doctor_says_whether_this_head_would_take_a_job(head: Head) -> None:
    done = head.papertrial("doctor", "--job", RAY_ADDRESS=head.dashboard)
    _assert_exit(done, 0)
    assert "answers and would take a job" in " ".join(done.stdout.split())
    done = head.papertrial("doctor", "--job", RAY_ADDRESS=head.dashboard, RAY_AUTH_TOKEN="0" * 64)
    _assert_exit(done, 0)
    assert "refuses this token" in done.stdout


def test_run_joins_a_cluster_by_its_address(head: Head, tmp_path: Path) -> None:
    done = head.papertrial(*_run(tmp_path, "--address", head.address))
    _assert_exit(done, 0)
    assert f"running 18 trials, {CPUS} at a time" in done.stdout
    assert _states(tmp_path) == ["ok"] * 18


def test_run_without_the_token_says_what_is_missing(head: Head, tmp_path: Path) -> None:
    done = head.papertrial(*_run(tmp_path, "--address", head.address), RAY_AUTH_MODE="disabled")
    _assert_exit(done, 2)
    assert "RAY_AUTH_MODE=token" in done.stdout


def test_an_address_where_nothing_listens_is_an_error_at_once(head: Head, tmp_path: Path) -> None:
    host = head.address.rpartition(":")[0]
    done = head.papertrial(*_run(tmp_path, "--address", f"{host}:1"), timeout=60)
    _assert_exit(done, 2)
    assert f"no Ray cluster answers at {host}:1" in done.stdout


def test_what_no_node_can_hold_is_an_error_at_once(head: Head, tmp_path: Path) -> None:
    done = head.papertrial("run", "misbehaving", "--scale", "paper", "--store", str(tmp_path), "--address", head.address)
    _assert_exit(done, 2)
    assert "a trial asks for 4096 CPUs" in done.stdout
    assert f"nodes: {CPUS} CPUs + 2 GPUs" in done.stdout


_ASK = """
import sys
from harness.errors import ResourceError
from harness.cluster import ray_session, slots
from harness.task import Resources
with ray_session(sys.argv[1]):
    for cpus, gpus in ((0.5, 0.5), (0.25, 0.3), (1, 0.5), (0.25, 2), (1, 3)):
        try:
            print("slots", cpus, gpus, slots(Resources(cpus=cpus, gpus=gpus)))
        except ResourceError as error:
            print("slots", cpus, gpus, error)
"""


def test_fractions_of_gpus_share_cards_and_are_never_split_over_two(head: Head) -> None:
    done = run([sys.executable, "-c", _ASK, head.address], head.working_dir, head.environment, 60)
    _assert_exit(done, 0)
    answers = dict(line.removeprefix("slots ").rsplit(" ", 1) for line in done.stdout.splitlines() if line.startswith("slots"))
    refused = next(line for line in done.stdout.splitlines() if line.startswith("slots 1 3"))
    # Two cards and three CPUs: two halves a card; three 0.3 a card; then the CPUs bind; one trial on both cards; three cards are not there.
    assert [answers[shape] for shape in ("0.5 0.5", "0.25 0.3", "1 0.5", "0.25 2")] == ["4", "6", "3", "1"]
    assert "a trial asks for 1 CPU + 3 GPUs" in refused
