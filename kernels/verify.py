"""Are the numbers right: every op against its float64 reference, on the CPU through Triton's interpreter or on a GPU.

`python -m kernels.verify DEVICE [OP ...]` prints one JSON line a finding. On the CPU it needs TRITON_INTERPRET=1.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kernels import configs
from kernels.evaluate import evaluate, poisoned, upcast
from kernels.spec import OPS, OpSpec, Shape, relative_error, specs

_ROUNDINGS = {torch.float32: 4.0}
_FEWEST = 16
"""On a GPU an op may be at most `OpSpec.beside_eager` times as far from the truth as eager torch in the same dtype (and never past its
tolerance). Not compared are float64, where eager torch is the truth, errors of a few roundings (so many times the dtype's epsilon, an
eighth of it in half precision), and results of fewer numbers than these: there eager torch may just be lucky."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was verified. `detail` has the numbers, or what went wrong."""

    op: str
    check: str
    case: str
    ok: bool
    detail: str


def findings(spec: OpSpec, device: torch.device) -> Iterator[Finding]:
    """Everything that can be verified about an op on this device."""
    for dtype in spec.tolerances:
        for shape in () if _skipped(spec, dtype, device) else spec.small:
            yield _guarded(spec, "accuracy", _label(shape, dtype), partial(_accuracy, spec, shape, dtype, device))
    usual, shape = torch.float32, spec.small[0]
    label = _label(shape, usual)
    for name, options in spec.variants.items():
        yield _guarded(spec, f"accuracy {name}", label, partial(_accuracy, spec, shape, usual, device, options))
    for kernel in spec.kernels:
        own = kernel.dtype or spec.benchmark_dtype
        reaching = torch.float16 if _skipped(spec, own, device) else own
        for config in kernel.proven:
            with configs.forced(kernel.tunable.kernel, config):
                look = partial(_accuracy, spec, shape, reaching, device)
                found = _guarded(spec, f"accuracy {config}", _label(shape, reaching), look)
            yield found
    yield _guarded(spec, "repeatable", label, partial(_repeatable, spec, shape, usual, device))
    yield _guarded(spec, "layouts", label, partial(_layouts, spec, shape, usual, device))
    for value in (float("nan"), float("inf")):
        yield _guarded(spec, f"{value} spreads", label, partial(_non_finite, spec, shape, usual, device, value))
    if spec.differentiable and spec.gradcheck:
        for backend in ("reference",) if _skipped(spec, torch.float64, device) else ("reference", "triton"):
            yield _guarded(spec, f"gradcheck {backend}", _label(shape, torch.float64), partial(_gradcheck, spec, shape, device, backend))
    for operator, arguments in spec.samples() if device.type == "cpu" else ():
        yield _guarded(spec, "opcheck", str(operator), partial(_opcheck, operator, arguments))


def _guarded(spec: OpSpec, check: str, case: str, look: Callable[[], str]) -> Finding:
    """A finding; whatever `look` raises is one that failed."""
    try:
        return Finding(op=spec.name, check=check, case=case, ok=True, detail=look())
    except Exception as error:
        return Finding(op=spec.name, check=check, case=case, ok=False, detail=f"{type(error).__name__}: {error}")


def _skipped(spec: OpSpec, dtype: torch.dtype, device: torch.device) -> bool:
    """bfloat16 tiles cannot be multiplied in the interpreter; float64 is not what a GPU kernel is for when it multiplies tiles."""
    if not spec.dot:
        return False
    return dtype == (torch.bfloat16 if device.type == "cpu" else torch.float64)


def _label(shape: Shape, dtype: torch.dtype) -> str:
    return " ".join(f"{name}={size}" for name, size in shape.items()) + f" {str(dtype).removeprefix('torch.')}"


def _accuracy(spec: OpSpec, shape: Shape, dtype: torch.dtype, device: torch.device, options: Mapping[str, Any] | None = None) -> str:
    inputs = spec.inputs(shape, dtype, device, 11)
    with poisoned():
        made = evaluate(spec, spec.op, inputs, backend="triton", **(options or {}))
    truth = evaluate(spec, spec.reference, upcast(inputs))
    eager = evaluate(spec, spec.reference, inputs) if device.type == "cuda" else {}
    said, problems = [], []
    for name, expected in truth.items():
        if name in spec.flips:
            share = float((made[name] != expected).double().mean()) if expected.numel() else 0.0
            if share > spec.flips[name] or made[name].shape != expected.shape:
                problems.append(f"{name}: {share:.2e} of the entries differ, {spec.flips[name]:.0e} may")
            said.append(f"{name} flips {share:.0e}")
            continue
        error, limit = relative_error(made[name], expected), spec.tolerances[dtype][name]
        theirs = relative_error(eager[name], expected) if name in eager else None
        if not error <= limit:
            problems.append(f"{name}: relative error {error:.2e}, at most {limit:.0e}")
        rounding = _ROUNDINGS.get(dtype, 0.125) * torch.finfo(dtype).eps
        comparable = dtype != torch.float64 and expected.numel() >= _FEWEST
        if theirs is not None and comparable and error > max(spec.beside_eager * theirs, rounding):
            problems.append(f"{name}: relative error {error:.2e}, eager torch has {theirs:.2e}")
        said.append(f"{name} {error:.1e}" + (f" (eager {theirs:.1e})" if theirs is not None else ""))
    if problems:
        raise AssertionError("; ".join(problems) + f". All: {', '.join(said)}")
    return ", ".join(said)


def _repeatable(spec: OpSpec, shape: Shape, dtype: torch.dtype, device: torch.device) -> str:
    inputs = spec.inputs(shape, dtype, device, 12)
    first, second = (evaluate(spec, spec.op, inputs, backend="triton") for _ in range(2))
    for name, value in first.items():
        if not torch.equal(value, second[name]):
            raise AssertionError(f"{name} differs between two runs")
    return "two runs give the same bits"


def _layouts(spec: OpSpec, shape: Shape, dtype: torch.dtype, device: torch.device) -> str:
    """Transposed and sliced inputs give the bits of compact ones."""
    inputs = spec.inputs(shape, dtype, device, 13)
    expected = evaluate(spec, spec.op, inputs, backend="triton")
    for change in (_transposed, _sliced):
        changed = {name: change(value) if isinstance(value, Tensor) and value.ndim >= 2 else value for name, value in inputs.items()}
        made = evaluate(spec, spec.op, changed, backend="triton")
        for name, value in expected.items():
            if not torch.equal(made[name], value):
                raise AssertionError(f"{name} differs when inputs are {change.__name__.strip('_')}")
    return "transposed and sliced inputs give the same bits"


def _transposed(tensor: Tensor) -> Tensor:
    return tensor.transpose(-1, -2).contiguous().transpose(-1, -2)


def _sliced(tensor: Tensor) -> Tensor:
    wide = tensor.new_zeros((*tensor.shape[:-1], tensor.shape[-1] + 3))
    wide[..., 1:-2] = tensor
    return wide[..., 1:-2]


def _non_finite(spec: OpSpec, shape: Shape, dtype: torch.dtype, device: torch.device, value: float) -> str:
    """One bad number in an input comes out where the reference says, in the forward pass."""
    inputs = spec.inputs(shape, dtype, device, 14)
    name = next(name for name, tensor in inputs.items() if isinstance(tensor, Tensor) and tensor.numel() and _is_real_or_complex(tensor))
    bad = inputs[name].clone()
    bad.view(-1)[bad.numel() // 2] = value
    inputs = inputs | {name: bad}
    with torch.no_grad():
        made, expected = (f(**inputs, **o) for f, o in ((spec.op, {"backend": "triton"}), (spec.reference, {})))
    pairs = zip(made, expected, strict=True) if isinstance(made, tuple) else [(made, expected)]
    for output, (ours, theirs) in zip(spec.outputs, pairs, strict=True):
        ours, theirs = torch.as_tensor(ours), torch.as_tensor(theirs)
        if ours.is_floating_point() and not torch.equal(ours.isfinite(), theirs.isfinite()):
            raise AssertionError(
                f"{output}: {int((~ours.isfinite()).sum())} entries are not finite, the reference has {int((~theirs.isfinite()).sum())}"
            )
    return f"{value} in {name}: the same entries are not finite as in the reference"


def _is_real_or_complex(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _gradcheck(spec: OpSpec, shape: Shape, device: torch.device, backend: str) -> str:
    inputs = spec.smooth(spec.inputs(shape, torch.float64, device, 15))
    names = [name for name in spec.differentiable if isinstance(inputs[name], Tensor)]
    rest = {name: value for name, value in inputs.items() if name not in names}
    leaves = tuple(inputs[name].detach().clone().requires_grad_() for name in names)

    def call(*tensors: Tensor) -> Any:
        return spec.op(**dict(zip(names, tensors, strict=True)), **rest, backend=backend)

    torch.autograd.gradcheck(call, leaves, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)
    return f"{', '.join(names)} against finite differences"


def _opcheck(operator: Any, arguments: Sequence[Any]) -> str:
    done = torch.library.opcheck(getattr(operator, "default", operator), tuple(arguments))
    return f"{len(done)} tests"


def main(device: str, names: Sequence[str]) -> None:
    """Print a finding a line."""
    torch.set_num_threads(1)
    for spec in specs(names or OPS):
        for finding in findings(spec, torch.device(device)):
            print(json.dumps(dataclasses.asdict(finding)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
