"""Functions named as text (`package.module:function`), imported where they are used and not before."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from harness.errors import TaskError


def load(reference: str) -> Callable[..., Any]:
    """The function behind `package.module:function`. Errors inside that module's own code pass through unchanged."""
    module_name, _, name = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise TaskError(f"{reference}: there is no module {module_name}") from None
        raise
    function = getattr(module, name, None)
    if not callable(function):
        raise TaskError(f"{reference}: module {module_name} has no function {name!r}")
    return function  # type: ignore[no-any-return]
