"""On a real GPU: the same findings on the device, in bfloat16 too. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from kernels.spec import OPS, specs
from kernels.verify import findings

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("name", OPS)
def test_the_kernels_are_right_on_the_device(name: str, record_property: Callable[[str, object], None]) -> None:
    (spec,) = specs([name])
    found = list(findings(spec, torch.device("cuda")))
    for finding in found:
        record_property(f"{finding.check}: {finding.case}", f"{'ok' if finding.ok else 'FAIL'}: {finding.detail}")
    assert [f"{finding.check} {finding.case}: {finding.detail}" for finding in found if not finding.ok] == []


@pytest.mark.parametrize("name", OPS)
def test_the_papers_shape_in_its_own_dtype(name: str, record_property: Callable[[str, object], None]) -> None:
    from kernels.verify import _accuracy

    (spec,) = specs([name])
    record_property("accuracy", _accuracy(spec, spec.paper, spec.benchmark_dtype, torch.device("cuda")))
