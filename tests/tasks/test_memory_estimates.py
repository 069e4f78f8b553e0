"""Estimates of memory: counted again on the real networks, and against peaks that were measured."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness import registry
from harness.task import Scale
from tasks.activations.crrelu.experiment import ACTIVATIONS
from tasks.blocks.counting import kept_bytes, peak_bytes, state_bytes
from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
from tasks.blocks.hardware import costs, smoke
from tasks.blocks.memory import GIB, MOST_KEPT_GIB, PROCESS_GIB, DecoderSize, Precision, gib, transformer_kept
from tasks.blocks.optim import Rate, adamw
from tasks.blocks.parametrization import ParamClass
from tasks.blocks.training import generator, precision
from tasks.blocks.vit import ViT, ViTConfig
from tasks.convolutions.orth_conv_lorth.experiment import network as conv_network
from tasks.convolutions.orth_conv_lorth.task import _training_memory
from tasks.kan.kat_group_rational.methods import DESIGNS
from tasks.kan.kat_group_rational.mlp import make_mlp

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def tiny(vocab: int = 256, width: int = 64, depth: int = 1, hidden: int = 0, head_dim: int = 16) -> DecoderSize:
    return DecoderSize(width=width, depth=depth, head_dim=head_dim, vocab_size=vocab, hidden=hidden)


def decoder_of(size: DecoderSize, batch: int, length: int, arithmetic: Precision) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The real network of a size, and its loss on random tokens."""
    config = DecoderConfig(
        vocab_size=size.vocab_size, width=size.width, depth=size.depth, head_dim=size.head_dim, length=length, hidden=size.hidden
    )
    model = Decoder(config)
    tokens = torch.randint(size.vocab_size, (2, batch, length), generator=generator(0))

    def loss() -> Tensor:
        with precision("cpu", arithmetic):
            return next_token_loss(model(tokens[0]), tokens[1])

    return model, loss


def test_what_backward_keeps_is_counted_once_a_storage() -> None:
    x, weight = torch.randn(8, 3), torch.randn(3, 5, requires_grad=True)

    def loss() -> Tensor:
        hidden = x @ weight
        # exp keeps its result, sin its input, and the product both factors: two new storages of 40 numbers, and the input.
        return (hidden.exp() * hidden.view(-1).view(8, 5).sin()).sum()

    assert kept_bytes(loss, [weight]) == 4 * (24 + 40 + 40 + 40)
    assert kept_bytes(loss, [weight, x]) == 4 * (40 + 40 + 40)


def test_the_state_of_a_training_is_four_numbers_a_weight_under_adam() -> None:
    model = nn.Linear(10, 10)
    adam = torch.optim.Adam(model.parameters())
    assert state_bytes(model, adam) == 4 * 110
    model(torch.ones(1, 10)).sum().backward()
    adam.step()
    assert state_bytes(model, adam) == pytest.approx(16 * 110, abs=8)


def test_a_peak_is_the_most_that_was_there_at_once() -> None:
    def step() -> None:
        for _ in range(3):
            a = torch.ones(1 << 16)
            b = a + 1.0
            del a, b

    assert peak_bytes(step) == pytest.approx(2 * 4 * (1 << 16), rel=1e-3)


@pytest.mark.parametrize("arithmetic", PRECISIONS)
@pytest.mark.parametrize(
    "size",
    [tiny(), tiny(width=128), tiny(depth=3), tiny(vocab=512), tiny(hidden=96), tiny(head_dim=32), tiny(width=32, depth=2, vocab=100)],
    ids=str,
)
def test_a_decoder_keeps_what_the_formula_says(size: DecoderSize, arithmetic: Precision) -> None:
    for batch, length in ((2, 32), (3, 16)):
        model, loss = decoder_of(size, batch, length, arithmetic)
        assert sum(parameter.numel() for parameter in model.parameters()) == size.parameters
        counted = kept_bytes(loss, [*model.parameters(), *model.buffers()])
        assert size.kept(batch * length, arithmetic) == pytest.approx(counted, rel=1e-3)


@pytest.mark.parametrize("arithmetic", PRECISIONS)
@pytest.mark.parametrize(("vocab", "depth"), [(256, 4), (2048, 1)])
def test_the_peak_of_a_step_is_as_estimated(arithmetic: Precision, vocab: int, depth: int) -> None:
    size, batch, length = tiny(vocab=vocab, depth=depth), 8, 64
    model, loss = decoder_of(size, batch, length, arithmetic)
    optimizer = adamw(model, dict.fromkeys(ParamClass, Rate(1e-3, 0.1)))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    optimizer.zero_grad(set_to_none=True)
    measured = state_bytes(model, optimizer) + peak_bytes(step)
    # Gradients come while what was kept goes, so that both at once is a little too much.
    assert 0.99 * measured < size.training(batch * length, arithmetic) < 1.15 * measured


def test_evaluation_has_its_own_peak() -> None:
    size, batch, length = tiny(vocab=2048), 8, 64
    _model, loss = decoder_of(size, batch, length, "float32")
    with torch.no_grad():
        measured = 4 * size.parameters + peak_bytes(loss)
    assert measured < size.evaluation(batch * length, state=-1.0) < 1.6 * measured


def test_a_batch_is_cut_until_a_part_fits() -> None:
    size = DecoderSize(width=2048, depth=12, head_dim=64, vocab_size=4096)
    whole = size.kept(128 * 1024, "bfloat16") / GIB
    assert 150 < whole < 250
    parts = size.parts(128, 1024, "bfloat16")
    assert whole / MOST_KEPT_GIB <= parts < 2 * whole / MOST_KEPT_GIB + 1
    assert size.kept(128 // parts * 1024, "bfloat16") <= MOST_KEPT_GIB * GIB
    assert tiny().parts(8, 64) == 1
    for batch, most in itertools.product((3, 5, 8), (1e-9, 1.0)):
        assert 1 <= size.parts(batch, 1024, "bfloat16", most) <= batch


def test_a_process_takes_room_of_its_own() -> None:
    assert gib(0.0) == PROCESS_GIB
    assert gib(10 * GIB) > 10.0 + PROCESS_GIB


def scaled(make: Callable[[int], nn.Module], width: int, depth: int, arithmetic: Precision, *, decoder: bool) -> tuple[int, int]:
    """What the backward pass of a real transformer keeps, and its tokens."""
    batch, length = 12, 32
    if decoder:
        model: nn.Module = Decoder(DecoderConfig(vocab_size=256, width=width, depth=depth, head_dim=16, length=length), lambda: make(width))
        inputs = torch.randint(256, (batch, length), generator=generator(0))
    else:
        config = ViTConfig(shape=(3, 16, 16), patch=4, num_classes=10, width=width, depth=depth, head_dim=16)
        model, inputs, length = ViT(config, lambda: make(width)), torch.randn(batch, 3, 16, 16, generator=generator(0)), 16

    def loss() -> Tensor:
        with precision("cpu", arithmetic):
            answers = model(inputs)
        return next_token_loss(answers, inputs) if decoder else F.cross_entropy(answers.float(), torch.zeros(batch, dtype=torch.int64))

    return kept_bytes(loss, [*model.parameters(), *model.buffers()]), batch * length


@pytest.mark.parametrize("arithmetic", PRECISIONS)
@pytest.mark.parametrize(
    ("method", "mlp"), [("mlp-gelu", "activation"), ("mlp-swiglu", "swiglu"), ("kat-vp", "rational"), ("kan-spline", "spline")]
)
@pytest.mark.parametrize("decoder", [False, True])
def test_transformers_with_the_mlps_of_kat_keep_what_the_formula_says(method: str, mlp: str, decoder: bool, arithmetic: Precision) -> None:
    for width, depth in ((64, 2), (128, 3)):
        counted, tokens = scaled(lambda w: make_mlp(DESIGNS[method], w, 8), width, depth, arithmetic, decoder=decoder)
        expected = transformer_kept(tokens, width, depth, mlp, arithmetic, decoder=decoder, logits=256 * decoder)
        assert counted == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("arithmetic", PRECISIONS)
@pytest.mark.parametrize(("method", "mlp"), [("relu", "identity"), ("gelu", "activation"), ("mish", "activation"), ("crrelu", "crrelu")])
def test_transformers_with_other_activations_keep_what_the_formula_says(method: str, mlp: str, arithmetic: Precision) -> None:
    def make(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(width, 4 * width), ACTIVATIONS[method](), nn.Linear(4 * width, width))

    counted, tokens = scaled(make, 64, 3, arithmetic, decoder=False)
    assert counted == pytest.approx(transformer_kept(tokens, 64, 3, mlp, arithmetic), rel=0.03)


@pytest.mark.parametrize(("task", "experiment"), [("crrelu", "train"), ("orth-conv-lorth", "robustness"), ("kat-group-rational", "vit")])
def test_what_these_tasks_expect_grows_with_what_they_train(task: str, experiment: str) -> None:
    memory = registry.task(task).experiment(experiment).memory
    assert memory
    params = dataclasses.asdict(registry.task(task).experiment(experiment).params())
    proposed = registry.task(task).methods[0].name
    small, wide, large = (
        memory("gpu", proposed, params | changes) - PROCESS_GIB
        for changes in ({"batch": 512}, {"batch": 512, "width": 4 * params["width"]}, {"batch": 1024})
    )
    assert 1.5 * small < large < 2.01 * small
    assert 3.0 * small < wide < 16.0 * small
    assert small > 0.01


def test_the_convolutions_keep_what_the_formula_says() -> None:
    for width, side, channels in ((8, 8, 1), (32, 28, 1), (32, 32, 3)):
        model = conv_network(
            SimpleNamespace(  # type: ignore[arg-type]
                params=SimpleNamespace(width=width),
                dataset=lambda: SimpleNamespace(shape=(channels, side, side), num_classes=10),  # noqa: B023
                seed_for=lambda _: 1,
                device="cpu",
            )
        )
        images = torch.randn(16, channels, side, side, generator=generator(0))
        counted = kept_bytes(lambda: model(images).square().mean(), model.parameters())  # noqa: B023
        scale = {8: "laptop", 28: "gpu", 32: "paper"}[side]
        # Of 16 images more or less; an attack has at least 256 at once.
        few, many = (_training_memory(scale, "lorth", {"width": width, "batch": batch}) for batch in (1024, 1040))
        assert counted == pytest.approx((many - few) / (1.1 * 1.5) * GIB, rel=0.05)


def test_a_smoke_scale_says_that_it_runs_and_what_else_it_is_told() -> None:
    assert smoke("few", []) == Scale(description="few: does it run", grids=[], seeds=2, time_limit_s=60.0)
    assert smoke("few", [], seeds=3, time_limit_s=9.0) == Scale(description="few: does it run", grids=[], seeds=3, time_limit_s=9.0)


def test_costs_tell_a_cpu_from_a_card_and_count_float64() -> None:
    of = costs(lambda cpu, method, p: (1.0 if cpu else 0.1, p["width"] * len(method)))
    assert [of["seconds"](scale, "a", {"width": 8}) for scale in ("smoke", "laptop", "gpu", "paper")] == [1.0, 1.0, 0.1, 0.1]
    assert of["memory"]("gpu", "abc", {"width": 10**9}) == pytest.approx(gib(24e9))
