"""Names of channels, as the makers of recordings write them, and the places of the 10-20 system that they mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tasks.datasets.eeg.montage import PLACES

_REFERENCE = r"(?:\s*-\s*(?:REF|LE|AR|AVG|AV|CAR|A1|A2|M1|M2|CLE))?"
_PLACE = r"(NZ|(?:FP|AFP|AF|F|FFC|FC|FT|FTT|FCC|C|T|TTP|CCP|CP|TP|CPP|TPP|P|PPO|PO|POO|O|I|A|M)(?:Z|\d{1,2}H?))"
_REFERENTIAL = re.compile(rf"(?:EEG\s+)?{_PLACE}{_REFERENCE}\.*", re.IGNORECASE)
_RENAMED = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
"""Names of the 10-10 system -> those of the 10-20 system."""


def place(name: str) -> str | None:
    """`EEG FP1-REF`, `Fp1-LE` or `FP1` -> `Fp1`; None where the name means no single place (bipolar, ECG, a number)."""
    match = _REFERENTIAL.fullmatch(name.strip())
    if not match:
        return None
    found = match[1].upper().replace("FP", "Fp").replace("Z", "z").replace("H", "h")
    return _RENAMED.get(found, found)


def places_of(channel: str) -> set[str]:
    """Places that an annotation's channel touches: both ends of `FP1-F7`. Empty for a name that means the whole head (`TERM`, none)."""
    return {found for end in re.split(r"-+", channel) if (found := place(end))}


def labels(names: Sequence[str]) -> dict[str, str]:
    """What to call the EEG channels of a recording -> their names in the file, the first where two mean one place.

    Channels that are no place are taken by their own names, but only where none is a place: beside places they are ECG, triggers, ....
    """
    found: dict[str, str] = {}
    for name in names:
        if label := place(name):
            found.setdefault(label, name)
    return found or {name: name for name in names}


def common(recordings: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The channels to keep of recordings whose channels are so called: the eight of `PLACES` if half of the recordings have them all.

    Otherwise what at least half of them have, in the order in which it appears.
    """
    if 2 * sum(set(PLACES) <= set(names) for names in recordings) >= len(recordings):
        return tuple(PLACES)
    counts = Counter(name for names in recordings for name in names)
    return tuple(name for name, count in counts.items() if 2 * count >= len(recordings))
