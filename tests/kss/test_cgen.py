"""C stubs: they compile for every architecture, and agree with the Python encoder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from kss.api import load_class
from kss.cgen import generate
from kss.describe import load_described_class, load_described_interface
from kss.layout import Interface, MessageType
from kss.message import decode, encode, header

from tests.kss.cgen_tools import (
    CXX,
    STRICT,
    STRICT_CXX,
    TARGETS,
    ZIG,
    compiled,
    needs_cxx,
    needs_zig,
)
from tests.kss.conftest import LIB

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    every = load_described_interface(str(HERE / "lib/stubs/IEvery.idl"), [])
    (folder / "every.h").write_text(generate(every))
    vault = load_described_class("bank.Vault", [LIB])
    door = load_described_interface("bank.IDoor", [LIB])
    (folder / "door.h").write_text(generate(door, [vault]))
    return folder


@needs_zig
@pytest.mark.parametrize("target", TARGETS)
def test_compiles_freestanding(stubs: Path, target: str) -> None:
    source = stubs / "both.c"
    source.write_text('#include "every.h"\n#include "door.h"\n#include "every.h"\n')
    command = [*ZIG, "-target", target, *STRICT, "-c", str(source), "-o", str(stubs / "both.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_cxx
def test_compiles_as_cxx(stubs: Path) -> None:
    """The structs lie as in C, which the headers themselves check; functions have names of C."""
    source = stubs / "both.cc"
    source.write_text(
        '#include "every.h"\n#include "door.h"\n#include "every.h"\n'
        "bool set(bank_IDoor_Open_req &m, uint32_t &length)\n"
        '{\n    return bank_IDoor_Open_req_set_pin(&m, &length, "4711");\n}\n'
    )
    command = [*CXX, *STRICT_CXX, "-c", str(source), "-o", str(stubs / "both.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_words_of_cxx_get_an_underscore(tmp_path: Path) -> None:
    (tmp_path / "IWord.idl").write_text(
        "package IWord\ninterface { Set(in UInt8 class, in UInt8 template, in UInt8 plain); }\n"
    )
    text = generate(load_described_interface("IWord", [tmp_path]))
    assert "uint8_t class_;" in text and "uint8_t template_;" in text and "uint8_t plain;" in text


def test_constants() -> None:
    vault = load_class("bank.Vault", [LIB])
    assert vault is not None
    text = generate(vault.endpoints[3].interface, [vault])
    for line in [
        "#define bank_Vault_door_riid 3u",
        "#define bank_Vault_interface_riid 4u",
        "#define bank_IDoor_Open_mid 0u",
        "#define bank_IDoor_mode_mid 2u",
        "struct bank_IDoor_Open_req {",
        "#define bank_IDoor_Open_req_size 80u",
        "union bank_IDoor_Open_reply { /* header.flags says which */",
    ]:
        assert line in text.split("\n")


NAMES = {
    "Deep": "struct Point { UInt8 x; }",
    "Shapes": "import names.Deep struct Line { Point from; Point to; }",
    "INames": """import names.Shapes
        struct Point { UInt64 y; }
        struct Set_req { UInt8 x; string<3> arena; }
        union Set { UInt8 mid; bytes<2> reply; }
        union Set_set { UInt8 text; }
        struct Flat { bytes<2> b_c; }
        interface {
            Set(in Point p, in Line l, in Set_req r, in Set s, in Set_set t, in string<2> text,
                in string<2> size, in Flat a, in bytes<2> a_b_c,
                out UInt8 register, out UInt8 register_, out UInt8 tag, out UInt8 header,
                out UInt8 NULL, out UInt8 linux, out UInt8 _Bool, out UInt8 __LINE__,
                out UInt8 INT8_MAX, out UInt8 offsetof, out UInt8 true, out UInt8 errno);
        }""",
}


@pytest.fixture
def named(tmp_path: Path) -> str:
    (tmp_path / "names").mkdir()
    for name, text in NAMES.items():
        (tmp_path / f"names/{name}.idl").write_text(f"package names.{name} {text}")
    return generate(load_described_interface("names.INames", [tmp_path]))


@needs_zig
@pytest.mark.parametrize("standard", ["c11", "gnu11"])
def test_names_that_c_or_another_needs(named: str, tmp_path: Path, standard: str) -> None:
    (tmp_path / "names.h").write_text(named)
    source = tmp_path / "names.c"
    source.write_text(
        '#include "names.h"\n'
        "struct names_INames_Set_req m = {.p = {.y = 1}, .l = {.from = {.x = 1}}, .r = {.x = 2}};\n"
        "struct names_INames_Set_res r = {.register_ = 1, .register__ = 2, .true_ = 3};\n"
    )
    command = [*ZIG, *STRICT, f"-std={standard}", "-c", str(source), "-o", str(tmp_path / "n.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_types_with_one_name_are_two(named: str) -> None:
    for line in [
        "struct names_INames_Point {",
        "    IDL_ALIGNED(8) uint64_t y;",
        "struct names_INames_type_Point {",
        "    struct names_INames_type_Point from;",
        "struct names_INames_type_Set_req {",
        "enum { names_INames_type_Set_mid = 0, names_INames_type_Set_reply = 1 }; /* tag */",
    ]:
        assert line in named.split("\n")


VALUES = {
    "s8": -3,
    "u64": 2**63 + 5,
    "grid": [[1, 2, 3], [4, 5, 6]],
    "one": {
        "id": 9,
        "raw": [b"", b"abc"],
        "inners": [{"a": 1, "b": 2, "name": "x"}, {"a": 3, "b": 4, "name": ""}],
        "h": {"handle": 5, "rights": 6},
    },
    "many": [
        {
            "id": 10,
            "raw": [b"q", b""],
            "inners": [{"a": 7, "b": 8, "name": "seventh"}],
            "h": {"handle": 0, "rights": 0},
        }
    ],
    "nested": [[1], [], [2, 3]],
    "triples": [[1, 2, 3]],
    "text": "hello",
    "either": {"inner": {"a": 77, "b": 0, "name": "within"}},
    "default": 4,
}


@pytest.fixture(scope="module")
def program(stubs: Path) -> Path:
    """Builds the message of VALUES with the stubs; or prints one that it reads."""
    source = stubs / "program.c"
    source.write_text((HERE / "stubs_program.c").read_text())
    return compiled(source, stubs)


def request() -> MessageType:
    every: Interface = load_described_interface(str(HERE / "lib/stubs/IEvery.idl"), [])
    return every.methods[1].request


@needs_zig
def test_python_reads_what_c_writes(program: Path) -> None:
    data = subprocess.run([program, "write"], capture_output=True, check=True).stdout
    assert header(data) == (0, 1, 0)
    assert decode(request(), data) == VALUES
    assert b"\xee" not in data


@needs_zig
def test_c_reads_what_python_writes(program: Path) -> None:
    """Python lays the arena out otherwise than the setters do."""
    data = encode(request(), VALUES, riid=3, mid=1)
    shown = subprocess.run([program, "read"], input=data, capture_output=True, check=True).stdout
    assert json.loads(shown) == {
        "s8": -3,
        "grid": 6,
        "raw": ["", "abc"],
        "names": ["x", "", ""],
        "inner_b": 4,
        "many": 1,
        "many_raw": "q",
        "many_name": "seventh",
        "nested": [[1], [], [2, 3]],
        "triples": [1, 2, 3],
        "text": "hello",
        "tag": 2,
        "a": 77,
        "within": "within",
        "default": 4,
    }
