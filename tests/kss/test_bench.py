"""kss bench: what is measured is what it says, and how figures are judged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kss import bench
from kss.bench import rivals, scenarios, sepol, timing
from kss.compiler import compile_policy
from kss.errors import KssError
from kss.reference import Reference
from kss.vm import LibraryMissingError, Vm, measuring_loop

from tests.kss.test_cli import run


def test_scenarios_are_decided_as_they_say() -> None:
    """The large ones differ from the others in the number of keys alone."""
    small = [each for each in scenarios.scenarios() if len(each.setup) < 1000]
    assert len(small) > 5
    for scenario in small:
        policy = scenarios.load(scenario.policy)
        for engine in (Reference(policy.tree), Vm(compile_policy(policy.tree))):
            assert all(engine.judge(event).granted for event in scenario.setup), scenario.name
            for event in scenario.events[:20]:
                assert engine.judge(event).granted is not scenario.denied, scenario.name


def test_loops_count_what_is_granted() -> None:
    text = "request src=bench.Client, dst=bench.Server, endpoint=service, method=Act"
    vm = Vm(compile_policy(scenarios.load(text + " { assert (message.first == 1) }").tree))
    try:
        took, granted = vm.measure([scenarios.request(1), scenarios.request(2)], 10)
    except LibraryMissingError:
        pytest.skip("this library has no measuring loops")
    assert took > 0
    assert granted == 5


def test_events_decided_wrongly_are_no_figure() -> None:
    class Denying:
        def measure(self, events: object, repeats: int) -> tuple[float, int]:
            return 1.0, 0

    with pytest.raises(KssError, match="not decided as they should be"):
        timing.verdict(Denying(), [scenarios.request()])  # type: ignore[arg-type]


def test_costs_are_the_best_of_rounds_that_were_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two drives the other out of the caches: its first run in a turn does not count."""
    ran: list[str] = []

    def costs(name: str, cold: float, warm: float) -> float:
        ran.append(name)
        return cold if ran[-2:-1] != [name] else warm + len(ran) / 1000

    monkeypatch.setattr(timing, "_look_up", lambda: costs("look-up", 1.0, 5.0))
    cost = timing.beside(lambda: costs("verdict", 2.0, 30.0))
    assert cost == (30.002, 5.004)
    assert ran == ["verdict", "verdict", "look-up", "look-up"] * timing.ROUNDS


def test_libsepol_is_asked_what_it_decides() -> None:
    library = sepol.name()
    if library is None:
        pytest.skip("libsepol is not installed (apt install libsepol2)")
    engine = sepol.Sepol(library)
    assert engine.allows() and not engine.allows(forth=False)
    with pytest.raises(KssError, match="this libsepol has no sepol_nothing"):
        engine._ask("sepol_nothing")
    try:
        assert engine.time(measuring_loop("compute_av"), 10) > 0
    except LibraryMissingError:
        pytest.skip("this library has no measuring loops")


def test_rivals_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "REPEATS", 2)
    monkeypatch.setattr(timing, "ROUNDS", 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sepol, "name", lambda: None)
    said: list[str] = []
    try:
        names = [figure["name"] for figure in rivals.measure(said.append)]
    except LibraryMissingError:
        pytest.skip("this library has no measuring loops")
    assert names == ["KSS, from Python", "KSS, from C, no values"]
    assert [line.split()[0] for line in said] == ["cedarpy", "casbin", "libsepol"]


@pytest.mark.parametrize(
    ("value", "baseline", "most", "ok", "asked"),
    [
        (30.0, 5.0, 10, True, "<= 10"),
        (60.0, 5.0, 10, False, "<= 10"),
        (1.5, None, 2, True, "<= 2 s"),
        (2.5, None, 2, False, "<= 2 s"),
        (9.0, None, None, True, None),
    ],
)
def test_figures_are_judged(
    value: float, baseline: float | None, most: float | None, ok: bool, asked: str | None
) -> None:
    made = bench.figure("s", "n", value, "s", baseline, most)
    assert (made["ok"], made["asked"]) == (ok, asked)


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    figures: list[dict[str, Any]] = [bench.figure("compile", "a", 3.0, "s", None, 2)]
    monkeypatch.setattr(bench, "measure", lambda section, say: figures)
    assert run(monkeypatch, "bench", "--json") == 1
    assert json.loads(capsys.readouterr().out) == figures
    assert run(monkeypatch, "bench") == 1
    assert "MISSED" in capsys.readouterr().out


def test_an_unknown_section_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "bench", "--section", "nothing") == 2
    assert "one of verdict, bindings, compile, rivals" in capsys.readouterr().err
