"""deploy/slurm.sh as SLURM runs it, with stand-ins for its commands: what a signal does, and what goes back into the queue."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from harness.cli import parser

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "slurm.sh"
NODES = ("alpha", "beta", "gamma")
WORDS = ("misbehaving", "--scale", "smoke", "--set", "rate=0.5", "--store", "/shared/my studies")
# Each notes its words; `srun` runs what follows its options, on this machine.
COMMANDS = {
    "scontrol": '[[ $1 == show ]] && tr , "\\n" <<<"$3" || echo "scontrol $*" >>"$NOTES"',
    "srun": 'echo "srun $*" >>"$NOTES"; while [[ $1 == --* ]]; do shift; done; exec "$@"',
    "ray": 'echo "ray $*" >>"$NOTES"; [[ $1 == start ]] && exec sleep 60; exit 0',
    "papertrial": 'exec {python} {driver} "$@"',
}
# A driver that ends by itself with $ENDS, or waits for SIGTERM and then still has tables to write.
DRIVER = """
import json, os, signal, sys, time
notes = open(os.environ["NOTES"], "a", buffering=1)
def stop(*_):
    time.sleep(0.5)
    notes.write("tables written\\n")
    sys.exit(int(os.environ.get("STOPS", "1")))
signal.signal(signal.SIGTERM, stop)
notes.write("papertrial " + json.dumps(sys.argv[1:]) + "\\n")
if "ENDS" in os.environ:
    sys.exit(int(os.environ["ENDS"]))
time.sleep(60)
"""


class Job:
    """The script under way, and what its commands noted."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._notes = folder / "notes.txt"
        self._notes.touch()
        (folder / "driver.py").write_text(DRIVER)
        for name, body in COMMANDS.items():
            text = body.replace("{python}", sys.executable).replace("{driver}", str(folder / "driver.py"))
            (folder / name).write_text(f"#!/bin/bash\n{text}\n")
            (folder / name).chmod(0o755)
        variables = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "NOTES": str(self._notes),
            "SLURM_JOB_ID": "4321",
            "SLURM_JOB_NODELIST": ",".join(NODES),
            "SLURM_CPUS_PER_TASK": "16",
        }
        self.process = subprocess.Popen(["bash", str(SCRIPT), *WORDS], env=variables | dict(environment), start_new_session=True)

    def notes(self) -> list[str]:
        return self._notes.read_text().splitlines()

    def wait_for(self, start: str) -> str:
        deadline = time.monotonic() + 60
        while not (found := [line for line in self.notes() if line.startswith(start)]):
            assert time.monotonic() < deadline, self.notes()
            time.sleep(0.02)
        return found[0]


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    started: list[Job] = []

    def start(**environment: str) -> Job:
        started.append(Job(tmp_path, environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()


@pytest.mark.parametrize("code", [0, 1, 2])
def test_it_ends_as_the_run_does_and_is_not_queued_again(job: Callable[..., Job], code: int) -> None:
    run = job(ENDS=str(code))
    assert run.process.wait(60) == code
    assert not [line for line in run.notes() if line.startswith("scontrol")]


def test_one_ray_is_started_on_all_nodes_and_the_run_joins_it(job: Callable[..., Job]) -> None:
    run = job(ENDS="0")
    run.process.wait(60)
    head, workers = sorted((line for line in run.notes() if line.startswith("srun")), key=lambda line: "--exclude" in line)
    assert "--nodes=1 --ntasks=1 --nodelist=alpha ray start --head --block --port=24321 --num-cpus=16" in head
    assert "--nodes=2 --ntasks=2 --ntasks-per-node=1 --exclude=alpha" in workers
    assert [line for line in run.notes() if line == "ray start --block --address=alpha:24321 --num-cpus=16"]
    given = run.wait_for("papertrial").removeprefix("papertrial ")
    options = parser().parse_args(json.loads(given))
    assert (options.verb, options.store, options.address) == ("run", "/shared/my studies", "alpha:24321")


def test_near_the_limit_the_run_finishes_writing_and_the_job_is_queued_again(job: Callable[..., Job]) -> None:
    run = job()
    run.wait_for("papertrial")
    run.process.send_signal(signal.SIGUSR1)
    assert run.process.wait(60) == 1
    written, queued = (run.notes().index(line) for line in ("tables written", "scontrol requeue 4321"))
    assert written < queued


def test_a_run_that_was_done_at_the_limit_is_not_queued_again(job: Callable[..., Job]) -> None:
    run = job(STOPS="0")
    run.wait_for("papertrial")
    run.process.send_signal(signal.SIGUSR1)
    assert run.process.wait(60) == 0
    assert "tables written" in run.notes()
    assert not [line for line in run.notes() if line.startswith("scontrol")]


def test_a_cancelled_job_finishes_writing_and_stays_out_of_the_queue(job: Callable[..., Job]) -> None:
    run = job()
    run.wait_for("papertrial")
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(60) == 1
    assert "tables written" in run.notes()
    assert not [line for line in run.notes() if line.startswith("scontrol")]


def test_the_signal_of_the_limit_is_the_one_that_queues_again() -> None:
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", SCRIPT.read_text(), re.MULTILINE))
    assert re.fullmatch(r"B:USR1@\d+", options["signal"])
    assert {"requeue", "nodes", "time"} <= set(options)
    assert options["ntasks-per-node"] == "1"
    (example,) = re.findall(r"^#     sbatch deploy/slurm\.sh (.*)$", SCRIPT.read_text(), re.MULTILINE)
    parser().parse_args(["run", *shlex.split(example)])
