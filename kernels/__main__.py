"""`python -m kernels check|bench|tune`."""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> int:
    """Parse and run; the exit code."""
    top = argparse.ArgumentParser(prog="python -m kernels", description="Check, benchmark and tune the kernels.")
    verbs = top.add_subparsers(dest="verb", required=True)

    check = verbs.add_parser("check", help="numbers against float64 and machine code against the snapshot; needs no GPU")
    check.add_argument("ops", nargs="*", metavar="OP", help="only these ops")
    check.add_argument("--update", action="store_true", help="write the snapshot and the table of ops")

    bench = verbs.add_parser(
        "bench", help="interleaved timings against eager, torch.compile and peers; needs a GPU to say anything about one"
    )
    bench.add_argument("ops", nargs="*", metavar="OP", help="only these ops")
    bench.add_argument("--rounds", type=int, default=9, help="interleaved rounds a shape (default: 9)")
    bench.add_argument("--out", type=Path, help="also append JSON lines to this file")
    bench.add_argument(
        "--shapes", choices=("all", "paper", "small"), default="all", help="the paper's and its neighbours (default), or less"
    )
    bench.add_argument("--no-autotune", action="store_true", help="leave out torch.compile's max-autotune mode, which takes long")

    tune = verbs.add_parser("tune", help="measure every candidate config on this GPU and freeze the best ones")
    tune.add_argument("ops", nargs="*", metavar="OP", help="only these ops")

    options = top.parse_args()
    try:
        if options.verb == "check":
            from kernels import check as verb

            return verb.run(options.ops, update=options.update)
        if options.verb == "bench":
            from kernels import bench as timing

            return timing.run(options.ops, rounds=options.rounds, out=options.out, shapes=options.shapes, autotune=not options.no_autotune)
        from kernels import tune as tuning

        return tuning.run(options.ops)
    except ValueError as error:
        top.error(str(error))


if __name__ == "__main__":
    raise SystemExit(main())
