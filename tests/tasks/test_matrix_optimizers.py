"""First steps of the six optimizers against their formulas in double precision, and that they resume to the bit."""

from __future__ import annotations

import io
import math

import pytest
import torch
from torch import Tensor, nn

from harness.errors import PapertrialError
from tasks.blocks import psgd
from tasks.blocks.matrix_optimizers import OPTIMIZERS, Together, optimizer
from tasks.blocks.optim import ADAM_EPS, Rate, Schedule
from tasks.blocks.psgd import PSGDKron, refine, spectral_norm_bound, update_chance
from tasks.blocks.shampoo import Shampoo, inverse_root
from tasks.blocks.spectral import Muon, Scion
from tasks.blocks.training import generator

LR, DECAY = 0.03, 0.4
SHAPES = ((12, 20), (24, 8), (10, 10))


def gradients(steps: int, shape: tuple[int, int], seed: int = 0) -> list[Tensor]:
    stream = generator(seed)
    # Unequal singular values, and a size far from one: a method that ignores either would not pass.
    return [
        1e-3 * torch.randn(shape, generator=stream, dtype=torch.float64) @ torch.diag(torch.linspace(0.2, 3, shape[1]).double())
        for _ in range(steps)
    ]


def stepped(name: str, shape: tuple[int, int], grads: list[Tensor], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """(weight before, weight after) of the optimizer called `name`, in float64."""
    weight = nn.Parameter(torch.randn(shape, generator=generator(1), dtype=torch.float64).to(dtype))
    before = weight.detach().double().clone()
    gain = nn.Parameter(torch.ones(3, dtype=dtype))
    chosen = optimizer(name, [weight], [gain], Rate(LR, DECAY), Rate(LR, 0.0), generator(2))
    for grad in grads:
        weight.grad, gain.grad = grad.to(dtype), torch.zeros(3, dtype=dtype)
        chosen.step()
    return before, weight.detach().double()


def quintic(matrix: Tensor) -> Tensor:
    """Newton-Schulz through the singular values: sigma -> a sigma + b sigma^3 + c sigma^5, five times."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.square().sum().sqrt()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return (left * values) @ right


def shampoo_direction(mean: Tensor, left: Tensor, right: Tensor) -> Tensor:
    def root(gram: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(gram)
        return (vectors * (values.clamp_min(0) + 1e-6 * values.max()).pow(-0.25)) @ vectors.T

    update = root(left) @ mean @ root(right)
    return 0.2 * update / update.square().mean().sqrt()


@pytest.mark.parametrize("shape", SHAPES)
def test_adamw(shape: tuple[int, int]) -> None:
    (grad,) = gradients(1, shape)
    before, after = stepped("adamw", shape, [grad])
    expected = (1 - LR * DECAY) * before - LR * grad / (grad.abs() + ADAM_EPS)
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_muon_two_steps(shape: tuple[int, int]) -> None:
    grads, mean = gradients(2, shape), torch.zeros(shape, dtype=torch.float64)
    before, after = stepped("muon", shape, grads)
    expected = before
    for grad in grads:
        mean = 0.95 * mean + 0.05 * grad
        direction = quintic(0.05 * grad + 0.95 * mean)
        expected = (1 - LR * DECAY) * expected - LR * 0.2 * math.sqrt(max(shape)) * direction
    torch.testing.assert_close(after, expected, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_muon_is_torchs_up_to_its_bfloat16(shape: tuple[int, int]) -> None:
    weights = [nn.Parameter(torch.zeros(shape)) for _ in range(2)]
    pair = (
        Muon([weights[0]], lr=1.0, weight_decay=0.0),
        torch.optim.Muon([weights[1]], lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    )
    for grad in gradients(3, shape):
        for weight, chosen in zip(weights, pair, strict=True):
            weight.grad = grad.float()
            chosen.step()
    ours, theirs = (weight.detach() for weight in weights)
    assert float((ours - theirs).norm() / theirs.norm()) < 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_scion_two_steps(shape: tuple[int, int]) -> None:
    grads, mean = gradients(2, shape), torch.zeros(shape, dtype=torch.float64)
    before, after = stepped("scion", shape, grads)
    expected = before
    for grad in grads:
        mean = 0.9 * mean + 0.1 * grad
        expected = (1 - LR * DECAY) * expected - LR * math.sqrt(shape[0] / shape[1]) * quintic(mean)
    torch.testing.assert_close(after, expected, rtol=1e-3, atol=2e-5)


def test_scion_is_that_of_pytorch_optimizer_up_to_its_bfloat16() -> None:
    from pytorch_optimizer import SCION

    weights = [nn.Parameter(torch.zeros(12, 20)) for _ in range(2)]
    pair = (Scion([weights[0]], lr=1.0, weight_decay=0.1), SCION([weights[1]], lr=1.0, weight_decay=0.1, norm_type=2))
    for grad in gradients(3, (12, 20)):
        for weight, chosen in zip(weights, pair, strict=True):
            weight.grad = grad.float()
            chosen.step()
    ours, theirs = (weight.detach() for weight in weights)
    assert float((ours - theirs).norm() / theirs.norm()) < 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_shampoo_two_steps(shape: tuple[int, int]) -> None:
    """In the second step roots are those of the first: they are renewed every ten."""
    grads, mean = gradients(2, shape), torch.zeros(shape, dtype=torch.float64)
    before, after = stepped("shampoo", shape, grads, torch.float64)
    left, right, expected = grads[0] @ grads[0].T, grads[0].T @ grads[0], before
    for grad in grads:
        mean = 0.9 * mean + 0.1 * grad
        expected = (1 - LR * DECAY) * expected - LR * shampoo_direction(mean, left, right)
    torch.testing.assert_close(after, expected, rtol=1e-7, atol=1e-9)


def test_shampoo_renews_its_roots_from_running_means() -> None:
    shape, grads = (6, 9), gradients(11, (6, 9))
    mean, left, right = torch.zeros(shape).double(), torch.zeros(6, 6).double(), torch.zeros(9, 9).double()
    for grad in grads:
        mean, left, right = 0.9 * mean + 0.1 * grad, 0.95 * left + 0.05 * grad @ grad.T, 0.95 * right + 0.05 * grad.T @ grad
    ten, eleven = stepped("shampoo", shape, grads[:10], torch.float64)[1], stepped("shampoo", shape, grads, torch.float64)[1]
    expected = (1 - LR * DECAY) * ten - LR * shampoo_direction(mean, left, right)
    torch.testing.assert_close(eleven, expected, rtol=1e-7, atol=1e-9)


def test_shampoos_first_step_whitens_the_gradient() -> None:
    """L = G G^T and R = G^T G turn G = U S V^T into U V^T, whatever S is (well away from the damping)."""
    grad = gradients(1, (10, 10))[0]
    weight = nn.Parameter(torch.zeros(10, 10, dtype=torch.float64))
    weight.grad = grad
    Shampoo([weight], lr=1.0, weight_decay=0.0, damping=1e-14).step()
    left, _, right = torch.linalg.svd(grad)
    torch.testing.assert_close(-weight.detach() / 0.2, left @ right * math.sqrt(10), rtol=1e-4, atol=1e-4)


def test_the_inverse_root_is_one() -> None:
    half = torch.randn(7, 7, generator=generator(3), dtype=torch.float64)
    gram = half @ half.T
    root = inverse_root(gram, 4, 1e-12)
    fourth = torch.linalg.matrix_power(root, 4) @ gram
    torch.testing.assert_close(fourth / fourth[0, 0], torch.eye(7).double(), rtol=1e-5, atol=1e-5)
    assert torch.isfinite(inverse_root(torch.zeros(3, 3), 4, 1e-6)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_soap_sets_up_in_its_first_step_and_moves_in_the_second(shape: tuple[int, int]) -> None:
    first, second = gradients(2, shape)
    before, still = stepped("soap", shape, [first], torch.float64)
    assert torch.equal(before, still)
    _, after = stepped("soap", shape, [first, second], torch.float64)
    (_, left), (_, right) = torch.linalg.eigh(first @ first.T), torch.linalg.eigh(first.T @ first)
    rotated = left.T @ second @ right
    # Bias correction makes the first moving step Adam's: the sign, in the eigenbasis of the first gradient.
    expected = (1 - LR * DECAY) * (before - LR * left @ (rotated / (rotated.abs() + 1e-12)) @ right.T)
    if shape[0] == shape[1]:
        torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-5)
    else:  # the null space of the larger side has no basis of its own: compare where the basis is determined
        small = 0 if shape[0] < shape[1] else 1
        step, wanted = (((1 - LR * DECAY) * before - x) / LR for x in (after, expected))
        assert step.norm() == pytest.approx(float(wanted.norm()), rel=1e-4)
        basis = left if small == 0 else right
        rows = (basis.T @ step if small == 0 else step @ basis).square().sum(1 - small)
        torch.testing.assert_close(rows, (basis.T @ wanted if small == 0 else wanted @ basis).square().sum(1 - small), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_psgd_first_step(shape: tuple[int, int]) -> None:
    (grad,) = gradients(1, shape)
    before, after = stepped("psgd", shape, [grad], torch.float64)
    probe = torch.randn(shape, generator=generator(2)).double()
    scale = float(grad.square().mean()) ** -0.125
    factors = []
    # Both factors are scaled alike: whitened by scale^2, the probe by its inverse.
    first, second = scale**2 * grad, probe / scale**2
    for x, y, size in ((first @ first.T, second @ second.T, shape[0]), (first.T @ first, second.T @ second, shape[1])):
        total = x + y
        row = total[total.square().sum(1).argmax()]
        bound = (total @ (row / row.norm())).norm()
        factors.append(scale * (torch.eye(size).double() - 0.1 * torch.triu(x - y) / bound))
    left, right = factors
    update = left.T @ left @ grad @ right.T @ right
    expected = (1 - LR * DECAY) * before - LR * update * min(1.0, 1.1 / float(update.square().mean().sqrt()))
    torch.testing.assert_close(after, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("size", [1e-2, 1e-5])
def test_psgd_comes_to_its_rate_within_ten_steps(size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def shares() -> list[float]:
        weight = nn.Parameter(torch.zeros(24, 40))
        chosen, stream = PSGDKron([weight], lr=0.1, weight_decay=0.0, probes=generator(0)), generator(1)
        found = []
        for _ in range(10):
            before = weight.detach().clone()
            weight.grad = size * torch.randn(24, 40, generator=stream)
            chosen.step()
            found.append(float((weight.detach() - before).square().mean().sqrt()) / 0.1)
        return found

    assert min(shares()) > 0.3
    monkeypatch.setattr(psgd, "initial_scale", lambda gradient: torch.ones(()))
    assert max(shares()) < 0.1, "from the identity"


def test_psgd_waits_for_a_gradient_that_is_not_zero() -> None:
    weight = nn.Parameter(torch.zeros(5, 4))
    chosen = PSGDKron([weight], lr=0.1, weight_decay=0.0, probes=generator(0))
    for gradient in (torch.zeros(5, 4), torch.randn(5, 4, generator=generator(1))):
        assert bool((weight == 0.0).all())
        weight.grad = gradient
        chosen.step()
    assert bool(torch.isfinite(weight).all())
    assert float(weight.detach().abs().max()) > 0.01


def test_psgd_whitens_a_stationary_gradient() -> None:
    """Gradients c Z d^T of fixed covariances: in the end the preconditioned gradient A^T A G B^T B is white noise."""
    stream, m, n = generator(5), 5, 6
    c, d = (torch.randn(k, k, generator=stream, dtype=torch.float64) for k in (m, n))
    left, right = torch.eye(m).double(), torch.eye(n).double()

    def draw() -> Tensor:
        return 0.01 * c @ torch.randn(m, n, generator=stream, dtype=torch.float64) @ d.T

    for step in range(4000):
        refine(left, right, draw(), torch.randn(m, n, generator=stream, dtype=torch.float64), 0.1 if step < 2000 else 0.01)
    white = torch.stack([left.T @ left @ draw() @ right.T @ right for _ in range(3000)]).flatten(1)
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(m * n).double(), rtol=0.0, atol=0.25)
    assert torch.equal(left, left.triu())
    assert torch.equal(right, right.triu())


def test_the_bound_is_below_the_spectral_norm_and_near() -> None:
    for seed in range(20):
        half = torch.randn(15, 9, generator=generator(seed), dtype=torch.float64)
        gram = half @ half.T
        top = float(torch.linalg.eigvalsh(gram)[-1])
        assert 0.5 * top < float(spectral_norm_bound(gram)) <= top * (1 + 1e-12)


def test_psgd_refines_always_at_first_and_rarely_in_the_end() -> None:
    assert update_chance(0) == update_chance(500) == 1.0
    assert update_chance(1500) == pytest.approx(math.exp(-1))
    assert update_chance(10**6) == 0.03


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_other_parameters_take_adamw_without_decay(name: str) -> None:
    weight, gain = nn.Parameter(torch.ones(8, 6)), nn.Parameter(torch.ones(5))
    chosen = optimizer(name, [weight], [gain], Rate(LR, DECAY), Rate(0.01, 0.0), generator(0))
    weight.grad, gain.grad = torch.randn(8, 6, generator=generator(1)), torch.tensor([1.0, -1.0, 2.0, -3.0, 1e-4])
    chosen.step()
    torch.testing.assert_close(gain.detach(), 1 - 0.01 * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0]))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_schedule_reaches_every_part(name: str) -> None:
    weight, gain = nn.Parameter(torch.ones(8, 6)), nn.Parameter(torch.ones(5))
    chosen = optimizer(name, [weight], [gain], Rate(LR, DECAY), Rate(0.01, 0.0), generator(0))
    Schedule(10, 1).set(chosen, 0)
    assert [part.param_groups[0]["lr"] for part in chosen.parts] == [LR / 2, 0.005]
    Schedule(10, 0).set(chosen, 5)
    assert [group["lr"] for group in chosen.param_groups] == [LR, 0.01]


def quadratic(name: str) -> tuple[nn.Parameter, Together, torch.Generator]:
    probes = generator(7)
    weight = nn.Parameter(torch.randn(16, 24, generator=generator(8)))
    return weight, optimizer(name, [weight], [nn.Parameter(torch.ones(2))], Rate(0.02, 0.1), Rate(0.01, 0.0), probes), probes


def descend(weight: nn.Parameter, chosen: Together, steps: range) -> None:
    for step in steps:
        Schedule(40, 4, "cosine").set(chosen, step)
        weight.grad = weight.detach() + 0.1 * torch.randn(16, 24, generator=generator(step))
        chosen.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_checkpoint_goes_on_to_the_bit(name: str) -> None:
    whole, chosen, _ = quadratic(name)
    start = float(whole.detach().norm())
    descend(whole, chosen, range(23))
    broken, chosen, probes = quadratic(name)
    descend(broken, chosen, range(12))
    file = io.BytesIO()
    torch.save({"weight": broken.detach(), "optimizer": chosen.state_dict(), "probes": probes.get_state()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed, chosen, probes = quadratic(name)
    with torch.no_grad():
        resumed.copy_(saved["weight"])
    chosen.load_state_dict(saved["optimizer"])
    probes.set_state(saved["probes"])
    descend(resumed, chosen, range(12, 23))
    assert torch.equal(resumed, whole)
    assert float(whole.detach().norm()) < start


def test_psgd_draws_from_its_own_stream_alone() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    weight.grad = torch.ones(4, 4)
    before = torch.get_rng_state()
    PSGDKron([weight], lr=0.1, weight_decay=0.0, probes=generator(0)).step()
    assert torch.equal(torch.get_rng_state(), before)


def test_wrong_calls_are_named() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    with pytest.raises(PapertrialError, match="shampoo"):
        optimizer("shampo", [weight], [], Rate(1, 0), Rate(1, 0), generator(0))
    with pytest.raises(PapertrialError, match=r"\(2, 2, 2\)"):
        optimizer("muon", [nn.Parameter(torch.ones(2, 2, 2))], [weight], Rate(1, 0), Rate(1, 0), generator(0))
