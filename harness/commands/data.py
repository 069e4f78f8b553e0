"""`papertrial data`: what is here, how to get the rest, and how nodes get it."""

from __future__ import annotations

import argparse

from rich.console import Console

from harness import data, data_store, registry
from harness.console import console as make_console
from harness.console import warn
from harness.errors import UsageError, unknown
from harness.tabular import print_table, words


def run(options: argparse.Namespace) -> int:
    """List the data sets, prepare some, or push some into a store."""
    names = list(registry.datasets())
    for name in options.names:
        if name not in names:
            raise unknown("data set", name, names)
    if options.data and options.action != "push":
        raise UsageError(f"papertrial data {options.action} takes no --data: only push sends your own files")
    console = make_console()
    if options.action == "list":
        _list(console, options.names or names)
        return 0
    if options.action == "push":
        _push(console, options)
        return 0
    for name in options.names or [name for name in names if registry.dataset(name).prepare]:
        dataset = registry.dataset(name)
        console.print(f"{name}: {dataset.source}, {dataset.size}")
        reference = data.prepare(dataset, force=options.force)
        console.print(f"{name}: ready, fingerprint {reference.fingerprint}, in {reference.path}", soft_wrap=True)
        for note in reference.notes:
            warn(console, f"{name}: {note}")
    return 0


def _push(console: Console, options: argparse.Namespace) -> None:
    chosen = data.parse_user_data(options.data)
    if not options.names:
        raise UsageError("papertrial data push takes the names of data sets")
    for name in chosen:
        if name not in options.names:
            raise unknown("data set to push", name, options.names)
    for name in options.names:
        reference = data.resolve(registry.dataset(name), chosen)
        pushed = data_store.push(reference, options.store, force=options.force)
        done = "was there before" if pushed.was_there and not options.force else f"{pushed.size / 2**20:.1f} MiB sent"
        console.print(f"{name}: {done}, fingerprint {reference.fingerprint}, in {pushed.uri}", soft_wrap=True)


def _list(console: Console, names: list[str]) -> None:
    rows = []
    for name in names:
        dataset = registry.dataset(name)
        rows.append([name, dataset.source, dataset.kind, dataset.size, data.state(dataset), dataset.description])
    headings = ("name", words("default source"), "kind", words("size"), words("here"), words("what it is"))
    print_table(console, headings, rows)
    console.print("your own files: --data NAME=PATH (or NAME:KIND=PATH), or $PAPERTRIAL_DATA/NAME")
    console.print("another set in a set's place: --data NAME=@OTHER")
