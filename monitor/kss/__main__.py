"""`python -m kss`, and the entry point of the `kss` script."""

from __future__ import annotations

from kss.signals import starting


def main() -> None:
    """Loading takes long enough for a Ctrl-C."""
    starting()
    from kss.cli import main as kss

    kss()


if __name__ == "__main__":
    main()
