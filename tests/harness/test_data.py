"""Data: what resolves is what was verified, and what is missing or damaged is said before any trial."""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from harness import data, ledger, registry, user_files
from harness.data import Sdist, UserData, Wheel
from harness.errors import DataError, UsageError
from harness.store import StudyStore
from harness.study import load
from harness.user_files import files_below
from tests.harness.conftest import Command

RUN = ["run", "misbehaving", "--scale", "laptop", "--seeds", "1", "--local", "--tracking-uri", "none"]


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    """Every test here has an empty cache."""


def letters() -> data.Dataset:
    return registry.dataset("letters")


def test_missing_data_stops_the_run_before_any_trial_with_the_command_for_it(papertrial: Command) -> None:
    said = papertrial(*RUN)
    assert said.code == 2
    assert "run `papertrial data prepare letters`" in said.err
    assert not Path("results").exists()
    assert papertrial("data", "prepare", "letters").code == 0
    said = papertrial(*RUN)
    assert said.code == 0, said.err


def test_a_plan_needs_no_data_and_says_what_is_missing(papertrial: Command) -> None:
    said = papertrial("plan", "misbehaving", "--scale", "laptop")
    assert said.code == 0, said.err
    assert "18 trials over 3 seeds, 18 left" in said.out
    assert "papertrial data prepare letters" in said.out


def test_every_record_says_which_data_it_read(papertrial: Command, tmp_path: Path) -> None:
    papertrial("data", "prepare", "letters")
    papertrial(*RUN)
    (verdict,) = csv.DictReader((tmp_path / "results" / "misbehaving-laptop" / "verdicts.csv").open())
    assert verdict["data_kind"] == "stand-in"
    assert verdict["decides"] == "direction"


@pytest.mark.parametrize("damage", [b"abc", b"zbcdefghijklmnopqrstuvwxyz"], ids=["truncated", "corrupt"])
def test_a_damaged_file_is_found_by_its_fingerprint(papertrial: Command, damage: bytes) -> None:
    papertrial("data", "prepare", "letters")
    (data.prepared_folder(letters()) / "letters.txt").write_bytes(damage)
    said = papertrial(*RUN)
    assert said.code == 2
    assert "does not match its fingerprint" in said.err
    assert "papertrial data prepare letters --force" in said.err
    assert papertrial("data", "prepare", "letters", "--force").code == 0
    assert papertrial(*RUN).code == 0


def test_a_missing_file_or_manifest_is_damage_too() -> None:
    data.prepare(letters())
    folder = data.prepared_folder(letters())
    (folder / "letters.txt").unlink()
    with pytest.raises(DataError, match="is missing"):
        data.resolve(letters(), {})
    (folder / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="manifest cannot be read"):
        data.resolve(letters(), {})


def test_the_users_own_files_win_and_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.prepare(letters())
    own = tmp_path / "letters.txt"
    own.write_text("xyz")
    chosen = data.resolve(letters(), {"letters": UserData(own, "real")})
    assert (chosen.source, chosen.kind) == ("letters.txt", "real")
    assert data.open_data(letters(), chosen) == "xyz"
    assert chosen.fingerprint != data.resolve(letters(), {}).fingerprint
    assert data.resolve(letters(), {"letters": UserData(own)}).kind == "stand-in", "without the user's word it is not the paper's data"
    own.write_text("xyzzy")
    assert data.open_data(letters(), data.resolve(letters(), {"letters": UserData(own)})) == "xyzzy", "an edited file is other data"


def test_the_environment_names_a_folder_of_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "sets"
    root.mkdir()
    (root / "letters").write_text("no suffix")
    monkeypatch.setenv("PAPERTRIAL_DATA", str(root))
    with pytest.raises(DataError, match=r"only \.txt is read"):
        data.resolve(letters(), {})


def test_a_kind_that_was_refused_is_refused(papertrial: Command, tmp_path: Path) -> None:
    papertrial("data", "prepare", "letters")
    said = papertrial(*RUN, "--data-kind", "real")
    assert said.code == 2
    assert "which is stand-in; --data-kind real refuses it" in said.err
    (tmp_path / "own.txt").write_text("abc")
    assert papertrial(*RUN, "--data-kind", "real", "--data", f"letters:real={tmp_path / 'own.txt'}").code == 0
    said = papertrial(*RUN, "--data", f"letters={tmp_path / 'nowhere.txt'}")
    assert said.code == 2
    assert "there is no such file or folder" in said.err


def test_another_set_is_read_in_the_place_of_the_grids(papertrial: Command, tmp_path: Path) -> None:
    papertrial("data", "prepare", "letters")
    own = tmp_path / "own.txt"
    own.write_text("futhark")
    assert papertrial(*RUN).code == 0
    said = papertrial(*RUN, "--data", "letters=@runes", "--data", f"runes:real={own}")
    assert said.code == 0, said.err
    (study,) = [path for path in (tmp_path / "results").iterdir() if path.is_dir() and path.name != "misbehaving-laptop"]
    records = ledger.read(StudyStore(str(study.parent), study.name)).records.values()
    assert {(record.data_name, record.data_kind) for record in records} == {("own.txt", "real")}, "the record says what was read"
    before = ledger.read(StudyStore(str(study.parent), "misbehaving-laptop")).records
    assert not before.keys() & {record.trial_id for record in records}, "other data, other trials"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["letters=@runes"], "data set runes is not prepared on this machine"),
        (["letters=@rune"], "did you mean 'runes'"),
        (["letters=@digits"], r"digits (labelled images) cannot be read in the place of letters (characters)"),
        (["runes=@letters"], "--data names 'runes', which these tasks do not read (they read: letters)"),
        (["letters=@runes", "letters=x.txt"], "--data names 'letters', which these tasks do not read (they read: runes)"),
    ],
)
def test_a_replacement_that_does_not_fit_is_refused(papertrial: Command, words: list[str], says: str) -> None:
    papertrial("data", "prepare", "letters")
    said = papertrial(*RUN, *(word for item in words for word in ("--data", item)))
    assert (said.code, says in said.err) == (2, True), said.err


def adopted_files(folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """What a data set that copies the names of its user's files has to say."""
    found = data.resolve(letters(), {"letters": UserData(folder)})
    return data.open_data(letters(), found), found.source, found.notes


@pytest.fixture
def names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The set `letters` becomes the contents of the files below a folder."""

    def adopt(path: Path, target: Path) -> None:
        (target / "letters.txt").write_text("".join(file.read_text() for file in files_below(path)[0]))

    monkeypatch.setattr(throwaway_letters(), "adopt", adopt)


def throwaway_letters() -> ModuleType:
    letters()
    return importlib.import_module("throwaway.datasets.letters")


@pytest.mark.usefixtures("names_are_read")
def test_links_are_followed_once_and_what_is_no_file_is_named(tmp_path: Path) -> None:
    folder, far = tmp_path / "set", tmp_path / "far"
    for one in (folder / "a", far):
        one.mkdir(parents=True)
    (folder / "a" / "1.txt").write_text("a")
    (far / "2.txt").write_text("b")
    (folder / "b").symlink_to(far)
    (far / "back").symlink_to(folder)
    (folder / "a" / "up").symlink_to("..")
    (folder / "gone.txt").symlink_to("nowhere")
    (folder / "self.txt").symlink_to("self.txt")
    (folder / ".#lock").symlink_to("somebody@somewhere")
    os.mkfifo(folder / "pipe")
    text, _, notes = adopted_files(folder)
    assert text == "ab"
    assert notes == (
        "set/a/up: left out, a link to a folder that it lies in",
        "set/b/back: left out, a link to a folder that it lies in",
        "set/gone.txt: left out, a link to a file that is not there",
        "set/pipe: left out, neither a file nor a folder",
        "set/self.txt: left out, a link to a file that is not there",
    )
    (far / "2.txt").write_text("c")
    assert adopted_files(folder)[0] == "ac", "an edit behind a link is other data"


@pytest.mark.usefixtures("names_are_read")
def test_a_name_that_no_encoding_has_is_shown_in_escapes(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "1.txt").write_text("a")
    (folder / os.fsdecode(b"\xff\x1b.txt")).symlink_to("nowhere")
    text, source, notes = adopted_files(folder)
    assert (text, source) == ("a", r"caf\udce9")
    assert notes == (r"caf\udce9/\udcff\x1b.txt: left out, a link to a file that is not there",)
    source.encode()


def test_a_path_that_cannot_be_a_file_is_refused_in_a_sentence(papertrial: Command, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for path, says in (
        (tmp_path / "loop", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("~nobody-of-this-name/x", "there is no home folder ~nobody-of-this-name"),
        (tmp_path / "pipe", "there is no such file or folder"),
    ):
        said = papertrial(*RUN, "--data", f"letters={path}")
        assert (said.code, says in said.err, "Traceback" in said.err) == (2, True, False), said.err


@pytest.mark.parametrize("setting", ["PAPERTRIAL_CACHE", "PAPERTRIAL_DATA"])
def test_a_folder_of_an_unknown_home_is_refused_in_a_sentence(papertrial: Command, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(setting, "~nobody-of-this-name/x")
    said = papertrial(*RUN)
    assert (said.code, said.err.startswith(f"papertrial: {setting} is '~nobody-of-this-name/x'")) == (2, True), said.err


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (KeyError("text"), r"own\.txt cannot be read \(KeyError: 'text'; test_data\.py, line \d+\)"),
        (PermissionError(13, "Permission denied", "/data/own.txt"), r"cannot be read or kept: /data/own\.txt: Permission denied"),
        (OSError(28, "No space left on device"), r"cannot be read or kept: No space left on device"),
        (ModuleNotFoundError("No module named 'PIL'", name="PIL"), r"letters needs the package PIL: pip install 'papertrial\[data\]'"),
        (DataError("line 3 is bad"), "^line 3 is bad$"),
    ],
)
def test_a_reader_never_ends_in_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str) -> None:
    def adopt(path: Path, target: Path) -> None:
        raise error

    monkeypatch.setattr(throwaway_letters(), "adopt", adopt)
    (tmp_path / "own.txt").write_text("a")
    with pytest.raises(DataError, match=says):
        data.resolve(letters(), {"letters": UserData(tmp_path / "own.txt")})


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "own.txt").write_text("a")
    monkeypatch.setattr(user_files, "file_digest", refused)
    with pytest.raises(DataError, match=r"own\.txt: cannot be read \(Permission denied\)"):
        data.resolve(letters(), {"letters": UserData(tmp_path / "own.txt")})


def test_what_older_readers_adopted_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.txt"
    own.write_text("abc")
    first = data.resolve(letters(), {"letters": UserData(own)})
    monkeypatch.setattr(data, "READING", data.READING + 1)
    again = data.resolve(letters(), {"letters": UserData(own)})
    assert again.path != first.path
    assert again.fingerprint == first.fingerprint, "what comes out the same is the same data"


@pytest.mark.parametrize("content", ["[]", "{}", "7", "\x00"])
def test_a_manifest_of_another_form_is_damage(content: str) -> None:
    data.prepare(letters())
    (data.prepared_folder(letters()) / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="its manifest cannot be read"):
        data.resolve(letters(), {})


@pytest.mark.parametrize("item", ["letters", "=x", "letters=", "letters:good=x", "letters=@", "=@x"])
def test_a_data_option_that_does_not_parse(item: str) -> None:
    with pytest.raises(UsageError, match="--data"):
        data.parse_user_data([item])


def test_a_trial_refuses_data_that_changed_since_the_plan() -> None:
    reference = data.prepare(letters())
    manifest = data.prepared_folder(letters()) / "manifest.json"
    manifest.write_text(manifest.read_text().replace(reference.fingerprint, "0" * 16))
    with pytest.raises(DataError, match="not the data that was planned"):
        data.open_data(letters(), reference)


def test_a_failed_preparation_leaves_nothing_that_looks_prepared(tmp_path: Path) -> None:
    bad = tmp_path / "letters.csv"
    bad.write_text("a,b")
    with pytest.raises(DataError):
        data.resolve(letters(), {"letters": UserData(bad)})
    assert not [path for path in (data.cache_root() / "data" / "letters").iterdir() if path.name != "manifest.json"]


def _wheel(folder: Path, text: str) -> Path:
    path = folder / "papertrial_fixture-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fixture.py", text)
        archive.writestr("papertrial_fixture-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: papertrial-fixture\nVersion: 1.0\n")
        archive.writestr("papertrial_fixture-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("papertrial_fixture-1.0.dist-info/RECORD", "")
    return path


_BACKEND = """
from pathlib import Path

def prepare_metadata_for_build_wheel(folder, settings=None):
    info = Path(folder) / "papertrial_fixture-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: papertrial-fixture\\nVersion: 1.0\\n")
    return info.name

def build_wheel(folder, settings=None, metadata=None):
    raise RuntimeError("a download builds nothing")
"""


def _sdist(folder: Path, text: str) -> Path:
    """With a build backend of its own inside, so that pip needs nothing else to read its metadata."""
    path = folder / "papertrial_fixture-1.0.tar.gz"
    content = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: papertrial-fixture\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": _BACKEND,
        "fixture.py": text,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, lines in content.items():
            member = tarfile.TarInfo(f"papertrial_fixture-1.0/{name}")
            member.size = len(lines.encode())
            archive.addfile(member, io.BytesIO(lines.encode()))
    return path


@pytest.mark.parametrize(("pack", "kind"), [(_wheel, Wheel), (_sdist, Sdist)])
def test_an_archive_is_fetched_by_hash_and_another_file_of_that_name_is_refused(
    pack: Callable[[Path, str], Path], kind: type[Wheel] | type[Sdist], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, target, other = tmp_path / "shelf", tmp_path / "target", tmp_path / "other"
    for folder in (shelf, target, other):
        folder.mkdir()
    path = pack(shelf, "x = 1\n")
    pinned = kind(
        requirement="papertrial-fixture==1.0",
        filename=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence="MIT",
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    (fetched,) = data.fetch([pinned], target)
    assert fetched.read_bytes() == path.read_bytes()
    pack(shelf, "x = 2  # another content under the same name\n")
    with pytest.raises(DataError, match=r"could not fetch papertrial-fixture==1\.0"):
        data.fetch([pinned], other)


def test_wheels_come_before_sdists_whatever_the_order_of_the_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`prepare` is told so, and each kind is taken although the registry has the other one too."""
    shelf, target = tmp_path / "shelf", tmp_path / "target"
    for folder in (shelf, target):
        folder.mkdir()
    files = {kind: pack(shelf, "x = 1\n") for kind, pack in ((Sdist, _sdist), (Wheel, _wheel))}
    pinned = [
        kind(
            requirement="papertrial-fixture==1.0",
            filename=path.name,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            licence="MIT",
        )
        for kind, path in files.items()
    ]
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    fetched = data.fetch(pinned, target)
    assert [path.name for path in fetched] == [files[Wheel].name, files[Sdist].name]


def test_what_was_left_out_is_in_every_record_the_plan_and_the_report(papertrial: Command, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("abc\nd3f\nghi\n")
    said = papertrial(*RUN, "--data", f"letters={mine}")
    assert said.code == 0, said.err
    note = "mine.txt, line 2: left out, it holds a digit"
    assert note in said.out
    (study,) = (path for path in (tmp_path / "results").iterdir() if path.is_dir())
    store = StudyStore(str(study.parent), study.name)
    assert {record.data_notes for record in ledger.read(store).records.values()} == {note}
    assert {trial.data.notes for trial in load(store).plan if trial.data} == {(note,)}
    assert note in (study / "report.html").read_text()


def test_many_notes_are_cut_and_the_manifest_keeps_all(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("7\n" * 30 + "abc\n")
    found = data.resolve(letters(), {"letters": UserData(mine)})
    assert len(found.notes) == data.MOST_NOTES + 1
    assert found.notes[-1].startswith("and 10 more")
    assert len(data.manifest(Path(found.path))["notes"]) == 30
