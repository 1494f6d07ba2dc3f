"""policy.bin: writer, reader and disassembler.

The format is that of vm/format.h: tables of fixed-size little-endian records, one after the other,
each aligned to 8. Lists lie in the order of their owners, so a record has exactly one owner. The
last table, the symbols, is JSON for people and tools; the VM does not look at it. A CRC-32 of all
that ends the file.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from kss import dictionary
from kss.errors import KssError

MAGIC = 0x5053534B  # "KSSP"
VERSION = 4
NONE = 0xFFFFFFFF
REGISTERS = 128
IMMEDIATE = REGISTERS  # instead of a register: the number `imm` of the instruction
MAX_CALLS = 0xFFFF
MAX_ENTRIES = 1 << 16
MAX_STATE = 1 << 28
DROP_WRITES = dictionary.REMOVE_WRITES
CLAIM_WRITES = dictionary.add_writes(1)

_HEADER = struct.Struct("<10I")
_SECTION = struct.Struct("<2I")
CHECKSUM = struct.Struct("<I")


class NodeKind(IntEnum):
    BYTES = 0
    STRING = 1
    SEQUENCE = 2
    ARRAY = 3
    UNION = 4
    MEMBER = 5


class EntryKind(IntEnum):
    DEFAULT = 0
    DENIED = 1
    GRANTED = 2
    PROGRAM = 3


class Op(IntEnum):
    """Instructions; what each does stands in vm/format.h."""

    END = 0
    SRC = 1
    DST = 2
    FIELD = 3
    LOAD = 4
    OFFSET = 5
    INDEX = 6
    ELEMENT = 7
    SPAN = 8
    LENGTH = 9
    TEXT_LENGTH = 10
    SCAN = 11
    SUM = 12
    PRODUCT = 13
    EXPECT = 14
    ADD = 15
    SUB = 16
    MUL = 17
    NEG = 18
    ABS = 19
    AND = 20
    OR = 21
    NOT = 22
    EQ = 23
    NE = 24
    LT = 25
    LE = 26
    INVERT = 27
    MOVE = 28
    JUMP = 29
    JUMP_ZERO = 30
    JUMP_NONZERO = 31
    CALL = 32
    RULE = 33
    MARK = 34
    NOTE = 35


class ClassRecord(NamedTuple):
    name_hash: int
    endpoint: int
    endpoints: int
    security_endpoints: int
    execute_row: int


class EndpointRecord(NamedTuple):
    operation: int
    operations: int


class OperationRecord(NamedTuple):
    in_type: int
    out_type: int
    error_type: int
    in_row: int
    out_row: int
    error_row: int


class TypeRecord(NamedTuple):
    size: int
    arena: int
    node: int
    nodes: int


class NodeRecord(NamedTuple):
    kind: int
    depth: int
    alignment: int
    offset: int
    limit: int
    size: int
    inverse: int
    node: int
    nodes: int


class EntryRecord(NamedTuple):
    kind: int
    first: int = 0
    length: int = 0  # calls or instructions
    rule: int = 0
    extent: int = 0
    registers: int = 0
    notes: int = 0
    object: int = NONE  # that a program calls first


class CallRecord(NamedTuple):
    rule: int
    result: int


class Instruction(NamedTuple):
    op: int
    d: int = 0
    a: int = 0
    b: int = 0
    x: int = 0
    imm: int = 0


class ObjectRecord(NamedTuple):
    identity: int
    model: int
    config: int
    config_words: int
    capacity: int
    context_words: int
    state: int

    @property
    def table_words(self) -> int:
        """Words of state: a dictionary from SIDs to contexts."""
        return dictionary.words_of(self.capacity, 1, self.context_words)


class AutomatonRecord(NamedTuple):
    """`start` and `sinks` are numbers of rows; `column` has 256 bytes."""

    transition: int
    rows: int
    row_bits: int
    start: int
    sinks: int
    answers: int
    column: bytes


class WatchedRecord(NamedTuple):
    watch: int
    watches: int


class WatchRecord(NamedTuple):
    level: int
    results: int  # bits of enum kss_result
    zero: int = 0
    omit: int = 0
    states: int = 0


@dataclass
class Image:
    """A policy.bin taken apart. `rows` and `words` hold 32-bit numbers, `cells` and
    `transitions` 16-bit ones."""

    rules: int
    max_sids: int
    max_calls: int = 0
    max_writes: int = 0
    state_words: int = 0
    max_notes: int = 0
    audit_level: int = 0
    classes: list[ClassRecord] = field(default_factory=list)
    endpoints: list[EndpointRecord] = field(default_factory=list)
    operations: list[OperationRecord] = field(default_factory=list)
    types: list[TypeRecord] = field(default_factory=list)
    nodes: list[NodeRecord] = field(default_factory=list)
    rows: array[int] = field(default_factory=lambda: array("I"))
    cells: array[int] = field(default_factory=lambda: array("H"))
    entries: list[EntryRecord] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    code: list[Instruction] = field(default_factory=list)
    objects: list[ObjectRecord] = field(default_factory=list)
    words: array[int] = field(default_factory=lambda: array("I"))
    automata: list[AutomatonRecord] = field(default_factory=list)
    transitions: array[int] = field(default_factory=lambda: array("H"))
    watched: list[WatchedRecord] = field(default_factory=list)
    watches: list[WatchRecord] = field(default_factory=list)
    symbols: dict[str, object] = field(default_factory=dict)


_RECORDS: list[tuple[str, type[tuple[Any, ...]] | None, struct.Struct]] = [
    ("classes", ClassRecord, struct.Struct("<Q4I")),
    ("endpoints", EndpointRecord, struct.Struct("<2I")),
    ("operations", OperationRecord, struct.Struct("<6I")),
    ("types", TypeRecord, struct.Struct("<4I")),
    ("nodes", NodeRecord, struct.Struct("<2BH6I")),
    ("rows", None, struct.Struct("<I")),
    ("cells", None, struct.Struct("<H")),
    ("entries", EntryRecord, struct.Struct("<5I2HI")),
    ("calls", CallRecord, struct.Struct("<2I")),
    ("code", Instruction, struct.Struct("<4BIQ")),
    ("objects", ObjectRecord, struct.Struct("<Q6I")),
    ("words", None, struct.Struct("<I")),
    ("automata", AutomatonRecord, struct.Struct("<6I256s")),
    ("transitions", None, struct.Struct("<H")),
    ("watched", WatchedRecord, struct.Struct("<2I")),
    ("watches", WatchRecord, struct.Struct("<2BH2I")),
]
_SECTIONS = len(_RECORDS) + 1
HEADER_SIZE = _HEADER.size + _SECTIONS * _SECTION.size


def write(image: Image) -> bytes:
    """The bytes of policy.bin."""
    sections: list[tuple[int, int]] = []
    body = bytearray()

    def append(data: bytes, count: int) -> None:
        body.extend(bytes(-len(body) % 8))
        sections.append((HEADER_SIZE + len(body), count))
        body.extend(data)

    for name, kind, layout in _RECORDS:
        records = getattr(image, name)
        if kind is None:
            code = layout.format[-1]
            append(struct.pack(f"<{len(records)}{code}", *records), len(records))
        else:
            append(b"".join(layout.pack(*record) for record in records), len(records))
    text = json.dumps(image.symbols, sort_keys=True, separators=(",", ":")).encode()
    append(text, len(text))
    size = HEADER_SIZE + len(body) + CHECKSUM.size
    numbers = (MAGIC, VERSION, size, image.rules, image.max_sids)
    limits = (image.max_calls, image.max_writes, image.state_words, image.max_notes)
    header = _HEADER.pack(*numbers, *limits, image.audit_level)
    table = b"".join(_SECTION.pack(*section) for section in sections)
    return seal(header + table + bytes(body) + bytes(CHECKSUM.size))


def seal(data: bytes) -> bytes:
    """A policy.bin with the checksum that its bytes have, instead of the one at its end."""
    content = data[: -CHECKSUM.size]
    return content + CHECKSUM.pack(zlib.crc32(content))


def format_of(data: bytes) -> int | None:
    """The format of a compiled policy, None if the bytes are none at all."""
    begin = MAGIC.to_bytes(4, "little")
    if len(data) < _HEADER.size or not data.startswith(begin):
        return None
    return int.from_bytes(data[4:8], "little")


def _bad(message: str) -> KssError:
    return KssError(f"{message}: build the policy again with this version of KSS")


def read(data: bytes) -> Image:
    """Takes a policy.bin apart. Raises KssError if its checksum is wrong or its tables do not lie
    within it; whether they make sense is for `kss_verify` to say."""
    if len(data) < HEADER_SIZE:
        raise _bad(f"{len(data)} bytes are too few for a policy")
    magic, version, size, *numbers = _HEADER.unpack_from(data)
    if (magic, version, size) != (MAGIC, VERSION, len(data)):
        raise _bad("this is no policy, or one of another version or cut short")
    if seal(data) != data:
        raise _bad("this policy was damaged: its checksum is wrong")
    image = Image(*numbers)
    for index, (name, kind, layout) in enumerate(_RECORDS):
        offset, count = _section(data, index, layout.size)
        part = data[offset : offset + count * layout.size]
        values = layout.iter_unpack(part)
        if kind is None:
            setattr(image, name, array(layout.format[-1], (value for (value,) in values)))
        else:
            setattr(image, name, [kind(*value) for value in values])
    image.symbols = _symbols(data)
    return image


def _section(data: bytes, index: int, record_size: int) -> tuple[int, int]:
    offset, count = _SECTION.unpack_from(data, _HEADER.size + index * _SECTION.size)
    if offset + count * record_size > len(data):
        raise _bad(f"table {index} does not lie within the policy")
    return offset, count


def _symbols(data: bytes) -> dict[str, object]:
    offset, count = _section(data, len(_RECORDS), 1)
    try:
        symbols = json.loads(data[offset : offset + count])
    except (ValueError, RecursionError):
        symbols = None
    if not isinstance(symbols, dict):
        raise _bad("the symbols are no JSON object")
    return symbols


# ---- disassembler ------------------------------------------------------------

_TYPES = ("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64")
_FORMS = {
    Op.END: "",
    Op.SRC: "r{d}",
    Op.DST: "r{d}",
    Op.FIELD: "r{d}, {type} [{imm}]",
    Op.LOAD: "r{d}, {type} [r{a} + {imm}]",
    Op.OFFSET: "r{d}, r{a} + {imm}",
    Op.INDEX: "r{d}, r{a} [r{b} < {x}] * {imm}",
    Op.ELEMENT: "r{d}, span [r{a}] [r{b}] * {imm}",
    Op.SPAN: "r{d}, span [r{a}]",
    Op.LENGTH: "r{d}, span [r{a}] / {x}",
    Op.TEXT_LENGTH: "r{d}, span [r{a}]",
    Op.SCAN: "r{d}, span [r{a}], automaton {x}",
    Op.SUM: "r{d}, {type} [r{a}], r{b}",
    Op.PRODUCT: "r{d}, {type} [r{a}], r{b}",
    Op.EXPECT: "r{a}, {imm:#x}",
    Op.NEG: "r{d}, {type} r{a}",
    Op.ABS: "r{d}, {type} r{a}",
    Op.NOT: "r{d}, {type} r{a}",
    Op.AND: "r{d}, r{a}, r{b}",
    Op.OR: "r{d}, r{a}, r{b}",
    Op.EQ: "r{d}, r{a}, r{b}",
    Op.NE: "r{d}, r{a}, r{b}",
    Op.INVERT: "r{d}, r{a}",
    Op.MOVE: "r{d}, r{a}",
    Op.JUMP: "{target}",
    Op.JUMP_ZERO: "r{a}, {target}",
    Op.JUMP_NONZERO: "r{a}, {target}",
    Op.CALL: "r{d}, object {x}.{b} (r{a}..., {imm})",
    Op.RULE: "{x}, r{a}",
    Op.MARK: "{rule}",
    Op.NOTE: "{imm}, rule {x}, r{a}",
}


def show(instruction: Instruction, at: int) -> str:
    """One instruction as text; `at` is its index, for the targets of jumps."""
    try:
        op = Op(instruction.op)
    except ValueError:
        return f"? {tuple(instruction)}"
    form = _FORMS.get(op, "r{d}, {type} r{a}, r{b}")
    x = instruction.x
    operands = form.format(
        **instruction._asdict(),
        type=_TYPES[x] if x < len(_TYPES) else f"type {x}",
        target=at + x,
        rule="-" if x == NONE else x,
    )
    operands = operands.replace(f"r{IMMEDIATE}", f"{instruction.imm:#x}")
    return f"{op.name.lower():<12} {operands}".rstrip()


def disassemble(data: bytes) -> str:
    """A policy.bin as text: decision table, programs, objects. Raises KssError as `read` does."""
    image = read(data)
    try:
        return "\n".join(_lines(image)) + "\n"
    except IndexError:
        raise _bad("its tables point outside each other") from None


def _lines(image: Image) -> Iterator[str]:
    names = image.symbols.get("classes")
    classes = list(names) if isinstance(names, list) else []
    classes += [f"class {i}" for i in range(len(classes), len(image.classes))]
    yield f"rules {image.rules}, max_sids {image.max_sids}, state {4 * image.state_words} bytes"
    for index, thing in enumerate(image.objects):
        yield f"object {index}: {thing}"
    for index, each in enumerate(image.automata):
        size = f"{each.rows} rows of 2^{each.row_bits}, {each.sinks} sinks"
        yield f"automaton {index}: {size}, starts in {each.start}, {each.answers} answers"
    for index, kind in enumerate(image.types):
        yield f"type {index}: {kind.size} bytes, arena {kind.arena}, {kind.nodes} checks"
    for name, record in zip(classes, image.classes, strict=False):
        yield f"{name}: execute row {record.execute_row}"
        count = record.endpoints + record.security_endpoints
        for number in range(count):
            security = "security " if number >= record.endpoints else ""
            riid = number - record.endpoints if security else number
            endpoint = image.endpoints[record.endpoint + number]
            for mid in range(endpoint.operations):
                operation = image.operations[endpoint.operation + mid]
                yield f"  {security}{riid}.{mid}: types {operation[:3]} rows {operation[3:]}"
    width = len(image.classes)
    for row in range(len(image.rows)):
        yield f"row {row}: {list(image.cells[row * width : (row + 1) * width])}"
    for index, entry in enumerate(image.entries):
        yield f"entry {index}: {_entry_name(entry)}"
        yield from _entry_lines(image, entry)


def _entry_name(entry: EntryRecord) -> str:
    return EntryKind(entry.kind).name.lower() if entry.kind < len(EntryKind) else str(entry.kind)


def _entry_lines(image: Image, entry: EntryRecord) -> Iterator[str]:
    if entry.kind == EntryKind.PROGRAM:
        for at in range(entry.first, entry.first + entry.length):
            yield f"  {at:5} {show(image.code[at], at)}"
    else:
        for call in image.calls[entry.first : entry.first + entry.length]:
            yield f"  rule {call.rule} {'granted' if call.result else 'denied'}"
