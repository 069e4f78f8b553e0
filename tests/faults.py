"""Run the tests that `docs/faults.md` names, many times in a row: `python -m tests.faults --times 20`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "faults.md"


def named() -> list[str]:
    """The pytest nodes of the table's last column, once each, in its order, as paths from the root of the tree."""
    cells = [line.rstrip(" |").rpartition("|")[2] for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    return list(dict.fromkeys(f"tests/{node}" for cell in cells for node in re.findall(r"`([^`]+\.py::[^`]+)`", cell)))


def main() -> int:
    """Stops at the first red run, whose number it prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    for run in range(1, times + 1):
        print(f"run {run} of {times}", flush=True)
        if code := subprocess.call([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *named()], cwd=ROOT):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
