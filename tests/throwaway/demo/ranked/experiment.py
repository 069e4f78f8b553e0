"""What the ranks of throw-away trials do."""

import math
import os
import signal
import time
import weakref
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import partial

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from harness.trial import Trial
from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
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
    if behaviour == "train":
        value = _train(trial)
    elif behaviour == "resume":
        value = _resume(trial)
    else:
        value = _sum(trial)
    if behaviour == "raise-late" and trial.rank == 1:
        time.sleep(1.0)
        raise ValueError("rank 1 fails when rank 0 is done")
    if behaviour != "train":
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


class Routed(nn.Module):
    """A layer that sends some examples through a second map, as through an expert; where none goes there, it is left out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.map, self.expert = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(examples, inputs) -> (examples, outputs)."""
        chosen = (x[:, 0] > 0).nonzero()[:, 0]
        y = self.map(x).tanh()
        return y.index_add(0, chosen, self.expert(x[chosen])) if len(chosen) else y


class BrokenOffError(Exception):
    """Stands for a machine that goes away."""


def _train(trial: Trial) -> float:
    """A small network learns from seven examples a batch, which two ranks cannot share evenly; its loss on others, which `value` is."""
    params = trial.params
    dtype = getattr(torch, params.dtype)
    if params.breaks and trial.restore() is None:
        with suppress(BrokenOffError) if params.breaks == "goes on" else nullcontext():
            train(trial, _loop(trial, dtype, [], stop_at=17))
        if trial.world_size > 1:
            dist.barrier()  # rank 0 has saved
    steps: list[int] = []
    loop = _loop(trial, dtype, steps)
    first = weakref.ref(next(loop.model.parameters()))
    train(trial, loop)
    held_out = _examples(trial, generator(3), dtype, 5)
    assert loop.loss is not None
    with torch.no_grad():
        value = float(loop.loss(*held_out))
    kept = {"weights": loop.model.state_dict(), "held": _held(trial, loop), "first": first() is not None, "began": steps[0]}
    trial.keep({"value": value} | kept)
    return value


def _loop(trial: Trial, dtype: torch.dtype, steps: list[int], stop_at: int = -1) -> Loop:
    """`steps` gets those that it takes."""
    params, start, stream = trial.params, generator(1), generator(trial.seed_for("batches"))
    model: nn.Module
    if params.network == "decoder":
        model = decoder = Decoder(DecoderConfig(vocab_size=11, width=8, depth=2, head_dim=4, length=6))
        blocks, weigh = list(decoder.blocks), next_token_loss
    else:
        blocks, weigh = [Routed(4, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh())], F.mse_loss
        model = nn.Sequential(*blocks, nn.Linear(8, 4))
    model.to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=start, dtype=dtype) / 3)

    def batch(step: int) -> list[Tensor]:
        if step == stop_at:
            raise BrokenOffError
        steps.append(step)
        return _examples(trial, stream, dtype, 7)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return weigh(model(x), y)

    sgd, adamw = partial(torch.optim.SGD, lr=0.1, momentum=0.9), partial(torch.optim.AdamW, lr=0.02)
    return Loop(
        model=model,
        optimizer=(sgd if params.optimizer == "sgd" else adamw)(model.parameters()),
        schedule=Schedule(40, 4, "cosine"),
        loss=loss,
        batch=batch,
        parts=params.parts,
        max_grad_norm=params.max_grad_norm or math.inf,
        sharded=blocks if params.sharded else (),
        streams={"batches": stream},
        log_every=1,
        tail=4,
        checkpoint_seconds=0.0 if params.breaks and trial.rank == 0 else 60.0,  # clocks differ: rank 0 says when
    )


def _examples(trial: Trial, stream: torch.Generator, dtype: torch.dtype, count: int) -> list[Tensor]:
    if trial.params.network == "decoder":
        tokens = torch.randint(11, (count, 1), generator=stream)
        tokens = (tokens + 3 * torch.arange(7)) % 11
        return [tokens[:, :-1], tokens[:, 1:]]
    x = torch.randn(count, 4, generator=stream, dtype=dtype)
    x[-1, 0].abs_()  # the expert of `Routed` has an example in each batch, and the first rank's part of it not always one
    return [x, x.flip(1)]


def _held(trial: Trial, loop: Loop) -> dict[str, float]:
    """The largest share that a rank has of the numbers of the weights, of their gradients and of the optimizer."""
    (optimizer,) = loop.optimizers.values()
    weights = list(loop.model.parameters())
    kept = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor) and value.ndim]
    found = {"weights": weights, "gradients": [weight.grad for weight in weights if weight.grad is not None], "optimizer": kept}
    own = [sum(tensor.to_local().numel() if isinstance(tensor, DTensor) else tensor.numel() for tensor in some) for some in found.values()]
    whole = [sum(tensor.numel() for tensor in some) for some in found.values()]
    shares = torch.tensor(own) / torch.tensor(whole)
    if trial.world_size > 1:
        dist.all_reduce(shares, dist.ReduceOp.MAX)
    return dict(zip(found, shares.tolist(), strict=True))
