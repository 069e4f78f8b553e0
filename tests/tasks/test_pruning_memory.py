"""Estimates of the pruning papers' memory: counted again on the real networks, and against the allocator's peak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness import registry
from harness.memory import room
from harness.plan import DataRef, Overrides, data_names, expand
from tasks.blocks.convnets import ARCHITECTURES, convnet, units
from tasks.blocks.counting import kept_bytes, peak_bytes
from tasks.blocks.memory import GIB, gib
from tasks.blocks.training import generator, precision
from tasks.pruning.dynamic_pruning_ftwt.gates import gated
from tasks.pruning.dynamic_pruning_ftwt.masks import Rule
from tasks.pruning.dynamic_pruning_ftwt.predictor import Predictor
from tasks.pruning.group_sparsity_wgsef import envelope
from tasks.pruning.group_sparsity_wgsef.scales import memory_cost
from tasks.pruning.memory import GATE_WEIGHTS, GATES, kept, peak_gib, weights

PAPERS = ("group-sparsity-wgsef", "dynamic-pruning-ftwt", "feature-merging-ifm")
DEEP = [arch for arch in ARCHITECTURES if arch != "mlp"]


def network(arch: str, width: float, side: int, batch: int, arithmetic: str = "float32") -> tuple[nn.Module, Callable[[], Tensor]]:
    model = convnet(arch, shape=(3, side, side), num_classes=10, width=width).train()
    images, labels = torch.zeros(batch, 3, side, side), torch.zeros(batch, dtype=torch.long)

    def loss() -> Tensor:
        with precision("cpu", arithmetic):
            return F.cross_entropy(model(images).float(), labels)

    return model, loss


def per_image(arch: str, width: float, side: int, arithmetic: str = "float32") -> float:
    """Without what does not grow with the batch, such as autocast's copies of weights."""
    counts = []
    for batch in (2, 3):
        model, loss = network(arch, width, side, batch, arithmetic)
        counts.append(kept_bytes(loss, [*model.parameters(), *model.buffers()]))
    return counts[1] - counts[0]


@pytest.mark.parametrize("arch", DEEP)
def test_what_backward_keeps_of_an_image_is_counted_again(arch: str) -> None:
    assert kept(arch, 0.25, 32) == pytest.approx(per_image(arch, 0.25, 32), rel=0.06)
    assert kept(arch, 0.25, 32, "bfloat16") == pytest.approx(per_image(arch, 0.25, 32, "bfloat16"), rel=0.06)
    assert weights(arch, 1.0, 32) == pytest.approx(sum(p.numel() for p in network(arch, 1.0, 32, 1)[0].parameters()), rel=0.01)


@pytest.mark.parametrize("arch", ["resnet18", "mobilenet-v1", "vgg11"])
def test_a_large_image_meets_the_other_stem(arch: str) -> None:
    assert kept(arch, 0.125, 96) == pytest.approx(per_image(arch, 0.125, 96), rel=0.06)


def test_units_are_counted_too() -> None:
    model, _ = network("mlp", 0.5, 8, 1)
    assert weights("mlp", 0.5, 8) == pytest.approx(sum(p.numel() for p in model.parameters()), rel=0.02)
    assert kept("mlp", 0.5, 8) == pytest.approx(per_image("mlp", 0.5, 8), rel=0.06)


@pytest.mark.parametrize("arch", ["vgg7", "resnet20", "mobilenet-v1"])
def test_a_step_and_a_forward_pass_peak_where_it_says(arch: str) -> None:
    batch = 128
    model, loss = network(arch, 0.25, 16, batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images = torch.zeros(256, 3, 16, 16)

    def step() -> None:
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    def forward() -> None:
        with torch.no_grad():
            model.eval()(images)

    step()
    own = 8 * sum(p.numel() for p in model.parameters())
    measured = gib(own + max(peak_bytes(step), peak_bytes(forward))) - gib(0.0)
    params = {"arch": arch, "width": 0.25, "batch": batch, "precision": "float32"}
    expected = peak_gib(params, 16, networks=3.0) - gib(0.0)
    assert 0.95 * measured < expected < 1.3 * measured


@pytest.mark.parametrize("arch", ["vgg16", "resnet20", "mobilenet-v1"])
def test_gates_cost_at_most_what_it_says(arch: str) -> None:
    stream, plain = generator(0), per_image(arch, 0.25, 32)
    counts: list[int] = []
    for batch in (2, 3):
        model, _ = network(arch, 0.25, 32, 1)
        bare = sum(p.numel() for p in model.parameters())
        inside = {name: (unit, unit.conv) for name, unit in units(model).items()}
        made = gated(model, inside, Rule("mass", 0.9), lambda c, f: Predictor(c, f, pool="avg", softmax=True, generator=stream), joint=True)
        images, labels = torch.rand(batch, 3, 32, 32), torch.zeros(batch, dtype=torch.long)

        def loss(made: Any = made, images: Tensor = images, labels: Tensor = labels) -> Tensor:
            return F.cross_entropy(made.watch(True)(images), labels) + made.mask_loss()

        counts.append(kept_bytes(loss, [*made.parameters(), *made.buffers()]))
        assert sum(p.numel() for p in made.parameters()) < GATE_WEIGHTS * bare
    assert 1.1 * plain < counts[1] - counts[0] < GATES * plain * 1.02


def test_a_prox_takes_what_it_says() -> None:
    norms = torch.rand(200_000, generator=generator(1)).pow(3)

    def both(rows: Tensor, k: int) -> None:
        envelope.factors(rows, k, 0.01)

    measured = max(peak_bytes(lambda: both(norms, 25_000)), peak_bytes(lambda: both(norms.unsqueeze(0), 25_000)))
    expected = (memory_cost("paper", "wgsef", {"groups": 200_000}) - gib(0.0)) * GIB
    assert measured < expected < 3.0 * measured


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_every_trial_is_expected_and_fits_the_hardware_of_its_scale(paper: str, scale: str) -> None:
    task = registry.task(paper)
    refs = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
    hardware = task.scale(scale).hardware
    for trial in expand(task, scale, Overrides(seeds=1), refs):
        assert 0.5 < trial.expected_gib < 80.0, trial
        found = room(trial.resources, hardware) if hardware else None
        assert found is None or trial.expected_gib < found.each, trial
