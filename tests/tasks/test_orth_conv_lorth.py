"""L_orth: singular values against the dense operator, the theorems at their edges, the attack, and what the networks are made of."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from tasks.blocks.spectral import spectral_norm
from tasks.blocks.training import generator
from tasks.convolutions.orth_conv_lorth import operators as op
from tasks.convolutions.orth_conv_lorth.claims import KERNEL, LORTH, NONE, TAP, ZEROS
from tasks.convolutions.orth_conv_lorth.experiment import ball, near_a_tap, network, zero_padded_error
from tasks.convolutions.orth_conv_lorth.task import _IMPOSSIBLE, _POSSIBLE, _SQUARE, TASK
from tests.tasks.stand_ins import made
from tests.tasks.trials import Trials

SHAPES = (*_POSSIBLE, *_IMPOSSIBLE, *_SQUARE, (3, 2, 2, 1), (2, 1, 2, 2), (3, 1, 5, 2))
SMALL = {"epochs": 2.0, "train_images": 128, "batch": 32, "width": 4, "lr": 0.03}


def kernel(m: int, c: int, k: int, seed: int = 0) -> Tensor:
    return torch.randn(m, c, k, k, generator=generator(seed), dtype=torch.float64) / math.sqrt(c * k * k)


def values(shape: tuple[int, int, int, int], **more: int) -> dict[str, int]:
    return {**dict(zip(("filters", "channels", "kernel", "stride"), shape, strict=True)), **more}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("orth-conv-lorth", tmp_path, experiment="robustness", base=SMALL, data=made("digits"))


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_the_dense_operator_is_the_convolution_written_out(padding: op.Padding) -> None:
    weights, stride, size = kernel(2, 2, 3), 2, 2
    side, found = stride * size, op.dense(kernel(2, 2, 3), 2, 2, padding).view(2, size, size, 2, stride * size, stride * size)
    expected = torch.zeros_like(found)
    for m, c, i, j, a, b in itertools.product(range(2), range(2), range(size), range(size), range(3), range(3)):
        row, column = stride * i + a - 1, stride * j + b - 1
        if padding == "circular" or (0 <= row < side and 0 <= column < side):
            expected[m, i, j, c, row % side, column % side] += weights[m, c, a, b]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_by_frequency_are_those_of_the_dense_operator(shape: tuple[int, int, int, int]) -> None:
    m, c, k, stride = shape
    for size in (n for n in (1, 3, 5) if stride * n >= k // 2):  # torch pads an image by no more than its own size
        found = op.singular_values(kernel(m, c, k), stride, size).flatten().sort(descending=True).values
        expected = torch.linalg.svdvals(op.dense(kernel(m, c, k), stride, size, "circular"))
        torch.testing.assert_close(found, expected[: len(found)], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_lorth_is_the_frobenius_error_of_the_dense_operator(shape: tuple[int, int, int, int]) -> None:
    m, c, k, stride = shape
    size = max(2, math.ceil((2 * k - 1) / stride))
    a = op.dense(kernel(m, c, k), stride, size, "circular")
    smaller = a @ a.T if m <= c * stride**2 else a.T @ a
    expected = float((smaller - torch.eye(len(smaller), dtype=a.dtype)).square().sum()) / size**2
    assert float(op.lorth(kernel(m, c, k), stride)) == pytest.approx(expected, rel=1e-9)


def test_the_rule_of_existence_and_the_constant_at_their_edges() -> None:
    assert [op.exists(*shape) for shape in (*_POSSIBLE, *_SQUARE)] == [True] * 7
    assert [op.exists(*shape) for shape in _IMPOSSIBLE] == [False] * 3
    assert (op.exists(18, 2, 3, 3), op.exists(19, 2, 3, 3), op.exists(19, 2, 3, 4)) == (True, True, False)
    assert op.alpha(6, 2, 3, 2) == 6 * 3**2
    assert op.alpha(12, 2, 3, 2) == 2 * 5**2
    assert op.alpha(8, 2, 3, 2) == min(8 * 3**2, 2 * 5**2)


def test_taps_without_noise_are_orthogonal(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.convolutions.orth_conv_lorth.experiment._NOISE", 0.0)
    for shape in ((8, 2, 3, 2), (6, 2, 3, 2), (12, 2, 3, 2), (4, 4, 3, 1)):
        taps = near_a_tap(trials(TAP, values(shape), experiment="existence"))
        torch.testing.assert_close(op.singular_values(taps, shape[3], 5), torch.ones(25, min(shape[0], shape[1] * shape[3] ** 2)).double())


def test_power_iteration_finds_the_spectral_error_of_a_dense_operator() -> None:
    for shape in ((6, 2, 3, 2), (8, 4, 3, 1), (3, 1, 5, 2)):
        m, c, k, stride = shape
        a = op.dense(kernel(m, c, k), stride, 5, "zeros")
        smaller = a @ a.T if m <= c * stride**2 else a.T @ a
        expected = float(torch.linalg.eigvalsh(smaller - torch.eye(len(smaller), dtype=a.dtype)).abs().max())
        assert 0.998 * expected < zero_padded_error(kernel(m, c, k), stride, 5, generator(1)) <= expected * (1 + 1e-12)
    wide = torch.diag(torch.tensor([3.0, 2.0, 1.0]))[:2]
    assert spectral_norm(lambda x: wide @ x, lambda y: wide.T @ y, torch.ones(3)) == pytest.approx(3.0)
    assert spectral_norm(lambda x: 0 * x, lambda y: 0 * y, torch.ones(3)) == 0.0


def test_the_theorems_hold_and_their_controls_do_not(trials: Trials) -> None:
    wide, narrow = values((6, 2, 3, 2), size=3), values((2, 4, 3, 1), size=4)
    assert trials.run(LORTH, wide, experiment="identity")["identity_error"] < 1e-12
    assert trials.run(ZEROS, wide, experiment="identity")["identity_error"] > 0.01
    assert trials.run(LORTH, narrow, experiment="identity")["identity_error"] > 0.01
    for shape in (_POSSIBLE[0], _IMPOSSIBLE[0]):
        assert trials.run(LORTH, values(shape, steps=300), experiment="existence")["agrees"] == 1.0
    found = {method: trials.run(method, values(_POSSIBLE[2], steps=300), experiment="existence") for method in (LORTH, KERNEL, ZEROS, NONE)}
    assert found[LORTH]["spread"] < 0.01 < 0.3 < min(found[method]["spread"] for method in (KERNEL, ZEROS, NONE))
    ratios = {
        method: trials.run(method, values(_POSSIBLE[2], steps=300), experiment="stability")["bound_ratio"]
        for method in (LORTH, ZEROS, NONE)
    }
    assert max(ratios[LORTH], ratios[NONE]) < 1.0 < ratios[ZEROS]


@pytest.mark.parametrize(("flat", "grows", "holds"), [(0.02, 1.0, True), (0.3, 1.0, False), (0.0, 0.0, False)])
def test_an_error_is_flat_where_another_grows(flat: float, grows: float, holds: bool) -> None:
    powers = {(LORTH, "spectral_error"): flat, (NONE, "frobenius_error"): grows, (NONE, "spectral_error"): 9.0}
    rows = [
        {"experiment": "stability", "method": method, "seed": 0, "status": "ok", "param.size": size, f"metric.{name}": 3.0 * size**power}
        for size in (9, 16, 33, 64)
        for (method, name), power in powers.items()
    ]
    claim = TASK.claim("C3-flat")
    frame = pd.DataFrame(rows).groupby(["experiment", "method", "seed", "status", "param.size"], as_index=False).first()
    assert claim.estimate(frame) == pytest.approx(flat - grows)
    assert (claim.estimate(frame) in claim.holds) == holds


@pytest.mark.parametrize(("broken", "holds"), [(0.08, True), (0.005, False)])
def test_every_broken_case_lies_above_every_exact_one(broken: float, holds: bool) -> None:
    def rows(view: str, method: str, *errors: float) -> list[dict[str, object]]:
        trial = {"experiment": "identity", "method": method, "seed": 0, "status": "ok", "view.wide": False, "view.narrow": False}
        return [trial | {f"view.{view}": True, "metric.identity_error": error} for error in errors]

    frame = pd.DataFrame([*rows("wide", LORTH, 1e-16, 1e-15), *rows("wide", ZEROS, 0.5, broken), *rows("narrow", LORTH, broken, 0.3)])
    for claim in (TASK.claim("C1-zero-padding"), TASK.claim("C1-narrow")):
        assert claim.estimate(frame) == pytest.approx(broken)
        assert (claim.estimate(frame) in claim.holds) == holds


def test_the_regulariser_makes_the_layers_orthogonal_and_the_attack_finds_something(trials: Trials) -> None:
    plain, regular = trials.run(NONE), trials.run(LORTH, {"weight": 10.0, "epochs": 10.0})
    assert regular["deviation"] < 0.3 < plain["deviation"]
    assert trials.run(NONE, {"attack": 0.0})["pgd_test_accuracy"] == pytest.approx(plain["test_accuracy"])
    assert plain["pgd_test_accuracy"] < plain["test_accuracy"] - 5.0
    moved = ball(torch.randn(5, 1, 8, 8, generator=generator(0)) * torch.arange(5).view(5, 1, 1, 1), 2.0).flatten(1).norm(dim=1)
    assert moved.max() <= 2.0 + 1e-5
    assert moved[1:] == pytest.approx([2.0] * 4)


def test_a_network_of_orthogonal_layers_is_circular_and_1_lipschitz(trials: Trials) -> None:
    model = network(trials(LORTH)).double()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.div_(op.singular_values(module.weight, module.stride[0], 8).max())
            if isinstance(module, nn.Linear):
                module.weight.div_(torch.linalg.matrix_norm(module.weight, 2))
    x, y = torch.randn(2, 20, 1, 8, 8, generator=generator(0), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model[:-2](x.roll(4, 3)), model[:-2](x).roll(1, 3))
        assert float(((model(x) - model(y)).norm(dim=1) / (x - y).flatten(1).norm(dim=1)).max()) <= 1.0
