"""Archives where unpacked files are expected: the sentence that says how to unpack them."""

from __future__ import annotations

import shlex
from pathlib import Path

_ENDINGS = (".tar", ".tar.gz", ".tgz", ".zip")


def is_archive(path: Path) -> bool:
    """Whether the name says so."""
    return path.is_file() and path.name.lower().endswith(_ENDINGS)


def unpack_with(archive: Path) -> str:
    """The command that unpacks it beside itself."""
    where, name = shlex.quote(str(archive.parent)), shlex.quote(str(archive))
    return f"unzip -q {name} -d {where}" if archive.name.lower().endswith(".zip") else f"tar -xf {name} -C {where}"


def packed_in(folder: Path) -> Path | None:
    """The first archive that lies in a folder."""
    return next((entry for entry in sorted(folder.iterdir()) if is_archive(entry)), None)
