"""A KasperskyOS-style solution -> a KHS system: init.yaml, EDL, CDL, IDL and PSL become a folder
that `khs check` and `khs run` take.

    survey      which files there are below a folder
    solution    what they say: processes, connections, the policy and what it names
    wiring      partitions and channels, with their names
    program     a C program for each class
    document    system.toml
    report      import.md: what became of what, and what was not carried over
    write       all of it into a new folder, checked
"""

from __future__ import annotations

from khs.importing.write import Imported, import_solution

__all__ = ["Imported", "import_solution"]
