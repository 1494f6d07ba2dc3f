"""`python -m kss`"""

from __future__ import annotations

from kss.cli import main

main()
