"""Seconds a training step and member of the landed papers' networks: members one after another, and packed by `torch.func.vmap`.

    python tests/benchmarks/packed_papers.py [--members M] [--steps N] [--rounds R]

One thread, the networks and batches of the laptop scales. Alone, a member is the paper's own module under torch's fused AdamW; packed,
`functional_call` mapped over stacked parameters and one fused AdamW over the stack. That both sides have the same losses after the first
step is checked before anything is timed.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from interleaved import show, take
from torch import Tensor, nn

from tasks.blocks.convnets import convnet
from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
from tasks.llm.mup_weight_decay_transfer.ffn import FeedForward

Loss = Callable[[Tensor, Tensor], Tensor]


def pair(width: int) -> tuple[nn.Module, Loss, Callable[[], tuple[Tensor, Tensor]]]:
    """The two matrices of muP's steady state."""
    return FeedForward(width), lambda y, g: (y * g).sum(), lambda: (torch.randn(64, width), torch.randn(64, width))


def decoder(width: int, depth: int, head: int) -> tuple[nn.Module, Loss, Callable[[], tuple[Tensor, Tensor]]]:
    """A decoder on bytes: muP's is of one block, quantization's of two."""
    config = DecoderConfig(vocab_size=256, width=width, depth=depth, head_dim=head, length=64)
    return Decoder(config), next_token_loss, lambda: (torch.randint(256, (8, 64)), torch.randint(256, (8, 64)))


def images(arch: str, side: int, width: float) -> tuple[nn.Module, Loss, Callable[[], tuple[Tensor, Tensor]]]:
    """WGSEF's network on digits, IFM's on Fashion-MNIST."""
    model = convnet(arch, shape=(1, side, side), num_classes=10, width=width, norm=False)
    return model, F.cross_entropy, lambda: (torch.randn(64, 1, side, side), torch.randint(10, (64,)))


CASES: Mapping[str, Callable[[], tuple[nn.Module, Loss, Callable[[], tuple[Tensor, Tensor]]]]] = {
    "muP pair, width 32": lambda: pair(32),
    "muP pair, width 64": lambda: pair(64),
    "muP pair, width 256": lambda: pair(256),
    "muP decoder, width 16": lambda: decoder(16, 1, 16),
    "muP decoder, width 64": lambda: decoder(64, 1, 16),
    "quantization decoder, width 64": lambda: decoder(64, 2, 32),
    "quantization decoder, width 128": lambda: decoder(128, 2, 32),
    "WGSEF MLP on 8 x 8": lambda: images("mlp", 8, 0.25),
    "IFM VGG-7 on 28 x 28": lambda: images("vgg7", 28, 0.25),
}


def alone(models: list[nn.Module], loss: Loss, batches: list[list[tuple[Tensor, Tensor]]]) -> list[float]:
    """Last losses of members that train one after another."""
    last = []
    for model, own in zip(models, batches, strict=True):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        for inputs, targets in own:
            optimizer.zero_grad()
            value = loss(model(inputs), targets)
            value.backward()
            optimizer.step()
        last.append(float(value))
    return last


def packed(models: list[nn.Module], loss: Loss, batches: list[list[tuple[Tensor, Tensor]]]) -> list[float]:
    """The same of members that train as one program."""
    stacked, buffers = torch.func.stack_module_state(models)
    skeleton = copy.deepcopy(models[0]).to("meta")
    optimizer = torch.optim.AdamW(list(stacked.values()), lr=1e-3, fused=True)

    def one(parameters: dict[str, Any], own: dict[str, Any], inputs: Tensor, targets: Tensor) -> Tensor:
        return loss(torch.func.functional_call(skeleton, (parameters, own), (inputs,)), targets)

    mapped = torch.func.vmap(one)
    for step in range(len(batches[0])):
        inputs, targets = (torch.stack([own[step][part] for own in batches]) for part in (0, 1))
        optimizer.zero_grad()
        values = mapped(stacked, buffers, inputs, targets)
        values.sum().backward()
        optimizer.step()
    found: list[float] = values.tolist()
    return found


def main() -> None:
    """Every case in turn."""
    options = argparse.ArgumentParser()
    options.add_argument("--members", type=int, default=16)
    options.add_argument("--steps", type=int, default=10)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    torch.set_num_threads(1)
    for name, make in CASES.items():
        torch.manual_seed(0)
        made = [make() for _ in range(given.members)]
        models, loss = [model for model, _, _ in made], made[0][1]
        batches = [[draw() for _ in range(given.steps)] for _, _, draw in made]
        first = [own[:1] for own in batches]
        torch.testing.assert_close(
            alone(copy.deepcopy(models), loss, first), packed(copy.deepcopy(models), loss, first), rtol=1e-3, atol=1e-4
        )

        def side(run: Callable[..., list[float]]) -> Callable[[], float]:
            def seconds() -> float:
                fresh = copy.deepcopy(models)  # noqa: B023 - called within the loop
                start = time.perf_counter()
                run(fresh, loss, batches)  # noqa: B023
                return (time.perf_counter() - start) / (given.members * given.steps)

            return seconds

        figures = take({"one after another": side(alone), "packed": side(packed)}, given.rounds)
        show(f"{name}, {given.members} members", "s", figures, over="one after another", notes={})


if __name__ == "__main__":
    main()
