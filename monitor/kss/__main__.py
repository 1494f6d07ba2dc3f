"""`python -m kss`"""

from __future__ import annotations

import sys

from kss.cli import main

sys.exit(main())
