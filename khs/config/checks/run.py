"""Rules about the document as a whole and the defaults of a run."""

from __future__ import annotations

from khs.config.document import Document
from khs.config.rules import Context, Problem, Problems, at, rule, suggest
from khs.config.units import most_frames


@rule("FORMAT-001", Context.whole)
def version(c: Context, document: Document) -> Problems:
    """The document has format 1."""
    if document.format != 1:
        message = f"unknown format {document.format}"
        yield Problem(("format",), message, "write format = 1, or use the KHS this was written for")


@rule("RUN-001", Context.whole)
def some_frames(c: Context, document: Document) -> Problems:
    """A run has at least one frame."""
    if document.run.frames < 1:
        message = f"a run of {document.run.frames} frames"
        yield Problem(at(document.run, "frames"), message, "at least 1")


@rule("RUN-002", Context.whole)
def seed_range(c: Context, document: Document) -> Problems:
    """A seed is 0 to 2^63 - 1."""
    if not 0 <= document.run.seed < 1 << 63:
        message = f"seed {document.run.seed} is out of range"
        yield Problem(at(document.run, "seed"), message, f"0 to {(1 << 63) - 1}")


@rule("RUN-003", Context.whole)
def countable(c: Context, document: Document) -> Problems:
    """A run ends before the kernel's clock does: 2^62 ticks in the longest major frame."""
    frames = [c.ticks(schedule.major_frame) for schedule in document.schedule.values()]
    longest = max(frames, default=0)
    if longest and document.run.frames > most_frames(longest):
        yield Problem(
            at(document.run, "frames"),
            f"a run of {document.run.frames} frames is too long to count",
            f"at most {most_frames(longest)}",
        )


@rule("RUN-004", Context.whole)
def known_partitions(c: Context, document: Document) -> Problems:
    """The partitions that depend on preemption exist."""
    for name in document.run.preemption_dependent:
        if name not in document.partition:
            yield Problem(
                at(document.run, "preemption_dependent"),
                f'there is no partition "{name}"',
                suggest(name, document.partition, "partitions"),
            )
