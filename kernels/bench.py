"""`python -m kernels bench`: what an op costs against eager torch, `torch.compile` and what else people could call.

Correctness comes first: an op whose numbers are wrong at the shape is not timed. Both ceilings are measured in the same call, providers are
interleaved, ratios are paired by round, and eager against itself is the noise floor. Losses are printed like gains.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kernels.backend import compiled
from kernels.evaluate import evaluate, leaves_of, timed_call, upcast
from kernels.provenance import provenance
from kernels.spec import OPS, Inputs, Mode, OpSpec, Shape, relative_error, specs
from kernels.timing import Call, Ceilings, Ratio, ceilings, interleaved, ratio

_L2_BYTES = 128 << 20
"""Inputs are rotated until a round has touched at least this much memory, so that no provider is served from the cache."""
_MAX_COPIES = 8
EAGER, AGAIN = "eager", "eager again"
_COMPILE_MODES = {"compile": None, "compile max-autotune": "max-autotune-no-cudagraphs"}


def run(names: Sequence[str], *, rounds: int, out: Path | None, shapes: str, autotune: bool = True) -> int:
    """Time the ops on this machine's best device; 1 when one of them (not a peer) was wrong and so not timed.

    `shapes` is `all`, `paper` or `small`; without `autotune` only the default mode of `torch.compile` is timed.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Past the usual limit a function would silently run as eager torch under the name of the compiler.
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    where = provenance(device)
    print(", ".join(f"{key} {value}" for key, value in where.items()))
    if device.type == "cpu":
        print("no GPU: Triton is not timed, and a CPU says nothing about the targets of the specs")
    failures = 0
    for spec in specs(names or OPS):
        dtype = spec.benchmark_dtype if device.type == "cuda" else torch.float32
        # Costs are counted in bfloat16 operations, in whatever dtype an op works.
        roof = ceilings(device, torch.bfloat16 if device.type == "cuda" else dtype)
        print(f"\n{spec.name}: copy {roof.copy / 1e9:.0f} GB/s, matrix product {roof.matmul / 1e12:.2f} TFLOP/s; timed in {_name(dtype)}")
        for shape in _shapes(spec, shapes):
            torch._dynamo.reset()
            rows = list(_shape_rows(spec, shape, dtype, device, roof, rounds, autotune))
            failures += sum(1 for row in rows if row.get("wrong") and row["provider"] not in spec.peers)
            for row in rows:
                print(_line(row), flush=True)
            if out:
                with out.open("a") as file:
                    file.writelines(json.dumps(row | where | {"copy": roof.copy, "matmul": roof.matmul}) + "\n" for row in rows)
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return 1 if failures else 0


def _shapes(spec: OpSpec, shapes: str) -> Sequence[Shape]:
    if shapes == "small":
        return spec.small[:2]
    return (spec.paper,) if shapes == "paper" else (spec.paper, *spec.neighbours)


def _shape_rows(
    spec: OpSpec, shape: Shape, dtype: torch.dtype, device: torch.device, roof: Ceilings, rounds: int, autotune: bool = True
) -> Iterator[dict[str, Any]]:
    """One row a provider, mode and context; a provider that raises or gives wrong numbers gets a row that says so and no time."""
    providers = dict(_providers(spec, device, autotune))
    right: dict[str, Callable[..., Any]] = {}
    errors: dict[str, dict[str, float]] = {}
    inputs = spec.inputs(shape, dtype, device, 21)
    truth = evaluate(spec, spec.reference, upcast(inputs))
    base = {"op": spec.name, "shape": dict(shape), "dtype": _name(dtype)}
    for name, function in providers.items():
        try:
            made = evaluate(spec, function, inputs)
        except Exception as error:
            yield base | {"provider": name, "wrong": {"raised": _said(error)}}
            continue
        errors[name] = {key: relative_error(made[key], truth[key]) for key in truth if key not in spec.flips}
        wrong: dict[str, Any] = {key: error for key, error in errors[name].items() if not error <= spec.tolerances[dtype][key]}
        if wrong:
            yield base | {"provider": name, "wrong": wrong}
        else:
            right[name] = function
        del made
    del truth
    if EAGER not in right:
        return
    copies = list(_copies(spec, shape, dtype, device, inputs))
    modes: list[Mode] = ["forward", "forward_backward"] if spec.differentiable else ["forward"]
    for mode in modes:
        calls = {name: timed_call(spec, function, copies, mode) for name, function in right.items()}
        calls[AGAIN] = timed_call(spec, right[EAGER], copies, mode)
        calls, refused = _running(calls)
        yield from (base | {"mode": mode} | row for row in refused)
        cost = spec.cost(shape, dtype, mode)
        roof_seconds = max(cost.bytes / roof.copy, cost.flops / roof.matmul)
        notes: dict[str, dict[str, Any]] = {}
        samples = interleaved(calls, device, rounds, notes)
        for row in _timed(samples, roof_seconds):
            peak = _peak_mib(calls[row["provider"]], device)
            shown = errors.get(row["provider"], errors[EAGER])
            yield base | {"mode": mode, "in_context": False, "peak_mib": peak, "errors": shown} | notes.get(row["provider"], {}) | row
    if spec.block is not None:
        yield from (base | row for row in _context_rows(spec, device, right, inputs, rounds))


def _context_rows(
    spec: OpSpec, device: torch.device, providers: Mapping[str, Callable[..., Any]], inputs: Inputs, rounds: int
) -> Iterator[dict[str, Any]]:
    """The op inside its real block: a custom op is a wall to the compiler's fusion, so that a gain alone can be a loss there."""
    assert spec.block is not None
    block, leaves = spec.block, leaves_of(spec, inputs)

    def step(function: Callable[..., Any]) -> Call:
        return partial(_backward_of, partial(block, function, leaves))

    calls = {name: step(function) for name, function in providers.items() if not name.startswith("compile")}
    for name, mode in _COMPILE_MODES.items():
        if name in providers:
            whole = torch.compile(partial(block, spec.reference, leaves), dynamic=False, mode=mode)
            calls[name] = partial(_backward_of, whole)
    calls[AGAIN] = step(providers[EAGER])
    calls, refused = _running(calls)
    yield from ({"mode": "forward_backward", "in_context": True} | row for row in refused)
    notes: dict[str, dict[str, Any]] = {}
    for row in _timed(interleaved(calls, device, rounds, notes), None):
        yield {"mode": "forward_backward", "in_context": True} | notes.get(row["provider"], {}) | row


def _running(calls: Mapping[str, Call]) -> tuple[dict[str, Call], list[dict[str, Any]]]:
    """The calls that do not raise, and rows about those that do (no memory, no compiler)."""
    running: dict[str, Call] = {}
    refused = []
    for name, call in calls.items():
        try:
            call()
        except Exception as error:
            refused.append({"provider": name, "wrong": {"raised": _said(error)}})
        else:
            running[name] = call
    return running, refused


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def _backward_of(forward: Callable[[], Tensor]) -> None:
    torch.autograd.backward(forward().float().sum())


def _timed(samples: dict[str, list[float]], roof_seconds: float | None) -> Iterator[dict[str, Any]]:
    """Milliseconds, paired ratios over eager and over the better compiled mode, share of the roof."""
    modes = [name for name in _COMPILE_MODES if name in samples]
    best = min(modes, key=lambda name: _median(samples[name])) if modes else None
    for name, taken in samples.items():
        p20, p50, p80 = torch.tensor(taken, dtype=torch.float64).quantile(torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)).tolist()
        yield {
            "provider": name,
            "ms_p20": 1e3 * p20,
            "ms_p50": 1e3 * p50,
            "ms_p80": 1e3 * p80,
            "rounds": len(taken),
            "vs_eager": dataclasses.asdict(ratio(samples[EAGER], taken)),
            "vs_compile": dataclasses.asdict(ratio(samples[best], taken)) if best else None,
            "roof_share": roof_seconds / p50 if roof_seconds is not None else None,
        }


def _median(samples: Sequence[float]) -> float:
    return float(torch.tensor(samples, dtype=torch.float64).quantile(0.5))


def _providers(spec: OpSpec, device: torch.device, autotune: bool) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield EAGER, spec.reference
    modes = _COMPILE_MODES if device.type == "cuda" and autotune else {"compile": None}
    for name, mode in modes.items():
        build = partial(compiled, mode=mode)
        yield name, build(spec.reference) if spec.compiled is None else spec.compiled(build)
    if device.type == "cuda":
        yield "triton", lambda **inputs: spec.op(**inputs, backend="triton")
        for name, options in spec.variants.items():
            yield f"triton {name}", lambda options=options, **inputs: spec.op(**inputs, **options, backend="triton")
    for name, factory in spec.peers.items():
        peer = factory()
        if peer is not None:
            yield name, peer


def _copies(spec: OpSpec, shape: Shape, dtype: torch.dtype, device: torch.device, first: Inputs) -> Iterator[Inputs]:
    """Different inputs of one shape, `first` among them, enough to pass the cache."""
    touched = 0
    for seed in range(_MAX_COPIES):
        inputs = leaves_of(spec, spec.inputs(shape, dtype, device, 30 + seed) if seed else first)
        yield inputs
        touched += sum(value.nbytes for value in inputs.values() if isinstance(value, Tensor))
        if touched > _L2_BYTES or device.type == "cpu":
            return


def _peak_mib(call: Call, device: torch.device) -> float | None:
    """MiB that one call allocates on the GPU over what was there; None on a CPU, which does not count."""
    if device.type == "cpu":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _line(row: dict[str, Any]) -> str:
    shape = " ".join(f"{name}={size}" for name, size in row["shape"].items())
    if row.get("wrong"):
        return f"  {shape:<36} {row['provider']:<28} WRONG, not timed: {row['wrong']}"
    place = f"{row['mode']}{' in its block' if row['in_context'] else ''}"
    compared = f"eager {Ratio(**row['vs_eager'])}x"
    compared += f", compile {Ratio(**row['vs_compile'])}x" if row["vs_compile"] else ""
    share = f", {100 * row['roof_share']:.0f} % of the roof" if row["roof_share"] is not None else ""
    return f"  {shape:<36} {place:<30} {row['provider']:<28} {row['ms_p50']:10.4f} ms  {compared}{share}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
