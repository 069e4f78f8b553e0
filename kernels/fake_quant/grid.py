"""The quantization grids: how many levels a number of bits gives, and where a Gaussian is best clipped."""

from __future__ import annotations

CLIPS = {1: 0.79788456, 1.585: 1.2240047, 2: 1.49353, 3: 2.05107, 4: 2.51393, 5: 2.91609, 6: 3.27660, 7: 3.60105, 8: 3.88494}
"""Bits -> the clip, in standard deviations, at which a uniform grid of end points +-clip has the least squared error on N(0, 1).

1.585 bits are three levels. Source: QuEST's published table (arXiv 2502.05003). The tests find the clips again by minimisation: up to 5
bits they are the optimum; at 6, 7 and 8 bits the published numbers stop short of it (3.2780, 3.6111, 3.9222), at a cost of less than
1 % in squared error. They are kept as published.
"""


def levels(bits: float) -> int:
    """2^bits points, 3 for 1.585 bits; ValueError for bits without a clip in the table."""
    if bits not in CLIPS:
        raise ValueError(f"quest_fake_quant: bits must be one of {', '.join(f'{b:g}' for b in CLIPS)}, not {bits!r}")
    return 3 if bits == 1.585 else 2 ** int(bits)


def offset(bits: float) -> float:
    """Where the grid lies: an even number of levels straddles zero (points at step (k + 1/2)), an odd one has a level at zero."""
    return 0.5 if levels(bits) % 2 == 0 else 0.0


def largest_level(bits: int) -> int:
    """The largest level of the symmetric grid: 2^(bits-1) - 1; ValueError outside 2 to 8 bits."""
    if bits not in range(2, 9):
        raise ValueError(f"rowwise_absmax: bits must be an integer from 2 to 8, not {bits!r}")
    return int(2 ** (bits - 1) - 1)
