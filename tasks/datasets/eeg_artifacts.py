"""Windows of real EEG with simulated artifacts of the eyes, muscles, jaw, cold and electrodes: which artifact is it?"""

from __future__ import annotations

from harness.data import Dataset
from tasks.datasets.eeg.declared import SDIST, WINDOWS

DATASET = Dataset(
    name="eeg-artifacts",
    description=(
        "2,500 two-second windows of 8 channels (Fp1 Fp2 C3 C4 O1 O2 T3 T4, 250 Hz), 500 a class: eyem, musc, elec, chew, shiv. The "
        "background is real (24 s of one person out of the sdist of eeglabio, split by time before anything is drawn; windows overlap "
        "within a split), the artifacts are simulated and mixed at -10 to 2 dB of power over all channels (needs the `eeg` extra). "
        "Own recordings: the sets tuar and eeg-recordings"
    ),
    source="eeglabio-recording",
    kind="semi-synthetic",
    version=1,
    prepare="tasks.datasets.eeg.artifact_windows:prepare_artifacts",
    adopt="tasks.datasets.eeg.recorded_windows:adopt_recordings",
    open="tasks.datasets.eeg_windows:open_windows",
    archives=(SDIST,),
    size="7 MB to fetch, 20 MB prepared",
    form=WINDOWS,
)
