"""The options of `plan` and `run`: their grammar, what they say, and the name of the study that they make."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from harness.errors import UsageError
from harness.kinds import split
from harness.task import DATA_KINDS

if TYPE_CHECKING:
    from harness.plan import Overrides
    from harness.task import Task

SET = (
    "values of a parameter instead of the scale's, one trial each: lr=0.1,0.3. A tuple stands in brackets, 'hidden=(8,8),(16,16,16)', "
    "None is clip=none, and a word with commas stands in double quotes inside the shell's own, 'name=\"a, b\",c'"
)


class _Quiet(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def add_selection(verb: argparse.ArgumentParser) -> None:
    """Which trials, and of which study."""
    verb.add_argument("tasks", nargs="+", metavar="TASK")
    verb.add_argument("--scale", required=True, help="smoke, laptop, gpu or paper")
    verb.add_argument("--seeds", type=int, help="number of seeds, 0 to N-1, instead of the scale's")
    verb.add_argument(
        "--first-seed",
        type=int,
        default=0,
        metavar="K",
        help="seeds K to K+N-1: an independent replicate, a study of its own for `compare --allow seeds`",
    )
    verb.add_argument("--set", action="append", default=[], metavar="K=V[,V...]", help=SET)
    verb.add_argument("--experiment", action="append", default=[], help="only this experiment of the task (repeat for several)")
    verb.add_argument("--method", action="append", default=[], help="only this method (repeat for several)")
    verb.add_argument("--claim", action="append", default=[], help="only the trials behind this claim (repeat for several)")
    verb.add_argument("--trial", action="append", default=[], metavar="ID", help="only the trial whose id starts so (repeat for several)")
    verb.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="data=NAME",
        help="only trials that read this data set: the others need not be there (repeat for several)",
    )
    add_data(verb, "; NAME=@OTHER reads another set in its place")
    verb.add_argument("--data-kind", choices=DATA_KINDS, help="refuse data of any other kind")
    verb.add_argument(
        "--until-decided", action="store_true", help="look at 3, 5, 8, 12, 20 seeds; stop when the paper's claims are decided"
    )
    verb.add_argument("--cap", type=int, metavar="N", help="seeds of the last look (default: 20, or what the plan says)")
    verb.add_argument("--study", help="name of the study, instead of one made from tasks, scale and overrides")
    add_store(verb)


def add_run(verb: argparse.ArgumentParser) -> None:
    """A selection, and how its trials are run."""
    add_selection(verb)
    verb.add_argument("--local", action="store_true", help="run in this process, without Ray: a breakpoint works")
    verb.add_argument("--no-packing", action="store_true", help="one trial after another, also where many could train as one program")
    verb.add_argument("--mixed-hardware", action="store_true", help="seeds of one cell may run on different kinds of GPUs")
    verb.add_argument("--retry", action="store_true", help="run again what did not end ok")
    verb.add_argument("--budget", metavar="TIME", help="with --until-decided: end the trials after 90s, 30m or 2h")
    verb.add_argument("--address", help="join the Ray cluster at this address instead of starting an embedded one")
    add_tracking(verb)


def add_data(verb: argparse.ArgumentParser, more: str = "") -> None:
    """The files of a user."""
    verb.add_argument("--data", action="append", default=[], metavar="NAME[:KIND]=PATH", help=f"your own files for a data set{more}")


def add_store(verb: argparse.ArgumentParser) -> None:
    """Where studies live."""
    verb.add_argument(
        "--store", default="results", metavar="URI", help="where studies live: a folder, s3://... or gs://... (default: results)"
    )


def add_tracking(verb: argparse.ArgumentParser) -> None:
    """Where MLflow is."""
    verb.add_argument("--tracking-uri", metavar="U", help="MLflow; `none` writes none (default: sqlite beside the study)")


def recorded(command: Sequence[str]) -> argparse.Namespace | None:
    """The options of a `papertrial run ...` that a study has kept, as words; None where it is no such command of today."""
    parser = _Quiet(add_help=False)
    add_run(parser)
    try:
        return parser.parse_args(command[2:]) if list(command[:2]) == ["papertrial", "run"] else None
    except ValueError:
        return None


def values(items: Sequence[str]) -> dict[str, list[str]]:
    """What `--set NAME=VALUE[,VALUE...]` gives each parameter, as written. UsageError for what says nothing, or a name twice."""
    found: dict[str, list[str]] = {}
    for item in items:
        name, separator, text = item.partition("=")
        if not (name and separator and text):
            raise UsageError(f"--set takes NAME=VALUE or NAME=VALUE,VALUE, not {item!r}")
        if name in found:
            raise UsageError(f"--set names {name} twice: give all of its values at once, as {name}=VALUE,VALUE")
        try:
            found[name] = split(text)
        except ValueError as error:
            raise UsageError(f"--set {name}: {error}; a value with commas or brackets stands in quotes: '{name}=\"a, b\"'") from None
        if not all(value.strip() for value in found[name]):
            raise UsageError(f'--set {name} has an empty value in {text!r}; the empty word is ""')
    return found


def study_name(
    tasks: Sequence[Task],
    scale: str,
    overrides: Overrides,
    data_options: Sequence[str],
    narrowed: Sequence[str] = (),
    until_decided: bool = False,
) -> str:
    """The same command always names the same study: that is what makes `run` resume."""
    head = tasks[0].id if len(tasks) == 1 else f"{len(tasks)}-tasks-{_digest([task.id for task in tasks])}"
    tail = [overrides.digest()] if overrides.digest() else []
    if overrides.first_seed:
        tail.append(f"from-seed-{overrides.first_seed}")
    if any(data_options):
        tail.append(_digest(data_options))
    if narrowed:
        plain = len(narrowed) == 1 and re.fullmatch(r"[\w.+-]{1,60}", narrowed[0])
        tail.append(narrowed[0] if plain else _digest(sorted(narrowed)))
    if until_decided:
        tail.append("until-decided")
    return "-".join([head, scale, *tail])


def _digest(items: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(items).encode()).hexdigest()[:6]
