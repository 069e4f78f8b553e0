"""Ranks of one trial on two nodes of a cluster, which are two raylets of this machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import json, sys
from dataclasses import asdict, replace
import ray
from ray.cluster_utils import Cluster
from harness.cluster import ray_session
from harness.engine import run_trials
from harness.errors import ResourceError
from harness.store import StudyStore
from harness.task import Resources
from tests.harness.test_gang import trials

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
try:
    with ray_session(cluster.address):
        asked = trials("sum", seeds=2, shape=Resources(cpus=2, ranks=2, nodes=2))
        records = run_trials(StudyStore(sys.argv[1], "study"), asked).records
        try:
            run_trials(StudyStore(sys.argv[1], "large"), trials("sum", shape=Resources(cpus=2, ranks=2)))
        except ResourceError as error:
            refused = str(error)
finally:
    cluster.shutdown()
print(json.dumps({"refused": refused, "records": [[record.status, record.metrics, record.error] for record in records.values()]}))
"""


@pytest.mark.cluster
@pytest.mark.lengthy
def test_a_trial_has_its_ranks_on_two_nodes_where_none_could_hold_them_both(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["records"] == [["ok", {"value": 12.0}, ""]] * 2
    assert "a trial asks for 2 CPUs in 2 ranks, which no node of the cluster has" in found["refused"]
