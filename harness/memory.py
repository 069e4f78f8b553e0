"""Whether trials fit the memory of the machine that they run on, before any of them starts."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ResourceError
from harness.plan import TrialSpec
from harness.task import Hardware, Resources, Task

GIB = 1024.0**3
_LIMIT_OF_GROUP = "/sys/fs/cgroup/memory.max"
_NVIDIA_SMI_S = 10.0


@dataclass(frozen=True)
class Room:
    """What trials of one shape have together, and how many of them run in it at once."""

    gib: float
    where: str
    at_once: int

    @property
    def each(self) -> float:
        """GiB that one trial may take while the others take as much."""
        return self.gib / self.at_once


def here(trials: Sequence[TrialSpec]) -> Hardware:
    """This machine: its CPUs, its memory (the container's where that is less), and its smallest GPU as often as it has GPUs.

    GPUs are looked for only where one of the trials asks for any: the driver's tool may take a second.
    """
    cards = _gpus() if any(trial.resources.gpus for trial in trials) else []
    return Hardware(
        name="this machine",
        gpus=len(cards),
        gpu_gib=min(cards, default=0.0),
        cpus=os.cpu_count() or 1,
        memory_gib=_main_memory(),
    )


def room(shape: Resources, machine: Hardware, *, alone: bool = False) -> Room | None:
    """What `shape` finds on `machine`; None where it cannot be said. Trials of a `--local` run are alone.

    A trial of a fraction of a GPU has that share of its card's memory even when it is alone: the fraction is its own declaration.
    """
    if not shape.gpus:
        at_once = 1 if alone else max(1, math.floor(machine.cpus / shape.cpus + 1e-9))
        return Room(machine.memory_gib, f"the memory of {machine.name}", at_once) if machine.memory_gib else None
    if machine.gpus < shape.of_node.gpus:
        return None
    if shape.gpus < 1:
        return Room(machine.gpu_gib, f"a GPU of {machine.name}", math.floor(1 / shape.gpus + 1e-9))
    cards = "a GPU" if shape.gpus == 1 else f"{shape.gpus:g} GPUs"
    where = machine.name if shape.nodes == 1 else f"{shape.nodes} nodes like {machine.name}"
    return Room(machine.gpu_gib * shape.gpus, f"{cards} of {where}", 1)


def room_of(trial: TrialSpec, tasks: Mapping[str, Task], machine: Hardware | None, *, alone: bool = False) -> Room | None:
    """What a trial finds on `machine`, or else on the hardware that its scale names (`machine` is None for a cluster, or lacks GPUs)."""
    if machine and (found := room(trial.resources, machine, alone=alone)):
        return found
    named = tasks[trial.task].scale(trial.scale).hardware
    return room(trial.resources, named) if named else None


def too_large(trials: Sequence[TrialSpec], tasks: Sequence[Task], machine: Hardware | None, *, alone: bool = False) -> list[str]:
    """A sentence for each experiment and method with a trial that does not fit, about its largest one; it ends in what to do."""
    named = {task.id: task for task in tasks}
    worst: dict[tuple[str, str, str], tuple[TrialSpec, Room]] = {}
    for trial in trials:
        found = room_of(trial, named, machine, alone=alone)
        key = trial.task, trial.experiment, trial.method
        if found and trial.expected_gib > found.each and (key not in worst or trial.expected_gib > worst[key][0].expected_gib):
            worst[key] = trial, found
    return [_sentence(trial, found) for trial, found in worst.values()]


def check(trials: Sequence[TrialSpec], tasks: Sequence[Task], machine: Hardware | None, *, alone: bool = False) -> None:
    """ResourceError that names the trials which do not fit."""
    sentences = too_large(trials, tasks, machine, alone=alone)
    if sentences:
        more = f" (and so do trials of {len(sentences) - 1} more methods)" if len(sentences) > 1 else ""
        raise ResourceError(f"{sentences[0]}{more}")


def standing(gib: float, found: Room) -> str:
    """How full a machine gets when trials of a shape run side by side: "8 at a time: 9.1 of 80 GiB"."""
    return f"{found.at_once} at a time: {gib * found.at_once:.3g} of {found.gib:.3g} GiB of {found.where}"


def _sentence(trial: TrialSpec, found: Room) -> str:
    share = f" its share of {found.where}, {found.gib:.3g} GiB for {found.at_once} at a time" if found.at_once > 1 else f" {found.where}"
    local = ", run one at a time with --local" if not trial.resources.gpus and found.at_once > 1 else ""
    varied = ", ".join(f"{name}={value}" for name, value in trial.params.items() if type(value) in (int, float))
    return (
        f"{trial.task}, experiment {trial.experiment}: a trial of {trial.method} ({varied}) is expected to take "
        f"{trial.expected_gib:.3g} GiB, and{share} has {found.each:.3g} GiB for it: make it smaller with --set{local}, choose others with "
        "--method or --experiment, or run where there is more"
    )


def _gpus() -> list[float]:
    """GiB of each NVIDIA GPU that this process may use. The driver's own tool says it: importing torch would take seconds."""
    command = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_NVIDIA_SMI_S, check=True).stdout
        rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line.strip()]
        cards = [(index, uuid, float(mib) / 1024.0) for index, uuid, mib in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = None if visible is None else [name.strip() for name in visible.split(",")]
    return [gib for index, uuid, gib in cards if names is None or any(name == index or (name and uuid.startswith(name)) for name in names)]


def _main_memory() -> float:
    """GiB; 0 where the system does not say."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0.0
    try:
        limit = int(Path(_LIMIT_OF_GROUP).read_text())
    except (OSError, ValueError):
        limit = total
    return min(total, limit) / GIB
