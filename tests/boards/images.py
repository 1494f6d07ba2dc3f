"""The smallest images of their own for each board: they say a line, hear one, and go off."""

from __future__ import annotations

from pathlib import Path

from khs.toolchain import zig

#: 16-bit code at F000:0000: writes TEXT to COM1, echoes up to Enter, resets by the keyboard's
#: controller.
_CODE = bytes.fromhex(
    "ba f8 03"  # mov dx, 3f8
    "be 28 00"  # mov si, text
    "2e ac"  # next: cs lodsb
    "84 c0 74 03"  # test al, al; jz hear
    "ee eb f7"  # out dx, al; jmp next
    "ba fd 03"  # hear: mov dx, 3fd
    "ec a8 01 74 fb"  # wait: in al, dx; test al, 1; jz wait
    "ba f8 03 ec ee"  # mov dx, 3f8; in al, dx; out dx, al
    "3c 0d 75 ef"  # cmp al, cr; jne hear
    "b0 fe e6 64"  # mov al, fe; out 64, al
    "f4 eb fd"  # stop: hlt; jmp stop
    "90"
)
TEXT = b"hello, board\r\n"

_ARM = r"""
#define REG(a) (*(volatile unsigned *)(a))
enum { UART = 0x021e8000 };
void _start(void)
{
    const char *text = "hello, board\r\n";
    unsigned c;
    REG(UART + 0x80) = 1;        /* UCR1: UARTEN */
    REG(UART + 0x84) = 7;        /* UCR2: TXEN, RXEN, no reset */
    while (*text)
        REG(UART + 0x40) = (unsigned char)*text++;
    do {
        while (!(REG(UART + 0x94) & 0x200)) /* USR1: RRDY, or USR2: RDR */
            if (REG(UART + 0x98) & 1)
                break;
        c = REG(UART) & 0xff;
        REG(UART + 0x40) = c;
    } while (c != '\r');
    *(volatile unsigned short *)0x020bc000 = 4; /* watchdog: reset now */
    for (;;)
        ;
}
"""


def rom(folder: Path) -> Path:
    """A ROM for pc and q35."""
    image = bytearray(0x10000)
    image[: len(_CODE)] = _CODE
    image[len(_CODE) : len(_CODE) + len(TEXT) + 1] = TEXT + b"\0"
    image[0xFFF0:0xFFF5] = bytes.fromhex("ea 00 00 00 f0")  # jmp f000:0000
    path = folder / "test.rom"
    path.write_bytes(image)
    return path


def elf(folder: Path) -> Path:
    """A kernel for sabrelite."""
    source, part, path = (folder / name for name in ("test.c", "test.o", "test.elf"))
    source.write_text(_ARM, encoding="utf-8")
    flags = ("--target=armv7a-none-eabi", "-mcpu=cortex-a9", "-O2", "-ffreestanding", "-fno-pic")
    zig.run(["clang", *flags, "-c", source, "-o", part], cwd=folder)
    place = ("-Ttext=0x10010000", "-z", "max-page-size=4096", "--image-base=0x10000000")
    zig.run(["ld.lld", "-m", "armelf_linux_eabi", *place, part, "-o", path], cwd=folder)
    return path


def _code(*parts: str | tuple[str, str]) -> bytes:
    """16-bit code: hexadecimal, `label:`, and (opcode, label) for short jumps."""
    labels, size = {}, 0
    for part in parts:
        if isinstance(part, str) and part.endswith(":"):
            labels[part[:-1]] = size
        else:
            size += 2 if isinstance(part, tuple) else len(bytes.fromhex(part))
    made = bytearray()
    for part in parts:
        if isinstance(part, tuple):
            made += bytes.fromhex(part[0])
            made += (labels[part[1]] - len(made) - 1).to_bytes(1, signed=True)
        elif not part.endswith(":"):
            made += bytes.fromhex(part)
    return bytes(made)


def talker(folder: Path, requests: list[tuple[bytes, int]], *, goes_off: bool = False) -> Path:
    """A ROM for pc and q35 that sends each request on COM2, and writes the answer of so many bytes
    to COM1, a letter from A a nibble and a line an answer."""
    code = _code(
        "be 00 01",  # mov si, table
        "next:",
        *("2e ad", "85 c0", ("74", "off"), "89 c1"),  # cs lodsw; test ax, ax; jz; mov cx, ax
        *("send:", "ba fd 02"),  # mov dx, 2fd
        *("room:", "ec a8 20", ("74", "room")),  # in al, dx; test al, 20; jz
        *("2e ac", "ba f8 02 ee", ("e2", "send")),  # cs lodsb; mov dx, 2f8; out dx, al; loop
        *("2e ad", "89 c1", "85 c0", ("74", "next")),  # cs lodsw; mov cx, ax; test; jz
        *("hear:", "ba fd 02"),
        *("wait:", "ec a8 01", ("74", "wait")),
        *("ba f8 02", "ec", "88 c3"),  # mov dx, 2f8; in al, dx; mov bl, al
        *("ba f8 03", "c0 e8 04", "04 41", "ee"),  # mov dx, 3f8; shr al, 4; add al, 'A'; out
        *("88 d8", "24 0f", "04 41", "ee"),  # mov al, bl; and al, f; add al, 'A'; out
        ("e2", "hear"),
        *("b0 0a", "ee", ("eb", "next")),
        "off:",
        *(("b0 fe e6 64",) if goes_off else ()),
        *("stop:", "f4", ("eb", "stop")),
    )
    table = b"".join(
        len(data).to_bytes(2, "little") + data + size.to_bytes(2, "little")
        for data, size in requests
    )
    image = bytearray(0x10000)
    image[: len(code)] = code
    image[0x100 : 0x100 + len(table)] = table
    image[0xFFF0:0xFFF5] = bytes.fromhex("ea 00 00 00 f0")
    path = folder / "talker.rom"
    path.write_bytes(image)
    return path
