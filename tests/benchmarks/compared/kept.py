"""What a comparison has measured so far, a JSON line each: one that was stopped goes on from them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

from compared.measure import Killed, Run
from compared.sides import Side


@dataclass
class Kept:
    """Runs and kills by the name of the side, and the load as each began."""

    path: Path | None
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    kills: dict[str, Killed] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for line in self.path.read_text().splitlines() if self.path and self.path.exists() else []:
            row = json.loads(line)
            self._add(row["side"], Run(**row["run"]) if "run" in row else Killed(**row["killed"]), row["load"])

    def rounds(self, side: Side, trials: int, pause: float) -> int:
        """How often a side ran so many trials."""
        return sum((run.trials, run.pause) == (trials, pause) for run in self.runs[side.name])

    def add(self, side: Side, figures: Run | Killed, load: float) -> str:
        """Keep it; the line as it was written."""
        self._add(side.name, figures, load)
        line = json.dumps({"side": side.name, "load": load, "run" if isinstance(figures, Run) else "killed": asdict(figures)})
        if self.path:
            with self.path.open("a") as file:
                file.write(f"{line}\n")
        return line

    def _add(self, name: str, figures: Run | Killed, load: float) -> None:
        self.loads.append(load)
        if isinstance(figures, Run):
            self.runs[name].append(figures)
        else:
            self.kills[name] = figures
