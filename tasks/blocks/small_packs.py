"""The program that trains members of one shape: one forward and one backward pass a step for all that have not reached their end.

The weights of all members lie in one tensor (members, parameters). One backward pass of the summed losses gives every member its own
gradient: nothing couples them. Members are ordered by the steps that they have left, so those that are done are cut off the front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.blocks.small_losses import SLOPES, Loss, correct
from tasks.blocks.small_members import Measured, Member, Observe, Run, View, log_spaced
from tasks.blocks.small_networks import Network, Tensors, packed
from tasks.blocks.small_optimizers import Optimizer, Step
from tasks.blocks.training import generator


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all members of a program share beside their network."""

    loss: Loss
    optimizer: Optimizer
    points: Sequence[int] | int
    observe: Observe | None
    gradient: Callable[[Tensor, Tensor], Tensor] | None
    schedule: Callable[[int], float]
    device: str
    dtype: torch.dtype


@dataclass(frozen=True)
class Tick:
    """What a step of a program brought: members by their places in it."""

    measured: Sequence[tuple[int, int, Mapping[str, float]]]
    """(place, the member's step, numbers)."""
    ended: Sequence[tuple[int, Run]]


State = dict[str, Any]
"""All that a member needs to go on in another program: tensors on the CPU, numbers and containers of these."""


class Pack:
    """A program. `members` are ordered by steps left; each starts afresh or goes on from (step, state)."""

    def __init__(
        self, network: Network, members: Sequence[Member], recipe: Recipe, saved: Sequence[tuple[int, State] | None] | None = None
    ) -> None:
        self._network, self._members, self._recipe = network, members, recipe
        self._began = [0 if start is None else start[0] for start in saved or [None] * len(members)]
        self._tick, self._first = 0, 0
        drawn = [network.initial(generator(member.seed)) for member in members]
        self._shapes = {name: value.shape for name, value in drawn[0].items()}
        self._weights = self._on(torch.stack([torch.cat([value.flatten() for value in start.values()]) for start in drawn]))
        self._state = [torch.zeros_like(self._weights) for _ in range(recipe.optimizer.slots)]
        self._measured: list[Measured] = [[] for _ in members]
        self._batches = [_Batches(m.seed, len(m.rows), m.batch) for m in members] if members[0].batch else []
        self._streams = [_stream(m.seed, "noise") for m in members] if network.noise(generator(0), 1) else []
        for place, start in enumerate(saved or ()):
            if start is not None:
                self._load(place, start[1])
        points = [log_spaced(m.steps, recipe.points) if isinstance(recipe.points, int) else recipe.points for m in members]
        self._points: dict[int, list[int]] = {}
        for place, (member, at, done) in enumerate(zip(members, points, self._measured, strict=True)):
            for step in {0, member.steps, *at} - {step for step, _ in done}:
                self._points.setdefault(step - self._began[place], []).append(place)
        self._forward = packed(network)
        self._inputs, self._targets = self._stack([m.inputs for m in members]), self._stack([m.targets for m in members])
        known = [m.targets if m.truth is None else m.truth for m in members]
        self._truth = self._targets if all(m.truth is None for m in members) else self._stack(known)
        self._splits = {name: self._stack([m.splits[name] for m in members]) for name in members[0].splits}
        rows = [member.rows for member in members]
        self._seen = self._stack([m.inputs[r] for m, r in zip(members, rows, strict=True)])
        self._wanted = self._stack([m.targets[r] for m, r in zip(members, rows, strict=True)])
        self._fixed = {name: self._stack([_tensor(m.fixed[name]) for m in members]) for name in members[0].fixed}
        self._lr, self._decay = self._rates([m.lr for m in members]), self._rates([m.decay for m in members])

    @property
    def live(self) -> range:
        """Places of the members that have steps left."""
        return range(self._first, len(self._members))

    def train(self) -> Iterator[Tick]:
        """All members to their ends, a step at a time; between two steps `state` may be asked for."""
        while True:
            measured = self._due()
            ended = []
            while self.live and self._at(self._first) >= self._members[self._first].steps:
                ended.append((self._first, self._run(self._first)))
                self._first += 1
            yield Tick(measured, ended)
            if not self.live:
                return
            self._step()
            self._tick += 1

    def state(self, place: int) -> tuple[int, State]:
        """A member's steps so far and what it needs to go on."""
        return self._at(place), {
            "weights": self._weights[place].cpu().clone(),
            "optimizer": [part[place].cpu().clone() for part in self._state],
            "measured": list(self._measured[place]),
            "batches": self._batches[place].state() if self._batches else None,
            "noise": self._streams[place].get_state() if self._streams else None,
        }

    def _load(self, place: int, state: State) -> None:
        self._weights[place] = state["weights"].to(self._weights)
        for part, kept in zip(self._state, state["optimizer"], strict=True):
            part[place] = kept.to(part)
        self._measured[place] = [(int(step), dict(numbers)) for step, numbers in state["measured"]]
        if self._batches:
            self._batches[place].load(state["batches"])
        if self._streams:
            self._streams[place].set_state(state["noise"])

    def _at(self, place: int) -> int:
        return self._began[place] + self._tick

    def _each(self, of: Callable[[int], float]) -> float | Tensor:
        """A number for the step that live members are at: one for all, or (members, 1) in float64 where they began at different steps."""
        began = self._began[self._first :]
        if len(set(began)) == 1:
            return of(began[0] + self._tick)
        return torch.tensor([[of(start + self._tick)] for start in began], dtype=torch.float64, device=self._recipe.device)

    def _step(self) -> None:
        live = slice(self._first, None)
        inputs, targets, fixed = self._seen[live], self._wanted[live], {name: value[live] for name, value in self._fixed.items()}
        if self._batches:
            index = torch.stack([next(batch) for batch in self._batches[live]]).to(self._recipe.device)
            member = torch.arange(len(index), device=self._recipe.device).unsqueeze(1)
            inputs, targets = inputs[member, index], targets[member, index]
        if self._streams:
            drawn = [self._network.noise(stream, inputs.shape[1]) for stream in self._streams[live]]
            fixed |= {name: self._stack([one[name] for one in drawn]) for name in drawn[0]}
        weights = self._weights[live]
        slope = self._gradient(weights, inputs, targets, fixed)
        if self._recipe.gradient:
            pairs = zip(self._parts(weights).values(), self._parts(slope).values(), strict=True)
            slope = torch.cat([self._recipe.gradient(weight, g).flatten(1) for weight, g in pairs], dim=1)
        lr = self._each(self._recipe.schedule) * self._lr[live]
        now = Step(lr, self._decay[live], self._each(lambda step: step + 1), self._shapes)
        self._recipe.optimizer.step(weights, slope, [part[live] for part in self._state], now)

    def _gradient(self, weights: Tensor, inputs: Tensor, targets: Tensor, fixed: Tensors) -> Tensor:
        leaf = weights.detach().requires_grad_()
        outputs = self._forward(self._parts(leaf), inputs, fixed)
        if self._recipe.loss in SLOPES:
            slope = SLOPES[self._recipe.loss](outputs.detach(), targets)
            return torch.autograd.grad(outputs, leaf, slope.div_(outputs.shape[-2]))[0]
        return torch.autograd.grad(self._recipe.loss(outputs, targets).mean(-1).sum(), leaf)[0]

    def _due(self) -> list[tuple[int, int, Mapping[str, float]]]:
        """Measure the members for which it is time."""
        due = [(place, self._at(place)) for place in self._points.get(self._tick, ()) if place >= self._first]
        if not due:
            return []
        numbers = self._measure(slice(self._first, None))
        for place, step in due:
            self._measured[place].append((step, numbers[place - self._first]))
        return [(place, step, numbers[place - self._first]) for place, step in due]

    @torch.no_grad()
    def _measure(self, live: slice) -> list[dict[str, float]]:
        parameters, fixed = self._parts(self._weights[live]), {name: value[live] for name, value in self._fixed.items()}
        outputs = self._forward(parameters, self._inputs[live], fixed)
        splits = {name: mask[live] for name, mask in self._splits.items()}
        view = View(outputs, self._targets[live], self._truth[live], splits, parameters, fixed)
        loss = self._recipe.loss
        measures = {"loss": loss} if view.targets.is_floating_point() else {"loss": loss, "accuracy": correct}
        numbers: dict[str, Tensor] = {}
        for name, measure in measures.items():
            own = measure(outputs, view.targets)
            true = own if self._truth is self._targets else measure(outputs, view.truth)
            numbers |= {f"{split}_{name}": view.mean(own if split == "train" else true, split) for split in splits}
        numbers |= self._recipe.observe(view) if self._recipe.observe else {}
        columns = {name: values.tolist() for name, values in numbers.items()}
        return [{name: column[place] for name, column in columns.items()} for place in range(len(outputs))]

    def _run(self, place: int) -> Run:
        numbers = self._measured[place]
        measured = {name: [values[name] for _, values in numbers] for name in numbers[0][1]}
        parameters = {name: value[0].cpu().clone() for name, value in self._parts(self._weights[place : place + 1]).items()}
        return Run([step for step, _ in numbers], measured, parameters)

    def _parts(self, weights: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(weights, [shape.numel() for shape in self._shapes.values()], dim=1)
        return {name: piece.reshape(-1, *shape) for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True)}

    def _rates(self, given: Sequence[float | Mapping[str, float]]) -> Tensor:
        """(members, 1), or (members, parameters) where one has them by name. ValueError for other names than the network's."""
        if not any(isinstance(one, Mapping) for one in given):
            return torch.tensor(given, dtype=torch.float64, device=self._recipe.device).unsqueeze(1)
        named = [one if isinstance(one, Mapping) else dict.fromkeys(self._shapes, one) for one in given]
        wrong = next((one for one in named if one.keys() != self._shapes.keys()), None)
        if wrong is not None:
            raise ValueError(f"rates or decays of {', '.join(wrong)}; the network has {', '.join(self._shapes)}")
        values = torch.tensor([[one[name] for name in self._shapes] for one in named], dtype=torch.float64, device=self._recipe.device)
        sizes = torch.tensor([shape.numel() for shape in self._shapes.values()], device=self._recipe.device)
        return values.repeat_interleave(sizes, dim=1)

    def _stack(self, tensors: Sequence[Tensor]) -> Tensor:
        same = all(tensor is tensors[0] for tensor in tensors)
        return self._on(tensors[0]).expand(len(tensors), *tensors[0].shape) if same else self._on(torch.stack(list(tensors)))

    def _on(self, tensor: Tensor) -> Tensor:
        device, dtype = self._recipe.device, self._recipe.dtype
        return tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)


class _Batches:
    """A member's batches: a new order every epoch."""

    def __init__(self, seed: int, examples: int, size: int) -> None:
        self._stream, self._examples, self._size = _stream(seed, "batches"), examples, size
        self._draw()

    def __next__(self) -> Tensor:
        if not self._left:
            self._draw()
        return self._left.pop()

    def state(self) -> dict[str, Any]:
        """The stream as it was before the order of this epoch was drawn, and the batches of it that are left."""
        return {"stream": self._before, "left": len(self._left)}

    def load(self, state: Mapping[str, Any]) -> None:
        """What `state` gave."""
        self._stream.set_state(state["stream"])
        self._draw()
        del self._left[state["left"] :]

    def _draw(self) -> None:
        self._before = self._stream.get_state()
        order = torch.randperm(self._examples, generator=self._stream)
        self._left: list[Tensor] = list(reversed(torch.split(order[: self._examples - self._examples % self._size], self._size)))


def _tensor(value: float | Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


def _stream(seed: int, purpose: str) -> torch.Generator:
    """Another stream than that of the initial parameters, for each purpose one."""
    return generator((seed + {"batches": 1, "noise": 2}[purpose] * 0x9E3779B97F4A7C15) % 2**63)
