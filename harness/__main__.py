"""`python -m harness` is `papertrial`."""

from harness.cli import script

if __name__ == "__main__":
    script()
