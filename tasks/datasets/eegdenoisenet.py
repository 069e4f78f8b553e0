"""EEGdenoiseNet, of which the user has a copy."""

from __future__ import annotations

from harness.data import Dataset
from tasks.datasets.eeg.declared import EPOCHS

DATASET = Dataset(
    name="eegdenoisenet",
    description=(
        "EEGdenoiseNet (Zhang et al. 2021): a folder with EEG_all_epochs.npy (4,514 x 512) and EMG_all_epochs.npy, EOG_all_epochs.npy or "
        "both, at 256 Hz, or their 512-Hz variants. Split 80 : 10 : 10 by position, before anything is repeated"
    ),
    source="eegdenoisenet",
    kind="real",
    version=1,
    prepare="",
    adopt="tasks.datasets.eeg.denoisenet_files:adopt_epochs",
    open="tasks.datasets.eeg_epochs:open_epochs",
    size="your own copy",
    form=EPOCHS,
)
