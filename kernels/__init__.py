"""The hot loops: each op has a reference in plain torch and Triton kernels, chosen by backend.

Importing this imports torch; Triton is imported when a kernel first runs. The function of an op hides the folder of the same name:
`kernels.group_rational` is the function, `from kernels.group_rational.op import ...` still finds the module.
"""

from kernels.diag_ssm_scan.op import diag_ssm_scan
from kernels.fake_quant.hadamard import block_hadamard, hadamard_128
from kernels.fake_quant.op import quest_fake_quant, quest_quantize, rowwise_absmax_fake_quant, rowwise_absmax_quantize
from kernels.gram_matmul.mmd import mmd2
from kernels.gram_matmul.op import gram_matmul
from kernels.group_rational.op import group_rational
from kernels.onehot_square.op import onehot_square
from kernels.stablemax_ce.op import stablemax_ce
from kernels.sym_matmul.op import newton_schulz, sym_matmul

__all__ = [
    "block_hadamard",
    "diag_ssm_scan",
    "gram_matmul",
    "group_rational",
    "hadamard_128",
    "mmd2",
    "newton_schulz",
    "onehot_square",
    "quest_fake_quant",
    "quest_quantize",
    "rowwise_absmax_fake_quant",
    "rowwise_absmax_quantize",
    "stablemax_ce",
    "sym_matmul",
]
