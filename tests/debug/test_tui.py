"""The terminal debugger, by its keys and its screen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from khs import runs
from khs.debug.stops import Cause, Stop
from khs.debug.target import Target
from khs.debug.tui.app import Debugger
from khs.debug.tui.help import HELP
from khs.debug.why import Reasons
from khs.engine.result import Result
from khs.image import open_system
from khs.resources import shipped
from khs.runs import Plan

SYSTEM = shipped("images") / "iot-gateway" / "system.toml"
ATTACK = SYSTEM.with_name("attack.toml")
GOLDEN = Path(__file__).parent / "golden"
DENIED = 188_875_786  # ticks: the attack's first denial

Play = Callable[["Screen"], Awaitable[None]]


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The attack up to its first faults."""
    return runs.plan(open_system(SYSTEM, [ATTACK]), frames=77)


class Screen:
    """The debugger's screen, as text, and its keys."""

    def __init__(self, app: Debugger, target: Target, pilot: Pilot[Result]) -> None:
        self.app, self.target, self.pilot = app, target, pilot

    async def press(self, *keys: str) -> None:
        """Keys, each followed by all that it begins."""
        for key in keys:
            await self.key(key)
            await self.settle()

    async def type(self, text: str) -> None:
        names = {" ": "space", ".": "full_stop", "-": "minus", ":": "colon", "#": "number_sign"}
        for each in text:
            await self.key(names.get(each, each), each)
        await self.settle()

    async def key(self, name: str, character: str | None = None) -> None:
        """As `pilot.press`, which waits until this machine has nothing else to do."""
        text = character or (name if len(name) == 1 else None)
        self.app.post_message(events.Key(name, text))
        await self.pilot.pause(0)

    async def settle(self) -> None:
        for _ in range(3):
            await self.pilot.pause(0)
            await self.app.workers.wait_for_complete()
        await self.pilot.pause(0)

    @property
    def lines(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    @property
    def title(self) -> str:
        return self.lines[0]

    @property
    def tick(self) -> int:
        return self.target.position.tick

    def pane(self, title: str) -> list[str]:
        """The lines of a pane of a narrow screen."""
        at = next(n for n, line in enumerate(self.lines) if line.startswith(f"─{title}"))
        rest = self.lines[at + 1 : -1]
        end = next((n for n, line in enumerate(rest) if line.startswith("─")), len(rest))
        return rest[:end]


@contextmanager
def opened(plan: Plan, system: Path = SYSTEM) -> Iterator[tuple[Target, Debugger]]:
    with Target(plan) as target:
        yield target, Debugger(target, system, Reasons(plan, system, [ATTACK]))


def play(plan: Plan, steps: Play, size: tuple[int, int] = (80, 24)) -> Result | None:
    """Runs the debugger without a terminal; what it ends with."""

    async def run() -> Result | None:
        with opened(plan) as (target, app):
            async with app.run_test(size=size) as pilot:
                screen = Screen(app, target, pilot)
                await screen.settle()
                await steps(screen)
            return app.return_value

    return asyncio.run(run())


class TestScreens:
    @pytest.mark.parametrize(
        ("name", "size", "keys"),
        [
            ("begin", (80, 24), ""),
            ("denied", (80, 24), "d"),
            ("code", (80, 24), "d2"),
            ("registers", (80, 24), "ds3"),
            ("memory", (80, 24), "d4"),
            ("wide", (120, 40), "ddD"),
        ],
    )
    def test_as_it_was_looked_at(
        self, name: str, size: tuple[int, int], keys: str, plan: Plan
    ) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press(*keys)
            assert screen.text == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
            assert all(len(line) <= size[0] for line in screen.lines)
            picture = screen.app.export_screenshot()
            assert picture.startswith("<svg")
            assert "iot-gateway" in picture

        play(plan, steps, size)

    @pytest.mark.parametrize("board", ["q35", "pc"])
    def test_other_architectures(self, board: str) -> None:
        plan = runs.plan(open_system(SYSTEM, [ATTACK], board), frames=77)

        async def steps(screen: Screen) -> None:
            await screen.press("d", "2")
            shown = screen.pane("1 call")
            now = next(n for n, line in enumerate(shown) if "▶" in line)
            assert {"q35": "mov", "pc": "pop"}[board] in shown[now]
            assert any("syscall" in line or "int 0x80" in line for line in shown[:now])
            assert any(line.startswith("start.S:") for line in shown)
            await screen.press("3")
            counter = {"q35": "rip", "pc": "eip"}[board]
            assert any(counter in line for line in screen.pane("1 call"))

        play(plan, steps)

    def test_help_shows_every_key_at_once(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("question_mark")
            plain = HELP.replace("[b]", "").replace("[/b]", "").rstrip().splitlines()
            assert [line.strip() for line in screen.lines[: len(plain)]] == [
                line.strip() for line in plain
            ]
            before = screen.tick
            await screen.press("s")
            assert screen.tick == before
            await screen.press("escape")
            assert "Hypercalls" in screen.text

        play(plan, steps)

    def test_other_sizes(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d")
            for size in ((120, 40), (80, 24), (60, 16), (40, 10), (200, 60), (80, 24)):
                await screen.pilot.resize_terminal(*size)
                await screen.settle()
                assert len(screen.lines) == size[1]
                assert all(len(line) <= size[0] for line in screen.lines)
            assert screen.text == (GOLDEN / "denied.txt").read_text(encoding="utf-8")

        play(plan, steps)


class TestMoving:
    def test_forward_and_back_again(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d")
            assert screen.tick == DENIED
            assert screen.title.endswith("gateway: denied")
            await screen.press("x", "s")
            for key in "sh":
                before, state = screen.tick, screen.target.state_hash()
                await screen.press(key)
                assert screen.tick > before
                await screen.press(key.upper())
                if key == "s":
                    assert screen.tick == before
                    assert screen.target.state_hash() == state
            assert screen.tick == DENIED

        play(plan, steps)

    def test_windows_and_frames(self, plan: Plan) -> None:
        frame = 2_500_000

        async def steps(screen: Screen) -> None:
            await screen.press("f", "f")
            assert screen.tick == 2 * frame
            await screen.press("w")
            assert screen.tick == 2 * frame + 250_000
            await screen.press("W")
            assert screen.tick == 2 * frame
            await screen.press("F")
            assert screen.tick == frame

        play(plan, steps)

    def test_from_denial_to_denial(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            ticks = []
            for _ in range(3):
                await screen.press("d")
                ticks.append(screen.tick)
            await screen.press("D")
            assert screen.tick == ticks[1]
            await screen.press("C")
            assert screen.tick == ticks[0]
            await screen.press("D")  # there is none before
            assert screen.tick == ticks[0] == DENIED
            await screen.press("W", "c")
            assert screen.tick == DENIED

        play(plan, steps)

    def test_back_in_a_run_of_which_only_the_last_rows_are_kept(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("khs.debug.tui.stream.MOST", 12)

        async def steps(screen: Screen) -> None:
            await screen.press("x", "c")
            assert screen.app._mover.stream.first > 1000
            await screen.press("D")
            last = screen.tick
            assert last > DENIED
            await screen.press("D", "D")
            assert screen.tick == DENIED
            assert any("✗ call setpoint" in line for line in screen.pane("Hypercalls")), screen.text
            assert "khs explain does it" in " ".join(screen.pane("1 call"))
            await screen.press("D")
            assert "there is no denial before here" in screen.lines[-1]
            assert screen.tick == DENIED
            await screen.press("F", "d", "g")
            await screen.type("# 5")
            await screen.press("enter")
            assert "event 5 is too far back" in screen.lines[-1]

        play(plan, steps)

    def test_denials_may_pass(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("x")
            assert screen.title.endswith("denials pass")
            await screen.press("c")
            assert "end of the run" in screen.title
            await screen.press("s", "h", "d", "c")
            assert "end of the run" in screen.title

        play(plan, steps)

    def test_hypercalls_of_the_stream(self, plan: Plan) -> None:
        """Each `h` is behind the next row of a hypercall."""

        async def steps(screen: Screen) -> None:
            for _ in range(12):
                await screen.press("h")
                rows = screen.app.panes.filtered
                here = [
                    row
                    for row in map(rows.__getitem__, range(len(rows)))
                    if row.tick == screen.tick
                ]
                assert "hypercall" in {row.event.kind.word for row in here}
                assert sum("▸" in line for line in screen.pane("Hypercalls")) == 1

        play(plan, steps)

    def test_to_a_row(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d", "up", "up")
            row = screen.app.panes.row
            assert row is not None
            await screen.press("enter")
            assert screen.tick == row.tick < DENIED
            await screen.press("end", "enter")
            assert screen.tick == DENIED

        play(plan, steps)

    @pytest.mark.parametrize(
        ("typed", "tick"), [("20", 2_500_000), ("20.000280", 2_500_035), ("f 3", 7_500_000)]
    )
    def test_to_a_point(self, typed: str, tick: int, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d", "g")
            await screen.type(typed)
            await screen.press("enter")
            assert screen.tick == tick
            await screen.press("g")
            await screen.type("# 18")
            await screen.press("enter")
            assert screen.tick == 213  # 0.001704 ms, the sensor's first hypercall

        play(plan, steps)

    @pytest.mark.parametrize("typed", ["soon", "f x", "# 99999999", "1e3"])
    def test_no_point(self, typed: str, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d", "g")
            await screen.type(typed)
            await screen.press("enter")
            assert screen.tick == DENIED
            told = screen.lines[-1]
            assert "is no point in time: 12.5 (ms)" in told or "has not happened yet" in told

        play(plan, steps)

    def test_a_breakpoint(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("p", "p", "p", "2", "b")  # the gateway, whichever runs
            await screen.type("main")
            await screen.press("enter", "x", "c")
            assert screen.title.endswith("breakpoint in gateway   denials pass")
            at = screen.app.panes.current
            assert at is not None
            program = screen.app._mover.programs[3]
            assert at.view.code.counter == program.find("main")[0]
            assert any("●▶" in line for line in screen.lines)
            await screen.press("b")
            await screen.type("main")
            await screen.press("enter", "c")
            assert "end of the run" in screen.title
            await screen.press("b")
            await screen.type("nowhere")
            await screen.press("enter")
            assert "gateway has no function, line or address nowhere" in screen.lines[-1]
            await screen.press("escape")
            assert "nowhere" not in screen.text

        play(plan, steps)

    def test_a_breakpoint_in_another_partition(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("b")
            await screen.type("logger:main")
            await screen.press("enter")
            address = screen.app._mover.programs[4].find("main")[0]
            assert f"breakpoint set: main in logger, {address:#x}" in screen.lines[-1]
            assert screen.app._mover.breakpoints == {4: frozenset((address,))}
            await screen.press("b")
            await screen.type("logger:main")
            await screen.press("enter")
            assert "breakpoint taken away: main in logger" in screen.lines[-1]
            await screen.press("b")
            await screen.type("logger:nowhere")
            await screen.press("enter")
            assert "logger has no function, line or address nowhere" in screen.lines[-1]

        play(plan, steps)

    def test_nothing_to_go_back_to_loses_no_place(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("f", "w")
            tick = screen.tick
            await screen.press("D")
            assert "there is no denial before here" in screen.lines[-1]
            assert screen.tick == tick > 0

        play(plan, steps)

    def test_what_it_looks_at_changes_nothing(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press(*"dshwSHWpd4D3cx", "c", "q")

        ended = play(plan, steps)
        assert ended is not None
        assert ended.trace_sha256 == runs.run(plan).result.trace_sha256


class TestLooking:
    def test_the_stream_is_filtered_as_one_types(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d", "d", "slash")
            counts = []
            for letter in "denied":
                await screen.type(letter)
                counts.append(len(screen.app.panes.filtered))
            assert counts[-1] == 2
            assert counts == sorted(counts, reverse=True) or counts[-1] < counts[0]
            await screen.type(" -setpoint")
            assert len(screen.pane("Hypercalls")[0].strip()) > 0
            await screen.press("enter")
            assert "/ denied -setpoint  1 of" in screen.text
            tick = screen.tick
            await screen.press("slash", "escape")
            assert len(screen.app.panes.filtered) > 100
            assert screen.tick == tick

        play(plan, steps)

    def test_nothing_passes_the_filter(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d", "slash")
            await screen.type("qqq")
            await screen.press("enter", "enter", "up", "down", "home", "end")
            assert "/ qqq  0 of" in screen.text
            assert screen.tick == DENIED

        play(plan, steps)

    def test_memory_elsewhere(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d", "m")  # the pane comes by itself
            await screen.type("main")
            await screen.press("enter")
            start = screen.app._mover.programs[3].find("main")[0] & ~0xF
            assert screen.pane("1 call")[0].startswith(f"{start:08x}  ")
            await screen.press("m")
            await screen.type("0x10")
            await screen.press("enter")
            assert screen.pane("1 call")[0] == "0x10: nothing is mapped there"

        play(plan, steps)

    def test_a_pinned_partition(self, plan: Plan) -> None:
        async def steps(screen: Screen) -> None:
            await screen.press("d", "x", "2", "p")
            assert "logger  pinned" in screen.text
            await screen.press("s")
            assert screen.target.running() == 4  # its next instruction is in its next window
            await screen.press("full_stop", "F")
            assert "pinned" not in screen.text

        play(plan, steps)


class TestWaiting:
    """The screen never waits for the system."""

    def test_a_run_that_goes_on_is_stopped(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running, asked = threading.Event(), threading.Event()

        def go(self: Target, until: int | None = None) -> Stop:
            running.set()
            assert asked.wait(30)
            asked.clear()
            self.stop = Stop(Cause.INTERRUPT, self.position, self.running())
            return self.stop

        monkeypatch.setattr(Target, "go", go)
        monkeypatch.setattr(Target, "interrupt", lambda self: asked.set())

        async def steps(screen: Screen) -> None:
            for key in ("escape", "ctrl+c"):
                running.clear()
                await screen.key("c")
                while not running.is_set():
                    await screen.pilot.pause()
                assert screen.title.endswith("continue …")
                assert "Esc stops it" in screen.lines[-1]
                for each in ("3", "s", "2", "slash", "r", "enter"):
                    await screen.key(each)
                await screen.pilot.pause()
                assert "▶" in screen.text
                assert running.is_set()
                await screen.press(key)
                assert screen.title.endswith("interrupted")

        play(plan, steps)

    def test_it_is_really_interrupted(self, plan: Plan) -> None:
        long = replace(plan, frames=50_000_000)

        async def steps(screen: Screen) -> None:
            await screen.press("x")
            await screen.key("c")
            while not screen.app._busy:
                await screen.pilot.pause(0)
            await screen.press("escape")
            assert screen.title.endswith("interrupted   denials pass")
            assert screen.tick < 50_000_000 * 2_500_000

        play(long, steps)
