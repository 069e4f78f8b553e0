"""What only symmetric products and Newton-Schulz have: exact symmetry, the triangle of tiles, singular values in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kernels.backend import BackendError, interpreting
from kernels.configs import Config, forced
from kernels.spec import specs
from kernels.sym_matmul.coefficients import MUON, POLAR_EXPRESS, schedule
from kernels.sym_matmul.iteration import pick_form
from kernels.sym_matmul.op import newton_schulz, sym_matmul

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BACKENDS = ("reference", "triton")


def _gaussian(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype).to(DEVICE)


def _composed(values: Tensor, coefficients: list[list[float]]) -> Tensor:
    for a, b, c in coefficients:
        values = a * values + b * values**3 + c * values**5
    return values


def _truth(g: Tensor, coefficients: list[list[float]]) -> Tensor:
    """The composed polynomials of the singular values of g / (||g||_F + 1e-7), in float64."""
    u, s, vh = torch.linalg.svd(g.double(), full_matrices=False)
    norm = g.double().norm(dim=(-2, -1))[..., None] + 1e-7
    return (u * _composed(s / norm, coefficients)[..., None, :]) @ vh


def _error(made: Tensor, truth: Tensor) -> float:
    return float((made.double() - truth).norm() / truth.norm())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_results_are_symmetric_to_the_last_bit(backend: str, dtype: torch.dtype) -> None:
    a, addend = _gaussian(2, 150, 40, dtype=dtype), _gaussian(2, 150, 150, seed=1, dtype=dtype)
    c = sym_matmul(a, alpha=0.3, beta=0.7, addend=addend, backend=backend)
    assert torch.equal(c, c.mT)
    lower = 0.3 * a.double() @ a.double().mT + 0.7 * addend.double()
    assert _error(c.tril(), lower.tril()) < (1e-3 if dtype == torch.float16 else 1e-6)


def test_every_tile_of_a_tall_triangle() -> None:
    """45 tiles, so that the square root behind the tile index is met in every row of the triangle."""
    a = _gaussian(141, 20)
    config = Config(tiles={"TILE": 16, "INNER": 16}, num_warps=4)
    with forced("sym_matmul_float32", config):
        torch.testing.assert_close(sym_matmul(a, backend="triton"), a @ a.T, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_commuting_factors(backend: str) -> None:
    a = _gaussian(33, 33, dtype=torch.float64)
    a = a @ a.T / 33
    b = 2.0 * a @ a - 3.0 * a
    addend = a @ a @ a
    made = sym_matmul(a, b, alpha=-1.5, beta=0.5, addend=addend, backend=backend)
    torch.testing.assert_close(made, -1.5 * a @ b + 0.5 * addend, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_addend_times_zero_is_not_read(backend: str) -> None:
    a = _gaussian(5, 7)
    assert bool(sym_matmul(a, addend=torch.full((5, 5), math.nan, device=DEVICE), backend=backend).isfinite().all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_matrix_of_a_batch_is_a_matrix_alone(backend: str) -> None:
    a = _gaussian(2, 3, 20, 9)
    batch = sym_matmul(a, backend=backend)
    torch.testing.assert_close(batch[1, 2], sym_matmul(a[1, 2], backend=backend), rtol=1e-6, atol=1e-6)


def _spread(tensor: Tensor, strides: tuple[int, ...]) -> Tensor:
    """The same numbers at other strides, in memory of which only these entries are ever touched."""
    size = 1 + sum((length - 1) * stride for length, stride in zip(tensor.shape, strides, strict=True))
    try:
        memory = torch.empty(size, dtype=tensor.dtype, device=tensor.device)
    except RuntimeError:
        pytest.skip("no address space for 2^31 entries")
    return memory.as_strided(tensor.shape, strides).copy_(tensor)


@pytest.mark.parametrize("strides", [(2**30 + 16, 24, 1), (1024, 2**30 + 16, 1), (2**31 + 16, 24, 1)])
def test_offsets_past_32_bits(strides: tuple[int, int, int]) -> None:
    from kernels.sym_matmul.triton import launch

    a, addend = _gaussian(3, 3, 24, dtype=torch.float16), _gaussian(3, 3, 3, seed=1, dtype=torch.float16)
    expected = sym_matmul(a, addend=addend, beta=1.0, backend="triton")
    assert torch.equal(sym_matmul(_spread(a, strides), addend=addend, beta=1.0, backend="triton"), expected)
    assert torch.equal(sym_matmul(a, addend=_spread(addend, strides), beta=1.0, backend="triton"), expected)
    made = _spread(torch.zeros_like(expected), strides)
    launch(a, a, 1.0, 1.0, addend, made)
    assert torch.equal(made, expected)


def test_bad_products() -> None:
    a = torch.ones(3, 4)
    with pytest.raises(ValueError, match=r"addend must be \(3, 3\).*\(4, 4\)"):
        sym_matmul(a, beta=1.0, addend=torch.ones(4, 4))
    with pytest.raises(ValueError, match=r"b must be \(3, 4\).*\(4, 3\)"):
        sym_matmul(a, torch.ones(4, 3))
    with pytest.raises(ValueError, match="no addend"):
        sym_matmul(a, beta=1.0)
    with pytest.raises(TypeError, match="float64"):
        sym_matmul(a, a.double())
    with pytest.raises(TypeError, match="int64"):
        sym_matmul(a.long())
    with pytest.raises(ValueError, match=r"\(4,\)"):
        sym_matmul(torch.ones(4))


@pytest.mark.skipif(not interpreting(), reason="only the interpreter cannot multiply bfloat16")
def test_the_interpreter_refuses_bfloat16() -> None:
    for op in (sym_matmul, newton_schulz):
        with pytest.raises(BackendError, match="bfloat16"):
            op(torch.ones(2, 2, dtype=torch.bfloat16), backend="triton")


def test_there_is_no_gradient() -> None:
    g = torch.ones(2, 3, requires_grad=True)
    for op in (sym_matmul, newton_schulz):
        with pytest.raises(RuntimeError, match="no gradient"):
            op(g)
        with torch.no_grad():
            op(g)


@pytest.mark.parametrize("coefficients", ["muon", "polar_express", (1.5, -0.5, 0.0)])
@pytest.mark.parametrize("form", ["plain", "gram"])
@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (2, 2, 5, 13), (7, 7)])
@pytest.mark.parametrize("steps", [1, 3, 4, 7])
def test_singular_values_go_through_the_composed_polynomial(
    coefficients: str | tuple[float, ...], form: str, shape: tuple[int, ...], steps: int
) -> None:
    g = _gaussian(*shape, dtype=torch.float64)
    made = newton_schulz(g, steps=steps, coefficients=coefficients, form=form, backend="reference")
    assert made.shape == g.shape
    assert _error(made, _truth(g, schedule(coefficients, steps))) < 1e-10


@pytest.mark.parametrize(("form", "shape"), [("plain", (12, 20)), ("gram", (2, 20, 12))])
def test_the_kernel_agrees_with_the_singular_values(form: str, shape: tuple[int, ...]) -> None:
    g = _gaussian(*shape)
    made = newton_schulz(g, steps=4, coefficients="polar_express", form=form, backend="triton")
    assert _error(made, _truth(g, schedule("polar_express", 4))) < 1e-4


@pytest.mark.parametrize("form", ["plain", "gram"])
def test_rotations_pass_through(form: str) -> None:
    g = _gaussian(10, 24, dtype=torch.float64)
    left, right = (torch.linalg.qr(_gaussian(n, n, seed=n, dtype=torch.float64))[0] for n in (10, 24))
    torch.testing.assert_close(newton_schulz(left @ g @ right, form=form), left @ newton_schulz(g, form=form) @ right, rtol=0, atol=1e-11)


def test_scale_and_transpose_do_not_matter() -> None:
    g = _gaussian(10, 24, dtype=torch.float64)
    made = newton_schulz(g, eps=0.0)
    torch.testing.assert_close(newton_schulz(1e-30 * g, eps=0.0), made, rtol=0, atol=1e-12)
    torch.testing.assert_close(newton_schulz(g.T, eps=0.0), made.T, rtol=0, atol=1e-12)


def test_polar_express_orthogonalises_where_muon_only_comes_near() -> None:
    u, _, vh = torch.linalg.svd(_gaussian(16, 16, dtype=torch.float64))
    g = (u * torch.logspace(0, -2, 16, dtype=torch.float64, device=DEVICE)) @ vh
    spread = {
        name: float((torch.linalg.svdvals(newton_schulz(g, steps=7, coefficients=name)) - 1).abs().max())
        for name in ("muon", "polar_express")
    }
    assert spread["polar_express"] < 1e-3
    assert 0.1 < spread["muon"] < 0.4


def _nearest_quintic(low: float, high: float) -> list[float]:
    """(a, b, c) of the odd quintic nearest to 1 on [low, high], by Remez: its error alternates between four equal extremes."""
    inner, outer = (3 * low + high) / 4, (low + 3 * high) / 4
    for _ in range(60):
        points = torch.tensor([low, inner, outer, high], dtype=torch.float64)
        signs = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
        system = torch.stack([points, points**3, points**5, signs], 1)
        a, b, c, _ = torch.linalg.solve(system, torch.ones(4, dtype=torch.float64)).tolist()
        root = math.sqrt(9 * b * b - 20 * a * c)
        inner, outer = sorted(math.sqrt((-3 * b + sign * root) / (10 * c)) for sign in (-1, 1))
    return [a, b, c]


def test_polar_express_is_the_greedy_minimax_composition() -> None:
    low, high, cushion = 1e-3, 1.0, 0.02407327424182761
    for step, triple in enumerate(POLAR_EXPRESS):
        coefficients = _nearest_quintic(max(low, cushion * high), high)
        ends = [float(_composed(torch.tensor(x, dtype=torch.float64), [coefficients])) for x in (low, high)]
        if low < cushion * high:
            coefficients = [value * 2 / sum(ends) for value in coefficients]
        # Where the interval has closed to 1e-6 the system is near singular and loses half the digits.
        assert triple == pytest.approx(coefficients, rel=1e-8 if step < 6 else 1e-4)
        low = float(_composed(torch.tensor(low, dtype=torch.float64), [coefficients]))
        high = 2 - low
    assert high - low < 1e-5


def test_the_gram_form_keeps_its_precision_on_ill_conditioned_matrices() -> None:
    """Without the restart, or with bfloat16 inside, the error is ten times this."""
    u, _, vh = torch.linalg.svd(_gaussian(96, 384, dtype=torch.float64), full_matrices=False)
    g = ((u * torch.logspace(0, -3, 96, dtype=torch.float64, device=DEVICE)) @ vh).bfloat16()
    truth = _truth(g, schedule("muon", 5))
    gram, plain = (_error(newton_schulz(g, form=form), truth) for form in ("gram", "plain"))
    assert gram < 0.015
    assert gram < plain


def test_agrees_with_torchs_muon() -> None:
    (spec,) = specs(["newton_schulz"])
    peer = spec.peers["torch.optim.Muon"]()
    if peer is None:
        pytest.skip("this torch keeps its iteration elsewhere")
    g = _gaussian(2, 24, 40).bfloat16()
    assert _error(newton_schulz(g, coefficients=MUON), peer(g).double()) < 0.05


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", ["plain", "gram"])
def test_zero_stays_zero_and_infinite_becomes_nan(backend: str, form: str) -> None:
    g = _gaussian(3, 4, 9)
    g[0] = 0.0
    g[1] = 3e38
    g[2, 1, 1] = math.inf
    made = newton_schulz(g, form=form, backend=backend)
    assert not made[0].any()
    assert bool(made[1:].isnan().all())


def test_form_follows_the_aspect_ratio() -> None:
    assert {pick_form(shape, "auto") for shape in ((8, 8), (8, 15), (15, 8))} == {"plain"}
    assert {pick_form(shape, "auto") for shape in ((8, 16), (16, 8), (5, 64, 8))} == {"gram"}
    assert pick_form((8, 80), "plain") == "plain"


def test_schedules() -> None:
    assert schedule((1, 2, 3), 2) == [[1.0, 2.0, 3.0]] * 2
    assert schedule([(1, 2, 3), (4, 5, 6)], 2)[1] == [4.0, 5.0, 6.0]
    assert schedule("polar_express", 9)[-1] == [1.875, -1.25, 0.375]


def test_bad_iterations() -> None:
    g = torch.ones(2, 3)
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        newton_schulz(g, steps=0)
    with pytest.raises(ValueError, match="unknown form 'other'"):
        newton_schulz(g, form="other")
    with pytest.raises(ValueError, match="unknown coefficients 'mion'"):
        newton_schulz(g, coefficients="mion")
    with pytest.raises(ValueError, match="5 such triples"):
        newton_schulz(g, coefficients=[MUON] * 4)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        newton_schulz(torch.ones(3))
