"""KHS: a MILS separation kernel with its workbench."""

from __future__ import annotations

__version__ = "0.1.0"
