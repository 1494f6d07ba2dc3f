"""khs check of an archive: what is found without the files it was built from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from khs.config.model import Arch
from khs.errors import Finding, ImageError
from khs.image import Archive, build
from khs.image.open import check_system, open_system, resolve_system
from tests.image.elves import Elf, R, Segment, X, loop
from tests.image.systems import SYSTEM, load_system, write_system
from tests.image.test_archive import resealed


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return build(load_system(tmp_path_factory.mktemp("systems") / "pair"))


Check = Callable[[bytes], list[Finding]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Errors found in the bytes of an archive."""
    path = tmp_path / "pair.khs"

    def check(data: bytes) -> list[Finding]:
        path.write_bytes(data)
        found = errors(check_system(path))
        assert all(Path(each.file) == path and each.help for each in found)
        return found

    return check


def errors(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.severity == "error"]


def told(found: list[Finding]) -> list[str]:
    return [f"{each.rule}: {each.message}" for each in found]


def test_what_was_built_has_the_warnings_of_its_document(archive: Archive, tmp_path: Path) -> None:
    archive.write(tmp_path / "pair.khs")
    before = check_system(write_system(tmp_path / "pair"))
    after = check_system(tmp_path / "pair.khs")
    assert errors(after) == []
    assert [(f.rule, f"system.toml: {f.message}") for f in before] == [
        (f.rule, f.message) for f in after
    ]
    assert {f.rule for f in after} == {"SCHED-013", "SPACE-009"}


def test_its_document_is_checked_without_its_files(archive: Archive, check: Check) -> None:
    document = archive.document.replace("frames = 3", "frames = 0")
    (found,) = check(resealed(archive, {"system.toml": document.encode()}))
    assert found.rule == "RUN-001" and found.message == "system.toml: a run of 0 frames"
    assert document.splitlines()[found.line - 1] == "frames = 0"
    board = archive.board.replace('clock = "125MHz"', 'clock = "0Hz"')
    (found,) = check(resealed(archive, {"board.toml": board.encode()}))
    assert found.rule == "BOARD-003" and found.message.startswith("board.toml: ")
    assert told(check(resealed(archive, {"system.toml": b"format 1"})))[0].startswith("TOML-001")


def test_damage_is_a_finding(archive: Archive, check: Check) -> None:
    (found,) = check(archive.data[:-1])
    assert found.rule == "ARCHIVE-001"
    assert found.message.startswith("the archive is damaged: ")
    (found,) = check(b"PK but no more")
    assert found.message == "this is no KHS archive"


def test_its_programs_are_checked(archive: Archive, check: Check) -> None:
    locked = b"\xf0\x0f\xa3\xc0" + loop(Arch.X86, 60)
    data = bytes(Elf(Arch.X86, [Segment(0x40000000, locked, R | X)]))
    rules = [each.rule for each in check(resealed(archive, {"elf/left.elf": data}))]
    assert rules == ["ELF-009"], "the hash in the manifest is another"
    about = dict(archive.manifest["partitions"])
    del about["left"]
    import hashlib

    about["left"] = {
        **archive.manifest["partitions"]["left"],
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    found = check(resealed(archive, {"elf/left.elf": data}, partitions=about))
    assert [each.rule for each in found] == ["CODE-001"]
    assert found[0].message.startswith("elf/left.elf: at ")


@pytest.mark.parametrize("member", ["config.bin", "memory.bin", "policy.bin"])
def test_the_kernel_has_the_last_word(member: str, archive: Archive, check: Check) -> None:
    data = archive.members[member]
    found = check(resealed(archive, {member: data[: len(data) // 2]}))
    assert told(found)[0].startswith("ARCHIVE-002: the kernel does not take it: ")


def test_a_release_is_one_that_was_built_as_one(archive: Archive, tmp_path: Path) -> None:
    archive.write(tmp_path / "pair.khs")
    found = errors(check_system(tmp_path / "pair.khs", release=True))
    assert [each.rule for each in found] == ["ARCHIVE-003"]
    with pytest.raises(Exception, match="ARCHIVE-003"):
        open_system(tmp_path / "pair.khs", release=True)
    released = Archive.from_bytes(resealed(archive, {}, release=True))
    released.write(tmp_path / "pair.khs")
    assert errors(check_system(tmp_path / "pair.khs", release=True)) == []


def test_resolving_it_prints_its_document(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "pair.khs"
    archive.write(path)
    assert resolve_system(path) == archive.document
    assert resolve_system(path, board="pc") == archive.document
    folder = write_system(tmp_path / "pair", system=SYSTEM)
    assert resolve_system(folder) == archive.document
    for ask in (check_system, resolve_system):
        with pytest.raises(ImageError, match="is built for board pc and cannot be changed"):
            ask(path, board="q35")
        with pytest.raises(ImageError, match="cannot be changed"):
            ask(path, [tmp_path / "overlay.toml"])
