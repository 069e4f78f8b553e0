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
QUEST = "fake_quant/triton.py"
GRAM = "gram_matmul/triton.py"
STABLEMAX = "stablemax_ce/triton.py"
SQUARE = "onehot_square/triton.py"
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
        "tl.cdiv(rows, ROWS), tl.num_programs(1)",
        "tl.cdiv(rows, ROWS) - 1, tl.num_programs(1)",
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
    Mutation(
        "quest_fake_quant",
        QUEST,
        "formula: scale by the wrong power",
        "step = scale * (2.0 / steps)",
        "step = scale * (1.0 / steps)",
    ),
    Mutation("quest_fake_quant", QUEST, "formula: trust mask too wide", "<= trust", "<= 2.0 * trust"),
    Mutation(
        "quest_fake_quant",
        QUEST,
        "mask: rows",
        "inside = (row < rows)[:, None]\n    x_ptrs",
        "inside = (row < rows - 1)[:, None]\n    x_ptrs",
    ),
    Mutation("quest_fake_quant", QUEST, "reduction: sum of squares overwritten", "squares += x * x", "squares = x * x"),
    Mutation(
        "quest_fake_quant",
        QUEST,
        "gradient: mask ignored",
        "kept = tl.where(trusted != 0, dq, 0.0)",
        "kept = tl.where(trusted != 2, dq, 0.0)",
    ),
    Mutation(
        "quest_fake_quant",
        QUEST,
        "16-row tile: programs of the forward",
        '(triton.cdiv(rows, config.tiles["ROWS"]),)',
        "(triton.cdiv(rows, 64),)",
    ),
    Mutation(
        "quest_fake_quant",
        QUEST,
        "16-row tile: rows of the forward",
        "row = tl.program_id(0).to(tl.int64) * ROWS",
        "row = tl.program_id(0).to(tl.int64) * 64",
    ),
    Mutation(
        "quest_fake_quant", QUEST, "16-row tile: programs of the backward", 'triton.cdiv(rows, tiles["ROWS"])', "triton.cdiv(rows, 64)"
    ),
    Mutation(
        "quest_fake_quant", QUEST, "16-row tile: rows of the backward", "// chunks).to(tl.int64) * ROWS", "// chunks).to(tl.int64) * 64"
    ),
    Mutation(
        "sym_matmul", "sym_matmul/triton.py", "offset: mirror image not transposed", "tl.trans(made), mask=mirrored", "made, mask=mirrored"
    ),
    Mutation("sym_matmul", "sym_matmul/triton.py", "mask: inner axis", "within = (start + inner < n)", "within = (start + inner < n + 1)"),
    Mutation("sym_matmul", "sym_matmul/triton.py", "formula: addend unscaled", "total += beta * addend", "total += addend"),
    Mutation(
        "sym_matmul", "sym_matmul/triton.py", "offset: batch of the second matrix", "b_ptr += matrix * b_batch", "b_ptr += 0 * b_batch"
    ),
    Mutation(
        "newton_schulz",
        "sym_matmul/iteration.py",
        "formula: coefficients exchanged",
        "product(gram, None, c, b, gram), x, a)",
        "product(gram, None, b, c, gram), x, a)",
    ),
    Mutation(
        "newton_schulz",
        "sym_matmul/iteration.py",
        "formula: Gram update",
        "gram = product(update, half, 1.0, a, half)",
        "gram = product(update, half, 1.0, 0.0, half)",
    ),
    Mutation("gram_matmul", GRAM, "formula: distance", "- 2.0 * products", "- products"),
    Mutation(
        "gram_matmul",
        GRAM,
        "formula: ladder squares once too often",
        "e = e * e if LADDER",
        "e = e * e * e if LADDER",
    ),
    Mutation(
        "gram_matmul",
        GRAM,
        "mask: columns of v",
        "mask=(column < m)[:, None] & (channel < width)[None, :],",
        "mask=(column < m - 1)[:, None] & (channel < width)[None, :],",
    ),
    Mutation(
        "gram_matmul",
        GRAM,
        "reduction: row sums of W overwritten",
        "sums += tl.sum(pull, 1)",
        "sums = tl.sum(pull, 1)",
    ),
    Mutation("gram_matmul", GRAM, "offset: slice of the D axis", "axis = tl.program_id(1) * OUT", "axis = 0 * OUT"),
    Mutation(
        "gram_matmul",
        GRAM,
        "Gaussian: last term left out",
        "in tl.static_range(1, TERMS):\n        e =",
        "in tl.static_range(1, TERMS - 1):\n        e =",
    ),
    Mutation("gram_matmul", GRAM, "Gaussian: rate of another term", "-tl.load(mixture_ptr + q))", "-tl.load(mixture_ptr + q - 1))"),
    Mutation("gram_matmul", GRAM, "Gaussian: gradient without its rates", "tuple(-weight * gamma for", "tuple(-weight for"),
    Mutation("gram_matmul", GRAM, "Laplace: of squared distances", "distance = tl.sqrt(u)", "distance = tl.sqrt(u) if SLOPE else u"),
    Mutation("gram_matmul", GRAM, "Laplace: slope of the root", "2.0 * distance)) if SLOPE", "distance)) if SLOPE"),
    Mutation("gram_matmul", GRAM, "arc-cosine 0: order 1 instead", "return zeroth if KIND == 2", "return first if KIND == 2"),
    Mutation("gram_matmul", GRAM, "arc-cosine 0: sign of the gradient", "return steep if KIND == 2", "return -steep if KIND == 2"),
    Mutation("gram_matmul", GRAM, "arc-cosine 1: the NTK instead", "(first if KIND == 3", "(first + u * zeroth if KIND == 3"),
    Mutation("gram_matmul", GRAM, "arc-cosine 1: gradient of order 0", "(zeroth if KIND == 3", "(steep if KIND == 3"),
    Mutation("gram_matmul", GRAM, "arc-cosine: obtuse angles", "tl.where(u < 0.0, 3.141592653589793 - angle, angle)", "angle"),
    Mutation("gram_matmul", GRAM, "arc-cosine: a digit of the polynomial", "0.0889789874", "0.0889"),
    Mutation("gram_matmul", GRAM, "arc-cosine: no Newton step in float64", "if tl.float64 == COMPUTE:", "if tl.float64 != COMPUTE:"),
    Mutation("gram_matmul", GRAM, "relu NTK: correlation left out", "else first + u * zeroth)", "else first + zeroth)"),
    Mutation("gram_matmul", GRAM, "relu NTK: a term of the gradient", "2.0 * zeroth + u * steep", "zeroth + u * steep"),
    Mutation("gram_matmul", GRAM, "dual: one layer", "in range(0, layers)", "in range(0, 1)"),
    Mutation("gram_matmul", GRAM, "dual: order of the coefficients", "tl.load(mixture_ptr + TERMS - 1 - k)", "tl.load(mixture_ptr + k)"),
    Mutation("gram_matmul", GRAM, "dual: chain rule", "derivative *= slope", "derivative = slope"),
    Mutation("gram_matmul", GRAM, "dual: Horner's slope", "slope = slope * u + value", "slope = slope + value"),
    Mutation("mmd2", "gram_matmul/mmd.py", "formula: diagonal left in", "total = linear[0] - diagonal[0]", "total = linear[0]"),
    Mutation(
        "diag_ssm_scan",
        "diag_ssm_scan/triton.py",
        "formula: imaginary part of lam x",
        "u_real - lam_imaginary * imaginary",
        "u_real + lam_imaginary * imaginary",
    ),
    Mutation(
        "diag_ssm_scan",
        "diag_ssm_scan/triton.py",
        "offset: exponent of the span",
        "span[:, None] - 1 - span[None, :]",
        "span[:, None] - span[None, :]",
    ),
    Mutation(
        "diag_ssm_scan",
        "diag_ssm_scan/triton.py",
        "mask: end of time",
        "inside = mask & (span * STEPS + t < remaining)[:, None]\n        tile",
        "inside = mask & (span * STEPS + t < remaining - 1)[:, None]\n        tile",
    ),
    Mutation(
        "diag_ssm_scan",
        "diag_ssm_scan/triton.py",
        "reduction: gradient of lam",
        "sum_real = sum_real + real * x_real",
        "sum_real = real * x_real",
    ),
    Mutation("diag_ssm_scan", "diag_ssm_scan/triton.py", "reduction: one chunk of partials", "partial.sum((0, 1))", "partial[:, 0].sum(0)"),
    Mutation("stablemax_ce", STABLEMAX, "formula: s of negative logits", "tl.where(x < 0, inverse, magnitude)", "magnitude"),
    Mutation("stablemax_ce", STABLEMAX, "formula: slope of negative logits", "inverse * inverse, 1.0", "inverse, 1.0"),
    Mutation(
        "stablemax_ce",
        STABLEMAX,
        "formula: label counted in the rest",
        "== label[:, None], 0.0, s) - lost",
        "== label[:, None], s, s) - lost",
    ),
    Mutation("stablemax_ce", STABLEMAX, "gradient: sign at the label", "at_label = -dloss", "at_label = dloss"),
    Mutation("stablemax_ce", STABLEMAX, "gradient: dloss of another row", "tl.load(dloss_ptr + row,", "tl.load(dloss_ptr + row // 2,"),
    Mutation("stablemax_ce", STABLEMAX, "reduction: sum overwritten", "total = summed", "total = s"),
    Mutation(
        "stablemax_ce",
        STABLEMAX,
        "mask: classes of the backward",
        "(column < classes)[None, :]",
        "(column < classes - 1)[None, :]",
    ),
    Mutation("stablemax_ce", STABLEMAX, "mask: padding counts as a class", 'other=-float("inf")', "other=0.0"),
    Mutation(
        "stablemax_ce",
        STABLEMAX,
        "offset: rows one column short",
        "row[:, None] * classes + column",
        "row[:, None] * (classes - 1) + column",
    ),
    Mutation("stablemax_ce", "stablemax_ce/reference.py", "reference: slope at zero", "torch.where(x < 0, 1.0", "torch.where(x < 1, 1.0"),
    Mutation("onehot_square", SQUARE, "formula: second table forgotten", "u + v)", "u + u)"),
    Mutation("onehot_square", SQUARE, "formula: square left out", "tl.dot((h * h).to(w.dtype)", "tl.dot(h.to(w.dtype)"),
    Mutation("onehot_square", SQUARE, "gradient: slope of the square", "dh = 2.0 * h * pulled", "dh = h * pulled"),
    Mutation("onehot_square", SQUARE, "gradient: tables exchanged", "_scattered(row, second, dh, dv", "_scattered(row, first, dh, dv"),
    Mutation(
        "onehot_square",
        SQUARE,
        "gradient: readout of h, not of its square",
        "tl.trans((h * h).to(dout.dtype))",
        "tl.trans(h.to(dout.dtype))",
    ),
    Mutation(
        "onehot_square", SQUARE, "scatter: an half of float32 lost", "tl.dot(hot, dh - high, total,", "tl.dot(hot, high - high, total,"
    ),
    Mutation("onehot_square", SQUARE, "reduction: last tile of examples only", "dout, dw, input", "dout, 0.0 * dw, input"),
    Mutation("onehot_square", SQUARE, "offset: member of the tables", "v_ptr += member * rows * width", "v_ptr += 0 * rows * width"),
    Mutation("onehot_square", SQUARE, "offset: member of the pairs", "pairs_ptr + member * pairs_member", "pairs_ptr + 0 * pairs_member"),
    Mutation("onehot_square", SQUARE, "mask: examples", "inside = example < examples\n", "inside = example < examples + 1\n"),
    Mutation(
        "onehot_square",
        SQUARE,
        "mask: last class",
        "output < classes)[None, :]\n            dout",
        "output < classes - 1)[None, :]\n            dout",
    ),
    Mutation("onehot_square", SQUARE, "grid: last tile of rows", 'len(u) * count["WIDTH"] * count["ROWS"]', 'len(u) * count["WIDTH"] * 1'),
    Mutation("onehot_square", "onehot_square/reference.py", "reference: tables not summed", "(first + second)", "(first * second)"),
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
