"""Random guests. They compute, loop, call, move strings, use floating point and make hypercalls,
mostly without faulting; with `wild` they also hold anything else."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.host.system import CODE, RAM, Arch

Random = random.Random

#: khs_nop, and numbers that do not exist: others depend on the time of day.
_CALLS = (0, 99, 200)


def program(arch: Arch, seed: int, *, wild: bool = False, length: int = 60) -> bytes:
    """Code for CODE that never ends by itself."""
    rng = Random(seed)
    make = _arm if arch is Arch.ARMV7 else _x86
    return make(arch, rng, wild, length)


# ---- x86, x64 --------------------------------------------------------------

# Registers but the stack pointer.
_REGISTERS = (0, 1, 2, 3, 5, 6, 7)


def _register(rng: Random) -> int:
    return rng.choice(_REGISTERS)


def _pair(rng: Random) -> bytes:
    return bytes([0xC0 | _register(rng) << 3 | _register(rng)])


def _load(register: int, value: int) -> bytes:
    return bytes([0xB8 | register]) + struct.pack("<I", value & 0xFFFFFFFF)


def _alu(rng: Random) -> bytes:
    operation = rng.choice([0x01, 0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x39, 0x85, 0x89])
    return bytes([operation]) + _pair(rng)


def _memory(rng: Random) -> bytes:
    """esi = somewhere in RAM, then an operation on memory there."""
    operation = rng.choice(
        [b"\x01", b"\x89", b"\x8b", b"\x03", b"\x31", b"\x0f\xaf", b"\x0f\xc1", b"\x86", b"\x11"]
    )
    modrm = bytes([0x46 | _register(rng) << 3, rng.randrange(128)])
    return _load(6, RAM + rng.randrange(0xF000)) + operation + modrm


def _shift(rng: Random) -> bytes:
    return bytes(
        [0xC1, 0xC0 | rng.choice([0, 1, 2, 3, 4, 5, 7]) << 3 | _register(rng), rng.randrange(32)]
    )


def _flags(rng: Random) -> bytes:
    return rng.choice([
        bytes([0x0F, 0x90 | rng.randrange(16), 0xC0]), bytes([0x0F, 0x40 | rng.randrange(16)]) + _pair(rng),
        b"\xf9", b"\xf8", b"\xf5", b"\x9c\x58", b"\x9f", b"\x0f\xa2", b"\xf3\x90", b"\x99",
    ])  # fmt: skip


def _push_pop(rng: Random) -> bytes:
    return bytes([0x50 | _register(rng), 0x58 | _register(rng)])


def _skip(rng: Random) -> bytes:
    body = b"".join(_alu(rng) for _ in range(rng.randrange(1, 4)))
    return bytes([0x70 | rng.randrange(16), len(body)]) + body


def _loop(rng: Random) -> bytes:
    body = b"".join(
        rng.choice([_alu, _shift, _memory, _flags])(rng) for _ in range(rng.randrange(1, 5))
    )
    counted = b"\x51" + body + b"\x59\xff\xc9"  # push ecx ... pop ecx, dec ecx
    return _load(1, rng.randrange(1, 40)) + counted + bytes([0x75, 256 - len(counted) - 2])


def _call(rng: Random) -> bytes:
    body = _alu(rng) + b"\xc3"
    return b"\xe8\x02\x00\x00\x00" + bytes([0xEB, len(body)]) + body


def _string(rng: Random) -> bytes:
    operation = rng.choice([b"\xa4", b"\xaa", b"\xab", b"\xa5", b"\xa6", b"\xae"])
    setup = _load(6, RAM + rng.randrange(0x4000)) + _load(7, RAM + 0x8000 + rng.randrange(0x4000))
    return setup + _load(1, rng.randrange(60)) + b"\xf3" + operation


def _sse(rng: Random) -> bytes:
    register = bytes([0xC0 | rng.randrange(64)])
    return (
        rng.choice(
            [
                b"\x0f\x58",
                b"\x66\x0f\xef",
                b"\xf2\x0f\x51",
                b"\x66\x0f\xfe",
                b"\xf2\x0f\x59",
                b"\x66\x0f\x6e",
            ]
        )
        + register
    )


def _x87(rng: Random) -> bytes:
    store = _load(6, RAM + rng.randrange(0xF000)) + rng.choice(
        [b"\xdd\x1e", b"\xdb\x3e", b"\xd9\x1e"]
    )
    return rng.choice([b"\xd9\xe8", b"\xd9\xeb", b"\xd8\xc1", b"\xde\xc9", b"\xd9\xfa", store])


def _divide(rng: Random) -> bytes:
    return b"\x31\xd2" + _load(1, rng.randrange(1, 9)) + b"\xf7\xf1"


def _trap(arch: Arch) -> bytes:
    return b"\x0f\x05" if arch is Arch.X64 else b"\xcd\x80"


def _x86(arch: Arch, rng: Random, wild: bool, length: int) -> bytes:
    common: list[Callable[[Random], bytes]] = [
        _alu, _alu, _memory, _shift, _flags, _push_pop, _skip, _loop, _call, _string, _sse, _x87, _divide,
    ]  # fmt: skip
    pieces = [rng.choice(common)(rng) for _ in range(length)]
    pieces += [_load(0, rng.choice(_CALLS)) + _trap(arch) for _ in range(3)]
    if wild:
        pieces += [rng.randbytes(rng.randrange(1, 12)) for _ in range(rng.randrange(1, 4))]
        pieces += [rng.choice(_FAULTS) for _ in range(rng.randrange(2))]
    rng.shuffle(pieces)
    body = b"".join(pieces)
    return body + b"\xe9" + struct.pack("<i", -len(body) - 5)


_FAULTS = [
    b"\xe4\x10", b"\xee", b"\x0f\x31", b"\xf4", b"\xcc", b"\xcd\x0d", b"\xcd\x0e", b"\xf1", b"\x0f\x0b", b"\xd9\xfe",
    b"\xa3\x00\x00\x00\x00", b"\x0f\x34", b"\x31\xc9\xf7\xf1", b"\x9d", b"\xff\xe0", b"\x0f\x01\x38", b"\xc3",
]  # fmt: skip


# ---- ARM -------------------------------------------------------------------

_ALWAYS = 0xE0000000


def _condition(rng: Random) -> int:
    return rng.randrange(14) << 28 if rng.random() < 0.3 else _ALWAYS


def _low(rng: Random) -> int:
    return rng.randrange(8)


def _arm_alu(rng: Random) -> list[int]:
    operation, immediate = rng.randrange(16), rng.randrange(2)
    compares, moves = 8 <= operation < 12, operation in (13, 15)
    operand = rng.randrange(4096) if immediate else _low(rng) | rng.randrange(128) << 5
    word = immediate << 25 | operation << 21 | (compares or rng.randrange(2)) << 20 | operand
    word |= 0 if moves else _low(rng) << 16
    return [_condition(rng) | word | (0 if compares else _low(rng) << 12)]


def _arm_multiply(rng: Random) -> list[int]:
    return [_condition(rng) | _low(rng) << 16 | _low(rng) << 8 | 0x90 | _low(rng)]


def _arm_memory(rng: Random) -> list[int]:
    """r8 points to the middle of RAM."""
    offset, up, load, byte = (
        rng.randrange(0x800),
        rng.randrange(2),
        rng.randrange(2),
        rng.randrange(2),
    )
    return [
        _condition(rng)
        | 0x05000000
        | up << 23
        | byte << 22
        | load << 20
        | 8 << 16
        | _low(rng) << 12
        | offset
    ]


def _arm_block(rng: Random) -> list[int]:
    registers = rng.randrange(1, 256)
    return [0xE92D0000 | registers, 0xE8BD0000 | registers]  # push, pop


def _arm_loop(rng: Random) -> list[int]:
    body = [
        word
        for _ in range(rng.randrange(1, 5))
        for word in rng.choice([_arm_alu, _arm_memory, _arm_multiply])(rng)
    ]
    body = [0xE3A09000 | rng.randrange(1, 40), *body, 0xE2599001]  # r9 counts
    return [*body, 0x1A000000 | (-len(body) - 1 & 0xFFFFFF)]


def _arm_call(rng: Random) -> list[int]:
    return [0xEB000000, 0xEA000001, *_arm_alu(rng), 0xE12FFF1E]


def _arm_vfp(rng: Random) -> list[int]:
    return [rng.choice([
        0xEE300A20, 0xEE200A20, 0xEE000B41, 0xF2000800, 0xEEB70B00, 0xEE800A20, 0xF2200D01, 0xEE010A10,
    ]) | rng.randrange(8) << 12]  # fmt: skip


def _arm_hint(rng: Random) -> list[int]:
    return [_condition(rng) | rng.choice([0x0320F000, 0x0320F001, 0x0320F002, 0x0320F004])]


def _arm(arch: Arch, rng: Random, wild: bool, length: int) -> bytes:
    makers: list[Callable[[Random], list[int]]] = [
        _arm_alu, _arm_alu, _arm_memory, _arm_multiply, _arm_block, _arm_loop, _arm_call, _arm_vfp, _arm_hint,
    ]  # fmt: skip
    pieces = [rng.choice(makers)(rng) for _ in range(length)]
    pieces += [[0xE3A07000 | rng.choice(_CALLS), 0xEF000000] for _ in range(3)]
    if wild:
        pieces += [
            [rng.randrange(1 << 32) for _ in range(rng.randrange(1, 4))]
            for _ in range(rng.randrange(1, 4))
        ]
        pieces += [
            [rng.choice([0xE12FFF10, 0xE5900000, 0xE7F000F0, 0xE1200070, 0xEF000001, 0xE28F0001])]
        ]
    rng.shuffle(pieces)
    middle = 0xE2888000 | _rotated(RAM + 0x8000 - CODE)
    body = [0xE3A08101, middle, *(word for piece in pieces for word in piece)]  # r8 first
    body.append(0xEA000000 | (-len(body) - 2 & 0xFFFFFF))
    return struct.pack(f"<{len(body)}I", *body)


def _rotated(value: int) -> int:
    """`value` as an ARM modified immediate."""
    for rotation in range(16):
        turned = (value << 2 * rotation | value >> 32 - 2 * rotation) & 0xFFFFFFFF
        if turned < 256:
            return rotation << 8 | turned
    raise ValueError(hex(value))
