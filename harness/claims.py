"""What papers claim, as builders: one line a claim that sets methods against each other on one number.

A builder takes the id, the methods and a reading such as `train["test_accuracy"]`, and derives direction, unit and sentence from the
metric. A difference is always paired by seed. `says` replaces the sentence, `holds` the region.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.bounds import CORRELATION
from harness.errors import TaskError, unknown
from harness.estimates import Difference, Estimate, Farthest, In, Of, OptimumShift, PowerTrend, RankTrend, Reading, Slope, paired
from harness.fitted import Fitted
from harness.model_selection import AiccGain
from harness.task import Above, Aim, Below, Claim, Region, Within

if TYPE_CHECKING:
    import pandas as pd

Direction = Literal["lower", "higher"]
Most = Literal["lowest", "highest"]

OURS: Mapping[str, Any] = {"source": "ours", "kind": "extension"}
"""What a claim says of itself that the paper does not make."""
CONTROL: Mapping[str, Any] = {"source": "control", "kind": "control"}
"""And one that a claim of the paper needs."""


def better(
    id: str, method: str, than: str | Sequence[str], reading: Reading, *, by: float = 0.0, says: str = "", **about: Any
) -> list[Claim]:
    """`method` is better than each of `than` on `reading`, by more than `by`: a claim for each, `id-<other>` where there are several."""
    others = [than] if isinstance(than, str) else list(than)
    if not others or method in others:
        raise TaskError(f"claim {id}: {method} is set against {'itself' if others else 'no method'}")
    margin = f" by more than {by:g} {_unit(reading)}" if by else ""
    words = says or f"{method} has a {_direction(reading)} {_name(reading)} than {{}}{margin}"
    holds = Above(by) if _direction(reading) == "higher" else Below(0.0 - by)
    return [
        _claim(
            f"{id}-{other}" if len(others) > 1 else id,
            words.format(other),
            paired(method, other, reading),
            holds,
            _unit(reading),
            {"null": 0.0, "group": id if len(others) > 1 else "", **about},
        )
        for other in others
    ]


def ablation(id: str, method: str, without: str, reading: Reading, *, part: str = "", says: str = "", **about: Any) -> list[Claim]:
    """What is taken away matters: `method` is better than its twin `without` that part."""
    words = says or f"{method} has a {_direction(reading)} {_name(reading)} than {without}" + (f": {part} matters" if part else "")
    return better(id, method, without, reading, says=words, **{**CONTROL, **about})


def equivalent(id: str, method: str, other: str, reading: Reading, *, margin: float, says: str = "", **about: Any) -> list[Claim]:
    """The two differ by less than `margin`, in the metric's unit."""
    _positive(margin, id)
    words = says or f"{method} and {other} differ in {_name(reading)} by less than {margin:g} {_unit(reading)}".rstrip()
    return [_claim(id, words, paired(method, other, reading), Within(-margin, margin), _unit(reading), _as_good("equivalent", about))]


def non_inferior(id: str, method: str, other: str, reading: Reading, *, margin: float, says: str = "", **about: Any) -> list[Claim]:
    """`method` is worse than `other` by less than `margin`, or better."""
    _positive(margin, id)
    holds = Above(-margin) if _direction(reading) == "higher" else Below(margin)
    words = says or f"{method} is worse than {other} in {_name(reading)} by less than {margin:g} {_unit(reading)}, or better"
    return [_claim(id, words, paired(method, other, reading), holds, _unit(reading), _as_good("not worse", about))]


def slope(id: str, method: str, number: Reading | In, *, over: str, holds: Region, says: str = "", **about: Any) -> list[Claim]:
    """The exponent of a number as a power of the parameter `over`, for one method, lies in `holds`.

    `number` is a reading, or an estimate of one experiment as `follows` takes it: it then needs `says`.
    """
    if isinstance(number, In):
        if not says:
            raise TaskError(f"claim {id}: say what grows, for an estimate has no name")
        estimate = Of(method, In(number.experiment, PowerTrend(over, number.estimate), number.view))
        return [_claim(id, says, estimate, holds, "exponent", about)]
    plain = number.sweep is None and not number.logged and not number.edges
    fitted: Estimate = Slope(number.metric, over, number.where) if plain else PowerTrend(over, number, number.where)
    words = says or f"{_name(number)} of {method} grows as {over} to a power that is {holds}"
    return [_claim(id, words, Of(method, In(number.experiment, fitted, number.view)), holds, "exponent", about)]


def follows(id: str, method: str, number: In, *, over: str, law: str, rivals: Sequence[str], says: str = "", **about: Any) -> list[Claim]:
    """`number` of a method follows `law` along `over` rather than each of `rivals`, by AICc: a claim for each, `id-1` and on.

    Laws are formulas over the parameter with one free factor, as `AiccGain` says; `number` is an estimate of one experiment, such as
    `threshold(train["test_accuracy"], over="fraction")`.
    """
    if not rivals:
        raise TaskError(f"claim {id}: a law is set against at least one other")
    words = says or f"{method} follows {law} along {over} rather than {{}}"
    return [
        _claim(
            f"{id}-{place}" if len(rivals) > 1 else id,
            words.format(rival),
            Of(method, In(number.experiment, AiccGain(over, number.estimate, law, rival), number.view)),
            Above(0.0),
            "AICc",
            {"null": 0.0, "group": id if len(rivals) > 1 else "", **about},
        )
        for place, rival in enumerate(rivals, start=1)
    ]


def monotone(
    id: str, method: str, reading: Reading, *, over: str, rises: bool, least: float = 0.8, says: str = "", **about: Any
) -> list[Claim]:
    """`reading` of a method rises (falls) with the parameter `over`: a rank correlation beyond `least`."""
    trend = RankTrend(over, reading, reading.where)
    estimate = Of(method, In(reading.experiment, trend, reading.view))
    words = says or f"{_name(reading)} of {method} {'rises' if rises else 'falls'} with {over}"
    region = Above(least) if rises else Below(-least)
    return [_claim(id, words, estimate, region, "rank correlation", {"bounds": CORRELATION, "null": 0.0, **about})]


def level(id: str, method: str, reading: Reading | Sequence[Reading], *, holds: Region, says: str = "", **about: Any) -> list[Claim]:
    """`reading` of one method, mean over its trials, lies in `holds`; of several readings every one does (intersection-union)."""
    first, *more = [reading] if isinstance(reading, Reading) else reading
    words = says or f"{_name(first)} of {method} is {holds}"
    number: Estimate = first.of(method) if first is reading else All(tuple(one.of(method) for one in (first, *more)))
    return [_claim(id, words, number, holds, first.unit, {"bounds": first.bounds, **about})]


def contrast(id: str, method: str, *pairs: tuple[Reading, Reading], holds: Region, says: str, **about: Any) -> list[Claim]:
    """The first reading of a pair less the second, both of one method in one seed, lies in `holds`: at another width, in another view.

    Of several pairs every one does (intersection-union): a largest difference, taken in each seed, would be biased upwards.
    """
    if not pairs:
        raise TaskError(f"claim {id}: a contrast is between two readings")
    parts = tuple(Difference(first.of(method), second.of(method)) for first, second in pairs)
    unit = _unit(pairs[0][0])
    return [_claim(id, says, parts[0] if len(parts) == 1 else All(parts), holds, unit, {"null": 0.0, **about})]


def factor(
    id: str, method: str, than: str | Sequence[str], reading: Reading, *, by: float = 1.0, says: str = "", **about: Any
) -> list[Claim]:
    """`reading` of `method` is better than that of each of `than` by more than a factor `by`: log10 of their ratio, seed by seed."""
    if not by >= 1.0:
        raise TaskError(f"claim {id}: a factor is 1 or more, not {by:g}: which way is better is known")
    words = says or f"{_name(reading)} of {method} is {_direction(reading)} than that of {{}} by a factor of more than {by:g}"
    return better(id, method, than, reading.log10(), by=math.log10(by), says=words, **about)


def fitted(
    id: str,
    method: str,
    reading: Reading,
    *,
    law: str,
    quantity: str,
    along: Mapping[str, str],
    holds: Region,
    fixed: Mapping[str, float] | None = None,
    says: str = "",
    **about: Any,
) -> list[Claim]:
    """The parameter `quantity` of a law of `papertrial fit help`, fitted to the trials of a method, lies in `holds`.

    `along` gives the law's column for each parameter of the trials, such as `{"width": "x"}`; `fixed` keeps parameters of the law.
    """
    if reading.sweep is not None or reading.logged or reading.edges:
        raise TaskError(f"claim {id}: a law is fitted to a metric as the trials return it: neither selected nor logged, nor at one end")
    number = Fitted(law, quantity, reading.metric, along, reading.where, fixed or {})
    words = says or f"{quantity} of the law {law} is {holds} for {_name(reading)} of {method} along {', '.join(along)}"
    return [_claim(id, words, Of(method, In(reading.experiment, number, reading.view)), holds, "", about)]


def optimum_shift(
    id: str, method: str, reading: Reading, *, axis: str, per: str, holds: Region, says: str = "", **about: Any
) -> list[Claim]:
    """The best value of `axis` moves by so many octaves each time `per` doubles."""
    if _direction(reading) == "higher":
        raise TaskError(f"claim {id}: an optimum is where a metric is lowest; {reading.metric} is better higher")
    estimate = Of(method, In(reading.experiment, OptimumShift(reading.metric, axis, per, reading.where), reading.view))
    words = says or f"the best {axis} of {method} moves {holds} octaves per doubling of {per}"
    return [_claim(id, words, estimate, holds, "octaves per doubling", about)]


@dataclass(frozen=True)
class All:
    """Estimates that have to lie in the region together: a claim on them is decided by each of them (intersection-union)."""

    parts: tuple[Estimate, ...]

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """What the parts read."""
        return self.parts

    def __call__(self, frame: pd.DataFrame) -> float:  # noqa: ARG002 - the signature of an estimate
        """The parts are judged one by one; together they are no number."""
        raise TaskError("a claim about several methods is decided part by part, not by one number a seed")


def best_of(id: str, method: str, others: Sequence[str], reading: Reading, *, says: str = "", **about: Any) -> list[Claim]:
    """`method` is the best of all: better than every one of `others` on `reading`, decided as `extreme` says."""
    most: Most = "highest" if _direction(reading) == "higher" else "lowest"
    words = says or f"{method} has the {most} {_name(reading)} of {len(others) + 1} methods"
    return extreme(id, method, others, reading.of, most=most, says=words, **{"unit": _unit(reading), **about})


def extreme(
    id: str, method: str, others: Sequence[str], number: Callable[[str], Estimate], *, most: Most, says: str, **about: Any
) -> list[Claim]:
    """`method` has the highest (lowest) number of all: beyond that of every one of `others`, each set against it seed by seed.

    `number` gives the estimate of a method, by its name. Reproduced when every paired difference is, not reproduced when one is not. The
    number shown is that of the closest rival. A smallest or largest value over methods, taken in each seed, would be biased: the best of
    several equal rivals is better than any one of them.
    """
    if len(others) < 2:
        raise TaskError(f"claim {id}: it sets a method against several; for one there is better")
    if method in others:
        raise TaskError(f"claim {id}: {method} is set against itself")
    parts = tuple(Difference(number(method), number(other)) for other in others)
    return [_claim(id, says, All(parts), Above(0.0) if most == "highest" else Below(0.0), "", {"null": 0.0, **about})]


def exact(
    id: str,
    reading: Reading,
    *,
    method: str = "",
    holds: Region | None = None,
    tolerance: float | None = None,
    says: str = "",
    **about: Any,
) -> list[Claim]:
    """A theorem: the number of every trial lies in `holds` (within `tolerance` of 0). No interval is needed and none would help.

    What is shown of a seed is the trial that lies farthest out: errors of different trials do not cancel.
    """
    if tolerance is not None and not tolerance > 0:
        raise TaskError(f"claim {id}: a tolerance is positive, not {tolerance:g}; rounding needs one")
    if (holds is None) == (tolerance is None):
        raise TaskError(f"claim {id}: exact takes a region or a tolerance around 0")
    region = holds if holds is not None else Within(-float(tolerance or 0.0), float(tolerance or 0.0))
    farthest = In(reading.experiment, Farthest(reading.metric, region.low, region.high, reading.where), reading.view)
    estimate: Estimate = Of(method, farthest) if method else farthest
    words = says or f"{_name(reading)} is {region}"
    return [_claim(id, words, estimate, region, reading.unit, {"exact": True, "bounds": reading.bounds, **about})]


def _claim(id: str, words: str, estimate: Estimate, holds: Region, unit: str, about: dict[str, Any]) -> Claim:
    known = [f.name for f in dataclasses.fields(Claim)]
    for name in about:
        if name not in known:
            raise unknown(f"field of claim {id}", name, known, error=TaskError)
    if "source" not in about:
        raise TaskError(f"claim {id}: say in `source` where the paper makes it (abstract, section, table), or that it is a control")
    fields: dict[str, Any] = {"holds": holds, "unit": unit, **about}
    return Claim(id=id, statement=words, estimate=estimate, **fields)


def _direction(reading: Reading) -> Direction:
    if reading.better == "lower" or reading.better == "higher":
        return reading.better
    raise TaskError(f"metric {reading.metric} of experiment {reading.experiment} has no better direction: give the region with Claim")


def _unit(reading: Reading) -> str:
    return "percentage points" if reading.unit in ("percent", "%") else reading.unit


def _name(reading: Reading) -> str:
    at = (*(f"{name} = {value}" for name, value in reading.where.items()), *(f"{end} {name}" for name, end in reading.edges.items()))
    where = ", ".join([*([reading.view] if reading.view else []), *at])
    return reading.metric.replace("_", " ") + (f" ({where})" if where else "")


def _as_good(aim: Aim, about: dict[str, Any]) -> dict[str, Any]:
    return {"null": 0.0, "aim": aim, **about}


def _positive(margin: float, id: str) -> None:
    if not margin > 0:
        raise TaskError(f"claim {id}: a margin is positive, not {margin:g}")
