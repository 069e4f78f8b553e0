"""Many small networks of one shape trained as one program: each with its own seed, rate, decay, data, labels and stopping time.

The parameters of all members lie in one tensor of shape (members, parameters). The forward pass is `torch.func.vmap` of a single
member's, and one backward pass of the summed losses gives every member its own gradient: nothing couples them, so a member that
diverges goes on as NaN by itself. Members that see equally many examples share a program; which others were packed with a member
changes no more than the rounding of its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from harness.packing import Metrics, Progress
from harness.trial import Trial
from tasks.blocks.small_networks import Network, Tensors
from tasks.blocks.training import generator


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One network of a pack and all that is its own."""

    seed: int
    """Of its initial parameters, its batches and its noise, each a stream of its own."""
    inputs: Tensor
    """(examples, ...) of all splits. Members that hold the same tensor share its memory."""
    targets: Tensor
    """(examples,) classes or (examples, outputs) numbers that it is trained and, unless `truth` is given, measured on."""
    splits: Tensors
    """Masks (examples,) by name. It is trained on `train` and on nothing else; every split is measured."""
    lr: float
    steps: int
    decay: float = 0.0
    truth: Tensor | None = None
    """Targets that its splits other than `train` are measured on, where its own are corrupted."""
    batch: int = 0
    """Examples a step, a new order every epoch and the rest of an epoch left out; 0: all that it is trained on."""
    fixed: Mapping[str, float | Tensor] = field(default_factory=dict)
    """What its forward pass reads beside its parameters, such as the scale of its outputs; never trained."""

    @property
    def rows(self) -> Tensor:
        """Numbers of the examples that it is trained on."""
        return self.splits["train"].nonzero().flatten()


@dataclass(frozen=True)
class SGD:
    """torch.optim.SGD: an L2 penalty in the gradient, heavy-ball momentum without dampening."""

    momentum: float = 0.0

    def state(self, weights: Tensor) -> tuple[Tensor, ...]:
        """The velocity, where there is momentum."""
        return (torch.zeros_like(weights),) if self.momentum else ()

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], lr: Tensor, decay: Tensor, count: int) -> None:  # noqa: ARG002
        """One step of all members in place: `weights` and `gradient` (members, parameters), `lr` and `decay` (members, 1) in float64."""
        gradient = gradient + decay.to(weights.dtype) * weights
        if state:
            gradient = state[0].mul_(self.momentum).add_(gradient)
        weights.sub_(lr.to(weights.dtype) * gradient)


@dataclass(frozen=True)
class Adam:
    """torch.optim.Adam: the decay is an L2 penalty in the gradient and goes through the moments."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decoupled: bool = False

    def state(self, weights: Tensor) -> tuple[Tensor, ...]:
        """First and second moments."""
        return torch.zeros_like(weights), torch.zeros_like(weights)

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], lr: Tensor, decay: Tensor, count: int) -> None:
        """Step number `count` = 1, 2, ... of all members in place."""
        first, second = state
        if self.decoupled:
            weights.mul_((1.0 - lr * decay).to(weights.dtype))
        else:
            gradient = gradient + decay.to(weights.dtype) * weights
        first.lerp_(gradient, 1.0 - self.betas[0])
        second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1.0 - self.betas[1])
        root = second.sqrt().div_(math.sqrt(1.0 - self.betas[1] ** count)).add_(self.eps)
        weights.sub_((lr / (1.0 - self.betas[0] ** count)).to(weights.dtype) * first.div(root))


def AdamW(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Adam:  # noqa: N802 - a constructor by its usual name
    """torch.optim.AdamW: the decay shrinks the weights by 1 - lr decay and leaves the moments alone."""
    return Adam(betas, eps, decoupled=True)


Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs (..., examples, outputs) and targets -> the loss of every example (..., examples)."""


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of classes, by example."""
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the outputs, by example; classes stand for their one-hot vectors."""
    wanted = targets if targets.is_floating_point() else F.one_hot(targets, outputs.shape[-1])
    if wanted.shape != outputs.shape:
        raise ValueError(f"targets {tuple(wanted.shape)} for outputs {tuple(outputs.shape)}")
    return (outputs - wanted).square().mean(-1)


def correct(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest output is the class, 0 where not, NaN where outputs are not finite: a diverged network has no accuracy."""
    right = (outputs.argmax(-1) == targets).to(outputs.dtype)
    return right.where(outputs.isfinite().all(-1), torch.nan)


@dataclass(frozen=True)
class View:
    """What can be measured of the members at a step; every tensor has the members in front."""

    outputs: Tensor
    targets: Tensor
    truth: Tensor
    splits: Tensors
    parameters: Tensors

    def mean(self, values: Tensor, split: str) -> Tensor:
        """Mean of (members, examples) over the examples of a split."""
        mask = self.splits[split]
        return values.where(mask, 0.0).sum(-1) / mask.sum(-1)


Observe = Callable[[View], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Run:
    """What became of a member."""

    steps: Sequence[int]
    """Steps at which it was measured, 0 and its last among them."""
    measured: Mapping[str, Sequence[float]]
    """Numbers at those steps: `<split>_loss`, for classes `<split>_accuracy`, and what `observe` adds."""
    parameters: Tensors

    @property
    def diverged(self) -> bool:
        """Whether its parameters or its last numbers are not finite."""
        last = [values[-1] for values in self.measured.values()]
        return not (all(map(math.isfinite, last)) and all(bool(p.isfinite().all()) for p in self.parameters.values()))

    def curve(self, name: str) -> list[tuple[int, float]]:
        """(step, number) of one measure."""
        return list(zip(self.steps, self.measured[name], strict=True))


def log_spaced(steps: int, per_decade: int = 10) -> list[int]:
    """0, 1, ..., `steps`: about `per_decade` steps between powers of ten, each once, with both ends."""
    exponents = range(math.ceil(per_decade * math.log10(max(1, steps))) + 1)
    return sorted({0, steps, *(min(steps, round(10 ** (e / per_decade))) for e in exponents)})


def steps_to_threshold(curve: Sequence[tuple[float, float]], threshold: float, *, falls: bool = False) -> tuple[float, bool]:
    """The first measured step at or beyond `threshold`, and whether it is censored: (last step, True) when it was not reached by then.

    A curve that is not finite before it gets there has no such step: (NaN, True), which makes a trial that returns it a diverged one.
    """
    for step, value in curve:
        if not math.isfinite(value):
            return math.nan, True
        if value <= threshold if falls else value >= threshold:
            return step, False
    if not curve:
        raise ValueError("a curve without points says nothing about a threshold")
    return curve[-1][0], True


def train_many(
    network: Network,
    members: Sequence[Member],
    *,
    loss: Loss = cross_entropy,
    optimizer: SGD | Adam = Adam(decoupled=True),
    points: Sequence[int] | None = None,
    observe: Observe | None = None,
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: Callable[[int], float] = lambda _: 1.0,
    at_once: int | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> list[Run]:
    """Train every member to its own number of steps; the runs are in the order of the members.

    `points` are steps after which members are measured, beside 0 and a member's last (none: `log_spaced` of each). `gradient(parameter,
    gradient)` replaces the gradient of a parameter, both (members, ...), before the optimizer sees it. `schedule(step)` multiplies all
    rates in step 0, 1, .... At most `at_once` members are packed together; None: what the device's cache or memory takes.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, member in enumerate(members):
        _check(member)
        data = (member.inputs.shape, member.targets.shape, member.targets.dtype, tuple(member.splits), len(member.rows))
        key = (*data, member.batch, tuple(member.fixed))
        alike.setdefault(key, []).append(place)
    runs: dict[int, Run] = {}
    for places in alike.values():
        ordered = sorted(places, key=lambda place: members[place].steps)
        size = at_once or _fitting(network, members[places[0]], device)
        for start in range(0, len(ordered), size):
            chosen = ordered[start : start + size]
            pack = _Pack(network, [members[place] for place in chosen], loss, optimizer, observe, device, dtype)
            runs.update(zip(chosen, pack.train(points, gradient, schedule), strict=True))
    return [runs[place] for place in range(len(members))]


def train_trials(
    trials: Sequence[Trial],
    network: Network,
    member: Callable[[Trial], Member],
    metrics: Callable[[Trial, Run], Metrics],
    *,
    logged: Sequence[str] = (),
    loss: Loss = cross_entropy,
    optimizer: SGD | Adam = Adam(decoupled=True),
    points: Sequence[int] | None = None,
    observe: Observe | None = None,
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: Callable[[int], float] = lambda _: 1.0,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Progress]:
    """An experiment's `run_batch`: trials that share `network`, each trained as `member(trial)` and scored by `metrics(trial, run)`.

    `logged` are the measures that become curves of the trial.
    """
    runs = train_many(
        network,
        [member(trial) for trial in trials],
        loss=loss,
        optimizer=optimizer,
        points=points,
        observe=observe,
        gradient=gradient,
        schedule=schedule,
        device=trials[0].device,
        dtype=dtype,
    )
    for trial, run in zip(trials, runs, strict=True):
        for name in logged:
            for step, value in run.curve(name):
                trial.log(step, **{name: value})
        yield trial, metrics(trial, run)


def _fitting(network: Network, member: Member, device: str) -> int:
    """Activations of more than about 2^21 numbers a layer leave the cache of a CPU, and packing then costs more than it saves."""
    widest = max(side for value in network.initial(generator(0)).values() for side in value.shape)
    return max(1, (2**21 if device == "cpu" else 2**28) // (widest * len(member.inputs)))


def _check(member: Member) -> None:
    count = len(member.inputs)
    if "train" not in member.splits:
        raise ValueError(f"a member has a split called train, not only {', '.join(member.splits) or 'none'}")
    for name, mask in member.splits.items():
        if not bool(mask.any()):
            raise ValueError(f"split {name} of a member is empty")
    for name, held in {**member.splits, "targets": member.targets, "truth": member.truth}.items():
        if held is not None and len(held) != count:
            raise ValueError(f"{name} is of {len(held)} examples, the inputs are of {count}")
    if not 0 <= member.batch <= len(member.rows):
        raise ValueError(f"a batch of {member.batch} from {len(member.rows)} examples")


class _Pack:
    """Members whose tensors have the same shapes, in the order of their stopping times."""

    def __init__(
        self,
        network: Network,
        members: Sequence[Member],
        loss: Loss,
        optimizer: SGD | Adam,
        observe: Observe | None,
        device: str,
        dtype: torch.dtype,
    ) -> None:
        self._network = network
        self._members, self._loss, self._optimizer, self._observe = members, loss, optimizer, observe
        self._device, self._dtype = device, dtype
        drawn = [network.initial(generator(member.seed)) for member in members]
        self._shapes = {name: value.shape for name, value in drawn[0].items()}
        self._weights = self._on(torch.stack([torch.cat([value.flatten() for value in start.values()]) for start in drawn]))
        self._forward = torch.func.vmap(network)
        self._inputs, self._targets = self._stack([m.inputs for m in members]), self._stack([m.targets for m in members])
        self._truth = self._stack([m.targets if m.truth is None else m.truth for m in members])
        self._splits = {name: self._stack([m.splits[name] for m in members]) for name in members[0].splits}
        rows = torch.stack([member.rows for member in members])
        self._seen = self._stack([m.inputs[r] for m, r in zip(members, rows, strict=True)])
        self._wanted = self._stack([m.targets[r] for m, r in zip(members, rows, strict=True)])
        self._fixed = {name: self._stack([_tensor(m.fixed[name]) for m in members]) for name in members[0].fixed}
        self._rates = torch.tensor([[m.lr, m.decay] for m in members], dtype=torch.float64, device=device)

    def train(
        self,
        points: Sequence[int] | None,
        gradient: Callable[[Tensor, Tensor], Tensor] | None,
        schedule: Callable[[int], float],
    ) -> list[Run]:
        """All members to their ends: those that have reached it leave the program."""
        wanted = [{*(log_spaced(m.steps) if points is None else points), 0, m.steps} for m in self._members]
        measured: list[list[tuple[int, dict[str, float]]]] = [[] for _ in self._members]
        state = self._optimizer.state(self._weights)
        batches = [_batches(m.seed, len(m.rows), m.batch) for m in self._members] if self._members[0].batch else []
        streams = [_stream(m.seed, "noise") for m in self._members] if self._network.noise(generator(0), 1) else []
        first = 0
        for step in range(self._members[-1].steps + 1):
            live = slice(first, None)
            if any(step in steps for steps in wanted[first:]):
                for place, numbers in enumerate(self._measure(live), first):
                    if step in wanted[place]:
                        measured[place].append((step, numbers))
            while first < len(self._members) and self._members[first].steps <= step:
                first += 1
            if first == len(self._members):
                break
            live = slice(first, None)
            inputs, targets, fixed = self._seen[live], self._wanted[live], {name: value[live] for name, value in self._fixed.items()}
            if batches:
                index = torch.stack([next(batch) for batch in batches[first:]]).to(self._device)
                member = torch.arange(len(index), device=self._device).unsqueeze(1)
                inputs, targets = inputs[member, index], targets[member, index]
            if streams:
                drawn = [self._network.noise(stream, inputs.shape[1]) for stream in streams[first:]]
                fixed |= {name: self._stack([one[name] for one in drawn]) for name in drawn[0]}
            weights = self._weights[live]
            slope = self._gradient(weights, inputs, targets, fixed)
            if gradient:
                pairs = zip(self._parts(weights).values(), self._parts(slope).values(), strict=True)
                slope = torch.cat([gradient(weight, g).flatten(1) for weight, g in pairs], dim=1)
            lr, decay = torch.split(self._rates[live], 1, dim=1)
            self._optimizer.step(weights, slope, [s[live] for s in state], schedule(step) * lr, decay, step + 1)
        return [self._run(place, numbers) for place, numbers in enumerate(measured)]

    def _gradient(self, weights: Tensor, inputs: Tensor, targets: Tensor, fixed: Tensors) -> Tensor:
        leaf = weights.detach().requires_grad_()
        losses = self._loss(self._forward(self._parts(leaf), inputs, fixed), targets).mean(-1)
        return torch.autograd.grad(losses.sum(), leaf)[0]

    @torch.no_grad()
    def _measure(self, live: slice) -> list[dict[str, float]]:
        parameters, fixed = self._parts(self._weights[live]), {name: value[live] for name, value in self._fixed.items()}
        outputs = self._forward(parameters, self._inputs[live], fixed)
        splits = {name: mask[live] for name, mask in self._splits.items()}
        view = View(outputs, self._targets[live], self._truth[live], splits, parameters)
        measures = {"loss": self._loss} if view.targets.is_floating_point() else {"loss": self._loss, "accuracy": correct}
        numbers: dict[str, Tensor] = {}
        for name, measure in measures.items():
            own, true = measure(outputs, view.targets), measure(outputs, view.truth)
            numbers |= {f"{split}_{name}": view.mean(own if split == "train" else true, split) for split in splits}
        numbers |= self._observe(view) if self._observe else {}
        columns = {name: values.tolist() for name, values in numbers.items()}
        return [{name: column[place] for name, column in columns.items()} for place in range(len(outputs))]

    def _run(self, place: int, numbers: Sequence[tuple[int, dict[str, float]]]) -> Run:
        measured = {name: [values[name] for _, values in numbers] for name in numbers[0][1]}
        parameters = {name: value[0].cpu().clone() for name, value in self._parts(self._weights[place : place + 1]).items()}
        return Run([step for step, _ in numbers], measured, parameters)

    def _parts(self, weights: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(weights, [shape.numel() for shape in self._shapes.values()], dim=1)
        return {name: piece.reshape(-1, *shape) for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True)}

    def _stack(self, tensors: Sequence[Tensor]) -> Tensor:
        same = all(tensor is tensors[0] for tensor in tensors)
        return self._on(tensors[0]).expand(len(tensors), *tensors[0].shape) if same else self._on(torch.stack(list(tensors)))

    def _on(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, self._dtype) if tensor.is_floating_point() else tensor.to(self._device)


def _tensor(value: float | Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


def _stream(seed: int, purpose: str) -> torch.Generator:
    """Another stream than that of the initial parameters, for each purpose one."""
    return generator((seed + {"batches": 1, "noise": 2}[purpose] * 0x9E3779B97F4A7C15) % 2**63)


def _batches(seed: int, examples: int, size: int) -> Iterator[Tensor]:
    stream = _stream(seed, "batches")
    while True:
        order = torch.randperm(examples, generator=stream)
        yield from torch.split(order[: examples - examples % size], size)
