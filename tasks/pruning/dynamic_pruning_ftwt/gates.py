"""A convolutional unit whose filters are switched for each input, and a network of such units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from tasks.pruning.dynamic_pruning_ftwt.masks import Rule, peaks
from tasks.pruning.dynamic_pruning_ftwt.predictor import ConstantPredictor, Predictor

AnyPredictor = Predictor | ConstantPredictor
Mode = Literal["open", "masked", "count"]
"""open: the plain unit, its peaks noted; masked: O * M; count: what a mask lets through is passed on instead of activations."""


class Gate(nn.Module):
    """O * M around a unit (convolution, norm, activation), whose output is O. Every filter is computed, then switched: no time is saved.

    Without a predictor, M is the ground truth itself (an oracle). Without a rule the unit stays as it is, and is only counted.
    What the last masked pass saw is kept in `logits`, `target` and `mask`, (batch, filters) each; `positions` are those of its output.
    There is a new target only while the gate `watches`: it costs a pass over the output.
    """

    def __init__(self, unit: nn.Module, conv: nn.Conv2d, predictor: AnyPredictor | None, rule: Rule | None, *, joint: bool = False) -> None:
        super().__init__()
        self.unit, self.predictor = unit, predictor
        self.rule, self.joint, self.mode = rule, joint, "open"
        self.watches = True
        self.groups, self.kernel = conv.groups, conv.kernel_size[0] * conv.kernel_size[1]
        self.channels, self.filters = conv.in_channels, conv.out_channels
        self.peaks = self.logits = self.target = self.mask = torch.empty(0)
        self.positions = self.input_positions = 0
        self.multiply_adds = torch.empty(0)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, filters, height', width')."""
        if self.mode == "count":
            return self._count(inputs)
        outputs: Tensor = self.unit(inputs)
        self.positions, self.input_positions = outputs[0, 0].numel(), inputs[0, 0].numel()
        self._shape = outputs.shape[2:]
        if self.mode == "open" or self.rule is None:
            self.peaks = peaks(outputs)
            self.mask = torch.ones_like(self.peaks, dtype=torch.bool)
            return outputs
        if self.watches or self.predictor is None:
            self.target = self.rule(peaks(outputs))
        if self.predictor is None:
            self.mask = self.target
        else:
            # Decoupled, the predictor learns from features that do not move for its sake; joint, its loss moves them too.
            self.logits = self.predictor(inputs if self.joint else inputs.detach())
            self.mask = self.logits.detach() > 0
        return outputs * self.mask[:, :, None, None]

    def loss(self) -> Tensor:
        """Binary cross-entropy of the last masked pass: sum over filters, mean over inputs, in nats."""
        return F.binary_cross_entropy_with_logits(self.logits.float(), self.target.float(), reduction="none").sum(1).mean()

    def _count(self, alive: Tensor) -> Tensor:
        """Multiply-adds of each input, given the channels that are alive in it, and the filters that pass on something."""
        given = alive.amax(dim=(2, 3)) > 0
        batch = len(given)
        on, off = (x.view(batch, self.groups, -1).sum(2, dtype=torch.float64) for x in (self.mask, given))
        self.multiply_adds = (on * off).sum(1) * (self.kernel * self.positions)
        if self.predictor is not None:
            self.multiply_adds += self.predictor.multiply_adds(self.input_positions)
        return self.mask.to(alive.dtype)[:, :, None, None].expand(-1, -1, *self._shape)


class GatedNetwork(nn.Module):
    """A network whose units stand behind gates; the units are replaced in place. `gates` has them by name, in order of evaluation."""

    steps: Tensor
    """Training steps taken: part of the state, so that a run that resumes knows where it is."""

    def __init__(self, backbone: nn.Module, gates: Mapping[str, Gate]) -> None:
        super().__init__()
        self.backbone = backbone
        self.gates = dict(gates)
        for name, gate in gates.items():
            parent, _, child = name.rpartition(".")
            setattr(backbone.get_submodule(parent), child, gate)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the classes."""
        logits: Tensor = self.backbone(images)
        return logits

    @property
    def switched(self) -> list[Gate]:
        """The gates that have a rule."""
        return [gate for gate in self.gates.values() if gate.rule is not None]

    def set_mode(self, mode: Mode) -> GatedNetwork:
        """Every gate to `mode`."""
        for gate in self.gates.values():
            gate.mode = mode
        return self

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Every gate counts meanwhile."""
        before = {name: gate.mode for name, gate in self.gates.items()}
        self.set_mode("count")
        try:
            yield
        finally:
            for name, gate in self.gates.items():
                gate.mode = before[name]

    def watch(self, on: bool) -> GatedNetwork:
        """Whether masked passes find the ground truth too."""
        for gate in self.switched:
            gate.watches = on
        return self

    def set_rule(self, rule: Rule) -> None:
        """Give all gates that have a rule this one."""
        for gate in self.switched:
            gate.rule = rule

    def mask_loss(self) -> Tensor:
        """(1/L) sum over layers of the gate's loss, of the last masked pass."""
        return torch.stack([gate.loss() for gate in self.switched]).mean()

    def predictor_parameters(self) -> list[nn.Parameter]:
        """What the mask loss trains."""
        return [p for gate in self.switched if gate.predictor is not None for p in gate.predictor.parameters()]


def gated(
    backbone: nn.Module,
    units: Mapping[str, tuple[nn.Module, nn.Conv2d]],
    rule: Rule,
    make_predictor: Callable[[int, int], AnyPredictor | None],
    *,
    always_on: Callable[[str], bool] = lambda _: False,
    joint: bool = False,
) -> GatedNetwork:
    """`backbone` with a gate around every unit: name -> (unit, its convolution), in order of evaluation.

    `make_predictor` takes the channels and filters of a unit. Units for which `always_on(name)` holds are counted, never switched.
    """
    gates = {}
    for name, (unit, conv) in units.items():
        fixed = always_on(name)
        predictor = None if fixed else make_predictor(conv.in_channels, conv.out_channels)
        gates[name] = Gate(unit, conv, predictor, None if fixed else rule, joint=joint)
    return GatedNetwork(backbone, gates).set_mode("masked")
