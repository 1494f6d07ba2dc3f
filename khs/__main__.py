"""`python -m khs`"""

from __future__ import annotations

from khs.cli import main

if __name__ == "__main__":
    main()
