"""EEGdenoiseNet, of which the user has a copy."""

from __future__ import annotations

from harness.data import Dataset
from tasks.datasets.eeg.declared import EPOCHS

DATASET = Dataset(
    name="eegdenoisenet",
    description=(
        "EEGdenoiseNet (Zhang et al. 2021): a folder with EEG_all_epochs.npy (4,514 x 512) and EMG_all_epochs.npy, EOG_all_epochs.npy or "
        "both, at 256 Hz, and EEG_all_epochs_512hz.npy with EMG_all_epochs_512hz.npy. Where they are there, EMG is mixed at 512 Hz (1,024 "
        "samples) and EOG at 256 Hz (512), as the authors do; rates are not mixed. Split 80 : 10 : 10 by position, before anything is "
        "repeated"
    ),
    source="eegdenoisenet",
    kind="real",
    version=2,
    prepare="",
    adopt="tasks.datasets.eeg.denoisenet_files:adopt_epochs",
    open="tasks.datasets.eeg_epochs:open_epochs",
    size="your own copy",
    form=EPOCHS,
)
