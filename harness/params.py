"""Parameters of an experiment: checked against the types, ranges and choices that its `Params` dataclass declares."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from harness.errors import UsageError, unknown
from harness.task import Experiment


def resolve(experiment: Experiment, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of an experiment in field order: the given values, checked, over the defaults."""
    fields = {f.name: f for f in dataclasses.fields(experiment.params)}
    for name in values:
        if name not in fields:
            raise unknown(f"parameter of experiment {experiment.name}", name, list(fields))
    return {name: check(experiment, name, values.get(name, f.default)) for name, f in fields.items()}


def check(experiment: Experiment, name: str, value: Any) -> Any:
    """`value` as the type of parameter `name`; a UsageError that names the parameter if it does not fit."""
    field = _field(experiment, name)
    kind = _kinds(experiment.params)[name]
    meta = field.metadata
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise UsageError(f"parameter {name} of experiment {experiment.name} is {_article(kind)}, not {value!r}")
    choices, low, high = meta.get("choices"), meta.get("low"), meta.get("high")
    if choices is not None and value not in choices:
        raise unknown(f"value of parameter {name}", str(value), [str(choice) for choice in choices])
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise UsageError(f"parameter {name} of experiment {experiment.name} must lie {_range(low, high)}, not {value!r}")
    return value


def parse(experiment: Experiment, name: str, text: str) -> Any:
    """A value written on the command line, as the type of parameter `name`."""
    _field(experiment, name)
    kind = _kinds(experiment.params)[name]
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise UsageError(f"parameter {name} of experiment {experiment.name} is true or false, not {text!r}")
        return words[text.lower()]
    try:
        value = kind(text)
    except ValueError:
        raise UsageError(f"parameter {name} of experiment {experiment.name} is {_article(kind)}, not {text!r}") from None
    return check(experiment, name, value)


@cache
def _kinds(declared: type) -> dict[str, Any]:
    return typing.get_type_hints(declared)


def _field(experiment: Experiment, name: str) -> dataclasses.Field[Any]:
    fields = {f.name: f for f in dataclasses.fields(experiment.params)}
    if name not in fields:
        raise unknown(f"parameter of experiment {experiment.name}", name, list(fields))
    return fields[name]


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(kind, kind.__name__)


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at or above {low:g}"
    return f"at or below {high:g}" if low is None else f"in {low:g} to {high:g}"
