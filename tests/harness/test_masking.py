"""Credentials: out of everything that is shown or kept, and still in what opens a store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import masking, provenance
from harness.masking import again, learn, mask
from harness.shown import LONGEST, plain, sentence, visible
from harness.store import StudyStore, join
from tests.harness.conftest import Command

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-planted"


@pytest.fixture(autouse=True)
def _forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_learnt", set())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://someone:hunter2-planted@127.0.0.1:9/x", "http://127.0.0.1:9/x"),
        ("https://hunter2-planted@host", "https://host"),
        ("https://user:@host", "https://host"),
        ("postgresql+psycopg2://u:p@hunter2-planted@host/db", "postgresql+psycopg2://host/db"),
        ("postgresql://u:pa/hunter2-planted@host/db", "postgresql://host/db"),
        ("s3://hunter2-planted:x@bucket/p?access_key=hunter2-planted&region=eu&secret_key=hunter2-planted", "s3://bucket/p?access_key=***&region=eu&secret_key=***"),
        ("https://host/x?t=1#access_token=hunter2-planted", "https://host/x?t=1#access_token=***"),
        ("no such file: s3:/k:hunter2-planted@b/x, or 'ftp://a:hunter2-planted@h'", "no such file: s3:/b/x, or 'ftp://h'"),
        ("url: /api/2.0/x?api_token=hunter2-planted&experiment=y", "url: /api/2.0/x?api_token=***&experiment=y"),
    ],
)  # fmt: skip
def test_credentials_of_a_uri_are_masked(text: str, shown: str) -> None:
    assert mask(text) == shown
    assert mask(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "results",
        "sqlite:////home/me@work/x.db",
        "s3://bucket/prefix",
        "s3://b/p?region=eu&endpoint_override=http%3A%2F%2Fh%3A9000",
        "host:6379",
        "ray://head:10001",
        "mail me@work.org",
        "loss: 0.5 at lr=0.1",
        "did you mean 'x'? (choices: a, b)",
        "https://arxiv.org/abs/2405.12954v2",
        "https://openreview.net/forum?id=abc123XYZ",
    ],
)
def test_what_holds_no_credentials_stays(text: str) -> None:
    assert mask(text) == text


def test_what_was_learnt_is_found_alone_decoded_and_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    learn(f"https://host/x?t={SECRET}1&cache=shared", "https://host/?nameless-planted")
    assert mask(f"shared https://host/x?t={SECRET}1, nameless-planted") == "shared https://host/x?t=***, ***"
    learn(f"postgresql://u:{quote('p@ss word/' + SECRET)}@host", "user:bare-planted@host:6379")
    for text in (f"wrong password p@ss word/{SECRET}!", f"p%40ss%20word%2F{SECRET}", "bare-planted"):
        assert "planted" not in mask(text)
    assert mask("MLFLOW says env-planted") == "MLFLOW says env-planted"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "env-planted")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://u:uri-planted@host")
    assert mask("MLFLOW says env-planted, uri-planted") == "MLFLOW says ***, ***"


def test_every_change_of_the_environment_is_seen_and_no_other_search_made(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    real = masking._secrets
    monkeypatch.setattr(masking, "_secrets", lambda text: (searched.append(text), real(text))[1])
    text = "first-planted, other-planted, uri-planted"
    assert mask(text) == text
    for name, value, shown in (
        ("A_TOKEN", "first-planted", "***, other-planted, uri-planted"),
        ("A_TOKEN", "other-planted", "first-planted, ***, uri-planted"),
        ("B_URI", "https://u:uri-planted@host", "first-planted, ***, ***"),
        ("B_URI", "https://u:first-planted@host", "***, ***, uri-planted"),
        ("A_TOKEN", "", "***, other-planted, uri-planted"),
    ):
        monkeypatch.setenv(name, value)
        searched.clear()
        assert [mask(text), mask(text)] == [shown, shown]
        assert searched.count(os.environ.get("B_URI", "")) <= 1
    monkeypatch.delenv("B_URI")
    monkeypatch.setenv("B_TEXT", "https://u:first-planted@host")
    assert mask(text) == "***, other-planted, uri-planted"
    monkeypatch.delenv("B_TEXT")
    assert mask(text) == text
    monkeypatch.setattr(os, "environ", {"C_SECRET": "uri-planted"})
    assert mask(text) == "first-planted, other-planted, ***"


def test_credentials_that_are_no_utf8_are_masked_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = os.fsdecode(b"caf\xe9-planted")
    for give in (lambda: monkeypatch.setenv("A_TOKEN", odd), lambda: learn(f"https://u:{odd}@host")):
        give()
        assert mask(f"token {odd}, caf%E9-planted, host") == "token ***, ***, host"
        monkeypatch.delenv("A_TOKEN", raising=False)


@pytest.mark.fuzz
@given(
    scheme=st.sampled_from(["http", "s3", "postgresql+psycopg2", "ray"]),
    user=st.text(st.sampled_from("abc%4"), max_size=5),
    noise=st.text(st.sampled_from("ab1%/@:?#&=.-_~!$'()*+;[]"), max_size=8),
    tail=st.sampled_from(["", "/a/b", ":80/x", "/p?region=eu", "/p?x=y#z"]),
    around=st.sampled_from(["{}", "cannot open {}: refused", "'{}'", "--store={}", "a {} b"]),
)
def test_no_spelling_of_a_password_gets_through(scheme: str, user: str, noise: str, tail: str, around: str) -> None:
    shown = mask(around.format(f"{scheme}://{user}:{noise}{SECRET}@host{tail}"))
    if not set("?#") & set(noise):  # there the password is a query of another host: masked as one
        assert "host" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("slip", ["http//u:{}@h/x", "//u:{}@h/x", "postgresql//u:{}@h", "dbname=x user=y password={} host=h", "pwd = {}"])
def test_a_uri_that_is_none_keeps_its_password_to_itself(slip: str) -> None:
    assert SECRET not in mask(slip.format(SECRET))
    learn(slip.format(SECRET))
    assert SECRET not in mask(f"cannot log in with {SECRET}")


def test_a_command_can_be_given_again_without_its_credentials() -> None:
    words = ["run", "my task", "--tracking-uri", f"https://u:{SECRET}@h", f"--store=s3://k:{SECRET}@b", "--addr", f"ray://u:{SECRET}@h:1"]
    line = again(words)
    assert line.startswith(
        'papertrial run \'my task\' --tracking-uri "$MLFLOW_TRACKING_URI" --store="$PAPERTRIAL_STORE" --addr "$RAY_ADDRESS" ('
    )
    assert "set MLFLOW_TRACKING_URI and PAPERTRIAL_STORE and RAY_ADDRESS in the environment" in line
    assert SECRET not in line
    assert again(["status", "x"]) == "papertrial status x"
    assert provenance.environment(words)["command"][4] == "https://h"  # type: ignore[index]


def test_a_store_is_opened_with_its_credentials_and_named_without(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr("harness.object_uri._s3", lambda bucket, options, *_: given.append((bucket, dict(options))))
    uri = f"s3://KEY-planted:{SECRET}@bucket/p?session_token={SECRET}&region=eu"
    store = StudyStore(uri, "study")
    assert given == [("bucket", {"access_key": "KEY-planted", "secret_key": SECRET, "session_token": SECRET, "region": "eu"})]
    assert store.parent_uri == uri
    assert (store.uri, store.store_uri) == ("s3://bucket/p/study?session_token=***&region=eu", "s3://bucket/p?session_token=***&region=eu")
    assert join("s3://b/p/", "x") == "s3://b/p/x"
    assert "planted" not in mask(f"AWS Error: {SECRET} of KEY-planted")


def _everything(folder: Path) -> bytes:
    """The bytes of every file, and the texts inside Parquet and SQLite."""
    import sqlite3

    import pandas as pd

    found = b""
    for file in (path for path in folder.rglob("*") if path.is_file()):
        found += str(file).encode() + file.read_bytes()
        if file.suffix == ".parquet":
            found += pd.read_parquet(file).to_csv().encode()
        if file.suffix == ".db":
            found += "\n".join(sqlite3.connect(file).iterdump()).encode()
    return found


def test_a_planted_secret_is_nowhere_in_a_study_in_mlflow_or_on_screen(
    papertrial: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from harness import mlflow_client, mlflow_study

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://u:{SECRET}@nowhere.example")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    given: list[str] = []
    real = mlflow_client.connect

    def connect(uri: str) -> Any:
        given.append(uri)
        if len(given) == 1:
            raise OSError(f"HTTPConnectionPool: {uri} says {SECRET} is wrong")
        return real(f"sqlite:///{tmp_path}/results/mlflow.db")

    monkeypatch.setattr(mlflow_study, "connect", connect)
    uri = f"http://user:{SECRET}@127.0.0.1:9/?token={SECRET}"
    words = ["run", "choosy", "--scale", "smoke", "--local", "--study", "planted", "--set", "name=x,raise"]
    said = papertrial(*words, "--tracking-uri", uri, "--address", f"u:{SECRET}@127.0.0.1:9")
    assert said.code == 1
    assert "not published to MLflow" in said.out
    assert '--tracking-uri "$MLFLOW_TRACKING_URI" (credentials are not shown' in said.out
    assert papertrial("publish", "planted", "--tracking-uri", uri).code == 0
    assert given == [uri, uri], "what opens MLflow is the real URI"
    assert papertrial("plan", "choosy", "--scale", "smoke", "--data", f"text=https://u:{SECRET}@h/x").err.count(SECRET) == 0
    shown = papertrial("report", "planted").out + papertrial("status", "planted").out
    assert SECRET.encode() not in _everything(tmp_path)
    assert SECRET not in shown + said.out + said.err
    command = json.loads((tmp_path / "results/planted/env.json").read_text())["command"]
    assert command[-3:] == ["http://127.0.0.1:9/?token=***", "--address", "u:***@127.0.0.1:9"]


@pytest.mark.parametrize(
    "words", [["run", "choosy", "--scale", "smoke"], ["fit", "power-law", "x.csv"], ["publish", "x"]], ids=lambda w: w[0]
)
@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///{}/none/x.db",
        "sqlite:///none/x.db",
        "sqlite+pysqlite:///{}/none/x.db?mode=rw",
        "sqlite://",
        "sqlite:///:memory:",
        "",
        "sqlite:///{}",
    ],
)
def test_a_database_that_can_be_nowhere_is_refused_and_makes_nothing(
    papertrial: Command, tmp_path: Path, words: list[str], uri: str
) -> None:
    said = papertrial(*words, "--tracking-uri", uri.format(tmp_path))
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_message_is_whole(tmp_path: Path) -> None:
    said = sentence("Invalid address.\n  1. Unset it\n\x1b[31m  2. Set it")
    assert said == "Invalid address. 1. Unset it \\x1b[31m 2. Set it"
    assert sentence(ValueError()) == "ValueError"
    long = "A word. " * 200
    assert sentence(long).endswith("A word.")
    assert len(sentence("x" * 20 + " y" * 1000)) <= LONGEST + 4
    # A process of its own: this one may have a Ray already, which a run joins whatever the address.
    command = [
        sys.executable,
        "-m",
        "harness",
        "run",
        "misbehaving",
        "--scale",
        "smoke",
        "--tracking-uri",
        "none",
        "--store",
        str(tmp_path),
    ]
    environment = os.environ | {"RAY_ADDRESS": f"http://u:{SECRET}@127.0.0.1:9"}
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120).stderr
    assert "127.0.0.1:9 is a dashboard, which takes jobs" in refused
    assert "RAY_AUTH_MODE" not in refused, "a token would not help"
    assert SECRET not in refused


def test_a_dead_server_costs_one_whole_sentence(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    papertrial("run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none")
    said = papertrial("publish", "misbehaving-smoke", "--tracking-uri", "./mlruns")
    assert said.code == 1
    assert "set `MLFLOW_ALLOW_FILE_STORE=true` to opt out" in " ".join(said.out.split())
    assert not Path("mlruns").exists()


@pytest.mark.fuzz
@given(st.text())
def test_what_is_shown_can_be_encoded_and_holds_no_control_character(text: str) -> None:
    shown = plain(text)
    shown.encode()
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
    if text.isascii() and text.isprintable():
        assert visible(text) == text
