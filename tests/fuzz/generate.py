"""Random cases: a few hundred bytes of hostile code each.

Some are noise, some are real code damaged here and there, some make hypercalls with numbers,
pointers and lengths that are nearly right, and some use registers full of such values.
"""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from tests.core import systems
from tests.fuzz.emit import ARGUMENTS, NUMBER, TRAP, fetch, load
from tests.fuzz.system import CASES, SLOT, STATUS, image_address, policy
from tests.host import cases, random_code
from tests.host.system import Arch

Random = random.Random

#: The last unit of a slot stays filler, so that cases cannot join.
ROOM = SLOT - 8

_SPECIAL = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    15,
    16,
    17,
    24,
    32,
    63,
    64,
    65,
    127,
    128,
    129,
    255,
    256,
    257,
    512,
    513,
]
_SPECIAL += [
    4095,
    4096,
    8191,
    8192,
    8193,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFF8,
    0xFFFFFFFF,
]
_HIGH = [1 << 32, 1 << 47, (1 << 52) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 8, 0xFFFFFFFF << 32]
_NUMBERS = [*range(27), 27, 28, 99, 1023, 0xFFFF, 0x10000, 0x80000000, 0xFFFFFFFF]


# x86
_PREFIXES = (0xF0, 0xF0, 0xF2, 0xF3, 0x66, 0x67, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65)
_MAPS = (b"", b"", b"\x0f", b"\x0f", b"\x0f", b"\x0f\x38", b"\x0f\x3a", b"\xc5", b"\xc4", b"\x8f")


def _pointers(count: int) -> list[int]:
    """Around the ends of everything that is mapped, and of some things that are not."""
    size = count * SLOT
    image = image_address(bytes(size))
    starts = [
        systems.CODE,
        systems.CONSTANTS,
        systems.DATA,
        systems.KEEP,
        systems.SHARED,
        CASES,
        image,
    ]
    ends = [start + systems.PAGE for start in starts[:5]]
    ends += [systems.DATA + systems.DATA_SIZE, CASES + size, image + 4096, image + 8192, 1 << 32]
    made = [start + 64 * n for start in starts for n in range(5)]
    made += [edge - back for edge in (*starts, *ends) for back in (1, 2, 4, 8, 16, 24)]
    return [*made, *ends, systems.GUARD, 0, 0x40000000]


# ---- real code -------------------------------------------------------------

_PARTITIONS = Path(__file__).parents[2] / "partitions"
_PROGRAMS = ("bench/work.c", "sdk/src/text.c", "sdk/src/memory.c")
_TARGETS = {
    Arch.ARMV7: ["-target", "arm-freestanding-eabi", "-mcpu=cortex_a9"],
    Arch.X86: ["-target", "x86-freestanding", "-mcpu=pentium4"],
    Arch.X64: ["-target", "x86_64-freestanding"],
}


@cache
def compiled(arch: Arch) -> bytes:
    """Machine code of shipped guest programs, not linked."""
    code = b""
    command = [sys.executable, "-m", "ziglang", "cc", *_TARGETS[arch], "-O2", "-g0", "-fno-pic"]
    include = f"-I{_PARTITIONS / 'sdk' / 'include'}"
    with tempfile.TemporaryDirectory() as work:
        for number, name in enumerate(_PROGRAMS):
            made = Path(work) / f"{number}.o"
            subprocess.run([*command, include, "-c", _PARTITIONS / name, "-o", made], check=True)
            elf = ELFFile(io.BytesIO(made.read_bytes()))
            for section in elf.iter_sections("SHT_PROGBITS"):
                if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR:
                    code += section.data()
    return code


@cache
def real_code(arch: Arch) -> bytes:
    """What is damaged: a compiler's code and that of well-behaved random guests."""
    guests = [random_code.program(arch, seed) for seed in range(40)]
    return compiled(arch) * 2 + b"".join(guests)


@cache
def _instructions(arch: Arch) -> tuple[bytes, ...]:
    """Instructions that guests must not, or need not, carry out."""
    return tuple(case.code for case in cases.CASES if case.arch is arch)


# ---- cases -----------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """Makes cases for a system of `count` of them."""

    arch: Arch
    rng: Random
    pointers: Sequence[int]

    @classmethod
    def of(cls, arch: Arch, seed: int, count: int) -> Source:
        return cls(arch, Random(f"{arch.name}-{seed}"), _pointers(count))

    def case(self) -> bytes:
        kinds: list[Callable[[], bytes]] = [self.noise, self.damaged, self.calls, self.loaded]
        return self.rng.choices(kinds, (2, 3, 4, 3))[0]()[: ROOM & ~3]

    @property
    def unit(self) -> int:
        return 4 if self.arch is Arch.ARMV7 else 1

    def noise(self) -> bytes:
        """Random bytes; for ARM mostly words that are always carried out, for x86 often with
        prefixes and from all opcode maps."""
        made = bytearray(self.rng.randbytes(4 * self.rng.randint(1, 12)))
        if self.arch is Arch.ARMV7 and self.rng.random() < 0.8:
            for at in range(3, len(made), 4):
                made[at] = made[at] & 0xF | 0xE0
        if self.arch is not Arch.ARMV7 and self.rng.random() < 0.5:
            return b"".join(self._instruction() for _ in range(self.rng.randint(1, 6)))
        return bytes(made)

    def _instruction(self) -> bytes:
        """Prefixes, an opcode of some map, and whatever follows it."""
        rng = self.rng
        prefixes = bytes(rng.choices(_PREFIXES, k=rng.choice((0, 0, 1, 1, 2, 3))))
        rex = (
            bytes([0x40 | rng.randrange(16)])
            if self.arch is Arch.X64 and rng.random() < 0.4
            else b""
        )
        return prefixes + rex + rng.choice(_MAPS) + rng.randbytes(rng.choice((2, 2, 3, 4, 6, 7)))

    def damaged(self) -> bytes:
        """Real code with a few bits, bytes or words wrong."""
        rng, code = self.rng, real_code(self.arch)
        at = rng.randrange(len(code) - 128) // self.unit * self.unit
        made = bytearray(code[at : at + 4 * rng.randint(2, 32)])
        for _ in range(rng.randrange(4)):
            place = rng.randrange(len(made))
            what = rng.random()
            if what < 0.5:
                made[place] ^= 1 << rng.randrange(8)
            elif what < 0.8:
                made[place] = rng.randrange(256)
            else:
                made[place & ~3 : (place & ~3) + 4] = rng.randbytes(4)
        return bytes(made)

    def value(self) -> int:
        rng = self.rng
        what = rng.random()
        if what < 0.45:
            made = rng.choice(self.pointers)
        elif what < 0.9:
            made = rng.choice(_SPECIAL)
        else:
            made = rng.getrandbits(32)
        if self.arch is Arch.X64 and rng.random() < 0.1:
            return made + rng.choice(_HIGH) & (1 << 64) - 1
        return made & 0xFFFFFFFF

    def _call(self) -> bytes:
        rng, arch = self.rng, self.arch
        count = rng.choice((1, 2, 3, 3, 4, 6))
        made = b"".join(
            load(arch, register, self.argument(n))
            for n, register in enumerate(ARGUMENTS[arch][:count])
        )
        if rng.random() < 0.2:
            made += fetch(arch, ARGUMENTS[arch][0], STATUS + 4 * rng.randrange(8))
        number = rng.choice(_NUMBERS)
        if arch is Arch.X64 and rng.random() < 0.03:
            number |= rng.choice((1 << 32, 1 << 63, 0xFFFFFFFF << 32))
        return made + load(arch, NUMBER[arch], number) + TRAP[arch]

    def argument(self, position: int) -> int:
        """Often what a hypercall would want there: a small number, a pointer, a length."""
        if self.rng.random() < 0.3:
            return self.value()
        if position == 0 and self.rng.random() < 0.7:
            return self.rng.randrange(5)
        if position % 2:
            return self.rng.choice(self.pointers) & 0xFFFFFFFF
        return self.rng.choice((8, 16, 16, 24, 64, 128, 256, len(policy()), *_SPECIAL))

    def calls(self) -> bytes:
        made = b"".join(self._call() for _ in range(self.rng.choice((1, 2, 2, 3, 4))))
        return made if self.rng.random() < 0.7 else made + self.loop(made)

    def loop(self, body: bytes) -> bytes:
        """Back to the beginning, if `body` fits beside that."""
        if len(body) > ROOM - 8:
            return b""
        if self.arch is Arch.ARMV7:
            return struct.pack("<I", 0xEA000000 | (-len(body) // 4 - 2) & 0xFFFFFF)
        return b"\xe9" + struct.pack("<i", -len(body) - 5)

    def loaded(self) -> bytes:
        """Registers full of pointers and odd numbers, then code that uses them."""
        rng, arch = self.rng, self.arch
        registers = rng.sample(
            range(15 if arch is Arch.ARMV7 else 8 if arch is Arch.X86 else 16), rng.randint(1, 6)
        )
        made = b"".join(load(arch, register, self.value()) for register in registers)
        what = rng.random()
        if what < 0.3:
            made += rng.choice(_instructions(arch)) + rng.choice(_instructions(arch))
        elif what < 0.6:
            made += self.damaged()[:64]
        else:
            made += self.noise()
        return made if rng.random() < 0.7 else made + self.loop(made)


def make_cases(arch: Arch, seed: int, count: int) -> list[bytes]:
    """That many cases."""
    source = Source.of(arch, seed, count)
    return [source.case() for _ in range(count)]
