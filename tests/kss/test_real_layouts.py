"""What policies of many authors look like: every layout, order and repetition means the same."""

from __future__ import annotations

from itertools import islice, permutations
from pathlib import Path

import pytest
from kss import tree
from kss.api import Policy, check_policy, load_policy
from kss.events import Kind

from tests.kss.conftest import LIB

PARTS = [
    "use nk.basic._",
    "use EDL kl.core.Core\nuse EDL Einit",
    "use EDL bank.Teller\nuse EDL bank.Vault\nuse EDL bank.Teller",
    "policy object life : Flow { config = { transitions : { \"a\" : [\"b\",], }, initial : \"a\""
    ", states : [\"b\", \"a\"] } type State = Names }\nuse nk.flow._",
    "audit profile watch = { 1 : { }, 0x0 : { base : { kss : [\"denied\", ], }, } , }\n"
    "audit default = watch 0 audit default = watch 0",
    "type Names = \"a\" | \"b\"",
    "execute: kl.core.Execute",
    "execute { grant() } execute { grant () }",
    "request src=bank.Teller dst = bank.Vault,\n  endpoint=door\n,method = Open\n{ audit watch\n"
    "life.allow { states : [\"a\"], sid : src_sid } match method=Open interface=bank.IDoor { } }",
]  # fmt: skip


def policy(path: Path, data: bytes) -> Policy:
    (path / "security.psl").write_bytes(data)
    return load_policy(path / "security.psl", [LIB])


def shape(found: Policy) -> object:
    """What a policy says, places left out."""
    kinds = sorted(binding.kind for binding in found.tree.bindings)
    objects = sorted((item.name, item.identity) for item in found.tree.objects)
    sites = sorted((rule.object, rule.method, "".join(rule.text.split())) for rule in found.rules)
    return sorted(found.classes), kinds, objects, sites, sorted(found.tree.profiles)


def test_any_order(tmp_path: Path) -> None:
    wanted = shape(policy(tmp_path, "\n".join(PARTS).encode()))
    rotated = [PARTS[i:] + PARTS[:i] for i in range(len(PARTS))]
    for parts in (*rotated, PARTS[::-1], *islice(permutations(PARTS), 0, None, 40_000)):
        assert shape(policy(tmp_path, "\n".join(parts).encode())) == wanted


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: f"// Политика банка\n/* ещё */{text}/* конец */",
        lambda text: text.replace("\n", " /* раз\nдва */ "),
        lambda text: text.replace("\n", "\n\t\f ") + "\n\n",
        lambda text: text + "// no line end",
        lambda text: text.replace(" = ", "=").replace("{ ", "{").replace(" }", "}"),
        lambda text: text.replace("{", "\n{\n").replace("}", "\n}\n"),
    ],
    ids=["crlf", "bom", "cyrillic", "comments", "blanks", "end", "dense", "airy"],
)
def test_any_layout(change: object, tmp_path: Path) -> None:
    text = "\n".join(PARTS)
    wanted = shape(policy(tmp_path, text.encode()))
    assert shape(policy(tmp_path, change(text).encode())) == wanted  # type: ignore[operator]


def test_the_same_in_several_files(tmp_path: Path) -> None:
    """Files include each other; each counts once, in the order in which it is included first."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.psl").write_text(
        "use security._\nuse parts.two._\nuse nk.base._\nuse EDL bank.Vault\nrequest { grant () }\n"
    )
    (tmp_path / "parts" / "two.psl").write_text("use parts.one._\nresponse { grant () }\n")
    found = policy(
        tmp_path,
        b"error { grant () }\nuse parts.two._\nuse parts.one._\nuse nk.base._\nuse EDL bank.Vault\n"
        b"use parts.two._\nsecurity { grant () }\nexecute { grant () }\n",
    )
    kinds = [binding.kind for binding in found.tree.bindings]
    assert kinds == [Kind.ERROR, Kind.SECURITY, Kind.EXECUTE, Kind.RESPONSE, Kind.REQUEST]


@pytest.mark.parametrize("name", ["bank.Teller", "Safe"])
def test_a_class_included_like_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "Safe.edl").write_text("task class Safe\n")
    text = f"use nk.base._\nuse {name}._\nexecute dst={name} {{ grant () }}\n"
    assert policy(tmp_path, text.encode()).classes == (name,)
    (finding,) = check_policy(tmp_path / "security.psl", [LIB])
    assert (finding.rule, finding.help) == ("PSL-008", f"use EDL {name}")


def test_a_file_goes_before_a_class_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "Safe.edl").write_text("task class Safe\n")
    (tmp_path / "Safe.psl").write_text("use EDL Einit\nexecute { grant () }\n")
    assert policy(tmp_path, b"use nk.base._\nuse Safe._\n").classes == ("Einit",)


def test_two_hundred_terms(tmp_path: Path) -> None:
    head = "use nk.base._\nuse EDL bank.Teller\nuse EDL bank.Vault\nexecute { grant () }\n"
    opening = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open "
    for joint, term in (("&&", "message.amount != {}"), ("||", "message.wide == {}")):
        terms = f"\n  {joint} ".join(term.format(number) for number in range(200))
        found = policy(tmp_path, f"{head}{opening}{{ assert ({terms}) }}\n".encode())
        assert found.rules[1].text.count(joint) == 199
    sums = " + ".join(["message.amount"] * 200)
    mixed = " ==> ".join(["message.amount == 1"] * 200)
    found = policy(tmp_path, f"{head}{opening}{{ assert ({sums} < 9) assert ({mixed}) }}".encode())
    assert [len(rule.text) > 2000 for rule in found.rules[1:]] == [True, True]


def test_contextual_words(tmp_path: Path) -> None:
    """Endpoints and methods that are called like words of the language."""
    found = policy(
        tmp_path,
        b"use nk.base._\nuse EDL bank.Teller\nuse EDL bank.Vault\nexecute { grant () }\n"
        b"request src=bank.Teller dst=bank.Vault endpoint=interface method=mode {"
        b" assert (message.message == 1) }\n"
        b"request dst=bank.Vault { match endpoint=interface method=Close { grant () } }\n",
    )
    (_, binding, other) = found.tree.bindings
    assert binding.condition.endpoint == "interface"
    (match,) = other.items
    assert isinstance(match, tree.Match) and match.condition.method == "Close"
