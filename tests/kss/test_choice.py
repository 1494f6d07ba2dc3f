"""Regex and `choice`, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from kss.api import Policy, load_policy
from kss.compiler import compile_policy
from kss.errors import DescriptionError
from kss.events import Decision, Event, Kind, Reason
from kss.message import encode

from tests.kss.conftest import LIB, PRELUDE, Load, Start

CORE, TELLER, VAULT, DOOR = 0, 2, 3, 3
USE = "use nk.regex._\n"
OPEN = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open { %s }\n"


def opened(policy: Policy, **values: object) -> Event:
    method = policy.layout("bank.Vault").endpoints[DOOR].interface.method("Open")
    assert method is not None
    data = encode(method.request, values, riid=DOOR, mid=method.mid)
    return Event(Kind.REQUEST, TELLER, VAULT, 7, 8, data)


def results(decision: Decision) -> str:
    return "".join(result.value[0] for _, result in decision.calls)


def granted(load: Load, start: Start, body: str, pins: str) -> str:
    """Of the pins (separated by commas), those for which `body` grants."""
    policy = load(USE + OPEN % body)
    engine = start(policy)
    words = pins.split(",")
    return ",".join(w for w in words if engine.judge(opened(policy, pin=w)).granted)


# ---- re.match ----------------------------------------------------------------------


def match(pattern: str) -> str:
    return f'assert (re.match {{ text : message.pin, pattern : "{pattern}" }})'


@pytest.mark.parametrize(
    ("pattern", "pins", "expected"),
    [
        (r"v\\.[0-9]+", "v.1,v.22,v1,v.,xv.1", "v.1,v.22"),
        (r"^[0-9]+$", "1,12,a", "1,12"),
        (r"door\\ 7\\!", "door 7!,door7!", "door 7!"),
        (r"[a-z]+ & !(red)", "red,re,redd,R", "re,redd"),
        (r"!(.*\\.\\..*)", "a/b,a/../b,..", "a/b"),
        ("", "a,,b", ""),
        ("..", "é,ab,e", "é,ab"),
        (r"\\\\", "\\,\\\\", "\\"),
        (r"\"", '",a', '"'),
    ],
)
def test_match(load: Load, start: Start, pattern: str, pins: str, expected: str) -> None:
    assert granted(load, start, match(pattern), pins) == expected


def test_match_in_a_block(load: Load, start: Start) -> None:
    body = """assert (re.match { pattern :
    ```regex
      v\\.   [0-9]+
      | "or"\\ /*7
    ```
    , text : message.pin })"""
    assert granted(load, start, body, 'v.1,v. 1,"or" /7,"or" 7,or /7') == 'v.1,"or" /7,"or" 7'


def test_a_block_that_ends_on_its_line(load: Load, start: Start) -> None:
    body = "assert (re.match { text : message.pin, pattern : ```regex\nab\n|cd``` })"
    assert granted(load, start, body, "ab,cd,x") == "ab,cd"


def test_match_is_an_expression_like_others(load: Load, start: Start) -> None:
    body = """assert (re.match { text : message.pin, pattern : "a+" } && message.amount < 5
                      || re.match { text : ["x", message.pin].[message.amount], pattern : "b|x" })
              deny (!re.match { text : "const", pattern : "c.*t" })
              choice (re.match { text : message.pin, pattern : "a" }) { true : deny () _ : grant () }"""
    policy = load(USE + OPEN % body)
    engine = start(policy)
    for pin, amount, expected in [
        ("aa", 4, "ggg"),
        ("a", 4, "ggd"),
        ("b", 0, "ggg"),
        ("b", 1, "ggg"),
        ("c", 1, "dgg"),
        ("b", 2, "f"),
    ]:
        assert results(engine.judge(opened(policy, pin=pin, amount=amount))) == expected


def test_a_match_that_fails_denies(load: Load, start: Start) -> None:
    body = 'assert (re.match { text : message.either.text, pattern : ".*" })'
    policy = load(USE + OPEN % body)
    engine = start(policy)
    assert engine.judge(opened(policy, either={"text": "x"})).granted
    decision = engine.judge(opened(policy, either={"number": 1}))
    assert (decision.reason, results(decision)) == (Reason.ERROR, "f")


def test_objects_of_ones_own(load: Load, start: Start) -> None:
    policy = load(
        USE
        + "policy object names : Regex {}\n"
        + OPEN
        % """assert (names.match { text : message.pin, pattern : "[a-z]+" })
             choice (names.select { text : message.pin }) { "a.*" : grant () _ : deny () }"""
    )
    assert results(start(policy).judge(opened(policy, pin="ab"))) == "gg"
    assert [site.object for site in policy.tree.sites] == ["base", "", "base", "base"]


# ---- re.select ---------------------------------------------------------------------


def test_select_takes_the_first_pattern_that_matches(load: Load, start: Start) -> None:
    body = """choice (re.select { text : message.pin }) {
      "red" : grant ()
      "re-.*" : { deny () grant () }
      "[a-z-]+&!(.*o.*)" : { grant () grant () }
      _ : { deny () deny () deny () } }"""
    policy = load(USE + OPEN % body)
    engine = start(policy)
    taken = {
        "red": "g",
        "re-amber": "dg",
        "green": "gg",
        "yellow": "ddd",
        "": "ddd",
        "Red": "ddd",
    }
    for pin, expected in taken.items():
        assert results(engine.judge(opened(policy, pin=pin))) == expected


def test_select_without_a_match_is_denied(load: Load, start: Start) -> None:
    policy = load(USE + OPEN % 'choice re.select { text : message.pin } { "a" : grant () }')
    decision = start(policy).judge(opened(policy, pin="b"))
    assert (decision.granted, decision.reason, results(decision)) == (False, Reason.RULES, "d")
    rule = policy.rules[decision.calls[0][0]]
    assert (rule.method, rule.text) == ("choice", "choice re.select { text : message.pin }")


def test_select_on_a_constant_or_an_element(load: Load, start: Start) -> None:
    body = """choice (re.select { text : "b" }) { "a" : deny () "b|c" : grant () }
              choice (re.select { text : [message.pin, "ab"].[message.amount] }) {
                "a" : deny () "a.*" : grant () }"""
    policy = load(USE + OPEN % body)
    engine = start(policy)
    assert results(engine.judge(opened(policy, pin="a"))) == "gd"
    assert results(engine.judge(opened(policy, pin="a", amount=1))) == "gg"


# ---- choice --------------------------------------------------------------------------


def test_sections_within_branches(load: Load, start: Start) -> None:
    body = """choice (message.amount) {
      1 : choice message.pin { "a" : match src=bank.Teller { grant () } "b" : { } }
      2 : { audit watch  match src=bank.Vault { deny () }  grant () }
      0x3 : re.match { text : message.pin, pattern : "x" }
      -0 : deny ()
      _ : choice (message.small == 0) { true : grant () false : { deny () grant () } } }"""
    policy = load(
        USE + 'audit profile watch = { 0 : { re : { emit : ["match"] } } }\n' + OPEN % body
    )
    engine = start(policy)

    def judged(**values: object) -> tuple[bool, str]:
        decision = engine.judge(opened(policy, **values))
        return decision.granted, results(decision)

    assert judged(amount=1, pin="a") == (True, "g")
    assert judged(amount=1, pin="b") == (False, "")
    assert judged(amount=1, pin="c") == (False, "d")
    assert judged(amount=2) == (True, "g")
    assert judged(amount=3, pin="x") == (False, "")
    assert judged(amount=0) == (False, "d")
    assert judged(amount=4) == (True, "g")
    assert judged(amount=4, small=1) == (False, "dg")


def test_many_branches(load: Load, start: Start) -> None:
    """Enough for several automata and a search among the branches."""
    words = [f"{number:03}{'x' * (number % 6)}" for number in range(600)]
    texts = "".join(f'"{word}" : assert (message.amount == {n})\n' for n, word in enumerate(words))
    numbers = "".join(
        f"{n * 7 - 300} : assert (message.delta == {n * 7 - 300})\n" for n in range(90)
    )
    body = f"choice message.pin {{ {texts} }} choice (message.delta) {{ {numbers} _ : deny () }}"
    policy = load(OPEN % body)
    engine = start(policy)

    def judged(pin: str, amount: int, delta: int) -> str:
        return results(engine.judge(opened(policy, pin=pin, amount=amount, delta=delta)))

    for number, word in enumerate(words):
        if number % 7 == 0 or number in (255, 256, 257, 511, 512, 513):
            assert judged(word, number, 7 * (number % 90) - 300) == "gg", number
    assert judged("000x", 0, -299) == "dd"
    assert judged("001x", 2, 323) == "dg"
    assert judged("", 0, 330) == "dd"


# ---- findings ------------------------------------------------------------------------


def findings(tmp_path: Path, body: str) -> list[tuple[str, str, int, int]]:
    path = tmp_path / "security.psl"
    path.write_text(PRELUDE + USE + OPEN % body)
    try:
        found = load_policy(path, [LIB]).warnings
    except DescriptionError as error:
        found = error.findings
    first = PRELUDE.count("\n") + 1
    return [(f.rule, f.severity, f.line - first, f.column) for f in found if f.rule != "PSL-081"]


def test_many_findings_of_one_choice(tmp_path: Path) -> None:
    body = """
choice (re.select { text : message.pin }) {
  "a\\\\d" : grant ()
  "b{2" : grant ()
  "c" : assert (re.match { text : message.pin, pattern : "x|" })
  "c" : grant ()
  3 : grant ()
  _ : grant ()
  _ : deny () }"""
    found = findings(tmp_path, body)
    assert [(rule, line, column) for rule, _, line, column in found] == [
        ("PSL-054", 3, 5),
        ("PSL-054", 4, 5),
        ("PSL-054", 5, 61),
        ("PSL-051", 6, 3),
        ("PSL-050", 7, 3),
        ("PSL-051", 9, 3),
    ]


def test_findings_point_into_blocks(tmp_path: Path) -> None:
    body = """assert (re.match { text : message.pin, pattern :
  ```regex
  ( red
  | green }
  | a b )
  | [z-a]
  ``` })"""
    assert ("PSL-054", "error", 6, 6) in findings(tmp_path, body)


def test_patterns_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is small enough; all of them take too long to compile."""
    monkeypatch.setattr("kss.patterns.LARGEST", 1)
    found = findings(tmp_path, "\n".join(match(f".*{a}.{{11}}") for a in "abcdefghijkl"))
    assert {rule for rule, *_ in found} == {"PSL-055"}
    assert [line for _, _, line, _ in found] == list(range(13 - len(found), 13))
    assert 3 < len(found) < 9


def test_equal_patterns_are_compiled_once(load: Load) -> None:
    one, many = (load(USE + OPEN % (match("(ab){1,99}") * count)) for count in (1, 50))
    sizes = [len(compile_policy(policy.tree)) for policy in (one, many)]
    assert sizes[1] - sizes[0] < 50 * 100


def test_a_choice_of_all_values_needs_no_default(load: Load) -> None:
    flow = """policy object life : Flow { type State = "a" | "b"
      config = { states : ["a", "b"], initial : "a", transitions : { } } }\n"""
    body = """choice life.query { sid : src_sid } { "b" : grant () "a" : grant () }
              choice (message.amount == 1) { true : grant () false : grant () }
              choice (re.select { text : message.pin }) { "a*" : grant () "!(a*)" : grant () }"""
    policy = load(USE + flow + OPEN % body + "execute { grant () }")
    assert not policy.warnings, [str(each) for each in policy.warnings]


def test_what_no_branch_is_for_is_told(tmp_path: Path) -> None:
    path = tmp_path / "security.psl"
    body = 'choice (re.select { text : message.pin }) { "[a-z]+" : grant () "!(.*[0-9].*)" : grant () }'
    path.write_text(PRELUDE + USE + OPEN % body + "execute { grant () }")
    (note,) = load_policy(path, [LIB]).warnings
    assert (note.rule, note.severity) == ("PSL-053", "note")
    assert 'texts such as "0"' in note.message
