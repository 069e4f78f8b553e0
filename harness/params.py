"""Parameters of an experiment: checked against the kinds, ranges and choices that its `Params` dataclass declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import PapertrialError, TaskError, UsageError, unknown
from harness.kinds import NONE, Kind, kinds_of, text
from harness.user_files import FINGERPRINT

if TYPE_CHECKING:
    from harness.task import Experiment


Point = Mapping[str, Any]
"""Values of parameters by their names."""
Axis = Sequence[float]
"""The values that a sweep gives to a parameter that is a number."""


def resolve(experiment: Experiment, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of an experiment in field order: the given values, checked, over the defaults."""
    fields = {f.name: f for f in dataclasses.fields(experiment.params)}
    for name in values:
        if name not in fields:
            raise unknown(f"parameter of experiment {experiment.name}", name, list(fields))
    return {name: check(experiment, name, values.get(name, f.default)) for name, f in fields.items()}


def check(experiment: Experiment, name: str, value: Any) -> Any:
    """`value` in the one form of parameter `name`; a UsageError that names the parameter if it does not fit."""
    return _fitted(experiment, name, value, Kind.value)


def parse(experiment: Experiment, name: str, written: str) -> Any:
    """A value written on the command line, as the kind of parameter `name`."""
    return _fitted(experiment, name, written, Kind.parse)


def _fitted(experiment: Experiment, name: str, given: Any, read: Callable[[Kind, Any], Any]) -> Any:
    field = _field(experiment, name)
    try:
        found = read(kind(experiment, name), given)
    except ValueError as error:
        raise _misfit(experiment, name, given, str(error)) from None
    return _allowed(experiment, field, found)


def kind(experiment: Experiment, name: str) -> Kind:
    """What parameter `name` may be."""
    return kinds_of(experiment.params)[name]


def declared(experiment: Experiment) -> None:
    """TaskError unless every parameter is of a kind on the list and has a default, range and choices that fit it."""
    try:
        found = kinds_of(experiment.params)
    except ValueError as error:
        raise TaskError(f"experiment {experiment.name}: {error}") from None
    for field in dataclasses.fields(experiment.params):
        if field.default is dataclasses.MISSING or not field.init:
            raise TaskError(f"experiment {experiment.name}: parameter {field.name} has no default that a trial could take")
        own = found[field.name]
        if field.metadata.get("file") and (own.of is not str or own.optional):
            raise TaskError(f"experiment {experiment.name}: parameter {field.name} is a file, and so a word, not {own}")
        numeric = all(part.of in (int, float) for part in own.items or (own,))
        if not numeric and (field.metadata.get("low"), field.metadata.get("high")) != (None, None):
            raise TaskError(f"experiment {experiment.name}: parameter {field.name} has a range, and is {own}")
        try:
            for choice in field.metadata.get("choices") or ():
                own.value(choice)
            check(experiment, field.name, field.default)
        except (ValueError, UsageError) as error:
            detail = str(error) if isinstance(error, UsageError) else f"a choice of parameter {field.name} {error}"
            raise TaskError(f"experiment {experiment.name}, as declared: {detail}") from None


def allowed_values(field: dataclasses.Field[Any], own: Kind) -> str:
    """What a parameter may be, in a few words for a table: its kind, its choices or its range."""
    choices, low, high = (field.metadata.get(key) for key in ("choices", "low", "high"))
    if choices is not None:
        return "one of " + ", ".join(text(choice) for choice in choices)
    if field.metadata.get("file"):
        return "a file (its path)"
    return str(own) if low is None and high is None else f"{own}, {_range(low, high)}"


def _allowed(experiment: Experiment, field: dataclasses.Field[Any], value: Any) -> Any:
    """`value`, once it is among the choices and inside the range; each number of a tuple, and None in any case."""
    choices, low, high = (field.metadata.get(key) for key in ("choices", "low", "high"))
    if value is None:
        return value
    if field.metadata.get("file") and value and not FINGERPRINT.fullmatch(value):
        raise UsageError(f"parameter {field.name} of experiment {experiment.name} is a file: name it with --set {field.name}=PATH")
    if choices is not None and value not in [kind(experiment, field.name).value(choice) for choice in choices]:
        raise unknown(f"value of parameter {field.name}", text(value), [text(choice) for choice in choices])
    for one in value if isinstance(value, tuple) else (value,):
        if (low is not None and not one >= low) or (high is not None and not one <= high):
            raise UsageError(f"parameter {field.name} of experiment {experiment.name} must lie {_range(low, high)}, not {one!r}")
    return value


def _misfit(experiment: Experiment, name: str, value: Any, says: str) -> PapertrialError:
    own = kind(experiment, name)
    if own.choices and isinstance(value, str):
        return unknown(f"value of parameter {name}", value, [*map(text, own.choices), *([NONE] if own.optional else [])])
    low, high = (_field(experiment, name).metadata.get(key) for key in ("low", "high"))
    allowed = "" if low is None and high is None else f" (it must lie {_range(low, high)})"
    return UsageError(f"parameter {name} of experiment {experiment.name} {says}{allowed}")


def _field(experiment: Experiment, name: str) -> dataclasses.Field[Any]:
    fields = {f.name: f for f in dataclasses.fields(experiment.params)}
    if name not in fields:
        raise unknown(f"parameter of experiment {experiment.name}", name, list(fields))
    return fields[name]


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at or above {low:g}"
    return f"at or below {high:g}" if low is None else f"in {low:g} to {high:g}"
