"""What the policy's audit profiles have recorded, in the event stream."""

from __future__ import annotations

import struct

from tests.core import host, systems
from tests.core.host import Call, Script, run
from tests.core.systems import DATA, message
from tests.core.test_policy import BASE, SYSTEM

AUDITED = """
audit profile p = { 0 : { base : { kss : ["denied"] } }, 1 : { base : { kss : ["granted"] } } }
audit default = p 0
request dst=test.C, interface=test.Report { assert (message.value == 1) grant () }
"""


def recorded(done: host.Run, partition: int) -> list[tuple[int, list[tuple[int, int, int]]]]:
    """(audit level, calls) of each audit record of a partition's events."""
    return [
        (event.code, list(struct.iter_unpack("<III", event.data)))
        for event in done.of(host.AUDIT, partition)
    ]


def writes(values: list[int], text: str, **more: object) -> host.Run:
    script = Script()
    guest = script.start(1)
    for value in values:
        guest.poke(DATA, message(value, 2)).call(Call.PORT_WRITE, 0, DATA, 16)
    return run(SYSTEM, script, 300, policies=[systems.policy(text)])


def test_audit_records_follow_their_verdicts() -> None:
    done = writes([1, 2], BASE + AUDITED)
    at = [number for number, e in enumerate(done.events) if e.type == host.AUDIT]
    assert len(at) == 1
    verdict, record = done.events[at[0] - 1], done.events[at[0]]
    assert (verdict.type, verdict.tick, verdict.value) == (host.VERDICT, record.tick, 0)
    assert record.partition == 1 and not record.visible
    [(level, calls)] = recorded(done, 1)
    rule = verdict.args[3] & host.NONE
    assert (level, calls, record.value) == (0, [(rule, 0, 0)], 1)


def test_denials_by_no_rule_are_recorded_without_a_profile() -> None:
    done = writes([1], BASE)
    assert recorded(done, 1) == [(0, [])]
    assert done.of(host.AUDIT, 1)[0].value == 0


def test_what_is_recorded_does_not_change_what_partitions_see() -> None:
    plain = AUDITED.replace("audit default = p 0", "")
    loud, quiet = writes([1, 2], BASE + AUDITED), writes([1, 2], BASE + plain)
    assert recorded(loud, 1) and not recorded(quiet, 1)
    assert [loud.visible(n) for n in range(3)] == [quiet.visible(n) for n in range(3)]


def test_a_record_lists_so_many_calls_and_tells_of_more() -> None:
    many = "    grant ()\n" * 300
    done = writes([1], BASE + AUDITED.replace("p 0", "p 1").replace("grant ()", many))
    [(level, calls)] = recorded(done, 1)
    assert (level, len(calls), done.of(host.AUDIT, 1)[0].value) == (1, 256, 301)
    assert {result for _, result, _ in calls} == {1}
