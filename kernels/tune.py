"""`python -m kernels tune`: measure every candidate config on this GPU and freeze the best ones in `configs/<device>.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from kernels import configs
from kernels.configs import Config, Tunable
from kernels.evaluate import evaluate, leaves_of, timed_call, upcast
from kernels.provenance import provenance
from kernels.spec import OPS, Inputs, KernelSpec, OpSpec, Shape, relative_error, specs
from kernels.timing import interleaved

_ROUNDS = 7
Timer = Callable[[OpSpec, Shape, KernelSpec, Sequence[Config]], list[float]]
"""Seconds of each of these configs."""


def run(names: Sequence[str]) -> int:
    """Tune the ops (all by default) at the shapes of their specs; 2 without a GPU."""
    if not torch.cuda.is_available():
        print("tune measures on a GPU, and there is none here: the default configs stay")
        return 2
    device = torch.device("cuda")
    for spec in specs(names or OPS):
        # An op at a time: what was measured stays when a later one fails.
        best = best_configs(spec, device, _measure)
        if best:
            print(f"written: {configs.save(configs.device_slug(device), provenance(device), best)}", flush=True)
    return 0


def best_configs(spec: OpSpec, device: torch.device, timer: Timer) -> dict[str, dict[int, Config]]:
    """The fastest right candidate of each kernel by problem size; one that gives wrong numbers or does not launch cannot win.

    A kernel with a single candidate is left out: there is nothing to choose.
    """
    found: dict[str, dict[int, Config]] = {}
    kernels = [kernel for kernel in spec.kernels if len(kernel.tunable.candidates) > 1]
    for shape in (spec.paper, *spec.neighbours):
        for dtype in {_dtype(spec, kernel, device): None for kernel in kernels}:
            inputs = spec.inputs(shape, dtype, device, 41)
            truth = evaluate(spec, spec.reference, upcast(inputs))
            for kernel in kernels:
                if _dtype(spec, kernel, device) != dtype:
                    continue
                tunable = kernel.tunable
                right = [config for config in tunable.candidates if _is_right(spec, tunable, config, inputs, truth, dtype)]
                if not right:
                    raise RuntimeError(f"{tunable.kernel}: no candidate gives right numbers at {dict(shape)}")
                times = timer(spec, shape, kernel, right)
                winner = right[times.index(min(times))]
                found.setdefault(tunable.kernel, {})[spec.size(shape)] = winner
                print(f"{tunable.kernel} {dict(shape)}: {winner} ({len(right)} of {len(tunable.candidates)} candidates right)")
                for config, taken in zip(right, times, strict=True):
                    print(f"  {1e3 * taken:9.4f} ms  {config}", flush=True)
            del truth
    return found


def _dtype(spec: OpSpec, kernel: KernelSpec, device: torch.device) -> torch.dtype:
    """What reaches this kernel; on a CPU everything is float32, because the interpreter multiplies no bfloat16."""
    return (kernel.dtype or spec.benchmark_dtype) if device.type == "cuda" else torch.float32


def _is_right(spec: OpSpec, tunable: Tunable, config: Config, inputs: Inputs, truth: Mapping[str, Tensor], dtype: torch.dtype) -> bool:
    try:
        with configs.forced(tunable.kernel, config):
            made = evaluate(spec, spec.op, inputs, backend="triton")
    except Exception as error:
        print(f"{tunable.kernel} {config}: {type(error).__name__}: {str(error)[:200]}")
        return False
    return all(relative_error(made[name], truth[name]) <= spec.tolerances[dtype][name] for name in truth if name not in spec.flips)


def _measure(spec: OpSpec, shape: Shape, kernel: KernelSpec, candidates: Sequence[Config]) -> list[float]:
    """Median seconds of the op, with its gradients where it has any, of each config; interleaved: a drifting clock favours none."""
    device = torch.device("cuda")
    copies = [leaves_of(spec, spec.inputs(shape, _dtype(spec, kernel, device), device, seed)) for seed in (42, 43)]
    mode = "forward_backward" if spec.differentiable else "forward"

    def timed(config: Config) -> Callable[[], object]:
        call = timed_call(spec, lambda **inputs: spec.op(**inputs, backend="triton"), copies, mode)  # type: ignore[arg-type]

        def forced() -> object:
            with configs.forced(kernel.tunable.kernel, config):
                return call()

        return forced

    samples = interleaved({str(config): timed(config) for config in candidates}, device, _ROUNDS)
    return [sorted(samples[str(config)])[_ROUNDS // 2] for config in candidates]
