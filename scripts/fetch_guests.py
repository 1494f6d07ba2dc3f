"""Fetches other people's guests from Debian, for `khs boot` and the tests of tests/guest_os.

    python -m scripts.fetch_guests                    # all of them, some 150 MB to download
    python -m scripts.fetch_guests u-boot-x86 --where

Every guest becomes a folder `guests/NAME` in the build cache. Nothing of the system is touched and
no root is needed: apt runs on a state and a cache of its own, with Debian's archive as the only
source, and checks signatures and hashes as always. Kernels come by their meta packages, so that the
newest of the suite is taken; a folder that is there is kept, so remove it to get a newer one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from khs.errors import KhsError
from khs.toolchain import cache
from scripts import initramfs

MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Seconds for all indices, and for one package.
PATIENCE = 300


class FetchError(KhsError):
    """A guest cannot be had; says why."""


@dataclass(frozen=True)
class Guest:
    """`packages` with their architecture; `files`: what is kept, by name, of patterns in the
    unpacked packages; `linux`: the kernel is that of a meta package, and gets an initramfs."""

    about: str
    packages: tuple[str, ...]
    files: dict[str, str]
    linux: bool = False


GUESTS = {
    "u-boot-x86": Guest(
        "U-Boot as the firmware of pc and q35",
        ("u-boot-qemu:all",),
        {
            "pc.rom": "usr/lib/u-boot/qemu-x86/u-boot.rom",
            "q35.rom": "usr/lib/u-boot/qemu-x86_64/u-boot.rom",
        },
    ),
    "u-boot-sabrelite": Guest(
        "U-Boot for the SABRE Lite",
        ("u-boot-imx:armhf",),
        {"u-boot.imx": "usr/lib/u-boot/mx6qsabrelite/u-boot-dtb.imx"},
    ),
    "linux-q35": Guest(
        "Linux and busybox for q35",
        ("linux-image-cloud-amd64:amd64", "busybox-static:amd64"),
        {"vmlinuz": "boot/vmlinuz-*"},
        linux=True,
    ),
    "linux-sabrelite": Guest(
        "Linux and busybox for the SABRE Lite",
        ("linux-image-armmp:armhf", "busybox-static:armhf"),
        {
            "vmlinuz": "boot/vmlinuz-*",
            "board.dtb": "usr/lib/linux-image-*/imx6q-sabrelite.dtb",
        },
        linux=True,
    ),
}


class Apt:
    """apt on a folder of its own. Architectures as those of the packages wanted."""

    def __init__(self, folder: Path, architectures: list[str]) -> None:
        self._folder = folder
        for name in ("state/lists/partial", "cache/archives/partial", "etc"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state/status").touch()
        signed = f"[signed-by={KEYRING} arch={','.join(architectures)}]"
        (folder / "etc/sources.list").write_text(
            f"deb {signed} {MIRROR} {SUITE} main\n", encoding="utf-8"
        )
        native = " ".join(f'"{each}";' for each in architectures)
        (folder / "apt.conf").write_text(
            f'Dir::State "{folder}/state";\nDir::State::status "{folder}/state/status";\n'
            f'Dir::Cache "{folder}/cache";\n'
            f'Dir::Etc::sourcelist "{folder}/etc/sources.list";\nDir::Etc::sourceparts "-";\n'
            f'Dir::Etc::preferencesparts "-";\nDir::Etc::preferences "-";\n'
            f'APT::Architecture "{architectures[0]}";\nAPT::Architectures {{ {native} }};\n'
            'APT::Sandbox::User "";\nAcquire::Languages "none";\nAcquire::Retries "1";\n'
            'Acquire::http::Timeout "15";\n',
            encoding="utf-8",
        )

    def __call__(self, *command: str) -> str:
        """What an apt command prints; FetchError with its own words if it fails."""
        return _run([*command], self._folder, APT_CONFIG=str(self._folder / "apt.conf"))

    def update(self) -> None:
        self("apt-get", "update", "--error-on=any")

    def versioned(self, package: str) -> str:
        """The package that a kernel's meta package stands for, of the same architecture."""
        name, _, architecture = package.partition(":")
        if not name.startswith("linux-image-"):
            return package
        for line in self("apt-cache", "depends", package).splitlines():
            kind, _, wanted = line.strip().partition(": ")
            if kind == "Depends" and wanted.startswith("linux-image-"):
                return f"{wanted.partition(':')[0]}:{architecture}"
        raise FetchError(f"{package} depends on no kernel")

    def unpack(self, package: str, into: Path) -> None:
        """Downloads a package and unpacks it there."""
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            name = package.removesuffix(":all")
            _run(["apt-get", "download", name], Path(work), APT_CONFIG=str(self._conf))
            for file in Path(work).glob("*.deb"):
                _run(["dpkg-deb", "-x", str(file), str(into)], Path(work))

    @property
    def _conf(self) -> Path:
        return self._folder / "apt.conf"


def _run(command: list[str], folder: Path, **environment: str) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]} is not installed; guests come from Debian") from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{' '.join(command)} took more than {PATIENCE} s") from error
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip()
        raise FetchError(f"{' '.join(command)} failed: {words.splitlines()[-1] if words else ''}")
    return done.stdout


def fetch(name: str, say: Callable[[str], None] = lambda line: None) -> Path:
    """The folder of a guest, fetched if it is not there; FetchError if it cannot be had."""
    guest = GUESTS[name]

    def make(work: Path) -> None:
        if not KEYRING.is_file():
            raise FetchError(f"no {KEYRING}: apt-get install debian-archive-keyring")
        with tempfile.TemporaryDirectory(prefix="khs-apt-") as place:
            wanted = sorted({each.partition(":")[2] for each in guest.packages} - {"all"})
            apt = Apt(Path(place), wanted or ["amd64"])
            say(f"{name}: reading Debian's index")
            apt.update()
            root = Path(place) / "root"
            for package in map(apt.versioned, guest.packages):
                say(f"{name}: {package}")
                apt.unpack(package, root)
            _keep(guest, root, work)

    return cache.product("guests", name, make)


def _keep(guest: Guest, root: Path, work: Path) -> None:
    for name, pattern in guest.files.items():
        found = sorted(root.glob(pattern))
        if len(found) != 1:
            raise FetchError(f"Debian's packages have {len(found)} of {pattern}, not one")
        shutil.copyfile(found[0], work / name)
    if guest.linux:
        shutil.copyfile(root / "bin/busybox", work / "busybox")
        (work / "initrd.gz").write_bytes(initramfs.shell((work / "busybox").read_bytes()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("guest", nargs="*", help=f"of {', '.join(GUESTS)}; default: all")
    parser.add_argument("--where", action="store_true", help="print the folders alone")
    options = parser.parse_args()
    unknown = [name for name in options.guest if name not in GUESTS]
    if unknown:
        parser.error(f"no guest is called {unknown[0]}; there are {', '.join(GUESTS)}")
    for name in options.guest or GUESTS:
        try:
            place = fetch(name, lambda line: print(line, file=sys.stderr, flush=True))
        except KhsError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(place if options.where else f"{name}: {GUESTS[name].about}: {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
