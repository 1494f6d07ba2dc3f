"""A C program for a class: it answers what its endpoints offer and asks what its connections allow.

The answers are zeros, the questions too; both are told on the console when they come out
differently than the time before. What the class is for is left to be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from khs.importing.wiring import Link, no_channel
from khs.monitor.files import Direction, Endpoint, EntityClass, Method, flat, header_name
from khs.monitor.handles import carried
from khs.new.method import CASES_MARK, FUNCTIONS_MARK, answer, answer_case

STACK = 16 << 10  # bytes beside those of messages
_PAGE = 4096


def program(entity: EntityClass, links: Sequence[Link]) -> str:
    """main.c of a class; `links` are those of all its processes as clients."""
    questions = list(_questions(links))
    names = [header_name(endpoint.interface) for endpoint in _answered(entity)]
    names += [header_name(each.link.endpoint.interface) for each in questions]
    includes = sorted({f"#include <{name}>" for name in names} | {"#include <khs/khs.h>"})
    parts = [
        f"/* Process class {entity.name}, scaffolded from its description.\n"
        " * It answers with zeros and asks with zeros: what it is for is to be written here. */",
        "\n".join(includes),
    ]
    parts += _answering(entity)
    parts += _asking(questions)
    parts.append(_main(bool(_answered(entity)), bool(questions)))
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def stack(entity: EntityClass, links: Sequence[Link]) -> int:
    """Bytes: an answer, or a question with its reply, lies there whole."""
    endpoints = [*_answered(entity), *(link.endpoint for link in links)]
    methods = [method for each in endpoints for method in carried(each.interface.methods)]
    need = STACK + max((sum(_bytes(m, way) for way in Direction) for m in methods), default=0)
    return (need + _PAGE - 1) // _PAGE * _PAGE


def _bytes(method: Method, way: Direction) -> int:
    message = method.message(way)
    return (message.size + message.arena + 7) // 8 * 8


# ---- what it answers


def _answered(entity: EntityClass) -> list[Endpoint]:
    """Those that a channel can lead to."""
    return [each for each in entity.endpoints if not no_channel(each)]


def _answering(entity: EntityClass) -> Iterator[str]:
    endpoints = _answered(entity)
    if not endpoints:
        return
    alone = len(endpoints) == 1
    for endpoint in endpoints:
        for method in carried(endpoint.interface.methods):
            yield answer(_message(endpoint, method), _label(endpoint, method, alone))
    if alone:
        yield FUNCTIONS_MARK
    room = max(
        _bytes(method, Direction.IN)
        for each in endpoints
        for method in carried(each.interface.methods)
    )
    yield (
        "/* Every call that waits. The kernel has checked its form, the policy what it asks. */\n"
        "static void answer(void)\n{\n"
        f"    static _Alignas(8) uint8_t message[{room}];\n"
        "    struct khs_recv_info info;\n"
        "    while (khs_recv(message, sizeof message, &info, 0).code == KHS_CODE_OK) {\n"
        f"{_dispatch(entity, endpoints, alone)}    }}\n}}"
    )


def _dispatch(entity: EntityClass, endpoints: Sequence[Endpoint], alone: bool) -> str:
    """By method, and before that by endpoint if there are several."""
    if alone:
        (endpoint,) = endpoints
        return f"        switch (info.mid) {{\n{_cases(endpoint, True)}{CASES_MARK}\n        }}\n"
    lines = []
    for endpoint in endpoints:
        riid = f"{flat(entity.name)}_{flat(endpoint.name)}_riid"
        lines.append(f"        if (info.riid == {riid}) {{ /* {endpoint.name} */\n")
        cases = _cases(endpoint, False).rstrip()
        lines.append(f"        switch (info.mid) {{\n{cases}\n        }}\n        }}\n")
    return "".join(lines)


def _cases(endpoint: Endpoint, alone: bool) -> str:
    methods = carried(endpoint.interface.methods)
    texts = (answer_case(_message(endpoint, m), _label(endpoint, m, alone)) for m in methods)
    return " " * 8 + "".join(texts)


def _message(endpoint: Endpoint, method: Method) -> str:
    return f"{flat(endpoint.interface.name)}_{method.name}"


def _label(endpoint: Endpoint, method: Method, alone: bool) -> str:
    return method.name if alone else f"{flat(endpoint.name)}__{method.name}"


# ---- what it asks


@dataclass(frozen=True)
class _Question:
    """One method of an endpoint that a channel of the class leads to."""

    link: Link
    method: Method

    @property
    def message(self) -> str:
        return _message(self.link.endpoint, self.method)


def _questions(links: Sequence[Link]) -> Iterator[_Question]:
    for link in links:
        for method in carried(link.endpoint.interface.methods):
            yield _Question(link, method)


def _asking(questions: Sequence[_Question]) -> Iterator[str]:
    if not questions:
        return
    yield "enum { PATIENCE_US = 100000 };"
    for name in dict.fromkeys(each.message for each in questions):
        yield (
            f"static uint32_t ask_{name}(uint32_t port, uint32_t *flags)\n{{\n"
            f"    struct {name}_req m = {{ .header = {name}_req_header }};\n"
            f"    union {name}_reply reply = {{ .header = {name}_res_header }};\n"
            f"    uint32_t code = khs_call(port, &m, {name}_req_size, &reply, sizeof reply, "
            "PATIENCE_US).code;\n"
            "    *flags = reply.header.flags;\n    return code;\n}"
        )
    rows = "".join(
        f'    {{ "{each.link.channel}", "{each.link.endpoint.name}.{each.method.name}", '
        f"ask_{each.message} }},\n"
        for each in questions
    )
    yield (
        "/* One process of the class has these channels, another those. */\n"
        "static const struct {\n    const char *channel, *what;\n"
        "    uint32_t (*ask)(uint32_t port, uint32_t *flags);\n"
        f"}} questions[] = {{\n{rows}}};\n"
        "enum { QUESTIONS = sizeof questions / sizeof *questions };"
    )
    yield _ASK


_ASK = """\
/* The next question; how it came out is told if that was different the time before. */
static void ask(uint32_t number)
{
    static uint32_t told[QUESTIONS];
    uint32_t port = khs_port(questions[number].channel), flags = IDL_RESPONSE;
    const struct khs_start_port *end = khs_port_info(port);
    if (!end || end->direction != KHS_PORT_SOURCE)
        return; /* another process's channel */
    uint32_t code = questions[number].ask(port, &flags);
    uint32_t outcome = 1 + (code << 1) + (flags == IDL_ERROR);
    if (told[number] == outcome)
        return;
    told[number] = outcome;
    const char *how = flags == IDL_ERROR ? "an error" : "answered";
    khs_print("%s, %s: %s\\n", questions[number].channel, questions[number].what,
              code == KHS_CODE_OK ? how : khs_code_name(code));
}"""


def _main(answers: bool, asks: bool) -> str:
    step = "        answer();\n" if answers else ""
    step += "        ask(turn % QUESTIONS);\n" if asks else ""
    head = "for (uint32_t turn = 0;; turn++)" if asks else "for (;;)"
    body = f"    {head} {{\n        khs_period_wait();\n{step}    }}\n"
    return (
        "void main(void)\n{\n    if (khs_ready() != KHS_CODE_OK)\n"
        "        return; /* the policy does not let it run */\n"
        f"{body}}}\n"
    )
