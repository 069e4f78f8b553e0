"""Verdicts as text: what they say, how sure, of what size, whose claim it is; as Markdown and as CSV (full precision)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.report.logarithms import number_undone, region_undone
from harness.report.tables import blank, bound, csv_text, interval_cells
from harness.shown import markdown, markdown_table
from harness.stats import CONFIDENCE, number
from harness.tally import KINDS, counts, outcome, tally
from harness.verdict import Verdict

VERDICT_COLUMNS = (
    *("task", "claim", "kind", "group", "primary", "verdict", "estimate", "low", "high", "n", "lost"),
    *("bound", "censored", "confidence", "p", "effect_sd"),
    *("by_chance", "scale", "data_kind", "published", "ratio", "size", "unit", "holds", "aim", "margin_source", "decides"),
    *("source", "reason", "statement", "note", "version", "asks", "missed", "settings"),
)
HEADINGS = {
    "paper": "The paper's claims",
    "extension": "Extensions: what the paper does not say",
    "control": "Controls: what its claims need",
    "check": "Checks: our code and our counts",
}
RULE = (
    "Reproduced: the whole 95 % interval over seeds lies where the claim holds. Not reproduced: all of it lies outside. A sentence that is "
    "tested in several parts counts once, as the part that serves it least, and is undecided at best where a part that the scale holds is "
    "not tested."
)
"""What stands beside counts."""
CHANCE = "By chance alone: so many of the tested sentences would be called reproduced, at most, were there no effect behind any of them."
"""What a count by chance is."""
HOW = (
    "An estimate is computed once per seed, from the records of that seed alone, so that methods that share a seed are compared in pairs.",
    "The number shown is the mean over seeds; brackets hold its 95 % Student-t interval over seeds. Numbers that have a range (shares, "
    "correlations, times) are averaged on the logit or log scale, so that no interval leaves it.",
    "Where an experiment sweeps a parameter, a number is that of the trial which is best on validation, unless its name says otherwise.",
    "A claim is reproduced when the whole interval lies in the region where it holds, not reproduced when the whole interval lies "
    "outside, and inconclusive when the interval straddles the edge.",
    "A claim on a logarithm of a ratio is decided on the logarithm. Beside it stands the ratio, whose mean over seeds is geometric: a "
    "logarithm below 0 is a ratio below 1.",
    "A study that ran until its claims were decided judges them at looks that were fixed before, by wider intervals, which say how wide.",
    "Seeds that all agree decide nothing, unless a metric counts examples: then no interval is narrower than one example.",
    "A claim marked exact leaves nothing to chance: one seed whose value lies outside the region refutes it.",
    "A seed with a trial that diverged or failed is lost. A claim that lost a seed is inconclusive: the others do not decide "
    "alone. One that lost every seed is not tested, nor is one that a study's plan does not ask for, as after --claim.",
    "A metric that was not reached is a bound, marked by ≥ or ≤. It decides a claim only where no number behind it could overturn that; "
    "intervals take bounds as values on the side on which they are bounds, and are open on the other.",
    "Primary claims are held together: one wrong verdict among all of them is as rare as of one interval (Holm). The others are judged one "
    "by one; how many chance alone would call reproduced stands beside the count.",
    "A reproduced claim is a direction that was seen. Its size agrees only where the paper's value lies within the range of one more seed "
    "of ours, at the paper's scale and on its data.",
    "On the leaderboard a method that lost seeds ranks below all that lost none; its number is the mean over the seeds that are left.",
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


def estimate(verdict: Verdict) -> str:
    """Our estimate with its interval (and the confidence of one that is not of 95 %), or `exact` where no interval decided."""
    if not verdict.n:
        return "–"
    if verdict.exact:
        return f"{verdict.interval if verdict.censored else number(verdict.interval.estimate)} (exact)"
    return f"{verdict.interval}" + (f" at {100 * verdict.confidence:.2f} %" if verdict.confidence != CONFIDENCE and verdict.n > 1 else "")


def ours(verdict: Verdict) -> str:
    """Our estimate with its interval and unit."""
    return _with_unit(estimate(verdict), verdict.unit) if verdict.n else "–"


def published(verdict: Verdict) -> str:
    """The paper's own value, as precisely as it was given."""
    return published_number(verdict.published, verdict.unit)


def published_number(value: float | None, unit: str) -> str:
    """A paper's own value with its unit; that of a logarithm also as what it is the logarithm of."""
    return "–" if value is None else _beside(_with_unit(f"{value:.6g}", unit), number_undone(value, unit))


def region(holds: str, unit: str) -> str:
    """Where a claim holds; of a logarithm also in what it is the logarithm of, such as `< -0.30103 (ratio below 0.5)`."""
    return _beside(holds, region_undone(holds, unit))


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text


def _beside(text: str, undone: str) -> str:
    return f"{text} ({undone})" if undone else text


def seeds(verdict: Verdict) -> str:
    """`5`, or `4 (1 lost, 3 not reached)`."""
    notes = [f"{count} {what}" for count, what in ((verdict.lost, "lost"), (verdict.censored, "not reached")) if count]
    return f"{verdict.n} ({', '.join(notes)})" if notes else str(verdict.n)


def reasons(verdict: Verdict) -> str:
    """Why the verdict is what it is, and what to know before believing it."""
    return " ".join(filter(None, [verdict.reason, verdict.note]))


def size(verdict: Verdict) -> str:
    """How large the effect is: in standard deviations over seeds, against the published one, and whether the two can be compared."""
    parts = [] if math.isnan(verdict.effect) else [effect(verdict)]
    parts += [] if math.isnan(verdict.ratio) else [f"{number(verdict.ratio, 2)} of the paper's"]
    where = f"scale {verdict.scale}, {verdict.data_kind or 'no'} data"
    said = {"agrees": "agrees in size", "differs": "differs in size", "not comparable": f"size not comparable: {where}", "": ""}
    return "; ".join([*parts, *filter(None, [said[verdict.size]])]) or "–"


def effect(verdict: Verdict) -> str:
    """Distance from no effect, or from the region's edge, in standard deviations over seeds."""
    return "–" if math.isnan(verdict.effect) else f"{number(abs(verdict.effect), 1)} sd"


def word(verdict: Verdict) -> str:
    """The verdict in words: a control holds or does not, only a paper's claim is reproduced."""
    return outcome(verdict.kind, verdict.verdict)


def by_kind(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, str, list[Verdict]]]:
    """(heading, counts, verdicts) of each kind that is there, the paper's own first."""
    for kind in KINDS:
        own = [v for v in verdicts if v.kind == kind]
        if own:
            yield HEADINGS[kind], counts(kind, own), own


def verdicts_markdown(name: str, verdicts: Sequence[Verdict]) -> str:
    """A table a (task, scale) and kind, then what each claim says and why its verdict is what it is."""
    parts = [f"# Verdicts of {markdown(name)}\n", f"{tally(verdicts)}. {caution(verdicts)}\n"]
    head = ["verdict", "claim", "estimate [95 % interval]", "holds", "the paper", "size", "seeds", "scale", "data", "decides"]
    for task, scale in dict.fromkeys((v.task, v.scale) for v in verdicts):
        parts.append(f"## {task}, scale {scale}\n")
        for heading, counted, group in by_kind([v for v in verdicts if (v.task, v.scale) == (task, scale)]):
            rows = [
                [word(v), label(v), ours(v), region(v.holds, v.unit), published(v), size(v), seeds(v), v.scale, v.data_kind, v.decides]
                for v in group
            ]
            parts += [f"### {heading}\n", f"{counted}.\n", f"{markdown_table(head, rows)}\n"]
            parts += [f"- **{v.claim}**: {markdown(f'{v.statement} ({v.source})')}  \n  {word(v)}: {markdown(reasons(v))}" for v in group]
            parts.append("")
    return "\n".join(parts)


def label(verdict: Verdict) -> str:
    """The claim's id, and whether the paper stands on it."""
    return f"{verdict.claim} (primary)" if verdict.primary else verdict.claim


def verdicts_csv(verdicts: Sequence[Verdict]) -> str:
    """A line a verdict."""
    return csv_text(
        VERDICT_COLUMNS,
        (
            (
                *(v.task, v.claim, v.kind, v.group, v.primary, v.verdict, *interval_cells(v.interval), v.n, v.lost),
                *(bound(v.interval), v.censored, v.confidence, blank(v.p), blank(v.effect), v.by_chance, v.scale, v.data_kind),
                *("" if v.published is None else v.published, blank(v.ratio), v.size, v.unit, v.holds, v.aim, v.margin_source, v.decides),
                *(v.source, v.reason, v.statement, v.note, v.version, v.asks, v.missed, v.settings),
            )
            for v in verdicts
        ),
    )
