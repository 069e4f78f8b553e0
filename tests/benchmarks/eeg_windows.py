"""Cutting and measuring 100,000 EEG windows at once, against a plain loop over them; and the memory of MMD over the number of windows.

    .venv/bin/python tests/benchmarks/eeg_windows.py [--windows N] [--sample M] [--rounds R] [--device cuda]

One thread. Every side cuts the same windows of 8 channels x 250 samples, half overlapping, out of one float32 recording and makes of them
the mean Welch density and band powers, the mean covariance, the mean autocorrelation to lag 64 and the diversity. The loops take a window
at a time, all channels of it together, with scipy's or (where it is installed) mne's Welch and NumPy for the rest; they are timed on the
first `--sample` windows and extrapolated. `scipy, all at once` is the same on arrays of 500 windows: what is left to gain for a user who
drops the loop but not the library.
That all sides agree on the sample is checked before anything is timed, and our side runs once untimed: the first touch of the 800 MB that
100,000 windows take cost a virtual machine 2 to 4 s, later ones 0.2 s. The memory of MMD is the growth of each process's peak.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import torch
from interleaved import show, take
from numpy.typing import NDArray

from tasks.blocks.training import generator
from tasks.datasets.eeg.cutting import extract
from tasks.eeg.bands import BANDS
from tasks.eeg.fidelity import discrepancy, diversity, mean_covariance
from tasks.eeg.spectra import band_power, mean_autocorrelation, mean_welch

RATE, CHANNELS, SAMPLES, HOP, SEGMENT, LAGS = 250.0, 8, 250, 125, 128, 64
BATCH = 500
"""Windows that the side without a loop takes at a time: whole arrays of 100,000 would not fit a laptop."""
OURS = "papertrial"

Array = NDArray[np.floating]
Measures = dict[str, Array]
Welch = Callable[[Array], tuple[Array, Array]]


def recording(windows: int) -> torch.Tensor:
    """Coloured noise in microvolts, (channels, t), long enough for so many windows."""
    drawn = torch.randn(CHANNELS, HOP * (windows - 1) + SAMPLES, generator=generator(0))
    return 20.0 * (drawn + drawn.roll(1, 1) + 0.5 * drawn.roll(1, 0))


def ours(data: torch.Tensor, starts: torch.Tensor) -> Measures:
    """The project's own functions."""
    cut = extract(data, starts, SAMPLES)
    spectrum = mean_welch(cut, RATE, segment=SEGMENT)
    found = {
        "density": spectrum.density,
        "bands": band_power(spectrum),
        "covariance": mean_covariance(cut),
        "autocorrelation": mean_autocorrelation(cut, LAGS),
    }
    return {name: value.cpu().numpy() for name, value in found.items()} | {"diversity": np.array(diversity(cut))}


def scipy_welch(x: Array) -> tuple[Array, Array]:
    """Of one window, or of an array of them."""
    import scipy.signal

    frequencies, density = scipy.signal.welch(x, RATE, nperseg=SEGMENT)
    return frequencies, density


def mne_welch(x: Array) -> tuple[Array, Array]:
    """mne's, with the settings that make it scipy's."""
    from mne.time_frequency import psd_array_welch

    settings = {"n_fft": SEGMENT, "n_per_seg": SEGMENT, "n_overlap": SEGMENT // 2, "window": "hann", "verbose": "ERROR"}
    density, frequencies = psd_array_welch(np.asarray(x, dtype=np.float64), RATE, **settings)
    return frequencies, density


def loop(pieces: Iterator[Array], welch: Welch) -> Measures:
    """The measures from pieces (channels, samples) or (windows, channels, samples), accumulated over them."""
    count, density, covariance, power, total, frequencies = 0, 0.0, 0.0, 0.0, 0.0, np.zeros(0)
    length = 320
    for piece in pieces:
        window = piece.reshape(-1, CHANNELS, SAMPLES)
        count += len(window)
        frequencies, found = welch(piece)
        density = density + found.reshape(-1, CHANNELS, len(frequencies)).sum(0, dtype=np.float64)
        centred = window - window.mean(-1, keepdims=True)
        covariance = covariance + (centred @ centred.transpose(0, 2, 1)).sum(0, dtype=np.float64) / (SAMPLES - 1)
        unit = centred / np.sqrt((centred**2).sum(-1, keepdims=True))
        power = power + (np.abs(np.fft.rfft(unit, n=length)) ** 2).sum(0, dtype=np.float64)
        flat = window.reshape(len(window), -1)
        flat = flat - flat.mean(-1, keepdims=True)
        total = total + (flat / np.sqrt((flat**2).sum(-1, keepdims=True))).sum(0, dtype=np.float64)
    density = np.asarray(density) / count
    step = frequencies[1] - frequencies[0]
    inside = [(frequencies >= band.low) & (frequencies < band.high) for band in BANDS]
    return {
        "density": density,
        "bands": np.stack([density[:, band].sum(-1) * step for band in inside], -1),
        "covariance": np.asarray(covariance) / count,
        "autocorrelation": np.fft.irfft(np.asarray(power) / count, n=length)[:, : LAGS + 1],
        "diversity": np.array(1.0 - (np.square(total).sum() - count) / (count * (count - 1))),
    }


def slices(data: Array, starts: list[int]) -> Iterator[Array]:
    """A window at a time."""
    return (data[:, start : start + SAMPLES] for start in starts)


def batches(data: Array, starts: list[int]) -> Iterator[Array]:
    """Arrays of windows."""
    return (np.stack(list(slices(data, starts[at : at + BATCH]))) for at in range(0, len(starts), BATCH))


def mne_slices(raw: object, starts: list[int]) -> Iterator[Array]:
    """A window at a time from mne's recording."""
    return (raw.get_data(start=start, stop=start + SAMPLES) for start in starts)  # type: ignore[attr-defined]


def compare(options: argparse.Namespace) -> None:
    """Check that all sides agree, time them in turns, print the tables: everything, then the densities alone and the cutting alone."""
    data = recording(options.windows)
    starts = HOP * torch.arange(options.windows)
    plain, few = data.numpy(), starts[: options.sample].tolist()
    times = options.windows / options.sample
    moved, moved_starts = data.to(options.device), starts.to(options.device)
    cut = extract(moved, moved_starts, SAMPLES)

    def seconds(work: Callable[[], object], scale: float = times) -> Callable[[], float]:
        def timed() -> float:
            began = time.perf_counter()
            work()
            if options.device != "cpu":
                torch.cuda.synchronize()
            return scale * (time.perf_counter() - began)

        return timed

    measured: dict[str, Callable[[], Measures]] = {
        "loop over scipy": lambda: loop(slices(plain, few), scipy_welch),
        "scipy, all at once": lambda: loop(batches(plain, few), scipy_welch),
    }
    densities: dict[str, Callable[[], object]] = {
        "loop over scipy": lambda: [scipy_welch(window) for window in slices(plain, few)],
        "scipy, all at once": lambda: [scipy_welch(window) for window in batches(plain, few)],
    }
    cutting: dict[str, Callable[[], object]] = {"loop of slices": lambda: [np.array(window) for window in slices(plain, few)]}
    if importlib.util.find_spec("mne"):
        import mne

        raw = mne.io.RawArray(plain.astype(np.float64), mne.create_info(CHANNELS, RATE, "eeg"), verbose="ERROR")
        measured["loop over mne"] = lambda: loop(mne_slices(raw, few), mne_welch)
        densities["loop over mne"] = lambda: [mne_welch(window) for window in slices(plain, few)]
        cutting["loop over mne"] = lambda: list(mne_slices(raw, few))

    found = ours(moved, moved_starts[: options.sample])
    for side, measure in measured.items():
        for name, value in measure().items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4 * np.abs(value).max(), err_msg=f"{side}: {name}")

    tables: dict[str, tuple[Callable[[], object], Mapping[str, Callable[[], object]]]] = {
        "cut and measured": (lambda: ours(moved, moved_starts), measured),
        "Welch densities alone": (lambda: mean_welch(cut, RATE, segment=SEGMENT), densities),
        "cut alone": (lambda: extract(moved, moved_starts, SAMPLES), cutting),
    }
    note = f"the first {options.sample:,} windows, times {times:g}"
    for what, (whole, others) in tables.items():
        sides = {OURS: seconds(whole, 1.0)} | {name: seconds(work) for name, work in others.items()}
        title = f"{options.windows:,} windows of {CHANNELS} x {SAMPLES} on {options.device}: {what}"
        notes = {name: "all windows" if name == OURS else note for name in sides}
        whole()
        show(title, "s", take(sides, options.rounds), over=OURS, notes=notes)


def memory_of_mmd(windows: int, device: str) -> None:
    """Print the growth of peak memory (MB) and the seconds of one MMD^2 of two sets of so many windows. Run in a process of its own."""
    real, fake = (torch.randn(windows, CHANNELS, SAMPLES, generator=generator(seed)).to(device) for seed in (0, 1))
    discrepancy(real[:64], fake[:64], 0, generator(0), sigmas=(40.0,))
    if device == "cpu":
        Path("/proc/self/clear_refs").write_text("5")  # The peak starts anew from what is resident.
        held = resident("VmRSS")
    else:
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated() / 2**20
    began = time.perf_counter()
    value, _ = discrepancy(real, fake, 0, generator(0), sigmas=(40.0,))
    took = time.perf_counter() - began
    peak = resident("VmHWM") if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20
    line = {
        "benchmark": "memory of MMD",
        "device": device,
        "windows_a_side": windows,
        "mb": round(peak - held, 1),
        "seconds": round(took, 2),
    }
    pairs = (2 * windows) ** 2 * 4 / 2**20
    print(
        json.dumps(line | {"windows_mb": round(2 * windows * CHANNELS * SAMPLES * 4 / 2**20, 1), "pairs_mb": round(pairs), "mmd2": value})
    )


def resident(name: str) -> float:
    """MB of this process as Linux counts them; not `ru_maxrss`, which starts from the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def main() -> None:
    """The comparison, then MMD at growing numbers of windows, each in a fresh process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=2_000, help="windows that the loops are timed on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="of our side; the loops stay on the CPU")
    parser.add_argument("--mmd", type=int, nargs="*", default=[1_000, 2_000, 4_000, 8_000], help="windows a side; none: no MMD")
    parser.add_argument("--mmd-only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.mmd_only:
        memory_of_mmd(options.mmd_only, options.device)
        return
    compare(options)
    for windows in options.mmd:
        here = str(Path(__file__).resolve())
        subprocess.run([sys.executable, here, "--mmd-only", str(windows), "--device", options.device], check=True)


if __name__ == "__main__":
    main()
