"""How often noise without any effect satisfies each claim of each task, written to docs/noise.md.

python -m tests.calibration.noise [--studies N] [--slow N]

Three minutes on a quiet core. The contract test (tests/tasks/test_noise.py) asks the same of fewer studies.
"""

from __future__ import annotations

import argparse
import datetime
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness import registry
from harness.noise import FamilyRate, NoiseRates, Rate, rates, redraw
from harness.provenance import cpu_name, versions
from harness.shown import markdown_table
from harness.store import open_study
from harness.study import load
from harness.task import SCALES, Task

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "noise.md"
SATISFIED = 0.2
"""A claim that noise satisfies more often says nothing of a method: it is declared a check."""
CHUNK = 400
"""Studies that are redrawn at once: more take more memory."""
_ORDER = sorted(SCALES, key=["laptop", "gpu", "paper", "smoke"].index)


def tasks() -> list[str]:
    """Every registered task of this repository."""
    return sorted(name for name, entry in registry.tasks().items() if entry.module.startswith("tasks."))


def of_task(task: Task, *, studies: int, slow: int) -> list[NoiseRates]:
    """The rates of a task's claims, each at the first scale that holds it: laptop, gpu, paper, smoke.

    Noise is as wide as in the committed laptop study, where there is one, at every scale.
    """
    folder = ROOT / "results" / "reference" / f"{task.id}-laptop"
    records = load(open_study(str(folder))).frame if folder.exists() else None
    found: list[NoiseRates] = []
    asked: set[str] = set()
    for scale in (scale for scale in _ORDER if scale in task.scales):
        if not {claim.id for claim in task.claims if scale in claim.scales} - asked:
            continue
        random = np.random.default_rng(zlib.crc32(f"{task.id} {scale}".encode()))
        parts = [min(CHUNK, studies - start) for start in range(0, studies, CHUNK)]
        drawn = _pooled(
            [
                rates(redraw(task, scale, studies=some, random=random, records=records), slow=max(0, min(some, slow - place * CHUNK)))
                for place, some in enumerate(parts)
            ]
        )
        own = [rate for rate in drawn.rates if rate.claim.id not in asked]
        asked |= {rate.claim.id for rate in own}
        found += [NoiseRates(task, scale, drawn.seeds, own, drawn.primary, drawn.family)] if own else []
    return found


def _pooled(parts: Sequence[NoiseRates]) -> NoiseRates:
    """The same of all parts together."""
    first = parts[0]
    found = []
    for place, rate in enumerate(first.rates):
        own = [part.rates[place] for part in parts]
        studies = sum(one.studies for one in own)
        shares = [
            sum(getattr(one, name) * one.studies for one in own) / max(studies, 1) for name in ("reproduced", "refuted", "inconclusive")
        ]
        found.append(Rate(rate.claim, studies, *shares, varies=any(one.varies for one in own)))
    primary, family = (
        FamilyRate(own[0].claims, sum(one.studies for one in own), sum(one.wrong for one in own))
        for own in ([part.primary for part in parts], [part.family for part in parts])
    )
    return NoiseRates(first.task, first.scale, first.seeds, found, primary, family)


def may_be_satisfied(rate: Rate) -> bool:
    """Whether a claim says that it is no finding about a method, or is an equivalence that no effect satisfies, with its margin's source.

    One whose numbers are alike in every seed leaves nothing to chance: real studies decide it by its resolution, or not at all.
    """
    claim = rate.claim
    as_good = claim.aim != "direction" and bool(claim.margin_source) and claim.null is not None and claim.null in claim.holds
    return claim.exact or claim.kind == "check" or as_good or not rate.varies


def page(found: Sequence[NoiseRates], *, studies: int, slow: int) -> str:
    """The page of the documentation."""
    about = versions()
    where = f"{datetime.date.today().isoformat()}, one core of {cpu_name()}, Python {about['python']}, NumPy {about['numpy']}"
    families = markdown_table(
        ["task", "scale", "seeds", "primary claims", "at least one false", "claims at no effect", "at least one false"],
        [
            [
                noise.task.id,
                noise.scale,
                str(noise.seeds),
                *(text for family in (noise.primary, noise.family) for text in (str(family.claims), _share(family))),
            ]
            for noise in found
            if noise.primary.claims or noise.family.claims
        ],
    )
    return "\n".join([HEAD.format(studies=studies, slow=slow, where=where), families, *map(_table, found)])


HEAD = """# What noise alone makes of every claim

Each study is redrawn {studies:,} times without any effect and judged by the rule that judges a real one. Every number of every trial is
the mean of its experiment plus independent noise, as wide as that between the seeds of a cell in the committed laptop study; methods and
parameters are exchangeable. What does not vary between seeds, such as a count of parameters, stays as it is recorded. A number that
chance gives no place to be (a share, a ratio of times, one metric less another) is centred where the claim says that there is no effect,
its `null`; without one it stays at the mean of the experiment.

"Reproduced" of a claim whose edge is no effect errs in 2.5 % of studies. A claim that noise satisfies in over 20 % says nothing of a
method: it is a *check*, or an equivalence (*equivalent*, *not worse*) that names where its margin comes from. A contract test asks it of
every task. Exact claims leave nothing to chance. Claims that are computed study by study stand on {slow:,} studies (column *n*).

Made by `python -m tests.calibration.noise`: {where}.

## Families

At least one false "reproduced" in a study: among the primary claims, held together at 5 %, and among all claims whose edge is no effect.
"""


def _share(family: FamilyRate) -> str:
    return f"{family.rate:.3f} of {family.studies:,}" if family.studies else "–"


def _table(noise: NoiseRates) -> str:
    rows = []
    for rate in noise.rates:
        claim = rate.claim
        whose = ", ".join([claim.kind, *(["primary"] if claim.primary else []), *(["exact"] if claim.exact else [])])
        null = "–" if claim.null is None else f"{claim.null:g}"
        shares = [f"{share:.3f}" for share in (rate.reproduced, rate.refuted, rate.inconclusive)]
        asked = ["–"] * 4 if claim.exact else [*shares, f"{rate.studies:,}"]
        rows.append([claim.id, whose, claim.aim, str(claim.holds), null, *asked])
    headings = ["claim", "whose", "aim", "holds", "no effect", "reproduced", "not reproduced", "inconclusive", "n"]
    return f"\n## {noise.task.id}, scale {noise.scale}, {noise.seeds} seeds\n\n{markdown_table(headings, rows)}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--slow", type=int, default=60)
    options = parser.parse_args()
    found: list[NoiseRates] = []
    for name in tasks():
        found += of_task(registry.task(name), studies=options.studies, slow=options.slow)
        print(f"{name}: done", flush=True)
    PAGE.write_text(page(found, studies=options.studies, slow=options.slow) + "\n")
    for noise in found:
        for rate in noise.rates:
            if rate.reproduced > SATISFIED and not may_be_satisfied(rate):
                print(f"{noise.task.id}, {rate.claim.id}: {rate.reproduced:.2f} of {rate.studies} studies")


if __name__ == "__main__":
    main()
