"""`python -m kernels tune`: measure every candidate config on this GPU and freeze the best ones in `configs/<device>.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from kernels import configs
from kernels.configs import Config, Tunable
from kernels.evaluate import evaluate, upcast
from kernels.provenance import provenance
from kernels.spec import OPS, OpSpec, Shape, relative_error, specs
from kernels.timing import interleaved

_ROUNDS = 7
Timer = Callable[[OpSpec, Shape, Tunable, Sequence[Config]], list[float]]
"""Seconds of each of these configs."""


def run(names: Sequence[str]) -> int:
    """Tune the ops (all by default) at the shapes of their specs; 2 without a GPU."""
    if not torch.cuda.is_available():
        print("tune measures on a GPU, and there is none here: the default configs stay")
        return 2
    device = torch.device("cuda")
    best = {kernel: sizes for spec in specs(names or OPS) for kernel, sizes in best_configs(spec, device, _measure).items()}
    path = configs.save(configs.device_slug(device), provenance(device), best)
    print(f"written: {path}")
    return 0


def best_configs(spec: OpSpec, device: torch.device, timer: Timer) -> dict[str, dict[int, Config]]:
    """The fastest right candidate of each kernel by problem size; a candidate with wrong numbers cannot win."""
    found: dict[str, dict[int, Config]] = {}
    for kernel in spec.kernels:
        tunable = kernel.tunable
        for shape in (spec.paper, *spec.neighbours):
            right = [config for config in tunable.candidates if _is_right(spec, shape, tunable, config, device)]
            if not right:
                raise RuntimeError(f"{tunable.kernel}: no candidate gives right numbers at {dict(shape)}")
            times = timer(spec, shape, tunable, right)
            winner = right[times.index(min(times))]
            found.setdefault(tunable.kernel, {})[spec.size(shape)] = winner
            print(f"{tunable.kernel} {dict(shape)}: {winner} ({len(right)} of {len(tunable.candidates)} candidates right)")
    return found


def _is_right(spec: OpSpec, shape: Shape, tunable: Tunable, config: Config, device: torch.device) -> bool:
    dtype = spec.benchmark_dtype if device.type == "cuda" else torch.float32
    inputs = spec.inputs(shape, dtype, device, 41)
    with configs.forced(tunable.kernel, config):
        made = evaluate(spec, spec.op, inputs, backend="triton")
    truth = evaluate(spec, spec.reference, upcast(inputs))
    return all(relative_error(made[name], truth[name]) <= spec.tolerances[dtype][name] for name in truth if name not in spec.flips)


def _measure(spec: OpSpec, shape: Shape, tunable: Tunable, candidates: Sequence[Config]) -> list[float]:
    """Median seconds of the op, forward and backward, of each config; interleaved, so that a drifting clock favours none."""
    device = torch.device("cuda")
    inputs = spec.inputs(shape, spec.benchmark_dtype, device, 42)

    def timed(config: Config) -> Callable[[], object]:
        def call() -> object:
            with configs.forced(tunable.kernel, config):
                return evaluate(spec, spec.op, inputs, backend="triton")

        return call

    samples = interleaved({str(config): timed(config) for config in candidates}, device, _ROUNDS)
    return [sorted(samples[str(config)])[_ROUNDS // 2] for config in candidates]
