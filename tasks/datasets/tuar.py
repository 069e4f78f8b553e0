"""The Temple University Artifact corpus, of which the user has a copy."""

from __future__ import annotations

from harness.data import Dataset
from tasks.datasets.eeg.declared import WINDOWS

DATASET = Dataset(
    name="tuar",
    description=(
        "TUAR, the TUH EEG Artifact Corpus (Hamid et al. 2020): a folder of .edf files with a .csv of "
        "channel,start_time,stop_time,label,confidence beside each. Two-second windows, half overlapping, inside annotated spans; channels "
        "Fp1 Fp2 C3 C4 O1 O2 T3 T4 to the recording's reference, at 250 Hz, unfiltered; classes eyem, musc, elec, chew, shiv; windows of "
        "two classes are left out. Split 70 : 15 : 15 by subject within each class, the rarest first, or as a .csv of subject,split in the "
        "folder or folders train/ and eval/ say; a class that cannot be in all splits is left out by name. papertrial.toml in the folder "
        'chooses: classes = ["eyem", "musc"]; labels = "merged" (eyem_musc is musc, by the paper\'s map); windows = "onset" (the paper\'s, '
        "one second from half a second before each event). Asks for a licence, so it cannot be fetched (needs the `eeg` extra)"
    ),
    source="tuar",
    kind="real",
    version=3,
    prepare="",
    adopt="tasks.datasets.eeg.recorded_windows:adopt_tuar",
    open="tasks.datasets.eeg_windows:open_windows",
    size="your own copy",
    form=WINDOWS,
)
