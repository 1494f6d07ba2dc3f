"""Compiling guest programs: reproducible, cached, and with the compiler's own words when wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from khs.config.model import Arch
from khs.errors import ConfigError, ImageError
from khs.image import elf
from khs.resources import shipped
from khs.toolchain import build_program, cache, find_program, read_program, zig

pytest.importorskip("ziglang")
SDK = shipped("partitions") / "sdk"
MAIN = "#include <demo.h>\nint main(void) { return DEMO + NUMBER; }\n"
STUBS = {"demo.h": "#define DEMO 1\n"}
ARCHES = pytest.mark.parametrize("arch", list(Arch), ids=lambda arch: arch.name.lower())


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return write(tmp_path / "guest")


def write(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "main.c").write_text(MAIN)
    (folder / "program.toml").write_text('define = { NUMBER = "41" }\n')
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache that already has the compiler's library, which takes seconds to make."""
    shared = cache.root() / "runtime"
    place = tmp_path / "cache"
    if shared.is_dir():
        shutil.copytree(shared, place / "runtime")
    monkeypatch.setenv("KHS_CACHE", str(place))
    yield place


def build(folder: Path, arch: Arch, words: list[str] | None = None) -> bytes:
    return build_program(folder, arch, SDK, STUBS, None if words is None else words.append)


@ARCHES
def test_same_bytes_anywhere(
    arch: Arch, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    first = build(program, arch)
    elsewhere = write(tmp_path / "another" / "folder" / "guest")
    copied_sdk = tmp_path / "copied" / "sdk"
    shutil.copytree(SDK, copied_sdk)
    monkeypatch.setenv("KHS_CACHE", str(tmp_path / "cache2"))
    shutil.copytree(own_cache / "runtime", tmp_path / "cache2" / "runtime")
    words: list[str] = []
    second = build_program(elsewhere, arch, copied_sdk, STUBS, words.append)
    assert "compiling guest for " + arch.name.lower() in words, "it was really compiled again"
    assert first == second
    assert str(tmp_path).encode() not in first and str(SDK).encode() not in first
    assert b"partitions/guest/main.c" in first, "a debugger finds the source from the project"


@ARCHES
def test_what_is_built_is_accepted(arch: Arch, program: Path) -> None:
    read = elf.read(build(program, arch), arch, "guest.elf")
    assert {"main", "_start"} <= {symbol.name for symbol in read.symbols}


def test_kept_until_something_changes(program: Path, own_cache: Path) -> None:
    words: list[str] = []
    first = build(program, Arch.X86, words)
    assert words
    words.clear()
    assert build(program, Arch.X86, words) == first
    assert words == [], "found in the cache"
    (program / "main.c").write_text(MAIN.replace("DEMO", "DEMO * 2"))
    assert build(program, Arch.X86, words) != first
    assert [word for word in words if word.startswith("compiling")] == ["compiling guest for x86"]


def test_headers_and_macros_count(program: Path, own_cache: Path) -> None:
    first = build(program, Arch.X64)
    (program / "program.toml").write_text('define = { NUMBER = "42" }\n')
    second = build(program, Arch.X64)
    other = build_program(program, Arch.X64, SDK, {"demo.h": "#define DEMO 2\n"})
    assert len({first, second, other}) == 3


def test_errors_are_the_compilers(program: Path) -> None:
    (program / "main.c").write_text("int main(void)\n{\n    return nothing;\n}\n")
    with pytest.raises(ImageError) as caught:
        build(program, Arch.ARMV7)
    assert f"{program / 'main.c'}:3:12: error: use of undeclared identifier 'nothing'" in str(
        caught.value
    )


def test_errors_of_all_files(program: Path) -> None:
    (program / "other.c").write_text("int other = missing;\n")
    (program / "main.c").write_text("#error stop here\n")
    with pytest.raises(ImageError) as caught:
        build(program, Arch.X86)
    assert "other.c:1:13: error" in str(caught.value)
    assert "main.c:1:2: error: stop here" in str(caught.value)


def test_undefined_symbol(program: Path) -> None:
    (program / "main.c").write_text("int helper(void); int main(void) { return helper(); }\n")
    with pytest.raises(ImageError, match="undefined symbol: helper"):
        build(program, Arch.X86)


def test_a_failed_build_leaves_nothing(program: Path, own_cache: Path) -> None:
    (program / "main.c").write_text("#error\n")
    with pytest.raises(ImageError):
        build(program, Arch.X86)
    assert not list(own_cache.rglob(".making-*"))
    (program / "main.c").write_text(MAIN)
    build(program, Arch.X86)


def test_include_from_elsewhere_must_be_declared(program: Path) -> None:
    """Else a change there would go unnoticed."""
    common = program.parent / "common"
    common.mkdir()
    (common / "limits.h").write_text("#define DEMO 3\n#define NUMBER 4\n")
    (program / "main.c").write_text(
        '#include "../common/limits.h"\nint main(void) { return DEMO; }\n'
    )
    (program / "program.toml").unlink()
    with pytest.raises(ImageError, match="outside the program's folders") as caught:
        build(program, Arch.X86)
    assert 'include = ["../common"]' in str(caught.value)
    (program / "program.toml").write_text('include = ["../common"]\n')
    build(program, Arch.X86)


def test_64_bit_division_and_floating_point_need_no_library(program: Path) -> None:
    (program / "main.c").write_text(
        "volatile unsigned long long a = 7, b = 3; volatile double c = 2;\n"
        "int main(void) { struct { char x[4000]; } s = {0}; volatile __typeof__(s) t = s;\n"
        "return (int)(a / b) + (int)(c / 3) + t.x[9]; }\n"
    )
    for arch in Arch:
        build(program, arch)


def test_the_environment_does_not_matter(
    program: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    first = build(program, Arch.X86)
    shutil.rmtree(own_cache / "objects")
    shutil.rmtree(own_cache / "elf")
    for name in ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "CCC_OVERRIDE_OPTIONS", "CFLAGS"):
        monkeypatch.setenv(name, "/nowhere")
    assert build(program, Arch.X86) == first


def test_without_the_compiler(
    program: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = build(program, Arch.X86)
    monkeypatch.setattr(zig, "_installed", lambda: None)
    zig.identity.cache_clear()
    try:
        assert build(program, Arch.X86) == kept, "what was built needs no compiler"
        (program / "main.c").write_text(MAIN + "\n")
        (program / "second.c").write_text("int second;\n")
        with pytest.raises(ImageError, match=r"pip install 'khs\[toolchain\]'") as caught:
            build(program, Arch.X86)
        assert str(caught.value).count("ziglang") == 1, "it is missing once, not once for each file"
    finally:
        zig.identity.cache_clear()


def test_a_cache_that_cannot_be_written(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KHS_CACHE", str(tmp_path / "file"))
    with pytest.raises(ImageError, match="set KHS_CACHE to a folder that can be written"):
        build(program, Arch.X86)


def test_a_damaged_cache(program: Path, own_cache: Path) -> None:
    build(program, Arch.X86)
    for path in own_cache.glob("elf/*/program.elf"):
        path.unlink()
    with pytest.raises(ImageError, match=r"program\.elf: No such file"):
        build(program, Arch.X86)


def test_keys_do_not_collide() -> None:
    assert cache.key(["ab", "c"]) != cache.key(["a", "bc"])
    assert cache.key(["a", ""]) != cache.key(["a"])


# ---- which files -------------------------------------------------------------------


def test_sources_of_the_architecture(program: Path) -> None:
    for name in ("armv7", "x64", "notes"):
        (program / name).mkdir()
        (program / name / "fast.S").write_text("")
    (program / "README.md").write_text("")
    names = [
        path.relative_to(program).as_posix() for path in read_program(program, Arch.X64).sources
    ]
    assert names == ["main.c", "x64/fast.S"]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("source = []", 10, "unknown key 'source'"),
        ("sources = 'main.c'", 11, "'sources' is no list of texts"),
        ("sources = [1]", 11, "'sources' is no list of texts"),
        ("sources = ['main.c', 'none.c']", 22, "'none.c' does not exist"),
        ("include = ['none']", 12, "'none' does not exist"),
        ("define = ['A']", 10, "'define' is no table"),
        ("define = { A = 1 }", 16, "'A' is no macro with a text"),
        ("define = { 'A=1 -DB' = 'x' }", 24, "'A=1 -DB' is no macro with a text"),
    ],
)
def test_wrong_program_toml(program: Path, text: str, column: int, message: str) -> None:
    (program / "program.toml").write_text(f"# first\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        read_program(program, Arch.X86)
    (finding,) = caught.value.findings
    assert finding.rule == "PROG-001" and finding.file == str(program / "program.toml")
    assert (finding.message, finding.line, finding.column) == (message, 2, column)


def test_a_program_toml_that_is_no_toml_or_has_a_byte_order_mark(program: Path) -> None:
    (program / "program.toml").write_text("# first\ndefine = \n")
    with pytest.raises(ConfigError, match=r"program\.toml:2:10: error TOML-001: Invalid value"):
        read_program(program, Arch.X86)
    (program / "program.toml").write_bytes(b'\xef\xbb\xbfdefine = { NUMBER = "41" }\n')
    assert read_program(program, Arch.X86).define == (("NUMBER", "41"),)


def test_nothing_to_compile(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"needs at least one \.c or \.S file"):
        read_program(tmp_path, Arch.X86)


def test_own_programs_come_before_shipped_ones(tmp_path: Path) -> None:
    partitions = shipped("partitions")
    assert find_program("sensor", tmp_path, partitions) == (partitions / "sensor").resolve()
    own = write(tmp_path / "partitions" / "sensor")
    assert find_program("sensor", tmp_path, partitions) == own.resolve()
    with pytest.raises(ImageError, match="did you mean 'sensor'"):
        find_program("senser", tmp_path, partitions)


@pytest.mark.parametrize("file", ["main.c", "start.S", "x86/main.c", "program.toml"])
def test_a_folder_without_sources_is_no_program(file: str, tmp_path: Path) -> None:
    """A package `sensor` of interface descriptions may lie beside the programs."""
    partitions = shipped("partitions")
    folder = tmp_path / "partitions" / "sensor"
    (folder / "x86").mkdir(parents=True)
    (folder / "Sensor.edl").write_text("task class sensor.Sensor\n")
    (folder / "sensor.h").write_text("")
    assert find_program("sensor", tmp_path, partitions) == (partitions / "sensor").resolve()
    (folder / file).write_text("")
    assert find_program("sensor", tmp_path, partitions) == folder.resolve()


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "partitions" / "mine").mkdir(parents=True)
    with pytest.raises(ImageError, match=r"mine: a program needs at least one \.c or \.S file"):
        find_program("mine", tmp_path, shipped("partitions"))
