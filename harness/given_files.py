"""Files that users give to parameters: known by their content from then on, so that no result hangs on a path.

`--set checkpoint=PATH` leaves a link under the fingerprint of the content in the cache folder, and the fingerprint is what trials, records
and the study's name get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.data import cache_root
from harness.errors import DataError, UsageError
from harness.kinds import unquoted
from harness.shown import reason_of
from harness.task import Task
from harness.user_files import FINGERPRINT, file_digest


def fingerprints(tasks: Sequence[Task], values: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What the user wrote for each parameter, paths of files replaced by fingerprints.

    UsageError for what is neither a file here nor the fingerprint of one that was named before.
    """
    files = {
        name
        for task in tasks
        for experiment in task.experiments
        for name in experiment.parameters
        if experiment.parameter(name).metadata.get("file")
    }
    return {name: [_fingerprint(name, text) for text in texts] if name in files else list(texts) for name, texts in values.items()}


def located(fingerprint: str) -> Path:
    """The file with this content. DataError where this machine does not know it, or it has another content now."""
    link = _link(fingerprint)
    try:
        path = link.resolve(strict=True)
        digest = file_digest(path)
    except (OSError, RuntimeError) as error:
        if not link.is_symlink():
            raise DataError(f"no file with the fingerprint {fingerprint} was named on this machine: name it with --set") from None
        raise DataError(f"{_target(link)}: cannot be read ({reason_of(error) if isinstance(error, OSError) else error})") from None
    if not digest.startswith(fingerprint):
        raise DataError(f"{path}: it was changed: its fingerprint is {digest[:16]}, and the trial was planned with {fingerprint}")
    return path


def _fingerprint(name: str, text: str) -> str:
    written = unquoted(text.strip())
    if not written:
        return text
    if FINGERPRINT.fullmatch(written) and _link(written).is_symlink():
        return written
    try:
        path = Path(written).expanduser().resolve()
        if not path.is_file():
            raise UsageError(f"--set {name}={written}: there is no such file")
        fingerprint = file_digest(path)[:16]
        link = _link(fingerprint)
        if not (link.is_symlink() and _target(link) == str(path)):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(path)
    except (OSError, RuntimeError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise UsageError(f"--set {name}={written}: cannot be read or kept ({reason})") from None
    return fingerprint


def _link(fingerprint: str) -> Path:
    return cache_root() / "files" / fingerprint


def _target(link: Path) -> str:
    return str(link.readlink())
