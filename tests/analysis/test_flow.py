"""kss flow: paths of data, and that there is none where it says so."""

from __future__ import annotations

import json
from itertools import pairwise, permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kss.analysis.decide import Verdict
from kss.analysis.flow import Flows
from kss.analysis.guards import Wanted
from kss.analysis.paths import Graph, paths, reached
from kss.analysis.system import parse_system
from kss.boot import KERNEL
from kss.compiler import compile_policy
from kss.errors import KssError
from kss.events import Kind
from kss.reference import Reference, called_method
from kss.vm import Vm

from tests.analysis.command import Command
from tests.kss.conftest import Load
from tests.vm.generate import policy
from tests.vm.generate_events import Events

POLICY = """\
request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open { assert (message.amount < 5) }
response src=bank.Vault, dst=bank.Teller, endpoint=door, method=Open { grant () }
response src=bank.Vault, dst=Einit { grant () }
request src=Einit, dst=bank.Vault, endpoint=back.bolt { assert (message.angle < 5) grant () }
request src=Einit, dst=bank.Vault, endpoint=door { assert (src_sid != src_sid) deny () }
request src=bank.Vault, dst=kl.core.Core { grant () }
response src=kl.core.Core { grant () }
"""
ENDS = ("bank.Teller", "Einit")
SYSTEM = {
    "processes": {"clerk": "bank.Teller", "boss": "bank.Teller", "vault": "bank.Vault"},
    "links": [
        {"name": "channel open", "from": "clerk", "to": "vault", "endpoint": "door"},
        {
            "name": "channel both",
            "from": "boss",
            "to": "vault",
            "endpoint": "door",
            "method": "Open",
            "answers": True,
        },
        {"name": "channel other", "from": "vault", "to": "vault", "endpoint": "front.bell"},
        {"name": "region memory", "from": "boss", "to": "clerk"},
    ],
}


class TestCommand:
    def test_text(self, kss: Command) -> None:
        assert kss("flow", kss.policy(POLICY), "Einit", "bank.Teller") == 0
        assert kss.out == (
            "Einit -> bank.Vault -> bank.Teller\n"
            "  Einit -> bank.Vault\n"
            "    request back.bolt.Turn: conditional, security.psl:10\n"
            "  bank.Vault -> bank.Teller\n"
            "    response door.Open: granted, security.psl:8\n"
        )

    def test_no_path(self, kss: Command) -> None:
        """What is denied in any case, answers to what nobody may ask, and the kernel, are none."""
        assert kss("flow", kss.policy(POLICY), "bank.Teller", "Einit") == 0
        assert kss.out == "bank.Teller -> bank.Vault -> Einit\n" + kss.out.split("\n", 1)[1]
        assert kss("flow", kss.policy(POLICY.replace("angle < 5", "angle < 0")), *ENDS) == 0
        assert kss.out == (
            "no path: no data passes from bank.Teller to Einit\n"
            "from bank.Teller it gets to bank.Vault, kl.core.Core, and no further\n"
        )
        assert kss("flow", kss.policy("response { grant () }"), *ENDS) == 0
        assert kss.out.splitlines()[1] == "from bank.Teller it gets nowhere"

    def test_json(self, kss: Command) -> None:
        assert kss("flow", kss.policy(POLICY), "bank.Teller", "bank.Vault", "--json") == 0
        shown = json.loads(kss.out)
        way = {
            "kind": "request",
            "endpoint": "door",
            "method": "Open",
            "verdict": "conditional",
            "stub": None,
            "condition": "message.amount < 5",
            "rules": [{"file": "security.psl", "line": 7}],
            "link": None,
        }
        assert shown == {
            "paths": [[{"src": "bank.Teller", "dst": "bank.Vault", "ways": [way]}]],
            "more": False,
            "reached": ["bank.Vault", "kl.core.Core", "Einit"],
            "stubs": {},
        }

    @pytest.mark.parametrize(
        ("ends", "words"),
        [
            (("bank.Tellr", "Einit"), "there is no class bank.Tellr\n  help: did you mean"),
            (("Einit", "Einit"), "Einit is both ends"),
        ],
    )
    def test_wrong_ends(self, ends: tuple[str, str], words: str, kss: Command) -> None:
        assert kss("flow", kss.policy(POLICY), *ends) == 2
        assert words in kss.err


class TestSystem:
    def ask(self, kss: Command, *arguments: str) -> str:
        (kss.folder / "system.json").write_text(json.dumps(SYSTEM))
        assert kss("flow", kss.policy(POLICY), *arguments, "--system", "system.json") == 0
        return kss.out

    def test_links(self, kss: Command) -> None:
        assert (
            self.ask(kss, "boss", "clerk")
            == "boss -> clerk\n    judged by nobody, over region memory\n"
        )
        assert self.ask(kss, "vault", "clerk") == (
            "vault -> boss -> clerk\n"
            "  vault -> boss\n"
            "    response door.Open: granted, security.psl:8, over channel both\n"
            "  boss -> clerk\n"
            "    judged by nobody, over region memory\n"
        )

    def test_answers_come_only_where_a_link_says_so(self, kss: Command) -> None:
        assert self.ask(kss, "clerk", "boss").startswith("clerk -> vault -> boss\n")
        assert self.ask(kss, "vault", "clerk").startswith("vault -> boss -> clerk\n")

    def test_a_bounded_number(self, kss: Command) -> None:
        assert self.ask(kss, "boss", "vault").count("boss -> ") == 3
        assert self.ask(kss, "boss", "vault", "--max", "1").splitlines() == [
            "boss -> vault",
            "    request door.Open: conditional, security.psl:7, over channel both",
            "there are more paths: --max N shows N of them",
        ]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ([], "system.json: an object is needed, with processes, links"),
            ({"process": {}}, "unknown key process; did you mean 'processes'?"),
            ({"processes": []}, "processes is an object of names and classes"),
            ({"processes": {"a": 1}}, "processes is an object of names and classes"),
            ({"links": {}}, "links is a list"),
            ({"links": [1]}, "links[0]: an object is needed, with name, from, to, endpoint, "),
            ({"links": [{"name": "x", "from": "clerk"}]}, "links[0]: to is missing"),
            ({"links": [{"name": 1, "from": "clerk", "to": "boss"}]}, "name is a text, not 1"),
            (
                {"links": [{"name": "", "from": "clrk", "to": "boss"}]},
                "from: there is no process clrk; did",
            ),
            (
                {"links": [{"name": "", "from": "clerk", "to": "boss", "answers": True}]},
                "links[0]: answers needs an endpoint",
            ),
            (
                {"links": [{"name": "c", "from": "clerk", "to": "vault", "endpoint": "dor"}]},
                "c: bank.Vault has no endpoint dor; did you mean 'door'?",
            ),
            (
                {
                    "links": [
                        {
                            "name": "c",
                            "from": "clerk",
                            "to": "vault",
                            "endpoint": "door",
                            "method": "x",
                        }
                    ]
                },
                "c: bank.IDoor has no method x; known: ",
            ),
            (
                {"processes": {"clerk": "bank.Tell"}, "links": []},
                "the policy has no class bank.Tell; ",
            ),
        ],
    )
    def test_wrong_descriptions(self, change: Any, words: str, kss: Command) -> None:
        document = {**SYSTEM, **change} if isinstance(change, dict) else change
        (kss.folder / "system.json").write_text(json.dumps(document))
        assert kss("flow", kss.policy(POLICY), "clerk", "boss", "--system", "system.json") == 2
        assert words in kss.err and "Traceback" not in kss.err

    @pytest.mark.parametrize("data", [b"{", b"[" * 100_000, b"\xff", b"nul"])
    def test_no_json(self, data: bytes, kss: Command) -> None:
        (kss.folder / "system.json").write_bytes(data)
        assert kss("flow", kss.policy(POLICY), "clerk", "boss", "--system", "system.json") == 2
        assert "system.json: no JSON" in kss.err
        assert kss("flow", kss.policy(POLICY), "clerk", "boss", "--system", "nowhere.json") == 2
        assert "cannot read nowhere.json" in kss.err


def simple_paths(graph: Graph, start: str, end: str) -> list[tuple[str, ...]]:
    """All, by trying every order of nodes."""
    inner = [node for node in graph if node not in (start, end)]
    found = [
        (start, *middle, end)
        for count in range(len(inner) + 1)
        for middle in permutations(inner, count)
    ]
    return [path for path in found if all(b in graph[a] for a, b in pairwise(path))]


@pytest.mark.parametrize("seed", range(40))
def test_every_path_once_shortest_first(seed: int) -> None:
    rng = Random(seed)
    nodes = "abcdef"
    graph = {node: [other for other in nodes if rng.random() < 0.4] for node in nodes}
    found = list(paths(graph, "a", "f"))
    assert [len(path) for path in found] == sorted(len(path) for path in found)
    assert sorted(found) == sorted(simple_paths(graph, "a", "f"))
    assert ("f" in reached(graph, "a")) == bool(found)


def test_paths_of_a_dense_graph_come_one_by_one() -> None:
    nodes = [str(number) for number in range(60)]
    graph = dict.fromkeys(nodes, nodes)
    found = paths(graph, "0", "59")
    assert [len(next(found)) for _ in range(60)] == [2, *[3] * 58, 4]


def test_nothing_is_granted_where_there_is_no_path(library: Path) -> None:
    assert sum(passed_events(seed, library) for seed in range(12)) > 50


def passed_events(seed: int, library: Path) -> int:
    """The number of requests, and of answers to such as can be granted, that were granted: each
    along a path. The engines judge answers whether they were asked for or not."""
    rng = Random(seed)
    tree = policy(rng)
    flows, classes = Flows(tree), tree.classes
    requests = {
        row.interaction.key
        for row in flows.query.rows(Wanted(Kind.REQUEST))
        if row.verdict is not Verdict.DENIED
    }
    pairs = permutations([entity.name for entity in classes], 2)
    ways = {pair for pair in pairs if flows.between(*pair, 1).paths}
    engines = (Reference(tree, max_sids=3), Vm(compile_policy(tree, max_sids=3), library))
    source = Events(rng, tree)
    passed = 0
    for event in (source.event() for _ in range(300)):
        first, second = (engine.judge(event) for engine in engines)
        assert first == second
        if not first.granted or event.kind in (Kind.EXECUTE, Kind.SECURITY):
            continue
        assert event.src_class is not None and event.dst_class is not None
        src, dst = classes[event.src_class], classes[event.dst_class]
        server, client = (src, dst) if event.kind.server_is_source else (dst, src)
        called = called_method(server, event.kind, event.message)
        assert called
        request = ("request", client.name, server.name, called[0].name, called[1].name)
        assert request in requests or event.kind is not Kind.REQUEST, (seed, event)
        if request in requests and src is not dst:
            passed += 1
            assert (src.name, dst.name) in ways, (seed, event)
    return passed


def test_the_kernel_may_be_an_end(load: Load) -> None:
    flows = Flows(load(POLICY).tree)
    assert flows.between("bank.Vault", KERNEL, 1).paths
    assert flows.between(KERNEL, "bank.Vault", 1).paths


def test_descriptions_are_checked_as_values() -> None:
    with pytest.raises(KssError, match="the system: an object is needed"):
        parse_system(None, "the system")
