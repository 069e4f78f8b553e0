"""Packed training: every member is what it would be alone, in plain torch, and in closed form where there is one."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tasks.blocks.small_models import (
    SGD,
    Adam,
    AdamW,
    Member,
    Run,
    View,
    log_spaced,
    row_splits,
    squared_error,
    steps_to_threshold,
    train_many,
)
from tasks.blocks.small_networks import ACTIVATIONS, MLP, Tensors, committee, packed
from tasks.blocks.training import generator

DIGITS = torch.float64
NET = MLP(widths=(6, 8, 5, 3), activation="tanh", bias=True)
SPLITS = ("train", "val", "test")


def masks(seed: int, examples: int = 40, train: int = 24) -> dict[str, Tensor]:
    order = torch.randperm(examples, generator=generator(seed))
    return {
        name: torch.isin(torch.arange(examples), rows)
        for name, rows in zip(SPLITS, order.split([train, 6, examples - train - 6]), strict=True)
    }


def data(seed: int = 0) -> tuple[Tensor, Tensor]:
    stream = generator(seed)
    return torch.randn(40, 6, generator=stream, dtype=torch.float64), torch.randint(3, (40,), generator=stream)


def members(count: int = 4, **own: Any) -> list[Member]:
    """Members that differ in all that a member can have of its own."""
    inputs, targets = data()
    made = []
    for index in range(count):
        corrupted = targets.roll(index)
        common: dict[str, Any] = {"inputs": inputs if index % 2 else data(9)[0], "targets": corrupted, "truth": targets}
        varied = {"lr": 0.02 * (1 + index), "decay": 0.3 * index, "steps": 12 + 5 * (index % 3), "splits": masks(index)}
        made.append(Member(seed=7 + index, **{**common, **varied, **own}))
    return made


class Twin(nn.Module):
    """NET written with nn.Linear."""

    def __init__(self, start: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b, dtype=dtype) for a, b in ((6, 8), (8, 5), (5, 3)))
        with torch.no_grad():
            for index, layer in enumerate(self.layers):
                layer.weight.copy_(start[f"weight{index}"].T)
                layer.bias.copy_(start[f"bias{index}"])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)

    def parts(self) -> dict[str, Tensor]:
        weights = {f"weight{i}": layer.weight.detach().T for i, layer in enumerate(self.layers)}
        return weights | {f"bias{i}": layer.bias.detach() for i, layer in enumerate(self.layers)}


OPTIMIZERS = {
    "sgd": (SGD(), torch.optim.SGD, {}),
    "momentum": (SGD(0.9), torch.optim.SGD, {"momentum": 0.9}),
    "adam": (Adam((0.8, 0.95), 1e-6), torch.optim.Adam, {"betas": (0.8, 0.95), "eps": 1e-6}),
    "adamw": (AdamW((0.9, 0.98)), torch.optim.AdamW, {"betas": (0.9, 0.98)}),
}


def close(left: Mapping[str, Tensor], right: Mapping[str, Tensor], tolerance: float, least: float = 0.0) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        scale = right[name].double().abs().max()
        assert float((value.double() - right[name].double()).abs().max()) <= tolerance * max(float(scale), least), name


def same(left: Run, right: Run, tolerance: float = 1e-12) -> None:
    close(left.parameters, right.parameters, tolerance)
    assert left.steps == right.steps
    for name, values in left.measured.items():
        assert values == pytest.approx(right.measured[name], rel=tolerance * 100, abs=tolerance * 100), name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_member_is_what_plain_torch_trains(name: str, dtype: torch.dtype, tolerance: float) -> None:
    ours, torchs, options = OPTIMIZERS[name]
    for member, run in zip(members(), train_many(NET, members(), optimizer=ours, dtype=dtype), strict=True):
        twin = Twin(NET.initial(generator(member.seed)), dtype)
        optimizer = torchs(twin.parameters(), lr=member.lr, weight_decay=member.decay, **options)
        seen = member.splits["train"]
        for _ in range(member.steps):
            optimizer.zero_grad()
            F.cross_entropy(twin(member.inputs[seen].to(dtype)), member.targets[seen]).backward()
            optimizer.step()
        close(run.parameters, twin.parts(), tolerance, 0.1)
        assert member.truth is not None
        with torch.no_grad():
            outputs = twin(member.inputs.to(dtype))
        for split, labels in (("train", member.targets), ("val", member.truth), ("test", member.truth)):
            rows = member.splits[split]
            loss, hits = F.cross_entropy(outputs[rows], labels[rows]), (outputs[rows].argmax(1) == labels[rows]).double().mean()
            assert run.measured[f"{split}_loss"][-1] == pytest.approx(float(loss), rel=100 * tolerance)
            assert run.measured[f"{split}_accuracy"][-1] == pytest.approx(float(hits), abs=1e-6)


@pytest.mark.parametrize("batch", [0, 5], ids=["full batch", "batches"])
def test_who_else_is_packed_changes_nothing(batch: int) -> None:
    net = dataclasses.replace(NET, dropout=0.3)
    everyone = members(5, batch=batch)
    # Members that see another number of examples are trained by another program.
    everyone += [dataclasses.replace(member, splits=masks(3, train=20)) for member in everyone[:2]]
    together = train_many(net, everyone, dtype=DIGITS)
    for member, run in zip(everyone, together, strict=True):
        same(run, train_many(net, [member], dtype=DIGITS)[0])
    for at_once, order in ((2, everyone[::-1]), (3, everyone)):
        again = train_many(net, order, at_once=at_once, dtype=DIGITS)
        for left, right in zip(together, again if order is everyone else again[::-1], strict=True):
            same(left, right)


def test_gradient_descent_on_a_linear_model_has_its_closed_form() -> None:
    inputs, _ = data()
    truth = torch.randn(6, 1, generator=generator(1), dtype=torch.float64)
    settings = ((0, 0.05, 0.0, 30), (1, 0.1, 0.5, 7), (2, 0.02, 2.0, 19))
    rows = [
        Member(seed=seed, inputs=inputs, targets=inputs @ truth, splits=masks(seed), lr=lr, decay=decay, steps=steps)
        for seed, lr, decay, steps in settings
    ]
    for member, run in zip(rows, train_many(MLP(widths=(6, 1)), rows, loss=squared_error, optimizer=SGD(), dtype=DIGITS), strict=True):
        x, y = inputs[member.splits["train"]], member.targets[member.splits["train"]]
        hessian = 2 * x.T @ x / len(x) + member.decay * torch.eye(6, dtype=torch.float64)
        limit = torch.linalg.solve(hessian, 2 * x.T @ y / len(x))
        start = MLP(widths=(6, 1)).initial(generator(member.seed))["weight0"]
        power = torch.linalg.matrix_power(torch.eye(6, dtype=torch.float64) - member.lr * hessian, member.steps)
        close(run.parameters, {"weight0": limit + power @ (start - limit)}, 1e-12)


def test_a_member_that_diverges_is_nan_and_touches_nobody() -> None:
    calm = members(4, steps=60)
    wild = dataclasses.replace(calm[1], lr=1e30)
    for optimizer in (SGD(0.9), AdamW()):
        alone = train_many(NET, calm, optimizer=optimizer)
        packed = train_many(NET, [calm[0], wild, *calm[2:]], optimizer=optimizer)
        assert packed[1].diverged
        for values in packed[1].measured.values():
            assert math.isnan(values[-1]), "a diverged network has no accuracy either"
        for place in (0, 2, 3):
            assert not packed[place].diverged
            same(packed[place], alone[place], 1e-5)


def test_a_member_learns_from_its_own_examples_and_labels_alone() -> None:
    (before,), (member,) = train_many(NET, members(1), dtype=DIGITS), members(1)
    for split, moves in (("val", False), ("test", False), ("train", True)):
        row = int(member.splits[split].nonzero()[0])
        for name in ("inputs", "targets"):
            changed = getattr(member, name).clone()
            changed[row] = changed[row] + 1 if name == "inputs" else (changed[row] + 1) % 3
            (after,) = train_many(NET, [dataclasses.replace(member, **{name: changed})], dtype=DIGITS)
            moved = any(not torch.equal(after.parameters[key], before.parameters[key]) for key in before.parameters)
            assert moved == moves, (split, name)
    (after,) = train_many(NET, [dataclasses.replace(member, truth=member.targets.roll(1))], dtype=DIGITS)
    assert after.measured["train_loss"] == before.measured["train_loss"]
    assert after.measured["val_loss"] != before.measured["val_loss"]


def test_the_start_is_that_of_the_seed_in_every_precision() -> None:
    double, single = (train_many(NET, members(3), dtype=dtype, points=[]) for dtype in (torch.float64, torch.float32))
    for member, *runs in zip(members(3), double, single, strict=True):
        start = NET.initial(generator(member.seed))
        still = train_many(NET, [dataclasses.replace(member, steps=0)], dtype=DIGITS)[0]
        close(still.parameters, start, 0.0)
        drawn = torch.randn(6, 8, generator=generator(member.seed), dtype=torch.float64) / math.sqrt(6)
        torch.testing.assert_close(start["weight0"], drawn)
        assert all(value.untyped_storage().nbytes() == value.nbytes for value in runs[0].parameters.values()), "kept without the pack"
        assert runs[0].measured["train_loss"][0] == pytest.approx(runs[1].measured["train_loss"][0], rel=1e-5)
        assert [run.steps for run in runs] == [[0, member.steps]] * 2
    twins = [dataclasses.replace(members(1)[0], seed=seed) for seed in (3, 3, 4)]
    first, again, other = train_many(NET, twins, dtype=DIGITS)
    assert first.measured == again.measured != other.measured


def test_batches_go_through_all_examples_once_an_epoch() -> None:
    """With a rate so small that the weights stand still, an epoch's steps add up to steps over all examples."""
    (member,) = members(1, lr=1e-7, batch=6, steps=4)
    (batched,) = train_many(NET, [member], optimizer=SGD(), dtype=DIGITS)
    (full,) = train_many(NET, [dataclasses.replace(member, batch=0)], optimizer=SGD(), dtype=DIGITS)
    (partial,) = train_many(NET, [dataclasses.replace(member, steps=3)], optimizer=SGD(), dtype=DIGITS)
    start = NET.initial(generator(member.seed))
    moved = {name: value - start[name] for name, value in full.parameters.items()}
    close({name: value - start[name] for name, value in batched.parameters.items()}, moved, 1e-5)
    with pytest.raises(AssertionError):
        close({name: (value - start[name]) * 4 / 3 for name, value in partial.parameters.items()}, moved, 1e-2)


def test_dropout_drops_in_training_only_and_by_the_members_own_stream() -> None:
    net = MLP(widths=(6, 50, 1), activation="identity", dropout=0.25)
    drawn = net.noise(generator(0), 400)["keep0"]
    assert drawn.shape == (400, 50)
    assert sorted(drawn.unique().tolist()) == [0.0, pytest.approx(4 / 3)]
    assert float(drawn.mean()) == pytest.approx(1.0, abs=0.02)
    twins = [dataclasses.replace(members(1)[0], seed=seed) for seed in (3, 3, 4)]
    dropped = train_many(dataclasses.replace(NET, dropout=0.5), twins, dtype=DIGITS)
    plain = train_many(NET, twins, dtype=DIGITS)
    assert dropped[0].measured == dropped[1].measured
    assert dropped[0].measured["train_loss"][0] == plain[0].measured["train_loss"][0], "measured without masks"
    assert dropped[0].measured["train_loss"][-1] != plain[0].measured["train_loss"][-1]


@pytest.mark.parametrize(("parametrisation", "powers"), [("standard", (-0.5, 0.5)), ("ntk", (-0.5, -0.5)), ("mean-field", (-1.0, -1.0))])
def test_how_far_wide_networks_move_follows_the_parametrisation(parametrisation: Any, powers: tuple[float, float]) -> None:
    """One step of gradient descent moves the weights of a layer, relative to their start, by a known power of the width."""
    inputs, targets = data()[0], data()[0][:, :1].sign()
    moves: dict[str, list[float]] = {"weight0": [], "weight1": []}
    for width in (256, 4096):
        net = MLP(widths=(6, width, 1), activation="tanh", parametrisation=parametrisation)
        rows = [Member(seed=seed, inputs=inputs, targets=targets, splits=masks(0), lr=1e-6, steps=1) for seed in range(4)]
        runs = train_many(net, rows, loss=squared_error, optimizer=SGD(), dtype=DIGITS)
        for name, values in moves.items():
            starts = [net.initial(generator(seed))[name] for seed in range(4)]
            values.append(sum(float((run.parameters[name] - w).norm() / w.norm()) for run, w in zip(runs, starts, strict=True)))
    for (small, large), power in zip(moves.values(), powers, strict=True):
        assert math.log(large / small) / math.log(16) == pytest.approx(power, abs=0.1)


@pytest.mark.parametrize("parametrisation", ["standard", "ntk"])
def test_outputs_at_the_start_have_the_variance_of_the_parametrisation(parametrisation: Any) -> None:
    """A deep linear network with gain g on unit vectors: E f^2 = g^(2 depth)."""
    net = MLP(widths=(4, 64, 64, 1), activation="identity", parametrisation=parametrisation, gain=1.5)
    x = F.normalize(torch.randn(1, 4, generator=generator(0), dtype=torch.float64)) * 2
    squares = [float(net(net.initial(generator(seed)), x, {}) ** 2) for seed in range(800)]
    assert sum(squares) / 800 == pytest.approx(1.5**6, rel=0.25)


def test_a_committee_machine_is_its_quadratic_form() -> None:
    """f = alpha (mean w) . x + (alpha eps / 2) x^T M x with M the mean of w w^T (2310.06110), alpha and eps of each member."""
    inputs = data()[0]
    knobs = [{"scale": 0.5, "curvature": 0.3}, {"scale": 8.0, "curvature": 0.1}]
    rows = [Member(seed=s, inputs=inputs, targets=inputs[:, :1], splits=masks(s), lr=0.1, steps=3, fixed=k) for s, k in enumerate(knobs)]
    seen: list[View] = []

    def observe(view: View) -> dict[str, Tensor]:
        seen.append(view)
        return {"norm": view.parameters["weight0"].flatten(1).norm(dim=1)}

    runs = train_many(committee(6, 20), rows, loss=squared_error, optimizer=SGD(), dtype=DIGITS, observe=observe)
    for place, knob in enumerate(knobs):
        w = runs[place].parameters["weight0"]
        quadratic = torch.einsum("ni,ij,nj->n", inputs, w @ w.T / 20, inputs)
        outputs = knob["scale"] * (inputs @ w.mean(1) + 0.5 * knob["curvature"] * quadratic)
        torch.testing.assert_close(seen[-1].outputs[place, :, 0], outputs, rtol=1e-12, atol=1e-12)
        assert runs[place].measured["norm"][-1] == pytest.approx(float(w.norm()), rel=1e-12)
        assert "train_accuracy" not in runs[place].measured


def test_indices_are_their_one_hot_vectors() -> None:
    index = torch.randint(3, (40, 2), generator=generator(5)) + torch.tensor([0, 3])
    hot = F.one_hot(index, 6).sum(1).double()
    for parametrisation in ("standard", "ntk"):
        net = dataclasses.replace(NET, parametrisation=parametrisation)
        left, right = (train_many(net, members(3, inputs=x), dtype=DIGITS) for x in (index, hot))
        for one, other in zip(left, right, strict=True):
            same(one, other)


def networks() -> list[MLP]:
    plain = [dataclasses.replace(NET, activation=name) for name in ACTIVATIONS]
    scaled = [dataclasses.replace(NET, parametrisation=p, bias_scale=0.3, gain=1.5) for p in ("ntk", "mean-field")]
    return [*plain, *scaled, MLP(widths=(70, 5, 3), bias=True), MLP(widths=(6, 3)), committee(6, 9)]  # type: ignore[arg-type]


@pytest.mark.parametrize("network", networks(), ids=lambda net: f"{net.activation} {net.parametrisation} {net.widths}")
@pytest.mark.parametrize("kind", ["numbers", "index"])
def test_the_written_out_form_is_the_mapped_one(network: MLP, kind: str) -> None:
    """Outputs and gradients; of the inputs 70 is more than are taken as one-hot vectors."""
    stream = generator(4)
    starts = [network.initial(stream) for _ in range(3)]
    parameters = {name: torch.stack([start[name] for start in starts]).requires_grad_() for name in starts[0]}
    numbers = torch.randn(3, 8, network.widths[0], generator=stream, dtype=torch.float64)
    inputs = numbers if kind == "numbers" else torch.randint(network.widths[0], (3, 8, 2), generator=stream)
    keep = {f"keep{i}": torch.rand(3, 8, width, generator=stream, dtype=torch.float64) for i, width in enumerate(network.widths[1:-1])}
    fixed = {"scale": torch.tensor([1.0, 2.0, 3.0]).double(), "curvature": torch.tensor([0.1, 0.4, 0.9]).double(), **keep}
    found = []
    for forward in (packed(network), torch.func.vmap(network)):
        outputs = forward(parameters, inputs, fixed)
        found.append([outputs, *torch.autograd.grad(outputs.square().sum(), list(parameters.values()))])
    for ours, mapped in zip(*found, strict=True):
        torch.testing.assert_close(ours, mapped, rtol=1e-11, atol=1e-11)


def test_other_networks_are_mapped_over_the_members() -> None:
    """What an author's own network does along an axis is not known: here it is centred over the examples."""

    class Centred(MLP):
        def __call__(self, parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
            outputs = super().__call__(parameters, inputs, fixed)
            return outputs - outputs.mean(0)

    own = [Centred(widths=(6, 4, 3)), MLP(widths=(6, 4, 3), activation=lambda h, _: h - h.mean(0))]
    for network in own:
        together = train_many(network, members(3), dtype=DIGITS)
        for member, run in zip(members(3), together, strict=True):
            same(run, train_many(network, [member], dtype=DIGITS)[0])
        outputs = packed(network)({k: v.unsqueeze(0) for k, v in network.initial(generator(0)).items()}, data()[0].unsqueeze(0), {})
        assert outputs.shape == (1, 40, 3)


def test_a_gradient_is_replaced_before_the_optimizer_and_the_schedule_scales_rates() -> None:
    def first_layer_only(parameter: Tensor, gradient: Tensor) -> Tensor:
        return gradient if parameter.shape[1:] == (6, 8) else torch.zeros_like(gradient)

    for member, run in zip(members(3), train_many(NET, members(3), gradient=first_layer_only, optimizer=SGD(), dtype=DIGITS), strict=True):
        start = NET.initial(generator(member.seed))
        shrunk = (1 - member.lr * member.decay) ** member.steps
        torch.testing.assert_close(run.parameters["weight1"], start["weight1"] * shrunk)
        assert not torch.allclose(run.parameters["weight0"], start["weight0"] * shrunk)
    halted = train_many(NET, members(3), schedule=lambda step: float(step < 4), optimizer=SGD(), dtype=DIGITS)
    for one, other in zip(halted, train_many(NET, members(3, steps=4), optimizer=SGD(), dtype=DIGITS), strict=True):
        close(one.parameters, other.parameters, 1e-12)


def test_steps_to_a_threshold_are_censored_on_the_right() -> None:
    curve = [(0, 0.1), (10, 0.5), (100, 0.95), (1000, 0.2)]
    assert steps_to_threshold(curve, 0.9) == (100, False)
    assert steps_to_threshold(curve, 0.1) == (0, False)
    assert steps_to_threshold(curve, 0.99) == (1000, True)
    assert steps_to_threshold(curve, 0.05, falls=True) == (1000, True)
    assert steps_to_threshold([(s, -v) for s, v in curve], -0.9, falls=True) == (100, False)
    assert steps_to_threshold([*curve, (2000, math.nan)], 0.9) == (100, False), "it got there first"
    step, censored = steps_to_threshold([(0, 0.1), (10, math.nan), (20, 1.0)], 0.9)
    assert math.isnan(step)
    assert censored
    with pytest.raises(ValueError, match="without points"):
        steps_to_threshold([], 0.5)


def test_the_last_numbers_of_a_run_and_when_it_reached_a_level() -> None:
    run = Run([0, 10, 40], {"train_accuracy": [0.1, 0.95, 1.0], "test_accuracy": [0.0, 0.4, 0.89]}, {})
    assert run.last("test_accuracy", "train_accuracy") == {"test_accuracy": 0.89, "train_accuracy": 1.0}
    assert run.mean("test_accuracy") == pytest.approx((2.0 + 19.35) / 40)
    assert [run.at("test_accuracy", step) for step in (2.5, 10, 50)] == pytest.approx([0.1, 0.4, 0.89])
    assert math.isnan(run.at("test_accuracy", math.nan))
    found = run.reached(fit=("train_accuracy", 0.9), known=("test_accuracy", 0.9))
    assert found == {"fit": 10.0, "fit_censored": 0.0, "known": 40.0, "known_censored": 1.0}
    assert run.reached(early=("train_accuracy", 0.1))["early"] == 0.0
    assert math.isnan(Run([0, 5], {"x": [0.0, math.nan]}, {}).reached(never=("x", 0.5))["never"])


def test_points_are_log_spaced_with_both_ends() -> None:
    assert log_spaced(0) == [0]
    assert log_spaced(1) == [0, 1]
    points = log_spaced(2000, per_decade=8)
    assert points[:3] == [0, 1, 2]
    assert points[-1] == 2000
    assert {10, 100, 1000} < set(points)
    assert max(b / a for a, b in itertools.pairwise(points[8:])) < 1.4
    (run,) = train_many(NET, members(1, steps=9), points=[4, 50])
    assert run.steps == [0, 4, 9]
    assert run.curve("val_loss")[1] == (4, run.measured["val_loss"][1])
    both = [*members(1, steps=3), *members(1, steps=23)]
    assert [run.steps for run in train_many(NET, both, points=4)] == [log_spaced(3, 4), log_spaced(23, 4)]


def refusals() -> Sequence[tuple[str, dict[str, Any]]]:
    none = torch.zeros(40, dtype=torch.bool)
    return [
        ("a split called train", {"splits": {"test": ~none}}),
        ("split val of a member is empty", {"splits": {"train": ~none, "val": none}}),
        ("targets is of 39", {"targets": torch.zeros(39, dtype=torch.long)}),
        ("a batch of 25 from 24", {"batch": 25}),
        ("targets (1, 40) for outputs (1, 40, 3)", {"targets": torch.zeros(40)}),
    ]


@pytest.mark.parametrize(("says", "wrong"), refusals(), ids=[says for says, _ in refusals()])
def test_members_that_make_no_sense_are_refused(says: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        train_many(NET, [dataclasses.replace(members(1)[0], **wrong)], loss=squared_error)


def test_networks_that_make_no_sense_are_refused() -> None:
    for wrong in ({"widths": (3,)}, {"widths": (3, 1), "std": (1.0, 1.0)}, {"widths": (3, 4, 2), "readout": "mean"}):
        with pytest.raises(ValueError, match=r"widths|std|mean"):
            MLP(**wrong)  # type: ignore[arg-type]


def test_splits_of_rows_follow_each_other() -> None:
    found = row_splits({"train": 2, "val": 1, "test": 3})
    assert {split: mask.nonzero()[:, 0].tolist() for split, mask in found.items()} == {"train": [0, 1], "val": [2], "test": [3, 4, 5]}
