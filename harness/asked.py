"""What a claim asks, as a short digest: a verdict that is kept says by it which question it answers."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from numbers import Real
from types import MethodType
from typing import TYPE_CHECKING, Any

from harness.computed import digest

if TYPE_CHECKING:
    from harness.task import Claim


def asks(claim: Claim) -> str:
    """12 hexadecimal digits over a claim's estimate, region and unit, whether it is exact, and the ids of what it stands on.

    Its statement is not in it. A field that has its default says nothing, so that an estimate which learns another option asks the same as
    before. Of a function or a class that a task declares counts what it computes (`harness.computed`), of others the name.
    """
    stands_on = [set(claim.stands_on)] if claim.stands_on else []
    text = json.dumps(_plain([claim.estimate, claim.holds, claim.unit, claim.exact, *stands_on]))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    """The same for values that are declared alike, in every process: no addresses, no order of a set."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {"mapping": [[str(key), _plain(value[key])] for key in sorted(value, key=str)]}
    if isinstance(value, AbstractSet):
        return {"set": sorted(json.dumps(_plain(own)) for own in value)}
    if isinstance(value, list | tuple | range):
        return [_plain(own) for own in value]
    if isinstance(value, functools.partial):
        return {"partial": _plain([value.func, value.args, value.keywords])}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {f.name: (_plain(getattr(value, f.name)), _default(f)) for f in dataclasses.fields(value) if f.compare}
        return {_called(type(value)): [[name, said] for name, (said, usual) in own.items() if said != usual]}
    if isinstance(value, MethodType):
        return {"method": _plain([value.__func__, value.__self__])}
    named: Any = value if hasattr(value, "__qualname__") else type(value)
    return _called(named)


@functools.cache
def _called(value: Any) -> str:
    """The name of a function or class, with a digest of what it computes where a task declares it."""
    computed = digest(value, _plain)
    return f"{value.__qualname__}:{computed}" if computed else value.__qualname__


_NONE = object()


def _default(field: dataclasses.Field[Any]) -> Any:
    """The plain form of a field's default, which equals nothing where it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return _plain(field.default_factory())
    return _NONE if field.default is dataclasses.MISSING else _plain(field.default)
