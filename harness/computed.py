"""What a task's own callable computes, as far as its source says."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import linecache
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from numbers import Real
from types import CodeType, FunctionType
from typing import Any

from harness import registry

_SAYS_NOTHING = ("annotation", "returns", "type_comment", "type_params", "kind", "ctx")
"""Parts of a syntax tree that do not compute."""


def digest(value: Any, plain: Callable[[Any], Any]) -> str:
    """12 hexadecimal digits over what a function, or the methods of a class, compute; "" where no source of a task says it.

    In it are the syntax trees of these functions and of those that they name, where tasks declare them too, without comments, docstrings
    and annotations; the defaults and enclosing variables of each; and the constants of modules and classes that they read. `plain` gives
    a form of a value that is the same in every process.
    """
    forms, seen, ahead = [], set[FunctionType](), list(_functions(value))
    constants = [[name, plain(own)] for name, own in _class_constants(value)]
    while ahead:
        function = ahead.pop()
        trees = [] if function in seen else _trees(function.__code__.co_filename, function.__code__.co_firstlineno, function.__name__)
        seen.add(function)
        if not trees:
            continue
        kept = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *_enclosed(function)]
        named = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
        ahead += [own for other in (*kept, *named.values()) for own in _functions(other)]
        read = [[name, plain(own) if _is_constant(own) else _assigned(function, name)] for name, own in sorted(named.items())]
        forms.append(json.dumps([function.__qualname__, list(map(_form, trees)), read, [plain(own) for own in kept if not _is_own(own)]]))
    return hashlib.sha256(json.dumps([sorted(forms), constants]).encode()).hexdigest()[:12] if forms else ""


def _is_own(value: Any) -> bool:
    """Whether it is a function or a class of a task's, not of the harness or a library."""
    value = inspect.unwrap(value) if callable(value) else value
    return isinstance(value, FunctionType | type) and registry.declares(value.__module__)


def _functions(value: Any) -> Iterator[FunctionType]:
    """A function of a task's own, or the methods of such a class and of those that it is made of."""
    if not _is_own(value):
        return
    value = inspect.unwrap(value)
    if isinstance(value, FunctionType):
        yield value
        return
    for one in filter(_is_own, value.__mro__):
        for own in vars(one).values():
            inner = own.fget if isinstance(own, property) else own.func if isinstance(own, cached_property) else own
            inner = getattr(inner, "__func__", inner)
            if callable(inner) and isinstance(found := inspect.unwrap(inner), FunctionType):
                yield found


def _class_constants(value: Any) -> list[tuple[str, Any]]:
    """Those of a class that are no default of a field."""
    classes = [one for one in value.__mro__ if _is_own(one)] if isinstance(value, type) else []
    fields = getattr(value, "__dataclass_fields__", {})
    return [
        (name, own)
        for one in classes
        for name, own in sorted(vars(one).items())
        if name[:2] != "__" and name not in fields and _is_constant(own)
    ]


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, Real | str | bytes)


def _enclosed(function: FunctionType) -> list[Any]:
    """The values of the variables around a function that it reads."""
    return [cell.cell_contents for cell in function.__closure__ or ()]


def _names(code: CodeType) -> set[str]:
    """What a function and those inside of it read that is not theirs; attributes are among it."""
    return {*code.co_names, *(name for inner in code.co_consts if isinstance(inner, CodeType) for name in _names(inner))}


@cache
def _module(file: str) -> tuple[dict[int, list[ast.AST]], dict[str, ast.AST]]:
    """First line -> functions that begin there, and name -> what a module assigns to it at its top."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}, {}
    functions: dict[int, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            decorators = getattr(node, "decorator_list", [])
            functions.setdefault(min([node.lineno, *(own.lineno for own in decorators)]), []).append(node)
    assigned: dict[str, ast.AST] = {}
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []:
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                assigned[target.id] = node.value
    return functions, assigned


def _trees(file: str, line: int, name: str) -> Sequence[ast.AST]:
    """The function of this name that begins at a line of a file; of several lambdas of one line all."""
    return [node for node in _module(file)[0].get(line, ()) if getattr(node, "name", "<lambda>") == name]


def _assigned(function: FunctionType, name: str) -> Any:
    """The form of what the function's own module assigns to a name; nothing where it is imported."""
    node = _module(function.__code__.co_filename)[1].get(name)
    return None if node is None else _form(node)


def _form(node: Any) -> Any:
    """A syntax tree without what does not compute, the same in every version of Python."""
    if isinstance(node, list):
        return [_form(own) for own in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    said = [[name, _form(own)] for name, own in fields.items() if name not in _SAYS_NOTHING and own is not None and own != []]
    return [type(node).__name__, *said]
