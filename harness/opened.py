"""Opened data sets of one worker: shared by its trials as long as none of them changes what it was given."""

from __future__ import annotations

import pickle
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

_ATOMS = (int, float, complex, bool, str, bytes, type(None), type, range, slice, FunctionType, BuiltinFunctionType, MethodType, ModuleType)
_WHOLE = 2**26
"""Bytes of an array that are looked at whole; of a larger one every n-th block of `_BLOCK` is."""
_BLOCK = 2**12


@dataclass
class _Opened:
    content: Any
    unchanged: Callable[[], bool]


class OpenedData:
    """`get` opens a set once; `settle`, after each trial, forgets one that the trial changed, so that the next gets it as it is on disk."""

    def __init__(self, open_set: Callable[[Any], Any]) -> None:
        self._open_set = open_set
        self._opened: dict[str, _Opened] = {}
        self._used: set[str] = set()

    def get(self, fingerprint: str, asked: Any) -> Any:
        """The set with this fingerprint; `asked` is what opens it. Arrays are read-only: a trial that writes to one fails."""
        if fingerprint not in self._opened:
            content = self._open_set(asked)
            self._opened[fingerprint] = _Opened(content, _guarded(content))
        self._used.add(fingerprint)
        return self._opened[fingerprint].content

    def settle(self) -> None:
        """The trial has ended."""
        for fingerprint in self._used:
            if not self._opened[fingerprint].unchanged():
                del self._opened[fingerprint]
        self._used.clear()


def _guarded(content: Any) -> Callable[[], bool]:
    """Makes the arrays reachable from `content` read-only; a function that tells whether everything there is as it was now.

    Containers and objects are compared by the identity of what they hold, arrays and tensors by a checksum, other things that can
    change by their pickle; what has none (a generator, an open file) is never the same again.
    """
    nodes, numpy = list(_nodes(content)), sys.modules.get("numpy")
    for node in nodes:
        if numpy and isinstance(node, numpy.ndarray):
            node.flags.writeable = False
    # Only now: the pickle of what holds an array may tell whether it can be written to.
    checks = [check for node in nodes if (check := _check(node)) is not None]
    return lambda: all(check() for check in checks)


def _check(node: Any) -> Callable[[], bool] | None:
    if _is_array(node):
        before = _checksum(node)
        return None if before is None else lambda: _checksum(node) == before
    if isinstance(node, tuple | frozenset):
        return None
    if isinstance(node, list | set | dict | MappingProxyType):
        kept = _held(node)
        return lambda: _same(_held(node), kept)
    if _plain_object(node):
        fields = _fields(node)
        return lambda: _same(_fields(node), fields)
    pickled = _pickled(node)
    return lambda: pickled is not None and _pickled(node) == pickled


def _nodes(content: Any) -> Iterator[Any]:
    """Everything reachable that can change or hold what can, once."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _ATOMS) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if _is_array(node):
            continue
        if isinstance(node, list | tuple | set | frozenset | dict | MappingProxyType):
            waiting += _held(node)
        elif _plain_object(node):
            waiting += _fields(node)


def _held(container: Any) -> list[Any]:
    if isinstance(container, dict | MappingProxyType):
        return [part for pair in container.items() for part in pair]
    return list(container)


def _fields(thing: Any) -> list[Any]:
    """Names and values of an object's attributes; what a `cached_property` remembers is no change."""
    kind = type(thing)
    fields = {name: value for name, value in vars(thing).items() if not isinstance(getattr(kind, name, None), cached_property)}
    return _held(fields)


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(
        a is b or (isinstance(a, _ATOMS) and type(a) is type(b) and a == b) for a, b in zip(now, before, strict=True)
    )


def _plain_object(node: Any) -> bool:
    """An object of Python's own making: all that it is lies in its attributes."""
    kind = type(node)
    own = any(name in vars(base) for base in kind.__mro__[:-1] for name in ("__slots__", "__reduce__", "__reduce_ex__"))
    return hasattr(node, "__dict__") and not own


def _is_array(node: Any) -> bool:
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return bool(numpy and isinstance(node, numpy.ndarray)) or bool(torch and hasattr(torch, "Tensor") and isinstance(node, torch.Tensor))


def _checksum(array: Any) -> int | None:
    """None for a read-only map of a file: the operating system guards it."""
    numpy = sys.modules["numpy"]
    if _is_map_of_a_file(array):
        return None
    if not isinstance(array, numpy.ndarray):
        version = 31 * int(array._version)
        plain = array.detach()
        if plain.layout is not sys.modules["torch"].strided or plain.device.type != "cpu":
            return version
        plain = plain.contiguous().reshape(-1)
        return version + _crc(plain.view(sys.modules["torch"].uint8).numpy() if plain.numel() else b"")
    if array.dtype.hasobject:
        return zlib.crc32(_pickled(array) or b"")
    return _crc(numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8) if array.size else b"")


def _is_map_of_a_file(array: Any) -> bool:
    """Whether the array is a part of a file that is mapped read-only."""
    numpy = sys.modules["numpy"]
    while isinstance(array, numpy.ndarray):
        if isinstance(array, numpy.memmap) and array.mode == "r":
            return True
        array = array.base
    return False


def _crc(content: Any) -> int:
    view = memoryview(content)
    if len(view) <= _WHOLE:
        return zlib.crc32(view)
    step = _BLOCK * (len(view) // _WHOLE + 1)
    found = 0
    for start in range(0, len(view), step):
        found = zlib.crc32(view[start : start + _BLOCK], found)
    return found


def _pickled(node: Any) -> bytes | None:
    try:
        return pickle.dumps(node)
    except Exception:
        return None
