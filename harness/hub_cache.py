"""The cache folders of the Hugging Face hub: which folder of one a user means who names its root."""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError
from harness.shown import reason_of

_PREFIX = "datasets--"


def hub_snapshot(path: Path) -> tuple[Path, str]:
    """The folder whose files are read for `path`, and its name for records; any other path comes back as it is.

    A cache has hub/datasets--<owner>--<name>/snapshots/<commit>/, and refs/main beside it holds the commit that was asked for last.
    It is looked for before files are digested, since a root may hold much else. DataError where more than one folder could be meant.
    """
    try:
        if not path.is_dir():
            return path, path.name
        repository = _repository(path)
        if repository is None:
            return path, path.name
        commit = _commit(repository)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason_of(error)})") from None
    owner_and_name = repository.name.removeprefix(_PREFIX).replace("--", "/")
    return repository / "snapshots" / commit, f"{owner_and_name}@{commit[:8]}"


def _repository(path: Path) -> Path | None:
    if path.name.startswith(_PREFIX) and (path / "snapshots").is_dir():
        return path
    for root in (path, path / "hub"):
        found = sorted(child for child in root.glob(f"{_PREFIX}*") if (child / "snapshots").is_dir())
        if len(found) > 1:
            names = ", ".join(child.name for child in found)
            raise DataError(f"{root}: a cache of {len(found)} data sets of the hub ({names}): name the folder of one")
        if found:
            return found[0]
    return None


def _commit(repository: Path) -> str:
    commits = sorted(child.name for child in (repository / "snapshots").iterdir() if child.is_dir())
    reference = repository / "refs" / "main"
    main = reference.read_text(errors="replace").strip() if reference.is_file() else ""
    if main in commits:
        return main
    if len(commits) == 1 and not main:
        return commits[0]
    if not commits or main:
        what = f"snapshot {main[:40]}, which refs/main names," if main else "a snapshot"
        raise DataError(f"{repository}: {what} is not there: fetch the data set again, or name the folder of a snapshot")
    raise DataError(f"{repository}: has {len(commits)} snapshots and no refs/main: name one of {', '.join(commits)} in snapshots/")
