"""A Ray head of the tests' own, with a token of its own, on ports that nothing else uses."""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CPUS = 3
"""Not the number that this machine has: a driver that says "3 at a time" has joined the head."""
START_S = 150.0


@dataclass(frozen=True)
class Head:
    """A running head, and the environment of a user who has its token."""

    address: str
    dashboard: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    @property
    def working_dir(self) -> Path:
        """What a user's checkout holds, with the throw-away tasks in it."""
        return self.folder / "checkout"

    def papertrial(self, *arguments: str, timeout: float = 90, **environment: str) -> subprocess.CompletedProcess[str]:
        """`papertrial ...` in the working folder; a variable given as "" is unset."""
        return run([sys.executable, "-m", "harness", *arguments], self.working_dir, {**self.environment, **environment}, timeout)

    def job(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`ray job VERB ...`, such as `stop` and `logs`."""
        command = [str(BIN / "ray"), "job", verb, "--address", self.dashboard, "--log-style", "record", "--log-color", "false", *words]
        return run(command, self.working_dir, self.environment, START_S)

    def submit(self, *entrypoint: str, options: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        """`ray job submit --working-dir . -- ...`. "No available agent" means that the head is still starting: asked again."""
        runtime = ["--runtime-env-json", '{"env_vars": {"PAPERTRIAL_TASKS": "throwaway", "OMP_NUM_THREADS": "1"}}']
        command = [str(BIN / "ray"), "job", "submit", "--address", self.dashboard, "--log-style", "record", "--log-color", "false"]
        command += ["--working-dir", ".", *runtime, *options, "--", *entrypoint]
        deadline = time.monotonic() + START_S
        while True:
            done = run(command, self.working_dir, {**self.environment, **environment}, START_S)
            starting = any(sign in done.stdout for sign in ("No available agent", "Failed to connect to Ray"))
            if not starting or time.monotonic() > deadline:
                return done
            time.sleep(2)


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run to the end; what it said, on either stream, is in `stdout`."""
    kept = {name: value for name, value in environment.items() if value}
    return subprocess.run(
        command, cwd=folder, env=kept, timeout=timeout, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@contextmanager
def started(*, gpus: int = 0, environment: Mapping[str, str] | None = None, autoscaling: str = "") -> Iterator[Head]:
    """`ray start --head --block` with a dashboard; ended with everything it started, and nothing else, at the end.

    `autoscaling` is the text of an autoscaling configuration, in which @ADDRESS@ stands for the head's address.
    """
    # Sockets lie in it, whose names may not be long: not under pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    port, dashboard_port, client_port = _free_ports(3)
    address = f"{_own_address()}:{port}"
    _make_checkout(folder / "checkout")
    variables = _environment(folder) | dict(environment or {})
    command = [str(BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats", f"--num-cpus={CPUS}", f"--num-gpus={gpus}"]
    command += [f"--port={port}", f"--dashboard-port={dashboard_port}", f"--ray-client-server-port={client_port}"]
    command += ["--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0", "--include-dashboard=true"]
    command += [f"--temp-dir={folder}/ray", f"--object-store-memory={80 * 2**20}"]
    if autoscaling:
        # `ray up` leaves it in the head's home under this name.
        file = folder / "ray_bootstrap_config.yaml"
        file.write_text(autoscaling.replace("@ADDRESS@", address))
        command.append(f"--autoscaling-config={file}")
    with ExitStack() as stack:
        log = stack.enter_context((folder / "head.log").open("w"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder)
        stack.callback(_end, process, folder)
        _wait(process, dashboard_port, folder / "head.log")
        yield Head(address, f"http://127.0.0.1:{dashboard_port}", folder, variables)


def _environment(folder: Path) -> dict[str, str]:
    """The user's own ~/.ray, RAY_ADDRESS and RAY_* settings stay out of it."""
    token = folder / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {
        "HOME": str(folder),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PAPERTRIAL_TASKS": "throwaway",
        "RAY_AUTH_MODE": "token",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _make_checkout(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("harness", "tasks", "kernels"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copytree(ROOT / "tests" / "throwaway", folder / "throwaway", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)


def _own_address() -> str:
    """What Ray takes for this machine's address, whatever `--node-ip-address` says on a machine with one card."""
    import ray.util

    return str(ray.util.get_node_ip_address())


def _free_ports(count: int) -> list[int]:
    """Below the range that systems hand out by themselves: Ray's own processes would be given them before the head asks."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), k=500):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"the head did not start: {log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """SIGTERM makes `ray start --block` end what it started; what an autoscaler started is known by the folder in its command line."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
    for pid in _processes_of(folder):
        os.kill(pid, signal.SIGKILL)


def _processes_of(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{folder}/".encode() in command and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found
