"""Annotated EEG recordings of the user's own."""

from __future__ import annotations

from harness.data import Dataset
from tasks.datasets.eeg.declared import WINDOWS

DATASET = Dataset(
    name="eeg-recordings",
    description=(
        "Any folder of .edf, .bdf or .fif recordings with annotations inside, or beside them in <stem>.csv or <stem>-annotations.csv "
        "with onset,duration,description, in mne's tables or in BIDS's <name>_events.tsv; the descriptions are the classes. Two-second "
        "windows, half overlapping, inside annotated spans, at 250 Hz, unfiltered, of Fp1 Fp2 C3 C4 O1 O2 T3 T4 or else the channels that "
        "the recordings share. What mne marks BAD or as a boundary, gaps and data that another file holds too are left out. Split "
        "70 : 15 : 15 by subject (sub-01_..., name_s001_t000, or a file each) within each class, the rarest first, as a .csv of "
        "subject,split in the folder or folders train/ and eval/ say, or by time where there are fewer than three subjects; a class that "
        "cannot be in all splits is left out by name. papertrial.toml in the folder chooses classes and the window rule, as for tuar "
        "(needs the `eeg` extra)"
    ),
    source="eeg-recordings",
    kind="real",
    version=3,
    prepare="",
    adopt="tasks.datasets.eeg.recorded_windows:adopt_recordings",
    open="tasks.datasets.eeg_windows:open_windows",
    size="your own recordings",
    form=WINDOWS,
)
