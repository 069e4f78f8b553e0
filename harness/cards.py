"""Seeds of one cell are measured on one kind of card: a cell keeps to the kind that its first trial ran on.

A cell is what seeds repeat: task, scale, experiment, method, parameters and data.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from harness.errors import ResourceError
from harness.nodes import fit
from harness.plan import TrialSpec
from harness.record import Record
from harness.workers import Node

_KIND = "accelerator_type:"


def on_one_kind(trials: Sequence[TrialSpec], nodes: Sequence[Node], records: Iterable[Record]) -> list[TrialSpec]:
    """The trials, those of a GPU each with the kind of card that its cell keeps to.

    A cell with records keeps to what these ran on; ResourceError where the cluster has none of it. The others are dealt out by what each
    kind has room for. Where Ray cannot name the cards, or has none yet, nothing is asked.
    """
    kinds = {kind: [node for node in nodes if _KIND + kind in node.resources] for node in nodes for kind in kinds_of(node)}
    if not kinds or not any(trial.resources.gpus for trial in trials):
        return list(trials)
    devices = {_cell(record): record.device for record in records if record.status == "ok" and record.device}
    load = dict.fromkeys(kinds, 0.0)
    chosen: dict[Hashable, str] = {}
    settled = []
    for trial in trials:
        if not trial.resources.gpus or trial.resources.accelerator:
            settled.append(trial)
            continue
        cell = (_cell(trial), trial.resources)
        if cell not in chosen:
            chosen[cell] = _kept(trial, devices.get(cell[0], ""), kinds) or _emptiest(trial, kinds, load)
        if kind := chosen[cell]:
            load[kind] += trial.expected_s or 1.0
        settled.append(replace(trial, resources=replace(trial.resources, accelerator=kind)))
    return settled


def kinds_of(node: Node) -> list[str]:
    """Kinds of card of a node, by Ray's names."""
    return [name.removeprefix(_KIND) for name in node.resources if name.startswith(_KIND)]


def _kept(trial: TrialSpec, device: str, kinds: Mapping[str, Sequence[Node]]) -> str:
    """The kind that a device of earlier records is of; empty without such records."""
    if not device or device == "cpu":
        return ""
    for kind in kinds:
        if kind.partition("-")[0] in device:
            return kind
    raise ResourceError(
        f"{trial.task}: seeds of {trial.method} ran on {device} before, and the cluster has {' and '.join(kinds)}: "
        "--mixed-hardware lets the seeds of a cell run on different cards"
    )


def _emptiest(trial: TrialSpec, kinds: Mapping[str, Sequence[Node]], load: Mapping[str, float]) -> str:
    """The kind with the least to do for each trial that it holds at once; empty where none holds one."""
    slots = {kind: sum(fit(trial.resources, node.resources, node.labels) for node in nodes) for kind, nodes in kinds.items()}
    return min((kind for kind in kinds if slots[kind]), key=lambda kind: load[kind] / slots[kind], default="")


def _cell(one: TrialSpec | Record) -> Hashable:
    data = one.data_fingerprint if isinstance(one, Record) else one.data.fingerprint if one.data else ""
    return one.task, one.version, one.scale, one.experiment, one.method, json.dumps(dict(one.params), sort_keys=True), data
