"""`make setup` installs QEMU where it may; apt is a script here, and never fails the setup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from khs import doctor
from khs.engine.qemu.board import PROFILES
from scripts import install_qemu

APT = """#!/bin/sh
echo "$*" >>"{folder}/said"
case "$*" in *install*)
  {guard}
  for name in {programs}; do printf '#!/bin/sh\n' >"{folder}/$name"; chmod +x "{folder}/$name"; done
esac
"""
STALE = 'grep -q update "{folder}/said" || {{ echo "E: Unable to locate package" >&2; exit 100; }}'
REFUSED = 'echo "E: no room" >&2; exit 100'


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no program but apt-get, which is root's."""
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def apt(folder: Path, guard: str = ":") -> None:
    path = folder / "apt-get"
    programs = " ".join(install_qemu.PACKAGES)
    path.write_text(APT.format(folder=folder, guard=guard.format(folder=folder), programs=programs))
    path.write_text("#!/bin/sh\nPATH=/usr/bin:/bin\n" + path.read_text().partition("\n")[2])
    path.chmod(0o755)


def said(folder: Path) -> list[str]:
    path = folder / "said"
    return path.read_text().splitlines() if path.exists() else []


def test_what_is_missing_is_installed_once(
    system: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apt(system)
    assert install_qemu.main() == 0
    (line,) = said(system)
    assert line.endswith("--no-install-recommends gdb-multiarch qemu-system-arm qemu-system-x86")
    assert capsys.readouterr().err == ""
    assert install_qemu.main() == 0
    assert len(said(system)) == 1


def test_lists_that_are_old_are_read_anew(system: Path) -> None:
    apt(system, STALE)
    assert install_qemu.main() == 0
    assert ["update" in line for line in said(system)] == [False, True, False]
    assert install_qemu.missing() == []


def test_what_apt_refuses_is_told_and_setup_goes_on(
    system: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apt(system, REFUSED)
    assert install_qemu.main() == 0
    told = capsys.readouterr().err
    assert "boards in QEMU are left out, E: no room" in told
    assert "help: apt-get install gdb-multiarch qemu-system-arm qemu-system-x86" in told


@pytest.mark.parametrize(("user", "why"), [(1000, "that takes root"), (0, "there is no apt-get")])
def test_where_it_may_not_it_says_the_command(
    user: int,
    why: str,
    system: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if user:
        apt(system)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert install_qemu.main() == 0
    told = capsys.readouterr().err
    assert why in told
    assert "help: apt-get install gdb-multiarch" in told
    assert said(system) == []


def test_doctor_setup_and_the_engine_agree_on_packages() -> None:
    wanted = {profile.binary: profile.package for profile in PROFILES.values()}
    assert {name: package for name, (package, _) in doctor.QEMU.items()} == wanted
    assert wanted | {"gdb-multiarch": "gdb-multiarch"} == install_qemu.PACKAGES
