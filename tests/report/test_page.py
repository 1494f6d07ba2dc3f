"""The page as HTML: what it tells, that it is whole, and that nothing of a guest's is markup."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from khs.report import collect, page, timeline
from khs.report.collect import INTERACTIONS, PARTITIONS
from khs.report.html import Html, data, tag
from khs.report.timeline import MARKS_OF_ONE, STRETCHES
from tests.trace.conftest import make_record
from tests.trace.run import CLIENT, NONE, RUN, RUN_HEADER, boot, call, health, ms, verdict

from .conftest import ATTACK, hostile_header, hostile_records, rows

VOID = {"meta"}


class Parsed(HTMLParser):
    """Elements in order with their attributes, and the text of each section by its id."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, str | None]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append((name, dict(attributes).get("id")))

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop()[0] == name

    def handle_data(self, text: str) -> None:
        for _, anchor in self.open:
            if anchor:
                self.texts[anchor] = self.texts.get(anchor, "") + text + " "

    def section(self, anchor: str) -> str:
        return " ".join(self.texts[anchor].split())


def made(records: Iterable[bytes] = RUN, header: dict[str, Any] = RUN_HEADER) -> str:
    return page(collect(header, rows(records)))


def drawing(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="run">(.*?)</script>', text)
    assert found
    return dict(json.loads(found[1]))


def test_it_is_whole_and_self_contained() -> None:
    text = made()
    parsed = Parsed(text)
    names = [name for name, _ in parsed.elements]
    assert names.count("style") == 1 and names.count("script") == 2
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(names)
    anchors = {attributes.get("id") for _, attributes in parsed.elements}
    for name, attributes in parsed.elements:
        assert not {"src", "style", "srcset", "action"} & attributes.keys(), name
        assert not any(key.startswith("on") for key in attributes)
        link = attributes.get("href")
        assert link is None or link.startswith("#t=") or link[1:] in anchors
        label = attributes.get("aria-labelledby")
        assert label is None or label in anchors
    assert not re.search(r"(https?:)?//(?!\s)[a-z]+\.[a-z]", text.replace("http-equiv", ""))
    assert not re.search(r"@import|url\((?!#)", text)


def test_the_browser_is_told_to_run_nothing_else() -> None:
    text = made()
    (policy,) = (a["content"] for _, a in Parsed(text).elements if a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none';")
    for kind, pattern in (
        ("style", r"<style>(.*?)</style>"),
        ("script", r"<script>(.*?)</script>"),
    ):
        content = re.search(pattern, text, re.DOTALL)
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_hostile_texts_stay_texts() -> None:
    text = made(hostile_records(), hostile_header())
    plain = made()
    assert [name for name, _ in Parsed(text).elements if name in ("script", "img", "b")] == [
        name for name, _ in Parsed(plain).elements if name in ("script", "img", "b")
    ]
    parsed = Parsed(text)
    for anchor in ("partitions", "talks", "denials", "health", "coverage", "console"):
        assert "<img src=x onerror='window.hacked=2'>" in parsed.section(anchor), anchor
    assert "\\x1b[2J\\x00\\xff" in parsed.section("console")
    assert drawing(text)["partitions"] == [f"c{ATTACK}", f"s{ATTACK}"]
    assert text.encode("utf-8", "backslashreplace").decode("utf-8")


def test_denials_are_explained() -> None:
    told = Parsed(made([*RUN, verdict(35, granted=False), verdict(36, granted=False)])).section(
        "denials"
    )
    assert "client once, at 2.000000 ms request demo.Client -> demo.Server" in told
    assert "No rule of the policy matches. This one comes nearest. It wants method=Get." in told
    assert "demo.psl:6" in told
    assert "client 2 times, first at 35.000000 ms" in told
    assert "This rule does not hold: demo.psl:7 assert(message.temperature <= 300)" in told


def test_the_tables_tell_the_run() -> None:
    parsed = Parsed(made())
    assert "client cold-start 0.000000 5 5 1 0 0 0" in parsed.section("partitions")
    assert "client server request setpoint.Set 5 0" in parsed.section("talks")
    assert "client to server: 5 granted, 1 denied" in parsed.section("talks")
    assert "18.000000 server health memory-fault" in parsed.section("health")
    assert "swapped to relaxed" in parsed.section("health")
    assert "write of 0x1234" in parsed.section("faults")
    assert "security: 1 of 1 rules decided something" in parsed.section("coverage")
    assert "server: ready" in parsed.section("console")


def test_a_rule_that_never_decided_says_so() -> None:
    told = Parsed(made(boot())).section("coverage")
    assert "0 of 1 rules decided something" in told and "never never" in told


def test_a_trace_that_tells_little_is_told_as_it_is() -> None:
    for header in ({}, {"names": 3, "policies": [1], "manifest": [], "run": 7}):
        parsed = Parsed(made(RUN, header))
        assert "no schedule in its header" in parsed.section("timeline")
        assert "has no rules" in parsed.section("coverage")
    assert "0 granted" in made([])


def test_what_is_drawn() -> None:
    told = drawing(made())
    assert told["windows"][:2] == [[0, 0, 4_000_000], [1, 5_000_000, 9_000_000]]
    call = told["calls"][2]
    assert call[:3] == [0, 2_000_000, 2_001_280] and call[5] == 1
    assert (told["names"][call[3]], told["codes"][call[4]]) == ("khs_port_send", "DENIED")
    kinds = ["denied", "fault", "health", "start", "schedule", "policy"]
    assert [mark[2] for mark in told["marks"]] == kinds
    assert sum(map(sum, told["counts"])) == len(told["calls"]) == 9
    assert told["exact"] is None


def busy(count: int) -> Iterator[bytes]:
    """A hypercall, a denial, a health event and a console line in every frame, all different; at
    the end another partition speaks."""
    yield from boot()
    for n in range(count):
        at = 10 * n + 1.0
        yield verdict(at, granted=False, mid=n % 60_000, rule=NONE)
        yield call(at, CLIENT, "port_send", 1, n, 16, code=7)
        yield health(at + 5, b"%d" % n)
        yield make_record(11, tick=ms(at + 5), partition=1, data=b"line %d\n" % n)
    yield make_record(7, tick=ms(10 * count), code=1, args=[0x4000_0000, 7, 0])
    yield make_record(8, tick=ms(10 * count), partition=0, code=4, value=4, args=[1, 1, 0])
    yield make_record(11, tick=ms(10 * count), partition=0, data=b"at last\n")


def test_a_long_run_makes_no_long_page_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "CALLS", 100)
    monkeypatch.setattr(timeline, "WINDOWS", 150)
    short, long = made(busy(700)), made(busy(2100))
    assert len(long) < len(short) * 1.1
    parsed, told = Parsed(long), drawing(long)
    assert "windows are drawn up to 750.000000 ms" in parsed.section("timeline")
    assert "one by one up to 1001.000000 ms, behind that by" in parsed.section("timeline")
    assert "more denials, faults and other events are not marked" in parsed.section("timeline")
    assert "And 1900 events." in parsed.section("health")
    assert "And 1900 lines." in parsed.section("console")
    assert (len(told["windows"]), len(told["calls"])) == (150, 100)
    assert sum(map(sum, told["counts"])) == sum(map(sum, told["denied"])) == 2100
    assert len(told["counts"][0]) == STRETCHES


def test_what_one_partition_makes_up_hides_nothing_of_another() -> None:
    text = made(busy(2100))
    parsed = Parsed(text)
    assert "client: at last" in parsed.section("console")
    assert "21000.000000 client health memory-fault" in parsed.section("health")
    kinds = [mark[2] for mark in drawing(text)["marks"]]
    assert kinds.count("denied") == kinds.count("health") == MARKS_OF_ONE


def test_made_up_numbers_make_no_long_page() -> None:
    header = copy.deepcopy(RUN_HEADER)
    header["names"]["partitions"] = [f"p{n}" for n in range(2000)]
    records = [
        make_record(6, tick=n, partition=n, value=1, args=[1, n | n << 32, 0, n << 32, n | n << 32])
        for n in range(2000)
    ]
    records.append(make_record(4, tick=(1 << 64) - 1, partition=65_000, number=999, args=[9]))
    found = collect(header, rows(records))
    assert (len(found.partitions), len(found.interactions)) == (PARTITIONS, INTERACTIONS)
    text = page(found)
    assert "And 1744 partitions." in text and "And 1500 verdicts of further kinds." in text
    assert len(text) < 1_500_000


def test_markup_is_made_in_one_place() -> None:
    assert tag("b", "<&>", 3, None, title='"<') == '<b title="&quot;&lt;">&lt;&amp;&gt;3</b>'
    assert tag("i", Html("<b></b>"), class_="x", aria_label="y", role=None) == (
        '<i class="x" aria-label="y"><b></b></i>'
    )
    assert tag("p", "a\0\x1b\n\ud800‮") == "<p>a\\x00\\x1b\\n\\ud800\\u202e</p>"
    assert "<" not in data({"a": "</script><!--&\u2028"})
