"""`papertrial doctor --job`: what would be sent is what Ray sends, and what the cluster says is what it would say to a job."""

from __future__ import annotations

import http.server
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import submission
from tests.harness.conftest import Command

TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _nobodys_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def _write(path: Path, size: int) -> None:
    """A file of this size that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def _checkout(folder: Path) -> None:
    for name, size in (
        ("code.py", 10),
        (".git/objects", 2**20),
        ("results/study/ledger.jsonl", 2**20),
        ("notes/draft.txt", 300),
        ("notes/kept.txt", 40),
        ("weights.bin", 2**20),
        ("deep/er/code.py", 7),
        ("deep/er/cache.bin", 2**20),
    ):
        _write(folder / name, size)
    (folder / ".gitignore").write_text("results/\n*.bin\n")
    (folder / ".rayignore").write_text("notes/draft.txt\n")
    (folder / "deep" / ".gitignore").write_text("nothing\n")


def test_the_upload_is_what_ray_packs(tmp_path: Path) -> None:
    from ray._private import ray_constants
    from ray._private.runtime_env.packaging import create_package

    _checkout(tmp_path / "checkout")
    found = submission.upload(tmp_path / "checkout")
    package = tmp_path / "package.zip"
    excludes = ray_constants.get_runtime_env_default_excludes()
    create_package(str(tmp_path / "checkout"), package, include_gitignore=True, excludes=excludes)
    packed = [info for info in zipfile.ZipFile(package).infolist() if not info.is_dir()]
    assert {info.filename for info in packed} >= {"code.py", "notes/kept.txt", "deep/er/code.py"}
    assert (found.files, found.size) == (len(packed), sum(info.file_size for info in packed))
    assert found.size == 10 + 40 + 7 + sum(len(path.read_text()) for path in (tmp_path / "checkout").rglob(".*ignore"))
    assert not found.too_large


def test_an_upload_above_the_limit_of_ray_is_said_with_what_is_large(papertrial: Command, tmp_path: Path) -> None:
    _write(tmp_path / "corpus" / "shard.bin", 100 * 2**20)
    assert "and Ray takes" not in papertrial("doctor", "--job").out
    _write(tmp_path / "more.txt", 2**20)
    said = papertrial("doctor", "--job")
    assert said.code == 0
    sentence = "the upload is 101.0 MiB and Ray takes 100.0 MiB; the largest: corpus (100.0 MiB), more.txt (1.0 MiB)"
    assert sentence in " ".join(said.out.split())
    (tmp_path / ".rayignore").write_text("corpus/\n")
    assert "and Ray takes" not in papertrial("doctor", "--job").out


@pytest.fixture
def dashboard() -> Iterator[str]:
    """Answers as a dashboard with a token does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization")
            self.send_response(401 if given is None else 200 if given == f"Bearer {TOKEN}" else 403)
            self.end_headers()

        def log_message(self, format: str, *words: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("environment", "says", "problem"),
    [
        ({}, "none is sent", "wants a token: set RAY_AUTH_MODE=token"),
        ({"RAY_AUTH_TOKEN": TOKEN}, "not sent, though there is one in RAY_AUTH_TOKEN", "wants a token: set RAY_AUTH_MODE=token"),
        ({"RAY_AUTH_MODE": "token"}, "none", "wants a token"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another"}, "sent, from RAY_AUTH_TOKEN", "refuses this token"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}, "sent, from RAY_AUTH_TOKEN", ""),
    ],
    ids=["none", "kept back", "wanted and missing", "wrong", "right"],
)
def test_a_token_is_tried_on_the_cluster(
    dashboard: str, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], says: str, problem: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", dashboard)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert submission.token().says.startswith(says)
    assert (submission.token().problem != "") == (says == "none")
    answer = submission.cluster()
    assert problem in answer.problem
    assert (answer.problem == "") == (problem == "")
    assert TOKEN not in repr((answer, submission.token()))


def test_a_token_comes_from_its_file(dashboard: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home" / ".ray").mkdir(parents=True)
    (tmp_path / "home" / ".ray" / "auth_token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ADDRESS", dashboard)
    assert submission.cluster() == submission.Answer(f"{dashboard} answers and would take a job")


def test_an_address_that_is_none_is_one_sentence(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
        for address, sentence in (
            ("", "RAY_ADDRESS=http://HOST:8265"),
            ("10.0.0.1:6379", "RAY_ADDRESS=10.0.0.1:6379 is no dashboard"),
            (nobody, f"{nobody} does not answer"),
            ("http://[::1", "does not answer"),
        ):
            monkeypatch.setenv("RAY_ADDRESS", address)
            said = papertrial("doctor", "--job")
            assert said.code == 0
            assert sentence in " ".join(said.out.split())
