"""On a real GPU: the same findings on the device, in bfloat16 too. Skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from kernels.spec import OPS, specs
from kernels.verify import findings

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("name", OPS)
def test_the_kernels_are_right_on_the_device(name: str) -> None:
    (spec,) = specs([name])
    wrong = [f"{finding.check} {finding.case}: {finding.detail}" for finding in findings(spec, torch.device("cuda")) if not finding.ok]
    assert wrong == []


@pytest.mark.parametrize("name", OPS)
def test_the_papers_shape_in_its_own_dtype(name: str) -> None:
    from kernels.verify import _accuracy

    (spec,) = specs([name])
    _accuracy(spec, spec.paper, spec.benchmark_dtype, torch.device("cuda"))
