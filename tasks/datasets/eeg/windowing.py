"""Where windows may lie: inside events of one class, or around their onsets; never where bad stretches are."""

from __future__ import annotations

from collections import Counter
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
    tally: dict[str, Counter[str]] = field(default_factory=dict)
    """Class -> how many events there are, how many windows they give, and how many give none for which reason."""


def plan_windows(annotations: Sequence[tuple[str, Annotation]], bad: Sequence[Stretch], name: str, *, length: float, stride: float) -> Plan:
    """Windows of `length` seconds, `stride` apart, in the spans that the annotations of a class, (class, annotation), cover together.

    A window that another class covers too is left out, and so is one with a bad stretch; a note each says where and how many.
    """
    by_class, spans = _events(annotations)
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
    for found, events in spans.items():
        kept = [start for start, kind in zip(plan.starts, plan.classes, strict=True) if kind == found]
        shared = [window[0] for window, kind in torn if kind == found]
        reasons = (_reason(event, kept, shared, length) for event in events)
        plan.tally[found] = Counter({"events": len(events), "windows": plan.classes.count(found)}) + Counter(filter(None, reasons))
    plan.notes += [f"{name}: {bad[place]}: {_windows(count)} left out" for place, count in spoilt.items()]
    if torn:
        plan.notes.append(f"{name}: {_both(by_class, *torn[0])} overlap: {_windows(len(torn))} of two classes left out")
    if not candidates:
        plan.notes.append(f"{name}: none of its {len(annotations)} annotations of a class lasts {length:g} s; no window is there")
    return plan


def plan_at_onsets(
    annotations: Sequence[tuple[str, Annotation]],
    bad: Sequence[Stretch],
    recorded: Sequence[Span],
    name: str,
    *,
    length: float,
    before: float,
) -> Plan:
    """A window of `length` seconds from `before` seconds ahead of each event, whatever else happens in it; the paper's rule.

    An event is what annotations of a class, on whichever channels, cover together. A window that begins before the recording is moved to
    its first sample. One that overlaps an earlier window is left out, of whichever class: the same second would count twice.
    """
    by_class, spans = _events(annotations)
    plan = Plan(tally={found: Counter({"events": len(events)}) for found, events in spans.items()})
    end = float("-inf")
    for onset, found in sorted((event[0], found) for found, events in spans.items() for event in events):
        low, high = next(((low, high) for low, high in recorded if low - _CLOSE <= onset < high), (onset, onset))
        start = max(low, onset - before)
        window, tally = (start, start + length), plan.tally[found]
        if window[1] > high + _CLOSE:
            tally["whose window ends after the recording"] += 1
        elif any(_overlap(window, (s.start, s.stop)) for s in bad):
            tally["in bad stretches"] += 1
        elif start < end - _CLOSE:
            tally["within the window of an earlier event"] += 1
        else:
            plan.starts.append(start)
            plan.classes.append(found)
            tally["windows"] += 1
            end = window[1]
    if not by_class:
        plan.notes.append(f"{name}: none of its annotations is of a class; no window is there")
    return plan


def accounts(tallies: Iterable[Mapping[str, Counter[str]]], rule: str) -> str:
    """A sentence on what a rule takes and leaves of the events of each class."""
    total: dict[str, Counter[str]] = {}
    for tally in tallies:
        for found, counts in tally.items():
            total.setdefault(found, Counter()).update(counts)
    parts = []
    for found, counts in sorted(total.items()):
        reasons = [f"{count} {reason}" for reason, count in sorted(counts.items()) if reason not in ("events", "windows")]
        left = f", none from {' and '.join(reasons)}" if reasons else ""
        parts.append(f"{found} {_windows(counts['windows'])} from {counts['events']} events{left}")
    return f"{rule}: {'; '.join(parts)}"


def merged(spans: Iterable[Span]) -> list[Span]:
    """The union of spans, in order; spans that touch become one."""
    out: list[Span] = []
    for start, stop in sorted(spans):
        if out and start <= out[-1][1] + _CLOSE:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out


def _events(annotations: Sequence[tuple[str, Annotation]]) -> tuple[dict[str, list[Annotation]], dict[str, list[Span]]]:
    """The annotations of each class, and the spans that they cover together."""
    by_class: dict[str, list[Annotation]] = {}
    for found, annotation in annotations:
        by_class.setdefault(found, []).append(annotation)
    return by_class, {found: merged((a.start, a.stop) for a in members) for found, members in by_class.items()}


def _reason(event: Span, kept: Sequence[float], shared: Sequence[float], length: float) -> str:
    """Why an event gives no window, of the starts that are kept and those under another class too; empty where it gives one."""
    if event[1] - event[0] < length - _CLOSE:
        return f"shorter than {length:g} s"

    def holds(starts: Sequence[float]) -> bool:
        return any(event[0] - _CLOSE <= start < event[1] for start in starts)

    return "" if holds(kept) else "under another class" if holds(shared) else "in bad stretches"


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
