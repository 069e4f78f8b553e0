"""Verdicts counted: whose claims, sentences once, what chance alone would give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.tally import Line, chance, counts, interval_of, lines, lost_every_seed, outcome, sentences, tally


def line(claim: str, verdict: str, kind: str = "paper", group: str = "", by_chance: float = 0.0, scale: str = "laptop") -> Line:
    return Line("toy", scale, claim, verdict, kind, group, by_chance)


GOOD, BAD, OPEN, NONE = "reproduced", "not reproduced", "inconclusive", "not tested"


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [([GOOD, GOOD], GOOD), ([GOOD, BAD, OPEN], BAD), ([GOOD, OPEN], OPEN), ([GOOD, NONE], GOOD), ([NONE, NONE], NONE)],
)
def test_a_sentence_that_was_split_counts_once_as_its_weakest_part(parts: list[str], verdict: str) -> None:
    lines = [line(f"C1-{i}", part, group="C1") for i, part in enumerate(parts)]
    assert sentences(lines) == [verdict]
    assert len(sentences([*lines, line("C2", GOOD), line("C3", GOOD)])) == 3
    # The same group of another task or scale is another sentence.
    assert len(sentences([*lines, line("C1-0", GOOD, group="C1", scale="gpu")])) == 2
    # A claim that is called as a group is called is none of it.
    assert len(sentences([*lines, line("C1", GOOD)])) == 2


def test_the_papers_claims_are_counted_apart_from_ours() -> None:
    lines = [
        line("C1", GOOD, by_chance=0.025),
        line("C2", NONE, by_chance=0.025),
        *(line(f"C3-{i}", OPEN, group="C3", by_chance=0.025) for i in range(3)),
        line("floor", GOOD, "control"),
        line("twin", BAD, "control"),
        line("sum", GOOD, "check"),
        line("X", GOOD, "extension"),
    ]
    assert tally(lines) == (
        "the paper's claims: 2 of 3 sentences (5 claims) tested, 1 reproduced, 1 inconclusive (by chance alone 0.05); "
        "our extensions: 1 of 1 tested, 1 holds; controls: 2 of 2 tested, 1 holds, 1 does not hold; checks: 1 of 1 tested, 1 holds"
    )
    # C1, and C3, of which all three parts would have to be; C2 is not tested.
    assert chance(lines) == pytest.approx(0.05)
    assert chance([*lines, line("C3-3", GOOD, group="C3")]) == pytest.approx(0.025), "a part that is not reached by chance"
    assert counts("control", [line("a", GOOD), line("b", GOOD), line("c", BAD), line("d", BAD)]) == ("4 of 4 tested, 2 hold, 2 do not hold")
    assert tally([]) == "no claims"


def test_a_claim_that_lost_every_seed_is_not_tested_and_named() -> None:
    gone = replace(line("C2", NONE, group="C"), n=0, lost=5, missed=True)
    assert lost_every_seed(gone)
    assert not lost_every_seed(line("C2", NONE))
    assert not lost_every_seed(replace(gone, n=3)), "a control that failed took it down, its seeds are there"
    others = {verdict: line("C1", verdict, group="C") for verdict in (GOOD, BAD, OPEN, NONE)}
    assert {verdict: sentences([other, gone])[0] for verdict, other in others.items()} == {GOOD: OPEN, BAD: BAD, OPEN: OPEN, NONE: NONE}
    assert counts("paper", [line("C1", GOOD), replace(gone, group="")]) == "1 of 2 tested, 1 reproduced; every seed was lost of C2"


def test_a_sentence_is_no_better_than_a_part_that_was_missed() -> None:
    missed = replace(line("C2", NONE, group="C"), missed=True)
    others = {verdict: line("C1", verdict, group="C") for verdict in (GOOD, BAD, OPEN, NONE)}
    assert {verdict: sentences([other, missed])[0] for verdict, other in others.items()} == {GOOD: OPEN, BAD: BAD, OPEN: OPEN, NONE: NONE}
    head = "task,scale,claim,verdict,n,lost"
    kept = f"{head},missed\ntoy,laptop,C1,not tested,0,0,True\ntoy,laptop,C2,not tested,0,0,False\ntoy,laptop,C3,reproduced,5,0,False\n"
    assert [found.missed for found in lines(kept)] == [True, False, False]
    before = f"{head}\ntoy,laptop,C1,not tested,5,0\ntoy,laptop,C2,not tested,0,0\ntoy,laptop,C3,reproduced,5,0\n"
    assert [found.missed for found in lines(before)] == [True, False, False], "a control that failed left its seeds"


def test_a_table_of_before_calls_no_claim_tested_that_lost_every_seed() -> None:
    table = (
        "task,scale,claim,verdict,n,lost\ntoy,laptop,C1,inconclusive,0,5\ntoy,laptop,C2,inconclusive,4,1\ntoy,laptop,C3,inconclusive,5,0\n"
    )
    assert [found.verdict for found in lines(table)] == [NONE, OPEN, OPEN]
    assert lines("task,scale,claim,verdict\ntoy,laptop,C1,reproduced\n") == [line("C1", GOOD)]


def test_the_interval_of_a_row_says_whether_its_mean_is_a_bound() -> None:
    cells = {"estimate": "30.0", "low": "25.0", "high": "", "n": "5", "bound": ">=", "unit": "steps"}
    assert str(interval_of(cells)) == "≥ 30.0 [25.0, ∞]"
    assert replace(line("C1", GOOD), cells=cells).estimate == "≥ 30.0 [25.0, ∞] steps"
    assert str(interval_of(cells | {"high": "35.0", "bound": ""})) == "30.0 [25.0, 35.0]"
    assert interval_of(cells | {"estimate": "nan"}) is None
    assert interval_of({}) is None


def test_only_a_paper_is_reproduced() -> None:
    assert [outcome("paper", v) for v in (GOOD, BAD)] == [GOOD, BAD]
    assert [outcome("control", v) for v in (GOOD, BAD, OPEN, NONE)] == ["holds", "does not hold", "undecided", NONE]
