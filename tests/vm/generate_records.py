"""Random models as users write them, and random policies about objects of these and of the models
that come along in the same language."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

import kss
from kss.errors import Findings
from kss.events import Kind
from kss.layout import Endpoint
from kss.models import MODELS
from kss.numerals import make_list
from kss.own import tree as own
from kss.own.parse import parse_model
from kss.own.settings import identity
from kss.source import Source
from kss.tree import Constant, Expression, Item, PolicyObject, PolicyTree, Query
from kss.types import BOOLEAN, IntegerType, LiteralType, SetType, Type, VariantType

from tests.vm import build
from tests.vm.generate_models import INTEGERS, Objects
from tests.vm.generate_operations import PARAMETERS, Arguments

SHIPPED = Path(kss.__file__).parent / "sdk/kss"
LISTED = {"p": ["a", "b", "c"], "q": ["b", "a", "x"]}
INLINE = '"a" | "x"'
NAMES = ["p", "q", INLINE]
MEMBERS = {**LISTED, INLINE: ["a", "x"]}
SETS = ["Set[p]", "Set[q]"]
TYPES = [*map(str, INTEGERS), "Boolean", *NAMES, *SETS]
SETTINGS = """\
    class config:
        p: Texts
        q: Texts
        n: UInt8
        m: SInt16
        t: Map[p, q]
        o: Order[p]
"""


@dataclass
class Writer:
    """Writes one random model."""

    rng: Random
    fields: dict[str, str] = field(default_factory=dict)
    asked: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    scope: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    variables: int = 0

    def model(self) -> str:
        """Its text; MissingError if a value is needed of a type that nothing there has."""
        rng = self.rng
        lines = ["class Random:", SETTINGS, "    class context:", "        pass"]
        for number in range(rng.randint(1, 5)):
            kind = rng.choice([*TYPES, "UInt64", "SInt64"])
            default = self.constant(kind)
            lines.append(f"        f{number}: {kind}" + (f" = {default}" if default else ""))
            self.fields[f"f{number}"] = kind
        for number in range(rng.randint(1, 3)):
            name, kind = f"e{number}", rng.choice(TYPES)
            lines += self._method(name, kind, kind)
            self.asked[name] = (list(self.scope.values()), kind)
        for number in range(rng.randint(2, 4)):
            lines += self._method(f"r{number}", "Boolean", "Rule")
        return "\n".join(lines) + "\n"

    def _method(self, name: str, kind: str, result: str) -> list[str]:
        others = [self.rng.choice(TYPES) for _ in range(self.rng.randint(0, 2))]
        self.scope = {"sid": "Sid", **{f"a{i}": each for i, each in enumerate(others)}}
        self.fixed = set(self.scope)
        self.variables = 0
        parameters = ", ".join(f"{each}: {type_}" for each, type_ in self.scope.items())
        body = [f"    def {name}({parameters}) -> {result}:"]
        is_rule = result == "Rule"
        if is_rule and self.rng.random() < 0.8:
            body += ["        if not has(sid):", f"            {self._create('sid')}"]
        outer = dict(self.scope)
        body += self._block(kind, 2, is_rule, 2)
        last = f"return {self.expression(kind, 2)}"
        if is_rule and self.rng.random() < 0.7:
            last = "return True"
        self.scope = outer
        return [*body, f"        {last}"]

    # ---- statements

    def _block(self, kind: str, indent: int, is_rule: bool, depth: int) -> list[str]:
        found: list[str] = []
        for _ in range(self.rng.randint(1, 3)):
            found += self._statement(kind, indent, is_rule, depth)
        return found

    def _inner(self, kind: str, indent: int, is_rule: bool, depth: int) -> list[str]:
        outer = dict(self.scope)
        found = self._block(kind, indent + 1, is_rule, depth - 1)
        self.scope = outer
        return found

    def _statement(self, kind: str, indent: int, is_rule: bool, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        options = ["variable", "assign"] + ["store", "store", "store", "create", "drop"] * is_rule
        match rng.choice(options + ["if", "if", "else", "for"] * (depth > 0)):
            case "variable":
                of = rng.choice(TYPES)
                value = self.expression(of, 2)
                name = f"v{self.variables}"
                self.variables += 1
                self.scope[name] = of
                return [f"{pad}{name}: {of} = {value}"]
            case "assign":
                free = [name for name in self.scope if name not in self.fixed]
                if not free:
                    return [f"{pad}pass"]
                name = rng.choice(free)
                return [f"{pad}{name} = {self.expression(self.scope[name], 2)}"]
            case "store":
                name, of = rng.choice(list(self.fields.items()))
                sign = rng.choice("+-") if of in map(str, INTEGERS) and rng.random() < 0.5 else ""
                value = self.constant(of) if sign else self.expression(of, 2)
                return [f"{pad}{name}[{self.sid()}] {sign}= {value}"]
            case "create":
                sid = self.sid()
                return [f"{pad}if not has({sid}):", f"{pad}    {self._create(sid)}"]
            case "drop":
                return [f"{pad}if {self.expression('Boolean', 1)}:", f"{pad}    drop({self.sid()})"]
            case "for":
                name = f"v{self.variables}"
                self.variables += 1
                outer = dict(self.scope)
                self.scope[name] = "UInt32"
                self.fixed.add(name)
                body = self._inner(kind, indent, is_rule, depth)
                self.scope = outer
                return [f"{pad}for {name} in range({rng.choice(['n', '2', '0'])}):", *body]
            case which:
                found = [f"{pad}if {self.expression('Boolean', 2)}:"]
                found += self._inner(kind, indent, is_rule, depth)
                if rng.random() < 0.3:
                    found.append(f"{pad}    return {self.expression(kind, 1)}")
                if which == "else":
                    found += [f"{pad}else:", *self._inner(kind, indent, is_rule, depth)]
                return found

    def _create(self, sid: str) -> str:
        given = ""
        for name, kind in self.fields.items():
            if kind in LISTED or self.rng.random() < 0.3:
                given += f", {name}={self.expression(kind, 1)}"
        return f"create({sid}{given})"

    # ---- expressions

    def sid(self) -> str:
        known = [name for name, kind in self.scope.items() if kind in ("Sid", "UInt32")]
        return self.rng.choice(["sid"] * 6 + known + ["2"])

    def constant(self, kind: str) -> str:
        rng = self.rng
        if kind == "Boolean":
            return rng.choice(["True", "False"])
        if kind.startswith("Set"):
            return "{}"
        if kind in MEMBERS:
            return f'"{rng.choice(MEMBERS[kind])}"' if kind == INLINE else ""
        of = next(each for each in INTEGERS if str(each) == kind)
        wide = [1 << 40] * 3 if of.bits == 64 else []
        return str(rng.choice([0, 1, 1, 1, 2, 3, of.low, of.high, of.high - 1, *wide]))

    def _leaf(self, kind: str) -> str:
        same = [name for name, of in self.scope.items() if of == kind]
        same += ["n"] * (kind == "UInt8") + ["m"] * (kind == "SInt16")
        same += [f"{name}[{self.sid()}]" for name, of in self.fields.items() if of == kind] * 3
        same += ["sid"] * (kind == "UInt32")
        constant = self.constant(kind)
        same += [constant] if constant else []
        return self.rng.choice(same) if same else ""

    def can(self, kind: str) -> bool:
        return bool(self._leaf(kind))

    def expression(self, kind: str, depth: int) -> str:
        rng = self.rng
        if kind == "Sid":
            kind = "UInt32"
        leaf = self._leaf(kind)
        if not leaf:
            raise MissingError(kind)
        asked = [name for name, (_, of) in self.asked.items() if of == kind]
        if asked and depth and rng.random() < 0.15:
            return self._ask(rng.choice(asked), depth)
        if depth == 0 or rng.random() < 0.25 or kind in NAMES:
            return leaf
        if kind == "Boolean":
            return self._boolean(depth)
        if kind in SETS:
            return self._set(kind, depth)
        signs = "+-*" if kind.startswith("S") else "+-*&|"
        if rng.random() < 0.15:
            return leaf if _is_number(leaf) else f"(~{leaf})"
        left, right = self._leaf(kind), self.expression(kind, depth - 1)
        if _is_number(left) and _is_number(right):
            return left
        return f"({left} {rng.choice(signs)} {right})"

    def _ask(self, name: str, depth: int) -> str:
        given = [self.expression(of, depth - 1) for of in self.asked[name][0]]
        return f"{name}({', '.join(given)})"

    def _boolean(self, depth: int) -> str:
        rng = self.rng
        match rng.choice(
            ["order", "order", "equal", "logic", "not", "has", "in", "subset", "name"]
        ):
            case "order":
                return self._compared(str(rng.choice(INTEGERS)), ["<", "<=", ">", ">="], depth)
            case "equal":
                return self._compared(rng.choice(TYPES[:9] + SETS), ["==", "!="], depth)
            case "name":
                kind = rng.choice([name for name in NAMES if self.can(name)])
                return self._compared(kind, ["==", "!="], depth)
            case "logic":
                sign = rng.choice(["and", "or"])
                left = self.expression("Boolean", depth - 1)
                return f"({left} {sign} {self.expression('Boolean', depth - 1)})"
            case "not":
                return f"(not {self.expression('Boolean', depth - 1)})"
            case "has":
                return f"has({self.sid()})"
            case "in" if any(map(self.can, LISTED)):
                name = rng.choice([each for each in LISTED if self.can(each)])
                sign = rng.choice(["in", "not in"])
                return f"({self._leaf(name)} {sign} {self.expression(f'Set[{name}]', depth - 1)})"
        return self._compared(rng.choice(SETS), ["<="], depth)

    def _compared(self, kind: str, signs: list[str], depth: int) -> str:
        left, right = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
        if (_is_number(left) and _is_number(right)) or (left[0] in '{"' and right[0] in '{"'):
            return self.rng.choice(["True", "False"])
        return f"({left} {self.rng.choice(signs)} {right})"

    def _set(self, kind: str, depth: int) -> str:
        rng, names = self.rng, kind[4:-1]
        match rng.choice(["shown", "selected", "related", "two", "two"]):
            case "shown" if self.can(names):
                return f"{{{', '.join(self._leaf(names) for _ in range(rng.randint(1, 2)))}}}"
            case "selected":
                name = f"w{depth}"
                self.scope[name] = names
                condition = self.expression("Boolean", depth - 1)
                if rng.random() < 0.4:
                    condition = f"({name} in {self._leaf(kind)} or {condition})"
                del self.scope[name]
                return f"{{{name} for {name} in {names} if {condition}}}"
            case "related" if self.can("p"):
                return f"{'o' if names == 'p' else 't'}[{self._leaf('p')}]"
        left, right = self._leaf(kind), self.expression(kind, depth - 1)
        if left == "{}" and right == "{}":
            return "{}"
        return f"({left} {rng.choice('|&-')} {right})"


class MissingError(Exception):
    """There is nothing of a type."""


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()


def parsed(text: str) -> own.Definition:
    findings = Findings()
    found = parse_model(Source("random.model", text), findings)
    assert found, f"{text}\n{findings.items}"
    return found


def written(rng: Random) -> own.Definition:
    while True:
        try:
            return parsed(Writer(rng).model())
        except MissingError:
            pass


@cache
def shipped(name: str) -> own.Definition:
    return parsed((SHIPPED / f"{name}.model").read_text())


def some_of(rng: Random, keys: list[str], values: list[str]) -> dict[str, frozenset[str]]:
    return {key: frozenset(rng.sample(values, rng.randint(0, len(values)))) for key in keys}


def order_of(rng: Random, names: list[str]) -> dict[str, frozenset[str]]:
    """Each name with some before it and all that these have."""
    found: dict[str, frozenset[str]] = {}
    for name in names:
        below = rng.sample(list(found), rng.randint(0, min(2, len(found))))
        found[name] = frozenset({name}).union(*(found[each] for each in below))
    return found


def random_config(rng: Random) -> own.Config:
    p, q = LISTED["p"], LISTED["q"]
    tables: dict[str, own.Value] = {"t": some_of(rng, p, q), "o": order_of(rng, rng.sample(p, 3))}
    numbers: dict[str, own.Value] = {
        "n": rng.randint(0, 3),
        "m": rng.choice([-32768, -1, 0, 1, 32767]),
    }
    return own.Config(written(rng), {"p": tuple(p), "q": tuple(q), **tables, **numbers})


def rbac_config(rng: Random) -> own.Config:
    roles, rights = ["r", "s", "t"], ["b", "a"]
    tables: dict[str, own.Value] = {
        "juniors": order_of(rng, roles),
        "grants": some_of(rng, roles, rights),
        "excludes": some_of(rng, roles[:1], roles[1:]),
    }
    values: dict[str, own.Value] = {"roles": tuple(roles), "permissions": tuple(rights), **tables}
    return own.Config(shipped("rbac"), values)


def capability_config(rng: Random) -> own.Config:
    others = [f"x{i}" for i in range(31)]  # so that a set needs its second word
    rights = (*rng.choice([others, []]), "r", "w", "a")
    values: dict[str, own.Value] = {"rights": rights, "depth": rng.randint(0, 3)}
    return own.Config(shipped("capability"), values)


class Records:
    """A policy whose classes are a client and a server, each of whose methods calls some rules."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        methods = [build.method(f"M{i}", i, PARAMETERS) for i in range(rng.randint(6, 12))]
        served = Endpoint("e", 0, build.interface("t.Records", *methods), None)
        self.builder = build.Builder(build.classes(("t.C", [], []), ("t.S", [served], [])))
        self.none = Objects(rng, self.builder, 0)
        self.things = [self._declare() for _ in range(rng.randint(1, 3))]
        for method in methods:
            make = Arguments(rng, method.request, self.builder, [], self.none)
            items = [self._item(make) for _ in range(rng.choice([1, 1, 2, 3]))]
            self.builder.bind(Kind.REQUEST, *items, dst=1, endpoint="e", method=method.name)
        self.builder.bind(Kind.EXECUTE, self.builder.grant())

    def tree(self) -> PolicyTree:
        return self.builder.tree()

    def _declare(self) -> PolicyObject:
        make = self.rng.choice([random_config, random_config, rbac_config, capability_config])
        config, index = make(self.rng), len(self.builder.objects)
        thing = PolicyObject(
            f"own{index}", index, "Record", {}, config, identity(config), build.HERE
        )
        self.builder.objects.append(thing)
        return thing

    def _item(self, make: Arguments) -> Item:
        rng, builder = self.rng, self.builder
        thing = rng.choice(self.things)
        signatures = MODELS["Record"].signatures({}, thing.config)
        rules = [name for name, each in signatures.items() if each.result is None]
        name = rng.choice(rules)
        given = {p.name: self._argument(p.type, make) for p in signatures[name].parameters}
        rule = builder.call(thing.index, name, **given)
        asked = self._asked(make, rng.choice([BOOLEAN, *INTEGERS]))
        if asked is None or rng.random() < 0.5:
            return rule
        if asked.type == BOOLEAN:
            return builder.rule("assert", asked)
        return builder.choice(asked, {0: [rule], 1: [builder.grant()]}, [rule])

    def _asked(self, make: Arguments, kind: Type) -> Query | None:
        """An expression method of the type, of any object."""
        known = [
            (thing.index, name, each)
            for thing in self.things
            for name, each in MODELS["Record"].signatures({}, thing.config).items()
            if each.result == kind
        ]
        if not known:
            return None
        index, name, signature = self.rng.choice(known)
        given = tuple((p.name, self._argument(p.type, make, 0)) for p in signature.parameters)
        return Query(index, name, given, kind)

    def _argument(self, kind: Type, make: Arguments, depth: int = 1) -> Expression:
        rng, whole = self.rng, kind
        match kind:
            case IntegerType(32, False) if rng.random() < 0.8:
                return make.sid()
            case IntegerType():
                return make.integer(kind, depth)
            case SetType(element):
                items = [self._argument(element, make, 0) for _ in range(rng.randint(0, 2))]
                return make_list(items, kind)
            case VariantType(alternatives):  # of texts
                names = [each.value for each in alternatives if isinstance(each, LiteralType)]
                asked = self._asked(make, whole) if depth else None
                return asked or Constant(rng.choice(names[-3:]), kind)
        return make.boolean(1)
