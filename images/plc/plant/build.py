"""Builds the plant as an FMU for co-simulation, FMI 2.0: what bench-fmu.toml takes.

    python images/plc/plant/build.py [FOLDER]

Writes Drive.fmu, beside this file if no folder is named. Needs pythonfmu (pip install 'khs[hil]').
The FMU holds this folder's sources, and runs with any Python that has pythonfmu.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def build(folder: Path) -> Path:
    from pythonfmu.builder import FmuBuilder

    FmuBuilder.build_FMU(HERE / "drive_fmu.py", dest=folder, project_files=[HERE / "rotor.py"])
    return folder / "Drive.fmu"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE))
