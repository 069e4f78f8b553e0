"""Seconds of a study through the command line: its trials packed, and one after another; and what the probe chose on both sides.

    python tests/benchmarks/packed_study.py [--seeds S] [--rounds R] [TASK --option ...]

The default is the phase diagram of 2310.13061 at laptop scale (fraction x corruption, without and with weight decay) on as many workers as
there are processors. Both sides pay for Ray's start; `of trials` leaves it out, as the ledger's seconds over the workers. A second study
is of networks large enough that packing does not pay: there the two sides must take as long, which is what choosing right means.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence

from interleaved import show, take

from harness import ledger
from harness.store import StudyStore

PHASES = ["grokking-label-corruption", "--experiment", "train", "--method", "none", "--method", "decay"]
LARGE = [
    "grokking-stablemax",
    "--experiment",
    "train",
    "--method",
    "adamw",
    "--set",
    "lr=0.01,0.03",
    "--set",
    "width=256",
    "--set",
    "steps=100",
]


def study(words: Sequence[str], seeds: int, chosen: Counter[str], *more: str) -> float:
    """Seconds of the workers on trials, of one run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "harness", "run", *words, "--scale", "laptop", "--seeds", str(seeds), "--study", "s", *more]
        subprocess.run([*command, "--store", folder, "--tracking-uri", "none"], check=True, capture_output=True)
        records = ledger.read(StudyStore(folder, "s")).records.values()
        if not more:
            chosen.update("by itself" if record.packed == 1 else "packed" for record in records)
        return sum(record.seconds for record in records) / (os.cpu_count() or 1)


def main() -> None:
    """Both studies, the sides in turn."""
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("words", nargs="*")
    given, more = options.parse_known_args()
    asked = {"the study asked for": [*given.words, *more]} if given.words else {"phase diagram": PHASES, "large networks": LARGE}
    for name, words in asked.items():
        chosen, walls = Counter[str](), dict[str, list[float]]()

        def side(
            label: str, *how: str, words: Sequence[str] = words, chosen: Counter[str] = chosen, walls: dict[str, list[float]] = walls
        ) -> Callable[[], float]:
            def seconds() -> float:
                start = time.perf_counter()
                spent = study(words, given.seeds, chosen, *how)
                walls.setdefault(label, []).append(time.perf_counter() - start)
                return spent

            return seconds

        figures = take({"packed": side("packed"), "one after another": side("one after another", "--no-packing")}, given.rounds)
        notes = {label: f"whole command {min(times):.0f} s" for label, times in walls.items()}
        notes["packed"] += f"; the probe chose {dict(chosen)}"
        show(f"{name}, {given.seeds} seeds: seconds of trials", "s", figures, over="packed", notes=notes)


if __name__ == "__main__":
    main()
