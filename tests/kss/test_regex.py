"""The engine for regular expressions: the language, its two matchers, limits."""

from __future__ import annotations

import re
from itertools import product
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kss.regex import automaton
from kss.regex.automaton import Automaton, build
from kss.regex.minimise import blocks
from kss.regex.parser import MAX_COUNT, MAX_LENGTH, MAX_NESTING, parse, quote
from kss.regex.positions import matches
from kss.regex.syntax import PatternError
from kss.regex.terms import TooLargeError

from tests.vm.generate_patterns import pattern, text


def automaton_of(*patterns: str) -> Automaton:
    return build(tuple(parse(each).expression for each in patterns))


def both(given: str, data: bytes) -> bool:
    """Whether the pattern matches, on which the two matchers agree."""
    found = matches(parse(given).expression, data)
    assert (automaton_of(given).answer(data) == 0) is found
    return found


# ---- the language ------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "good", "bad"),
    [
        ("", [""], ["a", " "]),
        ("red", ["red"], ["re", "redd", "red-yellow", "RED"]),
        (r"v\.[0-9]+", ["v.0", "v.123"], ["v.", "v01", "v.1a", "xv.1"]),
        (r"door\ 7\!", ["door 7!"], ["door7!", "door 7", r"door\ 7\!"]),
        ("^[0-9]+$", ["1"], ["^1$", ""]),
        (" ^ a $ ", ["a"], [" a "]),
        (r"a\$", ["a$"], ["a"]),
        ("(^a$)|x", ["^a$", "x"], ["a"]),
        ("$", [""], ["$"]),
        ("a b\tc\n| d", ["abc", "d"], ["a b c"]),
        (r"a\ b\tc\n\r\f\v", ["a b\tc\n\r\f\v"], ["abc"]),
        ("a.c", ["abc", "a\nc", "a\0c"], ["ac", "aéc"]),
        ("[abc]", ["a", "c"], ["", "d", "ab"]),
        ("[A-Za-z0-9_]", ["Q", "q", "7", "_"], ["-", "["]),
        ("[^a-c]", ["d", "^", "\n"], ["a", "c", ""]),
        ("[a^-]", ["a", "^", "-"], ["b"]),
        (r"[\]\[\\\-\^]", ["]", "[", "\\", "-", "^"], ["a"]),
        (r"[\t-\r]", ["\t", "\n", "\r"], [" ", "t"]),
        ("[.()*&|!?+]", list(".()*&|!?+"), ["a"]),
        ("[a-]|[-b]", ["a", "-", "b"], ["c"]),
        ("()", [""], ["a"]),
        ("(ab)*", ["", "abab"], ["aba"]),
        ("ab*", ["a", "abb"], ["abab"]),
        ("a+b?", ["a", "aab"], ["b", "abb"]),
        ("a{2}b{1,2}c{1,}", ["aabc", "aabbccc"], ["abc", "aabbbc", "aab"]),
        ("a{0}b{0,0}", [""], ["a", "b"]),
        ("a{ 2 , 3 }", ["aa", "aaa"], ["a"]),
        ("{a}{}", ["{a}{}"], ["a"]),
        (r"a\{2\}", ["a{2}"], ["aa"]),
        ("a|bc|", None, None),
        ("ab|c&.", ["ab", "c"], ["b"]),
        ("(ab|c)&.", ["c"], ["ab"]),
        ("[a-z]+&!(red)", ["re", "redd", "blue"], ["red", "Blue", ""]),
        ("!red", ["ed", "xxed", "rred"], ["red", "re", ""]),
        ("!a*", ["b", "ab"], ["", "a", "aaa"]),
        ("!ab", ["b", "bb", "aab", "xyzb"], ["ab", "a", ""]),
        ("!!a", ["a"], ["b", ""]),
        ("!(.*(ab|cd).*)", ["", "ac", "ba"], ["ab", "xcdx"]),
        ("a&b", [], ["", "a", "b"]),
        ("!()", ["a"], [""]),
        ("a,b-c\"d'e/f:g;h<i=j>k@l#m%n~o`p_q", ["a,b-c\"d'e/f:g;h<i=j>k@l#m%n~o`p_q"], ["a"]),
        ("((a|b)*c){2}", ["cc", "abcbac"], ["c", "ccc"]),
        ("(a*)*b", ["b", "aab"], ["a"]),
        ("(a?){3}", ["", "aaa"], ["aaaa"]),
    ],
)  # fmt: skip
def test_language(given: str, good: list[str] | None, bad: list[str] | None) -> None:
    if good is None or bad is None:
        with pytest.raises(PatternError):
            parse(given)
        return
    for each in good:
        assert both(given, each.encode()), each
    for each in bad:
        assert not both(given, each.encode()), each


@pytest.mark.parametrize(
    ("given", "index", "message", "help"),
    [
        (r"a\d", 1, r"\d is not of this language", "[0-9]"),
        (r"a\w", 1, r"\w is not", "[A-Za-z0-9_]"),
        (r"\x41", 0, r"unknown escape \x", r"\t"),
        (r"a\1", 1, r"unknown escape \1", ""),
        ("ab\\", 2, "a backslash escapes nothing", r"\\"),
        ("ab\\\n", 2, "a backslash escapes nothing", ""),
        ("aé", 1, "'é' is not an ASCII", "byte by byte"),
        ("a\x01", 1, "a control character", ""),
        ("a(b", 1, "the group is not closed", r"\("),
        ("ab)", 2, "closes nothing", r"\)"),
        ("a[b", 1, "the set is not closed", r"\["),
        ("a]", 1, "closes no set", r"\]"),
        ("[]", 0, "an empty set", ""),
        ("[^]", 0, "an empty set", ""),
        ("[z-a]", 1, "is empty", "the lower"),
        ("[a-c-e]", 4, "a range goes on", r"\-"),
        ("[[:digit:]]", 1, "a set within a set", "no named classes"),
        ("*a", 0, "'*' repeats nothing", r"\*"),
        ("a|+", 2, "'+' repeats nothing", ""),
        ("(?i)a", 1, "no options", ""),
        ("a**", 2, "a repetition of a repetition", "parentheses"),
        ("a+?", 2, "a repetition of a repetition", "lazy"),
        ("a{2}{3}", 4, "a repetition of a repetition", ""),
        ("a{2", 1, "an unclear count", r"\{"),
        ("a{,2}", 1, "an unclear count", ""),
        ("a{2,1}", 1, "never", "the lower"),
        ("{2}", 0, "an unclear count", ""),
        (f"a{{{MAX_COUNT + 1}}}", 1, "too large", str(MAX_COUNT)),
        ("a|", 2, "an expression is missing", "()"),
        ("|a", 0, "an expression is missing", ""),
        ("a||b", 2, "an expression is missing", ""),
        ("a&", 2, "an expression is missing", ""),
        ("(|a)", 1, "an expression is missing", ""),
        ("a!", 1, "'!' stands before nothing", r"\!"),
        ("!|a", 0, "'!' stands before nothing", ""),
        ("(" * 51 + ")" * 51, MAX_NESTING, "nested", ""),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH, f"{MAX_LENGTH + 1} characters", ""),
    ],
)
def test_errors_point_at_the_character(given: str, index: int, message: str, help: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse(given)
    assert caught.value.index == index
    assert message in str(caught.value) and help in caught.value.help


@pytest.mark.parametrize(
    ("given", "indices"),
    [
        ("door 7", [5]),
        ("a b", [2]),
        ("a\nb", []),
        ("a | b c", [6]),
        ("[a-z] x", []),
        (r"a\ b", []),
        ("[a b]", [3]),
        ("[a-z ]", [5]),
        ("a^b", [1]),
        ("(a$)", [2]),
        ("^a$", []),
        (r"\^a\$x", []),
        ("!red", [0]),
        ("a&!a+b", [2]),
        ("!(re)d", []),
        ("![re]d", []),
        ("!a|!a*&(!b)", []),
    ],
)
def test_remarks_on_what_misleads(given: str, indices: list[int]) -> None:
    assert [remark.index for remark in parse(given).remarks] == indices


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(max_codepoint=0x7F) | st.characters(), max_size=12))
@example("\\")
@example(r"\w\(\0")
def test_quoted_texts_match_themselves_alone(given: str) -> None:
    quoted = quote(given)
    if quoted is None:
        assert not given.isascii() or any(char < " " or char > "~" for char in given)
        return
    assert both(quoted, given.encode())
    assert not both(quoted, given.encode() + b"x") and not both(quoted, given.encode()[1:] + b"yy")
    assert not parse(quoted).remarks


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab[]()*+?{}2,|&!.^$-\\ \nd"), max_size=25))
def test_any_text_is_a_pattern_or_one_located_error(given: str) -> None:
    try:
        found = parse(given)
    except PatternError as error:
        assert 0 <= error.index <= len(given)
        return
    assert matches(found.expression, b"ab") in (True, False)


# ---- the two matchers, and Python's ------------------------------------------


def test_patterns_that_python_knows_mean_the_same() -> None:
    rng = Random(1)
    agreed = {True: 0, False: 0}
    for _ in range(400):
        given = pattern(rng, rng.randint(1, 4), boolean=False)
        python = re.compile(given.encode(), re.DOTALL)
        expression = parse(given).expression
        for data in {text(rng) for _ in range(12)}:
            expected = python.fullmatch(data) is not None
            assert matches(expression, data) is expected, (given, data)
            agreed[expected] += 1
    assert min(agreed.values()) > 400


def test_the_automaton_answers_like_the_positions() -> None:
    rng = Random(2)
    answers = {0: 0, 1: 0, 2: 0, 3: 0}
    for _ in range(500):
        given = [pattern(rng, rng.randint(1, 5)) for _ in range(rng.choice([1, 2, 3]))]
        expressions = [parse(each).expression for each in given]
        found = build(tuple(expressions))
        for data in {text(rng) for _ in range(12)}:
            matching = (i for i, each in enumerate(expressions) if matches(each, data))
            expected = next(matching, len(given))
            assert found.answer(data) == expected, (given, data)
            answers[expected] += 1
    assert min(answers.values()) > 200, answers


PATTERNS = st.integers(0, 2**32).map(lambda seed: pattern(Random(seed), seed % 5))
WORDS = st.text("abre. ", max_size=6).map(str.encode)


@settings(max_examples=150, deadline=None)
@given(PATTERNS, PATTERNS, WORDS)
def test_laws(x: str, y: str, data: bytes) -> None:
    in_x, in_y = both(x, data), both(y, data)
    assert both(f"!({x})", data) is not in_x
    assert both(f"({x})&({y})", data) is (in_x and in_y)
    assert both(f"({x})|({y})", data) is (in_x or in_y)
    assert both(f"!(!({x})|!({y}))", data) is (in_x and in_y)
    halves = range(len(data) + 1)
    split = any(both(x, data[:at]) and both(y, data[at:]) for at in halves)
    assert both(f"({x})({y})", data) is split
    assert both(f"({x})*", data) is both(f"()|({x})({x})*", data)
    assert both(f"({x}){{1,2}}", data) is both(f"({x})|({x})({x})", data)


def test_counts_are_repetitions() -> None:
    for low, high in product(range(4), range(4)):
        if low <= high:
            given = f"(ab|b){{{low},{high}}}"
            for data in (b"ab" * n + b"b" * m for n in range(4) for m in range(4)):
                python = re.fullmatch(given.encode(), data) is not None
                assert both(given, data) is python


# ---- the automaton ---------------------------------------------------------------


def test_automata_are_minimal() -> None:
    rng = Random(3)
    for _ in range(200):
        found = automaton_of(pattern(rng, 4), pattern(rng, 4))
        assert len(set(blocks(found.rows, found.answers))) == len(found.rows)
        assert len(set(zip(*found.rows, strict=True))) == len(found.rows[0])
        for state, row in enumerate(found.rows):
            assert (set(row) == {state}) is (state < found.sinks)


def test_sizes_of_well_known_automata() -> None:
    assert len(automaton_of(".*").rows) == 1
    assert len(automaton_of("a&b").rows) == 1
    assert len(automaton_of("(a|b)*a(a|b)").rows) == 5
    assert len(automaton_of(".*a.{6}").rows) == 2**7
    assert len(automaton_of("[a-z]{1,64}").rows) == 66


def test_one_automaton_tells_the_first_of_many() -> None:
    words = [f"{a}{b}{c}" for a, b, c in product("abcdef", repeat=3)]
    found = automaton_of(*words, "[a-f]+")
    for number, word in enumerate(words):
        assert found.answer(word.encode()) == number
    assert found.answer(b"ab") == len(words) and found.answer(b"xyz") == len(words) + 1


def test_examples_are_shortest_and_readable() -> None:
    found = automaton_of("a{3,}", "[!-~]{2,}", r"!(.*\n.*)")
    assert [found.example(answer) for answer in range(5)] == [b"aaa", b"aa", b"", b"\n", None]


# ---- limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        ".*a.{40}",
        "((a{0,10000}){0,10000}){0,10000}",
        "(.*0.{8}&.*1.{9}&!(.*2.{7}))",
        ".*[ab].{3}[cd].{5}[ef].{7}[gh].{9}x",
    ],
)
def test_hostile_patterns_end_within_their_steps(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent: list[int] = []
    spend = automaton.Terms.spend

    def counted(self: automaton.Terms, steps: int) -> None:
        spent.append(steps)
        spend(self, steps)

    monkeypatch.setattr(automaton.Terms, "spend", counted)
    with pytest.raises(TooLargeError):
        automaton_of(given)
    assert sum(spent) <= automaton.MAX_STEPS + max(spent)


@pytest.mark.parametrize("given", ["[a-z]{1,4096}", "(.*a.{20})&.{3}", "(a?){300}a{300}"])
def test_large_patterns_that_have_small_automata(given: str) -> None:
    assert len(automaton_of(given).rows) < 5000


@pytest.mark.parametrize(
    "given",
    ["((()){10000}){10000}", "((a?){10000}){3}", "!(.*!(.*!(.*!(.*a))))", "(!a!b)*&!((a|b)*)"],
)
def test_positions_are_found_in_reasonable_time(given: str) -> None:
    """The number of positions, not of repetitions, bounds the work."""
    expression = parse(given).expression
    for data in (b"", b"ab" * 60):
        assert matches(expression, data) in (True, False)
