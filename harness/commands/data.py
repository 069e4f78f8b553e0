"""`papertrial data`: what is here, and how to get the rest."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from harness import data, registry
from harness.console import console as make_console
from harness.console import warn
from harness.errors import unknown


def run(options: argparse.Namespace) -> int:
    """List the data sets, or prepare some."""
    names = list(registry.datasets())
    for name in options.names:
        if name not in names:
            raise unknown("data set", name, names)
    console = make_console()
    if options.action == "list":
        _list(console, options.names or names)
        return 0
    for name in options.names or [name for name in names if registry.dataset(name).prepare]:
        dataset = registry.dataset(name)
        console.print(f"{name}: {dataset.source}, {dataset.size}")
        reference = data.prepare(dataset, force=options.force)
        console.print(f"{name}: ready, fingerprint {reference.fingerprint}, in {reference.path}", soft_wrap=True)
        for note in reference.notes:
            warn(console, f"{name}: {note}")
    return 0


def _list(console: Console, names: list[str]) -> None:
    table = Table("name", "default source", "kind", "size", "here", "what it is")
    for name in names:
        dataset = registry.dataset(name)
        table.add_row(name, dataset.source, dataset.kind, dataset.size, data.state(dataset), dataset.description)
    console.print(table)
    console.print("your own files: --data NAME=PATH (or NAME:KIND=PATH), or $PAPERTRIAL_DATA/NAME")
    console.print("another set in a set's place: --data NAME=@OTHER")
