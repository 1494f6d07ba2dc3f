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
