"""Everything derived from the hypercall table is current, and says what the table says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from khs.abi import generate, hypercalls
from khs.abi.table import SOURCE, load

ROOT = generate.ROOT
TRAPS = {
    "arm-freestanding-eabi": b"\x00\x00\x00\xef",  # svc #0
    "x86_64-freestanding": b"\x0f\x05",  # syscall
    "x86-freestanding": b"\xcd\x80",  # int 0x80
}


def test_every_generated_file_is_current() -> None:
    assert generate.stale() == [], "run `python -m khs.abi.generate`"


def test_a_changed_file_is_noticed_and_repaired(tmp_path: Path) -> None:
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []
    page = tmp_path / "docs/hypercalls.md"
    page.write_text(page.read_text() + "x")
    assert generate.stale(tmp_path) == ["docs/hypercalls.md"]
    assert generate.write(tmp_path) == ["docs/hypercalls.md"]
    assert generate.stale(tmp_path) == []


def test_python_table_equals_the_source() -> None:
    table = load()
    assert table.hypercalls == hypercalls.HYPERCALLS
    assert table.codes == hypercalls.CODES
    assert table.structs == hypercalls.STRUCTS
    assert table.services == hypercalls.SERVICES
    assert table.constants == hypercalls.CONSTANTS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('arguments = ["mode: u64"]', "argument 'mode: u64'"),
        ('arguments = ["text: in[length]"]', "'length' of 'text' is unknown"),
        ('arguments = ["status: out:khs_nothing"]', "'khs_nothing' of 'status' is unknown"),
        ('errors = ["NO_SUCH_CODE"]', "unknown error codes"),
        ("number = 77", "without a gap"),
        ('arguments = ["mode: u32"]', "khs_nop: its errors lack that of a wide 'mode'"),
        ('khs_time = ["low: u32", "ns: u64"]', "khs_time: padding before 'ns'"),
        ('khs_time = ["ns: u64", "low: u32"]', "khs_time: padding at its end"),
        ('khs_time = ["ns: u128"]', "want 'name: u32|u64"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, change: str, message: str) -> None:
    key = change.partition(" =")[0]
    lines = SOURCE.read_text().splitlines()
    row = next(n for n, line in enumerate(lines) if line.startswith(f"{key} ="))
    lines[row] = change
    source = tmp_path / "hypercalls.toml"
    source.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message):
        load(source)


def test_kernel_services_are_numbered_as_the_kernels_class_declares_them() -> None:
    """The table's order of services is the order of components in kl/core/Core.edl."""
    text = (ROOT / "monitor/kss/sdk/kl/core/Core.edl").read_text()
    components = [line.split()[0] for line in text.splitlines() if " : " in line]
    for service in hypercalls.SERVICES:
        component, endpoint = service.endpoint.split(".")
        assert components[service.riid] == component
        interface = ROOT / f"monitor/kss/sdk/kl/core/{endpoint}.idl"
        methods = [
            line.split("(")[0].strip()
            for line in interface.read_text().splitlines()
            if "(" in line and not line.lstrip().startswith("/*")
        ]
        assert methods[service.mid] == service.method


PROGRAM = r"""
#include <khs/hypercall.h>

khs_result every_count(uint32_t *buffer, struct khs_time *time);
khs_result every_count(uint32_t *buffer, struct khs_time *time)
{
    struct khs_recv_info info;
    khs_nop();
    khs_time_get(time);
    khs_timer_set(1, 2);
    khs_error_raise(1, "text", 4);
    khs_recv(buffer, 64, &info, KHS_TIMEOUT_MAX_US);
    return khs_call(1, buffer, 16, buffer, 64, 0);
}
"""


@pytest.mark.parametrize("target", sorted(TRAPS))
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_guest_header_compiles_without_a_warning(tmp_path: Path, target: str, level: str) -> None:
    pytest.importorskip("ziglang")
    source, output = tmp_path / "program.c", tmp_path / "program.o"
    source.write_text(PROGRAM)
    cpu = ["-mcpu=cortex_a9"] if target.startswith("arm") else []
    flags = ["-std=c11", "-ffreestanding", "-Wall", "-Wextra", "-Wshadow", "-Wconversion"]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *cpu, level, *flags]
    command += ["-Werror", "-fno-sanitize=all", f"-I{ROOT / 'partitions/sdk/include'}"]
    subprocess.run([*command, "-c", str(source), "-o", str(output)], check=True)
    assert output.read_bytes().count(TRAPS[target]) >= 6


def test_kernel_header_compiles_without_a_warning(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no host compiler")
    source = tmp_path / "table.c"
    source.write_text(
        '#include "hypercall.h"\n'
        "#define ROW(name, ...) {__VA_ARGS__},\n"
        "static const int rows[][4] = {KHS_HYPERCALL_ROWS(ROW)};\n"
        "int main(void) { const int *call = rows[KHS_HC_CALL];\n"
        "return sizeof rows / sizeof *rows == KHS_HYPERCALLS"
        " && call[0] == 6 && call[1] == 0x35 && call[2] == 0x14"
        " && rows[KHS_HC_MODULE_STOP][3] == KHS_PRIV_MODULE_STOP"
        " && rows[KHS_HC_NOP][3] == 0 ? 0 : 1; }\n"
    )
    program = tmp_path / "table"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion"]
    include = f"-I{ROOT / 'khs/core'}"
    subprocess.run([compiler, *flags, include, str(source), "-o", str(program)], check=True)
    subprocess.run([str(program)], check=True)


@pytest.mark.parametrize(
    ("architecture", "row"), [("arm", "arm"), ("i386:x86-64", "amd64"), ("i386", "i386")]
)
def test_gdb_knows_hypercalls_by_name_and_group(
    tmp_path: Path, architecture: str, row: str
) -> None:
    gdb = shutil.which("gdb-multiarch") or shutil.which("gdb")
    if gdb is None:
        pytest.skip("no gdb")
    shutil.copytree(ROOT / "khs/abi/syscalls", tmp_path / "syscalls")
    script = [f"set architecture {architecture}", "set osabi GNU/Linux"]
    script += ["catch syscall khs_port_send", "catch syscall group:ipc"]
    command = [gdb, "-nx", "-batch", "-data-directory", str(tmp_path)]
    for line in script:
        command += ["-ex", line]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Undefined item" in done.stderr:
        pytest.skip(f"this gdb does not know {architecture}")
    assert "Catchpoint 1 (syscall 'khs_port_send' [18])" in done.stdout, done.stderr
    group = "'khs_call' [13] 'khs_recv' [14] 'khs_reply' [15]"
    assert f"Catchpoint 2 (syscalls {group})" in done.stdout, row
