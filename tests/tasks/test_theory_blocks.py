"""The theory parts of the workbench, each against a route that shares nothing with it: simulation, quadrature, autograd, a library."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate
from sklearn.linear_model import Ridge, RidgeCV
from torch import Tensor, nn

from tasks.blocks import generators, probes
from tasks.blocks.dual_kernels import arc_cosine, erf_derivative_dual, erf_dual, quadrature_dual, wide, wide_relu
from tasks.blocks.random_features import box_features, box_parameters, leave_one_out_weights, relu_features, relu_fits, ridge_path
from tasks.blocks.recorder import input_jacobian, parameter_jacobian, recorded
from tasks.blocks.transport import floor_between_samples, wasserstein_1

RHO = torch.tensor([-1.0, -0.6, 0.0, 0.3, 0.99, 1.0], dtype=torch.float64)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=stream(seed), dtype=torch.float64)


def test_the_ridge_path_is_sklearns_at_every_ridge() -> None:
    features, targets, ridges = normal(30, 12), normal(30, 2, seed=1), torch.tensor([1e-3, 0.1, 10.0])
    path = ridge_path(features, targets, ridges)
    fresh, truth = normal(7, 12, seed=2), normal(7, 2, seed=3)
    for i, ridge in enumerate(ridges.tolist()):
        model = Ridge(alpha=ridge, fit_intercept=False, solver="cholesky").fit(features.numpy(), targets.numpy())
        assert np.allclose(path.weights[i].numpy().T, model.coef_, atol=1e-10)
        assert float(path.error(fresh, truth)[i]) == pytest.approx(((model.predict(fresh.numpy()) - truth.numpy()) ** 2).mean())
        hat = features @ torch.linalg.solve(features.T @ features + ridge * torch.eye(12), features.T)
        assert float(path.degrees_of_freedom[i]) == pytest.approx(float(hat.trace()))
        assert float(path.train_error[i]) == pytest.approx(float((hat @ targets - targets).square().mean()))
        assert float(path.norm[i]) == pytest.approx(np.linalg.norm(model.coef_))


@pytest.mark.parametrize("shape", [(10, 25), (25, 10)])
def test_no_ridge_is_the_solution_of_least_norm_also_where_features_repeat(shape: tuple[int, int]) -> None:
    features = normal(*shape)
    features[:, 1] = features[:, 0]
    targets = normal(shape[0], seed=1)
    path = ridge_path(features, targets, torch.tensor([0.0]))
    assert torch.allclose(path.weights[0, :, 0], torch.linalg.pinv(features, rtol=1e-10) @ targets, atol=1e-9)
    assert float(path.degrees_of_freedom[0]) == pytest.approx(min(shape[0], shape[1] - 1))


@pytest.mark.parametrize("count", [20, 80])
def test_the_ridge_that_leaves_one_out_is_sklearns(count: int) -> None:
    x, y, ridges = normal(count, 30, seed=1), torch.arange(count).double().sin(), torch.logspace(-2, 5, 29, dtype=torch.float64)
    expected = RidgeCV(alphas=ridges.numpy(), fit_intercept=False).fit(x.numpy(), y.numpy()).coef_
    assert np.allclose(leave_one_out_weights(x, y, ridges).numpy(), expected, atol=1e-8)


def test_random_relu_features_have_the_arc_cosine_kernel() -> None:
    x = torch.nn.functional.normalize(normal(5, 8), dim=1)
    found = relu_features(x, 200_000, stream(1))
    assert torch.allclose(found @ found.T, arc_cosine(x @ x.T, 1), atol=0.02)


def test_fits_of_classes_are_sklearns_on_the_same_features() -> None:
    images, labels = normal(60, 3, 4).float(), torch.randint(3, (60,), generator=stream(2))
    rows = [slice(0, 30), slice(30, 40), slice(40, 60)]
    found = relu_fits([(images[part], labels[part]) for part in rows], 3, 25, stream(1), torch.tensor([1e-3, 1.0]))
    features = relu_features(images.flatten(1) / math.sqrt(12), 25, stream(1)).numpy()
    targets = np.eye(3)[labels.numpy()] - np.eye(3)[labels[:30].numpy()].mean(0)
    for place, ridge in enumerate((1e-3, 1.0)):
        model = Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(features[:30], targets[:30])
        errors = [float(of[place]) for of in (found.path.train_error, found.validation, found.test)]
        assert errors == pytest.approx([((model.predict(features[part]) - targets[part]) ** 2).mean() for part in rows], rel=1e-6)


def dual_by_integration(function: Callable[[float], float], rho: float) -> float:
    def inner(u: float, w: float) -> float:
        v = rho * u + math.sqrt(1 - rho**2) * w
        return function(u) * function(v) * math.exp(-(u * u + w * w) / 2) / (2 * math.pi)

    return float(integrate.dblquad(inner, -8, 8, -8, 8, epsabs=1e-5)[0])


def test_duals_are_the_integrals_that_define_them() -> None:
    rho = torch.tensor([0.3], dtype=torch.float64)
    assert float(arc_cosine(rho, 1)) == pytest.approx(2 * dual_by_integration(lambda u: max(u, 0.0), 0.3), abs=1e-4)
    assert float(erf_dual(rho)) == pytest.approx(dual_by_integration(math.erf, 0.3), abs=1e-4)
    assert torch.allclose(arc_cosine(RHO, 0), 1 - torch.arccos(RHO) / math.pi)
    assert arc_cosine(RHO, 1)[[0, 2, -1]].tolist() == pytest.approx([0.0, 1 / math.pi, 1.0])
    assert torch.allclose(quadrature_dual(torch.erf)(RHO), erf_dual(RHO), atol=1e-8)
    slope = quadrature_dual(lambda u: 2 / math.sqrt(math.pi) * torch.exp(-(u**2)))
    assert torch.allclose(slope(RHO), erf_derivative_dual(RHO), atol=1e-8)
    with pytest.raises(ValueError, match="order 0 and 1"):
        arc_cosine(RHO, 2)


def test_the_dual_of_the_derivative_is_the_derivative_of_the_dual() -> None:
    rho = torch.tensor([-0.5, 0.2, 0.7], dtype=torch.float64, requires_grad=True)
    for dual, derivative in ((lambda r: arc_cosine(r, 1), lambda r: arc_cosine(r, 0)), (erf_dual, erf_derivative_dual)):
        (slope,) = torch.autograd.grad(dual(rho).sum(), rho)
        assert torch.allclose(slope, derivative(rho.detach()))


def test_the_tangent_kernel_is_that_of_a_wide_network() -> None:
    class Scaled(nn.Module):
        """NTK parametrisation with c = 2 before every hidden layer and 1 before the output."""

        def __init__(self, width: int) -> None:
            super().__init__()
            shapes = [(width, 4), (width, width), (1, width)]
            self.weights = nn.ParameterList(normal(*shape, seed=i) for i, shape in enumerate(shapes))

        def forward(self, x: Tensor) -> Tensor:
            first, second, out = self.weights
            hidden = (x @ first.T).relu() * math.sqrt(2 / len(first))
            return (hidden @ second.T).relu() * math.sqrt(2 / len(second)) @ out.T

    x = torch.nn.functional.normalize(normal(4, 4, seed=9), dim=1)
    jacobian = parameter_jacobian(Scaled(600), x)[:, 0]
    kernels = wide_relu(x @ x.T, 2)
    assert torch.allclose(jacobian @ jacobian.T, kernels.ntk[-1], atol=0.35)
    assert torch.allclose(kernels.ntk[-1].diagonal(), torch.full((4,), 3.0, dtype=torch.float64))
    again = wide(x @ x.T, 2, lambda r: arc_cosine(r, 1), lambda r: arc_cosine(r, 0))
    assert torch.equal(again.nngp, kernels.nngp)
    assert torch.allclose(kernels.nngp[1], arc_cosine(x @ x.T, 1))


def test_lanczos_finds_the_spectrum_and_its_measure() -> None:
    root = normal(20, 20)
    matrix = root @ root.T
    start = normal(20, seed=1)
    values, weights = probes.lanczos(lambda v: matrix @ v, start, 20)
    assert torch.allclose(values, torch.linalg.eigvalsh(matrix), atol=1e-8)
    assert float((weights * values.pow(3)).sum()) == pytest.approx(float(start @ matrix.matrix_power(3) @ start / (start @ start)))
    few, _ = probes.lanczos(lambda v: matrix @ v, start, 8)
    assert float(few[-1]) == pytest.approx(float(values[-1]), rel=1e-3)


def test_lanczos_stops_where_the_space_is_used_up() -> None:
    matrix = torch.diag(torch.tensor([3.0, 3.0, 1.0, 1.0], dtype=torch.float64))
    values, weights = probes.lanczos(lambda v: matrix @ v, torch.ones(4, dtype=torch.float64), 4)
    assert values.tolist() == pytest.approx([1.0, 3.0])
    assert weights.tolist() == pytest.approx([0.5, 0.5])


def test_hutchinsons_trace_lies_within_its_error_and_is_exact_for_a_diagonal() -> None:
    matrix = normal(15, 15)
    matrix = matrix + matrix.T
    estimate, error = probes.hutchinson_trace(lambda v: matrix @ v, 15, 400, stream(3))
    assert abs(estimate - float(matrix.trace())) < 4 * error
    off = (matrix - matrix.diagonal().diag()).square().sum()
    assert error == pytest.approx(math.sqrt(2 * float(off) / 400), rel=0.15), "Var = 2 sum of squares off the diagonal"
    diagonal = torch.arange(5.0, dtype=torch.float64)
    assert probes.hutchinson_trace(lambda v: diagonal * v, 5, 2, stream()) == (10.0, 0.0)


def test_products_with_the_hessian_are_the_hessians() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x, y = normal(6, 3), normal(6, 1, seed=1)

    def loss(parameters: object) -> Tensor:
        return (torch.func.functional_call(net, parameters, (x,)) - y).square().mean()  # type: ignore[arg-type]

    product, size = probes.hessian_product(loss, net)
    flat = torch.cat([p.detach().reshape(-1) for p in net.parameters()])

    def of_flat(vector: Tensor) -> Tensor:
        parts = torch.split(vector, [p.numel() for p in net.parameters()])
        return loss({name: part.reshape(p.shape) for (name, p), part in zip(net.named_parameters(), parts, strict=True)})

    hessian = torch.autograd.functional.hessian(of_flat, flat)  # type: ignore[no-untyped-call]
    columns = torch.stack([product(torch.eye(size, dtype=torch.float64)[i]) for i in range(size)], 1)
    assert torch.allclose(columns, hessian, atol=1e-10)


def test_a_power_law_spectrum_has_its_exponent() -> None:
    values = probes.power_law_spectrum(100, 1.5)
    assert float(values.sum()) == pytest.approx(1.0)
    assert float(torch.log(values[9] / values[99]) / math.log(10)) == pytest.approx(1.5)


def test_what_passes_through_modules_is_recorded_and_the_hooks_go() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    x = normal(5, 3)
    with recorded(net, ["0", "1"]) as seen:
        net(x)
        net(2 * x)
    assert torch.equal(seen["1"][0], net[0](x).relu())
    assert [len(outputs) for outputs in seen.values()] == [2, 2]
    net(x)
    assert len(seen["0"]) == 2
    with pytest.raises(KeyError, match="no module 'x'; there are 0, 1, 2"), recorded(net, ["x"]):
        pass
    with pytest.raises(RuntimeError), recorded(net, ["0"]):
        net(normal(5, 7))
    assert not net[0]._forward_hooks


def test_jacobians_are_autograds() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = normal(5, 3)
    for i in range(5):
        expected = torch.autograd.functional.jacobian(lambda row: net(row.unsqueeze(0)).squeeze(0), x[i])  # type: ignore[no-untyped-call]
        assert torch.allclose(input_jacobian(net, x)[i], expected)
    gradients = torch.autograd.grad(net(x)[2, 1], list(net.parameters()))
    assert torch.allclose(parameter_jacobian(net, x)[2, 1], torch.cat([g.reshape(-1) for g in gradients]))


TEACHER = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
KNOWN: dict[str, Callable[[int, torch.Generator], generators.Known]] = {
    "mixture": lambda n, g: generators.gaussian_mixture(n, 3, 1.5, g),
    "unequal mixture": lambda n, g: generators.gaussian_mixture(n, 2, 1.5, g, prior=0.2),
    "logistic": lambda n, g: generators.logistic_teacher(n, TEACHER, g),
    "flipped": lambda n, g: generators.flipped(generators.gaussian_mixture(n, 3, 2.0, g), 0.1, g),
    "linear": lambda n, g: generators.linear_teacher(n, TEACHER, 0.7, g),
    "spiked": lambda n, g: generators.linear_teacher(n, TEACHER, 0.7, g, torch.tensor([9.0, 1.0, 0.1])),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_best_predictor_has_the_risk_that_is_said(name: str) -> None:
    data = KNOWN[name](200_000, stream(5))
    losses = (data.best(data.x) - data.y).double().square()
    assert abs(float(losses.mean()) - data.bayes_risk) < 4 * float(losses.std()) / math.sqrt(len(losses))


def test_labels_on_the_sphere_are_those_of_quadrants() -> None:
    x, y = generators.product_on_sphere(torch.tensor([[3.0, 4.0, 0.0], [-2.0, 1.0, 2.0], [-5.0, -12.0, 0.0]]).double())
    assert torch.allclose(x, torch.tensor([[0.6, 0.8, 0.0], [-2 / 3, 1 / 3, 2 / 3], [-5 / 13, -12 / 13, 0.0]]).double())
    assert y.tolist() == [[1.0], [-1.0], [1.0]]


@pytest.mark.parametrize("shift", [-0.3, 0.3])
def test_no_other_threshold_is_better_than_the_best(shift: float) -> None:
    data = KNOWN["unequal mixture"](200_000, stream(6))
    moved = data.best(data.x - torch.tensor([shift, 0.0]))
    assert float((moved != data.y).double().mean()) > data.bayes_risk


def test_targets_on_the_sphere_are_known_functions_of_variance_one() -> None:
    quadratic, sign = (generators.sphere_teacher(10_000, 3, target, np.random.default_rng(0)) for target in ("quadratic", "sign"))
    assert torch.equal(quadratic.x, sign.x)
    assert torch.allclose(quadratic.x.square().sum(1), torch.ones(10_000, dtype=torch.float64))
    assert torch.allclose(quadratic.y, 15.0**0.5 * quadratic.x[:, 0] * quadratic.x[:, 1])
    assert torch.equal(sign.y, quadratic.x[:, 0].sign())
    for data in (quadratic, sign):
        assert [float(data.y.mean()), float(data.y.var())] == pytest.approx([0.0, 1.0], abs=0.05)
        assert torch.equal(data.best(data.x), data.y)


def test_labels_that_are_mostly_wrong_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lies in \[0, 0.5\)"):
        generators.flipped(KNOWN["mixture"](10, stream()), 0.5, stream())


def test_w1_of_known_pairs_by_every_route() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 3))
    shift = np.array([3.0, 0.0, 4.0])
    assert wasserstein_1(x, x + shift) == pytest.approx(5.0)
    assert wasserstein_1(x[:, 0], x[:, 0] + 2) == pytest.approx(2.0)
    y = draw.normal(size=(40, 3))
    equal = np.ones(40)
    assert wasserstein_1(x, y, equal, equal) == pytest.approx(wasserstein_1(x, y)), "the program and the assignment"
    assert wasserstein_1(x, np.concatenate([y, y])) == pytest.approx(wasserstein_1(x, y)), "doubled points weigh half"
    line = np.stack([x[:, 0], np.zeros(40)], 1)
    other = np.stack([y[:30, 0], np.zeros(30)], 1)
    assert wasserstein_1(line, other) == pytest.approx(wasserstein_1(x[:, 0], y[:30, 0])), "one dimension inside two"
    with pytest.raises(ValueError, match="3 and of 2 dimensions"):
        wasserstein_1(x, y[:, :2])


def test_the_floor_between_samples_shrinks_and_a_shift_stands_out() -> None:
    draw = np.random.default_rng(1)
    small, large = (floor_between_samples(draw.normal(size=(n, 2)), 6, np.random.default_rng(2))[0] for n in (40, 400))
    assert large < small / 2
    x, y = draw.normal(size=(200, 2)), draw.normal(size=(200, 2)) + np.array([1.0, 0.0])
    assert wasserstein_1(x, y) > 2 * large


@pytest.mark.parametrize("rcond", [1e-3, 1e-9])
def test_singular_values_below_rcond_are_cut_off_as_lapack_does(rcond: float) -> None:
    x = torch.linspace(0.0, 1.0, 60, dtype=torch.float64)[:, None]
    parameters = box_parameters(1, 30, 2.0, stream())
    features, targets = box_features(x, parameters), torch.cos(5.0 * x[:, 0])
    path = ridge_path(features, targets, torch.zeros(1), rcond=rcond)
    weights, _, rank, _ = np.linalg.lstsq(features.numpy(), targets.numpy(), rcond=rcond)
    assert float(path.degrees_of_freedom[0]) == rank < 30
    assert np.allclose(features.numpy() @ weights, path.predict(features)[0, :, 0].numpy(), atol=1e-6)
    assert float(path.norm[0]) == pytest.approx(np.linalg.norm(weights), rel=1e-4)
    assert torch.allclose(features[3, 5], torch.sigmoid(x[3, 0] * parameters[5, 0] + parameters[5, 1]))


def test_boxes_are_filled_evenly_and_of_one_stream_fewer_are_the_first_of_more() -> None:
    many, few, wide = (box_parameters(2, count, size, stream(3)) for count, size in ((4000, 1.0), (16, 1.0), (16, 7.0)))
    assert torch.equal(many[:16], few)
    assert torch.allclose(wide, 7.0 * few)
    assert many.abs().max() <= 1.0
    assert torch.allclose(many.square().mean(0), torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.02)
    assert torch.allclose(many.mean(0), torch.zeros(3, dtype=torch.float64), atol=0.03)
    relu = [relu_features(normal(4, 3), count, stream(1)) * (count / 2.0) ** 0.5 for count in (64, 16)]
    assert torch.allclose(relu[0][:, :16], relu[1])
