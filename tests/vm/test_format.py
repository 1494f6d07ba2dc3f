"""The format as Python writes it is the format that C reads."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from random import Random

import pytest
from elftools.elf.elffile import ELFFile
from kss import binary
from kss.compiler import compile_policy
from kss.errors import KssError
from kss.regex.automaton import MAX_TRANSITIONS

from tests.vm.conftest import VM
from tests.vm.generate import policy

FORMAT = (VM / "format.h").read_text()


def c_enum(name: str) -> list[str]:
    body = re.search(rf"enum {name} \{{(.*?)\}}", FORMAT, re.DOTALL)
    assert body
    return re.findall(r"\b([A-Z][A-Z_]+)\b", re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL))


@pytest.mark.parametrize(
    ("enum", "prefix", "python"),
    [
        ("op", "OP_", binary.Op),
        ("node_kind", "NODE_", binary.NodeKind),
        ("entry_kind", "ENTRY_", binary.EntryKind),
    ],
)
def test_enumerations_agree(enum: str, prefix: str, python: type[binary.Op]) -> None:
    names = c_enum(enum)
    assert names[:-1] == [prefix + member.name for member in python]
    assert [member.value for member in python] == list(range(len(names) - 1))


@pytest.mark.parametrize(
    ("name", "value", "file"),
    [
        ("KSS_MAGIC", binary.MAGIC, "format.h"),
        ("KSS_VERSION", binary.VERSION, "format.h"),
        ("REGISTERS", binary.REGISTERS, "format.h"),
        ("MAX_CALLS", binary.MAX_CALLS, "format.h"),
        ("MAX_STATE", binary.MAX_STATE, "format.h"),
        ("MAX_TRANSITIONS", MAX_TRANSITIONS, "format.h"),
        ("CLAIM_WRITES", binary.CLAIM_WRITES, "table.h"),
        ("DROP_WRITES", binary.DROP_WRITES, "table.h"),
    ],
)
def test_constants_agree(name: str, value: int, file: str) -> None:
    found = re.search(rf"#define {name} (\w+?)u?\s", (VM / file).read_text())
    assert found and int(found[1], 0) == value


@pytest.mark.parametrize("seed", range(10))
def test_reading_and_writing_give_the_same_bytes(seed: int) -> None:
    data = compile_policy(policy(Random(seed)))
    assert binary.write(binary.read(data)) == data
    assert data[8:12] == len(data).to_bytes(4, "little")


@pytest.mark.parametrize("seed", range(10))
def test_compiling_is_a_function(seed: int) -> None:
    first, second = (compile_policy(policy(Random(seed))) for _ in range(2))
    assert first == second


def test_disassembly_shows_tables_and_programs() -> None:
    automata = 0
    for seed in range(8):
        data = compile_policy(policy(Random(seed)))
        text = binary.disassemble(data)
        image = binary.read(data)
        assert text.count("\nrow ") == len(image.rows)
        assert text.count("\nentry ") == len(image.entries)
        assert text.count("\nautomaton ") == len(image.automata)
        assert text.count(" end\n") == sum(i.op == binary.Op.END for i in image.code)
        names = image.symbols["classes"]
        assert isinstance(names, list) and all(f"{name}: execute row" in text for name in names)
        automata += len(image.automata)
    assert automata


@pytest.mark.parametrize("data", [b"", b"KSSP", bytes(200), bytes(500)])
def test_reading_what_is_no_policy_is_an_error_in_words(data: bytes) -> None:
    with pytest.raises(KssError, match="build the policy again"):
        binary.read(data)


def test_disassembling_corrupt_policies_never_fails_otherwise() -> None:
    rng = Random(7)
    data = compile_policy(policy(Random(3)))
    for _ in range(200):
        bad = bytearray(data)
        bad[rng.randrange(len(bad))] = rng.randrange(256)
        with contextlib.suppress(KssError):
            assert binary.disassemble(binary.seal(bytes(bad)))


def test_the_vm_is_small() -> None:
    """The trusted base counts; this is the monitor's share, headers and all."""
    lines = sum(_code_lines(path) for path in [*VM.glob("*.c"), *VM.glob("*.h")])
    assert lines < 2250


def _code_lines(path: Path) -> int:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return sum(bool(line.strip()) for line in text.splitlines())


def test_the_library_defines_no_name_but_its_own(library: Path) -> None:
    """It is linked into kernels, which have names of their own."""
    with library.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
        defined = {s.name for s in symbols if s["st_shndx"] != "SHN_UNDEF"}
    assert {"kss_verify", "kss_judge"} < defined
    assert not {name for name in defined if not name.startswith(("kss_", "_"))}
