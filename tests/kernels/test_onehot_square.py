"""onehot_square: known values, dense one-hot vectors as the truth, rows that nobody asks for, members, and what it refuses."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kernels import onehot_square
from kernels.backend import BackendError
from kernels.configs import forced
from kernels.onehot_square.tiles import FORWARD, READOUT, TABLES, fitted
from kernels.spec import relative_error, specs

BACKENDS = pytest.mark.parametrize("backend", ["reference", "triton"])


def _drawn(
    *members: int, examples: int = 9, rows: int = 5, width: int = 7, classes: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    stream = torch.Generator().manual_seed(seed)
    pairs = torch.randint(rows, (*members, examples, 2), generator=stream)
    shapes = ((rows, width), (rows, width), (width, classes))
    return [pairs, *(torch.randn(*members, *shape, generator=stream, dtype=torch.float64).to(dtype) for shape in shapes)]


def _dense(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """The same network on one-hot vectors, every multiplication written out."""
    first, second = (F.one_hot(pairs[..., i], u.shape[-2]).to(u.dtype) for i in (0, 1))
    return (first @ u + second @ v) ** 2 @ w


def _with_gradients(function: object, pairs: Tensor, *parameters: Tensor, **options: str) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in parameters]
    out: Tensor = function(pairs, *leaves, **options)  # type: ignore[operator]
    pulled = torch.linspace(-1.0, 2.0, out.numel(), dtype=torch.float64).to(out.dtype).view(out.shape)
    return [out.detach(), *torch.autograd.grad(out, leaves, pulled)]


@BACKENDS
def test_known_values(backend: str) -> None:
    # h = (1 + 3, 2 + 5) for the pair (0, 1): out = 16 * 1 + 49 * 10; du = 2 h w.
    u, v = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 5.0]])
    w = torch.tensor([[1.0], [10.0]])
    leaves = [tensor.requires_grad_() for tensor in (u, v, w)]
    out = onehot_square(torch.tensor([[0, 1]]), *leaves, backend=backend)
    assert out.tolist() == [[506.0]]
    du, dv, dw = torch.autograd.grad(out.sum(), leaves)
    assert du.tolist() == [[8.0, 140.0], [0.0, 0.0]]
    assert dv.tolist() == [[0.0, 0.0], [8.0, 140.0]]
    assert dw.tolist() == [[16.0], [49.0]]


@BACKENDS
@pytest.mark.parametrize("sizes", [{}, {"examples": 40, "rows": 19, "width": 33, "classes": 17}, {"examples": 3, "rows": 2, "classes": 1}])
def test_one_hot_vectors_are_the_truth(backend: str, sizes: dict[str, int]) -> None:
    inputs = _drawn(2, **sizes, seed=1)
    made, truth = _with_gradients(onehot_square, *inputs, backend=backend), _with_gradients(_dense, *inputs)
    for value, expected in zip(made, truth, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


def test_neither_tiles_nor_their_order_show_in_the_result() -> None:
    inputs = _drawn(1, examples=150, rows=40, width=70, classes=40, seed=2)
    truth = _with_gradients(_dense, *inputs)
    for forward, tables, readout in zip(FORWARD.candidates, TABLES.candidates, READOUT.candidates, strict=True):
        with forced(FORWARD.kernel, forward), forced(TABLES.kernel, tables), forced(READOUT.kernel, readout):
            made = _with_gradients(onehot_square, *inputs, backend="triton")
        for value, expected in zip(made, truth, strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-11, atol=1e-11)


def test_tiles_are_no_longer_than_what_is_there() -> None:
    sizes = {"EXAMPLES": 1, "WIDTH": 500, "CLASSES": 33}
    assert fitted(FORWARD.default, sizes) == {"EXAMPLES": 16, "WIDTH": FORWARD.default.tiles["WIDTH"], "CLASSES": 64}


@BACKENDS
def test_a_row_in_no_pair_gets_a_gradient_of_zero_and_a_row_in_two_gets_both(backend: str) -> None:
    pairs, u, v, w = _drawn(rows=4, seed=3)
    pairs = torch.tensor([[0, 3], [0, 2], [2, 3]])
    _, du, dv, _ = _with_gradients(onehot_square, pairs, u, v, w, backend=backend)
    assert (du == 0.0).all(1).tolist() == [False, True, False, True]
    assert (dv == 0.0).all(1).tolist() == [True, True, False, False]
    # The gradient of a row is the sum over its pairs, each alone with the same numbers pulled back.
    pulled = torch.linspace(-1.0, 2.0, 3 * w.shape[1], dtype=torch.float64).view(3, -1)
    expected = sum(2 * (u[0] + v[n]) * (w @ pulled[i]) for i, n in ((0, 3), (1, 2)))
    torch.testing.assert_close(du[0], expected, rtol=1e-12, atol=1e-12)


@BACKENDS
def test_a_member_is_what_it_would_be_alone(backend: str) -> None:
    inputs = _drawn(2, 3, seed=4, dtype=torch.float32)
    made = onehot_square(*inputs, backend=backend)
    assert made.shape == (2, 3, 9, 6)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(onehot_square(*(tensor[i, j] for tensor in inputs), backend=backend), made[i, j])


@BACKENDS
def test_members_may_share_their_pairs(backend: str) -> None:
    pairs, *parameters = _drawn(3, seed=5)
    shared = _with_gradients(onehot_square, pairs[1], *parameters, backend=backend)
    copied = _with_gradients(onehot_square, pairs[1].expand(3, -1, -1).contiguous(), *parameters, backend=backend)
    for one, other in zip(shared, copied, strict=True):
        assert torch.equal(one, other)


@BACKENDS
def test_pairs_may_lie_between_other_columns(backend: str) -> None:
    pairs, *parameters = _drawn(2, seed=13)
    wide = F.pad(pairs, (1, 2), value=4)
    assert torch.equal(onehot_square(wide[..., 1:3], *parameters, backend=backend), onehot_square(pairs, *parameters, backend=backend))


@BACKENDS
def test_a_member_that_diverged_hurts_nobody_else(backend: str) -> None:
    pairs, u, v, w = _drawn(3, seed=6)
    u[1, pairs[1, 0, 0]] = math.nan
    for value in _with_gradients(onehot_square, pairs, u, v, w, backend=backend):
        assert value.flatten(1).isnan().any(1).tolist() == [False, True, False]


def test_an_index_that_is_no_row_is_nan_and_reads_nothing() -> None:
    pairs, u, v, w = _drawn(seed=7)
    pairs[2, 0], pairs[4, 1], pairs[5, 0] = 5, -1, 2**32
    out = onehot_square(pairs, u, v, w, backend="triton")
    assert out.isnan().all(1).nonzero()[:, 0].tolist() == [2, 4, 5]
    assert out.isnan().any(1).sum() == 3
    for row in (2, 4, 5):
        with pytest.raises(RuntimeError, match="out of bounds"):
            onehot_square(pairs[row : row + 1], u, v, w, backend="reference")


def test_only_what_is_asked_for_is_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    launches = importlib.import_module("kernels.onehot_square.triton")
    ran: list[str] = []
    for name in ("launch_tables", "launch_readout"):
        launch = getattr(launches, name)
        monkeypatch.setattr(launches, name, lambda *tensors, name=name, launch=launch: ran.append(name) or launch(*tensors))
    pairs, u, v, w = _drawn(seed=8)
    onehot_square(pairs, u, v, w.requires_grad_(), backend="triton").sum().backward()
    onehot_square(pairs, u, v.requires_grad_(), w.detach(), backend="triton").sum().backward()
    assert ran == ["launch_readout", "launch_tables"]
    assert u.grad is None
    assert v.grad is not None
    truth = v.detach().clone().requires_grad_()
    _dense(pairs, u, truth, w.detach()).sum().backward()
    torch.testing.assert_close(v.grad, truth.grad, rtol=1e-12, atol=1e-12)


def test_single_precision_scatters_in_two_exact_halves() -> None:
    """One half alone would keep 11 bits: an error of about 2e-4."""
    inputs = _drawn(examples=30, seed=9, dtype=torch.float32)
    made = _with_gradients(onehot_square, *inputs, backend="triton")
    truth = _with_gradients(_dense, *(tensor.double() if tensor.is_floating_point() else tensor for tensor in inputs))
    assert all(relative_error(value, expected) < 3e-7 for value, expected in zip(made, truth, strict=True))


def test_vmap_and_autograd_of_members_agree_with_leading_axes() -> None:
    pairs, *parameters = _drawn(3, seed=10)

    def network(pairs: Tensor, *parameters: Tensor) -> Tensor:
        return onehot_square(pairs, *parameters, backend="triton")

    for shared, axes in ((pairs, (0, 0, 0, 0)), (pairs[0], (None, 0, 0, 0))):
        mapped = _with_gradients(torch.vmap(network, in_dims=axes), shared, *parameters)
        for value, expected in zip(mapped, _with_gradients(network, shared, *parameters), strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-13)


def test_the_kernel_compiles_into_a_graph() -> None:
    pairs, u, v, w = _drawn(seed=11)
    compiled = torch.compile(lambda u, v, w: onehot_square(pairs, u + 1, v, 2 * w, backend="triton"), fullgraph=True, backend="aot_eager")
    made = _with_gradients(lambda _, *parameters: compiled(*parameters), pairs, u, v, w)
    truth = _with_gradients(lambda pairs, u, v, w: _dense(pairs, u + 1, v, 2 * w), pairs, u, v, w)
    for value, expected in zip(made, truth, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


def test_peers_that_are_timed_compute_the_network() -> None:
    (spec,) = specs(["onehot_square"])
    inputs = spec.inputs(spec.small[0], torch.float64, torch.device("cpu"), 1)
    assert set(spec.peers) == {"F.embedding", "one-hot vectors"}
    for factory in spec.peers.values():
        peer = factory()
        assert peer is not None
        assert relative_error(peer(**inputs), spec.reference(**inputs)) < 1e-13


def test_bfloat16_tiles_are_refused_in_the_interpreter() -> None:
    with pytest.raises(BackendError, match="multiplies bfloat16 tiles wrongly"):
        onehot_square(*_drawn(dtype=torch.bfloat16), backend="triton")


def test_bad_input_is_named() -> None:
    pairs, u, v, w = _drawn(2, seed=12)
    cases: list[tuple[tuple[Tensor, ...], type[Exception], str]] = [
        ((pairs.int(), u, v, w), TypeError, "pairs must be int64, not torch.int32"),
        ((pairs, u.long(), v, w), TypeError, "u must be a floating-point tensor, not torch.int64"),
        ((pairs, u, v.float(), w), TypeError, "v is torch.float32, u torch.float64: they must be the same"),
        ((pairs, u, v, w.to("meta")), ValueError, "w is on meta, u on cpu"),
        (
            (pairs, u, v[:, :4], w),
            ValueError,
            r"u and v must be \(..., rows, width\) alike, with a row or more, not \(2, 5, 7\) and \(2, 4, 7\)",
        ),
        ((pairs, u[:, :0], v[:, :0], w), ValueError, "with a row or more"),
        ((pairs, u, v, w[:, :6]), ValueError, r"w must be \(2, 7\) and classes, not \(2, 6, 6\)"),
        ((pairs, u, v, w[0]), ValueError, r"not \(7, 6\)"),
        ((pairs[:1], u, v, w), ValueError, r"pairs must be \(..., examples, 2\) for members \(2,\), not \(1, 9, 2\)"),
        ((pairs[..., :1], u, v, w), ValueError, r"not \(2, 9, 1\)"),
    ]
    for arguments, error, says in cases:
        with pytest.raises(error, match=says):
            onehot_square(*arguments)
