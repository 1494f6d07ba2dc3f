"""Memory rights hold also for pages that the guest has just used in another way."""

from __future__ import annotations

import pytest

from tests.host.assemble import assemble
from tests.host.cases import Kind
from tests.host.system import CODE, INFO, LOG, PAGE, RAM, SHARED, Arch, Partition, R, Region, W, X
from tests.host.test_hostile import FAULT, trace

USES = {
    Arch.ARMV7: {
        "read": "ldr r2, [r1]",
        "write": "str r2, [r1]",
        "execute": "blx r1",
        "address": "movw r1, #{low}\n movt r1, #{high}",
        "return": 0xE12FFF1E.to_bytes(4, "little"),
    },
    Arch.X86: {
        "read": "mov edx, [ecx]",
        "write": "mov [ecx], edx",
        "execute": "call ecx",
        "address": "mov ecx, {address}",
        "return": b"\xc3",
    },
    Arch.X64: {
        "read": "mov rdx, [rcx]",
        "write": "mov [rcx], rdx",
        "execute": "call rcx",
        "address": "mov ecx, {address}",
        "return": b"\xc3",
    },
}
KINDS = {"read": Kind.READ, "write": Kind.WRITE, "execute": Kind.EXECUTE}
ALLOWED = {R: ["read"], R | W: ["read", "write"], R | X: ["read", "execute"]}


def program(arch: Arch, address: int, first: list[str], then: str) -> bytes:
    uses = USES[arch]
    point = uses["address"]
    assert isinstance(point, str)
    lines = [point.format(address=address, low=address & 0xFFFF, high=address >> 16)]
    lines += [str(uses[use]) for use in [*first, *first, then]]
    return assemble(arch, "\n".join(lines))


@pytest.mark.parametrize("window", [200, 2])
@pytest.mark.parametrize("then", KINDS)
@pytest.mark.parametrize("rights", ALLOWED)
@pytest.mark.parametrize("arch", Arch)
def test_rights(arch: Arch, rights: int, then: str, window: int) -> None:
    code = program(arch, SHARED + 64, ALLOWED[rights], then)
    data = USES[arch]["return"]
    assert isinstance(data, bytes)
    region = Region("r", SHARED, rights, data=bytes(64) + data)
    seen = trace(arch, Partition(code, action=LOG, regions=(region,)), window, 200)
    faults = [event for event in seen if event.type == FAULT]
    if then in ALLOWED[rights]:
        # whatever comes behind the program is not code it would survive, but it got there
        assert all(fault.args[0] >= CODE + len(code) for fault in faults)
        return
    assert [(fault.code, fault.args[1], fault.args[2]) for fault in faults] == [
        (KINDS[then], SHARED + 64, 1)
    ]


@pytest.mark.parametrize("arch", Arch)
def test_own_code_and_start_info(arch: Arch) -> None:
    for address in (CODE, INFO):
        seen = trace(arch, Partition(program(arch, address, ["read"], "write"), action=LOG), 60)
        assert [(event.code, event.args[1:]) for event in seen] == [(Kind.WRITE, (address, 1))]


@pytest.mark.parametrize("arch", Arch)
def test_the_stack_is_not_code(arch: Arch) -> None:
    code = program(arch, RAM + PAGE, ["write", "read"], "execute")
    seen = trace(arch, Partition(code, action=LOG), 60)
    assert [(event.code, event.args) for event in seen] == [
        (Kind.EXECUTE, (RAM + PAGE, RAM + PAGE, 1))
    ]
