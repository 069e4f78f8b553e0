"""Which annotations of a recording count: of a table beside it, or those inside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.datasets.eeg.annotations import Annotation, LeftOut, Stretch, marks_apart, sound
from tasks.datasets.eeg.fif import is_annotations, read_annotations_fif
from tasks.datasets.eeg.reading import clock_of, read_inside
from tasks.datasets.eeg.tables import read_table, tables_of


@dataclass(frozen=True)
class Annotated:
    """What is known of a recording before its signals are read."""

    annotations: list[Annotation]
    bad: list[Stretch]
    source: str
    """The file that the annotations are from, for the notes."""
    notes: list[str]


def annotations_of(file: Path, root: Path) -> Annotated:
    """The annotations of a recording. LeftOut where there are none, or their times cannot be brought to the signal's.

    A table of the recording's own name counts first, then what lies inside if any of it lasts, then tables as mne and BIDS name them.
    """
    name = str(file.relative_to(root))
    inside = read_inside(file, name)
    own, marks = marks_apart(inside.annotations)
    first, others = tables_of(file)
    lasting = any(annotation.start < annotation.stop for annotation in own)
    tables = first or ([] if lasting else others)
    unread = [table for table in [*first, *others] if table not in tables[:1]]
    notes = list(inside.notes)
    if unread:
        rival = tables[0].relative_to(root) if tables else "its own annotations"
        named = ", ".join(str(table.relative_to(root)) for table in unread)
        notes.append(f"{name}: {named} {'lies' if len(unread) == 1 else 'lie'} beside it too; {rival} {'is' if tables else 'are'} read")
    if not tables:
        own, said = sound(own, name)
        if not own:
            reasons = [*notes, *said[:3]]
            raise LeftOut(
                ". ".join([*reasons, f"{name}: has no annotations, neither inside nor in a table beside it; the recording is left out"])
            )
        return Annotated(own, marks, name, [*notes, *said])
    source = str(tables[0].relative_to(root))
    if inside.gaps:
        raise LeftOut(f"{name}: has gaps, and whether the times of {source} count them cannot be told; the recording is left out")
    found, said = _read(tables[0], source, file, name)
    own, more = marks_apart(found)
    if not own:
        raise LeftOut(". ".join([*said[:3], f"{source}: holds no annotation; {name} is left out"]))
    return Annotated(own, [*marks, *more], source, [*notes, *said])


def _read(table: Path, source: str, file: Path, name: str) -> tuple[list[Annotation], list[str]]:
    clock = clock_of(file, name)
    if is_annotations(table):
        return sound(read_annotations_fif(table, source, clock), source)
    return read_table(table, source, clock)
