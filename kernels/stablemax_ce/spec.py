"""The spec of `stablemax_ce`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kernels.backend import compiled
from kernels.configs import Config
from kernels.spec import AotCase, Cost, Inputs, KernelSpec, Mode, OpSpec, Shape, Target
from kernels.stablemax_ce.op import stablemax_ce
from kernels.stablemax_ce.reference import softmax_form, stablemax_ce_reference
from kernels.stablemax_ce.tiles import BACKWARD, FORWARD, fitted

_MODULE = "kernels.stablemax_ce.triton"
_PAPER_CLASSES = 113


def _inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
    """Logits of both signs; every third row is fitted, its label far above the rest, which is where a loss is hard to compute."""
    generator = torch.Generator(device).manual_seed(seed)
    size = (shape["members"], shape["rows"], shape["classes"])
    logits = 3.0 * torch.randn(size, generator=generator, device=device)
    labels = torch.randint(size[-1], size[:-1], generator=generator, device=device)
    fitted_rows = (torch.arange(size[1], device=device) % 3 == 2).expand(size[:-1])
    logits.scatter_add_(-1, labels[..., None], 1000.0 * fitted_rows[..., None].float())
    return {"logits": logits.to(dtype), "labels": labels, "reduction": "none"}


def _cost(shape: Shape, dtype: torch.dtype, mode: Mode) -> Cost:
    """Forward reads the logits; backward reads them and writes their gradient. A row has 20 bytes of its own each way."""
    rows = shape["members"] * shape["rows"]
    logits = rows * shape["classes"] * dtype.itemsize
    return Cost(bytes=logits + 20 * rows if mode == "forward" else 3 * logits + 40 * rows)


def _samples() -> Iterable[tuple[Any, tuple[Any, ...]]]:
    logits = torch.randn(2, 3, 5).requires_grad_()
    permuted = torch.randn(5, 3).T.requires_grad_()
    labels = torch.tensor([0, 4, 2])
    yield torch.ops.kernels.stablemax_ce, (logits, labels.expand(2, 3))
    yield torch.ops.kernels.stablemax_ce, (permuted, labels)
    yield torch.ops.kernels.stablemax_ce_backward, (torch.ones(3), permuted.detach(), labels, torch.ones(3), torch.ones(3))


def _cases(direction: str, pointers: Sequence[str], limit: float) -> Callable[[Config], Sequence[AotCase]]:
    """The kernel of one direction on many classes in both precisions, and on the few of the paper."""
    names = [f"{name}_ptr" for name in pointers]
    sizes = {"rows": "i32", "classes": "i32"} | ({"across": "i32"} if direction == "backward" else {})

    def case(dtype: str, config: Config, classes: int) -> AotCase:
        config = fitted(config, classes)
        many = classes % 16 == 0
        types = dict.fromkeys(names, "*fp32") | {"labels_ptr": "*i64"}
        types |= {name: dtype for name in names if "logits" in name}
        return AotCase(
            name=f"stablemax_ce_{direction}_{dtype[1:]}{'' if many else '_few'}",
            jit=f"{_MODULE}:{direction}_kernel",
            types=types | sizes,
            constants={"COMPUTE": "fp32"},
            aligned=(*names, "classes") if many else names,
            config=config,
            elements=config.tiles["ROWS"] * config.tiles["COLUMNS"],
            max_instructions_per_element=limit,
            contains=("LDG.E.128",) if many else (),
        )

    return lambda config: [case("*fp32", config, 32_768), case("*bf16", config, 32_768), case("*fp32", config, _PAPER_CLASSES)]


def _whole(form: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`form` compiled when it is first called."""
    return lambda **inputs: compiled(form)(**inputs)


def _liger() -> Callable[..., Tensor] | None:
    """liger-kernel's fused cross-entropy on log s(x); it makes the gradient in its forward pass."""
    if importlib.util.find_spec("liger_kernel") is None:
        return None
    peer = importlib.import_module("liger_kernel.transformers.functional").liger_cross_entropy

    def fused(mapped: Tensor, labels: Tensor, reduction: str) -> Tensor:
        loss: Tensor = peer(mapped, labels, reduction=reduction)
        return loss

    return partial(softmax_form, cross_entropy=fused)


SPECS = (
    OpSpec(
        name="stablemax_ce",
        summary="StableMax cross-entropy of many members' rows, exact for losses however small",
        formula="log sum_k s(x_k) - log s(x_y), s(x) = x + 1 for x >= 0, 1 / (1 - x) for x < 0",
        source="arXiv 2501.04697 and the authors' utils.py; log(1 + r / s_y) derived here",
        reference=stablemax_ce_reference,
        op=stablemax_ce,
        inputs=_inputs,
        outputs=("loss",),
        differentiable=("logits",),
        tolerances={
            torch.float64: {"loss": 1e-13, "d_logits": 1e-13},
            torch.float32: {"loss": 1e-6, "d_logits": 2e-6},
            torch.float16: {"loss": 1e-6, "d_logits": 5e-4},
            torch.bfloat16: {"loss": 1e-6, "d_logits": 5e-3},
        },
        # Eager torch computes float32 in float64.
        beside_eager=8.0,
        small=(
            {"members": 3, "rows": 11, "classes": 113},
            {"members": 1, "rows": 3, "classes": 2500},
            {"members": 2, "rows": 40, "classes": 7},
            {"members": 1, "rows": 2, "classes": 1},
            {"members": 2, "rows": 0, "classes": 5},
        ),
        paper={"members": 64, "rows": 5107, "classes": _PAPER_CLASSES},
        neighbours=({"members": 1, "rows": 8192, "classes": 32_768}, {"members": 201, "rows": 1103, "classes": 47}),
        size=lambda shape: shape["members"] * shape["rows"] * shape["classes"],
        cost=_cost,
        samples=_samples,
        kernels=(
            KernelSpec(tunable=FORWARD, cases=_cases("forward", ("logits", "labels", "loss", "inverse_total", "wrong"), 26.0)),
            KernelSpec(
                tunable=BACKWARD, cases=_cases("backward", ("logits", "dloss", "labels", "inverse_total", "wrong", "dlogits"), 34.0)
            ),
        ),
        benchmark_dtype=torch.float32,
        compiled=lambda compile: compile(softmax_form),
        peers={
            "F.cross_entropy": lambda: softmax_form,
            "reference compiled": lambda: _whole(stablemax_ce_reference),
            "liger": _liger,
        },
        target=Target(eager=6.0, compile=1.2, roof=0.80),
    ),
)
