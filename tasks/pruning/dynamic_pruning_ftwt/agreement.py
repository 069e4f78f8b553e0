"""How well masks meet the ground truth, against the best that one mask for all inputs could do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tasks.pruning.dynamic_pruning_ftwt.gates import GatedNetwork


@dataclass
class Majority:
    """Per layer and filter, how often the ground truth keeps it: what the best constant predictor is made of."""

    kept: dict[str, Tensor] = field(default_factory=dict)
    inputs: int = 0

    def add(self, network: GatedNetwork) -> None:
        """Count the targets of the last masked pass."""
        for name, target in targets(network).items():
            self.kept[name] = self.kept.get(name, 0) + target.sum(0)
        self.inputs += len(target)

    @property
    def masks(self) -> dict[str, Tensor]:
        """The mask of each layer, (filters,): on where the filter is kept for more than half the inputs."""
        return {name: count * 2 > self.inputs for name, count in self.kept.items()}


def targets(network: GatedNetwork) -> dict[str, Tensor]:
    """Ground truth of the last masked pass, by gate."""
    return {name: gate.target for name, gate in network.gates.items() if gate.rule is not None}


def agreement(network: GatedNetwork, constant: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Shares of filters right, mean over layers, of each input (batch,): by the gates' masks, and by the constant masks."""
    own = [(network.gates[name].mask == target).double().mean(1) for name, target in targets(network).items()]
    other = [(constant[name] == target).double().mean(1) for name, target in targets(network).items()]
    return torch.stack(own).mean(0), torch.stack(other).mean(0)


def empty_share(network: GatedNetwork) -> Tensor:
    """Share of the switched layers that keep nothing, of each input (batch,)."""
    return torch.stack([~gate.mask.any(1) for gate in network.switched]).double().mean(0)
