"""Closed forms of the committee machine against the network itself, autograd, samples and known eigenvalues."""

from __future__ import annotations

import torch

from tasks.blocks.committees import (
    VARIANCE,
    Committee,
    alignment,
    learning,
    moments,
    observed,
    outputs,
    sampled,
    tangent_kernel,
    target,
    test_loss,
)
from tasks.blocks.small_members import View
from tasks.blocks.small_networks import committee
from tasks.blocks.training import generator

D, N, P = 6, 9, 11
test_loss.__test__ = False  # type: ignore[attr-defined]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def test_samples_of_a_seed_are_nested_and_their_target_has_the_variance_that_it_says() -> None:
    inputs, teacher = sampled(200_000, D, seeds=(3, 4))
    fewer, same = sampled(24, D, seeds=(3, 4))
    assert torch.equal(inputs[:24], fewer)
    assert torch.equal(teacher, same)
    assert abs(float(teacher @ teacher) - D) < 1e-12
    torch.testing.assert_close(inputs.T @ inputs / len(inputs), torch.eye(D).double() / D, rtol=0.02, atol=0.002)
    y = target(inputs, teacher)
    torch.testing.assert_close(y[:24], 0.5 * (fewer * teacher).sum(1) ** 2)
    assert abs(float(y.var()) - VARIANCE) < 0.02
    assert not torch.isclose(sampled(24, D, seeds=(5, 4))[0], fewer).any()
    assert not torch.isclose(sampled(24, D, seeds=(3, 5))[1], teacher).any()


def test_the_moments_give_the_outputs_and_the_gradient_of_every_unit() -> None:
    inputs, fixed = drawn(P, D), {"scale": torch.tensor(1.7), "curvature": torch.tensor(0.6)}
    start = committee(D, N).initial(generator(3))
    assert torch.equal(Committee(D, N).initial(generator(3))["weight0"], start["weight0"])
    found = []
    for network in (committee(D, N), Committee(D, N)):
        weights = start["weight0"].clone().requires_grad_()
        given = network({"weight0": weights}, inputs, fixed)
        found.append((given, *torch.autograd.grad((given * drawn(P, 1, seed=1)).sum(), weights)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-9)


def test_the_exact_test_loss_is_that_of_samples() -> None:
    weights, teacher, alpha, epsilon = drawn(D, N), drawn(D, seed=1), 0.8, 0.9
    mean, second = moments(weights)
    terms = test_loss(torch.tensor(alpha), torch.tensor(epsilon), mean, second, teacher)
    samples = drawn(400_000, D, seed=2) / D**0.5
    h = samples @ weights
    errors = (alpha * (h + 0.5 * epsilon * h.square()).mean(1) - 0.5 * (samples @ teacher).square()).square()
    assert all(float(term) > 0.01 for term in terms.values())
    assert abs(float(sum(terms.values())) - float(errors.mean())) < 4 * float(errors.std()) / len(errors) ** 0.5
    torch.testing.assert_close(outputs(alpha, epsilon, samples[:5], mean, second), alpha * (h + 0.5 * epsilon * h**2).mean(1)[:5])


def test_a_member_learns_the_target_beside_what_it_computes_at_the_start() -> None:
    """Its outputs less its targets are f less f at the start less y, and its test loss is that of samples."""
    weights, start, alpha, epsilon = drawn(D, N), drawn(D, N, seed=5), 0.8, 0.9
    samples, teacher = sampled(100_000, D, seeds=(6, 7))
    for before in (None, start):
        one = learning(samples, teacher, alpha, epsilon, before)
        fixed = {name: torch.as_tensor(value).unsqueeze(0) for name, value in one["fixed"].items()}
        missed = Committee(D, N)({"weight0": weights}, samples, one["fixed"]) - one["targets"]
        unit = [alpha * (h + 0.5 * epsilon * h.square()).mean(1) for h in (samples @ weights, samples @ start)]
        wanted = unit[0] - target(samples, teacher) - (0.0 if before is None else unit[1])
        torch.testing.assert_close(missed.squeeze(1), wanted)
        none = torch.empty(0)
        found = observed(View(none, none, none, {}, {"weight0": weights.unsqueeze(0)}, fixed))
        assert abs(float(found["test_loss"]) - float(wanted.square().mean())) < 4 * float(wanted.square().std()) / len(wanted) ** 0.5
        assert torch.equal(found["weight_norm"], weights.square().mean().unsqueeze(0))
        assert float(found["test_loss"]) == sum(float(found[f"test_loss_{part}"]) for part in ("mean", "quadratic", "linear"))
        assert one["splits"]["train"].all()


def test_predicting_nothing_loses_the_mean_square_of_the_target() -> None:
    teacher = drawn(D) * (D**0.5 / drawn(D).norm())
    terms = test_loss(torch.ones(()), torch.ones(()), torch.zeros(D), torch.zeros(D, D), teacher)
    assert abs(float(terms["mean"]) - 0.25) < 1e-12
    assert abs(float(terms["quadratic"]) - 0.5) < 1e-12
    assert float(terms["linear"]) == 0.0


def test_the_tangent_kernel_is_that_of_autograd() -> None:
    inputs, weights, alpha, epsilon = drawn(P, D), drawn(D, N, seed=4), 1.3, 0.7
    fixed = {"scale": torch.tensor(alpha), "curvature": torch.tensor(epsilon)}
    jacobian = torch.func.jacrev(lambda w: committee(D, N)({"weight0": w}, inputs, fixed).squeeze(1))(weights).flatten(1)
    torch.testing.assert_close(
        tangent_kernel(inputs, epsilon, *moments(weights)), N / alpha**2 * jacobian @ jacobian.T, rtol=1e-6, atol=1e-8
    )


def test_the_tangent_kernel_of_many_units_has_the_eigenvalues_of_the_paper() -> None:
    # Of linear functions 1 / D and of traceless quadratic ones 2 epsilon^2 / D^2, as the appendix has it; section 5 prints 2 epsilon / D^2.
    samples, epsilon = drawn(20_000, D, seed=5) / D**0.5, 0.5
    x = samples[:3]
    kernel = torch.cat(
        [
            tangent_kernel(torch.cat([x, part]), epsilon, torch.zeros(D).double(), torch.eye(D).double())[:3, 3:]
            for part in samples.split(500)
        ],
        1,
    )
    for function, eigenvalue in ((lambda s: s[:, 0], 1 / D), (lambda s: s[:, 0] * s[:, 1], 2 * epsilon**2 / D**2)):
        torch.testing.assert_close(kernel @ function(samples) / len(samples), eigenvalue * function(x), rtol=0.1, atol=0.1 * eigenvalue)


def test_alignment_is_one_for_the_targets_own_kernel_and_by_hand_between() -> None:
    targets = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert abs(alignment(3.0 * torch.outer(targets, targets), targets) - 1.0) < 1e-12
    assert abs(alignment(torch.eye(2, dtype=torch.float64), targets) - 0.5**0.5) < 1e-12
