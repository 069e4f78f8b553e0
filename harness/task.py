"""What a paper's experiment is, said in frozen declarations.

A `task.py` builds one `Task` out of these. Nothing here imports torch, ray, pandas or mlflow, so that listing
sixty papers costs milliseconds.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, dataclass_transform, get_args

from harness import params
from harness.bounds import UNBOUNDED, Bounds
from harness.censoring import companion
from harness.errors import PapertrialError, TaskError, UsageError, unknown
from harness.estimates import Estimate, In, Reading
from harness.region import Above as Above
from harness.region import Below as Below
from harness.region import Region as Region
from harness.region import Within as Within
from harness.resources import Hardware as Hardware
from harness.resources import Resources as Resources
from harness.sweeps import Sweep

Role = Literal["baseline", "proposed", "rival", "control", "floor"]
Better = Literal["lower", "higher", "zero", "none"]
DataKind = Literal["real", "stand-in", "semi-synthetic", "synthetic"]

Split = Literal["train", "val", "test", "none"]
ClaimKind = Literal["paper", "control", "check", "extension"]
Aim = Literal["direction", "equivalent", "not worse"]
Along = Literal["monotone", "rises", "falls", "peak"]

DATA_KINDS: tuple[DataKind, ...] = ("real", "stand-in", "semi-synthetic", "synthetic")
SCALES = ("smoke", "laptop", "gpu", "paper")
MOST_IN_PATHS = 64
"""Bytes of a name that becomes a part of a file's name, where it meets others: a file system takes 255."""
_ONE_CPU = Resources()
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def param(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] | None = None,
    file: bool = False,
) -> Any:
    """A field of a task's `Params` dataclass: its default, meaning, unit and allowed range (both ends included).

    `file`: a word that users write as a path (`--set NAME=PATH`) and trials get as the fingerprint of the content, "" for none.
    """
    metadata = {"help": help, "unit": unit, "low": low, "high": high, "choices": choices, "file": file}
    return field(default=default, metadata=metadata)


@dataclass_transform(frozen_default=True)
class Params:
    """Parameters of an experiment: a subclass is a frozen dataclass without saying so."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A bibliographic record."""

    arxiv: str
    title: str
    year: int
    authors: str = ""
    code: str | None = None


@dataclass(frozen=True)
class Method:
    """One row of the leaderboard."""

    name: str
    role: Role
    description: str = ""


@dataclass(frozen=True)
class Metric:
    """One number that a trial returns. `better="zero"` ranks by distance from zero."""

    name: str
    unit: str
    better: Better
    description: str = ""
    methods: Sequence[str] = ()
    """Methods whose trials return it; empty means all of the experiment's."""
    optional: bool = False
    """Whether an `ok` trial may leave it out, where what was asked for was not reached."""
    split: Split | None = None
    """The split that it is measured on. None: what its name says (`val_`, `test_` at the front or between), else the training data."""
    timed: bool = False
    """Whether a clock measured it, so that no two runs agree to the bit."""
    counted: bool = False
    """Whether it is a share of examples: it moves in steps of one example."""
    censored: bool = False
    """Whether it may be a lower bound, such as a time that was not reached: a trial returns `<name>_censored` beside it, 1 where it is.
    `harness.censoring.reached` makes both. The companion is not declared."""
    bounds: Bounds = UNBOUNDED
    """The range that it cannot leave: `POSITIVE` (times, errors, ratios), `SHARE`, `PERCENT`, `CORRELATION`. A trial that leaves it has
    failed."""

    @property
    def measured_on(self) -> Split:
        """The split whose examples decide this number, beyond those that trained the network."""
        if self.split is not None:
            return self.split
        words = self.name.split("_")
        return "test" if "test" in words else "val" if "val" in words else "train"

    def returned_by(self, method: str) -> bool:
        """Whether every `ok` trial of `method` has it."""
        return not self.optional and (not self.methods or method in self.methods)


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """The trial that another needs first: of the same task, scale, seed and data; it has to end ok, such as a network to prune.

    It is planned by itself, keyed like any trial, run once a seed and shared by all that name it.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """Its parameters; those not named take their defaults."""
    experiment: str = ""
    """Empty: the experiment that needs it."""

    def __post_init__(self) -> None:
        if not isinstance(self.experiment, str):
            raise TaskError(f"a requirement takes the name of an experiment, not {type(self.experiment).__name__}")


Settings = Callable[[str, str, Mapping[str, Any]], Any]
"""A function of (scale, method, parameters)."""


class NoParams(Params):
    """The parameters of an experiment that has none: its trials differ by method, seed and data."""


@dataclass(frozen=True)
class Experiment:
    """One thing that a paper does: its own parameters, metrics, `run` and leaderboard.

    `experiment["test_loss"]` is the number that claims, statistics and figures read: of the trial that the sweep selects on validation
    where there is a sweep, else the mean over the trials of a method and seed.
    """

    name: str
    _: dataclasses.KW_ONLY
    params: type = NoParams
    metrics: Sequence[Metric]
    """All that an `ok` trial returns, but for those that are optional or that other methods return."""
    run: str = ""
    """`package.module:function`, a string so that listing tasks imports no experiment. Empty: a program of `run_batch` with one member."""
    run_batch: str = ""
    """`package.module:function` that trains many trials as one program (`harness.packing.Program`); empty where there is none."""
    alike: Callable[[str, Mapping[str, Any]], Hashable | None] | None = None
    """What trials of one program agree on, from (method, parameters), such as what decides shapes; None for a trial that runs by itself.
    Without it all trials of a method that agree on every parameter share a program."""
    methods: Sequence[str] = ()
    """Methods that it runs; empty means all of the task's."""
    tuned: Sweep | None = None
    """What is swept, and the metric of the validation split that selects."""
    statistics: Sequence[Statistic] | None = None
    """The leaderboard's columns. None: every metric, at what the sweep selects, once a view."""
    figures: Sequence[Figure | Traces | Matrix | Phase] | None = None
    """None: the sweep, if there is one."""
    requires: Callable[[str, Mapping[str, Any]], Requirement | None] | None = None
    """The trial that a trial of (method, parameters) needs first; None where it needs none."""
    seconds: Callable[[str, str, Mapping[str, Any]], float] | None = None
    """Expected seconds of one trial, from (scale, method, parameters), on the hardware that the scale names."""
    memory: Callable[[str, str, Mapping[str, Any]], float] | None = None
    """Expected peak GiB of one trial, from (scale, method, parameters): of its GPUs where it takes any, else of main memory."""
    resources: Callable[[str, str, Mapping[str, Any]], Resources] | None = None
    """What one trial occupies, from (scale, method, parameters); None: what the scale says."""
    selecting: Sequence[str] = ()
    """Methods whose trial selects something on the validation split by itself (a threshold, a stopping time): it may move all numbers."""
    exact: bool = False
    """Its numbers follow from the parameters alone, such as the two sides of a theorem: a tolerance decides, no interval."""
    summary: str = ""

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.name):
            raise TaskError(f"experiment {self.name!r}: use lower-case words joined by dashes")
        _refuse_odd("experiment", [self.name], path=True)
        if not (dataclasses.is_dataclass(self.params) and self.params.__dataclass_params__.frozen):  # type: ignore[attr-defined]
            raise TaskError(f"experiment {self.name}: params must be a frozen dataclass")
        for what, name in (("run", self.run), ("run_batch", self.run_batch)):
            if name.count(":") != 1 and (name or not (self.run or self.run_batch)):
                raise TaskError(f"experiment {self.name}: {what} must be 'package.module:function', not {name!r}")
        if self.alike and not self.run_batch:
            raise TaskError(f"experiment {self.name}: `alike` says which trials share a program, and there is no `run_batch`")
        params.declared(self)
        for what, names in (
            ("method", self.methods),
            ("metric", [m.name for m in self.metrics]),
            ("statistic", [s.name for s in self.statistics or ()]),
        ):
            _refuse_odd(f"experiment {self.name}: {what}", names)
        _refuse_odd(f"experiment {self.name}: figure", [figure.id for figure in self.figures or ()], path=True)
        for figure in self.figures or ():
            if isinstance(figure, Phase):
                _check_phase(self, figure)
        _refuse_twins(f"experiment {self.name}: metric", [metric.name for metric in self.metrics])
        _refuse_companions(self)
        _refuse_twins(f"experiment {self.name}: statistic", [statistic.name for statistic in self.statistics or ()])
        if self.tuned:
            for name in self.tuned.over:
                self.parameter(name)
            for name in self.tuned.by:
                if self.metric(name).measured_on == "test":
                    raise TaskError(f"experiment {self.name}: its sweep selects by {name}, which is measured on test; validation selects")
            unordered = [name for name in self.tuned.over if not params.kind(self, name).ordered]
            if self.tuned.ties == "largest" and unordered:
                kind = params.kind(self, unordered[0])
                raise TaskError(f"experiment {self.name}: ties go to the largest {unordered[0]}, {kind}: words have no largest")
            object.__setattr__(self, "tuned", self.tuned.directed({name: self.metric(name).better for name in self.tuned.by}))

    @property
    def parameters(self) -> list[str]:
        """Names of its parameters, in their order."""
        return [f.name for f in dataclasses.fields(self.params)]

    def parameter(self, name: str) -> dataclasses.Field[Any]:
        """The parameter called `name`."""
        for f in dataclasses.fields(self.params):
            if f.name == name:
                return f
        raise unknown(f"parameter of experiment {self.name}", name, self.parameters, error=TaskError)

    def metric(self, name: str) -> Metric:
        """The metric called `name`."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise unknown(f"metric of experiment {self.name}", name, [m.name for m in self.metrics], error=TaskError)

    def __getitem__(self, metric: str) -> Reading:
        """What the trials of a method and seed say of a metric."""
        found = self.metric(metric)
        return Reading(self.name, metric, sweep=self.tuned, unit=found.unit, better=found.better, bounds=found.bounds)

    def readings(self, view: str, *metrics: str) -> list[Reading]:
        """The same of several metrics, each in a view."""
        return [self[metric].at(view) for metric in metrics]

    def within(self, estimate: Estimate, view: str = "") -> In:
        """`estimate` on the trials of this experiment (of one view of it)."""
        return In(self.name, estimate, view)


@dataclass(frozen=True)
class Grid:
    """A block of an experiment's trials: every point x every combination of axes x every method x every seed.

    Two grids may meet: a trial that both ask for has one id, belongs to the views of both, and runs once.
    """

    experiment: Experiment
    _: dataclasses.KW_ONLY
    view: str = ""
    """What claims and figures call this part of the experiment; never hashed. Several grids may share a view."""
    points: Sequence[Mapping[str, Any]] = ({},)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    methods: Sequence[str] = ()
    """Methods of this grid; empty means all of the experiment's."""
    data: str | None = None
    """Name of the data set the trials read; None means that the experiment makes its own inputs (synthetic)."""
    resources: Resources | None = None
    """What its trials occupy, and those that they require. None: what the experiment says, else the scale. Of two grids the most counts."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A named size of a task."""

    description: str
    grids: Sequence[Grid]
    seeds: int
    time_limit_s: float
    """Limit of one trial, in seconds."""
    resources: Resources = _ONE_CPU
    """What a trial occupies where neither its grid nor its experiment says."""
    hardware: Hardware | None = None
    """What it was sized for."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A falsifiable statement: a scalar estimate, computed once per seed, and the region in which it holds."""

    id: str
    statement: str
    source: str
    """Where the paper says so: abstract, section, table."""
    estimate: Estimate
    holds: Region
    published: float | None = None
    """The paper's own value of the estimate, when it prints one."""
    unit: str = ""
    scales: Sequence[str] = SCALES
    """Scales whose grids hold what the estimate needs; elsewhere the claim is `not tested`."""
    note: str = ""
    """What a reader must know before believing the verdict."""
    exact: bool = False
    """Every seed's value decides by itself: a tolerance, no interval."""
    kind: ClaimKind = "paper"
    """Whose it is: the *paper*'s own; a *control* that a claim of the paper needs; a *check* of our code, or of a count that follows from
    our construction; an *extension*, which the paper does not make."""
    group: str = ""
    """Claims of one group are one sentence of the paper, split by method or data: they count once."""
    primary: bool = False
    """One of the few that the paper stands on: together they are wrong at most as often as one interval is (Holm)."""
    aim: Aim = "direction"
    """What the region asks for: a direction, or that two methods are as good within a margin."""
    margin_source: str = ""
    """Where the margin of an equivalence comes from: the paper, a standard, or us and why."""
    null: float | None = None
    """The estimate where there is no effect: 0 of a difference, 1 of a ratio. None: the statement knows no such value."""
    bounds: Bounds = UNBOUNDED
    """The range that the estimate cannot leave."""
    stands_on: Sequence[str] = ()
    """Ids of claims without which this one decides nothing, such as that a baseline beats the random floor."""


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A leaderboard column: a scalar of one method's records, computed once per seed."""

    name: str
    estimate: Estimate
    unit: str = ""
    better: Better = "none"
    description: str = ""
    bounds: Bounds = UNBOUNDED


@dataclass(frozen=True)
class Span:
    """A named stretch of a figure's horizontal axis, such as a frequency band."""

    low: float
    high: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot of the report, one line a method: the mean over seeds and its interval.

    `x="step"` draws the logged curve `y` of the trials that match `where`; any other `x` is a parameter and `y` a metric.
    """

    id: str
    title: str
    x: str
    y: str
    view: str = ""
    """The part of the experiment's trials that is drawn; empty means all."""
    where: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    """A metric that places each value of `x` on the horizontal axis, by its mean over seeds: what was reached, not what was asked for."""
    methods: Sequence[str] = ()
    """Methods that are drawn; empty means all."""
    x_label: str = ""
    """What the steps of a curve are, such as "frequency (Hz)"; empty means steps."""
    y_label: str = ""
    """What a logged curve shows, with its unit; empty means its name."""
    spans: Sequence[Span] = ()
    log_x: bool = False
    log_y: bool = False
    caption: str = ""


def log_log(id: str, title: str, x: str, y: str, view: str = "", **about: Any) -> Figure:
    """A figure whose axes are both logarithmic: a power is a line there."""
    return Figure(id=id, title=title, x=x, y=y, view=view, log_x=True, log_y=True, **about)


@dataclass(frozen=True, kw_only=True)
class Traces:
    """A grid of small plots, a row for each of several logged curves and a column a method, of the first seed: examples, not means."""

    id: str
    title: str
    ys: Sequence[tuple[str, str]]
    """(heading of the row, name of the logged curve)."""
    view: str = ""
    """The part of the experiment's trials that is drawn; empty means all."""
    where: Mapping[str, Any] = field(default_factory=dict)
    methods: Sequence[str] = ()
    """Methods that are drawn; empty means all."""
    x_label: str = "step"
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A table of shares a method, such as a confusion matrix, coloured: the mean over seeds of curves logged with the row as step."""

    id: str
    title: str
    rows: Sequence[str]
    """Headings of the rows; row i is what was logged at step i."""
    columns: Sequence[tuple[str, str]]
    """(heading of the column, name of the logged curve)."""
    view: str = ""
    """The part of the experiment's trials that is drawn; empty means all."""
    where: Mapping[str, Any] = field(default_factory=dict)
    methods: Sequence[str] = ()
    """Methods that are drawn; empty means all."""
    x_label: str = ""
    y_label: str = ""
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase diagram, one panel a method: the mean over seeds of `z` as colour over two parameters, and where it crosses `level`.

    The boundary is where a seed's trials cross the level along `x` (`harness.thresholds`), for each value of `y`: over seeds, with its
    interval. Where the grid holds no crossing, its edge is a bound and shown as one.
    """

    id: str
    title: str
    x: str
    """A parameter that is a number, as is `y`. Values need no even distances, and each `y` may have values of `x` of its own."""
    y: str
    z: str
    """A metric."""
    level: float = 0.5
    along: Along = "monotone"
    """How `z` goes along `x`: it *rises*, *falls*, is *monotone* (which of the two, the means of all panels say), or has a *peak* with a
    boundary on both sides, such as a band of learning rates that train."""
    view: str = ""
    """The part of the experiment's trials that is drawn; empty means all."""
    where: Mapping[str, Any] = field(default_factory=dict)
    methods: Sequence[str] = ()
    """Methods that are drawn; empty means all."""
    log_x: bool = False
    """A logarithmic axis, on which crossings are then found; 0 stands a step below the smallest value and takes no part in them."""
    log_y: bool = False
    x_label: str = ""
    """Empty means the parameter and its unit."""
    y_label: str = ""
    caption: str = ""


def _check_phase(experiment: Experiment, figure: Phase) -> None:
    """TaskError unless both axes are parameters that are numbers, and what is drawn is a metric with a level that it can cross."""
    what = f"experiment {experiment.name}, figure {figure.id}"
    bounds = experiment.metric(figure.z).bounds
    for name in (figure.x, figure.y):
        experiment.parameter(name)
        own = params.kind(experiment, name)
        if not own.ordered:
            raise TaskError(f"{what}: an axis of a phase diagram is a number, and parameter {name} is {own}")
    if figure.x == figure.y:
        raise TaskError(f"{what}: both axes are {figure.x}")
    if figure.along not in get_args(Along):
        raise unknown(f"way of {figure.z} along {figure.x}", figure.along, get_args(Along), error=TaskError)
    if not bounds.low < figure.level < bounds.high:
        raise TaskError(f"{what}: {figure.z} lies between {bounds.low:g} and {bounds.high:g} and never crosses {figure.level:g}")


def _refuse_odd(what: str, names: Sequence[str], *, path: bool = False) -> None:
    """Names stand in tables, files and MLflow: characters that nobody sees are refused, as are those that lead out of a folder."""
    for name in names:
        odd = [c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or (path and c in '/\\:*?"<>|%#')]
        if path and len(name.encode()) > MOST_IN_PATHS:
            raise TaskError(f"{what} {name!r} is a part of file names: at most {MOST_IN_PATHS} bytes")
        if odd or not name.strip():
            raise TaskError(f"{what} {name!r}: a name is made of visible characters{f', without {odd[0]!r}' if odd else ''}")


def _check_bounds(claim: Claim) -> None:
    """TaskError where the range of an estimate leaves its claim nothing to decide."""
    low, high, holds = claim.bounds.low, claim.bounds.high, claim.holds
    if claim.null is not None and not low < claim.null < high:
        raise TaskError(f"claim {claim.id}: no estimate between {low:g} and {high:g} is its null, {claim.null:g}")
    if not claim.exact and (holds.low >= high or holds.high <= low or (holds.low <= low and holds.high >= high)):
        raise TaskError(f"claim {claim.id}: every estimate between {low:g} and {high:g} lies on one side of the region ({holds})")


def _refuse_twins(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise TaskError(f"{what} {name!r} is declared twice")


def _refuse_companions(experiment: Experiment) -> None:
    """TaskError for a declared metric whose name says that it is the companion of another."""
    names = [metric.name for metric in experiment.metrics]
    for metric in experiment.metrics:
        beside = companion(metric.name)
        if beside in names:
            why = "trials return it undeclared" if metric.censored else f"declare {metric.name} with censored=True instead"
            raise TaskError(f"experiment {experiment.name}: metric {beside!r} says whether {metric.name} is a bound: {why}")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One paper on trial, re-runnable. Declared in `tasks/<field>/<paper>/task.py` as `TASK`."""

    id: str
    version: int
    paper: Paper
    methods: Sequence[Method]
    experiments: Sequence[Experiment]
    scales: Mapping[str, Scale]
    claims: Sequence[Claim]
    summary: str = ""

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.id):
            raise TaskError(f"task id {self.id!r}: use lower-case words joined by dashes")
        _refuse_odd("task", [self.id], path=True)
        names = {
            "method": [m.name for m in self.methods],
            "experiment": [e.name for e in self.experiments],
            "claim": [c.id for c in self.claims],
            "figure": [f.id for e in self.experiments for f in e.figures or ()],
        }
        for kind, listed in names.items():
            _refuse_odd(f"task {self.id}: {kind}", listed)
            _refuse_twins(f"task {self.id}: {kind}", listed)
        if not self.experiments:
            raise TaskError(f"task {self.id}: declares no experiment")
        for experiment in self.experiments:
            self._check_experiment(experiment)
        self._check_types()
        for name, scale in self.scales.items():
            self._check_scale(name, scale)
        for claim in self.claims:
            self._check_claim(claim)

    def _check_experiment(self, experiment: Experiment) -> None:
        figured = [method for figure in experiment.figures or () for method in figure.methods]
        for method in (
            *experiment.methods,
            *experiment.selecting,
            *(name for metric in experiment.metrics for name in metric.methods),
            *figured,
        ):
            self.method(method, TaskError)

    def _check_claim(self, claim: Claim) -> None:
        for name in claim.scales:
            if name not in SCALES:
                raise unknown(f"scale of claim {claim.id}", name, SCALES, error=TaskError)
        others = [other.id for other in self.claims if other is not claim]
        for id in claim.stands_on:
            if id not in others:
                raise unknown(f"claim that {claim.id} stands on", id, others, error=TaskError)
        if claim.id in self.grounds(claim):
            raise TaskError(f"claim {claim.id}: it stands on claims that stand on it")
        if claim.bounds.bounded:
            _check_bounds(claim)
        if claim.primary and claim.kind != "paper":
            raise TaskError(f"claim {claim.id}: only the paper's own claims are primary, and this one is declared a {claim.kind}")

    def grounds(self, claim: Claim) -> set[str]:
        """Ids of the claims that a claim stands on, directly or through others."""
        stands_on = {other.id: other.stands_on for other in self.claims}
        found, ahead = set[str](), list(claim.stands_on)
        while ahead:
            id = ahead.pop()
            ahead += [] if id in found else stands_on.get(id, ())
            found.add(id)
        return found

    def _check_types(self) -> None:
        """Records of all experiments share columns: a parameter of one name is of one type, numbers alike."""
        seen: dict[str, tuple[str, str]] = {}
        for experiment in self.experiments:
            for f in dataclasses.fields(experiment.params):
                own = params.kind(experiment, f.name).column
                first, kind = seen.setdefault(f.name, (experiment.name, own))
                if kind != own:
                    raise TaskError(f"task {self.id}: parameter {f.name} has another type in experiment {experiment.name} than in {first}")

    def _check_scale(self, name: str, scale: Scale) -> None:
        if name not in SCALES:
            raise unknown("scale", name, SCALES, error=TaskError)
        if scale.seeds < 1 or scale.time_limit_s <= 0:
            raise TaskError(f"task {self.id}, scale {name}: needs at least one seed and a positive time limit")
        for grid in scale.grids:
            experiment = self.experiment(grid.experiment.name, TaskError)
            if experiment is not grid.experiment:
                raise TaskError(
                    f"task {self.id}, scale {name}: a grid holds another experiment than the task's, also called {experiment.name!r}"
                )
            _refuse_odd(f"task {self.id}, scale {name}: view", [grid.view] if grid.view else [], path=True)
            for key in (*grid.axes, *(key for point in grid.points for key in point)):
                experiment.parameter(key)
            given = [*((key, value) for point in grid.points for key, value in point.items())]
            for method in grid.methods:
                self.method(method, TaskError)
                if experiment.methods and method not in experiment.methods:
                    raise TaskError(f"task {self.id}, scale {name}: experiment {experiment.name} does not run method {method!r}")
            for key, values in grid.axes.items():
                if isinstance(values, str) or not isinstance(values, Sequence):
                    raise TaskError(f"task {self.id}, scale {name}: axis {key} is a sequence of values, not {values!r}")
                given += [(key, value) for value in values]
            for key, value in given:
                try:
                    params.check(experiment, key, value)
                except UsageError as error:
                    raise TaskError(f"task {self.id}, scale {name}: {error}") from None
            if not grid.points or not all(len(values) for values in grid.axes.values()):
                raise TaskError(
                    f"task {self.id}, scale {name}: a grid of experiment {experiment.name} has a point list or an axis without values"
                )
            if not self.methods_of(grid):
                raise TaskError(f"task {self.id}, scale {name}: a grid of experiment {experiment.name} has no method")

    def methods_of(self, grid: Grid) -> list[str]:
        """Names of the methods that a grid runs."""
        return list(grid.methods) or list(grid.experiment.methods) or [method.name for method in self.methods]

    def method(self, name: str, error: type[PapertrialError] = UsageError) -> Method:
        """The method called `name`; an error that offers the nearest one otherwise."""
        for method in self.methods:
            if method.name == name:
                return method
        raise unknown(f"method of {self.id}", name, [m.name for m in self.methods], error=error)

    def experiment(self, name: str, error: type[PapertrialError] = UsageError) -> Experiment:
        """The experiment called `name`."""
        for experiment in self.experiments:
            if experiment.name == name:
                return experiment
        raise unknown(f"experiment of {self.id}", name, [e.name for e in self.experiments], error=error)

    def scale(self, name: str) -> Scale:
        """The scale called `name`."""
        if name not in self.scales:
            raise unknown(f"scale of {self.id}", name, list(self.scales))
        return self.scales[name]

    def tested_at(self, claim: Claim) -> list[str]:
        """The scales of this task at which a claim is decided."""
        return [scale for scale in self.scales if scale in claim.scales]

    def claim(self, id: str) -> Claim:
        """The claim with this id."""
        for claim in self.claims:
            if claim.id == id:
                return claim
        raise unknown(f"claim of {self.id}", id, [c.id for c in self.claims])

    def grids(self, experiment: str) -> Iterator[tuple[str, Grid]]:
        """(scale, grid) of every grid of an experiment."""
        for name, scale in self.scales.items():
            yield from ((name, grid) for grid in scale.grids if grid.experiment.name == experiment)

    def views(self, experiment: str) -> list[str]:
        """Views of an experiment at any scale, each once, in the order of the grids."""
        return list(dict.fromkeys(grid.view for _, grid in self.grids(experiment) if grid.view))
