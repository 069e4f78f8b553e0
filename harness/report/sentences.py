"""What every table says about itself."""

from __future__ import annotations

from collections.abc import Sequence

from harness.leaderboard import Board
from harness.stats import number
from harness.verdict import OUTCOMES, Verdict

HOW = (
    "An estimate is computed once per seed, from the records of that seed alone, so that methods that share a seed are compared in pairs.",
    "The number shown is the mean over seeds; brackets hold its 95 % Student-t interval over seeds.",
    "A claim is reproduced when the whole interval lies in the region where it holds, not reproduced when the whole interval lies "
    "outside, and inconclusive when the interval straddles the edge.",
    "A seed with a trial that diverged or failed is lost. A claim that lost a seed is inconclusive: the others do not decide alone.",
    "On the leaderboard a method that lost seeds ranks below all that lost none; its number stands on the seeds that are left.",
    "Claims are judged one by one: of twenty true nulls, about one interval misses by chance.",
)


def caution(verdicts: Sequence[Verdict]) -> str:
    """What these verdicts may decide: the paper's numbers, or directions only."""
    tested = [v for v in verdicts if v.verdict != "not tested"]
    if not tested:
        return "No claim has been tested yet."
    if all(v.decides == "value" for v in tested):
        return "Run at the paper's scale on real data: these verdicts decide the paper's own numbers."
    reduced = [v for v in tested if v.decides == "direction"]
    where = "; ".join(dict.fromkeys(f"scale {v.scale}, {v.data_kind or 'no'} data" for v in reduced))
    subject = "These verdicts decide" if len(reduced) == len(tested) else f"{len(reduced)} of {len(tested)} verdicts decide"
    return f"{subject} a direction, never the paper's number ({where}): only the paper's scale on real data could decide that."


def empty(statistics: int) -> str:
    """What to add when statistics without any number are left out."""
    return f"; {statistics} statistics have no number at this scale" if statistics else ""


def tally(verdicts: Sequence[Verdict]) -> str:
    """`2 reproduced, 1 inconclusive`."""
    counts = {outcome: sum(v.verdict == outcome for v in verdicts) for outcome in OUTCOMES}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no claims"


def ours(verdict: Verdict) -> str:
    """Our estimate with its interval and unit."""
    return with_unit(str(verdict.interval), verdict.unit) if verdict.n else "–"


def published(verdict: Verdict) -> str:
    """The paper's own value, as precisely as it was given."""
    return "–" if verdict.published is None else with_unit(f"{verdict.published:.6g}", verdict.unit)


def with_unit(text: str, unit: str) -> str:
    """A number followed by its unit, if it has one."""
    return f"{text} {unit}" if unit else text


def seeds(verdict: Verdict) -> str:
    """`5`, or `4 (1 lost)`."""
    return f"{verdict.n} ({verdict.lost} lost)" if verdict.lost else str(verdict.n)


def progress(board: Board) -> str:
    """How much of the plan the board stands on."""
    done = f"{board.recorded:,} of {board.planned:,} planned trials recorded"
    kinds = f"data: {board.data_kind}"
    ranked = f"ranked by {board.ranked_by}" if board.ranked_by else "not ranked"
    return f"{done}; {kinds}; {ranked}"


def rank(value: int | None) -> str:
    """A rank, or a dash."""
    return "–" if value is None else number(value, 0)


def heading(name: str, unit: str, better: str) -> str:
    """A column's heading: name, unit and which way is good."""
    arrow = {"lower": " ↓", "higher": " ↑", "zero": " →0"}.get(better, "")
    return f"{name}{f' ({unit})' if unit else ''}{arrow}"
