"""Clean windows and artifacts mixed at a stated ratio, as EEGdenoiseNet does, and the random pairs that all methods of a seed share.

The ratio of EEGdenoiseNet (Zhang et al. 2021, eq. 2) is 10 log10(RMS(x) / RMS(lambda n)): a ratio of AMPLITUDES with the factor that
belongs to powers. Its 2 dB are 4 dB of power, its -7 dB are -14.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import UsageError
from tasks.eeg.eeg_denoising_atat.methods import HIGHEST, LOWEST


@dataclass(frozen=True)
class Pairs:
    """Which clean window meets which artifact, at which level; one entry a window."""

    eeg: Tensor
    artifact: Tensor
    snr: Tensor
    contaminated: Tensor
    """False: the window stays clean."""

    def __len__(self) -> int:
        return len(self.eeg)

    def to(self, device: str) -> Pairs:
        """The same on a device."""
        return Pairs(self.eeg.to(device), self.artifact.to(device), self.snr.to(device), self.contaminated.to(device))

    def take(self, index: Tensor) -> Pairs:
        """Those at `index`, (k,)."""
        return Pairs(self.eeg[index], self.artifact[index], self.snr[index], self.contaminated[index])


def rms(x: Tensor) -> Tensor:
    """Root mean square over the last axis, the mean not taken out: (..., t) -> (...)."""
    return x.square().mean(-1).sqrt()


def mix(clean: Tensor, artifact: Tensor, snr: Tensor, contaminated: Tensor) -> tuple[Tensor, Tensor]:
    """(noisy, clean), both (n, t) and both divided by the standard deviation of each noisy window.

    clean, artifact: (n, t) in one unit; snr: (n,) in dB; contaminated: (n,) bool. The divisor needs no clean signal: a user has it.
    """
    gain = rms(clean) / (rms(artifact) * 10.0 ** (snr / 10.0))
    noisy = clean + torch.where(contaminated, gain, 0.0)[:, None] * artifact
    scale = noisy.std(-1, correction=0, keepdim=True)
    return noisy / scale, clean / scale


def mixed(eeg: Tensor, artifacts: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """The windows of `pairs`, (noisy, clean), from all clean windows (m, t) and all artifacts (k, t)."""
    return mix(eeg[pairs.eeg], artifacts[pairs.artifact], pairs.snr, pairs.contaminated)


def cut(epochs: Tensor, samples: int) -> Tensor:
    """Epochs (n, t) as windows (n (t // samples), samples), in order, a rest left out; 0 keeps whole epochs."""
    length = epochs.shape[1]
    if samples > length:
        raise UsageError(f"windows of {samples} samples do not fit into epochs of {length}: choose samples at most {length}")
    if not samples:
        return epochs
    return epochs[:, : length // samples * samples].reshape(-1, samples)


def training_pairs(eeg: int, artifacts: int, pairings: int, clean_share: float, stream: torch.Generator) -> Pairs:
    """`pairings` times as many pairs as artifacts, every artifact once a pairing, clean windows as evenly re-used as can be.

    Levels are uniform between the lowest and the highest test level. Each window stays clean with probability `clean_share`.
    """
    count = pairings * artifacts
    return Pairs(
        eeg=torch.cat([_permutations(eeg, artifacts, stream) for _ in range(pairings)]),
        artifact=_permutations(artifacts, count, stream),
        snr=LOWEST + (HIGHEST - LOWEST) * torch.rand(count, generator=stream),
        contaminated=torch.rand(count, generator=stream) >= clean_share,
    )


def scoring_pairs(eeg: int, artifacts: int, limit: int, snr: float, contaminated: float, stream: torch.Generator) -> Pairs:
    """Each clean window at most once, `limit` of them (0: all), with the same artifact at every level.

    The share of contaminated windows is exact up to rounding, and those of a smaller share are among those of a larger one.
    """
    count = min(limit or eeg, eeg)
    clean, artifact = torch.randperm(eeg, generator=stream)[:count], _permutations(artifacts, count, stream)
    order = torch.randperm(count, generator=stream)
    return Pairs(clean, artifact, torch.full((count,), snr), order < round(contaminated * count))


def _permutations(size: int, count: int, stream: torch.Generator) -> Tensor:
    """`count` indices below `size`: whole permutations, the last one cut."""
    return torch.cat([torch.randperm(size, generator=stream) for _ in range(-(-count // size))])[:count]
