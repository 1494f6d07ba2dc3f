"""C stubs: they compile for every architecture, and agree with the Python encoder."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kss.api import load_class
from kss.cgen import generate
from kss.describe import load_described_class, load_described_interface
from kss.layout import Interface, MessageType
from kss.message import decode, encode, header

from tests.kss.conftest import LIB

HERE = Path(__file__).parent
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
ZIG = [sys.executable, "-m", "ziglang", "cc"]
needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="needs ziglang, the C compiler of the tests"
)


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
@pytest.mark.parametrize(
    "target", ["arm-freestanding-eabi", "x86-freestanding", "x86_64-freestanding"]
)
def test_compiles_freestanding(stubs: Path, target: str) -> None:
    source = stubs / "both.c"
    source.write_text('#include "every.h"\n#include "door.h"\n#include "every.h"\n')
    command = [*ZIG, "-target", target, *STRICT, "-c", str(source), "-o", str(stubs / "both.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
    path = stubs / "program"
    # the system's compiler starts much faster, where there is one
    system = shutil.which("cc")
    native = [system, "-fsanitize=undefined", "-fno-sanitize-recover=all"] if system else ZIG
    command = [*native, *STRICT, "-O1", "-I", str(stubs)]
    command += [str(HERE / "stubs_program.c"), "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


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
