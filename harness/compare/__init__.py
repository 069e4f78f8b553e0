"""Two studies against each other: what became better or worse, which verdicts turned, and whether that can be judged at all."""

from harness.compare.changes import Change
from harness.compare.comparability import ALLOWED
from harness.compare.comparison import Comparison, compare
from harness.compare.family import LEVEL, Tolerance
from harness.compare.turns import Turn

__all__ = ["ALLOWED", "LEVEL", "Change", "Comparison", "Tolerance", "Turn", "compare"]
