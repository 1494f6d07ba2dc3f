"""Counter: how often a SID has done something; and a choice on how a text begins.

The smallest model that uses all there is: state, configuration, a text of the message, labels.
"""

from __future__ import annotations

from typing import ClassVar

from kss import syntax
from kss.binary import CLAIM_WRITES, Op
from kss.codegen.object import ObjectCode
from kss.models.config import Reader
from kss.models.model import Model, Parameter, Setup, Signature
from kss.types import SID, TEXT, UINT32


class CounterCode(ObjectCode):
    number = 0  # its place in vm/models.c
    METHODS = ("count", "used", "begins")
    WRITES: ClassVar = {"count": CLAIM_WRITES + 1}
    context_words = 1

    def config(self):
        return [self.thing.config]

    def call(self, to, method, arguments, d):
        to.value(arguments[0][1], d)
        self.emit(to, method, d, d)

    def choose(self, to, method, arguments, labels, d):
        if method != "beginning":
            return super().choose(to, method, arguments, labels, d)
        to.address_in(arguments[0][1], to.out.use(d + 1))
        to.constant(len(labels), d)
        for number, label in reversed(list(enumerate(labels))):
            data = label.encode()
            self.emit(to, "begins", d + 2, d + 1, self.words.add_text(data) << 32 | len(data))
            skip = to.out.jump(Op.JUMP_ZERO, d + 2)
            to.constant(number, d)
            to.out.land(skip)
        return list(range(len(labels)))


class Counter(Model):
    name = "Counter"
    file = "nk.counter"
    stateful = True
    code = CounterCode

    def configure(self, declaration, types, findings):
        reader = Reader(declaration, findings)
        node = reader.configuration()
        if not isinstance(node, syntax.Literal) or not isinstance(node.value, int):
            return None
        return Setup(node.value, f"Counter{node.value}")

    def signatures(self, types, config):
        sid = Parameter("sid", SID)
        return {
            "count": Signature((sid,), named=True),
            "used": Signature((sid,), named=True, result=UINT32),
            "beginning": Signature((Parameter("text", TEXT),), named=True, result=TEXT),
        }

    def examine(self, typing, call, config, arguments):
        if call.name.parts[-1] == "beginning" and not hasattr(arguments["text"], "wire"):
            raise typing.fail("PSL-028", call.argument.span, "a text of the message is needed")

    def examine_label(self, typing, method, config, label):
        if method == "beginning" and not label.value:
            raise typing.fail("PSL-050", label.span, "every text begins with nothing")
        return label.value if method == "beginning" else None

    def capacity(self, config, max_sids):
        return 2

    def call(self, config, contexts, method, arguments):
        sid = arguments["sid"]
        if method == "used":
            return contexts.get(sid, 0)
        used = contexts.get(sid, 0)
        if used == config or (sid not in contexts and len(contexts) >= contexts.capacity):
            return False
        contexts[sid] = used + 1
        return True

    def choose(self, config, contexts, method, arguments, labels):
        if method != "beginning":
            return super().choose(config, contexts, method, arguments, labels)
        text = arguments["text"]
        return next((i for i, x in enumerate(labels) if text.startswith(x.encode())), None)
