"""Many small networks of one shape trained as one program: each with its own seed, rate, decay, data, labels and stopping time.

A member that diverges goes on as NaN by itself. Members that see equally many examples share a program; which others were packed with
a member changes no more than the rounding of its numbers. Members may be kept and go on later beside others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from harness.packing import Metrics, Progress
from harness.trial import Trial
from tasks.blocks.small_losses import (
    Loss,
    centred_squared_error,
    correct,
    cross_entropy,
    cross_entropy_in,
    squared_error,
    stablemax_cross_entropy,
)
from tasks.blocks.small_members import Member, Observe, Run, View, log_spaced, row_splits, steps_to_threshold
from tasks.blocks.small_networks import Network
from tasks.blocks.small_optimizers import SGD, Adam, AdamW, Muon, Optimizer, PerParameter, perp_grad
from tasks.blocks.small_packs import Pack, Recipe, Tick
from tasks.blocks.training import generator

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Loss",
    "Member",
    "Muon",
    "Observe",
    "Optimizer",
    "PerParameter",
    "Run",
    "View",
    "centred_squared_error",
    "correct",
    "cross_entropy",
    "cross_entropy_in",
    "log_spaced",
    "perp_grad",
    "row_splits",
    "squared_error",
    "stablemax_cross_entropy",
    "steps_to_threshold",
    "train_many",
    "train_trials",
]
_ADAMW = AdamW()


def train_many(
    network: Network,
    members: Sequence[Member],
    *,
    loss: Loss = cross_entropy,
    optimizer: Optimizer = _ADAMW,
    points: Sequence[int] | int = 10,
    observe: Observe | None = None,
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: Callable[[int], float] = lambda _: 1.0,
    at_once: int | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> list[Run]:
    """Train every member to its own number of steps; the runs are in the order of the members.

    `points` are steps after which members are measured, beside 0 and a member's last; a number: `log_spaced`, so many a decade.
    `gradient(parameter, gradient)` replaces the gradient of a parameter, both (members, ...), before the optimizer sees it.
    `schedule(step)` multiplies all rates in step 0, 1, .... At most `at_once` members are packed together; None: what the device's cache
    or memory takes.
    """
    recipe = Recipe(
        loss=loss, optimizer=optimizer, points=points, observe=observe, gradient=gradient, schedule=schedule, device=device, dtype=dtype
    )
    runs: dict[int, Run] = {}
    for places in _programs(network, members, [0] * len(members), at_once, device):
        pack = Pack(network, [members[place] for place in places], recipe)
        runs.update((places[within], run) for tick in pack.train() for within, run in tick.ended)
    return [runs[place] for place in range(len(members))]


def train_trials(
    trials: Sequence[Trial],
    network: Network,
    member: Callable[[Trial], Member],
    metrics: Callable[[Trial, Run], Metrics],
    *,
    logged: Sequence[str] = (),
    loss: Loss = cross_entropy,
    optimizer: Optimizer = _ADAMW,
    points: Sequence[int] | int = 10,
    observe: Observe | None = None,
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: Callable[[int], float] = lambda _: 1.0,
    at_once: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Progress]:
    """An experiment's `run_batch`: trials that share `network`, each trained as `member(trial)` and scored by `metrics(trial, run)`.

    It yields the share of the work done after every step, and a trial as soon as it is at its end. Each goes on from its own
    checkpoint, whatever step that is of and whoever it was packed with. `logged` are the measures that become curves of the trial;
    the other options are those of `train_many`.
    """
    recipe = Recipe(
        loss=loss,
        optimizer=optimizer,
        points=points,
        observe=observe,
        gradient=gradient,
        schedule=schedule,
        device=trials[0].device,
        dtype=dtype,
    )
    members = [member(trial) for trial in trials]
    saved = [trial.restore() for trial in trials]
    began = [0 if start is None else start[0] for start in saved]
    done, work = 0, sum(one.steps - start for one, start in zip(members, began, strict=True))
    pause = Pause()
    for places in _programs(network, members, began, at_once, recipe.device):
        within = [trials[place] for place in places]
        pack = Pack(network, [members[place] for place in places], recipe, [saved[place] for place in places])
        for tick in pack.train():
            _log(within, tick, logged)
            for place, run in tick.ended:
                yield within[place], metrics(within[place], run)
            if pack.live and pause.over():
                pause.after(partial(_save, within, pack))
            yield done / max(1, work)
            done += len(pack.live)


@dataclass
class Pause:
    """Between two checkpoints: `seconds` at least, and so long that making them takes no more than `share` of the time."""

    seconds: float = 30.0
    share: float = 0.05
    clock: Callable[[], float] = time.monotonic
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.clock() + self.seconds

    def over(self) -> bool:
        """Whether it is time for the next one."""
        return self.clock() >= self._end

    def after(self, saving: Callable[[], None]) -> None:
        """The next pause begins when `saving` is done, and is as long as what that took asks for."""
        began = self.clock()
        saving()
        ended = self.clock()
        self._end = ended + max(self.seconds, (ended - began) * (1.0 / self.share - 1.0))


def _save(trials: Sequence[Trial], pack: Pack) -> None:
    for place in pack.live:
        trials[place].checkpoint(*pack.state(place))


def _log(trials: Sequence[Trial], tick: Tick, logged: Sequence[str]) -> None:
    for place, step, numbers in tick.measured:
        if logged:
            trials[place].log(step, **{name: numbers[name] for name in logged})


def _programs(network: Network, members: Sequence[Member], began: Sequence[int], at_once: int | None, device: str) -> Iterator[list[int]]:
    """Places of the members that are trained together, those with the fewest steps left first."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, member in enumerate(members):
        member.check()
        alike.setdefault(member.program, []).append(place)
    for places in alike.values():
        ordered = sorted(places, key=lambda place: members[place].steps - began[place])
        size = at_once or _fitting(network, members[places[0]], device)
        yield from (ordered[start : start + size] for start in range(0, len(ordered), size))


def _fitting(network: Network, member: Member, device: str) -> int:
    """Activations of more than about 2^21 numbers a layer leave the cache of a CPU, and packing then costs more than it saves."""
    widest = max(side for value in network.initial(generator(0)).values() for side in value.shape)
    return max(1, (2**21 if device == "cpu" else 2**28) // (widest * len(member.inputs)))
