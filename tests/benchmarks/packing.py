"""Seconds to train many small networks: packed as one program, one after another, and a process each.

    python tests/benchmarks/packing.py [--members M] [--steps N] [--rounds R] [--processes P]

One thread. Every network has its own seed, rate, decay and split of modular addition, and trains full batch with AdamW on squared errors.
`plain torch` is an nn.Sequential of nn.Linear and torch.optim.AdamW per network, the way a paper's script reads. A process each starts
Python, imports torch and trains one such network; Ray Tune starts its trials as it does by default, and with `reuse_actors`. Sides that
start a process a trial are timed on a few, one at a time, and multiplied. Nothing is measured on any side; that all are at the same
parameters after ten steps is checked first. The sweep at the end is over width and examples: where it falls under 1, packing does not pay.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from interleaved import show, take
from torch import Tensor, nn

from tasks.blocks.algorithmic import modular, split
from tasks.blocks.small_models import AdamW, Member, squared_error, train_many
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator

WIDTH = 32
HEADLINE = 11
"""Modulus of the networks that are compared with processes: 22 inputs, 60 examples."""
SWEEP = ((5, 32), (11, 32), (17, 32), (31, 32), (11, 128), (17, 128), (31, 200), (47, 256))
"""(p, hidden units)."""


def network(p: int, width: int) -> MLP:
    """2 p one-hot inputs, p outputs."""
    return MLP(widths=(2 * p, width, p), activation="relu")


def member(p: int, seed: int, steps: int) -> Member:
    """A network that differs from others in all but its shape."""
    inputs, labels = modular(p)
    splits = split(p * p, {"train": 0.5, "val": 0.1}, seed)
    return Member(seed=seed, inputs=inputs, targets=labels, splits=splits, lr=0.01 / (1 + seed % 3), decay=0.1 * (seed % 5), steps=steps)


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
    assert isinstance(row.lr, float)
    assert isinstance(row.decay, float)
    optimizer = torch.optim.AdamW(model.parameters(), lr=row.lr, weight_decay=row.decay)
    seen = row.splits["train"]
    inputs, wanted = row.inputs[seen], nn.functional.one_hot(row.targets[seen], net.widths[-1]).float()
    for _ in range(row.steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), wanted).backward()
        optimizer.step()
    return {f"weight{index}": layer.weight.detach().T for index, layer in enumerate(layers)}


def process_each(steps: int, count: int) -> None:
    """`count` processes one after the other, each of which trains one network of this file in plain torch."""
    for seed in range(count):
        subprocess.run([sys.executable, __file__, "--one", str(seed), "--steps", str(steps)], check=True)


def tuned(steps: int, count: int, *, reuse: bool) -> None:
    """`count` trials of Ray Tune, one at a time; SystemExit where one fails."""
    from ray import tune

    def train(config: dict[str, int]) -> None:
        torch.set_num_threads(1)
        plain(network(HEADLINE, WIDTH), [member(HEADLINE, config["seed"], steps)])
        tune.report({"seed": config["seed"]})

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            train,
            param_space={"seed": tune.grid_search(list(range(count)))},
            tune_config=tune.TuneConfig(max_concurrent_trials=1, reuse_actors=reuse),
            run_config=tune.RunConfig(storage_path=folder, name="tune", verbose=0),
        )
        if tuner.fit().errors:
            raise SystemExit("a trial of Ray Tune failed")


def seconds(function: Callable[[], object], times: float = 1.0) -> float:
    """Of one call, multiplied."""
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * times


def check(p: int, width: int) -> None:
    """AssertionError unless all forms are at the same parameters after some steps; rounding makes long trainings in float32 part."""
    net, rows = network(p, width), [member(p, seed, 10) for seed in range(4)]
    reference = plain(net, rows)
    for other in (packed(net, rows), packed(net, rows, 1)):
        for left, right in zip(reference, other, strict=True):
            for name, value in left.items():
                torch.testing.assert_close(value, right[name], rtol=1e-3, atol=1e-4)


def against_processes(count: int, steps: int, rounds: int, processes: int) -> None:
    """The headline: all sides on the same networks."""
    net, rows = network(HEADLINE, WIDTH), [member(HEADLINE, seed, steps) for seed in range(count)]
    check(HEADLINE, WIDTH)
    sides: dict[str, Callable[[], float]] = {
        "packed": lambda: seconds(lambda: packed(net, rows)),
        "one after another": lambda: seconds(lambda: packed(net, rows, 1)),
        "plain torch": lambda: seconds(lambda: plain(net, rows)),
        "a process each": lambda: seconds(lambda: process_each(steps, processes), count / processes),
    }
    if importlib.util.find_spec("ray.tune"):
        import ray

        paths = os.pathsep.join((str(Path(__file__).parents[2]), str(Path(__file__).parent)))
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": paths}})
        sides["Ray Tune"] = lambda: seconds(lambda: tuned(steps, processes, reuse=False), count / processes)
        sides["Ray Tune, reuse_actors"] = lambda: seconds(lambda: tuned(steps, count, reuse=True))
    else:
        print("Ray Tune is not part of the comparison: ray.tune is not installed")
    notes = {
        "packed": "one program, or a few of as many as stay in the cache",
        "one after another": "the same code, a pack of one each",
        "plain torch": "nn.Linear, torch.optim.AdamW",
        "a process each": f"python that imports torch, timed on {processes}",
        "Ray Tune": f"timed on {processes} trials, Ray already started",
        "Ray Tune, reuse_actors": "all of them, Ray already started",
    }
    title = f"{count} networks of width {WIDTH}, {HEADLINE**2 // 2} examples, {steps} steps"
    show(title, "s", take(sides, rounds), over="packed", notes=notes)


def sweep(count: int, steps: int, rounds: int) -> None:
    """Where packing stops paying on one core."""
    for p, width in SWEEP:
        net, rows = network(p, width), [member(p, seed, steps) for seed in range(count)]
        check(p, width)
        few = rows[: max(4, count // 8)]
        sides: dict[str, Callable[[], float]] = {
            "packed": lambda net=net, rows=rows: seconds(lambda: packed(net, rows)),
            "plain torch": lambda net=net, rows=few: seconds(lambda: plain(net, rows), count / len(rows)),
        }
        notes = {"plain torch": f"timed on {len(few)}"}
        title = f"{count} networks of width {width} and {3 * p * width:,} parameters, {p * p // 2} examples, {steps} steps"
        show(title, "s", take(sides, rounds), over="packed", notes=notes)


def main() -> None:
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=4, help="trials that are timed of the sides with a process each")
    parser.add_argument("--one", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one is not None:
        plain(network(HEADLINE, WIDTH), [member(HEADLINE, options.one, options.steps)])
        return
    against_processes(options.members, options.steps, options.rounds, options.processes)
    sweep(options.members, options.steps, options.rounds)


if __name__ == "__main__":
    main()
