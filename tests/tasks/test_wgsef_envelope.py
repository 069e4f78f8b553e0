"""The envelope, its conjugate and its prox: identities of convex analysis in float64, brute force, and scipy's minimiser."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from harness.errors import UsageError
from tasks.blocks.training import generator
from tasks.pruning.group_sparsity_wgsef import water_filling
from tasks.pruning.group_sparsity_wgsef.envelope import Reading, conjugate, factors, prox, value, value_sorted

READINGS: tuple[Reading, ...] = ("budget", "quadratic")


def norms(case: int) -> tuple[Tensor, int, float]:
    """Random norms, k and lam: ties, zero groups, k = 1, k = m, at most k non-zero, and lam of 1e-6 to 1e6 all come up."""
    rng = generator(case)
    m = int(torch.randint(1, 40, (1,), generator=rng))
    n = torch.rand(m, generator=rng, dtype=torch.float64) * 10.0 ** float(torch.randint(-3, 4, (1,), generator=rng))
    if case % 3 == 0:
        n = (n * 3 / n.max()).round()
    if case % 4 == 1:
        n[torch.rand(m, generator=rng) < 0.5] = 0.0
    if case % 7 == 2:
        n[:] = n[0]
    k = {0: 1, 1: m}.get(case % 5, int(torch.randint(1, m + 1, (1,), generator=rng)))
    if case % 6 == 5:
        n[k:] = 0.0
    lam = 10.0 ** float(torch.randint(-6, 7, (1,), generator=rng))
    return n, k, lam


def random_weights(case: int, m: int) -> Tensor:
    """Positive weights of 0.1 to 3."""
    return 0.1 + 2.9 * torch.rand(m, generator=generator(10_000 + case), dtype=torch.float64)


@pytest.mark.parametrize("weighted", [None, *READINGS])
def test_the_prox_meets_the_moreau_conditions_in_300_random_cases(weighted: Reading | None) -> None:
    """p = prox_{lam S}(t) if and only if S(p) + S*(y) = <p, y> for y = (t - p) / lam (Fenchel's equality)."""
    for case in range(300):
        t, k, lam = norms(case)
        weights = None if weighted is None else random_weights(case, len(t))
        how = {} if weighted is None else {"weights": weights, "reading": weighted}
        scale = factors(t, k, lam, **how)
        p = t * scale
        y = (t - p) / lam
        both = value(p, k, **how) + conjugate(y, k, **how)
        inner = (p * y).sum()
        # (t - p) / lam loses digits as lam gets small: that many units in the last place of t are allowed.
        slack = 1e-9 * float(inner) + 1e-13 * float(t.square().sum()) / min(lam, 1.0) + 1e-300
        assert float(both - inner) <= slack, case
        assert float(both - inner) >= -slack, case
        assert bool(((scale >= 0) & (scale <= 1)).all())


def test_a_prox_with_another_factor_breaks_the_moreau_conditions() -> None:
    """The test above can fail: a budget off by one tenth is found."""
    t = torch.tensor([3.0, 2.0, 1.5, 1.0, 0.2], dtype=torch.float64)
    p = t * factors(t, torch.tensor(2.2), 0.3)
    y = (t - p) / 0.3
    assert float(value(p, 2) + conjugate(y, 2) - (p * y).sum()) > 1e-3


def test_the_value_agrees_with_its_closed_form_and_its_minimisation() -> None:
    for case in range(60):
        n, k, _ = norms(case)
        n = n[:8]
        k = min(k, len(n))
        assert float(value_sorted(n, k)) == pytest.approx(float(value(n, k)), rel=1e-12, abs=1e-300)
        if int((n > 0).sum()) <= k:
            assert float(value(n, k)) == pytest.approx(0.5 * float(n.square().sum()), rel=1e-12)
        assert float(value(n, k)) >= 0.5 * float(n.square().sum()) * (1 - 1e-12), "an envelope of s_k lies above the square"


def test_the_value_is_what_scipy_finds_over_the_shares() -> None:
    for case in range(8):
        n = 0.1 + torch.rand(5, generator=generator(case), dtype=torch.float64)
        squares = n.square().numpy()
        found = minimize(
            lambda u, squares=squares: 0.5 * float((squares / u).sum()),
            np.full(5, 0.4),
            jac=lambda u, squares=squares: -0.5 * squares / u**2,
            method="SLSQP",
            bounds=[(1e-6, 1.0)] * 5,
            constraints={"type": "ineq", "fun": lambda u: 2.0 - u.sum(), "jac": lambda u: -np.ones(5)},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert float(value(n, 2)) == pytest.approx(found.fun, rel=1e-6)


def test_the_value_is_the_largest_convex_function_under_s_k() -> None:
    """S_k(theta) = max over y of <theta, y> - s_k*(y), and s_k* by brute force over all supports of k groups."""
    n = torch.tensor([2.0, 1.0, 0.7, 0.4], dtype=torch.float64)
    y = torch.tensor([1.4, -0.3, 0.9, 0.2], dtype=torch.float64)
    brute = max(0.5 * sum(float(y[j]) ** 2 for j in chosen) for chosen in itertools.combinations(range(4), 2))
    assert float(conjugate(y.abs(), 2)) == pytest.approx(brute)
    below = [float((n * z).sum() - conjugate(z, 2)) for z in 4 * torch.rand(500, 4, generator=generator(3), dtype=torch.float64)]
    assert max(below) <= float(value(n, 2))
    best = torch.full_like(n, 4.1 / 2)  # r = 1: all four share the budget of 2, u = n / 2.05, and the gradient is n / u
    assert float((n * best).sum() - conjugate(best, 2)) == pytest.approx(float(value(n, 2)))


@pytest.mark.parametrize("weighted", [None, *READINGS])
def test_no_other_point_has_a_lower_prox_objective(weighted: Reading | None) -> None:
    for case in range(6):
        t = torch.rand(4, generator=generator(case), dtype=torch.float64) * 2
        how = {} if weighted is None else {"weights": random_weights(case, 4), "reading": weighted}

        def objective(x: np.ndarray, t: Tensor = t, how: dict = how) -> float:
            point = torch.from_numpy(np.abs(x))
            return float(0.5 * (point - t).square().sum() + 0.3 * value(point, 2, **how))

        mine = (t * factors(t, 2, 0.3, **how)).numpy()
        found = minimize(objective, t.numpy(), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxfev": 20_000})
        assert objective(mine) <= found.fun + 1e-9
        assert np.abs(found.x) == pytest.approx(mine, abs=1e-3)


def test_known_values() -> None:
    """n = (3, 1), k = 1: the l1 norm squared over 2. k = 2: the square. t = (3, 1), lam = 1, k = 1: tau = 3/4."""
    n = torch.tensor([3.0, 1.0])
    assert float(value(n, 1)) == pytest.approx(8.0)
    assert float(value(n, 2)) == pytest.approx(5.0)
    assert float(conjugate(n, 1)) == pytest.approx(4.5)
    # u = (3 tau - 1, tau - 1) clipped: tau = 2/3 gives u = (1, 0).
    assert factors(n, 1, 1.0).tolist() == pytest.approx([0.5, 0.0])
    # t = (3, 2): 3 tau - 1 + 2 tau - 1 = 1 at tau = 3/5, u = (.8, .2), factors u / (u + 1).
    assert factors(torch.tensor([3.0, 2.0]), 1, 1.0).tolist() == pytest.approx([0.8 / 1.8, 0.2 / 1.2])


def test_exactly_k_groups_are_left_once_the_gap_is_wide_enough() -> None:
    """n_k / n_{k+1} >= (1 + lam) / lam: the k largest shrink by 1 / (1 + lam), the rest are exactly zero; a little less is not enough."""
    lam = 0.25
    wide = torch.tensor([9.0, 5.0, 5.0 / 5.0, 0.5], dtype=torch.float64)
    narrow = wide.clone()
    narrow[2] *= 1.001
    assert factors(wide, 2, lam).tolist() == pytest.approx([0.8, 0.8, 0.0, 0.0])
    assert factors(wide, 2, lam)[2:].tolist() == [0.0, 0.0]
    assert int((factors(narrow, 2, lam) > 0).sum()) == 3


def test_repeated_steps_reach_exactly_k_groups() -> None:
    n = torch.rand(50, generator=generator(5), dtype=torch.float64)
    for _ in range(200):
        n = n * factors(n, 7, 0.5)
    assert int((n > 0).sum()) == 7


def test_at_most_k_groups_only_shrink() -> None:
    n = torch.tensor([0.0, 2.0, 0.0, 1e-9, 0.0])
    assert factors(n, 2, 3.0).tolist()[1::2] == pytest.approx([0.25, 0.25])
    assert factors(n, 2, 0.0).tolist() == [1.0] * 5


def test_the_three_solvers_agree_also_on_long_rows_of_unlike_size() -> None:
    for case, power in ((0, 1), (1, 8), (2, 30)):
        m = water_filling.LARGE + 1000 * case
        a = torch.rand(m, generator=generator(case), dtype=torch.float64) ** power
        a = a.sort().values if case == 1 else a
        b, c = torch.full_like(a, 0.2), torch.ones_like(a)
        c[::3] = 0.5
        k = torch.tensor(m / 10, dtype=torch.float64)
        found, lower, upper = water_filling.newton(a, b, c, k)
        taus = [water_filling.halve(a, b, c, k), water_filling.narrow(a, b, c, k, torch.zeros_like(k), torch.full_like(k, math.inf))]
        taus.append(found if lower == upper else water_filling.narrow(a, b, c, k, lower, upper))
        assert lower == upper or case == 2, "Newton's step is enough unless sizes are wild"
        assert [float((c * (tau * a - b).clamp(0, 1)).sum()) for tau in taus] == pytest.approx([m / 10] * 3, rel=1e-10)
        assert [float(tau) for tau in taus] == pytest.approx([float(taus[0])] * 3, rel=1e-10)


def test_a_newton_step_that_fails_leaves_the_row_to_the_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    n = torch.rand(water_filling.LARGE, generator=generator(4), dtype=torch.float64)
    whole = factors(n, 500, 0.1)
    for steps in (0, 1):
        monkeypatch.setattr(water_filling, "NEWTON_STEPS", steps)
        assert torch.allclose(factors(n, 500, 0.1), whole, rtol=0, atol=1e-12)


def test_long_rows_with_ties_zeros_and_a_slack_budget() -> None:
    n = torch.ones(2 * water_filling.LARGE)
    n[::2] = 0.0
    assert torch.equal(factors(n, water_filling.LARGE, 1.0), torch.where(n > 0, 0.5, 0.0))
    half = factors(n, water_filling.LARGE // 2, 1.0)
    assert half[1::2].tolist() == pytest.approx([1 / 3] * water_filling.LARGE), "all alike: u = 1/2"
    assert not half[::2].any()


def test_rows_are_solved_each_with_its_own_k_and_padding_changes_nothing() -> None:
    rows = torch.rand(3, 9, generator=generator(1))
    k = torch.tensor([1.0, 4.0, 9.0])
    together = factors(torch.nn.functional.pad(rows, (0, 5)), k, 0.4)
    for row, own, found in zip(rows, k, together, strict=True):
        assert torch.allclose(found[:9], factors(row, int(own), 0.4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_any_dtype_comes_back_as_it_was(dtype: torch.dtype) -> None:
    n = torch.tensor([3.0, 2.0, 0.5, 0.25], dtype=dtype)
    scale = factors(n, 2, 1e5)
    assert scale.dtype == dtype
    assert int((scale > 0).sum()) == 2, "a large lam does not drown the shares"


def test_unit_weights_change_nothing_and_weights_do() -> None:
    n = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    plain, one = factors(n, 1, 0.5), torch.ones(3)
    costly = torch.tensor([4.0, 1.0, 1.0])
    for reading in READINGS:
        assert torch.allclose(factors(n, 1, 0.5, weights=one, reading=reading), plain)
        assert torch.allclose(value(n, 1, weights=one, reading=reading), value(n, 1))
        assert factors(n, 1, 0.5, weights=costly, reading=reading)[0] < plain[0]
    budget, quadratic = (factors(n, 2, 0.5, weights=costly, reading=reading) for reading in READINGS)
    assert not torch.allclose(budget, quadratic)


def test_a_group_of_weight_zero_is_free() -> None:
    n, weights = torch.tensor([0.1, 3.0, 2.0]), torch.tensor([0.0, 1.0, 1.0])
    alone = factors(n[1:], 1, 0.5)
    assert torch.allclose(factors(n, 1, 0.5, weights=weights, reading="budget"), torch.cat([torch.tensor([1 / 1.5]), alone]))
    assert torch.allclose(factors(n, 1, 0.5, weights=weights, reading="quadratic"), torch.cat([torch.tensor([1.0]), alone]))
    assert float(value(n, 1, weights=weights, reading="quadratic")) == pytest.approx(float(value(n[1:], 1)))


def test_the_prox_of_vectors_keeps_directions() -> None:
    groups = torch.randn(6, 4, generator=generator(2))
    out = prox(groups, 2, 0.3)
    kept = out.norm(dim=1) > 0
    assert torch.nn.functional.cosine_similarity(groups[kept], out[kept]).tolist() == pytest.approx([1.0] * int(kept.sum()))
    assert torch.allclose(out.norm(dim=1), groups.norm(dim=1) * factors(groups.norm(dim=1), 2, 0.3))


@pytest.mark.parametrize(
    ("k", "lam", "weights", "said"),
    [
        (5, 0.1, None, "1 to 4 of the 4 here, not 5"),
        (0, 0.1, None, "not 0"),
        (2, -0.1, None, "at or above 0, not -0.1"),
        (2, math.nan, None, "not nan"),
        (2, 0.1, [1.0, 1.0], "4 groups need 4 weights, not 2"),
        (2, 0.1, [1.0, 1.0, -1.0, 1.0], "at or above 0"),
    ],
)
def test_bad_input_is_one_clear_sentence(k: int, lam: float, weights: list[float] | None, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        factors(torch.rand(4), k, lam, weights=None if weights is None else torch.tensor(weights))
    assert "\n" not in str(error.value)
