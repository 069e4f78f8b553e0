"""`python -m kernels check`: are the numbers right, and is the machine code what it was.

Two processes side by side: Triton's interpreter verifies numbers on the CPU (on a machine with a GPU the kernels run there instead), the
compiler builds every case for sm_90 and its figures are held against `snapshot.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from kernels import document
from kernels.spec import OPS, specs

SNAPSHOT = Path(__file__).with_name("snapshot.json")
_EXACT = ("registers", "stack", "spills", "shared", "instructions_per_element", "blocks_per_sm", "tensor_core", "wide_loads")


def run(names: Sequence[str], *, update: bool) -> int:
    """Print every finding; 0 when all is right, 1 otherwise. `update` first writes the snapshot and the table of ops."""
    known = [spec.name for spec in specs(names or OPS)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with ThreadPoolExecutor(2) as pool:
        numbers = pool.submit(_lines, ["kernels.verify", device, *known], interpret=device == "cpu")
        code = pool.submit(_lines, ["kernels.aot", *known], interpret=False)
        findings, reports = numbers.result(), code.result()
    failures = sum(_show(f["ok"], f"{f['op']}: {f['check']}", f"{f['case']}: {f['detail']}") for f in findings)
    failures += _unproven(known, findings)
    if update:
        _write_snapshot(reports, keep=set(OPS) - set(known))
        document.write()
    failures += _compare(reports, known)
    failures += _show(document.is_current(), "table of ops", "kernels/README.md is what the specs say (mend with `check --update`)")
    place = "interpreter" if device == "cpu" else torch.cuda.get_device_name()
    print(f"{len(findings)} findings about numbers ({place}), {len(reports)} kernels compiled for sm_90, {failures} failures")
    return 1 if failures else 0


def _lines(module: Sequence[str], *, interpret: bool) -> list[dict[str, Any]]:
    """The JSON lines that a module of this package prints."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"OMP_NUM_THREADS": "1"} | ({"TRITON_INTERPRET": "1"} if interpret else {})
    done = subprocess.run([sys.executable, "-m", *module], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"python -m {' '.join(module)} failed:\n{done.stderr[-4000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _show(ok: bool, what: str, detail: str) -> int:
    """Print one line; 1 when it is a failure."""
    print(f"{'ok  ' if ok else 'FAIL'} {what:<48} {detail}")
    return 0 if ok else 1


def _unproven(names: Sequence[str], findings: Sequence[Mapping[str, Any]]) -> int:
    """An op without a single accuracy finding was not verified, however green the rest is."""
    proven = {finding["op"] for finding in findings if finding["check"] == "accuracy"}
    return sum(_show(False, f"{name}: accuracy", "nothing was verified") for name in names if name not in proven)


def _compare(reports: Sequence[Mapping[str, Any]], names: Sequence[str]) -> int:
    """Limits of each case, and drift from the snapshot where the same Triton made it."""
    import triton

    snapshot: dict[str, Any] = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {"triton": "", "cases": {}}
    same_compiler = snapshot["triton"] == triton.__version__
    failures = 0
    for report in reports:
        problems = list(report["failures"])
        before = snapshot["cases"].get(report["case"])
        if before is None:
            problems.append("not in the snapshot: look at it, then `check --update`")
        elif same_compiler:
            problems += [f"{key} {before[key]} -> {report[key]}" for key in _EXACT if before[key] != report[key]]
        detail = (
            f"{report['registers']} registers, {report['spills']} spills, {report['shared']} B shared, "
            f"{report['blocks_per_sm']} blocks an SM, {report['tensor_core']} tensor-core instructions"
        )
        detail += f", {report['instructions_per_element']} instructions an element" if report["instructions_per_element"] else ""
        failures += _show(not problems, report["case"], "; ".join([detail, *problems]))
    compiled = {report["case"] for report in reports}
    for case in snapshot["cases"]:
        if case.split("/")[0] in names and case not in compiled:
            failures += _show(False, case, "in the snapshot, but no longer compiled")
    if not same_compiler:
        print(f"     the snapshot is of Triton {snapshot['triton']}, this is {triton.__version__}: limits were checked, drift was not")
    return failures


def _write_snapshot(reports: Sequence[Mapping[str, Any]], keep: set[str]) -> None:
    """Replace the figures of the ops that were compiled; those of the others stay."""
    import triton

    before = json.loads(SNAPSHOT.read_text())["cases"] if SNAPSHOT.exists() else {}
    cases = {case: figures for case, figures in before.items() if case.split("/")[0] in keep}
    cases |= {report["case"]: {key: report[key] for key in _EXACT} for report in reports}
    content = {"triton": triton.__version__, "target": "sm_90", "cases": dict(sorted(cases.items()))}
    temporary = SNAPSHOT.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.rename(SNAPSHOT)
