"""Debugging a system on an emulated board with a stock gdb.

    khs debug --record--> what the run depends on --replay--> QEMU's gdb server <-- gdb -x commands
                                                   (script.py writes them)

A recorded run does not notice where it is stopped, so that looking changes nothing.
"""

from __future__ import annotations
