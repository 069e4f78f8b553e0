"""Tangent kernels against jacobians by autograd and against simulation; kernel flow against an ODE solver and gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor
from torch.func import jacrev, vmap

from tasks.blocks.dual_kernels import wide_relu
from tasks.blocks.kernel_flow import KernelFlow, fall_exponent
from tasks.blocks.small_networks import MLP
from tasks.blocks.tangent_kernels import relu_deviation, relu_network, scaled, tangent_kernel


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def on_sphere(count: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(normal(count, 5, seed=seed), dim=1)


NETWORKS: list[dict[str, Any]] = [
    {"widths": (5, 7, 1), "parametrisation": "ntk", "gain": 1.4},
    {"widths": (5, 7, 6, 1), "parametrisation": "ntk", "bias": True, "bias_scale": 0.3, "activation": "tanh"},
    {"widths": (5, 7, 1), "bias": True},
    {"widths": (5, 7, 4, 1), "parametrisation": "mean-field", "activation": "erf"},
    {"widths": (5, 1), "parametrisation": "ntk"},
]


@pytest.mark.parametrize("about", NETWORKS)
def test_the_tangent_kernel_is_that_of_the_jacobians(about: dict[str, Any]) -> None:
    network, fixed = MLP(**about), {"scale": torch.tensor(1.7, dtype=torch.float64)}
    parameters = network.initial(torch.Generator().manual_seed(1))
    x, y = normal(4, 5), normal(3, 5, seed=2)

    def jacobian(points: Tensor) -> Tensor:
        found = vmap(jacrev(lambda held, point: network(held, point[None], fixed)[0, 0]), (None, 0))(parameters, points)
        return torch.cat([part.flatten(1) for part in found.values()], dim=1)

    assert torch.allclose(tangent_kernel(network, parameters, x, y, fixed), jacobian(x) @ jacobian(y).T, rtol=1e-12)
    assert torch.allclose(tangent_kernel(network, parameters, x), tangent_kernel(network, parameters, x, x))


@pytest.mark.parametrize(("parametrisation", "std", "first", "second"), [
    ("ntk", (1.0, 1.0), (2 / 5) ** 0.5, (2 / 8) ** 0.5), ("mean-field", (1.0, 1.0), (2 / 5) ** 0.5, 2**0.5 / 8),
    ("standard", ((2 / 5) ** 0.5, (2 / 8) ** 0.5), 1.0, 1.0),
])  # fmt: skip
def test_a_relu_network_is_the_formula_of_its_parametrisation(parametrisation: Any, std: Any, first: float, second: float) -> None:
    network, stream = relu_network(5, 8, 1, parametrisation), torch.Generator().manual_seed(4)
    w, a = (scale * torch.randn(*shape, generator=stream, dtype=torch.float64) for scale, shape in zip(std, ((5, 8), (8, 1)), strict=True))
    drawn, x = network.initial(torch.Generator().manual_seed(4)), normal(3, 5)
    assert torch.allclose(network(drawn, x, {}), second * torch.relu(first * x @ w) @ a, rtol=1e-12)


def test_a_kernel_of_several_outputs_is_refused() -> None:
    network = MLP(widths=(5, 4, 2))
    with pytest.raises(ValueError, match="one output"):
        tangent_kernel(network, network.initial(torch.Generator()), normal(3, 5))


def test_at_the_start_it_is_the_limit_and_strays_as_the_formula_says() -> None:
    x, width = on_sphere(6), 20
    limit, kernels = wide_relu(x @ x.T, 1).ntk[-1], []
    network = relu_network(5, width, 1)
    for seed in range(3000):
        parameters = network.initial(torch.Generator().manual_seed(seed))
        kernels.append(tangent_kernel(network, parameters, scaled(x)))
    drawn = torch.stack(kernels)
    assert float((drawn.mean(0) - limit).norm() / limit.norm()) < 4 * relu_deviation(x @ x.T, width * 3000)
    found = float((drawn - limit).square().sum((1, 2)).mean().sqrt() / limit.norm())
    assert found == pytest.approx(relu_deviation(x @ x.T, width), rel=0.04)


def test_deep_networks_have_the_deep_limit() -> None:
    x = on_sphere(5)
    network = relu_network(5, 2000, 2)
    found = tangent_kernel(network, network.initial(torch.Generator().manual_seed(0)), scaled(x))
    limits = wide_relu(x @ x.T, 3).ntk
    near = [float((found - limit).norm() / limit.norm()) for limit in limits]
    assert near[2] < 0.1 < 0.2 < min(near[1], near[3])


def test_kernel_flow_is_what_an_ode_solver_finds_on_and_off_the_training_points() -> None:
    factor, cross, residual = normal(6, 6), normal(4, 6, seed=1), normal(6, seed=2)
    kernel = factor @ factor.T
    flow = KernelFlow.of(kernel, residual)
    joint = torch.cat([kernel, cross]).numpy()

    def rate(_time: float, moved: np.ndarray) -> np.ndarray:
        return np.asarray(joint @ (residual.numpy() - moved[:6]))

    end = solve_ivp(rate, (0.0, 0.7), np.zeros(10), rtol=1e-10, atol=1e-12).y[:, -1]
    assert torch.allclose(flow.moved(cross, 0.7)[:, 0], torch.from_numpy(end[6:]), atol=1e-7)
    assert np.allclose(residual.numpy() - end[:6], (flow.vectors @ flow.left(0.7))[:, 0], atol=1e-7)
    assert flow.values.tolist() == sorted(flow.values.tolist(), reverse=True)
    assert torch.allclose(flow.moved(cross, 1e6)[:, 0], cross @ torch.linalg.solve(kernel, residual), atol=1e-6)
    other = normal(4, 1, seed=3)
    assert flow.error(cross, other, 0.7) == pytest.approx(float(((torch.from_numpy(end[6:]) - other[:, 0]) ** 2).mean()), rel=1e-6)
    assert [flow.times(3)[place] * float(flow.values[place]) for place in (0, -1)] == pytest.approx([0.01, 100.0])


def test_what_the_kernel_does_not_see_grows_for_ever_at_other_points_only() -> None:
    flow = KernelFlow.of(torch.diag(torch.tensor([2.0, 0.0])), torch.tensor([1.0, 1.0]))
    assert flow.left(50.0)[:, 0].tolist() == pytest.approx([0.0, 1.0], abs=1e-12)
    assert float(flow.moved(torch.tensor([[0.0, 0.5]]), 50.0)) == pytest.approx(25.0)


def test_in_kernel_flow_rates_are_the_eigenvalues() -> None:
    flow = KernelFlow.of(torch.diag(torch.tensor([5.0, 2.0, 0.5])), torch.tensor([1.0, -2.0, 3.0]))
    times = np.geomspace(0.01, 8.0, 400).tolist()
    left = torch.stack([flow.left(time).square()[:, 0] for time in [0.0, *times]], dim=1).tolist()
    assert fall_exponent([5.0, 2.0, 0.5], [0.0, *times], left) == pytest.approx(1.0, abs=1e-3)
    assert fall_exponent([25.0, 4.0, 0.25], [0.0, *times], left) == pytest.approx(0.5, abs=1e-3)
    assert fall_exponent([5.0, 2.0], [0.0, 1.0], [[1.0, 0.5], [1.0, 0.9]]) == pytest.approx(0.0, abs=1e-12)
