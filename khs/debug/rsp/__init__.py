"""A server for gdb, in gdb's remote serial protocol: every partition is a process of its own.

    gdb <--bytes--> server.py <--packets (framing.py)--> session.py --> world.py --> Targets

The session knows no socket, the world no protocol: it has the systems, in one virtual time.
"""

from __future__ import annotations
