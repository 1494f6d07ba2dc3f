"""Layout freedom, words that are not reserved, and texts that are no policy at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from kss import syntax
from kss.errors import Findings
from kss.events import Kind
from kss.grammar.parser import MAX_NESTING
from kss.grammar.psl import parse_policy
from kss.source import Source

from tests.kss.conftest import Load


def parsed(text: str) -> list[syntax.Declaration]:
    findings = Findings()
    found, hidden = parse_policy(Source("t.psl", text), findings)
    assert not hidden and not findings.items, findings.items
    return found


def binding(text: str) -> syntax.Binding:
    (found,) = parsed(text)
    assert isinstance(found, syntax.Binding)
    return found


def test_selectors_by_comma_space_and_newline() -> None:
    texts = [
        "request src=a.B, dst=c.D, method=M { grant () }",
        "request src = a.B dst = c.D method = M { grant() }",
        "request src=a.B\n   dst=c.D,\n method=M\n{\ngrant\n(\n)\n}",
        "request src=a.B, dst=c.D method=M{grant()}",
        "request /* x */ src=a.B // y\n dst=c.D, method=M { grant() }",
    ]
    headers = [[(s.key.value, s.value.value) for s in binding(text).selectors] for text in texts]
    assert headers == [[("src", "a.B"), ("dst", "c.D"), ("method", "M")]] * len(texts)


def test_words_of_the_language_are_names_elsewhere() -> None:
    text = """
    use EDL use.EDL
    task class task.class : policy.object
    request src=request.src, endpoint=match.choice, method=execute {
      audit audit
      match method=interface { audit.match { assert : message.deny, type : message.default } }
      choice choice.query { grant : src_sid } { "audit" : match.x () _ : { error.security () } }
    }
    """
    use, task, bound = parsed(text)
    assert isinstance(use, syntax.UseClass) and use.name.value == "use.EDL"
    assert isinstance(task, syntax.UseClass) and task.described_by.value == "policy.object"
    assert isinstance(bound, syntax.Binding)
    kinds = [type(item).__name__ for item in bound.items]
    assert kinds == ["AuditReference", "Match", "Choice"]


def test_items_follow_each_other_without_separator() -> None:
    text = """request { grant () grant() flow.enter { sid : a, state : "b", } bool.any [x, y,]
              set_level 3 assert (a -1 == 2) assert true deny "x" grant () }"""
    names = [item.name.value for item in binding(text).items if isinstance(item, syntax.Call)]
    assert names == "grant grant flow.enter bool.any set_level assert assert deny grant".split()


def test_choice_without_parentheses() -> None:
    text = """request {
      choice message.x { 1 : grant () -2 : deny () true : grant () _ : deny () }
      choice flow.query { sid : src_sid } { "a" : grant () }
      choice message.list.[0].kind { 0x10 : { grant () } }
      choice (message.x) { 0o17 : { match src=a { grant () } choice x { 1 : deny () } } }
      choice size (message.x) { 1 : grant () }
    }"""
    choices = [item for item in binding(text).items if isinstance(item, syntax.Choice)]
    labels = [[b.label.value if b.label else "_" for b in choice.branches] for choice in choices]
    assert labels == [[1, -2, True, "_"], ["a"], [16], [15], [1]]
    assert isinstance(choices[1].scrutinee, syntax.Call)


def test_crlf_and_other_alphabets() -> None:
    text = "// комментарий\r\nrequest src=a.B\r\n{\r\n  /* ещё\r\n один */ grant ()\r\n}\r\n"
    findings = Findings()
    found, hidden = parse_policy(Source("t.psl", text), findings)
    assert not hidden and len(found) == 1
    (item,) = binding(text).items
    assert isinstance(item, syntax.Call)
    assert (item.span.at.line, item.span.at.column) == (5, 10)


def test_precedence() -> None:
    def shape(node: syntax.Expression) -> object:
        match node:
            case syntax.Chain(operators, operands):
                return [operators[0], *map(shape, operands)]
            case syntax.Prefix(operators, operand):
                return ["".join(operators), shape(operand)]
            case syntax.Literal(value):
                return value
            case syntax.Name(word):
                return word.value
        raise AssertionError(node)

    def of(text: str) -> object:
        (item,) = binding(f"request {{ assert ({text}) }}").items
        assert isinstance(item, syntax.Call)
        return shape(item.argument)

    assert of("a ==> b ==> c") == ["==>", "a", "b", "c"]
    assert of("a || b && c == d + e * ~f") == [
        "||", "a", ["&&", "b", ["==", "c", ["+", "d", ["*", "e", ["~", "f"]]]]],
    ]  # fmt: skip
    assert of("a | b & ~c") == ["|", "a", ["&", "b", ["~", "c"]]]
    assert of("a-1") == ["-", "a", 1]
    assert of("a - -1") == ["-", "a", -1]
    assert of("!(a && b)") == ["!", ["&&", "a", "b"]]


def test_long_expressions(load: Load) -> None:
    terms = " && ".join(f"message.amount != {number}" for number in range(1000))
    sums = " + ".join(["message.amount"] * 200)
    policy = load(
        "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open {"
        f" assert ({terms}) assert ({sums} < 9) }}"
    )
    assert len(policy.rules) == 2


def test_texts_and_regex_blocks() -> None:
    text = 'request { a.b { x : "q\\"\\\\\\n", y :\n```regex\n  v\\.[0-9]+\n```\n, z : "" } }'
    (item,) = binding(text).items
    assert isinstance(item, syntax.Call) and isinstance(item.argument, syntax.Dict)
    values = [e.value.value for e in item.argument.entries if isinstance(e.value, syntax.Literal)]
    assert values == ['q"\\\n', "  v\\.[0-9]+\n", ""]


def test_policy_tests_are_read() -> None:
    text = """
    assert "vault" {
      setup { core <- execute dst=kl.core.Core  app <- execute src=core, dst=bank.App }
      sequence "a" {
        deny "pin" request src=app dst=vault endpoint=door method=Open {}
        app ~> vault : lock.door.Open { pin : "4711", key : { handle : app, rights : 1 } }
        app~>vault:Open
        any response src=vault dst=app endpoint=door method=Open { rc : -1 }
      }
      sequence { grant app ~> vault : Open }
      finally { deny app ~> vault : door.Destroy {} }
    }
    assert { }
    """
    first, second = parsed(text)
    assert isinstance(first, syntax.TestSet) and isinstance(second, syntax.TestSet)
    assert (first.title, second.title) == ("vault", "")
    assert [case.variable.value for case in first.setup if case.variable] == ["core", "app"]
    one, two = first.sequences
    assert [case.expect for case in one.cases] == ["deny", "grant", "grant", "any"]
    assert one.cases[0].title == "pin"
    short = {s.key.value: s.value.value for s in one.cases[1].event.selectors}
    assert short == {"src": "app", "dst": "vault", "method": "Open", "endpoint": "lock.door"}
    assert [s.key.value for s in one.cases[2].event.selectors] == ["src", "dst", "method"]
    assert (two.title, one.cases[3].event.kind) == ("", Kind.RESPONSE)
    assert [case.expect for case in first.finally_] == ["deny"]


def test_the_same_header_twice_and_the_same_class_twice(load: Load) -> None:
    policy = load("request { grant () }\nrequest { grant () }\nuse EDL bank.Teller\n")
    assert len(policy.tree.bindings) == 2
    assert policy.classes == ("kl.core.Core", "Einit", "bank.Teller", "bank.Vault")


def test_deepest_nesting_is_no_defect(load: Load) -> None:
    deep = "(" * (MAX_NESTING - 5) + "true" + ")" * (MAX_NESTING - 5)
    assert load(f"request {{ assert ({deep}) }}").rules
    branches = "choice (true) { true : {" * 40 + "grant ()" + "} }" * 40
    assert len(load(f"request {{ {branches} }}").rules) == 41


WORDS = st.sampled_from(
    """request execute error src = dst . , { } ( ) [ ] : ; grant assert deny match choice audit
    policy object type config use EDL task class "a" 1 -1 0x a.b message.x true _ + - * & && | || ==>
    == < ! ~ ~> <- .[ .f // /* */ ``` @X@ sequence setup""".split()
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_gives_declarations_or_located_findings(text: str) -> None:
    findings = Findings()
    _, hidden = parse_policy(Source("t.psl", text), findings)
    assert bool(hidden) == any(finding.rule.startswith("SRC") for finding in findings.items)
    lines = text.split("\n")
    for finding in findings.items:
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1
