"""What a guest may do, case by case: the instruction, and what becomes of it on each architecture.

Every case runs behind two no-ops and before a hypercall, in a loop. Numbers are those of
khs/core/event.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from tests.host.system import CODE, INFO, RAM, Arch

ARMV7, X86, X64 = Arch.ARMV7, Arch.X86, Arch.X64
NOWHERE = 0x30000000


class Kind(IntEnum):
    READ = 1
    WRITE = 2
    EXECUTE = 3
    UNDEFINED = 4
    PRIVILEGED = 5
    DIVIDE = 6
    BREAKPOINT = 7
    TRAP = 8
    ALIGNMENT = 9
    ISA = 10
    ENGINE = 11


@dataclass(frozen=True)
class Fault:
    """`at`: offset of the faulting instruction in the case, or an address; `after`: instructions
    of the case that were carried out before it."""

    kind: Kind
    detail: int = 0
    at: int = 0
    after: int = 0
    address: int = 0


@dataclass(frozen=True)
class Fine:
    """The case counts this many instructions and the guest goes on."""

    ticks: int = 1


@dataclass(frozen=True)
class Wait:
    """The guest idles to the end of its window, then goes on."""


Outcome = Fault | Fine | Wait


@dataclass(frozen=True)
class Case:
    name: str
    arch: Arch
    code: bytes
    outcome: Outcome

    @property
    def id(self) -> str:
        return f"{self.arch.name.lower()}-{self.name.replace(' ', '-')}"


#: x86: sets the trap flag; three instructions, nine bytes.
TRACED = "9c810c24000100009d"

UNDEFINED, GENERAL = Fault(Kind.UNDEFINED), Fault(Kind.PRIVILEGED, 13)
BREAK = Fault(Kind.BREAKPOINT)


def _both(name: str, code: str, outcome: Outcome) -> list[Case]:
    return [Case(name, arch, bytes.fromhex(code), outcome) for arch in (X86, X64)]


def _x86(name: str, code: str, outcome: Outcome) -> list[Case]:
    return [Case(name, X86, bytes.fromhex(code), outcome)]


def _x64(name: str, code: str, outcome: Outcome) -> list[Case]:
    return [Case(name, X64, bytes.fromhex(code), outcome)]


def _arm(name: str, outcome: Outcome, *words: int) -> list[Case]:
    return [Case(name, ARMV7, struct.pack(f"<{len(words)}I", *words), outcome)]


def _u32(value: int) -> str:
    return struct.pack("<I", value).hex()


_X86_CASES = [
    # port input and output: x86's alone, and QEMU checks no privilege for it
    *_both("in al imm", "e410", GENERAL),
    *_both("in eax dx", "ed", GENERAL),
    *_both("out imm al", "e610", GENERAL),
    *_both("out dx eax", "ef", GENERAL),
    *_both("insb", "6c", GENERAL),
    *_both("outsb", "6e", GENERAL),
    *_both("rep insd", "f36d", GENERAL),
    *_both("in after a store", f"b8{_u32(RAM)}31c9ec", Fault(Kind.PRIVILEGED, 13, 7, 2)),
    # clocks and randomness of the host
    *_both("rdtsc", "0f31", GENERAL),
    *_both("rdtscp", "0f01f9", UNDEFINED),
    *_both("rdpmc", "0f33", GENERAL),
    *_both("rdrand", "0fc7f0", UNDEFINED),
    *_both("rdseed", "0fc7f8", UNDEFINED),
    *_x64("rdfsbase", "f3480faec0", UNDEFINED),
    *_both("xgetbv", "0f01d0", UNDEFINED),
    # privileged instructions
    *_both("cli", "fa", GENERAL),
    *_both("sti", "fb", GENERAL),
    *_both("hlt", "f4", GENERAL),
    *_both("mov cr0", "0f22c0", GENERAL),
    *_both("mov from cr0", "0f20c0", GENERAL),
    *_both("mov dr7", "0f23f8", GENERAL),
    *_both("lgdt", "0f0110", GENERAL),
    *_both("lidt", "0f0118", GENERAL),
    *_both("lldt", "0f00d0", GENERAL),
    *_both("ltr", "0f00d8", GENERAL),
    *_both("lmsw", "0f01f0", GENERAL),
    *_both("clts", "0f06", GENERAL),
    *_both("wrmsr", "0f30", GENERAL),
    *_both("rdmsr", "0f32", GENERAL),
    *_both("invd", "0f08", GENERAL),
    *_both("wbinvd", "0f09", GENERAL),
    *_both("invlpg", "0f0138", GENERAL),
    *_x86("sysexit", "0f35", GENERAL),
    *_x64("sysexit", "0f35", UNDEFINED),
    *_x64("sysret", "480f07", UNDEFINED),
    *_both("iret", "83ec40cf", Fault(Kind.PRIVILEGED, 13, 3, 1)),
    *_both("iret of a nested task", "9c810c24004000009dcf", Fault(Kind.PRIVILEGED, 13, 9, 3)),
    *_both("iret without a stack", "31e4cf", Fault(Kind.PRIVILEGED, 13, 2, 1)),
    *_x64("iretq", "48cf", GENERAL),
    *_both("retf", "83ec40cb", Fault(Kind.PRIVILEGED, 13, 3, 1)),
    *_x86("far jump", "ea000000400800", GENERAL),
    *_both("load ds", "b8100000008ed8", Fault(Kind.PRIVILEGED, 13, 5, 1)),
    *_both("load ss", "b8100000008ed0", Fault(Kind.PRIVILEGED, 13, 5, 1)),
    *_both("load null ss", "31c08ed0", Fault(Kind.PRIVILEGED, 13, 2, 1)),
    *_x86("pop ss", "6a0017", Fault(Kind.PRIVILEGED, 13, 2, 1)),
    # ways into a kernel that are not ours
    *_x86("syscall", "0f05", UNDEFINED),
    *_x86("sysenter", "0f34", GENERAL),
    *_x64("sysenter", "0f34", UNDEFINED),
    *_x64("int 0x80", "cd80", Fault(Kind.TRAP, 0x80)),
    *_both("int 0x81", "cd81", Fault(Kind.TRAP, 0x81)),
    *_both("int 13", "cd0d", Fault(Kind.TRAP, 13)),
    *_both("int 14", "cd0e", Fault(Kind.TRAP, 14)),
    *_both("int 0", "cd00", Fault(Kind.TRAP, 0)),
    *_both("int 6", "cd06", Fault(Kind.TRAP, 6)),
    *_both("int 6 prefixed", "662ecd06", Fault(Kind.TRAP, 6)),
    *_both("int 13 prefixed", "2ecd0d", Fault(Kind.TRAP, 13)),
    *_both("int 0x81 after work", "31c02ecd81", Fault(Kind.TRAP, 0x81, 2, 1)),
    *_both("int3 prefixed", "31c02ecc", Fault(Kind.BREAKPOINT, 3, 2, 1)),
    *_both("int1 prefixed", "2ef1", Fault(Kind.BREAKPOINT, 1)),
    *_both("int 1", "cd01", Fault(Kind.TRAP, 1)),
    *_both("int 3", "cd03", Fault(Kind.BREAKPOINT, 3)),
    *_both("int3", "cc", Fault(Kind.BREAKPOINT, 3)),
    *_both("int1", "f1", Fault(Kind.BREAKPOINT, 1)),
    *_x86("into", "b8ffffff7f83c001ce", Fault(Kind.TRAP, 4, 8, 2)),
    *_x86("into prefixed", "b8ffffff7f83c0012ece90", Fault(Kind.TRAP, 4, 8, 2)),
    *_x86("into without overflow", "31c0ce", Fine(2)),
    *_x64("into", "ce", UNDEFINED),
    *_x86("bound", f"bb{_u32(RAM)}83c8ff6203", Fault(Kind.TRAP, 5, 8, 2)),
    *_both("single step", f"{TRACED}9090", Fault(Kind.BREAKPOINT, 1, 10, 4)),
    *_both("single step to a jump's target", f"{TRACED}eb0190", Fault(Kind.BREAKPOINT, 1, 12, 4)),
    *_both("single step to itself", f"{TRACED}ebfe", Fault(Kind.BREAKPOINT, 1, 9, 4)),
    *_both("single step that ends like int 1", f"{TRACED}b80000cd01", Fault(Kind.BREAKPOINT, 1, 14, 4)),
    *_both("single step of int3", f"{TRACED}cc", Fault(Kind.BREAKPOINT, 3, 9, 3)),
    *_both("single step of int1", f"{TRACED}f1", Fault(Kind.BREAKPOINT, 1, 9, 3)),
    *_both("single step of pushf", f"{TRACED}9c", Fault(Kind.BREAKPOINT, 1, 10, 4)),
    *_both("single step of int 1", f"{TRACED}cd01", Fault(Kind.TRAP, 1, 9, 3)),
    *_both("single step of a fault", f"{TRACED}0f0b", Fault(Kind.UNDEFINED, 0, 9, 3)),
    # illegal instructions, and those of later CPUs
    *_both("ud2", "0f0b", UNDEFINED),
    *_both("vmcall", "0f01c1", UNDEFINED),
    *_both("monitor", "0f01c8", UNDEFINED),
    *_both("mwait", "0f01c9", UNDEFINED),
    *_both("rsm", "0faa", UNDEFINED),
    *_both("crc32", "f20f38f1c0", UNDEFINED),
    *_both("lock mov", f"be{_u32(RAM)}f08906", Fault(Kind.UNDEFINED, 0, 5, 1)),
    *_both("lock cmp", f"be{_u32(RAM)}f03906", Fault(Kind.UNDEFINED, 0, 5, 1)),
    *_both("lock cmp immediate", f"be{_u32(RAM)}f0833e01", Fault(Kind.UNDEFINED, 0, 5, 1)),
    *_both("lock add into a register", f"be{_u32(RAM)}f00306", Fault(Kind.UNDEFINED, 0, 5, 1)),
    *_both("lock bt", f"be{_u32(RAM)}f00fa30e", Fault(Kind.UNDEFINED, 0, 5, 1)),
    *_both("lock call", f"be{_u32(RAM)}f0ff16", Fault(Kind.UNDEFINED, 0, 5, 1)),
    *_both("lock nop", "f090", UNDEFINED),
    *_both("lock add register", "f001c8", UNDEFINED),
    *_both("lock xadd register", "f00fc1c8", UNDEFINED),
    *_both("lock xchg register", "662ef087c8", UNDEFINED),
    *_both("lock inc register", "f0ffc0", UNDEFINED),
    *_both("lock hypercall", "f0cd80f00f05", UNDEFINED),
    *_both("lock sse", "f00f58c0", UNDEFINED),
    *_both("movmskps memory", "0f5006", UNDEFINED),
    *_both("movmskpd memory", "660f509000000000", UNDEFINED),
    *_both("psrlw memory", "0f711001", UNDEFINED),
    *_both("pslldq memory", "660f733f01", UNDEFINED),
    *_both("movdq2q memory", "f20fd606", UNDEFINED),
    *_both("movq2dq memory", "f30fd606", UNDEFINED),
    *_both("insertq memory", "f20f78060101", UNDEFINED),
    *_both("extrq memory", "660f78060101", UNDEFINED),
    *_both("avx", "c5f857c0", UNDEFINED),
    *_both("avx after work", "31c0c4e27958c0", Fault(Kind.UNDEFINED, 0, 2, 1)),
    *_x86("lds null", f"be{_u32(RAM)}c506", Fine(2)),
    *_both("too long", "66" * 15 + "90", GENERAL),
    # arithmetic
    *_both("divide by zero", "31c9f7f1", Fault(Kind.DIVIDE, 0, 2, 1)),
    *_both("divide overflow", "31d283caff31c9ffc1f7f1", Fault(Kind.DIVIDE, 0, 9, 4)),
    *_x86("aam 0", "d400", Fault(Kind.DIVIDE)),
    # x87 results that would be those of the host's libm
    *_both("fsin", "d9fe", Fault(Kind.UNDEFINED, 1)),
    *_both("fpatan prefixed", "66d9f3", Fault(Kind.UNDEFINED, 1)),
    *_both("fsin after work", "d9e831c0d9fe", Fault(Kind.UNDEFINED, 1, 4, 2)),
    *_both("fsin inside an immediate", "b8d9fe9090", Fine(1)),
    *_both("fsin jumped into", "eb01b8d9fe", Fault(Kind.UNDEFINED, 1, 3, 1)),
    *_both("fsin behind movmskps", "d9e80f5090d9fe9090", Fault(Kind.UNDEFINED, 0, 2, 1)),
    *_x64("fsin behind a rex dropped", "d9e8482eb811223344d9fe9090", Fault(Kind.UNDEFINED, 1, 9, 2)),
    *_x64("in behind a rex dropped", "486666a979faed", Fault(Kind.PRIVILEGED, 13, 6, 1)),
    *_x64("avx behind a rex dropped", "482eb811223344c5f858c0", Fault(Kind.UNDEFINED, 0, 7, 1)),
    *_both("fsqrt", "d9e8d9fa", Fine(2)),
    # what would abort the CPU engine
    *_both("lock bts register", "f00fabd1", UNDEFINED),
    *_both("lock btr immediate", "f00fbaf101", UNDEFINED),
    *_both("lock bt prefixed", "f0662e0fa3d1", UNDEFINED),
    *_both("lock bt prefixed before", "662ef00fa3d1", UNDEFINED),
    *_x64("lock bt with rex", "f0480fa3d1", UNDEFINED),
    *_x86("lock bt behind dec", "f0480fa3d1", UNDEFINED),
    *_both("lock bts after work", "31c089f10fabd1f00fabd1", Fault(Kind.UNDEFINED, 0, 7, 3)),
    *_both("lock bts hidden", "b8f00fabd1", Fine(1)),
    *_both("lock bts jumped into", "eb01b8f00fabd1", Fault(Kind.UNDEFINED, 0, 3, 1)),
    *_both("bts behind what ends in f0", "89f00fabd1", Fine(2)),
    *_both("lock bts behind pause", "f390f00fabd1", Fault(Kind.UNDEFINED, 0, 2, 1)),
    *_both("lock bts that is too long", "66" * 12 + "f00fabd1", GENERAL),
    *_both("lock bts memory", f"be{_u32(RAM)}31c9f00fab0e", Fine(3)),
    # allowed
    *_x64("rex before another prefix", "482eb811223344", Fine()),
    *_x64("rex before operand size", "486666a979fa", Fine()),
    *_both("movdq2q", "f20fd6c1", Fine()),
    *_both("psrlw", "0f71d001", Fine()),
    *_both("lock memory", f"be{_u32(RAM)}f0010ef0830601f0ff06f0f71ef00fc10ef00fb10ef0871ef00fba2e01", Fine(9)),
    *_both("lock cmpxchg8b", f"be{_u32(RAM)}f00fc70e", Fine(2)),
    *_both("pause", "f390", Fine()),
    *_both("cpuid", "0fa2", Fine()),
    *_both("endbr", "f30f1efa", Fine()),
    *_both("sgdt", f"be{_u32(RAM)}0f0106", Fine(2)),
    *_both("popf of every privileged bit", "9c810c24007018009d9c58", Fine(5)),
    *_both("popf of the alignment check", f"9c810c24000004009dbb{_u32(RAM + 1)}8b038903", Fine(6)),
    *_both("verr verw lar lsl", "b9230000000f00e10f00e90f02c10f03c1", Fine(5)),
    *_both("sldt str smsw", "0f00c00f00c80f01e0", Fine(3)),
    *_both("load null ds", "31c08ed8", Fine(2)),
    *_both("mfence", "0faef0", Fine()),
    *_both("rep movsb", f"be{_u32(RAM)}bf{_u32(RAM + 64)}b905000000f3a4", Fine(3 + 6)),
    # memory
    *_both("write code", f"bb{_u32(CODE)}8903", Fault(Kind.WRITE, 1, 5, 1, CODE)),
    *_both("write start info", f"bb{_u32(INFO)}8903", Fault(Kind.WRITE, 1, 5, 1, INFO)),
    *_both("read nowhere", f"bb{_u32(NOWHERE)}8b03", Fault(Kind.READ, 0, 5, 1, NOWHERE)),
    *_both("write nowhere", f"bb{_u32(NOWHERE)}8903", Fault(Kind.WRITE, 0, 5, 1, NOWHERE)),
    *_both("jump nowhere", f"b8{_u32(NOWHERE)}ffe0", Fault(Kind.EXECUTE, 0, NOWHERE, 2, NOWHERE)),
    *_both("jump to data", f"b8{_u32(RAM)}ffe0", Fault(Kind.EXECUTE, 1, RAM, 2, RAM)),
    *_both("jump to 0", "31c0ffe0", Fault(Kind.EXECUTE, 0, 0, 2, 0)),
    *_both("call nowhere", f"b8{_u32(NOWHERE)}ffd0", Fault(Kind.EXECUTE, 0, NOWHERE, 2, NOWHERE)),
    *_both("store over the end", f"bb{_u32(RAM + 0xFFFE)}8903", Fault(Kind.WRITE, 0, 5, 1, RAM + 0x10000)),
    *_both("read behind a long block", f"bb{_u32(NOWHERE)}{'31c0' * 40}8b03", Fault(Kind.READ, 0, 85, 41, NOWHERE)),
    *_x64("read behind a rex dropped", f"482eb811223344909090bb{_u32(NOWHERE)}8b03", Fault(Kind.READ, 0, 15, 5, NOWHERE)),
    *_both("long double nowhere", f"d9e8bb{_u32(NOWHERE)}db3b", Fault(Kind.WRITE, 0, 7, 2, NOWHERE)),
    *_x64("read at the top", "4831db48ffcb8a03", Fault(Kind.READ, 0, 6, 2, (1 << 64) - 1)),
    *_x64("read far above own memory", f"48bb{_u32(RAM)}000000808a03", Fault(Kind.READ, 0, 10, 1, RAM | 1 << 63)),
    *_x64("write far above own memory", f"48bb{_u32(RAM)}000010008803", Fault(Kind.WRITE, 0, 10, 1, RAM | 1 << 52)),
]  # fmt: skip

_NOP, _SVC = 0xE1A00000, 0xEF000000
_IN_RAM = (0xE3A00101, 0xE2800601)  # r0 = RAM
# strex r2, r1, [r0], and svc #1 if it failed or did not
_STORED, _NOT_STORED = ((0xE1802F91, 0xE3520000 | failed, 0x1F000001) for failed in (0, 1))
_ARM_CASES = [
    *_arm("thumb by bx", Fault(Kind.ISA, 0, 8, 2, CODE + 16), 0xE28F0001, 0xE12FFF10, _NOP),
    *_arm("thumb by blx", Fault(Kind.ISA, 0, 8, 1, CODE + 16), 0xFA000000, _NOP, _NOP),
    *_arm("thumb by ldr pc", Fault(Kind.ISA, 0, 12, 1, CODE + 20), 0xE59FF000, _NOP, CODE + 21, _NOP),
    *_arm("odd by two", Fault(Kind.ALIGNMENT, 0, 10, 2, CODE + 18), 0xE28F0002, 0xE12FFF10, _NOP),
    *_arm("svc 1", Fault(Kind.TRAP, 1), 0xEF000001),
    *_arm("svc 0x123456", Fault(Kind.TRAP, 0x123456), 0xEF123456),
    *_arm("bkpt", BREAK, 0xE1200070),
    *_arm("udf", UNDEFINED, 0xE7F000F0),
    *_arm("sdiv", UNDEFINED, 0xE730F110),
    *_arm("smc", UNDEFINED, 0xE1600070),
    *_arm("hvc", UNDEFINED, 0xE1400070),
    *_arm("wfi", Wait(), 0xE320F003),
    *_arm("wfi not taken", Fine(), 0x0320F003),
    *_arm("wfe", Fine(), 0xE320F002),
    *_arm("wfe udf", Fault(Kind.UNDEFINED, 0, 4, 1), 0xE320F002, 0xE7F000F0),
    *_arm("udf behind wfe", Fault(Kind.UNDEFINED, 0, 8, 1), 0xEA000000, 0xE320F002, 0xE7F000F0),
    *_arm("yield", Fine(), 0xE320F001),
    *_arm("sev", Fine(), 0xE320F004),
    *_arm("cps", Fine(), 0xF10C0080),
    *_arm("cps to supervisor", Fine(), 0xF1020013),
    *_arm("msr cpsr", Fine(), 0xE321F013),
    *_arm("msr spsr", UNDEFINED, 0xE361F013),
    *_arm("mrs spsr", UNDEFINED, 0xE14F0000),
    *_arm("read sctlr", UNDEFINED, 0xEE110F10),
    *_arm("write ttbr0", UNDEFINED, 0xEE020F10),
    *_arm("read cycle counter", UNDEFINED, 0xEE190F1D),
    *_arm("read generic timer", UNDEFINED, 0xEC510F1E),
    *_arm("read fpexc", UNDEFINED, 0xEEF80A10),
    *_arm("rfe", UNDEFINED, 0xF8BD0A00),
    *_arm("srs", UNDEFINED, 0xF96D0513),
    *_arm("ldm user", UNDEFINED, 0xE8FD8000),
    *_arm("subs pc", UNDEFINED, 0xE25EF004),
    *_arm("own thread register", Fine(2), 0xEE0D0F50, 0xEE1D0F50),
    *_arm("setend", Fine(2), 0xF1010200, 0xF1010000),
    *_arm("vadd", Fine(), 0xEE300A20),
    *_arm("neon", Fine(), 0xF2000800),
    *_arm("exclusive not aligned", Fault(Kind.ALIGNMENT, 0, 8, 2, CODE + 1), 0xE3A00101, 0xE2800001, 0xE1901F9F),
    *_arm("two exclusive not aligned", Fault(Kind.ALIGNMENT, 0, 8, 2, CODE + 4), 0xE3A01101, 0xE2811004, 0xE1B12F9F),
    *_arm("half exclusive not aligned", Fault(Kind.ALIGNMENT, 0, 8, 2, CODE + 1), 0xE3A00101, 0xE2800001, 0xE1F01F9F),
    *_arm("byte exclusive", Fine(3), 0xE3A00101, 0xE2800001, 0xE1D01F9F),
    *_arm("exclusive", Fine(7), *_IN_RAM, 0xE1901F9F, 0xE2811001, *_STORED),
    *_arm("exclusive cleared", Fine(7), *_IN_RAM, 0xE1901F9F, 0xF57FF01F, *_NOT_STORED),
    *_arm("exclusive that was another", Fine(9), *_IN_RAM, 0xE1901F9F, 0xE2813001, 0xE5803000, 0xE5801000, *_STORED),
    *_arm("exclusive that is another", Fine(8), *_IN_RAM, 0xE1901F9F, 0xE2813001, 0xE5803000, *_NOT_STORED),
    *_arm("exclusive store alone", Fine(5), *_IN_RAM, *_NOT_STORED),
    *_arm("exclusive store not aligned", Fine(6), *_IN_RAM, 0xE2800001, *_NOT_STORED),
    *_arm("svc 1 not taken", Fine(2), 0xE1500000, 0x1F000001),
    *_arm("svc 1 taken", Fault(Kind.TRAP, 1, 4, 1), 0xE1500000, 0x0F000001),
    *_arm("svc 0 not taken", Fine(2), 0xE1500000, 0x1F000000),
    *_arm("bkpt behind work", Fault(Kind.BREAKPOINT, 0, 4, 1), 0xE1500000, 0xE1200070),
    *_arm("write code", Fault(Kind.WRITE, 1, 4, 1, CODE), 0xE3A00101, 0xE5801000),
    *_arm("write start info", Fault(Kind.WRITE, 1, 4, 1, INFO), 0xE3A0044F, 0xE5801000),
    *_arm("read nowhere", Fault(Kind.READ, 0, 4, 1, NOWHERE), 0xE3A00203, 0xE5901000),
    *_arm("write nowhere", Fault(Kind.WRITE, 0, 4, 1, NOWHERE), 0xE3A00203, 0xE5801000),
    *_arm("jump nowhere", Fault(Kind.EXECUTE, 0, NOWHERE, 2, NOWHERE), 0xE3A00203, 0xE12FFF10),
    *_arm("jump to data", Fault(Kind.EXECUTE, 1, INFO, 2, INFO), 0xE3A0044F, 0xE12FFF10),
    *_arm("jump to 0", Fault(Kind.EXECUTE, 0, 0, 2, 0), 0xE3A00000, 0xE12FFF10),
    *_arm("load many over the end", Fault(Kind.READ, 0, 12, 3, RAM + 0x10000), 0xE3A00101, 0xE2800811, 0xE2400004, 0xE8B000F0),
]  # fmt: skip

CASES = _X86_CASES + _ARM_CASES
