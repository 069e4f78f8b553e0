"""How far a network's tangent kernel is from its limit, how far training moves it, and what follows for the function; in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.dual_kernels import wide_relu
from tasks.blocks.kernel_flow import KernelFlow, fall_exponent
from tasks.blocks.small_models import SGD, Member, Run, View, log_spaced, squared_error, train_trials
from tasks.blocks.small_networks import MLP
from tasks.blocks.tangent_kernels import relu_deviation, relu_network, scaled, tangent_kernel
from tasks.blocks.training import generator

BANDS = [f"left_{place}" for place in range(1, 6)]
"""Squared residuals along groups of equally many eigenvectors of the limit kernel, the largest eigenvalues first."""


def sphere(trial: Trial, count: int) -> tuple[Tensor, Tensor]:
    """Points (count, d) on the unit sphere and their labels sign(x_1 x_2), (count, 1)."""
    points = torch.randn(count, trial.params.inputs, generator=generator(trial.seed_for("inputs")), dtype=torch.float64)
    x = torch.nn.functional.normalize(points, dim=1).to(trial.device)
    return x, (x[:, 0] * x[:, 1]).sign().unsqueeze(1)


def network(trial: Trial) -> MLP:
    """The network of a method."""
    p, parametrisation = trial.params, trial.method if trial.method in ("standard", "mean-field") else "ntk"
    return relu_network(p.inputs, p.width, p.depth, parametrisation)  # type: ignore[arg-type]


def initial(trial: Trial, draw: int = 0) -> dict[str, Tensor]:
    """Its parameters before training; the first of several draws is what is trained."""
    drawn = network(trial).initial(generator(trial.seed_for(f"init {draw}")))
    return {name: value.to(trial.device) for name, value in drawn.items()}


def limit(x: Tensor, y: Tensor, depth: int) -> Tensor:
    """The tangent kernel of infinite width between points of the unit sphere, (n, m), dense."""
    return wide_relu(x @ y.T, depth).ntk[-1]


def start(trial: Trial) -> Mapping[str, float]:
    """|K_0 - K| / |K|: its root mean square over independent networks, or by the closed form over all."""
    p, (x, _) = trial.params, sphere(trial, trial.params.examples)
    if trial.method == "theory":
        return {"deviation": relu_deviation(x @ x.T, p.width)}
    wide = wide_relu(x @ x.T, p.depth).nngp[-1] if trial.method == "last-layer" else limit(x, x, p.depth)
    off = [(tangent_kernel(network(trial), initial(trial, draw), scaled(x)) - wide).square().sum() for draw in range(p.draws)]
    return {"deviation": float(torch.stack(off).mean().sqrt() / wide.norm())}


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """Gradient descent on all examples, networks of one shape as one program."""
    points = log_spaced(max(trial.params.steps for trial in trials), per_decade=40)
    yield from train_trials(trials, network(trials[0]), member, trained, logged=BANDS, loss=squared_error, optimizer=SGD(),
                            points=points, observe=observed, dtype=torch.float64)  # fmt: skip


def rate(trial: Trial) -> float:
    """Of descent on the mean square: that of NTK parametrisation, or what gives its pace in function space elsewhere.

    In standard parametrisation the kernel grows with width; one rate for all widths has that pace at `widest` alone.
    """
    p = trial.params
    return float(p.lr * {"standard": 2.0 / p.widest, "mean-field": p.width}.get(trial.method, 1.0))


def basis(trial: Trial, x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (n,) and eigenvectors (n, n) of the limit kernel; as a control the eigenvalues with random directions."""
    flow = KernelFlow.of(limit(x, x, trial.params.depth), torch.zeros(len(x), device=x.device))
    if trial.method != "random-basis":
        return flow.values, flow.vectors
    drawn = torch.randn(len(x), len(x), generator=generator(trial.seed_for("basis")), dtype=torch.float64)
    return flow.values, torch.linalg.qr(drawn).Q.to(x.device)


def member(trial: Trial) -> Member:
    """Half of the points are trained on, half are test points."""
    p, (x, y) = trial.params, sphere(trial, 2 * trial.params.examples)
    _, vectors = basis(trial, x[: p.examples])
    chosen = torch.arange(2 * p.examples, device=x.device) < p.examples
    return Member(seed=trial.seed_for("init 0"), inputs=scaled(x), targets=y, splits={"train": chosen, "test": ~chosen}, lr=rate(trial),
                  steps=p.steps, fixed={"basis": torch.cat([vectors, torch.zeros_like(vectors)])})  # fmt: skip


def observed(view: View) -> Mapping[str, Tensor]:
    """Squared residual on the training points in each band of the basis."""
    along = ((view.targets - view.outputs) * view.fixed["basis"]).sum(-2).square()
    return {name: band.sum(-1) for name, band in zip(BANDS, torch.tensor_split(along, len(BANDS), dim=-1), strict=True)}


def trained(trial: Trial, run: Run) -> Mapping[str, float]:
    """What training moved, and how far the function is from what kernels predict for it after the last step."""
    n, mlp, first = trial.params.examples, network(trial), initial(trial)
    x, y = sphere(trial, 2 * n)
    last = {name: value.to(x.device) for name, value in run.parameters.items()}
    kernel, after = (tangent_kernel(mlp, parameters, scaled(x), scaled(x[:n])) for parameters in (first, last))
    before, end = mlp(first, scaled(x), {}), mlp(last, scaled(x), {})
    times = (2.0 * rate(trial) / n * np.asarray(run.steps)).tolist()

    def distance(wide: Tensor) -> float:
        flow = KernelFlow.of(wide[:n], y[:n] - before[:n])
        return float((end - before - flow.moved(wide, times[-1]))[n:].square().mean().sqrt())

    losses = {name: run.measured[name][-1] for name in ("train_loss", "test_loss")}
    found = {**losses, "drift": float((after - kernel)[:n].norm() / kernel[:n].norm()), "linearised": distance(kernel)}
    if trial.method in ("standard", "mean-field"):
        return found
    values = [float(band.mean()) for band in torch.tensor_split(basis(trial, x[:n])[0], len(BANDS))]
    exponent = fall_exponent(values, times, [run.measured[name] for name in BANDS])
    return {**found, "distance": distance(limit(x, x[:n], trial.params.depth)), "rate_exponent": exponent}


def stop(trial: Trial) -> Mapping[str, float]:
    """Kernel flow from f = 0 on labels of which a share is turned around: until validation is best, or for ever."""
    p, (x, y) = trial.params, sphere(trial, 3 * trial.params.examples)
    flips = torch.rand(3 * p.examples, 1, generator=generator(trial.seed_for("flips"))).to(x.device) < p.flipped
    noisy, (train, validation, test) = torch.where(flips, -y, y), torch.arange(3 * p.examples).chunk(3)
    wide = limit(x, x[train], 1)
    flow = KernelFlow.of(wide[train], noisy[train])

    def loss(time: float, rows: Tensor, labels: Tensor) -> float:
        return float((flow.moved(wide[rows], time) - labels[rows]).square().mean())

    times = np.geomspace(0.01 / float(flow.values[0]), 100.0 / float(flow.values[-1]), 60).tolist()
    best = min(times, key=lambda time: loss(time, validation, noisy)) if trial.method == "stopped" else 0.0
    return {"test_loss": loss(math.inf if trial.method == "fitted" else best, test, y)}
