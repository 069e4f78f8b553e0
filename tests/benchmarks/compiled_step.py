"""Seconds of a training step of the shared decoder as it is written and through torch.compile, and how busy a GPU is meanwhile.

    python tests/benchmarks/compiled_step.py [--rounds N] [--steps N] [--compiler NAME ...]

The network of the quantization paper's gpu scale, 256 x 4 on 64 x 128 tokens, in bfloat16; without a GPU a small one in its place. All
sides start from the same weights and see the same tokens; that their losses agree is checked first. The busy share is the time of kernels
over that of the steps, from torch's profiler: in what is missing to 1 the card waited for launches.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["PAPERTRIAL_TASKS"] = str(Path(__file__).parents[1] / "throwaway")

import torch
from interleaved import show, take
from torch import Tensor

from harness import registry
from harness.plan import Overrides, expand
from harness.trial import Trial
from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
from tasks.blocks.optim import Rate, Schedule, adamw
from tasks.blocks.parametrization import ParamClass, initialize
from tasks.blocks.training import Loop, generator, precision, train

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NOT_MEASURED = "not measured on a GPU"


@dataclass(frozen=True)
class Shape:
    """Sizes of the network and of a batch."""

    width: int
    depth: int
    length: int
    batch: int


SHAPE = Shape(256, 4, 128, 64) if DEVICE == "cuda" else Shape(64, 2, 64, 8)


class Side:
    """The shared loop on the shared decoder; `compiler` is empty for the steps as they are written."""

    def __init__(self, compiler: str) -> None:
        config = DecoderConfig(vocab_size=4096, width=SHAPE.width, depth=SHAPE.depth, head_dim=32, length=SHAPE.length)
        self.model = Decoder(config)
        initialize(self.model, generator(0), zero_head=False)
        self.model.to(DEVICE)
        self._compiler, self._stream = compiler, generator(1)
        self._optimizer = adamw(self.model, dict.fromkeys(ParamClass, Rate(1e-3, 0.1)))
        self._trial = Trial(
            registry.task("misbehaving").experiments[0], expand(registry.task("misbehaving"), "smoke", Overrides(seeds=1), {})[0]
        )

        def loss(inputs: Tensor, targets: Tensor) -> Tensor:
            with precision(DEVICE, "bfloat16" if DEVICE == "cuda" else "float32"):
                return next_token_loss(self.model(inputs), targets)

        self._loss = loss

    def _batch(self, _step: int) -> tuple[Tensor, Tensor]:
        tokens = torch.randint(4096, (SHAPE.batch, SHAPE.length + 1), generator=self._stream)
        return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def steps(self, count: int) -> tuple[float, float]:
        """(loss, milliseconds a step)."""
        loop = Loop(
            model=self.model,
            optimizer=self._optimizer,
            schedule=Schedule(count, 0),
            batch=self._batch,
            loss=self._loss,
            compiler=self._compiler,
            log_every=count,
            tail=count,
        )
        started = time.perf_counter()
        trained = train(self._trial, loop)
        return trained.loss, 1e3 * (time.perf_counter() - started) / count

    def busy(self, count: int) -> float:
        """Share of the time of `count` steps that kernels ran in."""
        torch.cuda.synchronize()
        started = time.perf_counter()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiled:
            self.steps(count)
            torch.cuda.synchronize()
            seconds = time.perf_counter() - started
        return sum(event.self_device_time_total for event in profiled.key_averages()) / 1e6 / seconds


def main() -> None:
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20, help="steps a round")
    parser.add_argument("--compiler", nargs="+", default=["inductor", "cudagraphs"] if DEVICE == "cuda" else ["inductor"])
    options = parser.parse_args()
    sides = {name or "as written": Side(name) for name in ("", *options.compiler)}
    first = {name: side.steps(10)[0] for name, side in sides.items()}
    for name, loss in first.items():
        assert abs(loss - first["as written"]) < 2e-2 * first["as written"], f"{name} trains another network: {first}"
    notes = {name: f"{side.busy(options.steps):.0%} busy" if DEVICE == "cuda" else NOT_MEASURED for name, side in sides.items()}
    measured = {name: lambda side=side: side.steps(options.steps)[1] for name, side in sides.items()}
    show(f"training step, {SHAPE}", "ms", take(measured, options.rounds), over="as written", notes=notes)
    if DEVICE == "cpu":
        print(f"busy share: {NOT_MEASURED}")


if __name__ == "__main__":
    main()
