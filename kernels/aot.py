"""Ahead-of-time compilation for sm_90 without a GPU, and what the machine code says: registers, spills, shared memory, instruction mix.

`python -m kernels.aot [OP ...]` prints one JSON line a case. It runs in a process of its own: Triton's interpreter and its compiler
cannot share one. Spill loads and stores are LDL and STL in the code; dynamic shared memory comes from Triton's metadata.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels import configs
from kernels.backend import interpreting
from kernels.configs import Config
from kernels.spec import OPS, AotCase, OpSpec, specs

_TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
_TARGET = GPUTarget("cuda", 90, 32)
_REGISTERS, _THREADS, _BLOCKS, _SHARED = 65_536, 2_048, 32, 233_472
_DTYPES = {"fp64": tl.float64, "fp32": tl.float32, "fp16": tl.float16, "bf16": tl.bfloat16}
_INSTRUCTION = re.compile(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][^;]*);")
_LABEL = re.compile(r"(\.L\S+):")
_TARGET_LABEL = re.compile(r"`\((\.L\S+?)\)")


@dataclass(frozen=True, kw_only=True)
class Report:
    """The machine code of one case. `instructions_per_element` is that of the longest loop, 0 when the case counts no elements."""

    case: str
    registers: int
    stack: int
    spills: int
    shared: int
    instructions: int
    loop_instructions: int
    instructions_per_element: float
    blocks_per_sm: int
    tensor_core: int
    wide_loads: int
    failures: tuple[str, ...]


def cases(spec: OpSpec) -> Iterator[tuple[str, AotCase]]:
    """(key, case) of every config that ships or is to be proven, each once: the defaults, those measured for a device, `proven` ones."""
    for kernel in spec.kernels:
        shipped: dict[str, Config] = {"default": kernel.tunable.default}
        for slug in configs.measured_devices():
            for size, config in configs.load(slug).get(kernel.tunable.kernel, {}).items():
                if config not in shipped.values():
                    shipped[f"{slug}/{size}"] = config
        shipped |= {str(config): config for config in kernel.proven if config not in shipped.values()}
        for origin, config in shipped.items():
            for case in kernel.cases(config):
                yield f"{spec.name}/{case.name}/{origin}", case


def compile_case(case: AotCase) -> Any:
    """Triton's compiled kernel of a case."""
    module, _, name = case.jit.partition(":")
    function = getattr(importlib.import_module(module), name)
    while not hasattr(function, "arg_names"):
        function = function.fn
    constants = {key: _DTYPES.get(value, value) if isinstance(value, str) else value for key, value in case.constants.items()}
    names = function.arg_names
    constants |= {name: size for name, size in case.config.tiles.items() if name in names}
    missing = [n for n in names if n not in constants and n not in case.types]
    if missing:
        raise ValueError(f"{case.name}: no type for {', '.join(missing)}")
    source = ASTSource(
        fn=function,
        signature={n: "constexpr" if n in constants else case.types[n] for n in names},
        constexprs={(names.index(n),): value for n, value in constants.items()},
        attrs={(names.index(n),): [["tt.divisibility", 16]] for n in case.aligned},
    )
    options = {"num_warps": case.config.num_warps, "num_stages": case.config.num_stages, "enable_fp_fusion": True}
    return triton.compile(source, target=_TARGET, options=options)


def report(key: str, case: AotCase) -> Report:
    """Compile a case and read its machine code; `failures` says which of the case's limits it breaks."""
    kernel = compile_case(case)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage = _tool("cuobjdump", "--dump-resource-usage", file.name)
        code = _tool("nvdisasm", "-c", file.name)
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    if found is None:
        raise RuntimeError(f"{key}: cuobjdump reported no registers")
    registers, stack = int(found[1]), int(found[2])
    instructions, loop = _instructions(code)
    mix = Counter(instruction.split()[0] for instruction in instructions)
    threads, shared = 32 * case.config.num_warps, int(kernel.metadata.shared)
    made = Report(
        case=key,
        registers=registers,
        stack=stack,
        spills=sum(count for name, count in mix.items() if name.split(".")[0] in ("LDL", "STL")),
        shared=shared,
        instructions=len(instructions),
        loop_instructions=loop,
        instructions_per_element=round((loop or len(instructions)) * threads / case.elements, 1) if case.elements else 0.0,
        blocks_per_sm=min(_REGISTERS // (threads * -(-registers // 8) * 8), _THREADS // threads, _SHARED // (shared + 1024), _BLOCKS),
        tensor_core=sum(count for name, count in mix.items() if name.split(".")[0] in ("HGMMA", "HMMA", "IGMMA", "IMMA", "DMMA")),
        wide_loads=sum(count for name, count in mix.items() if name.startswith("LDG") and ".128" in name),
        failures=(),
    )
    return dataclasses.replace(made, failures=tuple(_failures(case, made, mix)))


def _failures(case: AotCase, made: Report, mix: Counter[str]) -> Iterator[str]:
    if made.spills > case.max_spills:
        yield f"{made.spills} spill instructions, at most {case.max_spills} are allowed"
    if case.max_spills and not case.spill_reason:
        yield "spills are allowed without a reason"
    limit = case.max_instructions_per_element
    if limit is not None and made.instructions_per_element > limit:
        yield f"{made.instructions_per_element} instructions per element, at most {limit:g} are allowed"
    for prefix in case.contains:
        if not any(name.startswith(prefix) for name in mix):
            yield f"no {prefix} instruction"


def _tool(name: str, *arguments: str) -> str:
    return subprocess.run([_TOOLS / name, *arguments], capture_output=True, text=True, check=True).stdout


def _instructions(code: str) -> tuple[list[str], int]:
    """The instructions in order, and the length of the longest loop body (0: no loop)."""
    instructions: list[str] = []
    labels: dict[str, int] = {}
    for line in code.splitlines():
        if label := _LABEL.match(line.strip()):
            labels[label[1]] = len(instructions)
        elif found := _INSTRUCTION.match(line):
            instructions.append(found[1])
    loop = 0
    for position, instruction in enumerate(instructions):
        if instruction.startswith("BRA"):
            for target in _TARGET_LABEL.findall(instruction):
                # The jump to itself that pads the end of a program is no loop.
                if labels.get(target, position) < position:
                    loop = max(loop, position - labels[target] + 1)
    return instructions, loop


def main(names: Sequence[str]) -> None:
    """Print a report a line for the ops of these names, or for all."""
    if interpreting():
        raise SystemExit("unset TRITON_INTERPRET: the interpreter and the compiler cannot share a process")
    for spec in specs(names or OPS):
        for key, case in cases(spec):
            print(json.dumps(dataclasses.asdict(report(key, case))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
