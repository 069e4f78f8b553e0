"""A plan as the JSON of its file: what trials share is said once, and a line a trial keeps the rest.

Of each experiment there is what most of its trials have, and its cells: trials that differ in the seed alone. A cell says what is otherwise
in it; a trial says its id, its cell, its seed, and which trial it requires. Up to schema 6 every trial said everything.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec

from harness.checksums import FIELD
from harness.looks import Look
from harness.plan import Siblings, TrialSpec

SCHEMA = 7
"""Of plans alone: what else a study keeps has the version of records, which plans shared up to 6."""
FIRST_WITH_CELLS = 7
OF_TRIALS = "checksum_of_trials"
"""The checksum that a plan of schema 5 has: the same for the same trials and looks, however their file says them."""
_OWN = ("id", "seed", "requires")
"""What a trial does not share with its cell."""


class Outline(msgspec.Struct, frozen=True, gc=False):
    """What a status needs of a planned trial."""

    id: str
    task: str
    scale: str
    experiment: str
    method: str
    seed: int


class _Row(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    id: str
    cell: int
    seed: int
    requires: str = ""


def to_text(trials: Sequence[TrialSpec], looks: Sequence[Look] = ()) -> str:
    """The text of a plan's file."""
    cells, places = _cells_of(trials)
    groups: dict[Hashable, list[int]] = {}
    for place, cell in enumerate(cells):
        shared = (cell["task"], cell["version"], cell["scale"], cell["experiment"], tuple(cell), tuple(cell["params"]))
        groups.setdefault(shared, []).append(place)
    numbers = {place: number for number, place in enumerate(itertools.chain.from_iterable(groups.values()))}
    experiments = [_experiment({numbers[place]: cells[place] for place in group}) for group in groups.values()]
    rows, bare = [], []
    for trial, place in zip(trials, places, strict=True):
        number, seed = numbers[place], trial.seed
        needs, bare_needs = (f', "requires": "{trial.requires}"', f'"requires":"{trial.requires}",') if trial.requires else ("", "")
        rows.append(f'{{"id": "{trial.id}", "cell": {number}, "seed": {seed}{needs}}}')
        bare.append(f'{{"cell":{number},"id":"{trial.id}",{bare_needs}"seed":{seed}}}')
    said = [[look.seeds, look.level] for look in looks]
    head = {"schema_version": SCHEMA, OF_TRIALS: of_trials(trials, looks)} | ({"looks": said} if said else {})
    lines = ",\n".join(rows)
    # `checksums.signed` of it all, which would take several times as long: the trials come last among its names.
    checksum = _digest(f'{_plain({**head, "experiments": experiments})[:-1]},"trials":[{",".join(bare)}]}}')
    del head["schema_version"]
    parts = ",\n".join(map(_lines, experiments))
    opening = f'{{"schema_version": {SCHEMA}, "{FIELD}": "{checksum}", {json.dumps(head)[1:-1]}'
    return f'{opening}, "experiments": [\n{parts}\n], "trials": [\n{lines}\n]}}\n'


def _lines(experiment: Mapping[str, Any]) -> str:
    """An experiment, and a line a cell."""
    cells = ",\n".join(f" {json.dumps(cell)}" for cell in experiment["cells"])
    head = json.dumps({name: value for name, value in experiment.items() if name != "cells"})
    return f'{head[:-1]}, "cells": [\n{cells}\n]}}'


def _cells_of(trials: Sequence[TrialSpec]) -> tuple[list[dict[str, Any]], list[int]]:
    """The cells in the order of their first trials, and the place of each trial's among them."""
    known: dict[Hashable, int] = {}
    cells: dict[str, int] = {}
    found: list[dict[str, Any]] = []
    places = []
    for trial in trials:
        place = known.get(key := trial.cell_key())
        if place is None:
            fields = {name: value for name, value in trial.to_json().items() if name not in _OWN}
            place = cells.setdefault(json.dumps(fields), len(cells))
            if place == len(found):
                found.append(fields)
            known[key] = place
        places.append(place)
    return found, places


def _experiment(cells: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What most cells of an experiment have, by their numbers, and of each cell what is otherwise in it."""
    own = list(cells.values())
    usual = _usual(own)
    usual["params"] = _usual([cell["params"] for cell in own])
    rest = []
    for number, cell in cells.items():
        params = _otherwise(cell["params"], usual["params"])
        differs = _otherwise({name: value for name, value in cell.items() if name != "params"}, usual)
        rest.append({"cell": number, **differs, **({"params": params} if params else {})})
    return {**usual, "cells": rest}


def _usual(several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each name the value that most have."""
    found = {}
    for name in several[0]:
        texts = Counter(json.dumps(fields[name]) for fields in several)
        ((most, _),) = texts.most_common(1)
        found[name] = next(fields[name] for fields in several if json.dumps(fields[name]) == most)
    return found


def _otherwise(fields: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if json.dumps(value) != json.dumps(usual[name])}


def of_trials(trials: Sequence[TrialSpec], looks: Sequence[Look] = ()) -> str:
    """See `OF_TRIALS`: the checksum of the object that a plan of schema 5 is, made without making it."""
    around: dict[Hashable, tuple[str, ...]] = {}
    texts = []
    for trial in trials:
        parts = around.get(key := trial.cell_key())
        if parts is None:
            fields = {name: value for name, value in trial.to_json().items() if name not in _OWN}
            # JSON sorts by name: id, requires and seed stand between these.
            names = itertools.pairwise(("", *sorted(_OWN), "~"))
            parts = around[key] = tuple(_plain({n: v for n, v in fields.items() if low < n < high})[1:-1] for low, high in names)
        first, second, third, fourth = parts
        texts.append(f'{{{first},"id":"{trial.id}",{second},"requires":"{trial.requires}",{third},"seed":{trial.seed},{fourth}}}')
    said = {"looks": [[look.seeds, look.level] for look in looks]} if looks else {}
    head = _plain({**said, "schema_version": 5})[:-1]
    return _digest(f'{head},"trials":[{",".join(texts)}]}}')


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def read(contents: Mapping[str, Any], looks: Sequence[Look]) -> list[TrialSpec]:
    """The trials of a plan of today's schema. ValueError, KeyError, TypeError or AttributeError where it is none."""
    cells, siblings = _cells(contents), Siblings()
    trials = [siblings.read(row.cell, cells[row.cell], row.id, row.seed, row.requires) for row in _rows(contents)]
    if of_trials(trials, looks) != contents[OF_TRIALS]:
        raise ValueError("its trials are not those that were planned")
    return trials


def outline(contents: Mapping[str, Any]) -> list[Outline]:
    """What a status needs of `read`; the same errors."""
    named = {}
    for number, cell in _cells(contents).items():
        if not all(type(cell[name]) is str for name in ("task", "scale", "experiment", "method")):
            raise ValueError("its cells are of another shape")
        named[number] = cell["task"], cell["scale"], cell["experiment"], cell["method"]
    found = []
    for row in _rows(contents):
        task, scale, experiment, method = named[row.cell]
        found.append(Outline(row.id, task, scale, experiment, method, row.seed))
    return found


def _rows(contents: Mapping[str, Any]) -> list[_Row]:
    try:
        return msgspec.convert(contents["trials"], list[_Row])
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _cells(contents: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """What the trials of each cell share, by its number."""
    found: dict[int, dict[str, Any]] = {}
    for experiment in contents["experiments"]:
        usual = {name: value for name, value in experiment.items() if name != "cells"}
        for cell in experiment["cells"]:
            if cell["cell"] in found:
                raise ValueError("it has a cell twice")
            own = {name: value for name, value in cell.items() if name != "cell"}
            found[cell["cell"]] = {**usual, **own, "params": {**usual["params"], **own.get("params", {})}}
    return found
