"""What the terminal debugger shows, made without a terminal."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from khs import runs
from khs.debug.stops import Position
from khs.debug.tui import stream as module
from khs.debug.tui.call import Calls, decisive
from khs.debug.tui.explain import Explaining
from khs.debug.tui.lines import fit, text_of, wrap
from khs.debug.tui.stream import Filtered, Row, Stream
from khs.debug.tui.windows import bar
from khs.debug.why import Reasons
from khs.image import open_system
from khs.resources import shipped
from khs.runs import Plan
from khs.trace import Names, Reader
from khs.trace.events import decode
from khs.trace.outline import Outline, Schedule

SYSTEM = shipped("images") / "iot-gateway" / "system.toml"
ATTACK = SYSTEM.with_name("attack.toml")


@dataclass(frozen=True)
class Recorded:
    plan: Plan
    header: dict[str, Any]
    records: list[bytes]

    @property
    def names(self) -> Names:
        return Names.from_header(self.header)

    def read(
        self, since: int, kinds: frozenset[int] | None, until: int | None = None
    ) -> list[bytes]:
        rows = self.records[since:until]
        return rows if kinds is None else [each for each in rows if decode(each).kind in kinds]

    def stream(self) -> Stream:
        stream = Stream(self.names)
        stream.follow(len(self.records), self.read)
        return stream


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The attack on the gateway, up to its first faults."""
    trace = tmp_path_factory.mktemp("tui") / "run.trace"
    plan = runs.plan(open_system(SYSTEM, [ATTACK]), frames=90, trace=trace)
    runs.run(plan)
    with Reader(trace) as reader:
        return Recorded(plan, dict(reader.header), [bytes(record) for record in reader.records()])


@pytest.fixture(scope="module")
def stream(run: Recorded) -> Stream:
    return run.stream()


@pytest.fixture(scope="module")
def explaining(run: Recorded) -> Iterator[Explaining]:
    made = Explaining(Reasons(run.plan, SYSTEM, [ATTACK]))
    yield made
    made.close()


def find(stream: Stream, what: str, number: int = 0) -> Row:
    return [row for row in stream.rows if what in row.what][number]


def explained(
    run: Recorded, stream: Stream, explaining: Explaining, row: Row, width: int = 80
) -> list[str]:
    told = explaining.known(row)
    if decisive(row) is not None:
        found = explaining.find(row, stream.judged)
        assert found is not None
        told = found
    asked = explaining.asked(row, stream.rows)
    lines = Calls(run.header, run.names).lines(row, asked, told.reason, told.excerpt, width)
    assert all(len(text_of(line)) <= width for line in lines)
    return [text_of(line) for line in lines]


class TestStream:
    def test_a_hypercall_has_its_verdicts(self, stream: Stream) -> None:
        row = find(stream, "port_write temperature")
        assert (row.who, row.mark, len(row.verdicts)) == ("sensor", "granted", 3)
        assert (
            row.what
            == "port_write temperature = OK  telemetry.Report {sequence: 1, temperature: 200} ×3"
        )
        denied = next(row for row in stream.rows if row.mark == "denied")
        assert text_of(denied.line(80)).strip() == (
            "1511.006288 gateway    ✗ call setpoint = DENIED  setpoint.Set {temperature: 9…"
        )

    def test_every_event_is_in_a_row(self, run: Recorded, stream: Stream) -> None:
        assert stream.count == len(run.records)
        judged = [number for row in stream.rows for number, _ in row.verdicts]
        audits = sum(len(row.notes) for row in stream.rows)
        alone = sum(not row.verdicts or row.last != row.verdicts[-1][0] for row in stream.rows)
        assert len(judged) == len(set(judged))
        assert len(judged) + alone + audits >= len(run.records)

    @pytest.mark.parametrize("seed", range(4))
    def test_pieces_make_the_same_rows(self, seed: int, run: Recorded, stream: Stream) -> None:
        rng = random.Random(seed)
        pieces, filtered, at = Stream(run.names), Filtered(), 0
        filtered.ask("gateway")
        while at < len(run.records):
            size = rng.randrange(1, 40)
            at = min(at + size, len(run.records))
            kept = pieces.follow(at, partial(run.read, until=at))
            filtered.follow(tuple(pieces.rows), kept)
        assert pieces.rows == stream.rows
        whole = Filtered()
        whole.follow(stream.rows, 0)
        whole.ask("gateway")
        assert [filtered[n] for n in range(len(filtered))] == [whole[n] for n in range(len(whole))]

    def test_of_a_long_run_only_some_are_kept(
        self, run: Recorded, stream: Stream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Wherever it goes, the rows there are those of the whole stream."""
        monkeypatch.setattr(module, "MOST", 100)
        rng = random.Random(3)
        far, filtered = Stream(run.names), Filtered()
        for _ in range(60):
            at = rng.randrange(len(run.records) + 1)
            at = rng.choice([at, min(far.count + rng.randrange(100), len(run.records))])
            filtered.follow(tuple(far.rows), far.follow(at, partial(run.read, until=at)))
            assert far.count >= at
            assert len(far.rows) <= 200
            known = {row.last: row.what for row in far.rows[20:-20]}
            whole = {row.last: row.what for row in stream.rows if row.last in known}
            assert known == whole
            assert far.complete == (far.judged[:1] == stream.judged[:1])
            filtered.follow(tuple(far.rows), 0)
            assert len(filtered) == len(far.rows)

    def test_narrow_columns_cut_the_text(self, stream: Stream) -> None:
        for row in stream.rows[:50]:
            for width in (40, 80, 120):
                assert sum(len(text) for text, _ in row.line(width)) == width


class TestFilter:
    @pytest.mark.parametrize(
        ("words", "count"),
        [
            ("denied", 3),
            ("DENIED set", 1),
            ("gateway denied -setpoint", 2),
            ("fault", 2),
            ("nosuchword", 0),
        ],
    )
    def test_words(self, words: str, count: int, stream: Stream) -> None:
        filtered = Filtered()
        filtered.follow(stream.rows, 0)
        filtered.ask(words)
        found = [filtered[n] for n in range(len(filtered))]
        assert len([row for row in found if row.mark]) == count, [row.what for row in found]

    def test_where_the_system_stands(self, stream: Stream) -> None:
        filtered = Filtered()
        filtered.follow(stream.rows, 0)
        denied = next(row for row in stream.rows if row.mark == "denied")
        before = filtered.at(Position(denied.tick, settled=False))
        behind = filtered.at(Position(denied.tick))
        assert filtered[before].tick < denied.tick
        assert filtered[behind].tick == denied.tick
        assert filtered.at(Position(0, settled=False)) == -1


class TestCall:
    def test_a_denial(self, run: Recorded, stream: Stream, explaining: Explaining) -> None:
        row = find(stream, "call setpoint = DENIED")
        assert explained(run, stream, explaining, row)[:13] == [
            "khs_call(port=setpoint, message=0x50000140, length=16,  = DENIED",
            "    reply=0x50000800, capacity=32, timeout_us=1000)",
            "denied    request gateway.Gateway -> gateway.Controller setpoint.Set",
            "message   setpoint.Set  (gateway.ISetpoint)",
            "  temperature = 9999",
            "denied by security.psl:97",
            "    96     match method=Set {",
            "▸   97         assert (message.temperature >= 50 && message.temperature <= 850)",
            "    98     }",
            "  message.temperature = 9999",
            "  message.temperature >= 50 = true",
            "  message.temperature <= 850 = false",
            "  message.temperature >= 50 && message.temperature <= 850 = false",
        ]

    def test_a_rule_that_is_missing(
        self, run: Recorded, stream: Stream, explaining: Explaining
    ) -> None:
        row = find(stream, "call service = DENIED")
        text = explained(run, stream, explaining, row)
        told = [line for line in text if line.startswith("denied: no rule matches")]
        assert told == [
            "denied: no rule matches; nearest is security.psl:112, which wants method=Hours"
        ], text

    def test_a_state_before_and_after(
        self, run: Recorded, stream: Stream, explaining: Explaining
    ) -> None:
        row = find(stream, "port_send mode")
        text = explained(run, stream, explaining, row)
        assert '  state heater of actuator = "off" → "arming"' in text

    def test_going_back_tells_the_same(
        self, run: Recorded, stream: Stream, explaining: Explaining
    ) -> None:
        """Rows in any order: what was judged since is forgotten again."""
        rows = [row for row in stream.rows if row.verdicts]
        rng = random.Random(1)
        for row in rng.sample(rows, 12):
            fresh = Explaining(Reasons(run.plan, SYSTEM, [ATTACK]))
            here = explained(run, stream, explaining, row)
            assert explained(run, stream, fresh, row) == here
            fresh.close()

    def test_every_verdict_is_explained_as_it_was(
        self, run: Recorded, stream: Stream, explaining: Explaining
    ) -> None:
        for row in stream.rows[:200]:
            if row.verdicts:
                text = "\n".join(explained(run, stream, explaining, row))
                assert "no states" not in text, text

    @pytest.mark.parametrize(
        ("what", "lines"),
        [
            ("port_read temperature = OK", ["received  telemetry.Report", "  sequence = 1  temperature = 200"]),
            ("port_receive mode = OK", ["received  mode.Enter", "  mode = 1"]),
            ("recv = OK", ["received  setpoint.Set", "  temperature = 450"]),
            ("call resumes = OK", ["received  setpoint.Set", "  before = 400"]),
            ("time_get", ["  ns = 22004288"]),
        ],
    )  # fmt: skip
    def test_what_arrives_is_decoded(
        self,
        what: str,
        lines: list[str],
        run: Recorded,
        stream: Stream,
        explaining: Explaining,
    ) -> None:
        text = explained(run, stream, explaining, find(stream, what))
        assert [line for line in text if line in lines] == lines, text

    def test_a_fault(self, run: Recorded, stream: Stream, explaining: Explaining) -> None:
        text = explained(run, stream, explaining, find(stream, "fault "))
        assert " ".join("".join(text).split()) == (
            "fault read of 0x10010000: nothing is mapped there, at pc 0x4000015c (memcpy+0x5c)"
        )

    def test_an_archive_has_no_texts(self, run: Recorded, stream: Stream) -> None:
        blind = Explaining(Reasons(run.plan, Path("some.khs")))
        text = explained(run, stream, blind, find(stream, "call setpoint = DENIED"))
        blind.close()
        assert any("assert (message.temperature >= 50" in line for line in text)
        told = " ".join(" ".join(text).split())
        assert "no states: an archive has its policies compiled, without their text; " in told
        assert "khs explain FOLDER TRACE N, with the folder that the system was built from" in told

    def test_texts_that_are_gone(self, run: Recorded, stream: Stream) -> None:
        blind = Explaining(Reasons(run.plan, Path("gone/system.toml")))
        text = explained(run, stream, blind, find(stream, "call setpoint = DENIED"))
        blind.close()
        assert "system.toml: the policies' texts were there, and are gone;" in " ".join(
            " ".join(text).split()
        )

    def test_another_policy_than_that_of_the_run(
        self, run: Recorded, stream: Stream, tmp_path: Path
    ) -> None:
        copy = tmp_path / "system"
        shutil.copytree(SYSTEM.parent, copy)
        policy = copy / "security.psl"
        policy.write_text(policy.read_text().replace("850", "840"))
        other = Explaining(Reasons(run.plan, copy / "system.toml", [ATTACK]))
        text = explained(run, stream, other, find(stream, "call setpoint = DENIED"))
        other.close()
        assert any("was not recorded with the policy" in line for line in text), text


class TestWindows:
    def test_the_bar(self, run: Recorded) -> None:
        schedule = Outline.from_header(run.header).schedules[0]
        frame = schedule.major_frame
        assert text_of(bar(schedule, 0, 0, 20)) == "┃█··················"
        assert text_of(bar(schedule, 1, frame // 4, 20)) == "··███┃██············"
        assert text_of(bar(schedule, 4, frame - 1, 20)) == "················███┃"
        assert bar(schedule, 0, 0, 20)[0] == ("┃█", "here")
        assert bar(None, 0, 0, 5) == (("     ", "plain"),)

    def test_a_short_window_is_seen(self) -> None:
        schedule = Schedule(1_000_000, ((500_000, 10, 0),))
        assert text_of(bar(schedule, 0, 0, 20)).count("█") == 1


@pytest.mark.parametrize("width", [10, 17, 40])
def test_wrapping_loses_nothing(width: int) -> None:
    text = "a message of several words, one_that_is_rather_long_and_has_no_space, and an end"
    lines = wrap(text, width, "  ")
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert len(fit(text, width)) == width
