"""What the ranks of throw-away trials do."""

import os
import signal
import time
from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.optim import Schedule
from tasks.blocks.training import Loop, generator, train


def run(trial: Trial) -> Mapping[str, float]:
    """Rank 0 returns a number; the others return rubbish."""
    behaviour = trial.params.behaviour
    if (behaviour, trial.rank) == ("die", 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if trial.rank == 1:
        if behaviour == "raise":
            raise ValueError("rank 1 was told to fail")
        if behaviour == "memory":
            raise MemoryError("no room on rank 1")
    if behaviour.startswith("train"):
        value = _train(trial)
    elif behaviour == "resume":
        value = _resume(trial)
    else:
        value = _sum(trial)
    if behaviour == "raise-late" and trial.rank == 1:
        time.sleep(1.0)
        raise ValueError("rank 1 fails when rank 0 is done")
    trial.keep({"value": value})
    return {"value": value} if trial.rank == 0 else {"nonsense": -1.0}


def _sum(trial: Trial) -> float:
    total = torch.tensor([10.0 * trial.rank + 1.0])
    if trial.world_size > 1:
        dist.all_reduce(total)
    trial.log(1, value=float(total) if trial.rank == 0 else -1.0, process=os.getpid())
    return float(total)


def _resume(trial: Trial) -> float:
    """The first attempt leaves a checkpoint of rank 0 and fails; the second goes on from it on every rank."""
    found = trial.restore()
    if found is None:
        trial.checkpoint(1, 5.0 + 100.0 * trial.rank)
        dist.barrier()
        os._exit(1)
    total = torch.tensor([found[1]])
    dist.all_reduce(total)
    return float(total)


def _train(trial: Trial) -> float:
    """A small network copies noise; seven examples a batch, which two ranks cannot share evenly."""
    dtype = getattr(torch, trial.params.dtype)
    start, stream = generator(1), generator(trial.seed_for("batches"))
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4)).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=start, dtype=dtype) / 3)

    def batch(_step: int) -> list[Tensor]:
        x = torch.randn(7, 4, generator=stream, dtype=dtype)
        return [x, x.flip(1)]

    def loss(x: Tensor, y: Tensor) -> Tensor:
        value: Tensor = (model(x) - y).square().mean()
        return value

    loop = Loop(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=0.02),
        schedule=Schedule(40, 4, "cosine"),
        loss=loss,
        batch=batch,
        parts=3 if trial.params.behaviour == "train-in-parts" else 1,
        streams={"batches": stream},
        log_every=1,
        tail=4,
    )
    return train(trial, loop).loss
