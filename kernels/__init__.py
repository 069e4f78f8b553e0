"""The hot loops: each op has a reference in plain torch and Triton kernels, chosen by backend.

Importing this imports torch; Triton is imported when a kernel first runs. The function of an op hides the folder of the same name:
`kernels.group_rational` is the function, `from kernels.group_rational.op import ...` still finds the module.
"""

from kernels.group_rational.op import group_rational

__all__ = ["group_rational"]
