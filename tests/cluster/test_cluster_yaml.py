"""cluster.yaml is what the installed Ray takes, and says what the README promises of it."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml

from harness import registry
from harness.plan import data_names
from tests.altered import altered

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())


def test_it_is_valid_for_the_installed_ray(config: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.validate(config, schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["head_node"], {}),
        (["provider"], {}),
        (["available_node_types", "worker.gpu", "resources", "GPU"], 0.5),
        (["available_node_types", "worker.gpu", "max_wokers"], 4),
        (["setup_commands"], "pip install ."),
    ],
    ids=["a key of old versions", "no provider type", "a fraction of a GPU", "a misspelt key", "a command that is no list"],
)
def test_the_schema_refuses_mistakes(config: dict[str, Any], schema: dict[str, Any], path: list[str], value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(altered(config, path, value), schema)


def test_ray_fills_in_its_defaults_without_overriding_ours(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    filled = prepare_config(copy.deepcopy(config))
    validate_config(filled)
    assert filled["available_node_types"]["head.cpu"]["max_workers"] == 0
    assert [command for command in filled["worker_setup_commands"] if "papertrial data prepare" in command]


def test_the_autoscaler_gets_its_configuration(config: dict[str, Any]) -> None:
    heads = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert heads
    assert all("--head" in command and "--autoscaling-config=~/ray_bootstrap_config.yaml" in command for command in heads)
    workers = [command for command in config["worker_start_ray_commands"] if "ray start" in command]
    assert workers
    assert all("--address=$RAY_HEAD_IP:6379" in command for command in workers)


def test_gpus_start_from_zero_and_end_at_the_limit(config: dict[str, Any]) -> None:
    kinds = config["available_node_types"]
    assert kinds[config["head_node_type"]]["resources"].get("GPU", 0) == 0
    workers = [kind for name, kind in kinds.items() if name != config["head_node_type"]]
    assert any(kind["resources"].get("GPU", 0) for kind in workers)
    for kind in workers:
        assert 0 == kind["min_workers"] < kind["max_workers"] <= config["max_workers"]
        assert kind["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_every_node_needs_the_token_and_gets_it(config: dict[str, Any]) -> None:
    environment = dict(option.removeprefix("--env ").split("=", 1) for option in config["docker"]["run_options"])
    assert environment["RAY_AUTH_MODE"] == "token"
    assert config["file_mounts"][environment["RAY_AUTH_TOKEN_PATH"]] == "~/.ray/auth_token"
    assert environment["OMP_NUM_THREADS"] == "1"


def test_nodes_run_the_ray_of_the_constraints_and_install_what_is_mounted(config: dict[str, Any]) -> None:
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    for image in (config["docker"]["image"], config["docker"]["head_image"]):
        assert f":{pinned[1]}-py311" in image
    for local in config["file_mounts"].values():
        assert local.startswith("~/") or (ROOT / local).exists(), f"{local} is mounted and not in the checkout"
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(config["file_mounts"].values())


def test_nodes_prepare_every_set_that_a_gpu_or_paper_scale_reads(config: dict[str, Any]) -> None:
    (prepare,) = [command for command in config["setup_commands"] if "data prepare" in command]
    tasks = [registry.task(name) for name, entry in registry.tasks().items() if entry.module.startswith("tasks.")]
    needed = {name for task in tasks for scale in {"gpu", "paper"} & set(task.scales) for name in data_names(task, scale)}
    assert needed
    assert {name for name in needed if registry.dataset(name).prepare} <= set(prepare.split())
