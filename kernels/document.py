"""The table of ops in `kernels/README.md`, written from the specs so that it cannot lag behind them."""

from __future__ import annotations

from pathlib import Path

from kernels.spec import OPS, specs

README = Path(__file__).with_name("README.md")
_START, _END = "<!-- ops: written by `python -m kernels check --update` -->", "<!-- end of ops -->"


def table() -> str:
    """One row an op, in Markdown."""
    rows = ["| op | what | formula | source | gradients | paper shape | target on an H200 |", "|---|---|---|---|---|---|---|"]
    for spec in specs(OPS):
        shape = ", ".join(f"{name} {size}" for name, size in spec.paper.items())
        wanted = (
            ("eager", spec.target.eager, "x"),
            ("torch.compile", spec.target.compile, "x"),
            ("roof", spec.target.roof, ""),
        )
        target = ", ".join(f"{what} {value:g}{unit}" for what, value, unit in wanted if value is not None) or "none set"
        gradients = ", ".join(spec.differentiable) or "none"
        rows.append(f"| `{spec.name}` | {spec.summary} | {spec.formula} | {spec.source} | {gradients} | {shape} | {target} |")
    return "\n".join(rows)


def is_current() -> bool:
    """Whether the README holds the table that the specs give."""
    return README.exists() and f"{_START}\n{table()}\n{_END}" in README.read_text()


def write() -> None:
    """Put the table between its marks."""
    before, _, rest = README.read_text().partition(_START)
    _, _, after = rest.partition(_END)
    README.write_text(f"{before}{_START}\n{table()}\n{_END}{after}")
