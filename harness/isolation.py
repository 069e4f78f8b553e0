"""What trials of one process must not hand on: global generators, defaults of torch and numpy, the environment, signal handlers."""

from __future__ import annotations

import decimal
import importlib.util
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Inside, global generators start from `seed` and libraries have their standard settings; outside, all is again as it was before.

    A library that is imported inside for the first time is seeded then, so that the first trial of a process is like the second.
    """
    process = _process_state()
    settings = _torch_settings()
    _standard_torch()
    seeding = _SeedWhenImported(seed)
    _seed(seed)
    sys.meta_path.insert(0, seeding)
    sys.stdout, sys.stderr = (_KeptOpen(stream) for stream in (sys.stdout, sys.stderr))
    try:
        yield
    finally:
        if seeding in sys.meta_path:
            sys.meta_path.remove(seeding)
        for restore in process:
            restore()
        if settings is None:
            _standard_torch()
        else:
            _set_torch(settings)


def _process_state() -> Sequence[Callable[[], None]]:
    """What puts the process back into its present state. Each costs microseconds: trials may be that short."""
    environment, paths, filters = dict(_variables()), list(sys.path), list(warnings.filters)
    streams = sys.stdin, sys.stdout, sys.stderr
    arithmetic, depth = decimal.getcontext().copy(), sys.getrecursionlimit()
    errors = sys.modules["numpy"].geterr() if "numpy" in sys.modules else _NUMPY_ERRORS
    try:
        folder = os.getcwd()  # noqa: PTH109 - half the cost
    except FileNotFoundError:
        folder = "/"

    def restore() -> None:
        if _variables() != environment:
            os.environb.clear()
            os.environb.update(environment)
        with suppress(OSError):
            os.chdir(folder)
        sys.path[:] = paths
        sys.stdin, sys.stdout, sys.stderr = streams
        decimal.setcontext(arithmetic)
        sys.setrecursionlimit(depth)
        if warnings.filters != filters:
            warnings.filters[:] = filters  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]
        if "numpy" in sys.modules:
            sys.modules["numpy"].seterr(**errors)

    return restore, _signal_state()


def _variables() -> Mapping[bytes, bytes]:
    """The environment as it is kept: `os.environb` checks every name and value of it again."""
    return getattr(os.environb, "_data", None) or dict(os.environb)


class _KeptOpen:
    """A standard stream that a trial cannot close: what comes after it prints too."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def close(self) -> None:
        """Only flushed."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _signal_state() -> Callable[[], None]:
    handlers = {number: signal.getsignal(number) for number in _HANDLED}

    def restore() -> None:
        # That of ITIMER_REAL is the time limit's own. One that is left would kill the process.
        for timer in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        for number, handler in handlers.items():
            # None: set by something that is not Python, which Python cannot set again.
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return restore


_STANDARD: dict[str, Any] = {
    "default_dtype": "float32",
    "default_device": "cpu",
    "grad_enabled": True,
    "deterministic": False,
    "matmul_precision": "highest",
    "benchmark": False,
    "cudnn_deterministic": False,
    "anomaly": False,
    "autocast": (False, False),
    "mkldnn": True,
}


def _torch() -> Any:
    """torch, where it has been imported whole."""
    module = sys.modules.get("torch")
    return module if hasattr(module, "autograd") and hasattr(module, "backends") else None


def _torch_settings() -> dict[str, Any] | None:
    torch = _torch()
    if torch is None:
        return None
    return {
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "default_device": str(torch.get_default_device()),
        "grad_enabled": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "anomaly": torch.is_anomaly_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        "mkldnn": torch.backends.mkldnn.enabled,
    }


def _standard_torch() -> None:
    if _torch() is not None:
        _set_torch(_STANDARD)


def _set_torch(settings: dict[str, Any]) -> None:
    torch = _torch()
    torch.set_flush_denormal(False)  # nobody tells whether it is set
    if _torch_settings() == settings:
        return
    torch.set_default_dtype(getattr(torch, settings["default_dtype"]))
    if str(torch.get_default_device()) != settings["default_device"]:
        torch.set_default_device(None if settings["default_device"] == "cpu" else settings["default_device"])
    torch.set_grad_enabled(settings["grad_enabled"])
    torch.use_deterministic_algorithms(settings["deterministic"])
    torch.set_float32_matmul_precision(settings["matmul_precision"])
    torch.backends.cudnn.benchmark = settings["benchmark"]
    torch.backends.cudnn.deterministic = settings["cudnn_deterministic"]
    torch.autograd.set_detect_anomaly(settings["anomaly"])
    for device, enabled in zip(("cpu", "cuda"), settings["autocast"], strict=True):
        torch.set_autocast_enabled(device, enabled)
    torch.backends.mkldnn.set_flags(settings["mkldnn"])


def _seed(seed: int) -> None:
    """Global generators start from the trial's id, so that a task that forgets `seed_for` is still repeatable."""
    random.seed(seed)
    for name, seeded in _SEEDED.items():
        if name in sys.modules:
            seeded(sys.modules[name], seed)


_SEEDED: dict[str, Callable[[Any, int], object]] = {
    "numpy": lambda numpy, seed: numpy.random.seed(seed % 2**32),
    "torch": lambda torch, seed: torch.manual_seed(seed % 2**63),
}


class _SeedWhenImported(MetaPathFinder):
    """Seeds a library the moment its import ends."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asking = False

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec that others find, with the seeding after the module's own code."""
        if name not in _SEEDED or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_and_seed(module: ModuleType) -> None:
            run(module)
            _SEEDED[name](module, self._seed)

        spec.loader.exec_module = exec_and_seed  # type: ignore[method-assign]
        return spec
