"""Does `python -m kernels check` notice a broken kernel? Breaks a copy of the package in one place at a time and lets it be verified.

    python tests/kernels/mutations.py [OP ...]

Prints a line a mutation, `caught` with the finding that turned red or `SURVIVED`; exit code 1 when one survived. Too slow for every CI
run (each mutation interprets an op), so it is run by hand when checks or kernels change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutation:
    """One edit: the first `old` in kernels/<file> becomes `new`."""

    op: str
    file: str
    kind: str
    old: str
    new: str


RATIONAL = "group_rational/triton.py"
MUTATIONS = (
    Mutation("group_rational", RATIONAL, "formula: a power of P' too many", "5.0 * a5 * x", "4.0 * a5 * x"),
    Mutation("group_rational", RATIONAL, "formula: sign of Q' lost", "+ b1) * sign", "+ b1)"),
    Mutation(
        "group_rational",
        RATIONAL,
        "formula: |b| forgotten",
        "b2 = tl.abs(tl.load(denominator_ptr + group * 4 + 1)",
        "b2 = (tl.load(denominator_ptr + group * 4 + 1)",
    ),
    Mutation(
        "group_rational",
        RATIONAL,
        "mask: rows",
        "(row < rows)[:, None] & (column < group_width)[None, :]",
        "(row < rows + 1)[:, None] & (column < group_width)[None, :]",
    ),
    Mutation(
        "group_rational",
        RATIONAL,
        "mask: columns of the backward",
        "in_group = (column < group_width)[None, :]",
        "in_group = (column < group_width + 1)[None, :]",
    ),
    Mutation("group_rational", RATIONAL, "offset: group", "+ group * group_width\n    offset", "+ group * (group_width - 1)\n    offset"),
    Mutation("group_rational", RATIONAL, "offset: coefficient row", "numerator_ptr + group * 6 + 3", "numerator_ptr + group * 5 + 3"),
    Mutation(
        "group_rational",
        RATIONAL,
        "reduction: last tile skipped",
        "tl.cdiv(rows, ROWS), tl.num_programs(0)",
        "tl.cdiv(rows, ROWS) - 1, tl.num_programs(0)",
    ),
    Mutation("group_rational", RATIONAL, "reduction: sum overwritten", "da4 += h * fourth", "da4 = h * fourth"),
    Mutation("group_rational", RATIONAL, "reduction: partials of one column tile only", "partial.sum((0, 2))", "partial[:, :, 0].sum(0)"),
    Mutation(
        "group_rational",
        RATIONAL,
        "reduction: an atomic left out",
        "tl.atomic_add(sums + 7, hy * square, mask=mask)",
        "tl.atomic_add(sums + 7, hy * u, mask=mask)",
    ),
    Mutation("group_rational", "group_rational/op.py", "gradient: sign of b", "denominator >= 0, -1.0, 1.0", "denominator >= 0, 1.0, -1.0"),
    Mutation(
        "group_rational",
        "group_rational/op.py",
        "layout: strides ignored",
        "x.contiguous().view(-1, width), numerator",
        "x.as_strided(x.shape, (width, 1)).view(-1, width), numerator",
    ),
    Mutation("group_rational", "group_rational/reference.py", "reference: a coefficient swapped", "top = a[:, 5]", "top = a[:, 4]"),
)


def caught_by(mutation: Mutation) -> str:
    """The first finding that turns red, empty when all stay green."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "kernels"
        shutil.copytree(ROOT / "kernels", package, ignore=shutil.ignore_patterns("__pycache__"))
        path = package / mutation.file
        source = path.read_text()
        if mutation.old not in source:
            raise SystemExit(f"{mutation.file} no longer has {mutation.old!r}: mend the list")
        path.write_text(source.replace(mutation.old, mutation.new, 1))
        environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": folder}
        command = [sys.executable, "-m", "kernels.verify", "cpu", mutation.op]
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                finding = json.loads(line)
                if not finding["ok"]:
                    process.kill()
                    return f"{finding['check']} ({finding['case']}): {finding['detail']}"
            return "" if process.wait() == 0 else "the process died"


def main(ops: list[str]) -> int:
    """Try the mutations of these ops, or all."""
    survived = 0
    for mutation in MUTATIONS:
        if ops and mutation.op not in ops:
            continue
        finding = caught_by(mutation)
        survived += not finding
        print(f"{'caught' if finding else 'SURVIVED':<9} {mutation.op:<24} {mutation.kind:<44} {finding[:120]}", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
