"""What the labels of the Temple University Artifact corpus mean, alone and combined."""

from __future__ import annotations

from collections.abc import Callable

from tasks.datasets.eeg.artifact_windows import CLASSES
from tasks.datasets.eeg.options import MERGED

Vocabulary = Callable[[str], tuple[str, ...]]
"""Label of an annotation -> the classes that it means at once; none for a label to pass over."""

_ALIASES = {"elpp": "elec", "elst": "elec"}
"""Electrode pops and electrostatic artifacts, which older versions of TUAR label apart."""
MERGE_MAP = {
    "shiv_elec": "elec",
    "eyem_shiv": "eyem",
    "chew_elec": "elec",
    "elpp": "elec",
    "chew_musc": "musc",
    "eyem_chew": "eyem",
    "eyem_elec": "eyem",
    "musc_elec": "musc",
    "eyem_musc": "musc",
    "eog": "eyem",
    "muscle": "musc",
}
"""The paper's: `src/merge_map.py` of github.com/ahritik/ArtifactGen, commit 0384e37 (Arasu and Jahangiri 2025)."""


def vocabulary(labels: str) -> Vocabulary:
    """How labels are read where the options say `apart` or `merged`."""
    return merged_classes if labels == MERGED else combined_classes


def combined_classes(label: str) -> tuple[str, ...]:
    """`musc` -> itself, `eyem_musc` -> both, `elpp` -> `elec`; nothing for background and seizures."""
    parts = tuple(_ALIASES.get(part, part) for part in label.lower().split("_"))
    return tuple(dict.fromkeys(parts)) if set(parts) <= set(CLASSES) else ()


def merged_classes(label: str) -> tuple[str, ...]:
    """`eyem_musc` -> `musc`, as the paper counts it; nothing for a combination that its map does not name."""
    key = label.strip().lower()
    found = MERGE_MAP.get(key) or _ALIASES.get(key, key)
    return (found,) if found in CLASSES else ()
