"""`python -m harness` is `papertrial`."""

from harness.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
