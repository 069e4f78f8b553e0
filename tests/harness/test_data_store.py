"""Data pushed into a store: nodes that lack a set fetch it by fingerprint, verify it, and only then use it."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import data, data_store, engine, ledger, registry
from harness.errors import DataError, StoreError
from harness.store import StudyStore
from harness.user_files import file_digest
from tests.harness.conftest import Command
from tests.object_store import Server

RUN = ["run", "misbehaving", "--scale", "laptop", "--seeds", "1", "--tracking-uri", "none"]
STUDY = "misbehaving-laptop"
ON_THE_DRIVER = engine.run_trials


@pytest.fixture(autouse=True)
def _prepared(cache: Path) -> None:
    data.prepare(registry.dataset("letters"))


@pytest.fixture
def node(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a node: once a run has planned, its trials find this one, and the driver's files are out of reach."""
    folder, real = tmp_path / "node", engine.run_trials

    def on_a_node(*words: Any, **options: Any) -> Any:
        hidden = cache.rename(tmp_path / "of the driver")
        with monkeypatch.context() as patch:
            patch.setenv("PAPERTRIAL_CACHE", str(folder))
            try:
                return real(*words, **options)
            finally:
                hidden.rename(cache)

    monkeypatch.setattr(engine, "run_trials", on_a_node)
    return folder


def records(store: Path, study: str = STUDY) -> dict[str, tuple[str, dict[str, float], str]]:
    """Trial id -> status, metrics, error."""
    found = ledger.read(StudyStore(str(store), study)).records
    return {name: (record.status, dict(record.metrics), record.error) for name, record in found.items()}


def pushed(store: Path) -> Path:
    """The folder of the only copy of the letters."""
    (folder,) = (store / "data" / "letters").iterdir()
    return folder


def fetched(node: Path) -> list[str]:
    return sorted(path.name for path in node.glob("data/letters/*") if not path.name.startswith("."))


@pytest.mark.parametrize("options", [["--local"], []], ids=["in this process", "on Ray"])
@pytest.mark.usefixtures("ray_here")
def test_a_node_fetches_what_it_lacks_and_measures_the_same(papertrial: Command, tmp_path: Path, node: Path, options: list[str]) -> None:
    said = papertrial("data", "push", "letters", "--store", "store")
    assert said.code == 0, said.err
    assert pushed(tmp_path / "store").name in said.out
    said = papertrial(*RUN, *options, "--store", "store")
    assert said.code == 0, said.err
    assert fetched(node) == [f"fetched-{pushed(tmp_path / 'store').name}"]
    assert (node / "data" / "letters" / fetched(node)[0] / "letters.txt").read_text() == "abcdefghijklmnopqrstuvwxyz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "run_trials", ON_THE_DRIVER)
        assert papertrial(*RUN, "--local", "--store", "elsewhere").code == 0
    assert records(tmp_path / "store") == records(tmp_path / "elsewhere")


def test_an_object_store_serves_nodes_as_a_folder_does(papertrial: Command, tmp_path: Path, node: Path, object_store: Server) -> None:
    store, copy = object_store.uri(tmp_path.name), data.resolve(registry.dataset("letters"), {}).fingerprint
    for sent in (True, False):
        said = papertrial("data", "push", "letters", "--store", store)
        assert said.code == 0, said.err
        assert (" sent, " in said.out) == sent
        assert "planted-secret" not in said.out
    sent_files = [name for method, name in object_store.requests(tmp_path.name) if method == "PUT"]
    assert sent_files == [f"data/letters/{copy}/letters.txt", f"data/letters/{copy}/manifest.json"], "in this order, and once"
    said = papertrial(*RUN, "--local", "--store", store)
    assert said.code == 0, said.err
    assert fetched(node) == [f"fetched-{copy}"]
    fetches = [name for method, name in object_store.requests(tmp_path.name) if method == "GET" and name.startswith("data/letters/")]
    assert fetches.count(f"data/letters/{copy}/letters.txt") == 1, "once for all trials"


def test_without_a_pushed_copy_trials_fail_by_name(papertrial: Command, tmp_path: Path, node: Path) -> None:
    assert papertrial(*RUN, "--local", "--store", "store").code == 1
    for status, _, error in records(tmp_path / "store").values():
        assert status == "failed"
        assert "DataError: data set letters is not on this machine: run `papertrial data prepare letters` on every node" in error
        assert "or `papertrial data push letters` to the store" in error


def _change(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    described = json.loads((folder / "manifest.json").read_text())
    change(described)
    (folder / "manifest.json").write_text(json.dumps(described))


def _flip(folder: Path) -> None:
    (folder / "letters.txt").write_text("abcdefghijklmnopqrstuvwxyy")


def _cut(folder: Path) -> None:
    (folder / "letters.txt").write_text("abc")


def _lose(folder: Path) -> None:
    (folder / "letters.txt").unlink()


def _other(folder: Path) -> None:
    """Sound in itself, and other data: every sum and the fingerprint that it claims are right for what lies there."""
    _flip(folder)
    sums = {"letters.txt": {"bytes": 26, "sha256": file_digest(folder / "letters.txt")}}
    _change(folder, lambda described: described.update(files=sums))


def _escape(folder: Path) -> None:
    _change(folder, lambda described: described["files"].update({"../letters.txt": described["files"]["letters.txt"]}))


def _scramble(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_flip, "the copy in {} is damaged: letters.txt is not what its SHA-256 says"),
        (_cut, "the copy in {} is damaged: letters.txt is not what its SHA-256 says"),
        (_lose, "the copy in {} is damaged: letters.txt is missing"),
        (_other, "{}/manifest.json is damaged, its fingerprint is not "),
        (_escape, "{}/manifest.json is damaged, its fingerprint is not "),
        (_scramble, "{}/manifest.json is damaged, its fingerprint is not "),
    ],
    ids=["a letter", "cut off", "a lost file", "other data", "a file outside", "a manifest"],
)
def test_a_damaged_copy_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], said: str
) -> None:
    planned, store, node = data.resolve(registry.dataset("letters"), {}), tmp_path / "store", tmp_path / "node"
    data_store.push(planned, str(store))
    damage(pushed(store))
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(node))
    with pytest.raises(DataError, match=re.escape(f"data set letters: {said.format(pushed(store))}")) as refused:
        data_store.NodeData(str(store)).bring(registry.dataset("letters"), replace(planned, path=""))
    assert f"papertrial data push letters --store {store} --force" in str(refused.value)
    assert not [path for path in node.rglob("*") if path.is_file() and not path.name.endswith(".lock")], "something of it was kept"


def test_trials_on_a_damaged_copy_fail_until_it_is_sent_again(papertrial: Command, tmp_path: Path, node: Path) -> None:
    push = ["data", "push", "letters", "--store", "store"]
    papertrial(*push)
    _flip(pushed(tmp_path / "store"))
    assert papertrial(*RUN, "--local", "--store", "store").code == 1
    for status, metrics, error in records(tmp_path / "store").values():
        assert (status, metrics) == ("failed", {})
        assert "letters.txt is not what its SHA-256 says" in error
    assert papertrial(*push, "--force").code == 0
    assert papertrial(*RUN, "--local", "--store", "store", "--retry").code == 0


def test_workers_of_a_node_wait_for_the_first_of_them(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = registry.dataset("letters")
    planned, mine = data.resolve(letters, {}), cache / "of the first"
    data_store.push(planned, str(tmp_path / "store"))
    shutil.copytree(planned.path, mine)
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(tmp_path / "node"))
    target = data.fetched_folder(planned)
    target.parent.mkdir(parents=True)
    _lose(pushed(tmp_path / "store"))
    wrong: list[Exception] = []

    def second() -> None:
        try:
            data_store.NodeData(str(tmp_path / "store")).bring(letters, replace(planned, path=""))
        except DataError as error:
            wrong.append(error)

    waiting = threading.Thread(target=second)
    with (target.parent / f".{target.name}.lock").open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        waiting.start()
        waiting.join(0.5)
        assert not wrong, "it did not wait, and found the copy gone"
        mine.rename(target)
    waiting.join(60)
    assert (waiting.is_alive(), wrong) == (False, [])
    assert data.planned_folder(letters, replace(planned, path="")) == target


def test_a_second_push_sends_nothing_and_other_data_lie_beside_it(papertrial: Command, tmp_path: Path) -> None:
    push = ["data", "push", "letters", "--store", "store"]
    assert "0.0 MiB sent" in papertrial(*push).out
    _flip(pushed(tmp_path / "store"))
    assert "letters: was there before" in papertrial(*push).out
    assert (pushed(tmp_path / "store") / "letters.txt").read_text().endswith("yy"), "it was sent again"
    (tmp_path / "own.txt").write_text("xyz")
    assert papertrial(*push, "--data", "letters=own.txt").code == 0
    contents = {path.read_text() for path in (tmp_path / "store" / "data" / "letters").glob("*/letters.txt")}
    assert contents == {"abcdefghijklmnopqrstuvwxyy", "xyz"}


def test_large_files_travel_in_pieces(papertrial: Command, tmp_path: Path, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(data_store, "PIECE_BYTES", 10)
        assert papertrial("data", "push", "letters", "--store", "store").code == 0
    names = sorted(path.name for path in pushed(tmp_path / "store").iterdir())
    assert names == ["letters.txt.00000", "letters.txt.00001", "letters.txt.00002", "manifest.json"]
    assert papertrial(*RUN, "--local", "--store", "store").code == 0


def test_a_push_that_was_cut_off_is_no_copy(papertrial: Command, tmp_path: Path, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(store: StudyStore, name: str, text: str) -> str:
        raise StoreError(f"{name} cannot be written: the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(StudyStore, "write_text", cut)
        assert papertrial("data", "push", "letters", "--store", "store").code == 2
    assert [path.name for path in pushed(tmp_path / "store").iterdir()] == ["letters.txt"]
    assert papertrial(*RUN, "--local", "--store", "store").code == 1
    assert "sent" in papertrial("data", "push", "letters", "--store", "store").out
    assert papertrial(*RUN, "--local", "--store", "store", "--retry").code == 0


def test_what_cannot_be_pushed_is_one_sentence(papertrial: Command) -> None:
    for words, sentence in (
        (["push"], "takes the names of data sets"),
        (["push", "leters"], "letters"),
        (["push", "letters", "--data", "runes=x.txt"], "runes"),
        (["push", "runes"], "not prepared on this machine"),
        (["list", "--data", "letters=x.txt"], "takes no --data"),
    ):
        said = papertrial("data", *words)
        assert said.code == 2
        assert sentence in said.err
        assert "Traceback" not in said.err
