"""`python -m kernels check`: machine code is held against its limits and its snapshot, and red anywhere is exit code 1."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernels import check, configs, document
from kernels.spec import OPS, specs

REPORT = {
    "case": "group_rational/forward/default",
    "registers": 40,
    "stack": 0,
    "spills": 0,
    "shared": 0,
    "instructions_per_element": 26.5,
    "blocks_per_sm": 12,
    "tensor_core": 0,
    "wide_loads": 2,
    "failures": [],
}


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "snapshot.json"
    monkeypatch.setattr(check, "SNAPSHOT", path)
    check._write_snapshot([REPORT], keep=set())
    return path


def _problems(capsys: pytest.CaptureFixture[str], reports: list[dict[str, Any]]) -> str:
    capsys.readouterr()
    failures = check._compare(reports, ["group_rational"])
    said = capsys.readouterr().out
    assert failures == said.count("FAIL")
    return said


def test_the_same_machine_code_passes(snapshot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "FAIL" not in _problems(capsys, [REPORT])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"registers": 41}, "registers 40 -> 41"),
        ({"wide_loads": 0}, "wide_loads 2 -> 0"),
        ({"failures": ["6 spill instructions, at most 0 are allowed"]}, "6 spill instructions"),
        ({"case": "group_rational/another/default"}, "not in the snapshot"),
    ],
)
def test_drift_and_broken_limits_fail(snapshot: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], says: str) -> None:
    said = _problems(capsys, [REPORT | change])
    assert "FAIL" in said
    assert says in said


def test_a_case_that_vanished_fails(snapshot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no longer compiled" in _problems(capsys, [])


def test_under_another_triton_limits_hold_and_drift_is_not_judged(snapshot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot.write_text(json.dumps(json.loads(snapshot.read_text()) | {"triton": "1.0"}))
    assert "FAIL" not in _problems(capsys, [REPORT | {"registers": 41}])
    assert "FAIL" in _problems(capsys, [REPORT | {"failures": ["6 spill instructions"]}])


def test_an_op_that_nothing_verified_is_red() -> None:
    assert check._unproven(["group_rational"], [{"op": "group_rational", "check": "opcheck"}]) == 1
    assert check._unproven(["group_rational"], [{"op": "group_rational", "check": "accuracy"}]) == 0


def test_the_page_of_the_kernels_is_what_the_specs_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert document.is_current()
    changed = tmp_path / "README.md"
    changed.write_text(document.README.read_text().replace("group_rational", "grouped_rational"))
    monkeypatch.setattr(document, "README", changed)
    assert not document.is_current()
    document.write()
    assert document.is_current()


def test_every_spec_is_whole() -> None:
    for spec in specs():
        assert spec.paper
        assert len(spec.neighbours) >= 2
        assert {f"d_{name}" for name in spec.differentiable} <= set(next(iter(spec.tolerances.values())))
        names = [kernel.tunable.kernel for kernel in spec.kernels]
        assert len(set(names)) == len(names)
        for kernel in spec.kernels:
            assert len({str(config) for config in kernel.tunable.candidates}) == len(kernel.tunable.candidates)
            assert all(config in kernel.tunable.candidates for config in kernel.proven)
    assert len({spec.name for spec in specs()}) == len(OPS)


def test_no_config_outlives_its_kernel() -> None:
    tunables = {kernel.tunable.kernel for spec in specs() for kernel in spec.kernels}
    for device in configs.measured_devices():
        assert configs.load(device).keys() <= tunables


COMPILED = """
import dataclasses, json
from kernels.aot import cases, report
from kernels.spec import specs
(key, case), *_ = [pair for pair in cases(specs(["group_rational"])[0]) if "backward" in pair[0]]
for changed in (case, dataclasses.replace(case, max_instructions_per_element=1.0, contains=("HGMMA",)),
                dataclasses.replace(case, config=dataclasses.replace(case.config, tiles={"ROWS": 32, "COLUMNS": 128}))):
    print(json.dumps(dataclasses.asdict(report(key, changed))))
"""


def test_the_compiler_reports_what_the_code_does_not_keep() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True, check=True)
    kept, limited, crowded = (json.loads(line) for line in done.stdout.splitlines())
    assert kept["failures"] == []
    assert 0 < kept["instructions_per_element"] <= 60
    assert "HGMMA" in limited["failures"][1]
    assert "at most 1 are allowed" in limited["failures"][0]
    # Four times the accumulators do not fit: ten sums of 32 elements a thread.
    assert crowded["spills"] > 0
    assert "spill instructions" in crowded["failures"][0]


def test_the_compiler_refuses_the_interpreter() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-m", "kernels.aot", "group_rational"], env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "unset TRITON_INTERPRET" in done.stderr


def test_an_unknown_op_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, "-m", "kernels", "check", "group_rationale"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown op 'group_rationale'; choose among group_rational" in done.stderr


def test_reports_hold_every_figure_of_the_snapshot() -> None:
    from kernels.check import _EXACT

    names = "import dataclasses, json; from kernels.aot import Report; print(json.dumps([f.name for f in dataclasses.fields(Report)]))"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    fields = json.loads(subprocess.run([sys.executable, "-c", names], env=environment, capture_output=True, text=True, check=True).stdout)
    assert set(_EXACT) <= set(fields)
    assert dataclasses.is_dataclass(specs(["group_rational"])[0])
