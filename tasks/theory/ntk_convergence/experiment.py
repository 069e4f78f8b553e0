"""How far a network's tangent kernel is from its limit, how far training moves it, and what follows for the function; in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.dual_kernels import relu_ntk, wide_relu
from tasks.blocks.generators import product_on_sphere
from tasks.blocks.kernel_flow import KernelFlow, fall_exponent
from tasks.blocks.small_models import SGD, Member, Run, View, squared_error, train_trials
from tasks.blocks.small_networks import MLP
from tasks.blocks.tangent_kernels import relu_deviation, relu_network, scaled, tangent_kernel
from tasks.blocks.training import generator, normal

BANDS = [f"left_{place}" for place in range(1, 6)]
"""Squared residuals along groups of equally many eigenvectors of the limit kernel, the largest eigenvalues first."""


def sphere(trial: Trial, count: int) -> tuple[Tensor, Tensor]:
    """Points (count, d) on the unit sphere and their labels."""
    return product_on_sphere(normal(trial, "inputs", count, trial.params.inputs))


def network(trial: Trial, draw: int = 0) -> tuple[MLP, dict[str, Tensor]]:
    """The network of a method, and its parameters at the start; the first of several draws is what is trained."""
    p, parametrisation = trial.params, trial.method if trial.method in ("standard", "mean-field") else "ntk"
    mlp = relu_network(p.inputs, p.width, p.depth, parametrisation)  # type: ignore[arg-type]
    return mlp, {name: value.to(trial.device) for name, value in mlp.initial(generator(trial.seed_for(f"init {draw}"))).items()}


def start(trial: Trial) -> Mapping[str, float]:
    """|K_0 - K| / |K|: its root mean square over independent networks, or by the closed form over all."""
    p, (x, _) = trial.params, sphere(trial, trial.params.examples)
    if trial.method == "theory":
        return {"deviation": relu_deviation(x @ x.T, p.width)}
    wide = wide_relu(x @ x.T, p.depth).nngp[-1] if trial.method == "last-layer" else relu_ntk(x, x, p.depth)
    off = [(tangent_kernel(*network(trial, draw), scaled(x)) - wide).square().sum() for draw in range(p.draws)]
    return {"deviation": float(torch.stack(off).mean().sqrt() / wide.norm())}


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """Gradient descent on all examples, networks of one shape as one program."""
    yield from train_trials(trials, network(trials[0])[0], member, trained, logged=BANDS, loss=squared_error, optimizer=SGD(),
                            points=40, observe=observed, dtype=torch.float64)  # fmt: skip


def rate(trial: Trial) -> float:
    """That of NTK parametrisation, or what has its pace in function space: in standard parametrisation at the width `widest` alone."""
    return float(trial.params.lr * {"standard": 2.0 / trial.params.widest, "mean-field": trial.params.width}.get(trial.method, 1.0))


def member(trial: Trial) -> Member:
    """Half of the points are trained on, half are test points; residuals are followed along the limit's eigenvectors or any others."""
    p, (x, y) = trial.params, sphere(trial, 2 * trial.params.examples)
    vectors = KernelFlow.of(relu_ntk(x[: p.examples], x[: p.examples], p.depth), y[: p.examples]).vectors
    if trial.method == "random-basis":
        vectors = torch.linalg.qr(normal(trial, "basis", p.examples, p.examples)).Q
    chosen = torch.arange(2 * p.examples, device=x.device) < p.examples
    return Member(seed=trial.seed_for("init 0"), inputs=scaled(x), targets=y, splits={"train": chosen, "test": ~chosen}, lr=rate(trial),
                  steps=p.steps, fixed={"basis": torch.cat([vectors, torch.zeros_like(vectors)])})  # fmt: skip


def observed(view: View) -> Mapping[str, Tensor]:
    """Squared residual on the training points in each band of the basis."""
    along = ((view.targets - view.outputs) * view.fixed["basis"]).sum(-2).square()
    return {name: band.sum(-1) for name, band in zip(BANDS, torch.tensor_split(along, len(BANDS), dim=-1), strict=True)}


def trained(trial: Trial, run: Run) -> Mapping[str, float]:
    """What training moved, and how far the function is from what kernels predict for it after the last step."""
    n, (mlp, first), (x, y) = trial.params.examples, network(trial), sphere(trial, 2 * trial.params.examples)
    last = {name: value.to(x.device) for name, value in run.parameters.items()}
    kernel, after = (tangent_kernel(mlp, parameters, scaled(x), scaled(x[:n])) for parameters in (first, last))
    before, end = mlp(first, scaled(x), {}), mlp(last, scaled(x), {})
    wide, times = relu_ntk(x, x[:n], trial.params.depth), (2.0 * rate(trial) / n * np.asarray(run.steps)).tolist()
    flows = [(KernelFlow.of(of[:n], y[:n] - before[:n]), of[n:]) for of in (kernel, wide)]
    linearised, distance = (math.sqrt(flow.error(cross, (end - before)[n:], times[-1])) for flow, cross in flows)
    drift = float((after - kernel)[:n].norm() / kernel[:n].norm())
    found = {**run.last("train_loss", "test_loss"), "drift": drift, "linearised": linearised}
    if trial.method in ("standard", "mean-field"):
        return found
    values = [float(band.mean()) for band in torch.tensor_split(flows[1][0].values, len(BANDS))]
    return {**found, "distance": distance, "rate_exponent": fall_exponent(values, times, [run.measured[name] for name in BANDS])}


def stop(trial: Trial) -> Mapping[str, float]:
    """Kernel flow from f = 0 on labels of which a share is turned around: until validation is best, or for ever."""
    p, (x, y) = trial.params, sphere(trial, 3 * trial.params.examples)
    flips = torch.rand(3 * p.examples, 1, generator=generator(trial.seed_for("flips"))).to(x.device) < p.flipped
    noisy, (train, validation, test) = torch.where(flips, -y, y), torch.arange(3 * p.examples).chunk(3)
    wide = relu_ntk(x, x[train], 1)
    flow = KernelFlow.of(wide[train], noisy[train])
    best = min(flow.times(60), key=lambda time: flow.error(wide[validation], noisy[validation], time))
    return {"test_loss": flow.error(wide[test], y[test], {"stopped": best, "fitted": math.inf, "prior": 0.0}[trial.method])}
