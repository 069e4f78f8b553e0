"""stablemax_ce: closed forms, losses too small for the plain form, the authors' pitfalls, members, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kernels import stablemax_ce
from kernels.configs import Config, forced
from kernels.spec import relative_error, specs
from kernels.stablemax_ce import op as module
from kernels.stablemax_ce.reference import softmax_form, stablemax_ce_reference
from kernels.stablemax_ce.tiles import BACKWARD, FORWARD, fitted

BACKENDS = pytest.mark.parametrize("backend", ["reference", "triton"])


def _gradient(logits: Tensor, labels: Tensor, **options: Any) -> Tensor:
    leaf = logits.detach().clone().requires_grad_()
    return torch.autograd.grad(stablemax_ce(leaf, labels, **options).sum(), leaf)[0]


def _drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return 3.0 * torch.randn(shape, generator=stream, dtype=dtype), torch.randint(shape[-1], shape[:-1], generator=stream)


@BACKENDS
def test_known_losses_and_gradients(backend: str) -> None:
    # s = 4, 1, 1/2, so S = 11/2; s' = 1, 1, 1/4.
    logits, label = torch.tensor([[3.0, 0.0, -1.0]], dtype=torch.float64), torch.tensor([0])
    assert stablemax_ce(logits, label, backend=backend).item() == pytest.approx(math.log(11 / 8), rel=1e-14)
    assert _gradient(logits, label, backend=backend)[0].tolist() == pytest.approx([2 / 11 - 1 / 4, 2 / 11, 1 / 22], rel=1e-14)
    assert stablemax_ce(logits, torch.tensor([2]), backend=backend).item() == pytest.approx(math.log(11), rel=1e-14)


@BACKENDS
def test_equal_logits_cost_the_logarithm_of_the_classes(backend: str) -> None:
    for level in (0.0, -1e4, 1e4):
        made = stablemax_ce(torch.full((2, 1, 113), level), torch.tensor([7]), backend=backend)
        assert made.tolist() == pytest.approx([math.log(113)] * 2, rel=1e-6)


@BACKENDS
def test_the_slope_is_one_at_zero_and_finite_at_one(backend: str) -> None:
    """Both are where autograd of the formula as it is written fails: 1/(1 - x) has no value at 1, and two clamps add their slopes at 0."""
    logits, label = torch.tensor([[0.0, 1.0, -1.0]], dtype=torch.float64), torch.tensor([0])
    expected = [2 / 7 - 1.0, 2 / 7, 1 / 14]
    assert _gradient(logits, label, backend=backend)[0].tolist() == pytest.approx(expected, rel=1e-14)
    leaf = logits.clone().requires_grad_()
    assert torch.autograd.grad(softmax_form(leaf, label), leaf)[0][0].tolist() == pytest.approx(expected, rel=1e-14)


def test_the_references_are_the_authors_form_and_a_softmax_of_the_logarithm() -> None:
    logits, labels = _drawn(40, 113, seed=1, dtype=torch.float64)
    s = torch.where(logits < 0, 1 / (1 - logits + 1e-30), logits + 1)
    authors = -torch.log(s / s.sum(-1, keepdim=True)).gather(-1, labels[:, None]).mean()
    softmax = F.cross_entropy(logits.sign() * torch.log1p(logits.abs()), labels)
    made = stablemax_ce_reference(logits, labels)
    assert made.item() == pytest.approx(authors.item(), rel=1e-14)
    assert made.item() == pytest.approx(softmax.item(), rel=1e-13)
    assert softmax_form(logits, labels).item() == pytest.approx(softmax.item(), rel=1e-14)


def test_losses_keep_their_precision_however_small_in_single_precision() -> None:
    """r / s_y from 1 down to 1e-12: in float32 the plain form gives 0 from 6e-8 on, and a gradient of 0 at the label with it."""
    heights = 10.0 ** torch.arange(0, 13, dtype=torch.float64)
    logits = torch.zeros(13, 2)
    logits[:, 1] = heights - 1.0
    labels = torch.ones(13, dtype=torch.int64)
    made, gradient = (f(logits, labels, reduction="none", backend="triton") for f in (stablemax_ce, _gradient))
    s = logits[:, 1].double() + 1.0
    torch.testing.assert_close(made.double(), torch.log1p(1.0 / s), rtol=5e-7, atol=0.0)
    torch.testing.assert_close(gradient[:, 1].double(), -1.0 / (s * (s + 1.0)), rtol=5e-7, atol=0.0)
    torch.testing.assert_close(gradient[:, 0].double(), 1.0 / (s + 1.0), rtol=5e-7, atol=0.0)
    assert (softmax_form(logits, labels, "none")[-3:] == 0.0).all()


def test_the_sum_is_compensated() -> None:
    """In every lane 2^24 and then 39 ones, none of which a plain sum in float32 would notice."""
    logits, labels = torch.zeros(1, 16 * 40), torch.tensor([639])
    logits[:, :16] = 2.0**24 - 1
    with forced("stablemax_ce_forward", Config(tiles={"ROWS": 1, "COLUMNS": 16}, num_warps=1)):
        gradient = _gradient(logits, labels, backend="triton")
    total = 16 * 2.0**24 + 39 * 16
    assert gradient[0, 20].item() == pytest.approx(1 / total, rel=2e-7, abs=0.0)


@pytest.mark.parametrize("classes", [1, 15, 16, 17, 47, 113, 130])
def test_neither_tiles_nor_padding_show_in_the_result(classes: int) -> None:
    logits, labels = _drawn(9, classes, seed=2)
    expected = stablemax_ce(logits, labels, reduction="none", backend="reference")
    slope = _gradient(logits, labels, backend="reference")
    narrow = Config(tiles={"ROWS": 2, "COLUMNS": 32}, num_warps=1)
    with forced("stablemax_ce_forward", narrow), forced("stablemax_ce_backward", narrow):
        made, gradient = stablemax_ce(logits, labels, reduction="none", backend="triton"), _gradient(logits, labels, backend="triton")
    torch.testing.assert_close(made, expected, rtol=5e-7, atol=0.0)
    torch.testing.assert_close(gradient, slope, rtol=2e-6, atol=1e-12)


def test_a_config_fits_the_classes_and_keeps_the_work_of_a_thread() -> None:
    for tunable in (FORWARD, BACKWARD):
        for config in tunable.candidates:
            for classes in (1, 7, 16, 113, 512, 1000, 32_768):
                made = fitted(config, classes)
                rows, columns = made.tiles["ROWS"], made.tiles["COLUMNS"]
                assert min(classes, config.tiles["COLUMNS"]) <= columns < max(17, 2 * classes)
                before = config.tiles["ROWS"] * config.tiles["COLUMNS"] / config.num_warps
                assert rows * columns / made.num_warps == before


@BACKENDS
def test_a_member_is_what_it_would_be_alone(backend: str) -> None:
    logits, labels = _drawn(2, 3, 5, 13, seed=3)
    made, gradient = (f(logits, labels, backend=backend) for f in (stablemax_ce, _gradient))
    assert made.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            alone = logits[i, j], labels[i, j]
            assert stablemax_ce(*alone, backend=backend).item() == pytest.approx(made[i, j].item(), rel=1e-6)
            torch.testing.assert_close(_gradient(*alone, backend=backend), gradient[i, j])
    shared = stablemax_ce(logits, labels[0, 0], backend=backend)
    torch.testing.assert_close(shared, stablemax_ce(logits, labels[0, 0].expand(2, 3, 5), backend=backend))


@BACKENDS
def test_a_member_that_diverged_hurts_nobody_else(backend: str) -> None:
    logits, labels = _drawn(3, 4, 6, seed=4)
    logits[1, 2, 3] = math.nan
    made, gradient = (f(logits, labels, backend=backend) for f in (stablemax_ce, _gradient))
    assert made.isnan().tolist() == [False, True, False]
    assert gradient.isnan().any(-1).tolist() == [[False] * 4, [False, False, True, False], [False] * 4]


@BACKENDS
def test_minus_infinity_is_no_class(backend: str) -> None:
    logits, labels = _drawn(4, 6, seed=5)
    padded = torch.cat([logits, torch.full((4, 2), -math.inf)], -1)
    torch.testing.assert_close(stablemax_ce(padded, labels, backend=backend), stablemax_ce(logits, labels, backend=backend))
    gradient = _gradient(padded, labels, backend="triton")
    assert (gradient[:, 6:] == 0.0).all()
    torch.testing.assert_close(gradient[:, :6], _gradient(logits, labels, backend="triton"))


def test_a_label_that_is_no_class_is_nan_in_its_row_and_reads_nothing() -> None:
    logits, labels = _drawn(4, 6, seed=6)
    labels[1], labels[2] = 6, -1
    made, gradient = (f(logits, labels, reduction="none", backend="triton") for f in (stablemax_ce, _gradient))
    assert made.isnan().tolist() == [False, True, True, False]
    assert gradient.isnan().all(-1).tolist() == [False, True, True, False]
    with pytest.raises(RuntimeError, match="out of bounds"):
        stablemax_ce(logits, labels, backend="reference")


def test_vmap_and_autograd_of_members_agree_with_leading_axes() -> None:
    logits, labels = _drawn(3, 4, 6, seed=7)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return stablemax_ce(x, y, backend="triton")

    torch.testing.assert_close(torch.vmap(loss)(logits, labels), loss(logits, labels))
    torch.testing.assert_close(torch.vmap(loss, in_dims=(1, None))(logits.transpose(0, 1), labels[0]), loss(logits, labels[0]))
    leaf = logits.clone().requires_grad_()
    made = torch.autograd.grad(torch.vmap(loss)(leaf, labels).sum(), leaf)[0]
    torch.testing.assert_close(made, _gradient(logits, labels, backend="reference"), rtol=1e-5, atol=1e-7)


def test_the_kernel_compiles_into_a_graph() -> None:
    logits, labels = _drawn(3, 6, seed=8)
    leaf = logits.clone().requires_grad_()
    compiled = torch.compile(lambda x: 2 * stablemax_ce(x + 1, labels, backend="triton"), fullgraph=True, backend="aot_eager")
    compiled(leaf).backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, 2 * _gradient(logits + 1, labels, backend="reference"), rtol=1e-5, atol=1e-7)


def test_the_form_that_compiles_is_a_softmax_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "evaluate", lambda chosen, form, *rest: asked.append((chosen, form)))
    logits, labels = _drawn(3, 6, seed=9)
    stablemax_ce(logits, labels, backend="compile")
    stablemax_ce(logits, labels)
    assert asked == [("compile", softmax_form), ("reference", stablemax_ce_reference)]


def test_peers_that_are_timed_compute_the_loss() -> None:
    (spec,) = specs(["stablemax_ce"])
    inputs = spec.inputs(spec.small[0], torch.float64, torch.device("cpu"), 1)
    peer = spec.peers["F.cross_entropy"]()
    assert peer is not None
    assert relative_error(peer(**inputs), stablemax_ce_reference(**inputs)) < 1e-13


def test_offsets_pass_two_to_the_thirty_first_logit() -> None:
    import triton.language as tl

    from kernels.stablemax_ce.triton import backward_kernel

    # Memory that nobody writes is mapped, not stored; the interpreter copies what it is given, so it is given the start.
    stride = 2**30
    logits, dlogits = (torch.empty(2 * stride + 16, dtype=torch.float16) for _ in range(2))
    logits[-16:] = torch.arange(16)
    ones, labels = torch.ones(3), torch.full((3,), -1)
    backward_kernel[(3,)](logits[:16], ones, labels, ones, ones, dlogits[:16], 3, stride, 1, ROWS=1, COLUMNS=16, COMPUTE=tl.float32)
    assert (dlogits[-16:] == 1.0).all()


@pytest.mark.parametrize(
    ("logits", "labels", "options", "error", "says"),
    [
        (torch.ones(2, 3), torch.zeros(3, dtype=torch.int64), {}, ValueError, r"labels must be \(2,\) or \(2,\), not \(3,\)"),
        (torch.ones(4, 2, 3), torch.zeros(4, dtype=torch.int64), {}, ValueError, r"labels must be \(4, 2\) or \(2,\), not \(4,\)"),
        (torch.ones(3), torch.tensor(0), {}, ValueError, r"logits must be \(..., rows, classes\) with a class or more, not \(3,\)"),
        (torch.ones(2, 0), torch.zeros(2, dtype=torch.int64), {}, ValueError, r"a class or more, not \(2, 0\)"),
        (torch.ones(2, 3), torch.zeros(2), {}, TypeError, "labels must be int64, not torch.float32"),
        (torch.ones(2, 3).long(), torch.zeros(2), {}, TypeError, "logits must be a floating-point tensor, not torch.int64"),
        (torch.ones(2, 3), torch.zeros(2, dtype=torch.int64, device="meta"), {}, ValueError, "labels are on meta, logits on cpu"),
        (
            torch.ones(2, 3),
            torch.zeros(2, dtype=torch.int64),
            {"reduction": "sum"},
            ValueError,
            "unknown reduction 'sum'; choose one of mean, none",
        ),
    ],
)
def test_what_does_not_fit_is_named(logits: Tensor, labels: Tensor, options: dict[str, str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        stablemax_ce(logits, labels, **options)
