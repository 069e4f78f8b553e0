"""Parameters of a task: checked against the types, ranges and choices that its `Params` dataclass declares."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError, unknown
from harness.task import Task


def resolve(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of `task` in field order: the given values, checked, over the defaults."""
    fields = {f.name: f for f in dataclasses.fields(task.params)}
    for name in values:
        if name not in fields:
            raise unknown(f"parameter of {task.id}", name, list(fields))
    return {name: check(task, name, values.get(name, f.default)) for name, f in fields.items()}


def check(task: Task, name: str, value: Any) -> Any:
    """`value` as the type of parameter `name`; a UsageError that names the parameter if it does not fit."""
    field = _field(task, name)
    kind = typing.get_type_hints(task.params)[name]
    meta = field.metadata
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise UsageError(f"parameter {name} of {task.id} is {_article(kind)}, not {value!r}")
    choices, low, high = meta.get("choices"), meta.get("low"), meta.get("high")
    if choices is not None and value not in choices:
        raise unknown(f"value of parameter {name}", str(value), [str(choice) for choice in choices])
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise UsageError(f"parameter {name} of {task.id} must lie {_range(low, high)}, not {value!r}")
    return value


def parse(task: Task, name: str, text: str) -> Any:
    """A value written on the command line, as the type of parameter `name`."""
    _field(task, name)
    kind = typing.get_type_hints(task.params)[name]
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise UsageError(f"parameter {name} of {task.id} is true or false, not {text!r}")
        return words[text.lower()]
    try:
        value = kind(text)
    except ValueError:
        raise UsageError(f"parameter {name} of {task.id} is {_article(kind)}, not {text!r}") from None
    return check(task, name, value)


def _field(task: Task, name: str) -> dataclasses.Field[Any]:
    fields = {f.name: f for f in dataclasses.fields(task.params)}
    if name not in fields:
        raise unknown(f"parameter of {task.id}", name, list(fields))
    return fields[name]


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(kind, kind.__name__)


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at or above {low:g}"
    return f"at or below {high:g}" if low is None else f"in {low:g} to {high:g}"
