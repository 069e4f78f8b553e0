"""`papertrial test`: asks of a task what holds of every task."""

from __future__ import annotations

import argparse

from harness import contract, data, registry
from harness.console import console as make_console


def run(options: argparse.Namespace) -> int:
    """Print what is wrong, a sentence each; 1 when anything is."""
    task = registry.task(options.task)
    found = contract.findings(task.id, data.parse_user_data(options.data))
    console = make_console()
    for sentence in found:
        console.print(f"{task.id}: {sentence}", soft_wrap=True)
    if found:
        return 1
    methods = f"{len(task.methods)} methods in {len(task.experiments)} experiment{'s' if len(task.experiments) > 1 else ''}"
    seeds = "two seeds" if next(iter(task.scales.values())).seeds > 1 else "one seed"
    kept = f"{methods} end ok with every metric at {seeds}, the same again, and heed their seed"
    console.print(f"{task.id} keeps the contract: {kept}", soft_wrap=True)
    console.print("not asked: other seeds, whether the test split selects, and whether the code is the paper's", soft_wrap=True)
    return 0
