"""Seconds of a training step of the shared decoder through the harness' loop, against the same network written plainly in torch.

    python tests/benchmarks/training_step.py [--rounds N] [--steps N]

One thread. Both sides start from the same weights, see the same tokens, and use torch's fused AdamW; that their losses agree
over the first steps is checked before anything is timed. The two then train in turn, a few steps at a time.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PAPERTRIAL_TASKS"] = str(Path(__file__).parents[1] / "throwaway")

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from interleaved import show, take
from torch import Tensor, nn

from harness import registry
from harness.plan import Overrides, expand
from harness.trial import Trial
from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
from tasks.blocks.optim import Rate, Schedule, adamw
from tasks.blocks.parametrization import ParamClass, initialize
from tasks.blocks.training import Loop, train

VOCABULARY = 256
LR, DECAY, BETAS, EPS = 1e-3, 0.1, (0.9, 0.95), 1e-12


@dataclass(frozen=True)
class Shape:
    """Sizes of the network and of a batch."""

    width: int
    depth: int
    head_dim: int
    length: int
    batch: int

    def __str__(self) -> str:
        return f"width {self.width}, {self.depth} blocks, batch {self.batch} x {self.length}"


SHAPES = (Shape(64, 1, 16, 64, 8), Shape(256, 2, 64, 64, 8))
"""Near the laptop scale of the first paper, where what surrounds the arithmetic shows most; and one where the arithmetic rules."""


class PlainBlock(nn.Module):
    """What one would write for this alone."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.head_dim = shape.width // shape.head_dim, shape.head_dim
        self.norm1 = nn.RMSNorm(shape.width, eps=1e-6)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        self.norm2 = nn.RMSNorm(shape.width, eps=1e-6)
        self.gate = nn.Linear(shape.width, 11 * shape.width // 4, bias=False)
        self.up = nn.Linear(shape.width, 11 * shape.width // 4, bias=False)
        self.down = nn.Linear(11 * shape.width // 4, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, self.head_dim).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(turn(query, cos, sin), turn(key, cos, sin), value, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, length, width))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on the two halves of the last axis."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class PlainDecoder(nn.Module):
    """The same network, in the same order of parameters."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, shape.width)
        self.blocks = nn.ModuleList(PlainBlock(shape) for _ in range(shape.depth))
        self.norm = nn.RMSNorm(shape.width, eps=1e-6)
        self.head = nn.Linear(shape.width, VOCABULARY, bias=False)
        frequency = 10_000.0 ** (-torch.arange(0, shape.head_dim, 2).double() / shape.head_dim)
        angle = torch.outer(torch.arange(shape.length).double(), frequency)
        self.register_buffer("cos", angle.cos().float())
        self.register_buffer("sin", angle.sin().float())

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


def batches(shape: Shape) -> Iterator[tuple[Tensor, Tensor]]:
    """The same random tokens for whoever asks."""
    rng = torch.Generator().manual_seed(1)
    while True:
        tokens = torch.randint(VOCABULARY, (shape.batch, shape.length + 1), generator=rng)
        yield tokens[:, :-1], tokens[:, 1:]


class Harness:
    """The decoder of `tasks/blocks`, trained by the loop that tasks use."""

    def __init__(self, shape: Shape) -> None:
        config = DecoderConfig(vocab_size=VOCABULARY, width=shape.width, depth=shape.depth, head_dim=shape.head_dim, length=shape.length)
        self.model = Decoder(config)
        initialize(self.model, torch.Generator().manual_seed(0), zero_head=False)
        self._optimizer = adamw(self.model, dict.fromkeys(ParamClass, Rate(LR, DECAY)), betas=BETAS, eps=EPS)
        self._batches = batches(shape)
        task = registry.task("misbehaving")
        self._trial = Trial(task.experiments[0], expand(task, "smoke", Overrides(seeds=1), {})[0])
        self.losses: list[float] = []

    def steps(self, count: int) -> float:
        """Seconds a step."""
        loop = Loop(model=self.model, optimizer=self._optimizer, schedule=Schedule(count, 0), loss=self._loss, log_every=count, tail=count)
        started = time.perf_counter()
        trained = train(self._trial, loop)
        seconds = (time.perf_counter() - started) / count
        self.losses.append(trained.loss)
        return seconds

    def _loss(self, _step: int) -> Tensor:
        inputs, targets = next(self._batches)
        return next_token_loss(self.model(inputs), targets)


class Plain:
    """Plain modules, plain loop."""

    def __init__(self, shape: Shape, weights: nn.Module) -> None:
        self.model = PlainDecoder(shape)
        with torch.no_grad():
            for mine, theirs in zip(self.model.parameters(), weights.parameters(), strict=True):
                assert mine.shape == theirs.shape
                mine.copy_(theirs)
        self._optimizer = torch.optim.AdamW(self.model.parameters(), lr=LR, weight_decay=DECAY, betas=BETAS, eps=EPS, fused=True)
        self._batches = batches(shape)
        self.losses: list[float] = []

    def steps(self, count: int) -> float:
        """Seconds a step."""
        total = torch.zeros(())
        started = time.perf_counter()
        for _ in range(count):
            inputs, targets = next(self._batches)
            self._optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.model(inputs).flatten(0, 1), targets.flatten())
            loss.backward()
            self._optimizer.step()
            total += loss.detach()
        mean = float(total) / count
        seconds = (time.perf_counter() - started) / count
        self.losses.append(mean)
        return seconds


def main() -> None:
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=10, help="steps a round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for shape in SHAPES:
        harness = Harness(shape)
        plain = Plain(shape, harness.model)
        for _ in range(10):
            harness.steps(1)
            plain.steps(1)
        torch.testing.assert_close(harness.losses, plain.losses, rtol=1e-4, atol=0)
        sides = {"plain torch": lambda plain=plain: 1e3 * plain.steps(options.steps)}
        sides["harness"] = lambda harness=harness: 1e3 * harness.steps(options.steps)
        show(f"training step, {shape}", "ms", take(sides, options.rounds), over="plain torch", notes={})


if __name__ == "__main__":
    main()
