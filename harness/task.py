"""What a paper's experiment is, said in frozen declarations.

A `task.py` builds one `Task` out of these. Nothing here imports torch, ray, pandas or mlflow, so that listing
sixty papers costs milliseconds.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import TaskError, unknown

if TYPE_CHECKING:
    from harness.estimates import Estimate

Role = Literal["baseline", "proposed", "rival", "control", "floor"]
Better = Literal["lower", "higher", "zero", "none"]
DataKind = Literal["real", "stand-in", "semi-synthetic", "synthetic"]

DATA_KINDS: tuple[DataKind, ...] = ("real", "stand-in", "semi-synthetic", "synthetic")
SCALES = ("smoke", "laptop", "gpu", "paper")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def param(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """A field of a task's `Params` dataclass: its default, meaning, unit and allowed range (both ends included)."""
    metadata = {"help": help, "unit": unit, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


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
    """One number a trial returns. `better="zero"` ranks by distance from zero."""

    name: str
    unit: str
    better: Better
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one trial occupies while it runs. GPUs may be fractions: several trials then share a card."""

    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.cpus <= 0 or self.gpus < 0:
            raise TaskError(f"resources must be cpus > 0 and gpus >= 0, not {self.cpus} and {self.gpus}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise TaskError(f"a trial takes a fraction of one GPU or whole GPUs, not {self.gpus}")

    def __str__(self) -> str:
        cpus = f"{self.cpus:g} CPU" + ("" if self.cpus == 1 else "s")
        return cpus if not self.gpus else f"{cpus} + {self.gpus:g} GPU" + ("" if self.gpus <= 1 else "s")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A block of trials: every point x every combination of axes x every method x every seed.

    Two grids may meet: a trial that both ask for has one id and runs once.
    """

    points: Sequence[Mapping[str, Any]] = ({},)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    methods: Sequence[str] = ()
    """Methods of this grid; empty means all of the task's."""
    data: str | None = None
    """Name of the data set the trials read; None means that the experiment makes its own inputs (synthetic)."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A named size of a task."""

    description: str
    grids: Sequence[Grid]
    seeds: int
    time_limit_s: float
    """Limit of one trial, in seconds."""
    resources: Resources = Resources()


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What a trial stands on: a trial of the same task, scale, seed and data that has to end ok first, such as a network to prune.

    It is planned by itself, keyed like any trial, run once a seed and shared by all that name it.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """Its parameters; those not named take their defaults."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """The open interval (low, high) of the estimate in which a claim holds."""

    low: float = float("-inf")
    high: float = float("inf")

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise TaskError(f"a region needs low < high, not ({self.low}, {self.high})")

    def __contains__(self, value: float) -> bool:
        return self.low < value < self.high

    def __str__(self) -> str:
        if self.low == float("-inf"):
            return f"< {self.high:g}"
        return f"> {self.low:g}" if self.high == float("inf") else f"{self.low:g} to {self.high:g}"


def Below(high: float) -> Region:  # noqa: N802 - reads as a constructor: holds=Below(0.0)
    """The region under `high`."""
    return Region(high=high)


def Above(low: float) -> Region:  # noqa: N802
    """The region over `low`."""
    return Region(low=low)


def Within(low: float, high: float) -> Region:  # noqa: N802
    """The region between `low` and `high`."""
    return Region(low=low, high=high)


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


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A leaderboard column: a scalar of one method's records, computed once per seed."""

    name: str
    estimate: Estimate
    unit: str = ""
    better: Better = "none"
    description: str = ""


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


@dataclass(frozen=True, kw_only=True)
class Traces:
    """A grid of small plots, a row for each of several logged curves and a column a method, of the first seed: examples, not means."""

    id: str
    title: str
    ys: Sequence[tuple[str, str]]
    """(heading of the row, name of the logged curve)."""
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
    where: Mapping[str, Any] = field(default_factory=dict)
    methods: Sequence[str] = ()
    """Methods that are drawn; empty means all."""
    x_label: str = ""
    y_label: str = ""
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One paper's experiment, re-runnable. Declared in `tasks/<field>/<paper>/task.py` as `TASK`."""

    id: str
    version: int
    paper: Paper
    params: type
    methods: Sequence[Method]
    metrics: Sequence[Metric]
    scales: Mapping[str, Scale]
    claims: Sequence[Claim]
    run: str
    """`package.module:function`, a string so that listing tasks imports no experiment."""
    statistics: Sequence[Statistic] = ()
    figures: Sequence[Figure | Traces | Matrix] = ()
    requires: Callable[[str, Mapping[str, Any]], Requirement | None] | None = None
    """What a trial of (method, parameters) stands on; None where it stands alone."""
    seconds: Callable[[str, str, Mapping[str, Any]], float] | None = None
    """Expected seconds of one trial, from (scale, method, parameters), on the hardware that the scale names."""
    summary: str = ""

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.id):
            raise TaskError(f"task id {self.id!r}: use lower-case words joined by dashes")
        if not (dataclasses.is_dataclass(self.params) and self.params.__dataclass_params__.frozen):  # type: ignore[attr-defined]
            raise TaskError(f"task {self.id}: params must be a frozen dataclass")
        if self.run.count(":") != 1:
            raise TaskError(f"task {self.id}: run must be 'package.module:function', not {self.run!r}")
        for kind, names in self._names().items():
            for name in names:
                if names.count(name) > 1:
                    raise TaskError(f"task {self.id}: {kind} {name!r} is declared twice")
        for name, scale in self.scales.items():
            self._check_scale(name, scale)
        for figure in self.figures:
            for method in figure.methods:
                self.method(method)
        for claim in self.claims:
            for name in claim.scales:
                if name not in SCALES:
                    raise unknown(f"scale of claim {claim.id}", name, SCALES, error=TaskError)

    def _names(self) -> dict[str, list[str]]:
        return {
            "method": [m.name for m in self.methods],
            "metric": [m.name for m in self.metrics],
            "claim": [c.id for c in self.claims],
            "statistic": [s.name for s in self.statistics],
            "figure": [f.id for f in self.figures],
        }

    def _check_scale(self, name: str, scale: Scale) -> None:
        if name not in SCALES:
            raise unknown("scale", name, SCALES, error=TaskError)
        if scale.seeds < 1 or scale.time_limit_s <= 0:
            raise TaskError(f"task {self.id}, scale {name}: needs at least one seed and a positive time limit")
        known = [f.name for f in dataclasses.fields(self.params)]
        for grid in scale.grids:
            for key in (*grid.axes, *(key for point in grid.points for key in point)):
                if key not in known:
                    raise unknown(f"parameter of {self.id}", key, known, error=TaskError)
            for method in grid.methods:
                self.method(method)

    def method(self, name: str) -> Method:
        """The method called `name`; an error that offers the nearest one otherwise."""
        for method in self.methods:
            if method.name == name:
                return method
        raise unknown(f"method of {self.id}", name, [m.name for m in self.methods])

    def scale(self, name: str) -> Scale:
        """The scale called `name`."""
        if name not in self.scales:
            raise unknown(f"scale of {self.id}", name, list(self.scales))
        return self.scales[name]

    def claim(self, id: str) -> Claim:
        """The claim with this id."""
        for claim in self.claims:
            if claim.id == id:
                return claim
        raise unknown(f"claim of {self.id}", id, [c.id for c in self.claims])
