"""`papertrial ls`: the studies of a store, and those that are committed beside it."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import ledger, lock
from harness.console import console as make_console
from harness.console import emit, warn
from harness.errors import StoreError, UsageError
from harness.papers import GONE, loaded, of_today
from harness.plans import read_outline
from harness.store import LEDGER, StudyStore, alone, path_of, studies
from harness.tabular import print_table, words
from harness.tally import counts, lines, outdated


@dataclass(frozen=True)
class _Listed:
    """One study, read without its records where no run keeps a ledger of them."""

    study: str
    folder: str
    tasks: Sequence[str]
    scales: Sequence[str]
    seeds: int
    trials: int
    recorded: int | None
    """None where only tables are kept, which are not opened."""
    running: bool
    verdicts: str
    damages: Sequence[str]


def run(options: argparse.Namespace) -> int:
    """The studies of a local store, or a study named by its folder, as a table or as JSON, newest last."""
    store = options.store if options.folder is None else options.folder
    if "://" in store and not store.startswith("file://"):
        raise UsageError(f"ls looks into folders; name a study of {store} with `papertrial status` instead")
    if options.folder is not None and not path_of(options.folder).is_dir():
        raise UsageError(f"ls looks into folders, and {options.folder} is none; a study by its name: `papertrial status {options.folder}`")
    found = [_listed(folder) for folder in studies(store) or alone(store)]
    if options.json:
        emit(found)
        return 0
    console = make_console()
    rows = []
    for row in found:
        recorded = "committed" if row.recorded is None else f"{row.recorded:,}"
        planned = f"{row.trials:,}" if row.trials else "no plan"
        running = ", running" if row.running else ""
        rows.append([row.study, ", ".join(row.scales), str(row.seeds), planned, recorded + running, row.verdicts])
    print_table(console, ("study", "scale", "seeds", "trials", "recorded", words("the paper's claims")), rows, f"studies in {store}")
    for row in found:
        for damage in row.damages:
            warn(console, f"{row.folder}: {damage}")
    return 0


def _listed(folder: Path) -> _Listed:
    study = StudyStore(str(folder.parent), folder.name)
    damages: list[str] = []
    plan, _ = read_outline(study, damages.append)
    wanted = {trial.id for trial in plan}
    recorded = None
    if study.exists(LEDGER):
        done, _ = ledger.states(study)
        recorded = len(wanted & done.keys()) if plan else len(done)
    return _Listed(
        folder.name,
        str(folder),
        list(dict.fromkeys(trial.task for trial in plan)),
        list(dict.fromkeys(trial.scale for trial in plan)),
        len({trial.seed for trial in plan}),
        len(plan),
        recorded,
        lock.is_held(study),
        _verdicts(study, damages),
        damages,
    )


def _verdicts(study: StudyStore, damages: list[str]) -> str:
    try:
        judged = lines(study.read_bytes("verdicts.csv").decode())
    except FileNotFoundError:
        return "none yet"
    except (StoreError, ValueError, KeyError, csv.Error) as error:
        damages.append(f"verdicts.csv cannot be read ({type(error).__name__})")
        return "cannot be read"
    today = of_today(judged, loaded({line.task for line in judged}))
    own = [line for line in today if line.kind == "paper" and line.outdated != GONE]
    return counts("paper", own) + outdated(own)
