"""Other policy engines on a question like ours: may this client call this method with this value?
Each is asked through its Python interface, as KSS is here; they are the extra `bench`. libsepol, a
library in C that knows classes and methods and no values, is asked in C, as KSS is beside it.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

from kss.bench import sepol, timing
from kss.bench.scenarios import load, request
from kss.compiler import compile_policy
from kss.vm import Vm, measuring_loop

REPEATS = 2_000
_REQUEST = "request src=bench.Client, dst=bench.Server, endpoint=service, method=Act"
_CEDAR = """
permit (principal == Class::"Client", action == Action::"Act", resource == Class::"Server")
when { context.first == 1 && context.second < 10 };"""
_CASBIN = """[request_definition]
r = src, dst, act, first, second
[policy_definition]
p = src, dst, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.src == p.src && r.dst == p.dst && r.act == p.act && r.first == 1 && r.second < 10
"""


def measure(say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """What a decision takes; KSS first, the others in multiples of it. Says what is not there."""
    from kss.bench import figure

    ours = _time(_kss())
    yield figure("rivals", "KSS, from Python", ours, "us")
    for name, make in (("cedarpy", _cedar), ("casbin", _casbin)):
        if importlib.util.find_spec(name):
            yield figure("rivals", name, _time(make()), "us", ours)
        else:
            say(f"{name} is not installed (pip install 'khs[bench]')")
    constant = Vm(compile_policy(load(f"{_REQUEST} {{ grant () }}").tree))
    within = timing.verdict(constant, [request()]).taken
    yield figure("rivals", "KSS, from C, no values", within, "ns")
    library = sepol.name()
    if library is None:
        say("libsepol is not installed (apt install libsepol2)")
        return
    engine, loop = sepol.Sepol(library), measuring_loop("compute_av")
    assert engine.allows() and not engine.allows(forth=False)
    cost = timing.beside(lambda: engine.time(loop, timing.REPEATS))
    yield figure("rivals", f"{library}, from C", cost.taken, "ns", within)


def _time(ask: Callable[[], bool]) -> float:
    assert ask()
    began = time.perf_counter()
    for _ in range(REPEATS):
        ask()
    return (time.perf_counter() - began) / REPEATS * 1e6


def _kss() -> Callable[[], bool]:
    text = _REQUEST + " { assert (message.first == 1) assert (message.second < 10) }"
    vm, event = Vm(compile_policy(load(text).tree)), request()
    return lambda: vm.judge(event).granted


def _cedar() -> Callable[[], bool]:
    import cedarpy

    query = {
        "principal": 'Class::"Client"',
        "action": 'Action::"Act"',
        "resource": 'Class::"Server"',
        "context": {"first": 1, "second": 2},
    }
    return lambda: bool(cedarpy.is_authorized(query, _CEDAR, []).allowed)


def _casbin() -> Callable[[], bool]:
    import casbin

    model = casbin.Model()
    model.load_model_from_text(_CASBIN)
    enforcer = casbin.Enforcer(model)
    enforcer.add_policy("Client", "Server", "Act")
    return lambda: bool(enforcer.enforce("Client", "Server", "Act", 1, 2))
