"""The Ray cluster: joining or starting one, what it holds, what it may grow to."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

from harness.errors import ResourceError
from harness.masking import learn, mask
from harness.nodes import slots as slots_on
from harness.registry import TASK_PATHS
from harness.shown import sentence
from harness.stopping import Stopped
from harness.task import Resources
from harness.workers import Node

CONNECT_LIMIT_S = 10.0
"""How long a cluster may take to answer. Ray itself knocks for ten minutes at an address where nothing is."""
MOST_SOCKET_BYTES = 107
SOCKET_NAME_BYTES = len("/ray/session_2026-11-28_09-11-41_267496_1234567/sockets/plasma_store")
"""What Ray adds to its temporary folder."""
BOOTSTRAP = "~/ray_bootstrap_config.yaml"
"""Where `ray up` leaves its configuration on the head (JSON, whatever the name says), which is where jobs run."""


@contextmanager
def ray_session(address: str | None, *, cpus: int | None = None) -> Iterator[None]:
    """Join the Ray that is there (this process's, a job's, the one at `address`), or start an embedded one and stop it after."""
    if ray.is_initialized():
        yield
        return
    joins = address or os.environ.get("RAY_ADDRESS")
    if joins:
        learn(joins)
        _knock(joins)
    logging.getLogger("ray").setLevel(logging.ERROR)
    # Ray means to stop clearing the CUDA variables of workers without a GPU; saying so silences its warning.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    # A signal that ends the driver must not end it in Ray's crash handler, which knows nothing of the study. Workers keep theirs.
    ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER = True
    if not joins:
        _check_temporary_folder()
    try:
        if joins:
            ray.init(address=address, **quiet)
        else:
            # Without "local", Ray would join whatever cluster somebody has started on this machine.
            ray.init(address="local", include_dashboard=False, num_cpus=cpus, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        hint = " (a cluster with tokens wants RAY_AUTH_MODE=token and its token in ~/.ray/auth_token)" if joins else ""
        raise ResourceError(f"no Ray cluster answers at {mask(joins or 'this machine')}: {sentence(error)}{hint}") from None
    except SystemExit:
        # What Ray's own handler of SIGTERM raises while it starts.
        raise Stopped from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_temporary_folder() -> None:
    """ResourceError when the paths of Ray's sockets would be longer than the system allows."""
    name = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    folder = os.environ.get(name, "/tmp")
    if len(os.fsencode(folder)) + SOCKET_NAME_BYTES > MOST_SOCKET_BYTES:
        raise ResourceError(
            f"{name} is too long for Ray, which puts sockets there whose paths may have {MOST_SOCKET_BYTES} bytes: set it to one of at "
            f"most {MOST_SOCKET_BYTES - SOCKET_NAME_BYTES} bytes (now {folder}), or run with --local"
        )


def _knock(address: str) -> None:
    """ResourceError for a dashboard, and when nothing listens at `host:port`; other forms ("auto", "ray://...") are left to Ray."""
    if address.startswith(("http://", "https://")):
        raise ResourceError(
            f"{mask(address)} is a dashboard, which takes jobs: `ray job submit --working-dir . -- python -m harness run ...` sends one. "
            "To join its cluster from here, name HOST:6379 with --address; without --address and RAY_ADDRESS a run starts a Ray of its own"
        )
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_LIMIT_S).close()
    except OSError as error:
        raise ResourceError(f"no Ray cluster answers at {mask(address)}: {error}") from None


def slots(shape: Resources) -> int:
    """How many trials of this shape run at once on the cluster; ResourceError at once when it can never hold one."""
    return slots_on(shape, nodes(), addable())


def nodes() -> list[Node]:
    """The nodes that are there now."""
    return [
        Node(
            node.get("NodeID", ""),
            f"{node.get('NodeManagerAddress', '')} ({node.get('NodeID', '')[:8]})",
            node["Resources"],
            node.get("Labels") or {},
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def addable() -> list[tuple[Node, int]]:
    """Each kind of node that an autoscaler may start, and the most that it has of it."""
    from ray._private.state import state

    config = state.get_cluster_config()
    if config is not None:
        return [(Node("", group.name, dict(group.resources)), max(0, group.max_count)) for group in config.node_group_configs]
    # The autoscaler of `ray up` tells the cluster nothing of what it may add.
    file = Path(BOOTSTRAP).expanduser()
    if not file.exists():
        return []
    launcher = json.loads(file.read_text())
    kinds = {name: kind for name, kind in launcher["available_node_types"].items() if name != launcher["head_node_type"]}
    most = launcher.get("max_workers", 0)
    return [
        (Node("", name, kind["resources"], kind.get("labels", {})), min(most, kind.get("max_workers", most)))
        for name, kind in kinds.items()
    ]


def worker_environment(shape: Resources) -> dict[str, str]:
    """Variables that a worker needs to see what its driver sees."""
    passed = ("PAPERTRIAL_CACHE", "XDG_CACHE_HOME", "TRITON_INTERPRET", "KERNELS_BACKEND", "PAPERTRIAL_COMPILER")
    variables = {name: os.environ[name] for name in passed if name in os.environ}
    # The order of sets of text must not differ between workers.
    return variables | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": str(max(1, int(shape.cpus))), TASK_PATHS: _task_paths()}


def _task_paths() -> str:
    """$PAPERTRIAL_TASKS for the workers. A job's workers start in their own copy of its folder, other ones anywhere."""
    roots = [root for root in os.environ.get(TASK_PATHS, "").split(os.pathsep) if root]
    in_job = bool(ray.get_runtime_context().runtime_env.get("working_dir"))
    return os.pathsep.join(root if in_job else str(Path(root).expanduser().resolve()) for root in roots)
