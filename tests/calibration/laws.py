"""How often the 95 % intervals of `harness.laws` hold the planted parameters, over simulated tables.

    python -m tests.calibration.laws [--sets N] [--resamples N] [--only DESIGN] [--write docs/calibration-laws.md]

Errors of log y are alike, of a size that falls with the first column, heavy-tailed, or shared by the rows of a run or a seed (`MEANINGS`).
A table where a parameter gets no interval is counted apart.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from harness.laws import Options, fit

Array = NDArray[np.float64]
Table = dict[str, Array]
Errors = Callable[[np.random.Generator, Array, Array], Array]
EXACT = "An exact 95 % shows 92.1 to 97.9 in 240 tables, 90.5 to 99.5 in 100 (95 of 100 times)."
START, END = "<!-- table -->\n", "<!-- end of table -->\n"


@dataclass(frozen=True)
class Design:
    """A table without noise and the parameters that are planted in it."""

    law: str
    columns: Callable[[np.random.Generator], Table]
    value: Callable[[Table], Array]
    truth: Mapping[str, float]
    sigma: float
    """Standard deviation of an error of log y."""
    options: Options = field(default_factory=Options)
    errors: Sequence[str] = ("alike", "unlike", "heavy", "unlike, heavy")
    share: float = 1.0
    """Of the tables that are asked for, the share that is simulated: large tables take long."""


def isoflops(n: int) -> Callable[[np.random.Generator], Table]:
    """Model sizes and tokens as in Hoffmann et al.: budgets of 1e18 to 1e22 FLOPs, 2 to 300 tokens a parameter."""

    def columns(rng: np.random.Generator) -> Table:
        budget, ratio = 10 ** rng.uniform(18, 22, n), 10 ** rng.uniform(0.3, 2.5, n)
        size = np.sqrt(budget / 6 / ratio)
        return {"n": size, "d": budget / 6 / size}

    return columns


def checkpoints(runs: int, each: int) -> Callable[[np.random.Generator], Table]:
    """Runs of sizes 5e7 to 2e9 with checkpoints between 1e10 and 3.5e11 tokens, as in Gemstones."""

    def columns(rng: np.random.Generator) -> Table:
        sizes = np.sort(10 ** rng.uniform(7.7, 9.3, runs))
        codes = np.repeat(np.arange(runs), each)
        return {"n": sizes[codes], "d": np.tile(np.linspace(1e10, 3.5e11, each), runs), "run": codes.astype(float)}

    return columns


SIZES = np.array([30.5e6, 49.6e6, 102.8e6, 203.2e6, 443.1e6, 822.2e6])
RHO = {16.0: 1.0, 4.0: 0.794, 3.0: 0.567, 2.0: 0.274}
CHINCHILLA = {"A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28, "E": 1.69}
POWER = {"c": 1e-5, "a": 0.7}
SEEDS = 5


def bits(_: np.random.Generator) -> Table:
    """The sizes and bit widths of 21 published QuEST runs."""
    counts = {16.0: 6, 4.0: 6, 3.0: 5, 2.0: 4}
    return {"n": np.concatenate([SIZES[:k] for k in counts.values()]), "bits": np.repeat(list(counts), list(counts.values()))}


def chinchilla(x: Table) -> Array:
    """Loss with the parameters of the Chinchilla paper."""
    return np.asarray(CHINCHILLA["A"] * x["n"] ** -CHINCHILLA["alpha"] + CHINCHILLA["B"] * x["d"] ** -CHINCHILLA["beta"] + CHINCHILLA["E"])


def power(x: Table) -> Array:
    """1e-5 x^0.7."""
    return np.asarray(1e-5 * x["x"] ** 0.7)


DESIGNS: Mapping[str, Design] = {
    "power law, 8 rows": Design("power-law", lambda _: {"x": np.logspace(16, 19, 8)}, power, POWER, 0.1),
    "power law with floor, 16 rows": Design(
        "power-law-floor",
        lambda _: {"x": np.logspace(7, 10, 16)},
        lambda x: 400 * x["x"] ** -0.34 + 1.7,
        {"A": 400, "alpha": 0.34, "E": 1.7},
        0.005,
    ),
    "precision, 21 rows of 4 bit widths": Design(
        "precision-collapsed",
        bits,
        lambda x: 18.6 * (x["n"] * np.array([RHO[b] for b in x["bits"]])) ** -0.122 + 0.93,
        {"A": 18.6, "alpha": 0.122, "E": 0.93, "rho[4]": 0.794, "rho[3]": 0.567, "rho[2]": 0.274},
        0.002,
        Options(group=["bits"], reference="16"),
        share=0.5,
    ),
    "chinchilla, 60 rows": Design("chinchilla", isoflops(60), chinchilla, CHINCHILLA, 0.004, share=0.5),
    "chinchilla, 240 rows": Design("chinchilla", isoflops(240), chinchilla, CHINCHILLA, 0.004, share=0.5),
    "chinchilla, 22 runs of 7 checkpoints": Design(
        "chinchilla", checkpoints(22, 7), chinchilla, CHINCHILLA, 0.004, Options(cluster="run"), ("by run", "by run, slopes"), 0.5
    ),
    "chinchilla, 10 runs of 7 checkpoints": Design(
        "chinchilla", checkpoints(10, 7), chinchilla, CHINCHILLA, 0.004, Options(cluster="run"), ("by run", "by run, slopes"), 0.5
    ),
    "chinchilla, 22 runs taken for 154 rows": Design(
        "chinchilla", checkpoints(22, 7), chinchilla, CHINCHILLA, 0.004, errors=("by run", "by run, slopes"), share=0.5
    ),
    "power law, 6 sizes of 5 seeds": Design(
        "power-law",
        lambda _: {"x": np.repeat(np.logspace(16, 19, 6), SEEDS), "seed": np.tile(np.arange(SEEDS), 6).astype(float)},
        power,
        POWER,
        0.1,
        Options(cluster="seed"),
        ("by seed",),
    ),
}


def _unlike(z: Array) -> Array:
    """Sizes of errors whose mean square is 1."""
    sizes = np.exp(-0.7 * z)
    return np.asarray(sizes / np.sqrt((sizes**2).mean()))


def _shared(rng: np.random.Generator, codes: Array, share: float) -> Array:
    """One normal number a group, with `share` of the variance, and one a row with the rest."""
    index = codes.astype(int)
    return np.asarray(np.sqrt(share) * rng.normal(size=index.max() + 1)[index] + np.sqrt(1 - share) * rng.normal(size=len(index)))


ERRORS: Mapping[str, Errors] = {
    "alike": lambda rng, z, _: rng.normal(size=len(z)),
    "unlike": lambda rng, z, _: _unlike(z) * rng.normal(size=len(z)),
    "heavy": lambda rng, z, _: rng.standard_t(3, len(z)) / np.sqrt(3),
    "unlike, heavy": lambda rng, z, _: _unlike(z) * rng.standard_t(3, len(z)) / np.sqrt(3),
    "by run": lambda rng, _, codes: _shared(rng, codes, 0.8),
    "by run, slopes": lambda rng, z, codes: (
        0.8 * _shared(rng, codes, 0.8) + 0.6 * z * rng.normal(size=int(codes.max()) + 1)[codes.astype(int)]
    ),
    "by seed": lambda rng, _, codes: _shared(rng, codes, 0.5),
}
MEANINGS = {
    "alike": "normal, of one size",
    "unlike": "normal, size falling as exp(-0.7 z), z being the standardised log of the first column",
    "heavy": "Student's t with 3 degrees of freedom",
    "unlike, heavy": "both",
    "by run": "80 % of the variance shared by the rows of a run",
    "by run, slopes": "a run differs in level and in slope along log d",
    "by seed": "half of the variance shared by the rows of a seed",
}


def tables(design: Design, errors: str, sets: int) -> list[pd.DataFrame]:
    """Simulated tables, the same in every run."""
    found = []
    for number in range(sets):
        rng = np.random.default_rng(number)
        x = design.columns(rng)
        along = np.log(x["d"] if "slopes" in errors else next(iter(x.values())))
        codes = x.get("run", x.get("seed", np.zeros(len(along))))
        noise = ERRORS[errors](rng, (along - along.mean()) / along.std(), codes)
        found.append(pd.DataFrame({**x, "y": design.value(x) * np.exp(design.sigma * noise)}))
    return found


def cover(name: str, errors: str, sets: int, resamples: int) -> dict[str, tuple[int, int]]:
    """Parameter -> how many intervals hold the truth, and how many intervals there are."""
    design = DESIGNS[name]
    found = dict.fromkeys(design.truth, (0, 0))
    for number, frame in enumerate(tables(design, errors, sets)):
        options = Options(**{**vars(design.options), "resamples": resamples, "seed": number})
        for _, estimate in fit(design.law, frame, options=options).estimates:
            if estimate.low is not None and estimate.high is not None:
                held, of = found[estimate.label]
                inside = estimate.low <= design.truth[estimate.label] <= estimate.high
                found[estimate.label] = held + inside, of + 1
    return found


def _job(job: tuple[str, str, int, int]) -> dict[str, tuple[int, int]]:
    return cover(*job)


def rows(chosen: Sequence[str], sets: int, resamples: int, processes: int) -> list[str]:
    """Lines of the table in Markdown."""
    jobs = [(name, errors, max(1, round(DESIGNS[name].share * sets)), resamples) for name in chosen for errors in DESIGNS[name].errors]
    lines = ["| design | errors | tables | covered, % | without an interval |", "|---|---|---|---|---|"]
    with ProcessPoolExecutor(processes) as pool:
        for (name, errors, count, _), found in zip(jobs, pool.map(_job, jobs), strict=True):
            shares = ", ".join(f"{label} {100 * held / of:.1f}" if of else f"{label} –" for label, (held, of) in found.items())
            lines.append(f"| {name} | {errors} | {count} | {shares} | {count * len(found) - sum(of for _, of in found.values())} |")
            print(lines[-1], flush=True)
    return lines


def put(path: Path, text: str) -> None:
    """Replace what stands between the marks of the document."""
    before, rest = path.read_text().split(START)
    path.write_text(before + START + text + END + rest.split(END)[1])


def main() -> None:
    """Simulate, print, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=240)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--only", nargs="*", choices=list(DESIGNS), default=list(DESIGNS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    lines = rows(options.only, options.sets, options.resamples, options.processes)
    seconds = time.perf_counter() - started
    processor = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    said = f"numpy {np.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}, {processor or platform.machine()}"
    print(f"{seconds:.0f} s; {said}")
    if options.write:
        when = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {options.processes} processes, {seconds:.0f} s, {said}"
        head = f"{options.resamples} resamples a table. {EXACT} {when}.\n\n"
        kinds = "".join(f"- *{name}*: {meaning}\n" for name, meaning in MEANINGS.items())
        put(options.write, f"{head}{kinds}\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
