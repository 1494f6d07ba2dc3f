"""An access happens at the tick of its instruction, wherever windows end, and nobody else makes it."""

from __future__ import annotations

import pytest

from khs.abi.hypercalls import HYPERCALLS
from khs.engine.device import Adapter
from khs.engine.native import Host
from khs.engine.structures import HostDevice
from tests.hil.bench import NONE, PORT, WINDOW, Notebook, Played, place, play
from tests.host.assemble import assemble
from tests.host.cases import Kind
from tests.host.system import CODE, RAM, Arch, Partition, System, build, policy
from tests.host.test_hostile import FAULT, events
from tests.host.windows import cut

ARCHS = list(Arch)

#: A loop of 12 ticks with 4 accesses at known places, in one block and in another.
LOOP = {
    Arch.ARMV7: f"""
        ldr r1, ={WINDOW}
        mov r4, #0
    1:  ldr r0, [r1]
        add r4, r4, r0
        str r4, [r1, #4]
        nop
        ldrb r0, [r1, #2]
        cmp r4, #0
        beq 1b
        strh r0, [r1, #6]
        nop
        nop
        nop
        b 1b
        .ltorg""",
}
LOOP[Arch.X86] = LOOP[Arch.X64] = f"""
        mov edx, {PORT}
        mov ecx, 1
    1:  in eax, dx
        add ecx, eax
        add dl, 4
        out dx, eax
        sub dl, 2
        in al, dx
        test ecx, ecx
        je 1b
        add dl, 4
        out dx, ax
        sub dl, 6
        jmp 1b"""
#: Where in the loop's ticks the accesses are.
PLACES = {Arch.ARMV7: (0, 2, 4, 7), Arch.X86: (0, 3, 5, 9), Arch.X64: (0, 3, 5, 9)}
LENGTH = {Arch.ARMV7: 12, Arch.X86: 12, Arch.X64: 12}


def accesses(played: Played) -> list[int]:
    return [row[0] for row in played.rows if row[1] != "advance"]


@pytest.mark.parametrize("arch", ARCHS)
def test_ticks_are_those_of_the_instructions(arch: Arch) -> None:
    ticks = accesses(play(arch, LOOP[arch], [700]))
    turns = range(2, 700, LENGTH[arch])
    assert ticks == [turn + at for turn in turns for at in PLACES[arch] if turn + at < 700]


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("window", [*range(1, 14), 29, 100, 333])
def test_windows_change_nothing(arch: Arch, window: int) -> None:
    whole = play(arch, LOOP[arch], [700])
    assert len(whole.rows) > 200
    assert play(arch, LOOP[arch], cut(700, window)) == whole


@pytest.mark.parametrize("arch", ARCHS)
def test_coming_back_changes_nothing(arch: Arch) -> None:
    whole = play(arch, LOOP[arch], [700])
    assert play(arch, LOOP[arch], [700], until=range(1, 700, 7)) == whole


#: Attaches a handler, asks for an event, and counts meanwhile. The handler reads, and quits it.
HANDLER = {
    Arch.ARMV7: f"""
        mov r7, #{{attach}}
        adr r0, handler
        mov r1, #0
        svc #0
        ldr r6, ={WINDOW}
    1:  mov r5, #{{after}}
        str r5, [r6, #4]
        mov r4, #0
    2:  add r4, r4, #1
        cmp r4, #40
        bne 2b
        b 1b
    handler:
        ldr r6, ={WINDOW}
        ldr r0, [r6]
        mov r0, #0
        str r0, [r6]
        mov r7, #{{back}}
        svc #0
        .ltorg""",
    Arch.X86: f"""
        jmp main
    handler:
        mov edx, {PORT}
        in eax, dx
        xor eax, eax
        out dx, eax
        mov eax, {{back}}
        int 0x80
    main:
        mov eax, {{attach}}
        mov ebx, {CODE + 2}
        xor ecx, ecx
        int 0x80
    1:  mov edx, {PORT + 4}
        mov eax, {{after}}
        out dx, eax
        xor ecx, ecx
    2:  inc ecx
        cmp ecx, 40
        jne 2b
        jmp 1b""",
    Arch.X64: f"""
        mov eax, {{attach}}
        lea rdi, [rip + handler]
        xor esi, esi
        syscall
    1:  mov edx, {PORT + 4}
        mov eax, {{after}}
        out dx, eax
        xor ebx, ebx
    2:  inc ebx
        cmp ebx, 40
        jne 2b
        jmp 1b
    handler:
        mov edx, {PORT}
        in eax, dx
        xor eax, eax
        out dx, eax
        mov eax, {{back}}
        syscall""",
}


def handled(arch: Arch, after: int) -> str:
    numbers = {call.name: call.number for call in HYPERCALLS}
    return HANDLER[arch].format(
        attach=numbers["khs_interrupt_attach"], back=numbers["khs_interrupt_return"], after=after
    )


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 50, 119])
def test_an_interrupt_comes_at_its_tick(arch: Arch, after: int) -> None:
    """The event is at its very tick, and the handler's first access some instructions behind it."""
    rows = play(arch, handled(arch, after), [3000]).rows
    assert len(rows) > 20
    asked = [row[0] for row in rows if row[1:3] == ("w", 4)]
    events = [row[0] for row in rows if row[1] == "advance"]
    reads = [row[0] for row in rows if row[1] == "r"]
    assert events[0] == asked[0] + max(after, 1)
    # `ldr`, `mov` before the read; `after` may lie behind the next request, which replaces it
    assert reads[0] == events[0] + 1


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("after", [0, 1, 3, 50, 119])
@pytest.mark.parametrize("window", [1, 2, 3, 7, 61])
def test_windows_change_no_interrupt(arch: Arch, after: int, window: int) -> None:
    source = handled(arch, after)
    assert play(arch, source, cut(1500, window)) == play(arch, source, [1500])


#: Accesses one behind the other, which ask for an event each turn; to be put where HANDLER counts.
TIGHT = {
    Arch.ARMV7: "str r5, [r6, #4]\nldr r0, [r6]\nldrh r0, [r6, #2]\nldr r0, [r6]\nldrb r0, [r6]",
    Arch.X86: "out dx, eax\nin eax, dx\nin ax, dx\nin al, dx\nin ax, dx\nin al, dx",
}
TIGHT[Arch.X64] = TIGHT[Arch.X86]


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("window", [1, 2, 3, 7, 61])
def test_accesses_one_behind_the_other(arch: Arch, after: int, window: int) -> None:
    """Wherever among them an interrupt comes."""
    lines = handled(arch, after).splitlines()
    [loop] = [number for number, line in enumerate(lines) if "2:" in line]
    lines[loop : loop + 3] = [TIGHT[arch]]
    source = "\n".join(lines)
    whole = play(arch, source, [1500])
    assert sum(row[1] == "advance" for row in whole.rows) > 50
    assert sum(row[1] == "r" for row in whole.rows) > 200
    assert play(arch, source, cut(1500, window)) == whole


@pytest.mark.parametrize("window", [1, 2, 300])
def test_a_misaligned_access_comes_as_aligned_ones(window: int) -> None:
    source = f"ldr r1, ={WINDOW}\n1: ldrh r0, [r1, #3]\nstrh r0, [r1, #5]\nb 1b\n.ltorg"
    rows = play(Arch.ARMV7, source, cut(300, window)).rows
    turns = [rows[at : at + 4] for at in range(0, 40, 4)]
    assert [[row[1:4] for row in turn] for turn in turns] == 10 * [
        [("r", 2, 2), ("r", 4, 2), ("w", 5, 1), ("w", 6, 1)]
    ]
    assert [[row[0] for row in turn] for turn in turns] == [
        [tick, tick, tick + 1, tick + 1] for tick in range(1, 31, 3)
    ]


#: What is no access: whatever lies beyond the device.
WRONG = [
    (Arch.ARMV7, f"ldr r1, ={WINDOW}\nldr r0, [r1]\nldr r0, [r1, #8]\n.ltorg", "READ", WINDOW + 8),
    (
        Arch.ARMV7,
        f"ldr r1, ={WINDOW}\nldr r0, [r1]\nstr r0, [r1, #4092]\n.ltorg",
        "WRITE",
        WINDOW + 4092,
    ),
    (Arch.X86, f"mov edx, {PORT}\nin al, dx\nadd edx, 8\nin al, dx", "PRIVILEGED", 0),
    (Arch.X86, f"mov edx, {PORT}\nin al, dx\nadd edx, 6\nin eax, dx", "PRIVILEGED", 0),
    (Arch.X64, f"mov edx, {PORT}\nin al, dx\ndec edx\nout dx, al", "PRIVILEGED", 0),
    (Arch.X64, f"mov edx, {PORT}\nin al, dx\ninsb", "PRIVILEGED", 0),
]
END = {Arch.ARMV7: "1: b 1b", Arch.X86: "1: jmp 1b", Arch.X64: "1: jmp 1b"}


@pytest.mark.parametrize(("arch", "source", "kind", "address"), WRONG)
@pytest.mark.parametrize("window", [1, 2, 300])
def test_what_is_no_access_faults(
    arch: Arch, source: str, kind: str, address: int, window: int
) -> None:
    body, literals, _ = source.partition("\n.ltorg")
    played = play(arch, f"{body}\n{END[arch]}{literals}", cut(300, window))
    assert played.faults > 3
    assert {row[2:4] for row in played.rows} == {(0, 4 if arch is Arch.ARMV7 else 1)}
    faults = [event for event in events(played.trace) if event.type == FAULT]
    assert {(Kind(fault.code).name, fault.args[1]) for fault in faults} == {(kind, address)}


@pytest.mark.parametrize("arch", ARCHS)
def test_nobody_else_reaches_it(arch: Arch) -> None:
    """The same program in two partitions, of which one owns the device."""
    code = assemble(arch, LOOP[arch])
    model = Notebook()
    with Host(*build(System(arch, [Partition(code), Partition(code)])), [policy()]) as host:
        adapter = Adapter(host, "guest.device", model)
        assert host.add_device(place(arch, 1), adapter.calls) == 0
        host.boot()
        host.run(3)
        assert [host.view(n).faults for n in (0, 1)] == [1, 0]
        assert len(model.rows) > 100


@pytest.mark.parametrize(
    "where",
    [
        HostDevice(0, 1, False, 3, CODE, 4096),
        HostDevice(0, 1, False, 3, RAM + 0x8000, 16),
        HostDevice(1, 1, False, 3, WINDOW, 16),
        HostDevice(0, 1, False, 32, WINDOW, 16),
        HostDevice(0, 1, False, 31, WINDOW, 16, 0, 1),
        HostDevice(0, 1, False, 3, WINDOW, 16, 0, (1 << 32) - 1),
        HostDevice(0, 1, False, NONE, WINDOW, 16, 0, 1),
        HostDevice(0, 1, False, 3, WINDOW, 0),
        HostDevice(0, 1, False, 3, (1 << 32) - 8, 16),
        HostDevice(0, 1, True, 3, PORT, 8),
        HostDevice(0, 99, False, 3, WINDOW, 16),
        HostDevice(0, 0, False, 3, WINDOW, 16),
    ],
)
def test_a_device_has_its_place(where: HostDevice) -> None:
    with Host(*build(System(Arch.ARMV7, [Partition(bytes(4))])), [policy()]) as host:
        assert host.add_device(where) is None
        assert host.add_device(HostDevice(0, 1, False, NONE, WINDOW, 16)) == 0
        assert host.add_device(HostDevice(0, 1, False, NONE, WINDOW + 32, 16)) is None


def test_ports_are_one_device_s() -> None:
    with Host(
        *build(System(Arch.X86, [Partition(bytes(4)), Partition(bytes(4))])), [policy()]
    ) as host:
        assert host.add_device(HostDevice(0, 2, True, NONE, PORT, 8)) == 0
        assert host.add_device(HostDevice(0, 2, True, NONE, PORT + 7, 8)) is None
        assert host.add_device(HostDevice(0, 2, True, NONE, PORT + 8, 8)) == 1
        assert host.add_device(HostDevice(1, 2, True, NONE, PORT, 8)) == 2


#: Instructions that read, write, or both, and what comes of their flags, with a device in memory.
MEMORY = [
    "mov eax, [{r}]\nadd ecx, eax",
    "add [{r} + 4], ecx\nadc ecx, 0",
    "shl dword ptr [{r}], 1\nadc ecx, 1",
    "cmp ecx, 5\nsetb byte ptr [{r} + 3]\nadc ecx, 0",
    "xchg eax, [{r}]",
    "lock xadd [{r}], ecx",
    "inc word ptr [{r} + 2]\nsetz al",
    "mov ecx, 3\nmov {s}, {r}\nmov {d}, {ram}\nrep movsb\nlahf",
    "push [{r}]\npop {p}",
    "bt dword ptr [{r}], 3\nsetc cl",
    "movd xmm0, [{r}]\nmovd [{r} + 4], xmm0",
]


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
@pytest.mark.parametrize("number", range(len(MEMORY)))
def test_a_device_in_memory_on_x86(arch: Arch, number: int) -> None:
    wide = arch is Arch.X64
    names = {
        "r": "rbx" if wide else "ebx",
        "s": "rsi" if wide else "esi",
        "d": "rdi" if wide else "edi",
        "p": "rax" if wide else "eax",
        "ram": RAM + 0x100,
    }
    body = MEMORY[number].format(**names)
    source = f"1: mov ebx, {WINDOW}\ncmp ecx, 7\n{body}\nnop\njmp 1b"
    where = HostDevice(0, 0, False, 3, WINDOW, 8)
    whole = play(arch, source, [600], where=where)
    assert len(whole.rows) > 50
    assert whole.faults == 0
    for window in (1, 2, 3, 7, 50):
        assert play(arch, source, cut(600, window), where=where) == whole
