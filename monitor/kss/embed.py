"""A compiled policy as a C header, for programs that link libkss: the image, and the names behind
its numbers, which audit records and logs need.

    NAME_image, NAME_image_size        what kss_verify and kss_init take
    NAME_class_bank_Teller             class numbers of this policy
    NAME_classes[], NAME_rules[]       names of classes; where each rule stands
    NAME_value(rule, value, text, n)   what an expression in an audit record returned, as text
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kss.api import Policy
from kss.binary import read
from kss.cgen.names import flat
from kss.errors import KssError

_ROW = 16
_HELPER = """
/* What an expression in an audit record returned: `value` by name, else as a number. */
static inline const char *NAME_value(uint32_t rule, uint32_t value, char *text, size_t size)
{
    for (size_t i = 0; i < sizeof NAME_values / sizeof *NAME_values; i++)
        if (NAME_values[i].rule == rule && NAME_values[i].value == value)
            return NAME_values[i].text;
    size_t digits = 1;
    for (uint32_t rest = value; rest >= 10; rest /= 10)
        digits++;
    if (size <= digits)
        return "?";
    text[digits] = '\\0';
    for (; digits; value /= 10)
        text[--digits] = (char)('0' + value % 10);
    return text;
}
"""


def header(policy: Policy, binary: bytes, name: str) -> str:
    """The header; everything in it begins with `name`. Raises KssError if that is no C name."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise KssError(f"{name} is no name in C: take letters, digits and _")
    parts = [
        f"/* The policy {name}, made by kss compile; do not edit. */",
        f"#ifndef KSS_POLICY_{name}_H\n#define KSS_POLICY_{name}_H\n",
        "#include <stddef.h>\n#include <stdint.h>\n",
        f"#ifdef __cplusplus\n#define {name}_ALIGNED alignas(8)\n"
        f"#else\n#define {name}_ALIGNED _Alignas(8)\n#endif\n",
        _image(binary, name),
        *_classes(policy, name),
        *_rules(policy, name),
        *_values(binary, name),
        _HELPER.replace("NAME", name).strip("\n"),
        "\n#endif",
    ]
    return "\n".join(parts) + "\n"


def _image(binary: bytes, name: str) -> str:
    rows = (binary[at : at + _ROW] for at in range(0, len(binary), _ROW))
    body = "\n".join("    " + "".join(f"{byte:#04x}, " for byte in row).rstrip() for row in rows)
    return (
        f"enum {{ {name}_image_size = {len(binary)} }};\n"
        f"{name}_ALIGNED static const uint8_t {name}_image[{len(binary)}] = {{\n{body}\n}};\n"
    )


def _classes(policy: Policy, name: str) -> Iterator[str]:
    yield "enum {"
    for number, entity in enumerate(policy.classes):
        yield f"    {name}_class_{flat(entity)} = {number},"
    yield "};"
    yield f"static const char *const {name}_classes[] = {{"
    for entity in policy.classes:
        yield f"    {_text(entity)},"
    yield "};\n"


def _rules(policy: Policy, name: str) -> Iterator[str]:
    yield f"struct {name}_rule {{"
    yield "    const char *object, *method, *file;"
    yield "    uint32_t line;"
    yield "};"
    yield f"static const struct {name}_rule {name}_rules[] = {{"
    for rule in policy.rules:
        texts = ", ".join(_text(text) for text in (rule.object, rule.method, rule.file))
        yield f"    {{{texts}, {rule.line}}},"
    if not policy.rules:
        yield '    {"", "", "", 0},'
    yield "};\n"


def _values(binary: bytes, name: str) -> Iterator[str]:
    found: Any = read(binary).symbols.get("values", {})
    yield f"static const struct {{ uint32_t rule, value; const char *text; }} {name}_values[] = {{"
    for rule, values in found.items():
        for number, value in enumerate(values or ()):
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"    {{{rule}, {number}, {_text(text)}}},"
    yield '    {UINT32_MAX, UINT32_MAX, ""},'
    yield "};\n"


def _text(text: str) -> str:
    """A C string; three octal digits end an escape whatever follows."""
    shown = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{shown}"'
