"""What a release asks for beyond a correct system."""

from __future__ import annotations

from collections.abc import Iterator

from khs.config.model import System
from khs.config.rules import declare
from khs.errors import Finding

PINNED = declare("PART-017", "With `khs build --release`, every partition pins its ELF by sha256.")
DESCRIBED = declare("POLICY-005", "With `khs build --release`, `stub` takes nothing on trust.")


def releasable(system: System) -> Iterator[Finding]:
    """Findings for partitions whose program is not pinned, and for stubs."""
    if system.stub:
        yield system.finding(
            DESCRIBED,
            ("system", "stub"),
            "a release takes nothing on trust",
            "take stub out, and add the descriptions that khs check names then",
        )
    for partition in system.partitions:
        if partition.sha256 is None:
            yield system.finding(
                PINNED,
                ("partition", partition.name),
                f"partition {partition.name} has no sha256",
                'a release pins every program: sha256 = "...", as report.md of a build prints it',
            )
