"""Duals of Hermite activations, limit kernels and rules of kernels, each against a route that shares nothing with it."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from tasks.blocks import kernel_rules
from tasks.blocks.dual_kernels import last_relu, quadrature_dual, slope_moments, wide, wide_relu
from tasks.blocks.generators import striped_sphere
from tasks.blocks.hermite_duals import HermiteActivation, singular_activation
from tasks.blocks.kernel_rules import kernel_sum, leave_one_out_ridge, limit_sum, log_interpolation, nearest

RHO = torch.tensor([0.0, 0.2, 0.7, 0.999, 1.0], dtype=torch.float64)
MIXED = HermiteActivation((math.sqrt(0.1), 0.5, -0.4, math.sqrt(0.49)))


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_dual_is_the_integral_that_defines_it_and_its_slope_is_autograds() -> None:
    assert torch.allclose(MIXED.dual(RHO), quadrature_dual(MIXED)(RHO), atol=1e-10)
    rho = RHO.clone().requires_grad_()
    (slope,) = torch.autograd.grad(MIXED.dual(rho).sum(), rho)
    assert torch.allclose(slope, MIXED.derivative(RHO))
    for phi in (MIXED, singular_activation(3.0)):
        assert slope_moments(phi) == pytest.approx((phi.coefficients[1], sum(phi.slopes))), "A' and B'"
    with pytest.raises(ValueError, match="sum to 1"):
        HermiteActivation((0.5, 0.5))


@pytest.mark.parametrize("phi", [MIXED, singular_activation(3.0), HermiteActivation((0.0, 0.0, 1.0))])
def test_logarithms_of_kernels_are_those_of_the_recursion_and_one_stays_one(phi: HermiteActivation) -> None:
    rho = RHO[1:]
    plain = wide(rho, 6, phi.dual, phi.derivative)
    for found, expected in zip(phi.log_kernels(rho.log(), 6), (plain.nngp[-1], plain.ntk[-1]), strict=True):
        assert torch.allclose(found.exp(), expected, rtol=1e-11)
    nngp, tangent = phi.log_kernels(torch.zeros(1, dtype=torch.float64), 300)
    rate = sum(phi.slopes)
    assert float(nngp) == 0.0
    assert float(tangent) == pytest.approx(301 * math.log(rate) - math.log(rate - 1.0)), "sum of B'^j, j = 0 .. 300"
    far, _ = phi.log_kernels(torch.tensor([-300.0], dtype=torch.float64), 40)
    assert math.isfinite(float(far))


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.5, 2.0, 3.0, 8.0])
def test_the_limit_kernel_is_the_deep_nngp_over_its_rate_and_has_its_exponent(exponent: float) -> None:
    phi = singular_activation(exponent)
    assert phi.exponent == pytest.approx(exponent, abs=1e-9)
    rho = torch.tensor([0.1, 0.6, 0.99, 1 - 1e-6], dtype=torch.float64)
    deep, _ = phi.log_kernels(rho.log(), 400)
    assert torch.allclose(phi.limit_kernel(rho).log(), deep - 400 * math.log(phi.squares[1]), atol=1e-8)
    near = phi.limit_kernel(1.0 - torch.tensor([1e-4, 1e-3], dtype=torch.float64).square() / 2).log()
    assert float(near[0] - near[1]) / math.log(10.0) == pytest.approx(exponent, abs=0.01)


def test_what_has_no_limit_kernel_is_refused() -> None:
    for phi in (MIXED, HermiteActivation((0.0, 0.0, 1.0)), HermiteActivation((0.0, 1.0))):
        with pytest.raises(ValueError, match="0 < E"):
            phi.limit_kernel(RHO[:2])
    for rho in (RHO, -RHO[1:3]):
        with pytest.raises(ValueError, match="coincide or point apart"):
            singular_activation(2.0).limit_kernel(rho)
    with pytest.raises(ValueError, match="positive"):
        singular_activation(0.0)


def test_no_rule_beats_the_bayes_risk_of_stripes_and_the_best_one_has_it() -> None:
    data = striped_sphere(100_000, 2, 8.0, 0.4, stream())
    assert data.bayes_risk == pytest.approx(0.1)
    wrong = float((data.best(data.x) != data.y).double().mean())
    assert wrong == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / 100_000))
    assert stats.kstest(data.x[:2000, 0].numpy(), "uniform").pvalue > 1e-3, "Archimedes"
    assert float(data.best(data.x).double().mean()) == pytest.approx(math.pi / 8 + 1 - math.pi / 4, abs=0.01)
    assert float(data.x.min()) >= 0.0
    assert torch.allclose(data.x.norm(dim=1), torch.ones(1, dtype=torch.float64))
    with pytest.raises(ValueError, match="margin"):
        striped_sphere(3, 2, 8.0, 0.6, stream())


def test_rules_of_kernels_are_sklearns() -> None:
    data, new = striped_sphere(60, 2, 8.0, 0.4, stream()), striped_sphere(2000, 2, 8.0, 0.4, stream(1)).x
    labels = 2.0 * data.y.double() - 1.0
    neighbour = KNeighborsClassifier(1).fit(data.x.numpy(), data.y.numpy())
    assert (nearest(new, data.x, labels).numpy() > 0).tolist() == neighbour.predict(new.numpy()).astype(bool).tolist()
    assert torch.allclose(kernel_sum(new, data.x, labels, torch.exp), (new @ data.x.T).exp() @ labels)
    gram, ridges = (data.x @ data.x.T).exp(), (1e-3, 0.1, 10.0)
    models = [KernelRidge(alpha=ridge, kernel="precomputed") for ridge in ridges]
    errors = [((cross_val_predict(m, gram.numpy(), labels.numpy(), cv=LeaveOneOut()) - labels.numpy()) ** 2).mean() for m in models]
    ridge, alpha = leave_one_out_ridge(gram, labels, ridges)
    assert ridge == ridges[errors.index(min(errors))]
    assert torch.allclose(alpha, torch.linalg.solve(gram + ridge * torch.eye(60), labels))


def test_networks_are_solved_from_logarithms_of_their_kernels_also_where_these_underflow() -> None:
    data, new = striped_sphere(40, 2, 8.0, 0.4, stream()), striped_sphere(30, 2, 8.0, 0.4, stream(1)).x
    labels, own, between = 2.0 * data.y.double() - 1.0, data.x @ data.x.T, new @ data.x.T
    for log_own, log_between in ((-9.0 * (1 - own), -9.0 * (1 - between)), (400.0 * (own - 1), 400.0 * (between - 1))):
        outputs, scores = log_interpolation(log_between, log_own, labels)
        assert torch.allclose(outputs, log_between.exp() @ torch.linalg.solve(log_own.exp(), labels), rtol=1e-6)
        assert torch.equal(outputs > 0, scores > 0)
    far, scores = log_interpolation(log_between - 2000.0, log_own, labels)
    assert float(far.abs().max()) == 0.0
    assert torch.equal(scores > 0, outputs > 0)


def test_the_last_layers_kernels_are_those_of_all_layers() -> None:
    rho = torch.linspace(0.0, 1.0, 7, dtype=torch.float64)[None]
    every = wide_relu(rho, 5)
    for found, expected in zip(last_relu(rho, 5), (every.nngp[-1], every.ntk[-1]), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 5.0])
def test_many_pairs_are_summed_as_few_are(exponent: float, monkeypatch: pytest.MonkeyPatch) -> None:
    data, new = striped_sphere(200, 2, 8.0, 0.4, stream()), striped_sphere(50, 2, 8.0, 0.4, stream(1)).x
    labels, phi = 2.0 * data.y.double() - 1.0, singular_activation(exponent)
    few = limit_sum(new, data.x, labels, phi)
    assert torch.equal(few, kernel_sum(new, data.x, labels, phi.limit_kernel))
    monkeypatch.setattr(kernel_rules, "MANY", 0)
    many = limit_sum(new, data.x, labels, phi) / phi.squares[1] ** 200
    assert torch.allclose(many, few, rtol=1e-7)
