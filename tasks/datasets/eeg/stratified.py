"""Subjects -> splits, so that every class that can be is in all of them. What cannot be is left out by name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from tasks.datasets.text_splits import SPLITS, Split

HELD = 0.15
"""Share of the subjects that is test, and the share that is val."""
SHARES: Mapping[Split, float] = {"train": 1 - 2 * HELD, "val": HELD, "test": HELD}
LEAST: Mapping[Split, int] = {"train": 1, "val": 1, "test": 2}
"""Windows of a class that a split must have; test is halved, one half to compare and one to compare it with."""


def by_hash(subjects: Collection[str]) -> list[str]:
    """The subjects in an order that has nothing to do with their names or with who else is there: by SHA-256."""
    return sorted(set(subjects), key=lambda subject: hashlib.sha256(subject.encode()).hexdigest())


def held(count: int) -> int:
    """How many of so many subjects are val, and how many test."""
    return max(1, round(HELD * count))


def stratified(windows: Mapping[str, Mapping[str, int]]) -> dict[str, Split]:
    """Subject -> split, 70 : 15 : 15 of the windows of each class, the class of the fewest subjects first.

    `windows` counts those of each class of a subject. The subjects with most of a class go first, each to the split that is furthest from
    its share, so who dominates a class is in train (after Sechidis, Tsoumakas and Vlahavas 2011, iterative stratification); the last ones
    go to the splits that lack the class. Classes of fewer than three subjects play no part.
    """
    order = by_hash(windows)
    subjects = Counter(name for counts in windows.values() for name, count in counts.items() if count)
    usable = [name for name, count in subjects.items() if count >= len(SPLITS)]
    dealt: dict[str, Split] = {}
    for name in sorted(usable, key=lambda name: (subjects[name], name)):
        carriers = sorted((s for s in order if windows[s].get(name) and s not in dealt), key=lambda s: -windows[s][name])
        total = sum(counts.get(name, 0) for counts in windows.values())
        for place, subject in enumerate(carriers):
            has = {split: sum(windows[s].get(name, 0) for s, where in dealt.items() if where == split) for split in SPLITS}
            lacking = [split for split in SPLITS if has[split] < LEAST[split]]
            among = lacking if len(carriers) - place <= len(lacking) else SPLITS
            dealt[subject] = max(reversed(among), key=lambda split: SHARES[split] * total - has[split])
    rest = [subject for subject in order if subject not in dealt]
    for place, subject in enumerate(rest):
        has = {split: sum(where == split for where in dealt.values()) for split in SPLITS}
        empty = [split for split in SPLITS if not has[split]]
        among = empty if len(rest) - place <= len(empty) else SPLITS
        dealt[subject] = max(among, key=lambda split: SHARES[split] * len(order) - has[split])
    return dealt


def fitting(windows: Mapping[Split, Mapping[str, Mapping[str, int]]], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """The classes of `known` of which every split has enough, and a note on each of the others.

    `windows`: split -> subject -> class -> windows.
    """
    kept, notes, unseen = [], list[str](), []
    for name in known:
        counts = {split: Counter({subject: of[name] for subject, of in windows[split].items() if of.get(name)}) for split in SPLITS}
        owners = sum(counts.values(), Counter[str]())
        if all(counts[split].total() >= LEAST[split] for split in SPLITS):
            kept.append(name)
        elif not owners:
            unseen.append(name)
        else:
            split = ", ".join(f"{counts[split].total()} {split}" for split in SPLITS)
            least = ", ".join(str(LEAST[split]) for split in SPLITS[:-1]) + f" and {LEAST[SPLITS[-1]]}"
            most, share = owners.most_common(1)[0]
            several = f"{len(owners)} subjects or stretches have it, {most} {share} of {owners.total()}"
            of = several if len(owners) > 1 else f"only {most} has it"
            notes.append(f"class {name} is left out: {split} windows where it needs {least} ({of})")
    if unseen:
        notes.append(f"no window of {', '.join(unseen)}: left out of the classes")
    return kept, notes
