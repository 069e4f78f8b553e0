"""`papertrial doctor`: what this machine can run; with `--job`, whether a cluster would take a job from here."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
from pathlib import Path

from rich.text import Text

from harness import data, memory, provenance, registry, submission
from harness.console import console as make_console
from harness.console import styled, warn
from harness.errors import PapertrialError
from harness.masking import mask
from harness.plan import Overrides, data_names, expand, placeholders
from harness.tabular import Row, print_table, words
from harness.task import SCALES, Task

_HERE = ("what", words("here"), words("so that"))


def run(options: argparse.Namespace) -> int:
    """Print what is here and what that allows; 0 even when something optional is missing."""
    if options.job:
        _job()
        return 0
    rows = [[name, version, ""] for name, version in provenance.versions().items()]
    rows += [
        ["processor", f"{provenance.cpu_name()}, {os.cpu_count()} CPUs", "scales smoke and laptop run"],
        ["GPU", *_gpu()],
        ["Triton", *_triton()],
        ["Ray", *_ray()],
        ["disk", f"{shutil.disk_usage('.').free / 2**30:.0f} GiB free here", "a study takes about 2 kB a trial"],
        ["cache", str(data.cache_root()), "prepared data lies there"],
    ]
    rows += [[f"data {name}", data.state(registry.dataset(name)), ""] for name in registry.datasets()]
    console = make_console()
    print_table(console, _HERE, rows)
    print_table(console, ("task", *map(words, SCALES)), _scales(), "what can run here")
    return 0


def _scales() -> list[Row]:
    """Which scales of which tasks can run here as things are, and what the others lack."""
    rows: list[Row] = []
    for entry in registry.tasks().values():
        try:
            task = registry.task_at(entry)
        except PapertrialError:
            rows.append([entry.name, styled("cannot be loaded", "red"), *("" for _ in SCALES[1:])])
            continue
        rows.append([task.id, *(_lacks(task, scale) if scale in task.scales else "" for scale in SCALES)])
    return rows


def _lacks(task: Task, scale: str) -> Text:
    names = data_names(task, scale)
    try:
        trials = expand(task, scale, Overrides(), placeholders(task, scale))
        missing = [f"data {name}" for name in names if data.is_missing(registry.dataset(name))]
    except PapertrialError:
        return styled("cannot be planned", "red")
    machine = memory.here(trials)
    cards = max(trial.resources.gpus for trial in trials)
    found = [f"{cards:g} GPUs" if cards > 1 else "a GPU"] if cards > machine.gpus else []
    found += ["memory"] if not found and memory.too_large(trials, [task], machine) else []
    found += missing
    return styled(f"lacks {', '.join(found)}", "yellow") if found else styled("runs", "green")


def _job() -> None:
    """What `ray job submit --working-dir .` would send from here, and to where."""
    console = make_console()
    sent, token, cluster = submission.upload(Path()), submission.token(), submission.cluster()
    size = f"{submission.mib(sent.size)} in {sent.files} files"
    largest = ", ".join(f"{name} {submission.mib(bytes_)}" for name, bytes_ in sent.tops)
    rows = [
        ["upload", size, f"Ray takes {submission.mib(sent.limit)}; the largest: {largest}"],
        ["token", token.says, "a cluster with tokens lets you in"],
        ["cluster", cluster.says, "`ray job submit --working-dir . -- python -m harness run ...` goes there"],
    ]
    print_table(console, _HERE, rows)
    for problem in filter(None, (sent.too_large, token.problem, cluster.problem)):
        warn(console, problem)


def _gpu() -> tuple[str, str]:
    import torch

    if not torch.cuda.is_available():
        return "none", "scales gpu and paper need another machine (--address)"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(names), "scale gpu runs"


def _triton() -> tuple[str, str]:
    if importlib.util.find_spec("triton") is None:
        return "not installed", "kernels run their reference; pip install papertrial[kernels]"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return "installed, interpreting", "kernels are checked, slowly, without a GPU"
    return "installed", "kernels run on a GPU, and are compiled ahead of time without one"


def _ray() -> tuple[str, str]:
    address = os.environ.get("RAY_ADDRESS")
    return (f"joins {mask(address)}", "run uses that cluster") if address else ("embedded", "run starts one and stops it again")
