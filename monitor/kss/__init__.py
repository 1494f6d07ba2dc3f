"""KSS, the security monitor: policy language, models, reference interpreter, compiler, CLI.

Programs that embed KSS use `kss.api` and `kss.errors` and nothing else of this package.
"""

from __future__ import annotations

__version__ = "0.1.0"
