"""The deeds. Each returns what `run` returns."""

import contextlib
import decimal
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from harness.trial import Trial


class UnreadableError(Exception):
    """Its text raises."""

    def __str__(self) -> NoReturn:
        raise ValueError("no text")

    __repr__ = __str__


def run(trial: Trial) -> Mapping[str, Any]:
    if "THROWAWAY_LOG" in os.environ:
        with open(os.environ["THROWAWAY_LOG"], "a") as file:  # noqa: PTH123
            file.write(f"{trial.id}\n")
    deed = DEEDS[trial.params.deed]
    returned = deed(trial)
    return returned if isinstance(returned, Mapping) else {"value": returned}


def _good(trial: Trial) -> float:
    time.sleep(trial.params.seconds)
    return 1.0


def _raise(problem: BaseException) -> Callable[[Trial], NoReturn]:
    def deed(_trial: Trial) -> NoReturn:
        raise problem

    return deed


def _log(step: Any = 0, **values: Any) -> Callable[[Trial], float]:
    def deed(trial: Trial) -> float:
        trial.log(step, **values)
        return 1.0

    return deed


def _curve_by_hand(trial: Trial) -> float:
    trial.curve.append({"step": 0.0, "loss": "low"})  # type: ignore[dict-item]
    return 1.0


def _odd_backend(trial: Trial) -> float:
    trial.kernel_backend = "tri\x1bton\udce9"
    return 1.0


def _numpy(name: str, *words: Any) -> Callable[[Trial], Any]:
    def deed(_trial: Trial) -> Any:
        import numpy as np

        return getattr(np, name)(*words)

    return deed


def _masked_value(_trial: Trial) -> Any:
    import numpy as np

    return np.ma.masked_invalid([float("nan")]).mean()


def _tensor(_trial: Trial) -> Any:
    import torch

    return torch.tensor(2.5, dtype=torch.float64)


def _thread(_trial: Trial) -> float:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return 1.0


def _fork(_trial: Trial) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child:
        os.waitpid(child, 0)
    return 1.0


def _fork_and_raise(_trial: Trial) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        raise RuntimeError("the child")
    os.waitpid(child, 0)
    return 1.0


def _masked(_trial: Trial) -> float:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    while True:
        time.sleep(0.01)


def _ignored(_trial: Trial) -> float:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    while True:
        time.sleep(0.01)


def _disarmed(_trial: Trial) -> float:
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True:
        time.sleep(0.01)


def _masked_in_c(_trial: Trial) -> float:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(600)
    return 1.0


def _swallow(_trial: Trial) -> float:
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        with contextlib.suppress(BaseException):
            time.sleep(1.0)
    time.sleep(600)
    return 1.0


def _leak(_trial: Trial) -> float:
    """Measures what the process was left in, then leaves everything in another state."""
    import numpy as np
    import torch

    with np.errstate():
        found = [
            torch.get_default_dtype() == torch.float32,
            torch.is_grad_enabled(),
            np.geterr()["divide"] == "warn",
            "HOSTILE" not in os.environ,
            os.path.basename(os.getcwd()) != "hostile-elsewhere",  # noqa: PTH119, PTH109
            not torch.are_deterministic_algorithms_enabled(),
            signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN,
            not signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            float(torch.tensor([1e-40], dtype=torch.float32) * 2) > 0,
            (torch.ones(2, 2) @ torch.ones(2, 2)).dtype != torch.bfloat16,
            torch.backends.mkldnn.enabled,
            decimal.getcontext().prec == 28,
            sys.getrecursionlimit() != 2000,
        ]
    drawn = random.random() + float(np.random.rand()) + float(torch.rand(1, dtype=torch.float64))
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    np.seterr(divide="ignore")
    os.environ["HOSTILE"] = "1"
    os.makedirs("/tmp/hostile-elsewhere", exist_ok=True)  # noqa: PTH103
    os.chdir("/tmp/hostile-elsewhere")
    torch.use_deterministic_algorithms(True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM})
    torch.set_flush_denormal(True)
    torch.set_autocast_enabled("cpu", True)
    torch.backends.mkldnn.set_flags(False)
    decimal.getcontext().prec = 3
    sys.setrecursionlimit(2000)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
    return sum(found) + drawn


def _dent(part: str) -> Callable[[Trial], float]:
    def deed(trial: Trial) -> float:
        clay = trial.dataset()
        found = sum(clay.lumps) + clay.by_name["inner"]["deep"] + float(clay.array.sum()) + float(clay.tensor.sum()) + clay.weight
        if part == "list":
            clay.lumps.append(1)
        elif part == "nested":
            clay.by_name["inner"]["deep"] += 1
        elif part == "tensor":
            clay.tensor += 1
        elif part == "behind the tensor":
            clay.tensor.data.numpy()[0] = 7.0
        elif part == "field":
            clay.weight = 2.0
        elif part == "array":
            clay.array[0] = 5.0
        elif part == "in C":
            # Past the array's own protection, as a library in C would.
            import torch

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.from_numpy(clay.array).add_(1.0)
        return found

    return deed


def _close_streams(_trial: Trial) -> float:
    print("last words", file=sys.stderr)
    sys.stdout.close()
    sys.stderr.close()
    return 1.0


DEEDS: Mapping[str, Callable[[Trial], Any]] = {
    "good": _good,
    "complex": _numpy("complex128", 1 + 2j),
    "numpy text": _numpy("str_", "1.0"),
    "numpy truth": _numpy("bool_", True),
    "duration": _numpy("timedelta64", 5, "s"),
    "array": _numpy("ones", 1),
    "text": lambda _trial: "1.0",
    "truth": lambda _trial: True,
    "too large": lambda _trial: 10**400,
    "missing": lambda _trial: {"other": 1.0},
    "key": lambda _trial: {("value",): 1.0},
    "tensor": _tensor,
    "masked value": _masked_value,
    "numpy float": _numpy("float32", 2.5),
    "log a taken name": _log(trial_id=1.0),
    "log another taken name": _log(written=1.0),
    "log a third taken name": _log(**{"ledger.line": 1.0}),
    "log text": _log(loss="low"),
    "log a complex": _log(loss=1 + 2j),
    "log at no step": _log(float("nan"), loss=1.0),
    "log an odd name": _log(**{"lo\udce9ss": 1.0}),
    "log infinity": _log(loss=float("inf")),
    "curve by hand": _curve_by_hand,
    "odd backend": _odd_backend,
    "surrogate": _raise(FileNotFoundError("no such file: donn\udce9es.bin")),
    "unreadable": _raise(UnreadableError()),
    "escapes": _raise(RuntimeError("\x1b[31mred\x00\x07 and \u202eback")),
    "endless text": _raise(RuntimeError("long " * 6_000_000)),
    "interrupt": _raise(KeyboardInterrupt()),
    "leave": _raise(SystemExit(0)),
    "thread": _thread,
    "close streams": _close_streams,
    "fork": _fork,
    "fork and raise": _fork_and_raise,
    "masked": _masked,
    "ignored": _ignored,
    "disarmed": _disarmed,
    "masked in C": _masked_in_c,
    "swallow": _swallow,
    "leak": _leak,
    **{f"dent {part}": _dent(part) for part in ("list", "nested", "tensor", "behind the tensor", "field", "array", "in C", "nothing")},
}
