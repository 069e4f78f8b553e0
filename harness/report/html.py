"""The report as one HTML file that needs nothing but itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.aggregates import Aggregate
from harness.judgement import Judgement, Ruling
from harness.kinds import text
from harness.leaderboard import Board
from harness.masking import again
from harness.papers import IN_SHORT_SCALE, committed, in_short
from harness.report import tables, verdicts
from harness.report.board import BoardView, view
from harness.report.logarithms import interval_undone, number_undone
from harness.report.origins import failures, provenance
from harness.report.pages import SHADES, environment
from harness.report.plots import Plot
from harness.report.tables import Layout
from harness.rerun import Rerun, of_study
from harness.shown import plain
from harness.stats import decimals, number
from harness.svg import COLOURS, COLOURS_ON_DARK
from harness.tally import by_sentence, outcome, tally, was_tried
from harness.task import Experiment, Region, Task
from harness.verdict import Verdict

if TYPE_CHECKING:
    from harness.study import Study

BADGES = {"reproduced": "✓", "not reproduced": "✗", "inconclusive": "≈", "not tested": "–"}
MOST_TRIALS = 10_000
"""Trials that a page lists: a browser searches these at once, and they take less than 1 MB."""
MOST_DOTS = 200
"""Seeds that a bar shows, of more some that are spread evenly over their order."""
_MARGIN = 0.14
_CLOSE = 12.0
_FURTHEST = 4.0
"""The paper's value widens a bar's axis up to this many times; farther away it is an arrow at the edge."""


@dataclass(frozen=True)
class Card:
    """A verdict with its drawing."""

    verdict: Verdict
    bar: VerdictBar | None
    described: str
    anchor: str
    trials: int
    """Planned trials that the estimate reads."""
    parts: int
    """Claims that make up the sentence which it is one of."""
    commands: Sequence[str] = ()
    """What lists these trials, and what runs them again."""


@dataclass(frozen=True)
class Sentence:
    """What counts once: a claim, or several of one group."""

    verdict: str
    word: str
    """The verdict in words."""
    group: str
    parts: int
    cards: Sequence[Card]
    """Those of its claims that the scale tests."""


@dataclass(frozen=True)
class OfKind:
    """The claims of one kind of a task: the paper's own, or ours."""

    kind: str
    heading: str
    counted: str
    sentences: Sequence[Sentence]
    """Those of which the scale tests a claim."""
    tested: Sequence[Card]
    untested: Sequence[Card]


@dataclass(frozen=True)
class ExperimentPart:
    """The leaderboard and the figures of one experiment."""

    experiment: Experiment
    anchor: str
    board: Board
    view: BoardView
    over_cells: Layout | None
    over_cells_title: str
    plots: Sequence[Plot]
    unplanned: Sequence[str]
    """Titles of figures that this scale plans no trial of."""


@dataclass(frozen=True)
class Section:
    """Everything about one task at one scale."""

    task: Task
    scale: str
    anchor: str
    kinds: Sequence[OfKind]
    experiments: Sequence[ExperimentPart]
    colours: Mapping[str, int]
    places: Mapping[str, int]
    """Of each method among the task's: what hides its marks."""
    again: str
    """The command that runs its trials again."""
    one_again: str
    """The command that runs a trial ID again."""
    in_short: str
    """What the task's README says in short."""
    version: str
    """The task's version that its trials are of, and today's where that is another."""
    committed: bool
    """Whether it says so of a committed study, at one scale."""

    @property
    def cards(self) -> list[Card]:
        """All claims."""
        return [card for own in self.kinds for card in (*own.tested, *own.untested)]

    @property
    def untested(self) -> list[Card]:
        """Claims that the scale does not test."""
        return [card for own in self.kinds for card in own.untested]


def render(judgement: Judgement, plots: Sequence[Mapping[str, Sequence[Plot]]]) -> str:
    """The HTML text. `plots` holds for each ruling the figures of its experiments."""
    from markupsafe import Markup

    folder = Path(__file__).parent
    pages = environment(folder)
    pages.filters["svg"] = Markup
    template = pages.get_template("template.html")
    study = judgement.study
    failed, failed_count = failures(study)
    return template.render(
        study=study,
        sections=[_section(ruling, found) for ruling, found in zip(judgement.rulings, plots, strict=True)],
        caution=verdicts.caution(judgement.verdicts),
        provenance=provenance(study),
        trials=trial_rows(judgement),
        listed=again(["trials", *study.store.words]),
        most_trials=MOST_TRIALS,
        files=_files(study),
        script=Markup((folder / "report.js").read_text(encoding="utf-8")),
        colours=Markup(SHADES.read_text(encoding="utf-8")),
        failures=failed,
        failed_count=failed_count,
        how=(*verdicts.HOW, *tables.HOW_RANKED, tables.HOW_CENSORED, tables.HOW_OVER_CELLS),
        tally=lambda cards: tally([card.verdict for card in cards]),
        in_short_scale=IN_SHORT_SCALE,
        chance=verdicts.CHANCE,
        undone=interval_undone,
        words=_words(judgement),
        claims=lambda cards: f"{len(cards)} claim{'' if len(cards) == 1 else 's'}",
        badges=BADGES,
        say=verdicts,
        progress=tables.progress,
        inner=tables.INNER,
        palette=list(enumerate(zip(COLOURS, COLOURS_ON_DARK, strict=True))),
        papers=list({task.paper.arxiv: task.paper for task, _ in study.groups()}.values()),
    )


def _section(ruling: Ruling, plots: Mapping[str, Sequence[Plot]]) -> Section:
    task, scale = ruling.evidence.task, ruling.evidence.scale
    anchor = f"{task.id}-{scale}"
    rerun = of_study(ruling.evidence.study, task, scale)
    parts = [
        _part(
            task.experiment(board.experiment), view(ruling, board), board, plots[board.experiment], ruling.aggregates.get(board.experiment)
        )
        for board in ruling.boards
    ]
    places = {method.name: i for i, method in enumerate(task.methods)}
    colours = {name: i % len(COLOURS) for name, i in places.items()}
    said, of_committed = in_short(task.id), committed(task.id)
    kinds = _kinds(ruling, anchor, rerun)
    return Section(
        task, scale, anchor, kinds, parts, colours, places, rerun.whole(), rerun.any_trial(), said, _version(ruling), of_committed
    )


def _version(ruling: Ruling) -> str:
    task = ruling.evidence.task
    version = ruling.evidence.study.versions(task.id)
    return version if version == str(task.version) else f"{version} (the task is at version {task.version})"


def _kinds(ruling: Ruling, anchor: str, rerun: Rerun) -> list[OfKind]:
    """The claims of each kind, the paper's own first."""
    found = []
    for heading, counted, own in verdicts.by_kind(ruling.verdicts):
        cards: dict[str, Card] = {}
        sentences = []
        for verdict, parts in by_sentence(own):
            cards |= {v.claim: _card(ruling, v, anchor, len(parts), rerun) for v in parts}
            shown = [cards[v.claim] for v in parts if v.verdict != "not tested"]
            if shown:
                sentences.append(Sentence(verdict, outcome(own[0].kind, verdict), parts[0].group, len(parts), shown))
        in_order = [cards[v.claim] for v in own]
        tested = [card for card in in_order if card.verdict.verdict != "not tested"]
        untested = [card for card in in_order if card.verdict.verdict == "not tested"]
        found.append(OfKind(own[0].kind, heading, counted, sentences, tested, untested))
    return found


def _card(ruling: Ruling, v: Verdict, anchor: str, parts: int, rerun: Rerun) -> Card:
    claim = ruling.evidence.task.claim(v.claim)
    bar, trials = verdict_bar(v, claim.holds), ruling.evidence.trials_read(claim.estimate) if was_tried(v) else 0
    listed = again(["trials", *ruling.evidence.study.store.words, "--claim", v.claim])
    return Card(v, bar, described(v), f"{anchor}-{v.claim}", trials, parts, [listed, rerun.claim(v.claim)] if trials else [])


def _part(experiment: Experiment, shown: BoardView, board: Board, plots: Sequence[Plot], found: Aggregate | None) -> ExperimentPart:
    return ExperimentPart(
        experiment=experiment,
        anchor=f"{board.task}-{board.scale}-experiment-{experiment.name}",
        board=board,
        view=shown,
        over_cells=tables.over_cells(found) if found else None,
        over_cells_title=tables.over_cells_title(found) if found else "",
        plots=[plot for plot in plots if plot.planned],
        unplanned=[plot.title for plot in plots if not plot.planned],
    )


def _words(judgement: Judgement) -> list[tuple[str, int]]:
    """The verdicts that are there, in words, with how many claims have each, where there are several to choose from."""
    order = ("reproduced", "holds", "not reproduced", "does not hold", "inconclusive", "undecided", "not tested")
    found = Counter(verdicts.word(verdict) for verdict in judgement.verdicts)
    return [(word, found[word]) for word in order if word in found] if len(found) > 1 else []


def trial_rows(judgement: Judgement) -> dict[str, Any]:
    """The listed trials as [id, experiment, method, seed, status, seconds, parameters that vary]; words by their place in a list."""
    study = judgement.study
    ended = dict(zip(study.places.tolist(), zip(study.frame["status"].tolist(), study.frame["seconds"].tolist(), strict=True), strict=True))
    several = len(study.groups()) > 1
    varied = _varied(study)
    words: dict[str, int] = {}

    def word(said: str) -> int:
        return words.setdefault(plain(said), len(words))

    cells: dict[int, tuple[int, int, str]] = {}
    rows = []
    for place in _listed(judgement):
        trial, of = study.plan[place], study.cells.numbers[place]
        status, seconds = ended.get(place, ("waiting", math.nan))
        if of not in cells:
            experiment = f"{trial.task}, {trial.experiment}" if several else trial.experiment
            params = ", ".join(f"{name} = {text(trial.params[name])}" for name in trial.params if (trial.experiment, name) in varied)
            cells[of] = word(experiment), word(trial.method), params
        of_experiment, of_method, params = cells[of]
        shown = None if seconds is None or math.isnan(seconds) else float(f"{seconds:.3g}")
        rows.append([trial.id, of_experiment, of_method, trial.seed, word(str(status)), shown, word(params)])
    return {"words": list(words), "rows": rows}


def _listed(judgement: Judgement) -> Sequence[int]:
    """Places in the plan, in its order: all; of more than MOST_TRIALS those that did not end ok and then those that claims read."""
    study = judgement.study
    if len(study.plan) <= MOST_TRIALS:
        return range(len(study.plan))
    bad = study.places[(study.frame["status"] != "ok").to_numpy()].tolist()
    read = {id for ruling in judgement.rulings for claim in ruling.evidence.task.claims for id in ruling.evidence.ids_read(claim.estimate)}
    behind = [place for place, trial in enumerate(study.plan) if trial.id in read]
    return sorted(list(dict.fromkeys([*sorted(bad), *behind]))[:MOST_TRIALS])


def _varied(study: Study) -> set[tuple[str, str]]:
    """(experiment, parameter) that has several values in the plan."""
    values: dict[tuple[str, str], set[str]] = {}
    for first in study.cells.firsts:
        for name, value in first.params.items():
            values.setdefault((first.experiment, name), set()).add(text(value))
    return {key for key, found in values.items() if len(found) > 1}


def _files(study: Study) -> list[str]:
    """The study's tables beside the report."""
    tables_of = ["verdicts.csv", "leaderboard.csv"]
    return [*tables_of, *study.store.names("trials"), *study.store.names("curves")]


@dataclass(frozen=True)
class VerdictBar:
    """A verdict at a glance: the region, the interval and the paper's value on one line, as positions in percent of its width."""

    region: tuple[float, float]
    interval: tuple[float, float] | None
    estimate: float
    published: float | None
    published_beyond: bool
    marks: list[tuple[float, str]]
    """The finite edges of the region with their text."""
    seeds: Sequence[tuple[float, str]] = ()
    """Where each seed lies, and its number as text."""

    @property
    def close(self) -> bool:
        """Whether both edges are so near to each other that their texts would meet."""
        return len(self.marks) == 2 and self.marks[1][0] - self.marks[0][0] < _CLOSE


def verdict_bar(verdict: Verdict, region: Region) -> VerdictBar | None:
    """The bar of a verdict, None when there is no estimate to show."""
    interval = verdict.interval
    if not math.isfinite(interval.estimate):
        return None
    finite = [end if math.isfinite(end) else interval.estimate for end in (interval.low, interval.high)]
    ends: Sequence[float] = () if verdict.exact or interval.n < 2 else finite
    edges = [edge for edge in (region.low, region.high) if math.isfinite(edge)]
    seeds = {seed: value for seed, value in verdict.seeds.items() if math.isfinite(value)}
    known = [interval.estimate, *edges, *ends, *seeds.values()]
    low, high = min(known), max(known)
    span = (high - low) or max(abs(high), 1.0) * 0.1
    published = verdict.published
    beyond = published is not None and max(high, published) - min(low, published) > _FURTHEST * span
    if published is not None and not beyond:
        low, high = min(low, published), max(high, published)
        span = (high - low) or span
    start, width = low - _MARGIN * span, (1 + 2 * _MARGIN) * span

    def place(x: float) -> float:
        return round(100 * min(max((x - start) / width, 0.0), 1.0), 2)

    return VerdictBar(
        region=(place(region.low), place(region.high)),
        interval=(place(ends[0]), place(ends[1])) if ends else None,
        estimate=place(interval.estimate),
        published=None if published is None else place(published),
        published_beyond=beyond,
        marks=[(place(edge), number_undone(edge, verdict.unit) or f"{edge:g}") for edge in edges],
        seeds=[(place(value), f"seed {seed}: {value:.4g}") for seed, value in _spread(seeds)],
    )


def _spread(seeds: Mapping[int, float]) -> Sequence[tuple[int, float]]:
    """Seeds with their values: of more than MOST_DOTS the least, the largest, and some between."""
    if len(seeds) <= MOST_DOTS:
        return list(seeds.items())
    ordered = sorted(seeds.items(), key=lambda one: one[1])
    return [ordered[round(place * (len(ordered) - 1) / (MOST_DOTS - 1))] for place in range(MOST_DOTS)]


def described(verdict: Verdict) -> str:
    """The bar in words, for readers who do not see it."""
    interval, unit = verdict.interval, f" {verdict.unit}" if verdict.unit else ""
    if verdict.exact or interval.n < 2:
        return f"estimate {number(interval.estimate)}{unit}, {'exact' if verdict.exact else 'no interval'}"
    if interval.side != "exact":
        return f"estimate {interval}{unit}, {verdict.censored} of {interval.n} seeds not reached"
    digits = decimals(interval.estimate, (interval.high - interval.low) / 2)
    shown = [number(x, digits) for x in (interval.estimate, interval.low, interval.high)]
    return f"estimate {shown[0]}{unit}, interval from {shown[1]} to {shown[2]}"
