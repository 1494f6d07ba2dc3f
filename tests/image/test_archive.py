"""Archives: the same bytes for the same inputs, and nothing damaged is read."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from khs import config
from khs.config.model import Arch
from khs.errors import ConfigError, ImageError
from khs.image import Archive, build, open_system
from khs.image.archive import describe_members, encode_json, hash_all
from tests.image.systems import SYSTEM, load_system, write_system


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return build(load_system(tmp_path_factory.mktemp("systems") / "pair"))


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            info.compress_type = compression
            file.writestr(info, members[name])
    return buffer.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def resealed(archive: Archive, changes: Mapping[str, bytes | None], **manifest: Any) -> bytes:
    """An archive with other members whose hashes are right."""
    members = {
        name: data for name, data in {**archive.members, **changes}.items() if data is not None
    }
    described = describe_members(members)
    sealed = {**archive.manifest, "members": described, "sha256": hash_all(described), **manifest}
    return zipped({**members, "manifest.json": encode_json(sealed)})


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        Archive.from_bytes(data, "gateway.khs")
    text = str(caught.value)
    assert text.startswith("gateway.khs: ")
    assert "\n  help: " in text
    return text


def test_round_trip(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pair.khs"
    archive.write(path)
    read = Archive.read(path)
    assert read == archive and read.sha256 == archive.sha256
    assert read.config == archive.config and read.policies == (archive.policy,)
    assert read.policy_map["classes"] == archive.policy_map["classes"]
    assert set(read.elfs) == {"left", "right"}
    assert read.inputs == [
        (1_875_000, 0, b"early"),
        (1_875_000, 1, b"late"),
        (3_125_000, 1, b"\x00\xff"),
    ], "by tick, then in the kernel's order of inputs"
    assert read.report.startswith("# pair\n") and read.document.startswith("format = 1")


def test_the_same_bytes_in_another_folder(archive: Archive, tmp_path: Path) -> None:
    assert build(load_system(tmp_path / "else" / "where")).data == archive.data


def test_every_architecture_differs(archive: Archive, tmp_path: Path) -> None:
    others = [build(load_system(tmp_path / arch.name, arch)) for arch in Arch]
    assert len({each.sha256 for each in others}) == 3
    assert archive.sha256 in {each.sha256 for each in others}


def test_names_lead_from_numbers_to_names(archive: Archive) -> None:
    names = archive.names
    assert names["partitions"] == ["left", "right"]
    assert names["schedules"] == ["normal", "rescue"]
    assert names["inputs"] == ["probe", "wire"]
    assert names["ports"] == [["level", "log", "control"]] * 2
    assert names["policies"] == ["security"]
    assert names["clock_hz"] == 125_000_000
    assert {"frames", "left/code", "right/stack"} <= set(names["regions"])


def test_manifest_has_no_path_of_this_machine(archive: Archive, tmp_path: Path) -> None:
    assert b"/tmp" not in archive.data and str(Path.home()).encode() not in archive.data


def test_further_policies_are_numbered(tmp_path: Path) -> None:
    text = SYSTEM.replace(
        'policy = "security.psl"',
        'policy = "security.psl"\npolicies = {{ strict = "strict.psl", calm = "calm.psl" }}',
    )
    write_system(tmp_path, system=text)
    policy = (tmp_path / "security.psl").read_text()
    (tmp_path / "strict.psl").write_text(policy.replace("< 100", "< 10"))
    (tmp_path / "calm.psl").write_text(policy.replace("< 100", "< 1000"))
    built = build(config.load(tmp_path))
    assert built.names["policies"] == ["security", "calm", "strict"]
    assert len(set(built.policies)) == 3
    assert [each["policy"] for each in built.policy_maps] == built.names["policies"]
    assert Archive.from_bytes(built.data).policies == built.policies


# ---- damage ----------------------------------------------------------------------

DAMAGE: dict[str, tuple[Callable[[Archive], bytes], str]] = {
    "empty": (lambda a: b"", "this is no KHS archive"),
    "text": (lambda a: b"format = 1\n", "this is no KHS archive"),
    "cut_off": (lambda a: a.data[: len(a.data) // 2], "damaged"),
    "last_byte_missing": (lambda a: a.data[:-1], "damaged"),
    "bytes_behind": (lambda a: a.data + b"\0", "damaged"),
    "no_manifest": (lambda a: zipped(a.members), "manifest.json is missing"),
    "manifest_is_no_json": (
        lambda a: zipped({**a.members, "manifest.json": b"{"}),
        "manifest.json:",
    ),
    "manifest_nested_too_deeply": (
        lambda a: zipped({**a.members, "manifest.json": b"[" * 100_000}),
        "manifest.json",
    ),
    "manifest_is_a_list": (
        lambda a: zipped({**a.members, "manifest.json": b"[]"}),
        "manifest.json is no manifest",
    ),
    "other_format": (lambda a: resealed(a, {}, format=99), "archive format 99"),
    "no_members_listed": (lambda a: resealed(a, {}, members=[]), "lists no members"),
    "hash_over_all": (lambda a: resealed(a, {}, sha256="0" * 64), "the hash over all members"),
    "member_missing": (
        lambda a: zipped({k: v for k, v in unzipped(a.data).items() if k != "memory.bin"}),
        "memory.bin is missing",
    ),
    "member_too_many": (
        lambda a: zipped({**unzipped(a.data), "elf/third.elf": b"x"}),
        "elf/third.elf is not in the manifest",
    ),
    "member_changed": (
        lambda a: zipped({**unzipped(a.data), "policy.bin": a.policy[:-1] + b"\x01"}),
        "policy.bin is not what the manifest's hash covers",
    ),
    "required_member_not_listed": (
        lambda a: resealed(a, {"config.bin": None}),
        "config.bin is missing",
    ),
    "compressed": (
        lambda a: zipped(unzipped(a.data), zipfile.ZIP_DEFLATED),
        "damaged",
    ),
    "inputs_of_another_shape": (lambda a: resealed(a, {"inputs.json": b"[1]"}), "inputs.json"),
    "inputs_outside_their_file": (
        lambda a: resealed(
            a, {"inputs.json": b'[{"tick": 0, "input": 0, "offset": 0, "size": 999}]'}
        ),
        "inputs.json: an input lies outside inputs.bin",
    ),
    "negative_tick": (
        lambda a: resealed(
            a, {"inputs.json": b'[{"tick": -1, "input": 0, "offset": 0, "size": 0}]'}
        ),
        "inputs.json: a number is out of range",
    ),
    "tick_is_no_integer": (
        lambda a: resealed(
            a, {"inputs.json": b'[{"tick": true, "input": 0, "offset": 0, "size": 0}]'}
        ),
        "inputs.json: a number is out of range",
    ),
    "policy_map_is_no_object": (lambda a: resealed(a, {"policy.json": b"7"}), "policy.json"),
    "policy_map_missing": (lambda a: resealed(a, {"policy-1.bin": b"x"}), "policy-1.json"),
    "report_is_no_text": (lambda a: resealed(a, {"report.md": b"\xff\xfe"}), "report.md"),
    "names_missing": (lambda a: resealed(a, {}, names={}), "manifest.json"),
    "names_are_numbers": (
        lambda a: resealed(a, {}, names={**a.names, "partitions": [1, 2]}),
        "manifest.json: names.partitions are no texts",
    ),
    "run_missing": (lambda a: resealed(a, {}, run={}), "manifest.json: 'frames'"),
    "no_frames": (lambda a: resealed(a, {}, run={"frames": 0, "seed": 1}), "are not 0"),
    "seed_is_a_text": (lambda a: resealed(a, {}, run={"frames": 1, "seed": "1"}), "are no counts"),
    "no_audit": (lambda a: resealed(a, {}, run={"frames": 1, "seed": 1}), "'audit_limit'"),
    "audit_of_another_kind": (
        lambda a: resealed(a, {}, run={**a.manifest["run"], "audit_on_full": "drop"}),
        "audit_on_full is neither stop nor count",
    ),
    "patience_is_a_text": (
        lambda a: resealed(a, {}, run={**a.manifest["run"], "audit_patience": "10s"}),
        "audit_patience is no count",
    ),
    "clock_is_negative": (lambda a: resealed(a, {}, clock_hz=-1), "are no counts"),
    "board_is_a_number": (lambda a: resealed(a, {}, board=7), "board is no text"),
    "no_lines_are_counted": (
        lambda a: resealed(a, {}, trusted_lines={"core": 1}),
        "manifest.json: 'vm'",
    ),
    "unknown_architecture": (lambda a: resealed(a, {}, arch="mips"), "arch is none"),
    "other_partitions": (lambda a: resealed(a, {}, partitions={}), "partitions are not those"),
    "partitions_without_hashes": (
        lambda a: resealed(a, {}, partitions={"left": {}, "right": {}}),
        "manifest.json: 'sha256'",
    ),
    "board_is_no_text": (lambda a: resealed(a, {"board.toml": b"\xff"}), "board.toml"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged(archive: Archive, name: str) -> None:
    make, expected = DAMAGE[name]
    assert expected in refusal(make(archive))


def test_a_bomb_is_not_unpacked(archive: Archive) -> None:
    text = refusal(zipped({"manifest.json": bytes(50_000_000)}, zipfile.ZIP_DEFLATED))
    assert "its members are larger than itself" in text


def test_any_changed_byte_is_noticed(archive: Archive) -> None:
    rng = random.Random("archive")
    for _ in range(400):
        data = bytearray(archive.data)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            data[at] ^= rng.randint(1, 255)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        refusal(bytes(data))


def test_resealing_alone_is_no_damage(archive: Archive) -> None:
    """The helper above makes archives that are right but for what a test changes."""
    assert Archive.from_bytes(resealed(archive, {})) == archive


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.khs: cannot be read: No such file"):
        Archive.read(tmp_path / "none.khs")


def test_place_that_cannot_be_written(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError, match="cannot be written"):
        archive.write(tmp_path / "file" / "pair.khs")


# ---- opening -----------------------------------------------------------------------


def test_open_a_folder_a_document_and_an_archive(tmp_path: Path) -> None:
    folder = write_system(tmp_path / "pair")
    built = open_system(folder)
    assert open_system(folder / "system.toml").sha256 == built.sha256
    built.write(tmp_path / "pair.khs")
    assert open_system(str(tmp_path / "pair.khs")).sha256 == built.sha256
    assert open_system(tmp_path / "pair.khs", board="pc").sha256 == built.sha256


def test_open_with_an_overlay(tmp_path: Path) -> None:
    folder = write_system(tmp_path / "pair")
    overlay = tmp_path / "long.toml"
    overlay.write_text("[run]\nframes = 77\n")
    assert open_system(folder, [overlay]).manifest["run"]["frames"] == 77


def test_an_archive_cannot_be_changed(archive: Archive, tmp_path: Path) -> None:
    archive.write(tmp_path / "pair.khs")
    with pytest.raises(ImageError, match="is built for board pc and cannot be changed"):
        open_system(tmp_path / "pair.khs", board="q35")
    with pytest.raises(ImageError, match="cannot be changed"):
        open_system(tmp_path / "pair.khs", [tmp_path / "overlay.toml"])


def test_open_nothing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"there is no system\.toml in this folder"):
        open_system(tmp_path)
    with pytest.raises(ImageError, match="did you mean 'iot-gateway'"):
        open_system("iot-gatewy")
    with pytest.raises(ImageError, match="no archive, and no shipped system"):
        open_system(tmp_path / "none")


def test_release_wants_every_program_pinned(tmp_path: Path) -> None:
    folder = write_system(tmp_path / "pair")
    with pytest.raises(ConfigError) as caught:
        open_system(folder, release=True)
    assert [each.message for each in caught.value.findings if each.severity == "error"] == [
        "partition left has no sha256",
        "partition right has no sha256",
    ]
    digests = build(config.load(folder)).manifest["partitions"]
    text = SYSTEM
    for name in ("left", "right"):
        pinned = f'image = "{name}.elf"\nsha256 = "{digests[name]["sha256"]}"'
        text = text.replace(f'image = "{name}.elf"', pinned)
    write_system(folder, system=text)
    assert open_system(folder, release=True).manifest["release"] is True


def test_wrong_pin(tmp_path: Path) -> None:
    text = SYSTEM.replace('image = "left.elf"', f'image = "left.elf"\nsha256 = "{"00" * 32}"')
    write_system(tmp_path, system=text)
    with pytest.raises(ConfigError) as caught:
        open_system(tmp_path)
    (found,) = caught.value.findings
    lines = (tmp_path / "system.toml").read_text().splitlines()
    assert found.rule == "ELF-009" and Path(found.file) == tmp_path / "system.toml"
    assert lines[found.line - 1].startswith("sha256 = ")
    assert found.message.startswith(f"{tmp_path / 'left.elf'}: its SHA-256 is ")


def test_missing_image(tmp_path: Path) -> None:
    write_system(tmp_path)
    (tmp_path / "left.elf").unlink()
    with pytest.raises(ConfigError, match=r"left\.elf"):
        open_system(tmp_path)


def test_manifest_is_readable_json(archive: Archive) -> None:
    manifest = json.loads(unzipped(archive.data)["manifest.json"])
    assert manifest["board"] == "pc" and manifest["arch"] == "x86"
    assert set(manifest["trusted_lines"]) == {"core", "vm", "board"}
    assert manifest["tools"]["compiler"] is None, "nothing was compiled"
    assert manifest["partitions"]["left"]["entry"] == 0x40000000
