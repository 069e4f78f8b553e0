"""A cluster without a GPU that may add GPU nodes: trials that want one bring up a node instead of being refused.

The nodes are Ray's own fakes: further raylets on this machine that say they have a GPU. A trial on one fails for want of CUDA,
and that it ran at all is the point.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.head import CPUS, Head, started

pytestmark = pytest.mark.cluster

_NODE_ID = "f" * 51 + "00000"
_FAKE = {
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    # What `ray up` sets on a head since Ray 2.50.
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": _NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _NODE_ID,
    "RAY_NODE_TYPE_NAME": "ray.head.default",
}
_CONFIG = {
    "cluster_name": "fake",
    "max_workers": 2,
    "idle_timeout_minutes": 1,
    "upscaling_speed": 1.0,
    "provider": {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "gcs_address": "@ADDRESS@",
        "head_node_id": _NODE_ID,
        "launch_multiple": True,
    },
    "auth": {},
    "docker": {},
    "file_mounts": {},
    **{name: [] for name in ("setup_commands", "head_setup_commands", "worker_setup_commands", "initialization_commands")},
    **{name: [] for name in ("cluster_synced_files", "head_start_ray_commands", "worker_start_ray_commands")},
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": CPUS}, "node_config": {}, "max_workers": 0},
        "gpu": {
            "resources": {"CPU": 2, "GPU": 1, "object_store_memory": 80 * 2**20},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 2,
        },
    },
}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with started(environment=_FAKE, autoscaling=json.dumps(_CONFIG)) as running:
        yield running


def _run(head: Head, scale: str, store: Path) -> tuple[int, str]:
    options = ["--scale", scale, "--seeds", "1", "--store", str(store), "--tracking-uri", "none", "--address", head.address]
    # The driver is not a node: it must not take the identity of the head.
    done = head.papertrial("run", "misbehaving", *options, timeout=150, **dict.fromkeys(_FAKE, ""))
    return done.returncode, done.stdout


def test_gpu_trials_start_gpu_nodes_from_zero(head: Head, tmp_path: Path) -> None:
    _, said = _run(head, "gpu", tmp_path)
    assert "running 6 trials, 2 at a time" in said
    (ledger,) = tmp_path.glob("*/ledger.jsonl")
    assert len(ledger.read_text().splitlines()) == 6, said


def test_more_than_any_node_type_has_is_refused_at_once(head: Head, tmp_path: Path) -> None:
    code, said = _run(head, "paper", tmp_path)
    assert code == 2
    assert "a trial asks for 4096 CPUs, which no node of the cluster has or can add" in said
