"""Rules about memory."""

from __future__ import annotations

from khs.config.document import Document, RegionTable
from khs.config.model import PAGE, REGION_BASE
from khs.config.place import place
from khs.config.rules import Context, Problem, Problems, at, readable, rule, suggest
from khs.config.units import Size

REGION_MAX = 256 << 20


@rule("SPACE-001", Context.regions)
def known_rights(c: Context, region: RegionTable) -> Problems:
    """Rights are some of r, w and x, each once."""
    for partition, rights in region.map.items():
        if not rights or set(rights) - set("rwx") or len(set(rights)) < len(rights):
            yield Problem(
                at(region, "map", partition),
                f'"{rights}" are no rights',
                '"r" or "rw"; to give none, leave the partition out',
            )


@rule("SPACE-002", Context.regions)
def no_write_execute(c: Context, region: RegionTable) -> Problems:
    """Nothing is writable and executable."""
    for partition, rights in region.map.items():
        if "w" in rights and "x" in rights:
            yield Problem(
                at(region, "map", partition),
                f'"{rights}" lets {partition} write code and run it',
                '"rw"; code comes from the program file alone',
            )


@rule("SPACE-003", Context.regions)
def no_execute(c: Context, region: RegionTable) -> Problems:
    """A region is not executable: code runs only from program files, which the manifest's hashes
    cover."""
    for partition, rights in region.map.items():
        if "x" in rights and "w" not in rights:
            yield Problem(
                at(region, "map", partition),
                f'"{rights}" lets {partition} run code from shared memory',
                '"r"; code comes from the program file alone',
            )


@rule("SPACE-004", Context.regions)
def no_write_only(c: Context, region: RegionTable) -> Problems:
    """Writable memory is readable too: no supported processor has write-only pages."""
    for partition, rights in region.map.items():
        if "w" in rights and "r" not in rights and "x" not in rights:
            yield Problem(at(region, "map", partition), f'"{rights}" is write-only', '"rw"')


@rule("SPACE-005", Context.regions)
def mapped(c: Context, region: RegionTable) -> Problems:
    """A region is mapped by some partition."""
    if not region.map:
        help = 'map = { NAME = "rw", OTHER = "r" }'
        yield Problem(at(region, "map"), f"region {region.label} is mapped by nobody", help)


@rule("SPACE-006", Context.regions)
def known_partition(c: Context, region: RegionTable) -> Problems:
    """A region is mapped by partitions of the system."""
    for partition in region.map:
        if partition not in c.document.partition:
            yield Problem(
                at(region, "map", partition),
                f'there is no partition "{partition}"',
                suggest(partition, c.document.partition, "partitions"),
                at_key=True,
            )


@rule("SPACE-007", Context.regions)
def whole_pages(c: Context, region: RegionTable) -> Problems:
    """A region is at least one page of 4 KiB, whole pages, and at most 256 MiB."""
    size = region.size
    if size.bytes == 0 or size.bytes % PAGE:
        up = Size(max(1, -(-size.bytes // PAGE)) * PAGE)
        yield Problem(at(region, "size"), f"{size} is not whole pages", f"e.g. {up}")
    if size.bytes > REGION_MAX:
        yield Problem(at(region, "size"), f"{size} is too large", f"at most {Size(REGION_MAX)}")


@rule("SPACE-008", Context.regions, "warning")
def written(c: Context, region: RegionTable) -> Problems:
    """Somebody writes a region; else its readers see zeroes for ever, and `keep` has no effect."""
    if region.map and not any("w" in rights for rights in region.map.values()):
        yield Problem(
            at(region, "map"), f"nobody may write region {region.label}", 'give a partition "rw"'
        )


@rule("SPACE-009", Context.regions, "warning")
def shared(c: Context, region: RegionTable) -> Problems:
    """A region that one partition alone maps survives its warm restart (`keep`); else it is a
    heap."""
    if len(region.map) == 1 and not region.keep:
        only = next(iter(region.map))
        yield Problem(
            region.path,
            f"region {region.label} is mapped by {only} alone",
            f"share it, add keep = true, or use the heap of {only}",
            at_key=True,
        )


@rule("SPACE-010", Context.regions)
def address_place(c: Context, region: RegionTable) -> Problems:
    """An address given to a region is a whole page, above the program's own memory, and the
    region ends within what the architecture gives partitions."""
    if region.address is None:
        return
    start, place = region.address.value, at(region, "address")
    if start % PAGE:
        down = f"0x{start - start % PAGE:x}"
        yield Problem(place, f"{region.address} is not the start of a page", f'e.g. "{down}"')
    if start < REGION_BASE:
        yield Problem(
            place,
            f"{region.address} is below the memory for regions",
            f'"0x{REGION_BASE:x}" or above; below lies the partition\'s own memory',
        )
    end = start + region.size.bytes
    if c.board is not None and end > c.board.arch.user_end:
        yield Problem(
            place,
            f"region {region.label} ends at 0x{end:x}, beyond the memory of partitions",
            f"at most 0x{c.board.arch.user_end:x} on {c.board.arch.name.lower()}",
        )


@rule("SPACE-011", Context.whole)
def address_overlap(c: Context, document: Document) -> Problems:
    """Regions with given addresses do not overlap."""
    regions = list(c.regions())
    ends: dict[int, int] = {}
    starts: list[tuple[int, int]] = []
    for number, region in enumerate(regions):
        if readable(region, "address", "size") and region.address and region.size.bytes:
            ends[number] = region.address.value + region.size.bytes
            starts.append((region.address.value, number))
    furthest: int | None = None  # the region that ends furthest up of those below
    for start, number in sorted(starts):
        if furthest is not None and start < ends[furthest]:
            first, second = sorted((number, furthest))
            yield Problem(
                at(regions[second], "address"),
                f"region {regions[second].label} overlaps region {regions[first].label}",
                f'e.g. "0x{ends[first]:x}"; without address, KHS finds a free one',
            )
        if furthest is None or ends[number] > ends[furthest]:
            furthest = number


@rule("SPACE-013", Context.whole)
def regions_fit(c: Context, document: Document) -> Problems:
    """All regions find a place in the memory that the architecture gives partitions."""
    if c.board is None:
        return
    regions = list(document.region.values())
    for region, start in zip(regions, place(regions), strict=True):
        end = start + region.size.bytes
        if region.address is None and end > c.board.arch.user_end:
            yield Problem(
                at(region, "size"),
                f"region {region.label} finds no place: it would end at 0x{end:x}",
                f"regions have 0x{REGION_BASE:x} to 0x{c.board.arch.user_end:x}",
            )


@rule("SPACE-012", Context.whole)
def board_memory(c: Context, document: Document) -> Problems:
    """Stacks, heaps and regions fit the memory of the board; what programs need comes on top."""
    if c.board is None:
        return
    needs = [(p.stack.bytes + p.heap.bytes, p.path) for p in document.partition.values()]
    needs += [(region.size.bytes, region.path) for region in document.region.values()]
    total = sum(size for size, _ in needs)
    if total > c.board.memory_size:
        _, path = max(needs, key=lambda need: need[0])
        yield Problem(
            path,
            f"stacks, heaps and regions take {total >> 10} KiB, more than the memory of "
            f"{c.board.name}; this one takes most",
            f"at most {Size(c.board.memory_size)} in all",
            at_key=True,
        )
