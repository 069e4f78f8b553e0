"""What claims, statistics and figures read, and whether a scale plans it: said when a task is planned or shown, not by a dash later."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from harness import params
from harness.errors import TaskError, UsageError
from harness.estimates import Combined, Estimate, select
from harness.fitted import Fitted
from harness.kinds import cell, text
from harness.sweeps import Sweep

if TYPE_CHECKING:
    import pandas as pd

    from harness.task import Experiment, Figure, Grid, Matrix, Phase, Task, Traces


@dataclass(frozen=True)
class Need:
    """Trials that one leaf of an estimate reads; empty fields narrow nothing down."""

    experiment: str
    view: str
    method: str | None
    where: Mapping[str, Any]
    metric: str = ""
    sweep: Sweep | None = None
    parameters: tuple[str, ...] = ()
    """Parameters that the estimate or those above it run over."""
    metrics: tuple[str, ...] = ()
    """Metrics that it reads beside `metric`."""

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of `frame` that this leaf reads."""
        return select(frame, self.where, experiment=self.experiment, view=self.view, method=self.method)

    def __str__(self) -> str:
        parts = [f"experiment {self.experiment}" if self.experiment else "", f"view {self.view}" if self.view else ""]
        values = ", ".join(f"{name} = {text(value)}" for name, value in self.where.items())
        who = f"method {self.method}" if self.method else "any method"
        return " of ".join([" with ".join(filter(None, (who, values))), *filter(None, reversed(parts))])


_OVER = ("over", "axis", "per", "parameter", "target")
"""Fields of estimates that name a parameter."""
_OF_MANY = ("edges", "along")
"""Fields of estimates whose keys name parameters."""


def needs(estimate: Estimate, above: Need | None = None) -> list[Need]:
    """The leaves of an estimate, found by walking its dataclass fields, or what it names as `reads`, a sequence of estimates.

    A part that is not a dataclass, such as a plain function, may read anything its parent passes it, so it counts as a leaf.
    """
    above = above or Need("", "", None, {})
    where = getattr(estimate, "where", None)
    here = Need(
        experiment=_text(estimate, "experiment") or above.experiment,
        view=_text(estimate, "view") or above.view,
        method=_text(estimate, "method") or above.method,
        where={**above.where, **(where if isinstance(where, Mapping) else {})},
        metric=_text(estimate, "metric"),
        parameters=(*above.parameters, *filter(None, (_text(estimate, name) for name in _OVER)), *_names(estimate, *_OF_MANY)),
        metrics=(*above.metrics, *filter(None, (_text(estimate, name) for name in ("x", "y", "against")))),
        sweep=found if isinstance(found := getattr(estimate, "sweep", None), Sweep) else above.sweep,
    )
    return [need for part in parts(estimate) for need in needs(part, here)] or [here]


def _text(estimate: Any, name: str) -> str:
    value = getattr(estimate, name, "")
    return value if isinstance(value, str) else ""


def _names(estimate: Any, *fields: str) -> Iterator[str]:
    for field in fields:
        value = getattr(estimate, field, {})
        yield from value if isinstance(value, Mapping) else ()


def parts(estimate: Any) -> Iterator[Estimate]:
    """Estimates inside an estimate."""
    if hasattr(estimate, "reads"):
        yield from estimate.reads
        return
    for name in _fields(estimate.__class__):
        value = getattr(estimate, name)
        yield from (part for part in (value if isinstance(value, tuple | list) else (value,)) if callable(part))


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def _check_parts(task: Task, what: str, estimate: Estimate) -> None:
    """TaskError where an estimate, or one inside it, is wrong whatever the trials are."""
    _check_extreme(task, what, estimate)
    _check_law(task, what, estimate)
    for part in parts(estimate):
        _check_parts(task, what, part)


def _check_extreme(task: Task, what: str, estimate: Estimate) -> None:
    """TaskError where an estimate takes the smallest or largest of several methods in each seed: it is biased, whatever is behind it."""
    methods = {method.name for method in task.methods}
    if isinstance(estimate, Combined) and _is_extreme(estimate.function, len(estimate.parts)):
        named = [frozenset(_words(part)) & methods for part in estimate.parts]
        if len(set(named)) > 1:
            listed = ", ".join(sorted(frozenset[str]().union(*named)))
            raise TaskError(
                f"task {task.id}, {what}: it takes the smallest or largest over methods ({listed}) in each seed, which favours the lucky "
                "one; use best_of or extreme, which set a method against each of the others"
            )


def _check_law(task: Task, what: str, estimate: Estimate) -> None:
    """TaskError where an estimate asks a law for what it does not have."""
    if isinstance(estimate, Fitted):
        try:
            estimate.check()
        except TaskError as error:
            raise TaskError(f"task {task.id}, {what}: {error}") from None


def _is_extreme(function: Any, count: int) -> bool:
    """Whether a function of several numbers gives the smallest, or the largest, whatever their order."""
    if count < 2:
        return False
    numbers = [float(2**place) for place in range(count)]
    orders = (numbers, numbers[::-1], [*numbers[1:], numbers[0]])
    try:
        found = [function(order) for order in orders]
    except Exception:
        # A task's own function may ask more of its numbers than these have.
        return False
    return found[0] in (numbers[0], numbers[-1]) and found == found[:1] * len(found)


def _words(estimate: Any) -> Iterator[str]:
    """Words in the fields of an estimate and of its parts, such as names of methods."""
    for name in _fields(estimate.__class__):
        value = getattr(estimate, name)
        yield from (word for word in (value if isinstance(value, tuple | list) else (value,)) if isinstance(word, str))
    for part in parts(estimate):
        yield from _words(part)


def check_names(task: Task) -> None:
    """TaskError where a claim or statistic reads an experiment, method, metric or parameter that the task does not have."""
    for claim in task.claims:
        for need in needs(claim.estimate):
            if not need.experiment and len(task.experiments) > 1:
                raise TaskError(f"task {task.id}, claim {claim.id}: it reads {need}, and does not say of which experiment")
            _check_need(task, f"claim {claim.id}", need)
    for experiment in task.experiments:
        for statistic in experiment.statistics or ():
            for need in needs(statistic.estimate):
                _check_need(task, f"statistic {statistic.name}", dataclasses.replace(need, experiment=need.experiment or experiment.name))


def _check_need(task: Task, what: str, need: Need) -> None:
    try:
        experiment = task.experiment(need.experiment, TaskError) if need.experiment else task.experiments[0]
        if need.method is not None:
            task.method(need.method, TaskError)
        if need.metric and not need.metric.startswith(("metric.", "param.")):
            experiment.metric(need.metric)
        for name in (*need.where, *need.parameters):
            experiment.parameter(name)
        for name in need.parameters:
            own = params.kind(experiment, name)
            if own.optional or own.of is tuple:
                raise TaskError(f"it runs over {name}, which is {own} and has no order")
        for name, value in need.where.items():
            params.check(experiment, name, value)
        for name in need.metrics:
            experiment.metric(name)
        if need.view and need.view not in task.views(experiment.name):
            raise TaskError(f"no grid of experiment {experiment.name} fills view {need.view!r} (views: {_listed(task, experiment.name)})")
    except (TaskError, UsageError) as error:
        raise TaskError(f"task {task.id}, {what}: {error}") from None


def _listed(task: Task, experiment: str) -> str:
    return ", ".join(task.views(experiment)) or "none"


def check(task: Task, scale: str) -> None:
    """TaskError where claims, figures or statistics read names that the task does not have, or trials that no grid of their scales plans.

    It plans, and asks laws, which takes too long for a list of all tasks: a task is checked when it is planned or shown.
    """
    check_names(task)
    for claim in task.claims:
        _check_parts(task, f"claim {claim.id}", claim.estimate)
        for need in needs(claim.estimate) if scale in claim.scales else ():
            if not planned(task, scale, need):
                raise TaskError(
                    f"task {task.id}, claim {claim.id}: no grid of scale {scale} plans {need}; name the scales that do in `scales`"
                )
    for experiment in task.experiments:
        for figure in experiment.figures or ():
            for need in _figure_needs(experiment, figure):
                _check_need(task, f"figure {figure.id}", need)
                _check_anywhere(task, f"figure {figure.id}", need)
        for statistic in experiment.statistics or ():
            _check_parts(task, f"statistic {statistic.name}", statistic.estimate)
            for need in needs(statistic.estimate):
                _check_anywhere(
                    task, f"statistic {statistic.name}", dataclasses.replace(need, experiment=need.experiment or experiment.name)
                )


def _check_anywhere(task: Task, what: str, need: Need) -> None:
    if not any(planned(task, scale, need) for scale in task.scales):
        raise TaskError(f"task {task.id}, {what}: no grid of any scale plans {need}")


def _figure_needs(experiment: Experiment, figure: Figure | Traces | Matrix | Phase) -> Iterator[Need]:
    x, y, z, at = (getattr(figure, name, "") for name in ("x", "y", "z", "at"))
    metrics = [z] if z else [at, y if x != "step" else ""]
    if x and x != "step":
        experiment.parameter(x)
    methods: Sequence[str | None] = figure.methods or [None]
    for method in methods:
        for metric in filter(None, metrics) if any(metrics) else [""]:
            yield Need(experiment.name, figure.view, method, figure.where, metric)


def planned(task: Task, scale: str, need: Need) -> bool:
    """Whether a grid of the scale, or what its trials need first, holds trials that `need` reads."""
    return any(_holds(task, grid, need) or _needed(task, grid, need) for grid in task.scale(scale).grids)


def _holds(task: Task, grid: Grid, need: Need) -> bool:
    if need.experiment not in ("", grid.experiment.name) or need.view not in ("", grid.view):
        return False
    if need.method is not None and need.method not in task.methods_of(grid):
        return False
    if not need.where:
        return True
    wanted = {name: cell(value) for name, value in need.where.items()}
    if any(value not in map(cell, grid.axes[name]) for name, value in wanted.items() if name in grid.axes):
        return False
    left = {name: value for name, value in wanted.items() if name not in grid.axes}
    defaults = {f.name: f.default for f in dataclasses.fields(grid.experiment.params) if f.name in left}
    return any(
        all(name in defaults and cell(point.get(name, defaults[name])) == value for name, value in left.items()) for point in grid.points
    )


def _needed(task: Task, grid: Grid, need: Need) -> bool:
    """Whether trials of the grid need one first that `need` reads."""
    experiment = grid.experiment
    if need.view or experiment.requires is None:
        return False
    defaults = {f.name: f.default for f in dataclasses.fields(experiment.params)}
    for method in task.methods_of(grid):
        for point in grid.points:
            values = {**defaults, **{name: axis[0] for name, axis in grid.axes.items()}, **point}
            requirement = experiment.requires(method, values)
            if requirement is None or need.method not in (None, requirement.method):
                continue
            other = requirement.experiment or experiment.name
            if need.experiment in ("", other):
                return True
    return False
