"""What disks, networks and editors do to a file."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` whole, cut off, longer, with other bytes in a place, or something else altogether."""
    how = draw(st.sampled_from(["whole", "cut", "longer", "changed", "other"]))
    if how == "cut":
        return content[: draw(st.integers(0, len(content) - 1))]
    if how == "longer":
        return content + draw(st.binary(min_size=1, max_size=20))
    if how == "changed":
        at = draw(st.integers(0, len(content) - 1))
        new = draw(st.binary(min_size=1, max_size=8))
        return content[:at] + new + content[at + len(new) :]
    return draw(st.binary(max_size=200)) if how == "other" else content
