"""What the declarations of the EEG sets share. It imports nothing heavy, so that listing the sets costs milliseconds."""

from __future__ import annotations

from harness.data import Sdist

WINDOWS = "labelled EEG windows"
"""Form of the sets that `tasks.datasets.eeg_windows` opens."""
EPOCHS = "EEG and artifact epochs"
"""Form of the sets that `tasks.datasets.eeg_epochs` opens."""

SDIST = Sdist(
    requirement="eeglabio==0.1.4",
    filename="eeglabio-0.1.4.tar.gz",
    sha256="8e772570bb2a8fb13286fa2dd321e831686c097b34409c97679fb8c84b46e7a2",
    licence="BSD-3-Clause",
)
"""Holds the recording behind the semi-synthetic sets among its tests."""
