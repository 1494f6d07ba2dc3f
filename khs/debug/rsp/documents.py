"""What gdb reads as files: threads, memory map, tables of `info os`, and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from xml.sax.saxutils import escape, quoteattr

from khs.config.model import PAGE, Right
from khs.debug.rsp.world import Process
from khs.image import records
from khs.image.outline import table

Row = Mapping[str, str]


def threads(rows: Sequence[tuple[Process, str]]) -> str:
    """Every process has one thread; the text is what it does."""
    lines = [
        f'<thread id="p{process.pid:x}.1" core="{process.system}" '
        f"name={quoteattr(process.label)}>{escape(text)}</thread>"
        for process, text in rows
    ]
    return "\n".join(['<?xml version="1.0"?>', "<threads>", *lines, "</threads>\n"])


def memory_map(configs: Sequence[bytes]) -> str:
    """What any partition has mapped: gdb keeps one map for all of its processes. What nobody may
    write is ROM, where gdb's breakpoints are of its hardware kind."""
    spans = sorted(span for config in configs for span in _spans(config))
    ram = _joined([(start, end) for start, end, writable in spans if writable])
    mapped = _joined([(start, end) for start, end, _ in spans])
    areas = [("ram", *span) for span in ram] + [("rom", *span) for span in _without(mapped, ram)]
    rows = [
        f'<memory type="{kind}" start="{start:#x}" length="{end - start:#x}"/>'
        for kind, start, end in sorted(areas, key=itemgetter(1))
    ]
    kind = '<!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" '
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            kind + '"http://sourceware.org/gdb/gdb-memory-map.dtd">',
            "<memory-map>",
            *rows,
            "</memory-map>\n",
        ]
    )


def _spans(config: bytes) -> Iterator[tuple[int, int, bool]]:
    """Begin, end, and whether it may be written."""
    header = records.Config.from_buffer_copy(config)
    regions = table(config, header.regions, records.Region)
    for each in table(config, header.maps, records.Map):
        size = -(-regions[each.region].size // PAGE) * PAGE
        yield each.address, each.address + size, bool(each.rights & Right.W)


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending spans without overlaps."""
    found: list[tuple[int, int]] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _without(
    spans: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """What the spans have and the others have not; both ascend without overlaps."""
    for start, end in spans:
        for begin, stop in others:
            if start < stop and begin < end:
                if start < begin:
                    yield start, begin
                start = max(start, stop)
        if start < end:
            yield start, end


def osdata(kind: str, rows: Sequence[Row]) -> str:
    """A table of `info os`; columns are those of its rows, in order."""
    lines = [
        "<item>"
        + "".join(
            f"<column name={quoteattr(name)}>{escape(_plain(text))}</column>"
            for name, text in row.items()
        )
        + "</item>"
        for row in rows
    ]
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            '<!DOCTYPE osdata SYSTEM "osdata.dtd">',
            f"<osdata type={quoteattr(kind)}>",
            *lines,
            "</osdata>\n",
        ]
    )


def _plain(text: str) -> str:
    """Characters that XML 1.0 has at all."""
    return "".join(c if c == "\t" or " " <= c < "\ud800" else "?" for c in text)


def part(document: bytes, offset: int, length: int) -> bytes:
    """The reply's beginning letter, and a part of the document: `l` if that is the last."""
    piece = document[offset : offset + length]
    return (b"l" if offset + len(piece) >= len(document) else b"m") + piece
