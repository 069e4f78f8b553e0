"""Kernel products and the MMD: known values, memory, invariances, the permutation test against brute force."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from kernels.backend import BackendError, recording
from kernels.gram_matmul.mmd import median_gamma, mmd2, relabellings
from kernels.gram_matmul.op import gram_matmul
from kernels.gram_matmul.pointwise import arc_cosine, dual_polynomial, gaussian, laplace, relu_ntk
from kernels.gram_matmul.reference import gram_matmul_reference
from kernels.spec import relative_error
from tasks.blocks import dual_kernels

BACKENDS = ("reference", "triton")


def drawn(seed: int, *shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def brute_kernel(x: torch.Tensor, y: torch.Tensor, gammas: list[float], weights: list[float]) -> torch.Tensor:
    """K entry by entry in float64, from differences."""
    squared = (x.double()[:, None] - y.double()[None]).square().sum(-1)
    return sum(weight * torch.exp(-gamma * squared) for gamma, weight in zip(gammas, weights, strict=True))


def brute_mmd2(kernel: torch.Tensor, first: list[int], second: list[int]) -> float:
    """The three means of the definition, entry by entry."""
    within = [sum(float(kernel[i, j]) for i in rows for j in rows if i != j) / (len(rows) * (len(rows) - 1)) for rows in (first, second)]
    between = sum(float(kernel[i, j]) for i in first for j in second) / (len(first) * len(second))
    return within[0] + within[1] - 2.0 * between


@pytest.mark.parametrize("backend", BACKENDS)
def test_known_values(backend: str) -> None:
    x, y = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64), torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    made = gram_matmul(x, y, torch.eye(2, dtype=torch.float64), gammas=[0.1], backend=backend)
    expected = torch.tensor([[1.0, math.exp(-2.5)], [math.exp(-0.1), math.exp(-2.0)]], dtype=torch.float64)
    torch.testing.assert_close(made, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("gammas", [[0.8, 0.1, 0.4, 0.2], [0.1, 0.3, 0.31], [0.01 * 2**q for q in range(9)], [0.0]])
def test_mixtures_in_any_order_equal_brute_force(backend: str, gammas: list[float]) -> None:
    """Doubling ladders (unsorted too), other lists, a ladder too long for squaring, and the constant kernel."""
    x, y, v = drawn(1, (9, 4), (21, 4), (21, 3))
    weights = [0.5 + q for q in range(len(gammas))]
    made = gram_matmul(x, y, v, gammas=gammas, weights=weights, backend=backend)
    torch.testing.assert_close(made, brute_kernel(x, y, gammas, weights) @ v, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_data_far_from_the_origin_do_not_cancel(backend: str) -> None:
    """At 1000 from the origin float32 norms round by 0.06: without centring every entry of K is wrong."""
    x, y, v = drawn(2, (16, 3), (24, 3), (24, 2), dtype=torch.float32)
    x, y = x + 1000.0, y + 1000.0
    made = gram_matmul(x, y, v, gammas=[0.5], backend=backend)
    assert relative_error(made, brute_kernel(x, y, [0.5], [1.0]) @ v.double()) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
def test_coincident_points_count_one_and_have_no_pull(backend: str) -> None:
    (x,) = drawn(3, (12, 40), dtype=torch.float32)
    x = (10.0 * x).requires_grad_()
    made = gram_matmul(x, x.detach().clone(), torch.eye(12), gammas=[1.0], backend=backend)
    torch.testing.assert_close(made.diagonal(), torch.ones(12), rtol=0, atol=2e-3)
    assert float(made.detach().max()) <= 1.0
    made.diagonal().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) < 1e-4


def test_blocks_give_what_one_block_gives_and_so_do_their_gradients() -> None:
    inputs = drawn(4, (23, 3), (10, 3), (10, 2))
    results = []
    for elements in (1 << 20, 70, 1):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        out = gram_matmul_reference(*leaves, gaussian([0.3, 0.7]), block_elements=elements)
        out.square().sum().backward()
        results.append([out.detach(), *(leaf.grad for leaf in leaves)])
    for other in results[1:]:
        for value, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


def test_the_reference_keeps_one_block_of_the_kernel_matrix_for_backward() -> None:
    """What autograd saves grows with N + M, not with N x M."""
    sizes: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return tensor

    x, y, v = (tensor.requires_grad_() for tensor in drawn(5, (300, 2), (400, 2), (400, 1)))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        gram_matmul_reference(x, y, v, gaussian([0.5]), block_elements=4000)
    assert max(sizes, default=0) <= 4000


@pytest.mark.parametrize("backend", BACKENDS)
def test_bad_rows_stay_where_they_belong(backend: str) -> None:
    x, y, v = drawn(6, (6, 3), (5, 3), (5, 2), dtype=torch.float32)
    x[2, 1], x[4, 0] = math.nan, math.inf
    made = gram_matmul(x, y, v, gammas=[0.5], backend=backend)
    assert made.isnan().any(1).tolist() == [False, False, True, False, True, False]
    good = gram_matmul(x[[0, 1, 3, 5]], y, v, gammas=[0.5], backend=backend)
    torch.testing.assert_close(made[[0, 1, 3, 5]], good, rtol=1e-5, atol=1e-6)
    y[0, 0] = math.inf
    assert gram_matmul(x, y, v, gammas=[0.5], backend=backend).isnan().all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_asked_gradients_and_equal_between_backends(backend: str) -> None:
    x, y, v = drawn(7, (7, 3), (8, 3), (8, 2))
    y.requires_grad_()
    gram_matmul(x, y, v, gammas=[0.4], backend=backend).sum().backward()
    assert x.grad is None
    assert v.grad is None
    weights = brute_kernel(x, y.detach(), [0.4], [1.0]) * v.sum(1)
    expected = 0.8 * (weights[:, :, None] * (x[:, None] - y.detach()[None])).sum(0)
    torch.testing.assert_close(y.grad, expected, rtol=1e-12, atol=1e-12)


def test_bad_input_is_named() -> None:
    x, y, v = drawn(8, (3, 2), (4, 2), (4, 1))
    cases: list[tuple[tuple[torch.Tensor, ...], dict[str, object], type[Exception], str]] = [
        ((x.long(), y, v), {"gammas": [1.0]}, TypeError, "x must be a floating-point"),
        ((x[0], y, v), {"gammas": [1.0]}, ValueError, r"x must have two axes, not shape \(2,\)"),
        ((x[:, :1], y, v), {"gammas": [1.0]}, ValueError, r"x \(3, 1\) and y \(4, 2\)"),
        ((x[:, :0], y[:, :0], v), {"gammas": [1.0]}, ValueError, "at least 1"),
        ((x, y, v[:3]), {"gammas": [1.0]}, ValueError, "each of the 4 rows"),
        ((x, y, v), {"gammas": []}, ValueError, "1 to 16 gammas"),
        ((x, y, v), {"gammas": [1.0], "weights": [1.0, 2.0]}, ValueError, "not 1 and 2"),
        ((x, y, v), {"gammas": [-1.0]}, ValueError, "gammas must be finite"),
        ((x, y, v), {"gammas": [math.nan]}, ValueError, "gammas must be finite"),
    ]
    for tensors, options, error, message in cases:
        with pytest.raises(error, match=message):
            gram_matmul(*tensors, **options)  # type: ignore[arg-type]


def test_triton_without_its_interpreter_or_a_device_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, v = drawn(9, (3, 2), (4, 2), (4, 1))
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(BackendError, match="needs a CUDA device"):
        gram_matmul(x, y, v, gammas=[1.0], backend="triton")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "m"), [(2, 2), (5, 9), (8, 3)])
def test_mmd2_equals_its_definition(backend: str, n: int, m: int) -> None:
    x, y = drawn(10, (n, 3), (m, 3))
    gammas, weights = [0.2, 0.4, 1.1], [1.0, 0.5, 2.0]
    kernel = brute_kernel(torch.cat([x, y]), torch.cat([x, y]), gammas, weights)
    with recording() as used:
        made = mmd2(x, y, gammas=gammas, weights=weights, backend=backend)
    assert float(made.value) == pytest.approx(brute_mmd2(kernel, list(range(n)), list(range(n, n + m))), abs=1e-12)
    assert made.p_value is None
    assert used.summary() == f"gram_matmul={backend}"


@pytest.mark.parametrize(("n", "m"), [(4, 6), (5, 5)])
def test_permutation_test_equals_brute_force_with_the_same_permutations(n: int, m: int) -> None:
    """Unequal sizes and more relabellings than one pass takes."""
    x, y = drawn(11, (n, 2), (m, 2))
    count = 150
    made = mmd2(x, y + 0.5, gammas=[0.5], permutations=count, generator=torch.Generator().manual_seed(3))
    pooled = torch.cat([x, y + 0.5])
    kernel = brute_kernel(pooled, pooled, [0.5], [1.0])
    generator, null = torch.Generator().manual_seed(3), []
    for _ in range(count):
        order = torch.randperm(n + m, generator=generator)
        # Position i gets the label of order[i]: the first sample is where that is below n.
        first = [i for i in range(n + m) if int(order[i]) < n]
        null.append(brute_mmd2(kernel, first, [i for i in range(n + m) if i not in first]))
    assert made.null is not None
    torch.testing.assert_close(made.null, torch.tensor(null, dtype=torch.float64), rtol=0, atol=1e-12)
    observed = brute_mmd2(kernel, list(range(n)), list(range(n, n + m)))
    assert made.p_value == (1 + sum(value >= observed - 1e-12 for value in null)) / (1 + count)
    assert made.threshold(0.5) == pytest.approx(float(torch.tensor(null, dtype=torch.float64).median()), abs=0.05)


def test_ties_count_against_the_finding() -> None:
    """With two rows each there are three partitions: every relabelling that repeats the best one is a tie, however it was rounded."""
    x, y = torch.tensor([[0.0], [0.1]]), torch.tensor([[1.0], [1.1]])
    made = mmd2(x, y, gammas=[1.0], permutations=600, generator=torch.Generator().manual_seed(0))
    assert made.p_value == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / 600))


def test_relabellings_keep_the_sample_sizes() -> None:
    signs = torch.tensor([1.0] * 3 + [-1.0] * 4)
    blocks = list(relabellings(signs, 130, torch.Generator().manual_seed(0)))
    assert [block.shape for block in blocks] == [(7, 128), (7, 2)]
    assert all(bool((block.sum(0) == -1).all()) for block in blocks)
    assert len({tuple(column) for block in blocks for column in block.T.tolist()}) == math.comb(7, 3)


def test_p_values_are_uniform_under_the_null_and_small_under_a_shift() -> None:
    """P(p <= a) <= a exactly under the null; 300 samples, at each level a bound that a true test exceeds once in 10^5."""
    generator, repeats = torch.Generator().manual_seed(5), 300
    p_values = []
    for _ in range(repeats):
        x, y = torch.randn(8, 2, generator=generator), torch.randn(11, 2, generator=generator)
        found = mmd2(x, y, gammas=[0.5], permutations=39, generator=generator).p_value
        assert found is not None
        p_values.append(found)
    for level in (0.05, 0.25, 0.5, 0.75):
        share = sum(p <= level + 1e-9 for p in p_values) / repeats
        assert abs(share - level) < 4.4 * math.sqrt(level * (1 - level) / repeats), level
    x, y = torch.randn(60, 2, generator=generator), torch.randn(50, 2, generator=generator) + 1.0
    assert mmd2(x, y, permutations=199, generator=generator).p_value == 1 / 200


def test_mmd2_does_not_see_translations_and_rotations() -> None:
    x, y, square = drawn(12, (20, 3), (25, 3), (3, 3))
    rotation = torch.linalg.qr(square).Q
    values = [float(mmd2(a, b, gammas=[0.3]).value) for a, b in ((x, y), (x @ rotation + 50.0, y @ rotation + 50.0), (y, x))]
    assert values[1] == pytest.approx(values[0], abs=1e-12)
    assert values[2] == pytest.approx(values[0], abs=1e-12)


def test_mmd2_is_differentiable() -> None:
    x, y = (tensor.requires_grad_() for tensor in drawn(13, (4, 2), (5, 2)))
    assert torch.autograd.gradcheck(lambda a, b: mmd2(a, b, gammas=[0.4, 0.8]).value, (x, y))


def test_the_median_heuristic() -> None:
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]])
    # Distances 1, 2, 3.
    assert median_gamma(x, y) == pytest.approx(1 / 8)
    assert mmd2(x, torch.cat([y, y + 7.0])).gammas == (median_gamma(x, torch.cat([y, y + 7.0])),)
    (many,) = drawn(14, (3000, 2))
    full = median_gamma(many[:1500], many[1500:], points=3000)
    sampled = [median_gamma(many[:1500], many[1500:], points=500, seed=seed) for seed in (0, 0, 1)]
    assert sampled[0] == sampled[1] != sampled[2]
    assert sampled[0] == pytest.approx(full, rel=0.15)
    with pytest.raises(ValueError, match="median distance"):
        median_gamma(torch.zeros(5, 1), torch.zeros(5, 1))


def test_mmd2_names_bad_input() -> None:
    x, y = drawn(15, (4, 2), (5, 2))
    for arguments, options, message in (
        ((x[:1], y), {}, "x must be"),
        ((x, y[:, 0]), {}, "y must be"),
        ((x, y[:, :1]), {}, "width and dtype"),
        ((x, y.float()), {}, "width and dtype"),
        ((x, y), {"permutations": -1}, "permutations"),
    ):
        with pytest.raises(ValueError, match=message):
            mmd2(*arguments, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs permutations"):
        mmd2(x, y).threshold()


def test_every_partition_of_a_small_pool() -> None:
    """The identity in T, S and Q holds for each labelling, not only on average."""
    from kernels.gram_matmul.mmd import _statistic

    (pooled,) = drawn(16, (6, 2))
    kernel = brute_kernel(pooled, pooled, [0.5], [1.0])
    bare = kernel - torch.diag(kernel.diagonal())
    for first in itertools.combinations(range(6), 2):
        signs = torch.full((6,), -1.0, dtype=torch.float64)
        signs[list(first)] = 1.0
        made = _statistic(bare.sum(), signs @ bare.sum(1), signs @ bare @ signs, 2, 4)
        assert float(made) == pytest.approx(brute_mmd2(kernel, list(first), [i for i in range(6) if i not in first]), abs=1e-13)


MAPS = {
    "laplace": (laplace([0.3, 0.7], [1.0, 0.5]), lambda u, d: torch.exp(-0.3 * d) + 0.5 * torch.exp(-0.7 * d)),
    "arc-cosine 0": (arc_cosine(0), lambda u, d: dual_kernels.arc_cosine(u, 0)),
    "arc-cosine 1": (arc_cosine(1), lambda u, d: dual_kernels.arc_cosine(u, 1)),
    "relu NTK": (relu_ntk(), lambda u, d: dual_kernels.wide_relu(u, 1).ntk[1]),
    "dual": (dual_polynomial([0.1, 0.5, 0.0, 0.4], layers=3), lambda u, d: iterated(u, [0.1, 0.5, 0.0, 0.4], 3)),
}


def iterated(u: torch.Tensor, coefficients: list[float], layers: int) -> torch.Tensor:
    for _ in range(layers):
        u = sum(a * u**k for k, a in enumerate(coefficients))
    return u


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MAPS)
def test_maps_and_their_gradients_equal_the_matrix_written_out(name: str, backend: str) -> None:
    """Autograd of the whole matrix of `torch.cdist` and cosines, by the closed forms of the theory tasks."""
    kernel, written = MAPS[name]
    x, y, v, pulled = drawn(20, (9, 3), (7, 3), (7, 2), (9, 2))
    found = []
    for made in (
        lambda x, y, v: gram_matmul(x, y, v, kernel=kernel, backend=backend),
        lambda x, y, v: written(torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T, torch.cdist(x, y)) @ v,
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, y, v)]
        out = made(*leaves)
        found.append([out.detach(), *torch.autograd.grad(out, leaves, pulled)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "same", "opposite"), [("arc-cosine 0", 1, 0), ("arc-cosine 1", 1, 0), ("relu NTK", 2, 0)])
def test_the_ends_of_the_arc(name: str, same: float, opposite: float, backend: str) -> None:
    """At correlations of 1 and -1 values are exact and gradients 0; a row of zeros has correlation 0."""
    x = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[3.0, 0.0], [-1.0, 0.0], [0.0, 5.0]], dtype=torch.float64)
    made = gram_matmul(x, y, torch.eye(3, dtype=torch.float64), kernel=MAPS[name][0], backend=backend)
    middle = {"arc-cosine 0": 0.5}.get(name, 1 / math.pi)
    expected = torch.tensor([[same, opposite, middle], [middle] * 3], dtype=torch.float64)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-15)
    (gradient,) = torch.autograd.grad(made[0, :2].sum(), x)
    assert float(gradient.abs().max()) == 0.0


def test_a_laplace_kernel_of_a_point_with_itself_is_one_without_a_pull() -> None:
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    made = gram_matmul(x, x.detach(), torch.ones(1, 1, dtype=torch.float64), kernel=laplace([0.5]))
    assert (float(made.detach()), float(torch.autograd.grad(made, x)[0].abs().max())) == (1.0, 0.0)


def test_bad_maps_are_named() -> None:
    x, y, v = drawn(21, (3, 2), (4, 2), (4, 1))
    for make, message in (
        (lambda: arc_cosine(2), "order 0 or 1"),
        (lambda: dual_polynomial([]), "1 to 16 finite"),
        (lambda: dual_polynomial([-0.1, 1.0]), "1 to 16 finite"),
        (lambda: dual_polynomial([1.0], layers=0), "at least once"),
        (lambda: laplace([-1.0]), "finite and >= 0"),
        (lambda: gram_matmul(x, y, v), "either a kernel or gammas"),
        (lambda: gram_matmul(x, y, v, kernel=relu_ntk(), gammas=[1.0]), "either a kernel or gammas"),
        (lambda: gram_matmul(x, y, v, kernel=relu_ntk(), weights=[1.0]), "either a kernel or gammas"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize(("n", "depth", "width"), [(300, 3, 130), (37, 64, 1), (129, 33, 5), (1, 2, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_half_of_the_matrix_gives_both_sums(n: int, depth: int, width: int, dtype: torch.dtype) -> None:
    """1'K c and c'K c from the tiles on and beyond the diagonal; the first case has three blocks of rows and two launches."""
    from kernels.gram_matmul.reference import prepared
    from kernels.gram_matmul.triton_sums import launch_sums

    (points,) = drawn(31, (n, depth))
    signs = torch.where(torch.randn(n, width, generator=torch.Generator().manual_seed(5)) < 0, -1.0, 1.0).double()
    gammas = [0.3 / depth, 0.6 / depth]
    kernel = torch.exp(-gammas[0] * torch.cdist(points, points) ** 2) + torch.exp(-gammas[1] * torch.cdist(points, points) ** 2)
    x, _, norms, _ = prepared(points, points, dtype, gaussian(gammas))
    linear, quadratic = launch_sums(x, norms, signs.to(dtype), gaussian(gammas))
    close = {"rtol": 1e-12, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5 * float(kernel.sum())}
    torch.testing.assert_close(linear, (kernel @ signs).sum(0), **close)
    torch.testing.assert_close(quadratic, (signs * (kernel @ signs)).sum(0), **close)


def test_a_test_without_gradients_uses_the_symmetry_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels.gram_matmul import mmd

    x, y = drawn(32, (20, 3), (15, 3))
    results, genuine = [], mmd._by_symmetry
    for by_symmetry in (genuine, lambda pooled, backend: False):
        monkeypatch.setattr(mmd, "_by_symmetry", by_symmetry)
        made = mmd2(x, y, gammas=[0.4, 0.8], permutations=150, generator=torch.Generator().manual_seed(7), backend="triton")
        assert made.null is not None
        results.append(torch.cat([made.value[None], made.null]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-13)
    assert not genuine(x.clone().requires_grad_(), "triton")
    assert not genuine(torch.zeros(4, 65, dtype=torch.float64), "triton")
    assert not genuine(x, "reference")
    with recording() as used:
        assert genuine(x, "triton")
    assert not used.summary()
