"""Studies in an object store: a real server in a process of its own, real drivers, and a line between them that fails."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import ledger, lock, registry
from harness.artifacts import packed
from harness.checkpoints import Checkpoint, Checkpoints
from harness.cli import main
from harness.engine import run_trials
from harness.errors import StoreError, UsageError
from harness.frames import read_curves
from harness.lease import LEASE, look
from harness.ledger_parts import LINES_A_TERM, PART_BYTES, PartedLedger
from harness.object_folder import Conflict, ObjectFolder
from harness.plan import Overrides, expand
from harness.sink import RemoteSink
from harness.store import StudyStore
from harness.worker import Context, Outcome, Worker
from tests import google_storage
from tests.harness.processes import Process
from tests.harness.test_ledger import own
from tests.object_store import BUCKET, Line, Server

RUN = ["run", "misbehaving", "--scale", "smoke", "--study", "s", "--local", "--tracking-uri", "none"]
OTHER = {
    "driver": "other",
    "host": "elsewhere",
    "pid": 7,
    "period_s": 0.4,
    "term": 9,
    "beat": 1,
    "at": "2026-11-02T00:00:00+00:00",
    "released": False,
}
QUICK = {"PAPERTRIAL_HEARTBEAT": "0.4", "PAPERTRIAL_STORE_PATIENCE": "40"}


@pytest.fixture
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.node.name}-{tmp_path.parent.name}"


@pytest.fixture
def store(object_store: Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> StudyStore:
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    return StudyStore(object_store.uri(prefix), "study")


@contextmanager
def requests(server: Server, prefix: str) -> Iterator[list[tuple[str, str]]]:
    """The requests of a block, once it is over."""
    before, found = len(server.requests(prefix)), list[tuple[str, str]]()
    yield found
    found += server.requests(prefix)[before:]


def until(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_files_are_whole_and_each_call_is_one_request(object_store: Server, store: StudyStore, prefix: str) -> None:
    with requests(object_store, prefix) as asked:
        assert store.write_text("curves/a.txt", "text").startswith(f"s3://bucket/{prefix}/study/curves/a.txt?")
        assert store.read_bytes("curves/a.txt") == b"text"
        assert store.exists("curves/a.txt")
        assert not store.exists("curves")
        assert store.names("curves") == ["curves/a.txt"]
        assert store.names("nowhere") == []
        store.remove("curves/a.txt")
        store.remove("curves/a.txt")
        with pytest.raises(FileNotFoundError):
            store.read_bytes("curves/a.txt")
    assert [method for method, _ in asked] == ["PUT", "GET", "HEAD", "HEAD", "GET", "GET", "DELETE", "DELETE", "GET"]
    assert store.local("x") is None


def test_a_large_file_comes_back(store: StudyStore) -> None:
    data = os.urandom(12 << 20)
    store.write_bytes("large", data)
    assert store.read_bytes("large") == data


@pytest.mark.parametrize("name", ["a [v2]", "x_1.5+b,c=d@(e)", "日本", "x%20y"])
def test_a_study_of_any_name_is_a_folder_of_the_bucket(object_store: Server, tmp_path: Path, name: str) -> None:
    found = StudyStore(object_store.uri(tmp_path.name), name)
    found.write_text("a/b", name)
    assert (found.names("a"), found.read_bytes("a/b").decode()) == (["a/b"], name)


def test_a_conditional_write_is_heard_once(store: StudyStore) -> None:
    folder = store.remote
    assert folder is not None
    first = folder.write_if("x", b"1", None)
    for version in (None, {"e_tag": '"0"'}):
        with pytest.raises(Conflict):
            folder.write_if("x", b"2", version)
    second = folder.write_if("x", b"2", first)
    with pytest.raises(Conflict):
        folder.write_if("x", b"3", first)
    assert folder.read_version("x") == (b"2", second)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://?region=x", "it names no bucket"),
        ("s3://bucket?regoin=x", "did you mean 'region'"),
        ("gs://bucket?region=x", "unknown option of a gs:// store: 'region'"),
        ("s3://bucket?scheme=ftp", "neither http nor https"),
        ("s3://[bucket", "cannot|can be opened"),
        ("hdfs://h/x", "papertrial knows folders and s3://, gs://"),
    ],
)
def test_a_uri_that_cannot_be_meant_is_one_sentence(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")) as problem:
        StudyStore(uri, "study")
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_store_that_is_not_there_is_said_in_one_sentence(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRIAL_STORE_PATIENCE", "0.5")
    found = StudyStore(f"{scheme}://anonymous@bucket/x?scheme=http&endpoint_override=127.0.0.1:9", "study")
    with pytest.raises(StoreError, match=r"plan\.json\?.* cannot be read: no answer from http://127\.0\.0\.1:9 \(ConnectionRefused\)$"):
        found.read_bytes("plan.json")


def test_a_store_that_never_answered_is_soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(_pause: float) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr("harness.object_folder.time.sleep", again)
    monkeypatch.setattr("harness.object_folder.FIRST_PATIENCE_S", 0.0)
    uri = "s3://anonymous@bucket/x?scheme=http&endpoint_override=127.0.0.1:9"
    with pytest.raises(StoreError, match="no answer"):
        StudyStore(uri, "study").exists("x")
    with pytest.raises(AssertionError, match="asked again"):
        StudyStore(uri, "study", answered=True).exists("x")


def test_what_a_server_refuses_is_not_asked_again_and_keeps_its_secrets(object_store: Server, tmp_path: Path) -> None:
    nowhere = StudyStore(object_store.uri("x").replace("bucket/x", "no-such-bucket/x"), "study")
    with pytest.raises(StoreError, match="404 Not Found: NoSuchBucket: The specified bucket does not exist") as problem:
        nowhere.write_bytes("a", b"")
    assert "planted" not in str(problem.value)


def test_a_profile_of_aws_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, object_store: Server) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\naws_access_key_id = planted-id\naws_secret_access_key = planted-key\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    uri = object_store.uri(tmp_path.name).partition("&access_key")[0]
    StudyStore(uri, "study").write_text("x", "1")
    assert StudyStore(object_store.uri(tmp_path.name), "study").read_bytes("x") == b"1"


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_server_is_named_by_the_variable_of_aws(
    variable: str, monkeypatch: pytest.MonkeyPatch, object_store: Server, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv(variable, f"http://127.0.0.1:{object_store.port}")
    StudyStore(f"s3://{BUCKET}/{tmp_path.name}?access_key=k&secret_key=s", "study").write_text("x", "1")
    assert StudyStore(object_store.uri(tmp_path.name), "study").read_bytes("x") == b"1"


def test_a_store_that_was_there_is_waited_for(object_store: Server, prefix: str, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRIAL_STORE_PATIENCE", "30")
    store = StudyStore(object_store.uri(prefix, line.port), "study")
    store.write_text("x", "1")
    for stop, go_on in ((line.cut, line.mend), (line.freeze, line.thaw)):
        stop()
        threading.Timer(1.0, go_on).start()
        store.write_text("x", stop.__name__)
        assert store.read_bytes("x") == stop.__name__.encode()


def test_a_worker_waits_for_a_store_that_is_away_when_it_starts(
    object_store: Server, prefix: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.object_folder.FIRST_PATIENCE_S", 0.0)
    worker = Worker(Context(store_uri=object_store.uri(prefix, line.port), study="study"))
    packed({"step": 1}, "imports torch, which takes longer than the line is cut")
    line.cut()
    threading.Timer(0.5, line.mend).start()
    worker._artifacts.save("a", {"step": 1})
    assert StudyStore(object_store.uri(prefix), "study").exists("artifacts/a.pt")


def test_a_write_that_was_given_up_and_arrives_late_changes_nothing(
    object_store: Server, store: StudyStore, prefix: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRIAL_STORE_PATIENCE", "4")
    through = StudyStore(object_store.uri(prefix, line.port), "study")
    with lock.held(store):
        through.exists("plan.json")
        through.lease = store.lease
        book, late = PartedLedger(through), list[Callable[[], None]]()
        for name in "ab":
            line.freeze()
            threading.Timer(0.5, lambda: late.append(line.divert())).start()
            book.append([own(name)])
        book.append([own("c")])
        for arrive in late:
            before = len(object_store.requests(prefix))
            arrive()
            until(lambda before=before: len(object_store.requests(prefix)) > before)  # type: ignore[misc]
        assert list(ledger.read(store).records) == [own(name).trial_id for name in "abc"]


def test_answers_that_are_lost_make_no_conflict_of_a_writer_with_itself(
    store: StudyStore, object_store: Server, prefix: str, line: Line
) -> None:
    through, said = StudyStore(object_store.uri(prefix, line.port), "study"), list[str]()
    through.exists("plan.json")
    line.deaf = True
    threading.Timer(0.5, lambda: setattr(line, "deaf", False)).start()
    with lock.held(through, said.append):
        assert through.lease is not None
        assert (through.lease.term, said) == (1, [])
        book = PartedLedger(through)
        for name in "ab":
            line.deaf = True
            threading.Timer(1.5, lambda: setattr(line, "deaf", False)).start()
            book.append([own(name)])
            through.lease.check()
    assert list(ledger.read(store).lines.values()) == [LINES_A_TERM + 1, LINES_A_TERM + 2]


def test_one_driver_at_a_time_and_the_other_is_told_by_name(store: StudyStore, object_store: Server, prefix: str) -> None:
    second = StudyStore(object_store.uri(prefix), "study")
    with (
        lock.held(store),
        pytest.raises(StoreError, match=rf"study study is being run by process {os.getpid()} on .*: wait, or name another"),
        lock.held(second),
    ):
        pass
    assert not lock.is_held(store)
    with lock.held(second):
        assert lock.is_held(store)
        assert second.lease is not None
        assert second.lease.term == 2


def test_a_stale_lease_is_taken_over_by_name_and_its_holder_writes_no_more(
    store: StudyStore, object_store: Server, prefix: str, line: Line
) -> None:
    first, said = StudyStore(object_store.uri(prefix, line.port), "study"), list[str]()
    with lock.held(first):
        book = PartedLedger(first)
        book.append([own("a")])
        first.write_text("plan.json", "the first one's")
        line.cut()
        with lock.held(store, said.append):
            assert "was begun by process" in said[0]
            assert (
                said[1]
                == f"process {os.getpid()} on {os.uname().nodename} has given no sign for 1.2 s: this run takes study study over from it"
            )
            line.mend()
            PartedLedger(store).append([own("b")])
            with pytest.raises(StoreError, match=r"taken over by process .*: this run stops writing, and what it recorded before stays"):
                first.write_text("plan.json", "too late")
            with pytest.raises(StoreError, match="was taken over"):
                book.append([own("c")])
            assert store.read_bytes("plan.json") == b"the first one's"
    assert list(ledger.read(store).records) == [own(name).trial_id for name in "ab"]
    folder = store.remote
    assert folder is not None
    found = look(folder)
    assert found is not None
    assert (found[0].term, found[0].released) == (2, True), "the first one's end must not release what is not its own"


def test_a_holder_that_a_frozen_store_holds_up_is_not_taken_for_dead(
    store: StudyStore, object_store: Server, prefix: str, line: Line
) -> None:
    # Frozen for both, for longer than a holder may be silent; the one that waits hears from the store first.
    other = Line(object_store.port)
    first, second = (StudyStore(object_store.uri(prefix, one.port), "study") for one in (line, other))
    with lock.held(first):
        for one, thawed in ((line, 3.3), (other, 3.0)):
            threading.Timer(0.2, one.freeze).start()
            threading.Timer(thawed, one.thaw).start()
        with pytest.raises(StoreError, match="is being run by"), lock.held(second):
            pass
        first.write_text("x", "still writing")
    other.end()


def test_the_same_holds_of_google_s_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    with google_storage.served() as options:
        first, second = (StudyStore(f"gs://bucket/some/prefix?{options}", "study") for _ in range(2))
        first.write_text("curves/a b.txt", "text")
        assert (second.read_bytes("curves/a b.txt"), second.names("curves"), second.names("x")) == (b"text", ["curves/a b.txt"], [])
        second.remove("curves/a b.txt")
        second.remove("curves/a b.txt")
        assert not first.exists("curves/a b.txt")
        with lock.held(first):
            book = PartedLedger(first)
            book.append([own("a")])
            book.append([own("b")])
            with pytest.raises(StoreError, match="is being run by"), lock.held(second):
                pass
        with lock.held(second):
            PartedLedger(second).append([own("c")])
        assert list(ledger.read(first).lines.values()) == [LINES_A_TERM + 1, LINES_A_TERM + 2, 2 * LINES_A_TERM + 1]


def test_a_run_that_was_taken_over_does_not_wait_for_its_trials(store: StudyStore, ray_here: None) -> None:
    trials = expand(registry.task("misbehaving"), "smoke", Overrides(seeds=1, values={"behaviour": ("sleep",)}), {})
    folder = store.remote
    assert folder is not None
    with lock.held(store):
        threading.Timer(2.0, folder.write, (LEASE, json.dumps(OTHER).encode())).start()
        with pytest.raises(StoreError, match=r"taken over by process 7 on elsewhere: this run stops writing.*; 0 records are not"):
            run_trials(store, trials)
    assert ledger.read(store).records == {}


def test_a_server_that_forgets_conditions_is_refused(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ObjectFolder.write_if

    def forgetful(self: ObjectFolder, name: str, data: bytes, version: object, *, patience_s: float | None = None) -> object:
        self.write(name, data)
        return self.read_version(name)[1]

    monkeypatch.setattr(ObjectFolder, "write_if", forgetful)
    with pytest.raises(StoreError, match="forgets the conditions of writes"), lock.held(store):
        pass
    monkeypatch.setattr(ObjectFolder, "write_if", real)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"driver": 1}', b"\xff"])
def test_a_damaged_lease_is_said(store: StudyStore, text: bytes) -> None:
    store.write_bytes(LEASE, text)
    with pytest.raises(StoreError, match=r"lease\.json cannot be read"), lock.held(store):
        pass


def test_two_ledgers_of_one_study_are_one_and_an_old_one_is_read(store: StudyStore) -> None:
    line = json.loads(ledger.to_lines([own("old", status="failed", metrics={})], 1))
    store.write_text("ledger.jsonl", json.dumps(line) + "\n")
    numbers = []
    for names in (("a", "b"), ("old", "c")):
        with lock.held(store):
            book = PartedLedger(store)
            numbers.append(book.next_line)
            book.append([own(name) for name in names])
    found = ledger.read(store)
    assert sorted(found.records) == sorted(own(name).trial_id for name in ("old", "a", "b", "c"))
    assert numbers == [LINES_A_TERM + 1, 2 * LINES_A_TERM + 1]
    assert found.records[own("old").trial_id].status == "ok"
    assert found.lines[own("c").trial_id] == 2 * LINES_A_TERM + 2
    assert len(store.names("ledger")) == 2


def test_a_run_in_several_looks_numbers_on(store: StudyStore) -> None:
    with lock.held(store):
        for name in "abc":
            book = PartedLedger(store)
            book.append([own(name, status="failed", metrics={}), own(name)])
        assert sorted(ledger.read(store).lines.values()) == [LINES_A_TERM + 2 * place for place in (1, 2, 3)]


def test_the_later_record_counts_whatever_the_order_of_files(store: StudyStore) -> None:
    with lock.held(store):
        PartedLedger(store).append([own("a", status="failed", metrics={}, error="first")])
    with lock.held(store):
        PartedLedger(store).append([own("a", status="oom", metrics={}, error="second")])
    first, second = store.names("ledger")
    texts = store.read_bytes(second), store.read_bytes(first)
    for name, text in zip((first, second), texts, strict=True):
        store.write_bytes(name, text)
    assert ledger.read(store).records[own("a").trial_id].error == "second"


def test_a_part_is_bounded_and_a_damaged_one_is_named(store: StudyStore) -> None:
    many = [own(f"m{number}", error="x" * 2000) for number in range(3 * PART_BYTES // 4000)]
    with lock.held(store):
        book = PartedLedger(store)
        for record in many:
            book.append([record])
    names = store.names("ledger")
    sizes = [len(store.read_bytes(name)) for name in names]
    assert max(sizes) <= PART_BYTES
    assert len(names) == -(-sum(sizes) // PART_BYTES)
    first, _, rest = store.read_bytes(names[0]).partition(b"\n")
    store.write_bytes(names[0], first.replace(b'"x":0.5', b'"x":0.6') + b"\n" + rest)
    contents = ledger.read(store)
    assert len(contents.records) == len(many) - 1
    assert contents.damages == [
        f"{names[0]} line 1 cannot be read (its checksum is not its own: it was damaged or edited): its trial counts as not done"
    ]


def test_a_copy_of_the_study_on_a_disk_is_read_and_written(store: StudyStore, tmp_path: Path) -> None:
    with lock.held(store):
        PartedLedger(store).append([own("a", status="failed", metrics={})])
    copy = StudyStore(str(tmp_path), "study")
    for name in store.names("ledger"):
        copy.write_bytes(name, store.read_bytes(name))
    book = ledger.Ledger(copy)
    book.append([own("a", status="oom", metrics={})])
    book.close()
    assert ledger.read(copy).records[own("a").trial_id].status == "oom"


def test_checkpoints_that_were_never_made_cost_no_request(object_store: Server, store: StudyStore, prefix: str) -> None:
    kept = Checkpoints(store)
    with requests(object_store, prefix) as asked:
        kept.discard("0" * 16)
    assert asked == []
    kept.save("a", Checkpoint(1, 2, []))
    elsewhere = Checkpoints(store)
    found = elsewhere.load("a")
    assert found is not None
    elsewhere.discard("a")
    assert store.names("checkpoints") == []


def outcomes(*names: str) -> list[Outcome]:
    return [Outcome(own(name), [{"step": 0.0, "value": 1.0}]) for name in names]


def test_the_sink_never_waits_for_a_store_that_is_away_and_loses_nothing(
    object_store: Server, store: StudyStore, prefix: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.sink.SYNC_S", 0.05)
    through, told = StudyStore(object_store.uri(prefix, line.port), "study"), list[str]()
    with lock.held(through):
        sink = RemoteSink(through, lambda record: told.append(record.method))
        line.freeze()
        for name in "abcd":
            sink.write(outcomes(name))
        assert told == []
        line.thaw()
        sink.write(outcomes("e"))
        sink.close()
    assert told == list("abcde")
    assert list(ledger.read(store).records) == [own(name).trial_id for name in "abcde"]
    assert len(read_curves(store)) == 5


def test_a_run_waits_where_more_outcomes_wait_than_fit(
    object_store: Server, store: StudyStore, prefix: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.sink.MOST_WAITING", 2)
    through, told = StudyStore(object_store.uri(prefix, line.port), "study"), list[str]()
    with lock.held(through):
        sink = RemoteSink(through, lambda record: told.append(record.method))
        line.freeze()
        threading.Timer(0.5, line.thaw).start()
        sink.write(outcomes("a", "b"))
        assert told == []
        sink.write(outcomes("c", "d"))
        assert told[:2] == ["a", "b"], "it came back once the store had taken some"
        sink.close()
    assert told == list("abcd")


def write_for_ever(sink: RemoteSink) -> None:
    for _ in range(3000):
        sink.write([])
        time.sleep(0.02)


def test_a_sink_whose_store_stays_away_says_how_much_is_lost(
    object_store: Server, store: StudyStore, prefix: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRIAL_STORE_PATIENCE", "0.5")
    monkeypatch.setattr("harness.sink.SYNC_S", 0.05)
    through = StudyStore(object_store.uri(prefix, line.port), "study")
    with lock.held(through):
        sink = RemoteSink(through, lambda record: None)
        line.cut()
        sink.write(outcomes("a", "b"))
        with pytest.raises(StoreError, match=r"no answer .*; 2 records are not in the store: their trials run again"):
            write_for_ever(sink)
        with pytest.raises(StoreError, match="2 records are not in the store"):
            sink.close()


def drive(tmp_path: Path, uri: str, *words: str) -> Process:
    tmp_path.mkdir(exist_ok=True)
    return Process(tmp_path, *RUN, *words, uri=uri, variables=QUICK)


def test_a_run_leaves_the_whole_study_in_few_requests(
    object_store: Server, prefix: str, store: StudyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RUN, "--seeds", "10", "--store", object_store.uri(prefix)]) == 0
    assert "planted" not in "".join(capsys.readouterr())
    found = StudyStore(object_store.uri(prefix), "s")
    assert len(ledger.read(found).records) == 60
    assert len(read_curves(found)) == 180
    asked = object_store.requests(prefix)
    assert not [name for _, name in asked if "checkpoints" in name or "artifacts" in name]
    assert len([name for method, name in asked if method == "PUT" and "/ledger/" in name]) < 10
    assert main(["status", f"{object_store.uri(prefix).replace('?', '/s?')}"]) == 0
    said = capsys.readouterr().out
    assert "s: not running" in said
    assert "60 of 60 trials recorded, 0 left" in said


def test_of_two_drivers_one_runs_and_the_other_is_told(object_store: Server, tmp_path: Path, prefix: str) -> None:
    words = ("--seeds", "2", "--set", "pause=0.3")
    both = [drive(tmp_path / name, object_store.uri(prefix), *words) for name in "ab"]
    codes = sorted(run.end() for run in both)
    assert codes == [0, 2], both[0].out + both[1].out
    (loser,) = [run for run in both if run.process.returncode == 2]
    assert "study s is being run by process" in loser.out
    assert len(ledger.read(StudyStore(object_store.uri(prefix), "s")).records) == 12
    assert loser.executed() == []


def test_a_driver_that_was_killed_is_taken_over_from_and_each_trial_is_recorded_once(
    object_store: Server, tmp_path: Path, prefix: str
) -> None:
    words = ("--seeds", "2", "--set", "pause=0.4")
    killed = drive(tmp_path, object_store.uri(prefix), *words)
    store = StudyStore(object_store.uri(prefix), "s")
    until(lambda: len(ledger.read(store).records) >= 3)
    os.killpg(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    before = set(ledger.read(store).records)
    again = drive(tmp_path, object_store.uri(prefix), *words)
    assert again.end() == 0, again.out
    assert f"process {killed.process.pid} on {os.uname().nodename} has given no sign for" in again.out
    assert len(ledger.read(store).records) == 12
    times = [again.executed().count(id) for id in before]
    assert times == [1] * len(before), "what is in the store must not run again"


def test_a_driver_that_is_told_to_stop_writes_all_and_gives_the_lease_back(object_store: Server, tmp_path: Path, prefix: str) -> None:
    run = drive(tmp_path, object_store.uri(prefix), "--seeds", "2", "--set", "pause=0.5")
    run.until_executed(3)
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 1, run.out
    store = StudyStore(object_store.uri(prefix), "s")
    recorded = set(ledger.read(store).records)
    assert set(run.executed()[:-1]) <= recorded, "only the trial that the signal met may be lost"
    assert len(recorded) < 12
    assert store.remote is not None
    found = look(store.remote)
    assert found is not None
    assert found[0].released


def test_a_driver_that_was_frozen_and_taken_over_from_stops_and_destroys_nothing(object_store: Server, tmp_path: Path, prefix: str) -> None:
    words = ("--seeds", "2", "--set", "pause=0.5")
    frozen = drive(tmp_path / "a", object_store.uri(prefix), *words)
    frozen.until_executed(2)
    os.killpg(frozen.process.pid, signal.SIGSTOP)
    other = drive(tmp_path / "b", object_store.uri(prefix), *words)
    other.until_executed(2)
    os.killpg(frozen.process.pid, signal.SIGCONT)
    assert (other.end(), frozen.end()) == (0, 2), other.out + frozen.out
    assert f"study s was taken over by process {other.process.pid} on" in frozen.out
    assert "Traceback" not in frozen.out
    assert len(ledger.read(StudyStore(object_store.uri(prefix), "s")).records) == 12


def test_a_store_that_is_cut_frozen_and_slow_costs_no_trial(object_store: Server, tmp_path: Path, prefix: str, line: Line) -> None:
    # Each time three times as long as a driver may be silent before it is taken for dead, and nobody else is there.
    run = drive(tmp_path, object_store.uri(prefix, line.port), "--seeds", "2", "--set", "pause=0.8")
    run.until_executed(2)
    for stop, go_on in ((line.cut, line.mend), (line.freeze, line.thaw)):
        stop()
        time.sleep(3.6)
        go_on()
        time.sleep(0.5)
    line.delay_s = 0.1
    assert run.end() == 0, run.out
    assert len(run.executed()) == len(ledger.read(StudyStore(object_store.uri(prefix), "s")).records) == 12


def test_the_exit_code_counts_what_the_store_holds(
    object_store: Server, store: StudyStore, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = PartedLedger.append

    def forgetful(self: PartedLedger, records: list[object]) -> None:
        real(self, records[1:])  # type: ignore[arg-type]

    monkeypatch.setattr(PartedLedger, "append", forgetful)
    assert main([*RUN, "--seeds", "1", "--store", object_store.uri(prefix)]) == 1
    assert "of 6 trials have no record in s3://" in " ".join(capsys.readouterr().out.split())


def test_a_study_that_is_not_held_has_no_writer(store: StudyStore) -> None:
    with pytest.raises(StoreError, match="is not held"):
        PartedLedger(store)
