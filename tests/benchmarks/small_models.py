"""Seconds to train many small networks: packed as one program, one after another by the same code, and by plain torch.

    python tests/benchmarks/small_models.py [--members M] [--steps N] [--rounds R]

One thread. Every network has its own seed, rate, decay and split of modular addition, and trains full batch with AdamW on squared errors.
`plain torch` is an nn.Sequential of nn.Linear and torch.optim.AdamW per network, the way a paper's script reads; nothing is measured
on any side. That all sides end at the same parameters is checked before anything is printed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from interleaved import show, take
from torch import Tensor, nn

from tasks.blocks.algorithmic import modular, split
from tasks.blocks.small_models import AdamW, Member, squared_error, train_many
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator

SHAPES = ((5, 16), (11, 32), (17, 64), (31, 200))
"""(p, hidden units): the last is the smoke scale of 2310.13061."""


def network(p: int, width: int) -> MLP:
    """2 p one-hot inputs, p outputs."""
    return MLP(widths=(2 * p, width, p), activation="relu")


def members(p: int, count: int, steps: int) -> list[Member]:
    """Networks that differ in all but their shape."""
    inputs, labels = modular(p)
    return [
        Member(
            seed=seed,
            inputs=inputs,
            targets=labels,
            splits=split(p * p, {"train": 0.5, "val": 0.1}, seed),
            lr=0.01 / (1 + seed % 3),
            decay=0.1 * (seed % 5),
            steps=steps,
        )
        for seed in range(count)
    ]


def packed(net: MLP, rows: Sequence[Member], at_once: int | None = None) -> list[Mapping[str, Tensor]]:
    """Parameters after training."""
    return [run.parameters for run in train_many(net, rows, loss=squared_error, optimizer=AdamW(), points=[], at_once=at_once)]


def plain(net: MLP, rows: Sequence[Member]) -> list[Mapping[str, Tensor]]:
    """The same in plain torch, a network at a time."""
    return [_alone(net, row) for row in rows]


def _alone(net: MLP, row: Member) -> dict[str, Tensor]:
    start = net.initial(generator(row.seed))
    layers = [nn.Linear(a, b, bias=False) for a, b in zip(net.widths, net.widths[1:], strict=False)]
    with torch.no_grad():
        for layer, weight in zip(layers, start.values(), strict=True):
            layer.weight.copy_(weight.T)
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=row.lr, weight_decay=row.decay)
    seen = row.splits["train"]
    inputs, wanted = row.inputs[seen], nn.functional.one_hot(row.targets[seen], net.widths[-1]).float()
    for _ in range(row.steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), wanted).backward()
        optimizer.step()
    return {f"weight{index}": layer.weight.detach().T for index, layer in enumerate(layers)}


def seconds(function: Callable[[], object]) -> float:
    """Of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    notes = {
        "packed": "one program, or a few of as many as stay in the cache",
        "one after another": "the same code, a pack of one each",
        "plain torch": "nn.Linear, torch.optim.AdamW",
    }
    for p, width in SHAPES:
        net, rows = network(p, width), members(p, options.members, options.steps)
        reference = plain(net, rows[:4])
        for other in (packed(net, rows), packed(net, rows[:4], 1)):
            for left, right in zip(reference, other, strict=False):
                for name, value in left.items():
                    torch.testing.assert_close(value, right[name], rtol=1e-3, atol=1e-4)
        sides: dict[str, Callable[[], float]] = {
            "packed": lambda net=net, rows=rows: seconds(lambda: packed(net, rows)),
            "one after another": lambda net=net, rows=rows: seconds(lambda: packed(net, rows, 1)),
            "plain torch": lambda net=net, rows=rows: seconds(lambda: plain(net, rows)),
        }
        parameters = 3 * p * width
        title = f"{options.members} networks of {parameters:,} parameters, {p * p // 2} examples, {options.steps} steps"
        show(title, "s", take(sides, options.rounds), over="packed", notes=notes)


if __name__ == "__main__":
    main()
