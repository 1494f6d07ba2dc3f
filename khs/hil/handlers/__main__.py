"""pyserial's miniterm, which knows khs:// here: python -m khs.hil.handlers khs://bench/driver/uart3"""

from __future__ import annotations

from serial.tools import miniterm

import khs.hil.handlers

assert khs.hil.handlers
miniterm.main()
