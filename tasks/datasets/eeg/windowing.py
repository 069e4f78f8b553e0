"""Where windows may lie: inside what is annotated with one class, away from every other class and from bad stretches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.datasets.eeg.annotations import Annotation, Span, Stretch

_CLOSE = 1e-6
"""Seconds that do not count: times are rounded in tables."""


@dataclass
class Plan:
    """Windows of one recording, in the order of their starts."""

    starts: list[float] = field(default_factory=list)
    """Seconds."""
    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_windows(annotations: Sequence[tuple[str, Annotation]], bad: Sequence[Stretch], name: str, *, length: float, stride: float) -> Plan:
    """Windows of `length` seconds, `stride` apart, in the spans that the annotations of a class, (class, annotation), cover together.

    A window that another class covers too is left out, and so is one with a bad stretch; a note each says where and how many.
    """
    by_class: dict[str, list[Annotation]] = {}
    for found, annotation in annotations:
        by_class.setdefault(found, []).append(annotation)
    spans = {found: merged((a.start, a.stop) for a in members) for found, members in by_class.items()}
    candidates = sorted((start, found) for found in spans for span in spans[found] for start in _starts(span, length, stride))
    plan, torn = Plan(), []
    spoilt: dict[int, int] = {}
    for start, found in candidates:
        window = (start, start + length)
        if any(_overlap(window, span) for other in spans if other != found for span in spans[other]):
            torn.append((window, found))
        elif (place := next((i for i, s in enumerate(bad) if _overlap(window, (s.start, s.stop))), None)) is not None:
            spoilt[place] = spoilt.get(place, 0) + 1
        else:
            plan.starts.append(start)
            plan.classes.append(found)
    plan.notes += [f"{name}: {bad[place]}: {_windows(count)} left out" for place, count in spoilt.items()]
    if torn:
        plan.notes.append(f"{name}: {_both(by_class, *torn[0])} overlap: {_windows(len(torn))} of two classes left out")
    if not candidates:
        plan.notes.append(f"{name}: none of its {len(annotations)} annotations of a class lasts {length:g} s; no window is there")
    return plan


def merged(spans: Iterable[Span]) -> list[Span]:
    """The union of spans, in order; spans that touch become one."""
    out: list[Span] = []
    for start, stop in sorted(spans):
        if out and start <= out[-1][1] + _CLOSE:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out


def _starts(span: Span, length: float, stride: float) -> list[float]:
    count = int((span[1] - span[0] - length + _CLOSE) // stride) + 1 if span[1] - span[0] >= length - _CLOSE else 0
    return [span[0] + index * stride for index in range(count)]


def _overlap(one: Span, other: Span) -> bool:
    return min(one[1], other[1]) - max(one[0], other[0]) > _CLOSE


def _both(by_class: Mapping[str, Sequence[Annotation]], window: Span, found: str) -> str:
    """The first annotation of the window's own class in it and the first of another."""
    inside = [(kind, a) for kind, members in by_class.items() for a in members if _overlap(window, (a.start, a.stop))]
    own, other = (next(a for kind, a in inside if (kind == found) is wanted) for wanted in (True, False))
    return f"{own} and {other}" if own is not other else str(own)


def _windows(count: int) -> str:
    return f"{count} window{'s' if count != 1 else ''}"
