"""Appends records to a trail and tells on stdout, unbuffered, how many it has completed.

writer.py FILE BATCH SIZE: BATCH records an append, with SIZE characters each; until killed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kss.trail import Trail


def main() -> None:
    batch, size = int(sys.argv[2]), int(sys.argv[3])
    with Trail(Path(sys.argv[1])) as trail:
        os.write(1, b"%d\n" % trail.records)
        number = 0
        while True:
            records = [{"record": "n", "n": number + i, "x": "x" * size} for i in range(batch)]
            trail.append_all(records)
            number += batch
            os.write(1, b"%d\n" % trail.records)


if __name__ == "__main__":
    main()
