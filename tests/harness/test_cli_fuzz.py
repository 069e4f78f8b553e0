"""Whatever words the command line gets, it ends with one of its exit codes and writes nowhere but where it was told."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.cli import main, parser

_VERBS = {
    name: verb for action in parser()._actions if isinstance(action, argparse._SubParsersAction) for name, verb in action.choices.items()
}
# A browser, a download, a cluster, a server and a look at the hardware are no business of a fuzz.
_LEFT_OUT = {"--open", "--address", "--store", "--force", "--seeds", "-h"}
_ODD = st.sampled_from(
    [
        *(
            "choosy",
            "misbehaving",
            "broken",
            "smoke",
            "laptop",
            "results",
            "made",
            "table.csv",
            "power-law",
            "pareto",
            "isoflop",
            "list",
            "none",
        ),
        *(
            "../../evil",
            "..",
            ".",
            "",
            " ",
            "-",
            "--",
            "-x",
            "[/b]",
            "[v2]",
            ":fire:",
            "a\x00b",
            "a\nb",
            "\udce9",
            "\x1b[31m",
            "x" * 300,
            "~nobody/x",
        ),
        *(
            "width=1",
            "hidden=(8,8)",
            "hidden=(",
            'name="a',
            "clip=none,inf",
            "=",
            "a=",
            "=b",
            "letters=@runes",
            "text=",
            "text:real=/x",
            "x=@",
            "1,2",
        ),
        *(
            "1",
            "-1",
            "0",
            "1e400",
            "nan",
            "9" * 30,
            "param.width",
            "metric.val_loss",
            "method=plain",
            "sqlite:///no/x.db",
            "file:x",
            "plain",
        ),
    ]
)
_WORD = _ODD | st.text(max_size=6)


def _options(verb: str) -> st.SearchStrategy[list[str]]:
    names = [name for action in _VERBS[verb]._actions for name in action.option_strings if name not in _LEFT_OUT]
    if not names:
        return st.just([])
    one = st.tuples(st.sampled_from(names), _WORD)
    return st.lists(one.flatmap(lambda pair: st.sampled_from([[*pair], [f"{pair[0]}={pair[1]}"], [pair[0]]])), max_size=4).map(
        lambda parts: [word for part in parts for word in part]
    )


@st.composite
def _commands(draw: st.DrawFn) -> list[str]:
    verb = draw(st.sampled_from([name for name in _VERBS if name != "doctor"]) | _WORD)
    if verb not in _VERBS:
        return [verb, *draw(st.lists(_WORD, max_size=3))]
    words = draw(st.lists(_WORD, max_size=2))
    if verb in ("plan", "run") and draw(st.booleans()):
        words = ["choosy", "--scale", "smoke"]
    if verb == "fit" and draw(st.booleans()):
        words = ["power-law", "table.csv", "--x", "n", "--y", "loss", "--resamples", "0"]
    if verb == "data":
        words = ["list", *words]
    return [
        verb,
        *words,
        *draw(_options(verb)),
        *{"run": ["--local", "--tracking-uri", "none"], "publish": ["--tracking-uri", "none"]}.get(verb, []),
    ]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder deep inside an empty one, with a table and a study."""
    here = tmp_path / "a" / "b" / "c"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("PAPERTRIAL_CACHE", str(here / "cache"))
    (here / "own").mkdir()
    monkeypatch.setenv("PAPERTRIAL_TASKS", os.pathsep.join([str(here / "own"), os.environ["PAPERTRIAL_TASKS"]]))
    (here / "table.csv").write_text("n,loss,kind\n1,8,x\n2,4,x\n4,2.1,y\n8,1,y\n")
    assert main(["run", "misbehaving", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study", "made", "--seeds", "1"]) == 0
    return here


@pytest.mark.fuzz
def test_any_words_end_in_an_exit_code(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.iterdir())

    @example(["status", "x" * 5000])
    @example(["new", "a/b\n"])
    @example(["compare", "made", "made", "--csv", "no/such/folder.csv"])
    @example(["fit", "power-law", "table.csv", "--x", "n", "--y", "loss", "--plots", "table.csv", "--resamples", "0"])
    @example(["fit", "power-law", "a\x00.csv"])
    @example(["plan", "choosy", "--scale", "smoke", "--data", "text=~nobody-here/x"])
    @example(["plan", "choosy", "--scale", "smoke", "--data", "text=a\x00b"])
    @example(["show", "choosy", "--claim", "[/b]"])
    @example(["list", "--store", "a\x00b"])
    @given(_commands())
    def told(words: list[str]) -> None:
        try:
            code: object = main(words)
        except SystemExit as stop:
            code = stop.code or 0
        said = capsys.readouterr()
        assert code in (0, 1, 2, 3, 4), (words, said.err)
        assert "Traceback" not in said.out + said.err
        assert code != 2 or said.err.count("\n") == 1, (words, said.err)
        assert "\x1b" not in said.out + said.err

    told()
    root = place.parent.parent.parent
    assert [path for path in root.rglob("*") if place not in (path, *path.parents) and path not in place.parents] == []
    assert set(before) <= set(place.iterdir())
