"""`python -m khs`, and the entry point of the `khs` script."""

from __future__ import annotations

from khs.signals import starting


def main() -> None:
    """Loading takes long enough for a Ctrl-C."""
    starting()
    from khs.cli import main as khs

    khs()


if __name__ == "__main__":
    main()
