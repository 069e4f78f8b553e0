"""Data-parallel training of a trial of several ranks: each takes its part of every batch, and gradients are averaged over them.

The ranks draw the same numbers from the same seeds, so that a batch is that of one process, and its mean loss has the same gradient but for
rounding. What is not a mean over examples differs: batch normalisation sees one rank's part, which the record's notes say, and numbers that
a loss draws itself (dropout) are drawn for that part. Every rank holds the whole model (`DistributedDataParallel`), or its part of one that
`tasks.blocks.sharding` has spread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from harness.errors import UsageError
from harness.trial import Trial

Draw = Callable[[int], Sequence[Tensor]]


class DataParallel:
    """`loss(*batch)` of a model, the mean over a batch of `draw(step)`, on this rank's part of it.

    UsageError where there is no `draw`: how a loss that draws its own examples is shared out cannot be known.
    """

    def __init__(self, trial: Trial, model: nn.Module, loss: Callable[..., Tensor], draw: Draw | None) -> None:
        if draw is None:
            raise UsageError(f"a trial of {trial.world_size} ranks trains with a loop whose batches can be shared out: give it `batch`")
        from torch.distributed.fsdp import FSDPModule

        self._rank, self._size, self._draw, self._weight, self._least = trial.rank, trial.world_size, draw, 1.0, 1
        if any(isinstance(layer, _BatchNorm) for layer in model.modules()):
            trial.notes.append("batch normalisation saw the part of a batch that one rank has")
        # Of the parameters that a batch leaves out, such as an expert's, others may use some.
        whole = None if isinstance(model, FSDPModule) else DistributedDataParallel(_Loss(model, loss), find_unused_parameters=True)
        self._whole, self._loss = whole, whole or loss

    def batch(self, step: int) -> list[Tensor]:
        """This rank's part. UsageError where a batch has fewer examples than there are ranks."""
        whole = self._draw(step)
        if len(whole[0]) < self._size:
            raise UsageError(f"a batch of {len(whole[0])} examples cannot be shared out to {self._size} ranks")
        part = [tensor.tensor_split(self._size)[self._rank] for tensor in whole]
        self._weight, self._least = self._size * len(part[0]) / len(whole[0]), len(whole[0]) // self._size
        return part

    def pieces(self, tensor: Tensor, count: int) -> Sequence[Tensor]:
        """At most `count` pieces of one of the tensors of `batch`, on every rank as many: those of a sharded model meet at each."""
        return tensor.tensor_split(min(count, self._least))

    def loss(self, *part: Tensor) -> Tensor:
        """A scalar whose mean over the ranks is the loss of the batch."""
        value: Tensor = self._loss(*part)
        return value * self._weight

    def unshared(self) -> AbstractContextManager[Any]:
        """Inside, whole gradients add up on this rank. Those of a sharded model are shared out at once, as whole ones may not fit."""
        held: AbstractContextManager[Any] = self._whole.no_sync() if self._whole else nullcontext()
        return held


class _Loss(nn.Module):
    def __init__(self, model: nn.Module, loss: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model = model
        self._of = (loss,)

    def forward(self, *batch: Tensor) -> Tensor:
        return self._of[0](*batch)


def averaged(trial: Trial, values: Tensor) -> Tensor:
    """Their mean over the ranks."""
    if trial.world_size == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total / trial.world_size


def of_first(trial: Trial, decision: bool, device: torch.device) -> bool:
    """What rank 0 decides: clocks of ranks differ."""
    if trial.world_size == 1:
        return decision
    said = torch.tensor(decision, device=device)
    dist.broadcast(said, 0)
    return bool(said)


def check_start(trial: Trial, step: int, device: torch.device) -> None:
    """UsageError where ranks start at different steps. None goes on before all have read the checkpoint."""
    if trial.world_size == 1:
        return
    starts = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(trial.world_size)]
    dist.all_gather(starts, torch.tensor([step], device=device))
    if len({int(start) for start in starts}) > 1:
        raise UsageError(f"ranks find checkpoints of steps {[int(start) for start in starts]}: they need a store that all nodes see")
