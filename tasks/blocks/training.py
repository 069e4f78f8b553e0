"""One training loop: schedule, steps, curve, divergence, checkpoints."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.optim import Schedule


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How a model is trained: `loss(step)` makes the scalar that is differentiated, drawing from `streams` alone."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    loss: Callable[[int], Tensor]
    streams: Mapping[str, torch.Generator] = field(default_factory=dict)
    """Every random stream that `loss` draws from; their states are part of a checkpoint."""
    log_every: int = 50
    observe: Callable[[], Mapping[str, float]] | None = None
    """More numbers for the curve, measured without touching `streams`."""
    tail: int = 50
    """The reported training loss is the mean over this many last steps."""
    checkpoint_seconds: float = 60.0
    """A checkpoint at the first logged step after so long; shorter runs are cheaper to repeat than to keep."""
    stage: str = ""
    """Tells the loops of one trial apart: a checkpoint of another stage is passed over, and the curve goes on behind what it holds."""


@dataclass(frozen=True)
class Trained:
    """How a run ended: mean loss of the last steps, NaN when it diverged."""

    loss: float

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being finite."""
        return not math.isfinite(self.loss)


def precision(device: str, name: str) -> AbstractContextManager[object]:
    """The arithmetic of the forward pass, float32 or bfloat16 (autocast: weights and optimizer stay in single precision)."""
    return nullcontext() if name == "float32" else torch.autocast(device, dtype=torch.bfloat16)


def train(trial: Trial, loop: Loop) -> Trained:
    """Run the loop to its end, or until a logged loss is not finite; goes on from the trial's checkpoint where there is one.

    Losses are read every `log_every` steps only, so that an accelerator is never waited for in between.
    """
    with _repeatable(next(loop.model.parameters()).device):
        return _train(trial, loop)


def _train(trial: Trial, loop: Loop) -> Trained:
    start, recent, logged = _restore(trial, loop)
    steps, saved_at = loop.schedule.steps, time.monotonic()
    for step in range(start, steps):
        loop.schedule.set(loop.optimizer, step)
        loop.optimizer.zero_grad(set_to_none=True)
        loss = loop.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        loop.optimizer.step()
        recent.append(loss.detach())
        if (step + 1) % loop.log_every == 0 or step + 1 == steps:
            mean = float(torch.stack(list(recent)[-loop.log_every :]).mean())
            trial.log(logged + step + 1, train_loss=mean, **(loop.observe() if loop.observe else {}))
            if not math.isfinite(mean):
                return Trained(math.nan)
            if time.monotonic() - saved_at >= loop.checkpoint_seconds and step + 1 < steps:
                trial.checkpoint(step + 1, _state(loop, recent) | {"logged": logged})
                saved_at = time.monotonic()
    return Trained(float(torch.stack(list(recent)).mean()))


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On CUDA, prefer kernels that add in a fixed order (the backward pass of attention has others); the CPU's all do."""
    if device.type != "cuda":
        yield
        return
    before, filled = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def _state(loop: Loop, recent: Sequence[Tensor]) -> dict[str, Any]:
    return {
        "model": loop.model.state_dict(),
        "optimizer": loop.optimizer.state_dict(),
        "streams": {name: stream.get_state() for name, stream in loop.streams.items()},
        "recent": torch.stack(list(recent)),
        "stage": loop.stage,
    }


def _restore(trial: Trial, loop: Loop) -> tuple[int, deque[Tensor], int]:
    """The step to go on from, the last losses, and the steps of the curve that earlier stages hold."""
    curve = trial.curve
    saved = trial.restore()
    if saved is None or saved[1].get("stage", "") != loop.stage:
        trial.curve = curve
        return 0, deque(maxlen=loop.tail), int(curve[-1]["step"]) if curve else 0
    step, state = saved
    loop.model.load_state_dict(state["model"])
    loop.optimizer.load_state_dict(state["optimizer"])
    for name, stream in loop.streams.items():
        stream.set_state(state["streams"][name].cpu())
    device = next(loop.model.parameters()).device
    return step, deque(state["recent"].to(device).unbind(), maxlen=loop.tail), int(state.get("logged", 0))


def generator(seed: int) -> torch.Generator:
    """A random stream of its own, on the CPU so that it gives the same numbers beside every device."""
    return torch.Generator().manual_seed(seed)
