"""Rules about partitions that are whole machines, `kind = "board"`."""

from __future__ import annotations

from khs.config import boards
from khs.config.document import PartitionTable, ScheduleTable, WindowTable
from khs.config.rules import Context, Problem, Problems, at, rule, suggest
from khs.config.units import Duration

#: To stop and to continue a machine takes about a millisecond, which is to be little of a window.
SHORTEST = Duration(20_000_000)
_FILES = ("kernel", "initrd", "dtb", "bios")


@rule("PART-019", Context.partitions)
def keys_of_its_kind(c: Context, partition: PartitionTable) -> Problems:
    """`board`, `kernel`, `initrd`, `dtb`, `append` and `bios` are for `kind = "board"` alone;
    `program`, `image`, `period`, `deadline`, `devices` and `heap` are for the others."""
    native = ("program", "image", "period", "deadline", "devices", "heap")
    of_boards = ("board", "append", *_FILES)
    wrong = native if partition.kind == "board" else of_boards
    for key in wrong:
        if c.written(*at(partition, key)):
            message = f"{partition.label} is of kind {partition.kind} and has a {key}"
            help = f'leave {key} out, or kind = "board"'
            if partition.kind == "board":
                help = f"leave {key} out: what runs is the image of its machine"
            yield Problem(at(partition, key), message, help, at_key=True)


@rule("PART-020", Context.partitions)
def known_board(c: Context, partition: PartitionTable) -> Problems:
    """A partition of `kind = "board"` has a `board` that comes with KHS."""
    if partition.kind != "board":
        return
    if partition.board is None:
        help = f"board = one of {', '.join(boards.names())}"
        yield Problem(partition.path, f"{partition.label} has no board", help, at_key=True)
    elif partition.board not in boards.names():
        help = suggest(partition.board, boards.names(), "boards")
        yield Problem(at(partition, "board"), f'there is no board "{partition.board}"', help)


@rule("PART-021", Context.partitions)
def some_image(c: Context, partition: PartitionTable) -> Problems:
    """A partition of `kind = "board"` has a `kernel` or a `bios`."""
    if partition.kind == "board" and partition.kernel is None and partition.bios is None:
        message = f"{partition.label} has nothing to boot"
        yield Problem(partition.path, message, 'kernel = "PATH" or bios = "PATH"', at_key=True)


@rule("PART-022", Context.partitions)
def files_exist(c: Context, partition: PartitionTable) -> Problems:
    """The files of a machine exist."""
    for key in _FILES:
        path = getattr(partition, key)
        if path is not None and not c.is_file(path):
            help = f"paths are relative to {c.root.name}/"
            yield Problem(at(partition, key), f'there is no file "{path}"', help)


@rule("PART-023", Context.partitions)
def free_name(c: Context, partition: PartitionTable) -> Problems:
    """No input has the name of a partition of `kind = "board"`: that is its machine's."""
    if partition.kind == "board" and partition.label in c.document.input:
        message = f'input "{partition.label}" has the name of a partition with a machine'
        yield Problem(("input", partition.label), message, "another name", at_key=True)


@rule("SCHED-016", Context.windows)
def long_enough(c: Context, subject: tuple[ScheduleTable, WindowTable]) -> Problems:
    """A window of a partition of `kind = "board"` is 20 ms or longer."""
    _, window = subject
    partition = c.document.partition.get(window.partition)
    if partition is not None and partition.kind == "board" and window.length < SHORTEST:
        message = f"a window of {window.length} for a machine, which cannot be stopped so exactly"
        yield Problem(at(window, "length"), message, f"{SHORTEST} or longer")
