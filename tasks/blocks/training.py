"""One training loop: schedule, steps, accumulated gradients, curve, divergence, checkpoints."""

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

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks import backends
from tasks.blocks.optim import Schedule
from tasks.blocks.ranks import DataParallel, averaged, check_start, of_first
from tasks.datasets.placing import sent

_NOT_HELD: Callable[[], AbstractContextManager[object]] = nullcontext
_CHUNKS: Callable[[Tensor, int], Sequence[Tensor]] = Tensor.chunk


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How a model is trained. What is random is drawn from `streams` alone.

    Three forms: `loss(step)` makes the scalar that is differentiated; or `batch(step)` draws a batch and `loss(*batch)` is its mean, which
    can be taken in parts and compiled; or `step(step)` does all that a step does, such as those of a generator and its critic, and returns
    the number that is reported. ValueError for any other. A trial of several ranks takes the second form, see `tasks.blocks.ranks`.
    """

    model: nn.Module
    """All that a checkpoint keeps: several networks go into one module."""
    optimizer: torch.optim.Optimizer | Mapping[str, torch.optim.Optimizer]
    """One, or several by name. The schedule sets the rates of all; `step` steps them itself."""
    schedule: Schedule
    loss: Callable[..., Tensor] | None = None
    batch: Callable[[int], Sequence[Tensor]] | None = None
    """Tensors of one length, (examples, ...), moved to the model's device without waiting for it."""
    step: Callable[[int], Tensor] | None = None
    parts: int = 1
    """Parts that a batch is cut into, one after the other: the memory of one, the gradient of all."""
    compiler: str = ""
    """A backend of torch.compile that `loss` goes through, such as inductor; empty: what $PAPERTRIAL_COMPILER says, if it takes a batch."""
    max_grad_norm: float = math.inf
    """Longer gradients, all parameters of the model taken together, are cut to this Euclidean length."""
    sharded: Sequence[nn.Module] | nn.ModuleList = ()
    """Blocks of the model, such as those of a transformer, where it does not fit one card: the ranks of a trial then share out all of its
    weights, gradients and optimizer state, and gather a block at a time, see `tasks.blocks.sharding`. One process trains it whole."""
    streams: Mapping[str, torch.Generator] = field(default_factory=dict)
    """Every random stream that a step draws from; their states are part of a checkpoint."""
    log_every: int = 50
    observe: Callable[[], Mapping[str, float]] | None = None
    """More numbers for the curve, measured without touching `streams`."""
    tail: int = 50
    """The reported training loss is the mean over this many last steps."""
    checkpoint_seconds: float = 60.0
    """A checkpoint at the first logged step after so long; shorter runs are cheaper to repeat than to keep."""
    stage: str = ""
    """Tells the loops of one trial apart: a checkpoint of another stage is passed over, and the curve goes on behind what it holds."""

    def __post_init__(self) -> None:
        if (self.loss is None) == (self.step is None):
            raise ValueError("a loop takes either loss or step")
        if self.batch is None and (self.parts != 1 or self.compiler or self.sharded):
            raise ValueError("a loss that is cut into parts, compiled or sharded takes its batch from `batch`")
        if self.parts < 1 or (self.step is not None and self.batch is not None):
            raise ValueError("parts is at least 1, and a `step` draws its own batches")
        if self.max_grad_norm <= 0 or (self.step is not None and self.max_grad_norm < math.inf):
            raise ValueError("max_grad_norm is above zero, and a `step` cuts its own gradients")

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """All of them by name."""
        return {"": self.optimizer} if isinstance(self.optimizer, torch.optim.Optimizer) else self.optimizer

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.model.parameters()).device


@dataclass(frozen=True)
class Trained:
    """How a run ended: mean loss of the last steps, NaN when it diverged."""

    loss: float
    seconds: float = field(default=math.nan, compare=False)
    """Spent in the loop, by all attempts, what was lost behind a checkpoint left out."""

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
    if loop.sharded and trial.world_size > 1:
        from tasks.blocks.sharding import shard  # FSDP2 takes a second to import

        shard(trial, loop.model, loop.sharded, loop.optimizers.values())
    with _repeatable(loop.device), backends.recording(trial):
        return _train(trial, loop)


def _train(trial: Trial, loop: Loop) -> Trained:
    for group in (group for optimizer in loop.optimizers.values() for group in optimizer.param_groups):
        group.setdefault("initial_lr", group["lr"])
    start, recent, logged, spent = _restore(trial, loop)
    take, new = _step(trial, loop), list[Tensor]()
    check_start(trial, start, loop.device)
    began = time.perf_counter()
    steps, saved_at = loop.schedule.steps, time.monotonic()
    for step in range(start, steps):
        for optimizer in loop.optimizers.values():
            loop.schedule.set(optimizer, step)
        new.append(take(step))
        if (step + 1) % loop.log_every == 0 or step + 1 == steps:
            recent.extend(averaged(trial, torch.stack(new)).unbind())
            new.clear()
            mean = float(torch.stack(list(recent)[-loop.log_every :]).mean())
            trial.log(logged + step + 1, train_loss=mean, **(loop.observe() if loop.observe else {}))
            seconds = spent + time.perf_counter() - began
            if not math.isfinite(mean):
                return Trained(math.nan, seconds)
            due = time.monotonic() - saved_at >= loop.checkpoint_seconds and step + 1 < steps
            if of_first(trial, due, loop.device):
                trial.checkpoint(step + 1, _state(loop, recent) | {"logged": logged, "seconds": seconds})
                saved_at = time.monotonic()
    return Trained(float(torch.stack(list(recent)).mean()), spent + time.perf_counter() - began)


def _step(trial: Trial, loop: Loop) -> Callable[[int], Tensor]:
    """One step of the loop: what it minimised, detached."""
    if loop.step is not None:
        if trial.world_size > 1:
            raise UsageError(f"a trial of {trial.world_size} ranks trains with a loop whose batches can be shared out, not with `step`")
        by_itself = loop.step
        return lambda step: by_itself(step).detach()
    assert loop.loss is not None
    loss, batch, held, cut = _compiled(trial, loop, loop.loss), loop.batch, _NOT_HELD, _CHUNKS
    if trial.world_size > 1:
        parallel = DataParallel(trial, loop.model, loss, batch)
        loss, batch, held, cut = parallel.loss, parallel.batch, parallel.unshared, parallel.pieces

    def whole(step: int) -> Tensor:
        value = loss(step) if batch is None else loss(*placed(batch(step), loop.device))
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    def in_parts(step: int) -> Tensor:
        assert batch is not None
        return backward_in_parts(loss, placed(batch(step), loop.device), loop.parts, held, cut)

    def stepped(step: int) -> Tensor:
        for optimizer in loop.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        value = (whole if loop.parts == 1 else in_parts)(step)
        if loop.max_grad_norm < math.inf:
            nn.utils.clip_grad_norm_(loop.model.parameters(), loop.max_grad_norm)
        for optimizer in loop.optimizers.values():
            optimizer.step()
        return value

    return stepped


def backward_in_parts(
    loss: Callable[..., Tensor],
    batch: Sequence[Tensor],
    parts: int,
    held: Callable[[], AbstractContextManager[object]] = _NOT_HELD,
    cut: Callable[[Tensor, int], Sequence[Tensor]] = _CHUNKS,
) -> Tensor:
    """Backward pass of a batch's mean loss, one part of it after the other: the memory of one, the gradient of all. The loss, detached.

    All parts but the last are inside `held()`; `cut` makes at most so many of a tensor.
    """
    total = torch.zeros((), device=batch[0].device)
    pieces = list(zip(*(cut(tensor, parts) for tensor in batch), strict=True))
    for place, part in enumerate(pieces, 1):
        with held() if place < len(pieces) else nullcontext():
            value = loss(*part) * (len(part[0]) / len(batch[0]))
            value.backward()  # type: ignore[no-untyped-call]
        total += value.detach()
    return total


def _compiled(trial: Trial, loop: Loop, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`loss` through the loop's compiler, or the one of the environment; a loss that draws its own batch stays as it is."""
    compiler = loop.compiler or (backends.compiler() if loop.batch is not None else "")
    if not compiler:
        return loss
    backends.note(trial, f"step={compiler}")
    compiled: Callable[..., Tensor] = torch.compile(loss, backend=compiler)
    return compiled


def placed(batch: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """The next batch is drawn and on its way while an accelerator is still at the last one."""
    return [sent(tensor, device) for tensor in batch]


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On CUDA, prefer kernels that add in a fixed order; the CPU's all do.

    The backward pass of cuDNN's attention adds in any order and torch does not know it: flash and efficient attention do as they are told.
    """
    if device.type != "cuda":
        yield
        return
    before, filled = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    cudnn = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def _state(loop: Loop, recent: Sequence[Tensor]) -> dict[str, Any]:
    return {
        "model": loop.model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in loop.optimizers.items()},
        "streams": {name: stream.get_state() for name, stream in loop.streams.items()},
        "recent": torch.stack(list(recent)),
        "stage": loop.stage,
    }


def _restore(trial: Trial, loop: Loop) -> tuple[int, deque[Tensor], int, float]:
    """The step to go on from, the last losses, the steps of the curve that earlier stages hold, and the seconds spent."""
    curve = trial.curve
    saved = trial.restore()
    if saved is None or saved[1].get("stage", "") != loop.stage:
        trial.curve = curve
        return 0, deque(maxlen=loop.tail), int(curve[-1]["step"]) if curve else 0, 0.0
    step, state = saved
    loop.model.load_state_dict(state["model"])
    for name, optimizer in loop.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    for name, stream in loop.streams.items():
        stream.set_state(state["streams"][name].cpu())
    recent = deque(state["recent"].to(loop.device).unbind(), maxlen=loop.tail)
    return step, recent, int(state["logged"]), float(state["seconds"])


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A random stream of its own; on the CPU, unless what it draws is large, it gives the same numbers beside every device."""
    return torch.Generator(device).manual_seed(seed)


def normal(trial: Trial, purpose: str, *shape: int) -> Tensor:
    """Standard normal numbers of a shape, float64, from the seed's stream for a purpose: the same on every device, and for every method."""
    return torch.randn(*shape, generator=generator(trial.seed_for(purpose)), dtype=torch.float64).to(trial.device)
