"""The hostile partition, case by case: cases.toml says what must come of each."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from khs import config, image
from khs.engine.unicorn import Machine
from khs.errors import ConfigError
from khs.image.archive import Archive
from khs.resources import shipped
from khs.trace import Names, events
from khs.trace.kinds import HealthError
from khs.trace.summary import Summary
from tests.guests.systems import BOARDS, Run, built, run, with_inputs

FRAMES = 45
CASES: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cases.toml").read_text(encoding="utf-8")
)
KEYS = {
    "all",
    *BOARDS,
    "unicorn",
    "qemu",
    "case",
    "victim",
    "victim-says",
    "value",
    "error",
    "patch",
    "with",
}
LASTING = 10  # restarts, or periods of work, that count as "for ever"


def expected(case: dict[str, Any], arch: str, engine: str = "unicorn") -> str:
    """What the table says: the engine's word counts more than the architecture's, and that more
    than the word for all."""
    for table in (case.get(engine, {}), case):
        for key in (arch, "all"):
            if key in table:
                return str(table[key])
    return "-"


def rows(*, patched: bool) -> list[Any]:
    return [
        pytest.param(name, arch, id=f"{name}-{arch}")
        for name, case in CASES.items()
        for arch in BOARDS
        if ("patch" in case) is patched and (not patched or expected(case, arch) != "-")
    ]


def system_of(name: str, arch: str) -> Archive:
    """The hostile system with the case chosen."""
    case = CASES[name]
    chosen, role = case.get("case", name), case.get("victim", "echo")
    overlays = (shipped("images") / "hostile" / case["with"],) if "with" in case else ()
    archive = built("hostile", BOARDS[arch], overlays)
    return with_inputs(archive, {"case": chosen.encode(), "role": role.encode()})


def play(name: str, arch: str) -> Run:
    return run(system_of(name, arch), FRAMES)


def outcome(played: Run, case: str) -> str:
    """In the words of the table, with the value behind a code."""
    hostile = played.result.partitions["hostile"]
    faults = played.of(events.Fault, "hostile")
    if faults:
        return f"fault {faults[0].fault.name}"
    lines = played.console("hostile").splitlines()
    if f"there is no case {case}" in lines:
        return "-"
    said = [line for line in lines if line.startswith(f"{case}: ")]
    if said:
        return f"code {said[0].removeprefix(f'{case}: ')}"
    if hostile.mode == "idle":
        return "stops"
    return "restarts" if hostile.restarts > LASTING else "endless"


def test_the_table_is_sound() -> None:
    for name, case in CASES.items():
        assert set(case) <= KEYS, name
        words = [expected(case, arch) for arch in BOARDS]
        assert any(word != "-" for word in words), f"{name} is nowhere"


@pytest.mark.parametrize(("name", "arch"), rows(patched=False))
def test_case(name: str, arch: str) -> None:
    played = play(name, arch)
    check(name, played, expected(CASES[name], arch))
    assert played.result.partitions["bystander"].trace_sha256 == quiet(arch)


def check(name: str, played: Run, want: str) -> None:
    """What came of a case is what was wanted."""
    case = CASES[name]
    got = outcome(played, case.get("case", name))
    if want == "passes":
        want = "code OK"
    if want.startswith("code "):
        got, _, value = got.rpartition(" ")
        assert case.get("value") in (None, int(value))
    assert got == want
    if "error" in case:
        health = played.of(events.Health, "hostile")
        assert health[0].error is HealthError[case["error"].replace("-", "_").upper()]
    if want != "-":
        assert case.get("victim-says", "") in played.console("victim")
    assert played.result.partitions["bystander"].deadline_missed == 0


def test_a_denial_storm_is_denied(arch: str) -> None:
    """Each time by the policy, and told as one."""
    played = play("denial-storm", arch)
    denied = played.result.partitions["hostile"].denied
    assert denied > 10_000
    archive = built("hostile", BOARDS[arch])
    summary = Summary(Names.from_header({"policies": [archive.policy_map]}))
    with Machine(with_inputs(archive, {"case": b"denial-storm", "role": b"echo"})) as machine:
        machine.run(FRAMES, notable=summary)
    (group,) = summary.denials.values()
    assert group.count == denied
    assert "partition.Partition.SetMode {mode: 2}" in group.what and "deny" in group.why


def quiet(arch: str) -> str:
    """The bystander's trace when nothing bad happens."""
    if arch not in _QUIET:
        _QUIET[arch] = play("nothing", arch).result.partitions["bystander"].trace_sha256
    return _QUIET[arch]


_QUIET: dict[str, str] = {}


# ---- code that must not be loaded -------------------------------------------


def patched(archive: Archive, code: bytes) -> bytes:
    """The hostile program with `code` where it keeps room."""
    data = bytearray(archive.elfs["hostile"])
    elf = ELFFile(io.BytesIO(data))
    symbols = elf.get_section_by_name(".symtab").get_symbol_by_name("hostile_patch")
    assert symbols, "the program keeps no room"
    (offset,) = elf.address_offsets(symbols[0]["st_value"])
    data[offset : offset + len(code)] = code
    return bytes(data)


@pytest.mark.parametrize(("name", "arch"), rows(patched=True))
def test_code_that_is_refused(name: str, arch: str, tmp_path: Path) -> None:
    code = bytes.fromhex(CASES[name]["patch"])
    path = tmp_path / "hostile.elf"
    path.write_bytes(patched(built("hostile", BOARDS[arch]), code))
    overlay = tmp_path / "patched.toml"
    overlay.write_text(f'[partition.hostile]\nimage = "{path}"\n')
    document = _without_program(tmp_path)
    with pytest.raises(ConfigError) as refused:
        image.build(config.load(document, board=BOARDS[arch], overlays=[overlay]))
    rule = expected(CASES[name], arch).removeprefix("refused ")
    assert [finding.rule for finding in refused.value.findings] == [rule]
    assert "hostile" in refused.value.findings[0].message


def test_the_room_for_code_is_harmless_itself(arch: str, tmp_path: Path) -> None:
    if arch == "armv7":
        pytest.skip("no ARM code is refused")
    archive = built("hostile", BOARDS[arch])
    assert patched(archive, b"\x90" * 4) == archive.elfs["hostile"]


def _without_program(folder: Path) -> Path:
    """The hostile system whose hostile partition names no program: an overlay cannot remove a
    key, and a partition has a program or an image."""
    source = shipped("images") / "hostile"
    text = (source / "system.toml").read_text(encoding="utf-8")
    text = text.replace('program = "hostile"\n', "", 1)
    text = text.replace('"security.psl"', f'"{source / "security.psl"}"')
    text = text.replace('["interfaces"]', f'["{source / "interfaces"}"]')
    path = folder / "system.toml"
    path.write_text(text, encoding="utf-8")
    return path
