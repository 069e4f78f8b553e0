"""The paper through the real command line, on the user's own text."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.frames import read_trials

TINY = ["--scale", "smoke", "--seeds", "2", "--set", "steps=4", "--set", "warmup=1", "--set", "eval_windows=4", "--set", "batch=4"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A jsonl file of a few hundred short texts."""
    path = tmp_path / "texts.jsonl"
    texts = (f"text {i}: " + " ".join(str(i * j % 97) for j in range(60)) for i in range(300))
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_the_whole_road_on_ones_own_text(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(tmp_path / "cache"))
    store = tmp_path / "store"
    words = ["run", "mup-weight-decay-transfer", *TINY, "--local", "--store", str(store), "--tracking-uri", "none"]
    assert main([*words, "--data", f"text:real={corpus}"]) == 0
    (study,) = store.iterdir()
    frame = read_trials((study / "trials" / "mup-weight-decay-transfer.parquet").read_bytes())
    lm = frame[frame["experiment"] == "lm"]
    assert set(lm["data_name"]) == {"texts.jsonl"}
    assert set(lm["data_kind"]) == {"real"}
    assert set(frame[frame["experiment"] == "ffn"]["data_kind"]) == {"synthetic"}
    # Seeds and methods are different runs; none of them is a copy of another.
    base = lm[lm["param.width"] == 64]
    assert base["metric.val_loss"].nunique() == len(base) == 2 * 5
    verdicts = {row["claim"]: row for row in csv.DictReader((study / "verdicts.csv").open())}
    assert verdicts["C3-lm"]["data_kind"] == "real"
    assert verdicts["C3-lm"]["decides"] == "direction", "real text at smoke scale still decides no number of the paper"
    assert int(verdicts["C3-lm"]["n"]) == int(verdicts["C3-ffn"]["n"]) == 2
    assert verdicts["C4-lr"]["verdict"] == "not tested"
    assert "<svg" in (study / "report.html").read_text()


def test_a_broken_line_of_ones_own_text_is_named_before_any_trial(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(tmp_path / "cache"))
    corpus.write_text(corpus.read_text().replace('{"text": "text 7:', '{"txt": "text 7:'))
    words = ["run", "mup-weight-decay-transfer", *TINY, "--store", str(tmp_path / "store"), "--data", f"text={corpus}"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "texts.jsonl" in said
    assert "8" in said
    assert not (tmp_path / "store").exists()
