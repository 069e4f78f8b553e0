"""Verdicts counted: the paper's own claims apart from ours, a sentence that was split once, and what chance alone would give."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from harness.stats import Interval, Side
    from harness.task import Task

KINDS = ("paper", "extension", "control", "check")
_NAMES = {"paper": "the paper's claims", "extension": "our extensions", "control": "controls", "check": "checks"}
_WORDS = {"reproduced": "holds", "not reproduced": "does not hold", "inconclusive": "undecided", "not tested": "not tested"}
BOUNDS: Mapping[Side, str] = {"at least": ">=", "at most": "<=", "between": "range", "unknown": "?"}
"""How tables mark a mean that is only a bound."""
MOST_NAMED = 5
"""Claims that one sentence names."""
_ORDER = ("not reproduced", "inconclusive", "reproduced")


class Judged(Protocol):
    """What counting needs of a verdict, or of a line of `verdicts.csv`."""

    @property
    def task(self) -> str: ...  # noqa: D102 - the fields of a verdict
    @property
    def scale(self) -> str: ...  # noqa: D102
    @property
    def claim(self) -> str: ...  # noqa: D102
    @property
    def verdict(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def by_chance(self) -> float: ...  # noqa: D102
    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def lost(self) -> int: ...  # noqa: D102
    @property
    def missed(self) -> bool: ...  # noqa: D102


J = TypeVar("J", bound=Judged)


@dataclass(frozen=True)
class Line:
    """A line of `verdicts.csv`; of one that was written before claims had kinds, all are the paper's."""

    task: str
    scale: str
    claim: str
    verdict: str
    kind: str = "paper"
    group: str = ""
    by_chance: float = 0.0
    n: int = 0
    lost: int = 0
    missed: bool = False
    """Not tested, although the scale holds what it needs: not asked for, nothing left of it, or it stands on what fails."""
    reason: str = ""
    cells: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The whole row, by heading."""
    outdated: str = ""
    """Of which claim or version the study judged, where it is not today's: the claim is then not tested."""
    before: Line | None = field(default=None, compare=False, repr=False)
    """The line as the study has it, where it is outdated."""

    @property
    def estimate(self) -> str:
        """The estimate with its interval and unit, as the study's own tables have it; a dash where there is none."""
        interval = interval_of(self.cells)
        return "–" if interval is None else f"{interval} {self.cells.get('unit', '')}".strip()

    @property
    def settings(self) -> str:
        """With which values its trials are not those of the scale; empty where they are, and in tables of before."""
        return self.cells.get("settings") or ""

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Line:
        """The line from its cells by heading. KeyError without one that every table has.

        Tables of before call a claim inconclusive that lost every seed: it is not tested. They tell what was missed by its seeds alone.
        """
        kind, group, chance_alone = (row.get(name) for name in ("kind", "group", "by_chance"))
        n, lost = (int(float(row.get(name) or 0)) for name in ("n", "lost"))
        verdict = "not tested" if row["verdict"] == "inconclusive" and lost and not n else row["verdict"]
        missed = verdict == "not tested" and (n + lost > 0 if row.get("missed") is None else row["missed"] == "True")
        named = row["task"], row["scale"], row["claim"], verdict
        return cls(*named, kind or "paper", group or "", float(chance_alone or 0.0), n, lost, missed, row.get("reason") or "", row)


def number_or_none(text: str) -> float | None:
    """A cell's number; None where it is empty, NaN or infinite."""
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def interval_of(cells: Mapping[str, str]) -> Interval | None:
    """The estimate of a row of `verdicts.csv` or `leaderboard.csv` with its interval; None where the row has none."""
    estimate, low, high = (number_or_none(cells.get(name, "")) for name in ("estimate", "low", "high"))
    if estimate is None:
        return None
    from harness.stats import Interval

    side: Side = next((side for side, mark in BOUNDS.items() if mark == cells.get("bound")), "exact")
    n = int(float(cells.get("n") or 0))
    return Interval(estimate, -math.inf if low is None else low, math.inf if high is None else high, n, side)


def lines(table: str) -> list[Line]:
    """The lines of a whole `verdicts.csv`. KeyError, ValueError or csv.Error where it is none."""
    return [Line.of(row) for row in csv.DictReader(io.StringIO(table))]


def outcome(kind: str, verdict: str) -> str:
    """A verdict in words: only what a paper claims can be reproduced, what we added holds or does not."""
    return verdict if kind == "paper" else _WORDS[verdict]


def lost_every_seed(judged: Judged) -> bool:
    """Whether a claim is not tested because none of its seeds gave a number, although trials of it have ended."""
    return judged.verdict == "not tested" and judged.lost > 0 and not judged.n


def was_tried(judged: Judged) -> bool:
    """Whether trials behind a claim have ended: it was tested, or lost every seed."""
    return judged.verdict != "not tested" or lost_every_seed(judged)


def sentences(verdicts: Sequence[Judged]) -> list[str]:
    """The verdict of each sentence: claims of one group count once, as the one that serves the sentence least.

    A part that the scale does not test is passed over. One that it tests and this study does not leaves the sentence undecided at best.
    """
    return [verdict for verdict, _ in by_sentence(verdicts)]


def by_sentence(verdicts: Sequence[J]) -> list[tuple[str, list[J]]]:
    """The verdict of each sentence, as `sentences` says, with the claims that it is made of."""
    return [(_of(parts), parts) for parts in _by_sentence(verdicts)]


def _of(parts: Sequence[Judged]) -> str:
    found = min((v.verdict for v in parts if v.verdict in _ORDER), key=_ORDER.index, default="not tested")
    return "inconclusive" if found == "reproduced" and any(part.missed for part in parts) else found


def chance(verdicts: Sequence[Judged]) -> float:
    """How many sentences chance alone would call reproduced, at most, were there no effect in any: all parts of one have to be."""
    tested = [v for v in verdicts if v.verdict != "not tested"]
    return math.fsum(min(v.by_chance for v in parts) for parts in _by_sentence(tested))


def _by_sentence(verdicts: Sequence[J]) -> list[list[J]]:
    groups: dict[tuple[str, ...], list[J]] = {}
    for v in verdicts:
        key = (v.task, v.scale, "group", v.group) if v.group else (v.task, v.scale, "claim", v.claim)
        groups.setdefault(key, []).append(v)
    return list(groups.values())


def outdated(lines: Sequence[Line]) -> str:
    """` (C1, C2: of version 1; the task is at version 2)`: claims that are not tested because others were judged; nothing without any."""
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line.outdated.partition(":")[0], []).append(line.claim)
    return "".join(f" ({listed(claims)}: {why})" for why, claims in found.items() if why)


def of_version(version: str, task: Task) -> str:
    """`of version 1; the task is at version 2`: of trials, or of what was found by them, where the task has gone on."""
    return f"of version{'s' if ',' in version else ''} {version}; the task is at version {task.version}"


def of_settings(settings: str, scale: str) -> str:
    """`with inputs=3 (--set), which scale smoke does not have`: of trials, or of what was found by them."""
    return f"with {settings} (--set), which scale {scale} does not have"


def listed(claims: Sequence[str]) -> str:
    """The first few of some claims."""
    return f"{', '.join(claims[:MOST_NAMED])}{' ...' if claims[MOST_NAMED:] else ''}"


def tally(verdicts: Sequence[Judged]) -> str:
    """`the paper's claims: 5 of 8 tested, 3 reproduced, 2 inconclusive (by chance alone 0.1); controls: 2 of 2 tested, 2 hold`."""
    parts = []
    for kind in KINDS:
        own = [v for v in verdicts if v.kind == kind]
        if own:
            parts.append(f"{_NAMES[kind]}: {counts(kind, own)}")
    return "; ".join(parts) or "no claims"


def counts(kind: str, verdicts: Sequence[Judged]) -> str:
    """`5 of 8 tested, 3 reproduced, 2 inconclusive (by chance alone 0.1)` of one kind; `5 of 8 sentences (11 claims)` where fewer.

    Claims of which every seed was lost are named.
    """
    found = Counter(sentences(verdicts))
    total, tested = sum(found.values()), sum(found.values()) - found["not tested"]
    by_outcome = [
        f"{found[name]} {plural(outcome(kind, name), found[name])}"
        for name in ("reproduced", "not reproduced", "inconclusive")
        if found[name]
    ]
    expected = chance(verdicts) if kind == "paper" else 0.0
    alone = f" (by chance alone {expected:.2g})" if expected >= 0.05 else ""
    what = f" {'sentences' if total > 1 else 'sentence'} ({len(verdicts)} claims)" if total < len(verdicts) else ""
    lost = [v.claim for v in verdicts if lost_every_seed(v)]
    named = f"; every seed was lost of {listed(lost)}" if lost else ""
    return ", ".join([f"{tested} of {total}{what} tested", *by_outcome]) + alone + named


def plural(word: str, count: int) -> str:
    """`2 hold`, `1 does not hold`: the word for so many."""
    return word if count == 1 else {"holds": "hold", "does not hold": "do not hold"}.get(word, word)
