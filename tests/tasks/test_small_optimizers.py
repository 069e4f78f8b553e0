"""Optimizers of many members at once against torch's and the authors', a member at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pytorch_optimizer import OrthoGrad
from torch import Tensor, nn

from tasks.blocks.small_models import SGD, Adam, AdamW, Member, Muon, PerParameter, perp_grad, train_many
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator
from tests.tasks.test_small_models import DIGITS, NET, Twin, close, members

WEIGHTS, BIASES = [f"weight{i}" for i in range(3)], [f"bias{i}" for i in range(3)]
Optimizers = Callable[[list[nn.Parameter], list[nn.Parameter], Member], Sequence[torch.optim.Optimizer]]


def trained(member: Member, optimizers: Optimizers, dtype: torch.dtype = DIGITS) -> dict[str, Tensor]:
    """In plain torch; `optimizers(matrices, biases, member)` all step."""
    twin = Twin(NET.initial(generator(member.seed)), dtype)
    matrices, biases = ([getattr(layer, name) for layer in twin.layers] for name in ("weight", "bias"))
    chosen, seen = optimizers(matrices, biases, member), member.splits["train"]
    for _ in range(member.steps):
        twin.zero_grad()
        F.cross_entropy(twin(member.inputs[seen].to(dtype)), member.targets[seen]).backward()
        for optimizer in chosen:
            optimizer.step()
    return twin.parts()


def quintics(matrix: Tensor, triples: Sequence[Sequence[float]]) -> Tensor:
    """Towards the polar factor, written out on the singular values."""
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    s = s / (matrix.norm() + 1e-7)
    for a, b, c in triples:
        s = a * s + b * s**3 + c * s**5
    return u @ s.diag() @ vh


@pytest.mark.parametrize("exact", [True, False], ids=["quintics in float64", "torch as it is"])
@pytest.mark.parametrize(("scale", "theirs"), [("original", "original"), ("match-rms", "match_rms_adamw")])
def test_muon_on_matrices_beside_adam_on_biases(scale: Any, theirs: str, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if exact:
        named = "torch.optim._muon._zeropower_via_newtonschulz"
        monkeypatch.setattr(named, lambda gradient, triple, steps, _eps: quintics(gradient, [triple] * steps))
    each = PerParameter({**dict.fromkeys(WEIGHTS, Muon(0.9, scale=scale)), **dict.fromkeys(BIASES, Adam((0.8, 0.95)))})
    own = [{"lr": {**dict.fromkeys(WEIGHTS, 0.01 * (1 + i)), **dict.fromkeys(BIASES, 0.1)}} for i in range(4)]
    rows = [dataclasses.replace(member, **rates) for member, rates in zip(members(4), own, strict=True)]

    def optimizers(matrices: list[nn.Parameter], biases: list[nn.Parameter], member: Member) -> Sequence[torch.optim.Optimizer]:
        assert isinstance(member.lr, Mapping)
        muon = torch.optim.Muon(matrices, lr=member.lr["weight0"], weight_decay=member.decay, momentum=0.9, adjust_lr_fn=theirs)
        return muon, torch.optim.Adam(biases, lr=member.lr["bias0"], weight_decay=member.decay, betas=(0.8, 0.95))

    for member, run in zip(rows, train_many(NET, rows, optimizer=each, dtype=DIGITS), strict=True):
        close(run.parameters, trained(member, optimizers), 1e-9 if exact else 0.1)


def test_muon_as_the_authors_of_li2_call_it() -> None:
    """muon_opt.py of 2509.21519: a mean with beta 0.99, no Nesterov, no scale, five triples of its own."""
    triples = ((4.01, -9.22, 5.80), (3.49, -6.38, 3.23), (3.34, -6.21, 3.20), (3.64, -7.48, 4.43), (3.46, -5.35, 2.85))
    net = MLP(widths=(6, 9, 3), activation="square")
    rows = members(3, steps=6)
    ours = Muon(0.99, nesterov=False, scale="none", coefficients=triples)
    for member, run in zip(rows, train_many(net, rows, optimizer=ours, dtype=DIGITS), strict=True):
        weights = {name: value.requires_grad_() for name, value in net.initial(generator(member.seed)).items()}
        means = {name: torch.zeros_like(value) for name, value in weights.items()}
        assert isinstance(member.lr, float)
        assert isinstance(member.decay, float)
        for _ in range(member.steps):
            seen = member.splits["train"]
            slopes = torch.autograd.grad(
                F.cross_entropy(net(weights, member.inputs[seen], {}), member.targets[seen]), list(weights.values())
            )
            with torch.no_grad():
                for (name, weight), slope in zip(weights.items(), slopes, strict=True):
                    means[name] += 0.01 * (slope - means[name])
                    weight *= 1 - member.lr * member.decay
                    weight -= member.lr * quintics(means[name], triples)
        close(run.parameters, {name: weight.detach() for name, weight in weights.items()}, 1e-9)


@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_perp_grad_is_ortho_grad_around_the_optimizer(base: str) -> None:
    rows = members(4)

    def optimizers(matrices: list[nn.Parameter], biases: list[nn.Parameter], member: Member) -> Sequence[torch.optim.Optimizer]:
        inner: dict[str, Any] = {"lr": member.lr, "weight_decay": member.decay}
        both = [*matrices, *biases]
        return [OrthoGrad(torch.optim.SGD(both, **inner) if base == "sgd" else torch.optim.AdamW(both, **inner))]

    ours = SGD() if base == "sgd" else AdamW()
    for member, run in zip(rows, train_many(NET, rows, optimizer=ours, gradient=perp_grad, dtype=DIGITS), strict=True):
        close(run.parameters, trained(member, optimizers), 1e-9)


def test_perp_grad_is_across_the_weights_and_as_long_member_by_member() -> None:
    w, g = torch.randn(2, 3, 4, 5, generator=generator(0), dtype=torch.float64)
    w[1] = 0.0
    turned = perp_grad(w, g)
    torch.testing.assert_close(turned.flatten(1).norm(dim=1), g.flatten(1).norm(dim=1))
    assert float((turned * w).sum((1, 2)).abs().max()) < 1e-12
    torch.testing.assert_close(turned[1], g[1])
    one = perp_grad(w[:1], g[:1])
    torch.testing.assert_close(turned[:1], one, rtol=1e-12, atol=0.0)
    assert perp_grad(w, torch.zeros_like(g)).abs().max() == 0.0, "no gradient at all is no NaN"


@pytest.mark.parametrize("eps", [1e-8, 1e-30])
def test_a_tiny_eps_lets_tiny_gradients_move_single_precision(eps: float) -> None:
    """Gradients near 1e-12: with eps 1e-8 the weights stand still, with 1e-30 every step has the length of the rate."""
    member = dataclasses.replace(members(1)[0], lr=0.01, decay=0.0, steps=3)

    def optimizers(matrices: list[nn.Parameter], biases: list[nn.Parameter], member: Member) -> Sequence[torch.optim.Optimizer]:
        for parameter in (*matrices, *biases):
            parameter.register_hook(lambda gradient: gradient * 1e-12)
        assert isinstance(member.lr, float)
        return [torch.optim.AdamW([*matrices, *biases], lr=member.lr, weight_decay=0.0, eps=eps)]

    (run,) = train_many(NET, [member], optimizer=AdamW(eps=eps), gradient=lambda _, g: g * 1e-12)
    close(run.parameters, trained(member, optimizers, torch.float32), 1e-5)
    moved = float((run.parameters["weight1"] - NET.initial(generator(member.seed))["weight1"]).abs().mean())
    assert moved == pytest.approx(0.03, rel=0.2) if eps == 1e-30 else moved < 1e-4


def test_rates_and_decays_of_parameters_are_torchs_parameter_groups() -> None:
    rates = [{**dict.fromkeys(WEIGHTS, 0.02), **dict.fromkeys(BIASES, 0.05 * index)} for index in range(1, 4)]
    decays = [{**dict.fromkeys(WEIGHTS, 0.3 * index), **dict.fromkeys(BIASES, 0.0)} for index in range(3)]
    rows = [dataclasses.replace(m, lr=lr, decay=decay) for m, lr, decay in zip(members(3), rates, decays, strict=True)]
    rows.append(members(4)[3])

    def optimizers(matrices: list[nn.Parameter], biases: list[nn.Parameter], member: Member) -> Sequence[torch.optim.Optimizer]:
        pairs = [(one[kind] if isinstance(one, Mapping) else one) for kind in ("weight0", "bias0") for one in (member.lr, member.decay)]
        groups = [{"params": p, "lr": pairs[2 * i], "weight_decay": pairs[2 * i + 1]} for i, p in enumerate((matrices, biases))]
        return [torch.optim.AdamW(groups)]

    for member, run in zip(rows, train_many(NET, rows, dtype=DIGITS), strict=True):
        close(run.parameters, trained(member, optimizers), 1e-12)


@pytest.mark.parametrize("optimizer", [SGD(0.9), Adam(), AdamW(), Muon()], ids=["sgd", "adam", "adamw", "muon"])
@pytest.mark.parametrize("gradient", [None, perp_grad], ids=["plain", "perp-grad"])
def test_nan_stays_where_it_is(optimizer: Any, gradient: Any) -> None:
    """Bad data of one member: the others end to the bit where they end when its data are good."""
    net, calm = MLP(widths=(6, 8, 3), activation="tanh"), members(3, steps=8)
    inputs = calm[1].inputs.clone()
    inputs[calm[1].rows[0]] = math.nan
    bad = dataclasses.replace(calm[1], inputs=inputs)
    good, packed = (train_many(net, [calm[0], one, calm[2]], optimizer=optimizer, gradient=gradient) for one in (calm[1], bad))
    assert packed[1].diverged
    assert not good[1].diverged
    for place in (0, 2):
        assert packed[place].measured == good[place].measured
        close(packed[place].parameters, good[place].parameters, 0.0)


def test_optimizers_that_do_not_fit_are_refused() -> None:
    for optimizer, says in (
        (Muon(), "Muon works on matrices, not on bias0"),
        (PerParameter({"weight0": SGD()}), "the network has weight0, bias0"),
    ):
        with pytest.raises(ValueError, match=says):
            train_many(NET, members(2), optimizer=optimizer)
    with pytest.raises(ValueError, match="rates or decays of weight9; the network has weight0"):
        train_many(NET, [dataclasses.replace(members(1)[0], lr={"weight9": 0.1})])
