"""Faults that explain themselves: the attack on the gateway, on every architecture."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from khs import runs
from khs.config.model import Arch
from khs.debug.fault import CALLS, Explained, explain
from khs.debug.program import COUNTER, REGISTERS, STACK, Program
from khs.debug.stops import Cause
from khs.debug.target import Target
from khs.debug.unwind import Unwinder
from khs.errors import KhsError
from khs.image import open_system
from khs.resources import shipped
from khs.runs import Plan
from khs.trace.kinds import FaultKind

SYSTEM = shipped("images") / "iot-gateway" / "system.toml"
ATTACK = SYSTEM.with_name("attack.toml")
BOARDS = ("sabrelite", "q35", "pc")
#: What the lines of the frames of carry_out, handle and main say.
CALLED = ("run(", "carry_out(", "handle(")

Ask = Callable[[int], Explained]


@pytest.fixture(scope="module", params=BOARDS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return runs.plan(open_system(SYSTEM, [ATTACK], request.param), frames=96)


@pytest.fixture(scope="module")
def faults(plan: Plan) -> list[Explained]:
    """The attack's three."""
    return [explain(plan, SYSTEM, number) for number in (1, 2, 3)]


class TestAttack:
    def test_the_state_is_that_of_the_instruction(
        self, plan: Plan, faults: list[Explained]
    ) -> None:
        counter = REGISTERS[arch(plan)][COUNTER[arch(plan)]]
        for told in faults:
            assert told.registers[counter] == told.fault.pc == told.backtrace[0].address
            assert told.fault.pc in {each.address for each in told.code}

    def test_what_was_done(self, faults: list[Explained]) -> None:
        read, write, execute = faults
        assert [told.fault.fault for told in faults] == [
            FaultKind.READ, FaultKind.WRITE, FaultKind.EXECUTE,
        ]  # fmt: skip
        assert (read.frame, write.frame, execute.frame) == (75, 85, 95)
        assert "cold-restart" in read.health
        assert "idle-partition" in execute.health
        for told in (read, write):
            place = told.backtrace[0].place
            assert place is not None
            assert place.file == "partitions/sdk/src/memory.c"
            text = (shipped("partitions").parent / place.file).read_text().splitlines()
            assert told.source == text[place.line - 1].strip() != ""

    def test_the_region_that_was_hit_or_missed(self, faults: list[Explained]) -> None:
        read, write, execute = faults
        assert read.region is None
        assert read.below is None
        assert read.above is not None
        assert (read.above.name, read.above.rights) == ("gateway/code", "rx")
        assert write.access() == (
            "write of 0x50001000 hits no region: "
            "right behind capture (0x50000000 to 0x50001000, rw)"
        )
        assert execute.access() == (
            "execute of 0x50000080 hits capture (0x50000000 to 0x50001000, rw)"
        )

    def test_the_backtrace(self, plan: Plan, faults: list[Explained]) -> None:
        for told in faults[:2]:
            names = [frame.symbol.partition("+")[0] for frame in told.backtrace]
            assert names[:5] == ["copy", "memcpy", "carry_out", "handle", "main"]
            assert not told.guessed
            text = (shipped("partitions") / "gateway" / "main.c").read_text().splitlines()
            # A pointer out of the attack's message, and who calls whom.
            for frame, part in zip(told.backtrace[2:5], CALLED, strict=True):
                assert frame.place is not None
                assert frame.place.file == "partitions/gateway/main.c"
                assert part in text[frame.place.line - 1]
                assert frame.address == told.backtrace[4].address
            if arch(plan) is Arch.ARMV7:
                assert told.end == "it never returns, and does not keep who called it"
            else:
                assert names[5:] == ["khs_begin"]
        assert faults[2].guessed
        assert faults[2].backtrace[0].symbol == ""

    def test_the_last_hypercalls(self, plan: Plan, faults: list[Explained]) -> None:
        for told in faults:
            assert len(told.calls) == CALLS
            assert {call.partition for call in told.calls} == {told.fault.partition}
            assert all(call.tick <= told.fault.tick for call in told.calls)
        assert faults[0].calls[-1].number == 18  # the journal's entry about the step before

    def test_there_are_no_more(self, plan: Plan) -> None:
        with pytest.raises(KhsError, match="the run has 3 faults, no number 4"):
            explain(plan, SYSTEM, 4)


def arch(plan: Plan) -> Arch:
    return Arch[str(plan.archive.manifest["arch"]).upper()]


class TestStacks:
    @pytest.fixture(scope="class")
    @staticmethod
    def deep(plan: Plan) -> Iterator[tuple[Target, Unwinder, int]]:
        """Where the gateway writes its first answer: several calls deep."""
        gateway = plan.archive.names["partitions"].index("gateway")
        program = Program(arch(plan), plan.archive.elfs["gateway"])
        with Target(plan) as target:
            target.set_breakpoints(gateway, frozenset(program.find("memcpy")))
            assert target.go().cause is Cause.BREAKPOINT
            target.step(gateway)
            yield target, Unwinder(program), gateway

    def test_from_the_inside_out(self, plan: Plan, deep: tuple[Target, Unwinder, int]) -> None:
        target, unwinder, gateway = deep
        program = Program(arch(plan), plan.archive.elfs["gateway"])
        found = unwinder.trace(target.registers(gateway), lambda a, n: target.read(gateway, a, n))
        names = [program.symbol(each).partition("+")[0] for each in found.addresses]
        assert names[0] == "memcpy"
        assert "main" in names
        assert "" not in names

    @pytest.mark.parametrize("seed", range(12))
    def test_an_overwritten_stack_tells_no_fairy_tale(
        self, seed: int, plan: Plan, deep: tuple[Target, Unwinder, int]
    ) -> None:
        """Garbage leads to an end with a reason, never to an address that no call returns to."""
        target, unwinder, gateway = deep
        registers, rng = target.registers(gateway), random.Random(seed)
        stack = registers[STACK[arch(plan)]]
        code = [address for address, _, _ in unwinder._program.functions]

        def read(address: int, size: int) -> bytes:
            if stack <= address < 0x4800_0000:
                word = rng.choice([0x41414141, rng.randrange(1 << 32), rng.choice(code) + 4])
                return word.to_bytes(8, "little")[:size].ljust(size, b"\0")
            return target.read(gateway, address, size)

        found = unwinder.trace(registers, read)
        assert len(found.addresses) <= 64
        if arch(plan) is not Arch.ARMV7:
            assert found.end
        for each in found.addresses[1:]:
            assert unwinder._follows_call(each, read)

    def test_the_first_address_that_is_wrong_is_named(
        self, plan: Plan, deep: tuple[Target, Unwinder, int]
    ) -> None:
        target, unwinder, gateway = deep
        registers = target.registers(gateway)
        stack, size = registers[STACK[arch(plan)]], 4 if arch(plan) is not Arch.X64 else 8

        def read(address: int, count: int) -> bytes:
            if stack <= address < stack + 64:
                return (0x4141_4141).to_bytes(size, "little")[:count]
            return target.read(gateway, address, count)

        told = unwinder.trace(registers, read).end
        assert told == (
            "the next return address, 0x41414141, lies in no function: the stack was overwritten"
        )

    def test_a_stack_pointer_into_nowhere(
        self, plan: Plan, deep: tuple[Target, Unwinder, int]
    ) -> None:
        target, unwinder, gateway = deep
        registers = list(target.registers(gateway))
        registers[STACK[arch(plan)]] = 0x1000
        told = unwinder.trace(registers, lambda a, n: target.read(gateway, a, n))
        assert re.fullmatch("the stack at 0x1[0-9a-f]* cannot be read", told.end), told

    @pytest.mark.parametrize("seed", range(12))
    def test_damaged_frame_information(
        self, seed: int, plan: Plan, deep: tuple[Target, Unwinder, int]
    ) -> None:
        target, _, gateway = deep
        rng = random.Random(seed)
        data = bytearray(plan.archive.elfs["gateway"])
        for _ in range(300):
            data[rng.randrange(len(data))] = rng.randrange(256)
        unwinder = Unwinder(Program(arch(plan), bytes(data)))
        unwinder.trace(target.registers(gateway), lambda a, n: target.read(gateway, a, n))


def khs(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "khs", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class TestCommand:
    def test_in_words(self) -> None:
        done = khs("explain", "iot-gateway", "--with", "attack.toml", "--fault", 2)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0] == (
            "gateway, at 1711.005304 ms, frame 85: write of 0x50001000: nothing is mapped there, "
            "at pc 0x40000180 (memcpy+0x80)"
        )
        assert "partitions/sdk/src/memory.c:18  *(word *)d = *(const word *)s;" in lines
        assert any(line.startswith("  ▶ 40000180  ") for line in lines)
        assert "  #2  40001664  carry_out  partitions/gateway/main.c:86" in lines
        assert "  #4  40001664  main+0x140  partitions/gateway/main.c:117" in lines
        assert sum(" khs_" in line for line in lines) == CALLS

    def test_of_a_recording(self, tmp_path: Path) -> None:
        kept = tmp_path / "kept"
        ran = khs("run", "iot-gateway", "--with", "attack.toml", "--frames", 80, "--record", kept)
        assert "khs explain SYSTEM --fault N" in ran.stdout
        done = khs("explain", kept, "--fault", 1, "--json")
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert told["fault"]["partition"] == "gateway"
        assert told["above"]["name"] == "gateway/code"
        assert told["registers"]["pc"] == told["fault"]["pc"] == told["place"]["address"]
        assert told["place"]["file"] == "partitions/sdk/src/memory.c"
        assert len(told["hypercalls"]) == CALLS
        same = khs("explain", "iot-gateway", "--with", "attack.toml", "--fault", 1, "--json")
        assert json.loads(same.stdout) == told

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("iot-gateway", "--fault", 1), "the run has no fault, no number 1"),
            (("iot-gateway", "some.trace", "--fault", 1), "--fault takes no trace"),
            (("iot-gateway",), "name the trace whose verdict is to be explained"),
            (("iot-gateway", "some.trace", "--frames", 3), "--frames and --seed go with --fault"),
            (("nowhere", "--fault", 1), "no shipped system"),
        ],
    )
    def test_wrong_use(self, arguments: tuple[object, ...], words: str) -> None:
        done = khs("explain", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
