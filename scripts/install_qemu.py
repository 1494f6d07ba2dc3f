"""Installs what boards need of Debian, where that may be done; else says the command.

    python scripts/install_qemu.py

QEMU and gdb for every architecture are programs of the system: only root installs them, and only
with apt. Everything else of KHS works without them, so that this never fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

#: Programs with Debian's packages; gdb as `khs debug` looks for it.
PACKAGES = {
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-i386": "qemu-system-x86",
    "gdb-multiarch": "gdb-multiarch",
}
_NETWORK = ("-o", "Acquire::http::Timeout=15", "-o", "Acquire::Retries=1")
_QUIET = ("-qq", "-o", "Dpkg::Use-Pty=0")
#: Seconds for the lists of packages, and for the packages.
PATIENCE = 600


def missing() -> list[str]:
    """The packages whose programs are not there."""
    return sorted({package for name, package in PACKAGES.items() if shutil.which(name) is None})


def _apt(*arguments: str) -> str:
    """What went wrong with apt, "" if nothing."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["apt-get", *_QUIET, *_NETWORK, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def install(packages: list[str]) -> str:
    """Installs them; what went wrong, "" if nothing."""
    command = ("install", "--yes", "--no-install-recommends", *packages)
    if not _apt(*command):
        return ""
    return _apt("update") or _apt(*command)  # lists that are old or not there


def main() -> int:
    packages = missing()
    if not packages:
        return 0
    why = "that takes root" if os.geteuid() else ""
    if not why and shutil.which("apt-get") is None:
        why = "there is no apt-get"
    if not why:
        print(f"setup: installing {', '.join(packages)} for boards", flush=True)
        why = install(packages)
    if why:
        print(f"setup: boards in QEMU are left out, {why}", file=sys.stderr)
        print(f"  help: apt-get install {' '.join(packages)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
