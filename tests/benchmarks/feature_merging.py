"""Iterative Feature Merging on VGG-16: inner products updated with each merge, against distances recomputed every round.

    .venv/bin/python tests/benchmarks/feature_merging.py [--share 0.9] [--rounds 3]

Random weights: time depends on shapes alone. In double precision both sides merge the same pairs (checked); the plain one is the published
algorithm, timed in the published code's single precision too. `--share` is what is kept of each layer: a small cut, because the plain
side is slow. It has fewer distances to recompute as channels vanish, and ours sets up once: the ratio of a large cut is another one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from interleaved import show, take

from tasks.blocks.convnets import convnet
from tasks.blocks.training import generator
from tasks.pruning.feature_merging_ifm.channels import carriers, counts_at, mergeable
from tasks.pruning.feature_merging_ifm.distances import Incremental, Recomputed
from tasks.pruning.feature_merging_ifm.merging import Merged, to_counts

SHAPE = (3, 32, 32)
OURS = "incremental"


def main() -> None:
    """Time all sides in turns, then ours alone down to an eighth of the channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--share", type=float, default=0.9, help="of each layer's channels that is kept in the timed runs")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = convnet("vgg16", shape=SHAPE, num_classes=10, stream=generator(0))
    axes = mergeable(model, SHAPE)
    tensors, order = carriers(model, axes), [axis.name for axis in axes]
    results: dict[str, Merged] = {}

    def side(name: str, build: Callable[[], Recomputed], share: float) -> Callable[[], float]:
        def seconds() -> float:
            began = time.perf_counter()
            results[name] = to_counts(build(), order, counts_at(axes, share))
            return time.perf_counter() - began

        return seconds

    sides = {
        OURS: side(OURS, lambda: Incremental(tensors), options.share),
        "recomputed": side("recomputed", lambda: Recomputed(tensors), options.share),
        "recomputed, float32": side("float32", lambda: Recomputed(tensors, torch.float32), options.share),
    }
    figures = take(sides, options.rounds)
    if results[OURS] != results["recomputed"]:
        raise SystemExit("the incremental distances merged other pairs than the recomputed ones")
    merges = len(results[OURS].sequence)
    show(
        f"IFM on VGG-16: the first {merges} merges, setting up included",
        "s",
        figures,
        over=OURS,
        notes={OURS: "low-rank updates, float64", "recomputed": "the published algorithm, float64", "recomputed, float32": "as published"},
    )
    whole = side("whole", lambda: Incremental(tensors), 0.125)()
    print(f"{OURS}: {len(results['whole'].sequence)} merges down to an eighth of the channels in {whole:.1f} s")


if __name__ == "__main__":
    main()
