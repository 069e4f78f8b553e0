"""How many trials fit: arithmetic of shapes, nodes and what `ray up` says a cluster may add. No Ray is started."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import slots
from harness.errors import ResourceError
from harness.nodes import fit
from harness.task import Resources


@pytest.mark.parametrize(
    ("cpus", "gpus", "node", "count"),
    [
        (1, 0, {"CPU": 8}, 8),
        (0.1, 0, {"CPU": 0.3}, 3),
        (3, 0, {"CPU": 8}, 2),
        (1, 1, {"CPU": 8}, 0),
        (1, 1, {"CPU": 8, "GPU": 2}, 2),
        (1, 0.5, {"CPU": 8, "GPU": 2}, 4),
        (1, 0.1, {"CPU": 64, "GPU": 2}, 20),
        (4, 0.5, {"CPU": 8, "GPU": 2}, 2),
        # Two of 0.6 never share a card, though 1.2 cards would be free in all.
        (1, 0.6, {"CPU": 8, "GPU": 2}, 2),
        (1, 0.3, {"CPU": 8, "GPU": 1}, 3),
        (1, 2, {"CPU": 8, "GPU": 5}, 2),
        (1, 3, {"CPU": 8, "GPU": 2}, 0),
        (1, 1, {}, 0),
    ],
)
def test_trials_on_a_node(cpus: float, gpus: float, node: dict[str, float], count: int) -> None:
    assert fit(Resources(cpus=cpus, gpus=gpus), node) == count


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A head of 8 CPUs where `ray up` may add four nodes of 16 CPUs and one GPU, or two of 64 CPUs."""
    launcher = {
        "max_workers": 4,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 8}},
            "gpu": {"resources": {"CPU": 16, "GPU": 1}, "max_workers": 9},
            "cpu": {"resources": {"CPU": 64}, "max_workers": 2},
        },
    }
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 8.0}}, {"Alive": False, "Resources": {"GPU": 9.0}}])
    monkeypatch.setattr("ray._private.state.state.get_cluster_config", lambda: None)
    _write(tmp_path, launcher)
    return launcher


def _write(home: Path, launcher: dict[str, Any]) -> None:
    (home / "ray_bootstrap_config.yaml").write_text(json.dumps(launcher))


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("cpus", "gpus", "count"), [(1, 1, 4), (1, 0.5, 8), (32, 0, 4), (1, 0, 128)], ids=["a GPU", "half a GPU", "32 CPUs", "1 CPU"]
)
def test_nodes_that_may_be_added_count_but_cpu_trials_start_no_gpu_nodes(cpus: float, gpus: float, count: int) -> None:
    assert slots(Resources(cpus=cpus, gpus=gpus)) == count


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("shape", [Resources(gpus=2), Resources(cpus=17, gpus=1), Resources(cpus=65)], ids=str)
def test_what_no_kind_of_node_holds_is_refused_with_what_was_asked(shape: Resources) -> None:
    with pytest.raises(ResourceError, match=f"asks for {str(shape).replace('+', '.')}, which no node.*8 CPUs . 0 GPUs"):
        slots(shape)


def test_without_ray_up_only_living_nodes_count(cluster: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "ray_bootstrap_config.yaml").unlink()
    assert slots(Resources()) == 8
    with pytest.raises(ResourceError):
        slots(Resources(gpus=1))


def test_the_limit_of_the_cluster_holds_for_each_kind(cluster: dict[str, Any], tmp_path: Path) -> None:
    _write(tmp_path, cluster | {"max_workers": 0})
    with pytest.raises(ResourceError):
        slots(Resources(gpus=1))
