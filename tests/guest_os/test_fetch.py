"""Fetching guests, with apt commands that are ours."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest

from scripts import fetch_guests, initramfs
from scripts.fetch_guests import Apt, FetchError, fetch


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that come before all others; the cache is empty, a keyring is there."""
    folder = tmp_path / "tools"
    folder.mkdir()
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(fetch_guests, "KEYRING", keyring)
    monkeypatch.setenv("KHS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


UNPACK = (
    "mkdir -p $3/usr/lib/u-boot/qemu-x86_64; echo rom > $3/usr/lib/u-boot/qemu-x86_64/u-boot.rom"
)


def test_a_guest_is_fetched_once(tools: Path, tmp_path: Path) -> None:
    tool(tools, "apt-get", f'echo "$@" >> {tmp_path}/log; [ $1 = update ] || touch $2.deb')
    both = UNPACK + "; " + UNPACK.replace("qemu-x86_64", "qemu-x86")
    tool(tools, "dpkg-deb", both)
    for _ in range(2):
        assert (fetch("u-boot-x86") / "q35.rom").read_text() == "rom\n"
    assert (tmp_path / "log").read_text() == "update --error-on=any\ndownload u-boot-qemu\n"


def test_what_is_missing_in_a_package_is_told_and_nothing_is_kept(
    tools: Path, tmp_path: Path
) -> None:
    tool(tools, "apt-get", "[ $1 = update ] || touch $2.deb")
    tool(tools, "dpkg-deb", UNPACK)
    with pytest.raises(FetchError, match=r"packages have 0 of usr/lib/u-boot/qemu-x86/u-boot\.rom"):
        fetch("u-boot-x86")
    assert list((tmp_path / "cache/guests").iterdir()) == []


def test_no_network_is_told_in_apt_s_words(tools: Path) -> None:
    tool(tools, "apt-get", "echo 'E: Could not resolve deb.debian.org' >&2; exit 100")
    with pytest.raises(FetchError, match=r"apt-get update .* failed: E: Could not resolve"):
        fetch("u-boot-x86")


def test_a_host_without_apt_is_told(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(FetchError, match="apt-get is not installed; guests come from Debian"):
        fetch("u-boot-x86")


def test_a_kernel_s_meta_package_is_resolved(tools: Path, tmp_path: Path) -> None:
    tool(tools, "apt-cache", "echo linux-image-armmp; echo '  Depends: linux-image-6.1.0-9-armmp'")
    apt = Apt(tmp_path / "apt", ["armhf"])
    assert apt.versioned("linux-image-armmp:armhf") == "linux-image-6.1.0-9-armmp:armhf"
    assert apt.versioned("busybox-static:armhf") == "busybox-static:armhf"
    tool(tools, "apt-cache", "echo linux-image-armmp")
    with pytest.raises(FetchError, match="depends on no kernel"):
        apt.versioned("linux-image-armmp:armhf")


def test_apt_keeps_to_its_folder(tools: Path, tmp_path: Path) -> None:
    """No state, source or preference of the system takes part."""
    tool(tools, "apt-get", f"cp $APT_CONFIG {tmp_path}/seen")
    Apt(tmp_path / "apt", ["armhf"]).update()
    config = (tmp_path / "seen").read_text()
    for key in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourcelist"):
        assert f'{key} "{tmp_path}/apt/' in config
    assert 'APT::Architectures { "armhf"; };' in config


# ---- the archive of an initial RAM file system ----------------------------------------------


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by path, of a newc archive."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + length]
        assert name.endswith(b"\0")
        at += -(-(110 + length) // 4) * 4
        content = archive[at : at + size]
        at += -(-size // 4) * 4
        if name == b"TRAILER!!!\0":
            assert at == len(archive)
            return found
        found[name[:-1].decode()] = (mode, content)


def test_newc() -> None:
    made = entries(
        initramfs.newc({"bin/a": b"program", "bin/b": "a", "x": b"12345"}, [("dev/console", 5, 1)])
    )
    assert list(made) == ["bin", "bin/a", "bin/b", "dev", "dev/console", "x"]
    assert made["bin/a"] == (stat.S_IFREG | 0o755, b"program")
    assert made["bin/b"] == (stat.S_IFLNK | 0o777, b"a")
    assert made["dev/console"][0] == stat.S_IFCHR | 0o600
    assert stat.S_ISDIR(made["bin"][0])
    assert made["x"][1] == b"12345"


def test_a_shell_has_what_it_is_given() -> None:
    image = initramfs.shell(b"busybox", {"khs/start": b"#!/bin/sh"})
    made = entries(gzip.decompress(image))
    assert made["bin/sh"][1] == b"busybox"
    assert made["khs/start"][1] == b"#!/bin/sh"
    assert b"/khs/start" in made["init"][1]
    assert image == initramfs.shell(b"busybox", {"khs/start": b"#!/bin/sh"})
